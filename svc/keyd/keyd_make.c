/* SPDX-License-Identifier: Apache-2.0 */
/* Making, finding, moving and deleting keys (edge-services 1.1). */
#include <string.h>

#include "base/text.h"
#include "keyd/keyd_endpoints.h"
#include "keyd/keyd_request.h"
#include "keys/symmetric_key.h"
#include "wire/json.h"

/* What the key is for, as enum key_store_usage; -1 with err. */
static int
get_usage(const json_t *body, struct err *err)
{
	const char *usage;
	struct slice rest, word;
	bool more = true;
	int found = 0;

	if (json_get_text(body, "usage", &usage, err) < 0)
		return -1;
	for (rest = slice_of(usage); more;) {
		more = slice_cut(&rest, ',', &word);
		if (slice_is(word, "derive") || slice_is(word, "sign"))
			found |= KEY_STORE_SIGN;
		else if (slice_is(word, "encrypt"))
			found |= KEY_STORE_ENCRYPT;
		else
			return err_set(err, ERR_INVALID, "usage is a list of derive, sign and encrypt");
	}
	return found;
}

static int
import_key(const struct endpoint_call *call, const char *id, int usage, struct err *err)
{
	struct buf bytes = BUF_INIT(SECRET_MAX);
	int status = keyd_get_bytes(call->body, "keyBytes", &bytes, err);

	if (status == 0 && key_store_import_symmetric(keyd_of(call)->store, id, usage, bytes.data, bytes.len, err) < 0)
		status = keyd_failed(err);
	buf_wipe(&bytes);
	return status;
}

static int
make_key(const struct endpoint_call *call, const char *id, int usage, struct err *err)
{
	OWN(symmetric_key) key = key_store_create_symmetric(keyd_of(call)->store, id, usage, err);

	return key ? 0 : keyd_failed(err);
}

int
keyd_create_key(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const char *id, *bytes;
	int usage, status;

	if (keyd_need_body(call, err) < 0 || json_get_text(call->body, "keyId", &id, err) < 0)
		return -1;
	usage = get_usage(call->body, err);
	if (usage < 0)
		return -422;
	if (json_find_text(call->body, "keyBytes", &bytes, err) < 0 || keyd_authorize(call, id, err) < 0)
		return -1;
	status = bytes ? import_key(call, id, usage, err) : make_key(call, id, usage, err);
	return status < 0 ? status : keyd_answer_handle(call, KEY_HANDLE_KEY, id, answer);
}

int
keyd_load_key(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const char *id = call->var[0];
	OWN(symmetric_key) key = NULL;

	if (keyd_authorize(call, id, err) < 0)
		return -1;
	key = key_store_load_symmetric(keyd_of(call)->store, id, err);
	return key ? keyd_answer_handle(call, KEY_HANDLE_KEY, id, answer) : keyd_failed(err);
}

int
keyd_create_pair(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const char *id, *algorithms;
	OWN(key) key = NULL;

	if (keyd_need_body(call, err) < 0 || json_get_text(call->body, "keyId", &id, err) < 0 ||
		json_find_text(call->body, "preferredAlgorithms", &algorithms, err) < 0 || keyd_authorize(call, id, err) < 0)
		return -1;
	key = key_store_create_pair(keyd_of(call)->store, id, algorithms ? algorithms : "", err);
	return key ? keyd_answer_handle(call, KEY_HANDLE_PAIR, id, answer) : keyd_failed(err);
}

int
keyd_load_pair(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const char *id = call->var[0];
	OWN(key) key = NULL;

	if (keyd_authorize(call, id, err) < 0)
		return -1;
	key = key_store_load_pair(keyd_of(call)->store, id, err);
	return key ? keyd_answer_handle(call, KEY_HANDLE_PAIR, id, answer) : keyd_failed(err);
}

static int
delete_any(const struct endpoint_call *call, enum key_handle_kind kind,
	int (*delete)(struct key_store *, const char *, struct err *), struct err *err)
{
	OWN(key_handle) handle = keyd_get_handle(call, "keyHandle", KEY_OWN, err);

	if (!handle)
		return -1;
	if (handle->kind != kind)
		return keyd_invalid(
			err, "handle", kind == KEY_HANDLE_PAIR ? "handle is not for a key pair" : "handle is not for a key");
	return delete (keyd_of(call)->store, handle->id, err) < 0 ? keyd_failed(err) : 204;
}

int
keyd_delete_key(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	(void)answer;
	return delete_any(call, KEY_HANDLE_KEY, key_store_delete_symmetric, err);
}

int
keyd_delete_pair(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	(void)answer;
	return delete_any(call, KEY_HANDLE_PAIR, key_store_delete_pair, err);
}

static int
get_move(const struct endpoint_call *call, const char **from, struct err *err)
{
	if (keyd_need_body(call, err) < 0 || json_get_text(call->body, "from", from, err) < 0)
		return -1;
	return text_is(*from, call->var[0]) ? err_set(err, ERR_INVALID, "source and destination for move are identical") : 0;
}

int
keyd_move_pair(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const char *from, *to = call->var[0];

	(void)answer;
	if (get_move(call, &from, err) < 0 || keyd_authorize(call, from, err) < 0 || keyd_authorize(call, to, err) < 0)
		return -1;
	return key_store_move_pair(keyd_of(call)->store, from, to, err) < 0 ? keyd_failed(err) : 204;
}

int
keyd_move_key(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const char *from;

	(void)answer;
	return get_move(call, &from, err) < 0 ? -1 : err_set(err, ERR_INVALID, "invalid type \"key\"");
}
