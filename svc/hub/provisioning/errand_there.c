/* SPDX-License-Identifier: Apache-2.0 */
/* Errands in a linked hub (errand.h), over the REST that any hub has.  A device with a twin is made by a bulk request of one item: that is the one call which makes both at once, so that no kill
 * leaves the one without the other, and the one which takes reported properties. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/credential.h"
#include "hub/provisioning/errand.h"
#include "hub/provisioning/provisioned_device.h"
#include "net/http_client.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/sas.h"

#define API_VERSION "2021-04-12"
#define TOKEN_S 300
#define TIMEOUT_MS 15000
#define ANSWER_MAX (256 * 1024)
#define URL_MAX 2048

struct question {
	const char *method, *path; /* path: of a collection */
	const char *id;		   /* NULL: all of it */
	const char *if_match;	   /* as it stands in the header, quotes too */
	const json_t *body;
};

static void
put_url(struct buf *url, const struct errand_way *way, const struct question *q)
{
	buf_putf(url, "https://%s/%s", way->hub->host, q->path);
	if (q->id) {
		buf_puts(url, "/");
		percent_encode(url, q->id, strlen(q->id));
	}
	buf_puts(url, "?api-version=" API_VERSION);
}

static char *
authorization(const struct errand_way *way)
{
	struct buf token = BUF_INIT(URL_MAX);
	char *header;

	sas_sign(&token, way->hub->host, clock_wall() + TOKEN_S, way->hub->policy, &way->hub->key);
	header = mem_textf("Authorization: %s", buf_text(&token));
	buf_wipe(&token);
	return header;
}

/* A bulk request says what is wrong with each item. */
static void
take_item_error(const json_t *body, struct err *err)
{
	const json_t *item = json_array_get(json_object_get(body, "errors"), 0);
	const char *text = json_string_value(json_object_get(item, "errorStatus"));

	if (text)
		(void)err_set(err, err->kind, "the hub refuses the device: %s", text);
}

static void
take_refusal(const struct http_answer *answer, struct err *err)
{
	struct err unparsable = ERR_INIT;
	OWN_LIB(json_t) body = json_parse(answer->body.data, answer->body.len, &unparsable);

	take_item_error(body, err);
}

static int
ask(const struct errand_way *way, const struct question *q, json_t **out, struct err *err)
{
	CLEAR(buf) url = BUF_INIT(URL_MAX);
	OWN_TEXT token = authorization(way);
	OWN_TEXT condition = q->if_match ? mem_textf("If-Match: %s", q->if_match) : NULL;
	const char *headers[] = { token, condition, NULL };
	struct http_answer answer;
	struct http_call call = { .method = q->method,
		.headers = headers,
		.anchors = way->anchors,
		.timeout_ms = TIMEOUT_MS,
		.max_body = ANSWER_MAX,
		.cancelled = way->cancelled,
		.who = "provisioning" };
	json_t *found = NULL;
	int done;

	put_url(&url, way, q);
	call.url = buf_text(&url);
	done = http_fetch_json(&found, &answer, &call, q->body, err);
	if (done < 0 && err->kind == ERR_INVALID && answer.body.len > 0)
		take_refusal(&answer, err);
	http_answer_clear(&answer);
	mem_wipe(token, strlen(token));
	if (out && done == 0)
		*out = found;
	else
		json_decref(found);
	return done;
}

/* A conflict is a race with somebody else's change: the next look tells. */
static void
end_with(struct errand *errand, int done)
{
	enum err_kind kind = errand->err.kind;

	if (done < 0)
		errand->end = kind == ERR_DENIED || kind == ERR_INVALID ? ERRAND_REFUSED : ERRAND_LATER;
}

/* 1: it is there; 0: it is not; -1 */
static int
look(struct errand *errand, const struct errand_way *way, json_t **record)
{
	struct question q = { .method = "GET", .path = "devices", .id = errand->device_id };

	if (ask(way, &q, record, &errand->err) == 0)
		return 1;
	if (errand->err.kind != ERR_MISSING)
		return -1;
	errand->err = (struct err)ERR_INIT;
	return 0;
}

/* -- Looking ------------------------------------------------------------------------------------------------------------------------- */

/* Without $version and $metadata, which are the hub's own. */
static json_t *
values_of(const json_t *section)
{
	json_t *values = json_is_object(section) ? json_copy((json_t *)(uintptr_t)section) : json_object();

	json_object_del(values, "$version");
	json_object_del(values, "$metadata");
	return values;
}

static json_t *
twin_of(const json_t *view)
{
	const json_t *properties = json_object_get(view, "properties");

	return json_pack("{s:o, s:{s:o, s:o}}", "tags", values_of(json_object_get(view, "tags")), "properties", "desired",
		values_of(json_object_get(properties, "desired")), "reported", values_of(json_object_get(properties, "reported")));
}

static void
read_there(struct errand *errand, const struct errand_way *way)
{
	struct question q = { .method = "GET", .path = "twins", .id = errand->device_id };
	OWN_LIB(json_t) record = NULL;
	OWN_LIB(json_t) view = NULL;
	int there = look(errand, way, &record);

	if (there > 0) {
		errand->found = identity_from_json(record, &errand->err);
		there = errand->found ? ask(way, &q, &view, &errand->err) : -1;
	}
	errand->found_twin = view ? twin_of(view) : NULL;
	end_with(errand, there);
}

/* -- Making -------------------------------------------------------------------------------------------------------------------------- */

/* A twin is an enrollment's or a web hook's: beside its sections stand which device it is, what is done to it and what it trusts, and those are ours. */
static void
put_twin(json_t *item, const json_t *twin)
{
	static const char *const sections[] = { "tags", "properties" };

	for (size_t i = 0; i < COUNT(sections); i++) {
		json_t *section = json_object_get(twin, sections[i]);

		if (section)
			json_object_set(item, sections[i], section);
	}
}

static int
create(struct errand *errand, const struct errand_way *way)
{
	OWN_LIB(json_t) item = identity_to_json(errand->wanted, false, true);
	OWN_LIB(json_t) list = NULL;
	OWN_LIB(json_t) told = NULL;

	if (!errand->twin)
		return ask(way, &(struct question){ .method = "PUT", .path = "devices", .id = errand->device_id, .body = item },
			NULL, &errand->err);
	json_object_set_new(item, "id", json_string(errand->device_id));
	json_object_set_new(item, "importMode", json_string("create"));
	put_twin(item, errand->twin);
	list = json_pack("[O]", item);
	if (ask(way, &(struct question){ .method = "POST", .path = "devices", .body = list }, &told, &errand->err) < 0)
		return -1;
	if (json_is_true(json_object_get(told, "isSuccessful")))
		return 0;
	/* A bulk request as such may go well and its items not: the device would be out of the hub that it leaves, and in none. */
	(void)err_set(&errand->err, ERR_INVALID, "the hub does not say that it made the device");
	take_item_error(told, &errand->err);
	return -1;
}

/* What is there keeps all but its credential, as in our own hub. */
static int
renew(struct errand *errand, const struct errand_way *way, json_t *record, const struct identity *there,
	const struct identity *trusted)
{
	OWN_LIB(json_t) wanted = identity_to_json(trusted, false, true);
	OWN_TEXT etag = mem_textf("\"%s\"", there->etag ? there->etag : "");

	if (!errand->owned)
		return err_set(&errand->err, ERR_DENIED, "the hub has a device of this id that was not provisioned here");
	json_object_set(record, "authentication", json_object_get(wanted, "authentication"));
	return ask(way,
		&(struct question){ .method = "PUT", .path = "devices", .id = errand->device_id, .if_match = etag, .body = record },
		NULL, &errand->err);
}

static int
renew_what_differs(struct errand *errand, const struct errand_way *way, json_t *record)
{
	OWN(identity) there = identity_from_json(record, &errand->err);
	OWN(identity) wanted = NULL;

	if (!there)
		return -1;
	wanted = errand->rotates ? credential_beside(errand->wanted, there) : identity_ref(errand->wanted);
	return provisioned_device_is_same(there, wanted) ? 0 : renew(errand, way, record, there, wanted);
}

static void
make_there(struct errand *errand, const struct errand_way *way)
{
	OWN_LIB(json_t) record = NULL;
	int there = look(errand, way, &record);

	errand->was_there = there > 0;
	if (there == 0)
		there = create(errand, way);
	else if (there > 0)
		there = renew_what_differs(errand, way, record);
	end_with(errand, there);
}

/* -- Taking away ----------------------------------------------------------------------------------------------------------------------- */

static void
remove_there(struct errand *errand, const struct errand_way *way)
{
	struct question q = { .method = "DELETE", .path = "devices", .id = errand->device_id, .if_match = "*" };

	if (ask(way, &q, NULL, &errand->err) < 0 && errand->err.kind != ERR_MISSING)
		end_with(errand, -1);
}

void
errand_run_there(struct errand *errand, const struct errand_way *way)
{
	static void (*const run[])(struct errand * errand, const struct errand_way *way) = {
		[ERRAND_READ] = read_there, [ERRAND_MAKE] = make_there, [ERRAND_REMOVE] = remove_there
	};

	errand->end = ERRAND_DONE;
	run[errand->kind](errand, way);
}
