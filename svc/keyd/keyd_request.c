/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to keyd. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "keyd/keyd_request.h"
#include "wire/codec.h"
#include "wire/json.h"

struct keyd *
keyd_of(const struct endpoint_call *call)
{
	return ((struct keyd_door *)call->door)->keyd;
}

int
keyd_invalid(struct err *err, const char *parameter, const char *why)
{
	return err_set(err, ERR_INVALID, "parameter \"%s\" has an invalid value\ncaused by: %s", parameter, why);
}

int
keyd_failed(struct err *err)
{
	return err->kind == ERR_MISSING || err->kind == ERR_INVALID ? err_wrap(err, "a parameter has an invalid value\ncaused by")
								    : -1;
}

/* -- The caller ------------------------------------------------------------------------------------------------------------------------- */

/* With the principals as they are now; keyd_done gives them back. */
static struct key_caller
caller_of(const struct endpoint_call *call)
{
	const struct keyd_door *door = call->door;

	pthread_rwlock_rdlock(&door->keyd->principals_lock);
	return (struct key_caller){
		.principals = &door->keyd->principals,
		.bound = door->principal,
		.uid = call->has_process ? call->process.uid : 0,
		.is_known = call->has_process,
	};
}

static void
caller_done(const struct endpoint_call *call)
{
	pthread_rwlock_unlock(&keyd_of(call)->principals_lock);
}

static int
refuse(const struct endpoint_call *call, const char *id, struct err *err)
{
	log_warn("CALLER_NOT_ALLOWED: user %u (process %d) asks for the key %s", call->process.uid, call->process.pid, id);
	return err_set(err, ERR_DENIED, "user %u is not authorized to access the key %.200s", call->process.uid, id);
}

int
keyd_authorize(const struct endpoint_call *call, const char *id, struct err *err)
{
	struct key_caller caller = caller_of(call);
	bool may = key_caller_may(&caller, id);

	caller_done(call);
	return may ? 0 : refuse(call, id, err);
}

static int
authorize_handle(const struct endpoint_call *call, const struct key_handle *handle, enum key_access access, struct err *err)
{
	struct key_caller caller = caller_of(call);
	bool may = key_caller_may_with(&caller, handle, access);

	caller_done(call);
	return may ? 0 : refuse(call, handle->id, err);
}

static char *
maker_name(const struct endpoint_call *call, const char *id)
{
	struct key_caller caller = caller_of(call);
	const char *name = key_caller_name(&caller, id);
	char *copy = name ? mem_text(name) : NULL;

	caller_done(call);
	return copy;
}

/* -- The body ---------------------------------------------------------------------------------------------------------------------------- */

int
keyd_need_body(const struct endpoint_call *call, struct err *err)
{
	return call->body ? 0 : err_set(err, ERR_INVALID, "missing request body");
}

int
keyd_get_bytes(const json_t *object, const char *name, struct buf *out, struct err *err)
{
	const char *text;

	if (json_get_text(object, name, &text, err) < 0)
		return -422;
	if (base64_decode(out, text, strlen(text), BASE64_STRICT))
		return 0;
	(void)err_set(err, ERR_INVALID, "%s is not base64, or too long", name);
	return -422;
}

json_t *
keyd_bytes_answer(const char *name, const void *data, size_t len)
{
	struct buf text = BUF_INIT(KEYD_BYTES_MAX * 2);
	json_t *json;

	base64_encode(&text, data, len);
	json = json_pack("{s:s}", name, buf_text(&text));
	buf_wipe(&text);
	return json;
}

/* -- Handles ----------------------------------------------------------------------------------------------------------------------------- */

struct key_handle *
keyd_get_handle(const struct endpoint_call *call, const char *member, enum key_access access, struct err *err)
{
	const char *text;
	OWN(key_handle) handle = NULL;

	if (keyd_need_body(call, err) < 0 || json_get_text(call->body, member, &text, err) < 0)
		return NULL;
	handle = key_handle_parse(text, &keyd_of(call)->validation_key, err);
	if (!handle) {
		(void)keyd_invalid(err, "handle", "invalid handle");
		return NULL;
	}
	return authorize_handle(call, handle, access, err) < 0 ? NULL : GIVE(handle);
}

static int
answer_handle(const struct endpoint_call *call, struct key_handle *handle, json_t **answer)
{
	OWN_TEXT text = NULL;

	handle->maker = maker_name(call, handle->id);
	text = key_handle_format(handle, &keyd_of(call)->validation_key);
	mem_free(handle->maker);
	*answer = json_pack("{s:s}", "keyHandle", text);
	return 200;
}

int
keyd_answer_handle(const struct endpoint_call *call, enum key_handle_kind kind, const char *id, json_t **answer)
{
	struct key_handle handle = { .kind = kind, .id = (char *)(uintptr_t)id };

	return answer_handle(call, &handle, answer);
}

int
keyd_answer_derived(const struct endpoint_call *call, struct key_handle *derived, json_t **answer)
{
	derived->kind = KEY_HANDLE_DERIVED;
	return answer_handle(call, derived, answer);
}
