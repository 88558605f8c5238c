/* SPDX-License-Identifier: Apache-2.0 */
/* Enrollments of one id, one a line, each as a service sends it: [is a group, body].  What was taken is shown without its keys, and sending back what was shown changes nothing but
 * the etag; and what has keys has two that are long enough. */
#include "fuzz.h"
#include "hub/provisioning/enrollment.h"
#include "wire/json.h"

#define KEY_LEN_MIN 16

static struct enrollment *
compose(const json_t *body, bool is_group, const struct enrollment *before)
{
	struct enrollment_wish wish = { .id = "dev-1", .is_group = is_group, .body = body, .before = before, .now = 1772323200000 };
	struct err err = ERR_INIT;
	struct enrollment *e = enrollment_compose(&wish, &err);

	FUZZ_CHECK(e || err.text[0]);
	return e;
}

static json_t *
without_etag(const struct enrollment *e)
{
	json_t *json = enrollment_to_json(e);

	json_object_del(json, "etag");
	return json;
}

static void
check(const struct enrollment *e)
{
	OWN_LIB(json_t) shown = enrollment_to_json(e);
	OWN_LIB(json_t) secrets = enrollment_attestation_json(e, true);
	OWN_LIB(json_t) again_secrets = NULL;
	OWN_LIB(json_t) was = without_etag(e);
	OWN_LIB(json_t) is = NULL;
	OWN(enrollment) again = compose(shown, e->is_group, e);

	FUZZ_CHECK(shown && !json_object_get(json_object_get(shown, "attestation"), "symmetricKey"));
	FUZZ_CHECK(again);
	is = without_etag(again);
	again_secrets = enrollment_attestation_json(again, true);
	FUZZ_CHECK(json_equal(was, is) && json_equal(secrets, again_secrets));
	for (int i = 0; i < 2 && e->proof == ENROLLMENT_BY_KEY; i++)
		FUZZ_CHECK(e->keys[i].len >= KEY_LEN_MIN);
}

/* Back from the list to the record that is there now; another one takes its place. */
static void
apply(struct enrollment *there[2], const json_t *line)
{
	bool is_group = json_is_true(json_array_get(line, 0));
	struct enrollment *e = compose(json_array_get(line, 1), is_group, there[is_group]);

	if (!e)
		return;
	check(e);
	enrollment_free(there[is_group]);
	there[is_group] = e;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { .text = (const char *)data, .len = size }, line;
	struct enrollment *there[2] = { NULL, NULL };
	bool more = size > 0;

	while (more) {
		struct err err = ERR_INIT;
		OWN_LIB(json_t) json = NULL;

		more = slice_cut(&rest, '\n', &line);
		json = json_parse(line.text, line.len, &err);
		if (json_is_array(json) && json_is_object(json_array_get(json, 1)))
			apply(there, json);
	}
	enrollment_free(there[0]);
	enrollment_free(there[1]);
	return 0;
}
