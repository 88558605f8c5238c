/* SPDX-License-Identifier: Apache-2.0 */
/* User names and topics of provisioning.  What they have behind the "?" is "name=value&...", of which each name may stand once; unknown names are overlooked. */
#include "hub/provisioning/provisioning_topic.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"

#define RID_MAX 128 /* it comes back in the topic of the answer */
#define OPERATION_MAX 256

/* -- Pairs ------------------------------------------------------------------------------------------------------------------------ */

struct pair {
	const char *name;
	struct slice *value;
};

/* false: a name stands twice. */
static bool
take_pairs(struct slice text, const struct pair *pairs, size_t n)
{
	struct slice one, name;
	bool more = true;

	if (text.len > 0 && text.text[0] == '?')
		text = (struct slice){ .text = text.text + 1, .len = text.len - 1 };
	while (more) {
		more = slice_cut(&text, '&', &one);
		if (!slice_cut(&one, '=', &name))
			continue;
		for (size_t i = 0; i < n; i++)
			if (slice_is(name, pairs[i].name)) {
				if (pairs[i].value->text)
					return false;
				*pairs[i].value = one;
			}
	}
	return true;
}

/* -- User names ------------------------------------------------------------------------------------------------------------------- */

int
provisioning_name_parse(struct provisioning_name *out, struct slice text, struct err *err)
{
	struct slice version = { 0 }, word, rest = text;
	const struct pair pairs[] = { { "api-version", &version } };

	*out = (struct provisioning_name){ 0 };
	if (!slice_cut(&rest, '/', &out->id_scope) || !slice_cut(&rest, '/', &word) || !slice_is(word, "registrations") ||
		!slice_cut(&rest, '/', &out->registration_id) || out->id_scope.len == 0 || out->registration_id.len == 0)
		return err_set(err, ERR_INVALID, "the user name is not ID-SCOPE/registrations/REGISTRATION-ID/api-version=...");
	if (!take_pairs(rest, pairs, COUNT(pairs)) || version.len == 0)
		return err_set(err, ERR_INVALID, "the user name has no api-version, or two");
	return 0;
}

/* -- Topics ----------------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *prefix;
	enum provisioning_topic_kind kind;
} kinds[] = {
	{ "$dps/registrations/PUT/iotdps-register/?", PROVISIONING_TOPIC_REGISTER },
	{ "$dps/registrations/GET/iotdps-get-operationstatus/?", PROVISIONING_TOPIC_OPERATION },
};

static struct slice
after(struct slice text, size_t n)
{
	return (struct slice){ .text = text.text + n, .len = text.len - n };
}

static bool
is_complete(const struct provisioning_topic *topic)
{
	if (topic->rid.len == 0 || topic->rid.len > RID_MAX || topic->operation.len > OPERATION_MAX)
		return false;
	return topic->kind != PROVISIONING_TOPIC_OPERATION || topic->operation.len > 0;
}

struct provisioning_topic
provisioning_topic_parse(struct slice text)
{
	struct provisioning_topic topic = { 0 };
	const struct pair pairs[] = { { "$rid", &topic.rid }, { "operationId", &topic.operation } };
	struct slice query = { 0 };

	for (size_t i = 0; i < COUNT(kinds) && !topic.kind; i++)
		if (slice_starts(text, kinds[i].prefix)) {
			topic.kind = kinds[i].kind;
			query = after(text, strlen(kinds[i].prefix));
		}
	if (!topic.kind || !take_pairs(query, pairs, COUNT(pairs)) || !is_complete(&topic))
		return (struct provisioning_topic){ 0 };
	return topic;
}

void
provisioning_topic_put_answer(struct buf *out, int status, const char *rid, int retry_after_s)
{
	buf_putf(out, "$dps/registrations/res/%d/?$rid=%s", status, rid);
	if (retry_after_s > 0)
		buf_putf(out, "&retry-after=%d", retry_after_s);
}
