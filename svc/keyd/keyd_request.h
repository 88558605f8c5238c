/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the handlers of keyd's endpoints have in common: who calls, what is in the body, and how it is said that it doesn't do.  A failure that the original has when it reads JSON is the status -422,
 * any other -1 with err (endpoint.h). */

#include "base/buf.h"
#include "keyd/key_access.h"
#include "keyd/keyd.h"

#define KEYD_BYTES_MAX (1024 * 1024)

struct keyd *keyd_of(const struct endpoint_call *call);

int keyd_need_body(const struct endpoint_call *call, struct err *err);
int keyd_get_bytes(const json_t *object, const char *name, struct buf *out, struct err *err);
json_t *keyd_bytes_answer(const char *name, const void *data, size_t len);

/* 401 when the caller may not. */
int keyd_authorize(const struct endpoint_call *call, const char *id, struct err *err);
struct key_handle *keyd_get_handle(const struct endpoint_call *call, const char *member, enum key_access access, struct err *err);
/* Of an id that the caller may use; 200. */
int keyd_answer_handle(const struct endpoint_call *call, enum key_handle_kind kind, const char *id, json_t **answer);
/* A handle that was derived from `base`, whose maker it has. */
int keyd_answer_derived(const struct endpoint_call *call, struct key_handle *derived, json_t **answer);

/* A parameter's value, or the failure of the store, in the original's words; -1. */
int keyd_invalid(struct err *err, const char *parameter, const char *why);
int keyd_failed(struct err *err);
