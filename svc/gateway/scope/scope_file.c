/* SPDX-License-Identifier: Apache-2.0 */
/* "RESCOPE2", a salt, and then parts, each with its length and encrypted for itself, because a request to the workload API has a ceiling.  A part's
 * initialization vector is the salt and its number, and its text says how many there are: parts of another file, in another order or less of them
 * do not go through.  At the end stands the seal of all that is before it.  RESCOPE1 had none, and counts until the first that has one. */
#include "gateway/scope/scope_file.h"

#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "wire/json.h"

#define FILE_MAX (512 * 1024 * 1024)
#define PART_MAX (4 * 1024 * 1024)
#define RECORDS_A_PART 500
#define SALT_LEN 12
#define IV_LEN (SALT_LEN + 4)

static const char magic[8] = "RESCOPE2", unsealed_magic[8] = "RESCOPE1";

static void
make_iv(uint8_t iv[static IV_LEN], const uint8_t *salt, uint32_t part)
{
	memcpy(iv, salt, SALT_LEN);
	for (int i = 0; i < 4; i++)
		iv[SALT_LEN + i] = (uint8_t)(part >> (24 - 8 * i));
}

/* -- Saving ---------------------------------------------------------------------------------------------------------------------------- */

static int
put_part(struct buf *file, const struct workload *w, const uint8_t *salt, uint32_t part, const json_t *json, struct err *err)
{
	OWN_TEXT text = json_line(json);
	struct buf cipher = BUF_INIT(PART_MAX);
	uint8_t iv[IV_LEN];
	int status;

	make_iv(iv, salt, part);
	status = workload_encrypt(w, iv, sizeof(iv), text, strlen(text), &cipher, err);
	if (status == 0) {
		buf_put_u32(file, (uint32_t)cipher.len);
		buf_put(file, cipher.data, cipher.len);
	}
	mem_wipe(text, strlen(text));
	buf_clear(&cipher);
	return status;
}

static json_t *
list_to_json(const struct scope_list *list, int64_t boot_ms)
{
	return json_pack("{s:s, s:s*, s:I, s:I}", "gateway", list->gateway_id, "etag", list->etag, "confirmed",
		(json_int_t)list->at.wall, "age", (json_int_t)confirmation_known_s(&list->at, boot_ms));
}

static json_t *
record_to_json(const struct scope_record *r, int64_t boot_ms)
{
	return json_pack("{s:I, s:I, s:s*, s:o}", "confirmed", (json_int_t)r->at.wall, "age",
		(json_int_t)confirmation_known_s(&r->at, boot_ms), "list", r->list ? r->list->gateway_id : NULL, "identity",
		identity_to_json(r->identity, false, true));
}

/* What stands in the first part beside its records. */
static void
add_first(json_t *json, const struct scope_kept *kept, int64_t boot_ms)
{
	json_t *lists = json_array();
	size_t at = 0;
	void *value;

	while (map_next(kept->lists, &at, NULL, NULL, &value))
		json_array_append_new(lists, list_to_json(value, boot_ms));
	json_object_set_new(json, "lists", lists);
	if (kept->cas)
		json_object_set_new(json, "certificateAuthorities", authorities_to_json(kept->cas));
	if (kept->takes_marks)
		json_object_set_new(json, "takesMessageMarks", json_true());
}

static int
put_parts(struct buf *file, const struct workload *w, const uint8_t *salt, const struct scope_kept *kept, struct err *err)
{
	size_t n_parts = map_count(kept->records) / RECORDS_A_PART + 1, at = 0;
	int64_t boot_ms = clock_boot_ms();
	void *value;

	for (uint32_t part = 0; part < n_parts; part++) {
		OWN_LIB(json_t) json = json_pack("{s:I, s:[]}", "parts", (json_int_t)n_parts, "records");
		json_t *list = json_object_get(json, "records");

		if (part == 0)
			add_first(json, kept, boot_ms);
		while (json_array_size(list) < RECORDS_A_PART && map_next(kept->records, &at, NULL, NULL, &value))
			json_array_append_new(list, record_to_json(value, boot_ms));
		if (put_part(file, w, salt, part, json, err) < 0)
			return -1;
	}
	return 0;
}

static int
put_seal(struct buf *file, struct freshness *f, struct err *err)
{
	uint8_t digest[DIGEST_SHA256_LEN], seal[FRESHNESS_SEAL_LEN];

	if (freshness_next(f, err) < 0)
		return -1;
	digest_sha256(file->data, file->len, digest);
	freshness_seal(f, digest, sizeof(digest), seal);
	buf_put(file, seal, sizeof(seal));
	return 0;
}

int
scope_file_save(const struct scope_file *at, const struct scope_kept *kept, struct err *err)
{
	CLEAR(buf) file = BUF_INIT(FILE_MAX);
	uint8_t salt[SALT_LEN];

	random_bytes(salt, sizeof(salt));
	buf_put(&file, magic, sizeof(magic));
	buf_put(&file, salt, sizeof(salt));
	if (put_parts(&file, at->workload, salt, kept, err) < 0 || put_seal(&file, at->freshness, err) < 0)
		return -1;
	if (file.failed)
		return err_set(err, ERR_LIMIT, "%s: too many devices", at->path);
	if (file_save(at->path, file.data, file.len, 0600, err) < 0)
		return -1;
	freshness_settle(at->freshness);
	return 0;
}

/* -- Loading --------------------------------------------------------------------------------------------------------------------------- */

static int
take_confirmation(struct confirmation *at, const json_t *item, struct err *err)
{
	int64_t confirmed = 0, age = 0;

	if (json_find_int(item, "confirmed", &confirmed, err) < 0 || json_find_int(item, "age", &age, err) < 0)
		return -1;
	*at = confirmation_kept(confirmed, age, clock_boot_ms());
	return 0;
}

static int
take_list(struct map *lists, const json_t *item, struct err *err)
{
	const char *gateway, *etag = NULL;
	struct scope_list *list;

	if (json_get_text(item, "gateway", &gateway, err) < 0 || json_find_text(item, "etag", &etag, err) < 0)
		return -1;
	list = scope_list_need(lists, gateway);
	if (!list)
		return err_set(err, ERR_LIMIT, "too many lists");
	scope_list_set_etag(list, etag);
	return take_confirmation(&list->at, item, err);
}

static int
take_record(struct scope_kept *kept, const json_t *item, struct err *err)
{
	struct confirmation at;
	const char *list = NULL;
	struct identity *identity;
	struct scope_record *record;
	OWN_TEXT name = NULL;

	if (take_confirmation(&at, item, err) < 0 || json_find_text(item, "list", &list, err) < 0)
		return -1;
	identity = identity_from_json(json_object_get(item, "identity"), err);
	if (!identity)
		return -1;
	name = identity_name(identity->device_id, identity->module_id);
	record = NEW(scope_record);
	*record = (struct scope_record){ .identity = identity, .at = at, .list = list ? map_find_text(kept->lists, list) : NULL };
	scope_record_free(map_put_text(kept->records, name, record));
	return 0;
}

static json_t *
decrypt(const struct workload *w, const uint8_t *salt, uint32_t part, struct slice cipher, struct err *err)
{
	struct buf text = BUF_INIT(PART_MAX);
	uint8_t iv[IV_LEN];
	json_t *json = NULL;

	make_iv(iv, salt, part);
	if (workload_decrypt(w, iv, sizeof(iv), cipher.text, cipher.len, &text, err) == 0)
		json = json_parse(text.data, text.len, err);
	else if (err->kind !=
		 ERR_INVALID) /* it could not be asked, which says nothing about the file: above all not that there is none */
		err->kind = ERR_UNAVAILABLE;
	buf_wipe(&text);
	return json;
}

static int
take_cas(struct authorities **cas, const json_t *list, struct err *err)
{
	if (!list)
		return 0;
	authorities_free(*cas);
	*cas = authorities_from_json(list, err);
	return *cas ? 0 : -1;
}

static int
take_part(struct scope_kept *kept, const json_t *json, struct err *err)
{
	json_t *lists = NULL, *records = NULL, *item;
	size_t i;

	if (json_find_array(json, "lists", &lists, err) < 0 || json_find_array(json, "records", &records, err) < 0)
		return -1;
	json_array_foreach(lists, i, item)
		if (take_list(kept->lists, item, err) < 0)
			return -1;
	json_array_foreach(records, i, item)
		if (take_record(kept, item, err) < 0)
			return -1;
	kept->takes_marks = kept->takes_marks || json_is_true(json_object_get(json, "takesMessageMarks"));
	return take_cas(&kept->cas, json_object_get(json, "certificateAuthorities"), err);
}

static int
take_parts(struct scope_kept *kept, const struct workload *w, struct rd *in, const uint8_t *salt, struct err *err)
{
	int64_t n_parts = 1;

	for (uint32_t part = 0; part < n_parts; part++) {
		uint32_t len = rd_u32(in);
		struct slice cipher = rd_slice(in, len);
		OWN_LIB(json_t) json = in->bad ? err_null(err, ERR_BROKEN, "it is cut off") : decrypt(w, salt, part, cipher, err);

		if (!json || json_find_int(json, "parts", &n_parts, err) < 0 || take_part(kept, json, err) < 0)
			return -1;
	}
	return rd_left(in) == 0 ? 0 : err_set(err, ERR_BROKEN, "something stands behind its end");
}

/* What could not be asked says nothing about the file. */
static int
ask_again_later(struct err *err)
{
	err->kind = ERR_UNAVAILABLE;
	return -1;
}

/* 1: is what was written last; 0: it is older.  One of a version that had no seal is as good as it is until the first that has one. */
static int
check_unsealed(struct freshness *f, struct err *err)
{
	int known = freshness_is_known(f, err);

	return known < 0 ? ask_again_later(err) : !known;
}

/* Takes it off. */
static int
check_seal(struct buf *file, struct freshness *f, struct err *err)
{
	uint8_t digest[DIGEST_SHA256_LEN];
	int fresh;

	file->len -= FRESHNESS_SEAL_LEN;
	digest_sha256(file->data, file->len, digest);
	fresh = freshness_check(f, file->data + file->len, digest, sizeof(digest), err);
	return fresh < 0 ? ask_again_later(err) : fresh;
}

static int
check_head(struct buf *file, struct freshness *f, struct err *err)
{
	size_t least = sizeof(magic) + SALT_LEN;

	if (file->len >= least && memcmp(file->data, unsealed_magic, sizeof(magic)) == 0)
		return check_unsealed(f, err);
	if (file->len < least + FRESHNESS_SEAL_LEN || memcmp(file->data, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_INVALID, "not a scope of this version");
	return check_seal(file, f, err);
}

/* One that can be read, but has another seal, was whole once: it is an older one.  Otherwise it is damaged. */
int
scope_file_load(const struct scope_file *at, struct scope_kept *kept, struct err *err)
{
	CLEAR(buf) file = BUF_INIT(FILE_MAX);
	const uint8_t *salt;
	struct rd in;
	int fresh;

	if (file_load(&file, at->path, err) < 0)
		return -1;
	fresh = check_head(&file, at->freshness, err);
	if (fresh < 0)
		return err_wrap(err, "%s", at->path);
	in = rd_over(file.data, file.len);
	rd_bytes(&in, sizeof(magic));
	salt = rd_bytes(&in, SALT_LEN);
	if (take_parts(kept, at->workload, &in, salt, err) < 0)
		return err_wrap(err, "%s", at->path);
	return fresh ? 0 : err_set(err, ERR_CONFLICT, "%s: it is older than what was written last", at->path);
}
