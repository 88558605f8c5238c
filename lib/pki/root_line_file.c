/* SPDX-License-Identifier: Apache-2.0 */
/* A line of roots as a file: {"version": 1, "steps": [{"root": PEM, "cross": PEM, "after": HEX}, ...], "retired": [HEX, ...]} (root_line.h). */
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "pki/root_line.h"
#include "wire/codec.h"
#include "wire/json.h"

#define VERSION 1
#define FILE_MAX (1024 * 1024)
#define TOLD_MAX 16

/* -- Reading ------------------------------------------------------------------------------------------------------------------------ */

static bool
take_sha256(uint8_t out[static DIGEST_SHA256_LEN], const json_t *text)
{
	const char *hex = json_string_value(text);

	return hex && hex_decode(out, DIGEST_SHA256_LEN, hex, strlen(hex));
}

static struct cert *
take_cert(const json_t *object, const char *key, struct err *err)
{
	CLEAR(certs) one = { 0 };
	const char *pem;

	if (json_get_text(object, key, &pem, err) < 0 || certs_parse(&one, pem, strlen(pem), 1, err) < 0)
		return NULL;
	return cert_ref(one.item[0]);
}

static int
take_step(struct root_line *line, const json_t *json, struct err *err)
{
	struct root_step *step = &line->step[line->n];

	if (line->n == ROOT_LINE_MAX)
		return err_set(err, ERR_LIMIT, "more than %d roots", ROOT_LINE_MAX);
	line->n++;
	step->root = take_cert(json, "root", err);
	step->cross = step->root ? take_cert(json, "cross", err) : NULL;
	if (!step->cross)
		return -1;
	if (!take_sha256(step->after, json_object_get(json, "after")))
		return err_set(err, ERR_INVALID, "after: the SHA-256 fingerprint of a root, in hex, was expected");
	return 0;
}

static int
take_retired(struct root_line *line, const json_t *text, struct err *err)
{
	if (line->n_retired == ROOT_LINE_MAX || !take_sha256(line->retired[line->n_retired], text))
		return err_set(err, ERR_INVALID, "retired: at most %d SHA-256 fingerprints, in hex, were expected", ROOT_LINE_MAX);
	line->n_retired++;
	return 0;
}

static int
take(struct root_line *line, const json_t *json, struct err *err)
{
	json_t *steps = NULL, *retired = NULL, *item;
	int64_t version = 0;
	size_t i;

	if (json_find_int(json, "version", &version, err) < 0 || json_find_array(json, "steps", &steps, err) < 0 ||
		json_find_array(json, "retired", &retired, err) < 0)
		return -1;
	if (version != VERSION)
		return err_set(err, ERR_INVALID, "it is of version %lld, and this program knows %d", (long long)version, VERSION);
	json_array_foreach(steps, i, item)
		if (take_step(line, item, err) < 0)
			return -1;
	json_array_foreach(retired, i, item)
		if (take_retired(line, item, err) < 0)
			return -1;
	return 0;
}

int
root_line_parse(struct root_line *out, const char *text, size_t len, struct err *err)
{
	OWN_LIB(json_t) json = json_parse(text, len, err);

	*out = (struct root_line){ 0 };
	if (json && take(out, json, err) == 0)
		return 0;
	root_line_clear(out);
	return -1;
}

int
root_line_load(struct root_line *out, const char *path, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(FILE_MAX);

	*out = (struct root_line){ 0 };
	if (file_load(&text, path, err) < 0)
		return -1;
	return root_line_parse(out, buf_text(&text), text.len, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

int
root_line_load_roots(struct certs *out, const char *roots_path, const char *line_path, size_t max, struct err *err)
{
	CLEAR(root_line) line = { 0 };
	CLEAR(certs) given = { 0 };

	if (certs_load(&given, roots_path, max, err) < 0)
		return -1;
	if (line_path && file_exists(line_path) && root_line_load(&line, line_path, err) < 0)
		return -1;
	root_line_apply(&line, &given, out);
	return 0;
}

/* -- Writing ------------------------------------------------------------------------------------------------------------------------ */

static json_t *
hex_json(const uint8_t sha256[static DIGEST_SHA256_LEN])
{
	CLEAR(buf) hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);

	hex_encode(&hex, sha256, DIGEST_SHA256_LEN, true);
	return json_string(buf_text(&hex));
}

static json_t *
line_json(const struct root_line *line)
{
	json_t *steps = json_array(), *retired = json_array();

	for (size_t i = 0; i < line->n; i++) {
		OWN_TEXT root = cert_pem(line->step[i].root);
		OWN_TEXT cross = cert_pem(line->step[i].cross);

		json_array_append_new(
			steps, json_pack("{s:s, s:s, s:o}", "root", root, "cross", cross, "after", hex_json(line->step[i].after)));
	}
	for (size_t i = 0; i < line->n_retired; i++)
		json_array_append_new(retired, hex_json(line->retired[i]));
	return json_pack("{s:i, s:o, s:o}", "version", VERSION, "steps", steps, "retired", retired);
}

int
root_line_save(const struct root_line *line, const char *path, struct err *err)
{
	OWN_LIB(json_t) json = line_json(line);
	OWN_TEXT text = json_line(json);

	return file_save(path, text, strlen(text), 0644, err);
}

/* -- What is held, as a twin has it -------------------------------------------------------------------------------------------------- */

json_t *
root_line_tell(const struct certs *roots)
{
	json_t *list = json_array();

	for (size_t i = 0; i < roots->n && roots->n <= TOLD_MAX; i++) {
		CLEAR(buf) hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);

		hex_encode(&hex, cert_sha256(roots->item[i]), DIGEST_SHA256_LEN, true);
		json_array_append_new(list, json_string(buf_text(&hex)));
	}
	return json_pack("{s:{s:o}}", "trust", "roots", list);
}
