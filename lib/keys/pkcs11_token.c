/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: sessions, and the few things that are done with any object. */
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "keys/pkcs11_token.h"

#define PIN_MAX 256

struct pkcs11_token *
pkcs11_token_new(struct pkcs11_module *module, const struct pkcs11_uri *uri)
{
	struct pkcs11_token *t = NEW(pkcs11_token);

	t->module = module;
	t->uri = pkcs11_uri_with_object(uri, NULL);
	return t;
}

void
pkcs11_token_free(struct pkcs11_token *t)
{
	if (!t)
		return;
	if (t->is_open && t->module->initialised && t->generation == t->module->generation)
		t->module->f->C_CloseSession(t->session);
	pkcs11_uri_free(t->uri);
	mem_free(t);
}

/* -- The PIN ----------------------------------------------------------------------------------------------------------------------------- */

static int
load_pin(const char *path, struct buf *pin, struct err *err)
{
	if (!path)
		return err_set(err, ERR_INVALID, "pin-source is a file with its whole path");
	if (file_load(pin, path, err) < 0) {
		err->kind = ERR_BROKEN; /* whatever is wrong with the file, the key is not missing */
		return err_wrap(err, "pin-source");
	}
	buf_cut(pin, strcspn(buf_text(pin), "\r\n"));
	return 0;
}

/* Empty: none is configured. */
static int
find_pin(const struct pkcs11_token *t, struct buf *pin, struct err *err)
{
	if (t->uri->text[PKCS11_PIN_VALUE])
		buf_puts(pin, t->uri->text[PKCS11_PIN_VALUE]);
	return t->uri->text[PKCS11_PIN_SOURCE] ? load_pin(pkcs11_uri_pin_file(t->uri), pin, err) : 0;
}

static int
log_in_with(struct pkcs11_token *t, const CK_TOKEN_INFO *info, struct buf *pin, struct err *err)
{
	uint8_t digest[DIGEST_SHA256_LEN];
	CK_RV rv;

	digest_sha256(pin->data, pin->len, digest);
	if (t->refused && mem_equal_ct(digest, t->refused_pin, sizeof(digest)))
		return err_set(
			err, ERR_BROKEN, "the token has refused this PIN, and is not asked again with it, which would lock it");
	if (info->flags & CKF_USER_PIN_LOCKED)
		return err_set(err, ERR_BROKEN, "the token is locked after too many wrong PINs");
	if (info->flags & CKF_USER_PIN_FINAL_TRY)
		return err_set(err, ERR_BROKEN,
			"the token takes one more PIN before it locks itself; log in by hand with the right one first");
	rv = t->module->f->C_Login(t->session, CKU_USER, pin->data, pin->len);
	t->refused = rv == CKR_PIN_INCORRECT;
	memcpy(t->refused_pin, digest, sizeof(digest));
	if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
		return pkcs11_module_fail(err, rv, "logging in");
	return 0;
}

/* Without a PIN the token is used as a stranger may. */
static int
log_in(struct pkcs11_token *t, const CK_TOKEN_INFO *info, struct err *err)
{
	struct buf pin = BUF_INIT(PIN_MAX);
	int status = find_pin(t, &pin, err);

	if (status == 0 && pin.len > 0 && (info->flags & CKF_LOGIN_REQUIRED))
		status = log_in_with(t, info, &pin, err);
	buf_wipe(&pin);
	return status;
}

/* -- Sessions ----------------------------------------------------------------------------------------------------------------------------- */

static int
open_session(struct pkcs11_token *t, struct err *err)
{
	const CK_FUNCTION_LIST *f = t->module->f;
	CK_TOKEN_INFO info;
	CK_RV rv;

	if (pkcs11_module_start(t->module, err) < 0 || pkcs11_module_find_token(t->module, t->uri, &t->slot, &info, err) < 0)
		return -1;
	rv = f->C_OpenSession(t->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &t->session);
	if (rv == CKR_TOKEN_WRITE_PROTECTED)
		rv = f->C_OpenSession(t->slot, CKF_SERIAL_SESSION, NULL, NULL, &t->session);
	if (rv != CKR_OK)
		return pkcs11_module_fail(err, rv, "opening a session");
	if (log_in(t, &info, err) < 0) {
		f->C_CloseSession(t->session);
		return -1;
	}
	t->is_open = true;
	t->generation = t->module->generation;
	return 0;
}

static int
attempt(struct pkcs11_token *t, int (*step)(struct pkcs11_token *t, void *arg, struct err *err), void *arg, struct err *err)
{
	if ((!t->is_open || t->generation != t->module->generation) && open_session(t, err) < 0) {
		t->is_open = false;
		return -1;
	}
	return step(t, arg, err);
}

int
pkcs11_token_do(struct pkcs11_token *t, int (*step)(struct pkcs11_token *t, void *arg, struct err *err), void *arg, struct err *err)
{
	int status;

	pthread_mutex_lock(&t->module->lock);
	status = attempt(t, step, arg, err);
	if (status < 0 && err->kind == ERR_UNAVAILABLE && pkcs11_module_restart(t->module)) {
		*err = (struct err)ERR_INIT;
		status = attempt(t, step, arg, err);
	}
	pthread_mutex_unlock(&t->module->lock);
	if (status < 0) {
		OWN_TEXT name = pkcs11_uri_format(t->uri);

		err_wrap(err, "%.200s", name);
	}
	return status;
}

/* -- Objects ------------------------------------------------------------------------------------------------------------------------------ */

/* SoftHSM answers "none" to every search once its token was away, and only this question with an error. */
static int
check_alive(struct pkcs11_token *t, struct err *err)
{
	CK_TOKEN_INFO info;
	CK_RV rv = t->module->f->C_GetTokenInfo(t->slot, &info);

	if (rv == CKR_OK)
		return 0;
	pkcs11_module_fail(err, rv, "looking whether the token is there");
	err->kind = ERR_UNAVAILABLE;
	return -1;
}

int
pkcs11_token_find(struct pkcs11_token *t, CK_OBJECT_CLASS class, const char *label, const void *id, size_t id_len,
	CK_OBJECT_HANDLE found[static PKCS11_FOUND_MAX], struct err *err)
{
	const CK_FUNCTION_LIST *f = t->module->f;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE template[4] = { { CKA_CLASS, &class, sizeof(class) }, { CKA_TOKEN, &yes, sizeof(yes) } };
	CK_ULONG n = 2, n_found = 0;
	CK_RV rv;

	if (label)
		template[n++] = (CK_ATTRIBUTE){ CKA_LABEL, (void *)(uintptr_t)label, strlen(label) };
	if (id_len > 0)
		template[n++] = (CK_ATTRIBUTE){ CKA_ID, (void *)(uintptr_t)id, id_len };
	rv = f->C_FindObjectsInit(t->session, template, n);
	if (rv != CKR_OK)
		return pkcs11_module_fail(err, rv, "looking for a key");
	rv = f->C_FindObjects(t->session, found, PKCS11_FOUND_MAX, &n_found);
	f->C_FindObjectsFinal(t->session);
	if (rv != CKR_OK)
		return pkcs11_module_fail(err, rv, "looking for a key");
	if (n_found == 0 && check_alive(t, err) < 0)
		return -1;
	return (int)n_found;
}

int
pkcs11_token_attribute(
	struct pkcs11_token *t, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, uint8_t *out, size_t size, struct err *err)
{
	CK_ATTRIBUTE attribute = { type, out, size };
	CK_RV rv = t->module->f->C_GetAttributeValue(t->session, object, &attribute, 1);

	if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
		(rv == CKR_OK && attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION))
		return err_set(err, ERR_MISSING, "the object has no attribute 0x%lx", type);
	if (rv != CKR_OK)
		return pkcs11_module_fail(err, rv, "reading an attribute");
	return (int)attribute.ulValueLen;
}

int
pkcs11_token_destroy(struct pkcs11_token *t, CK_OBJECT_HANDLE object, struct err *err)
{
	CK_RV rv = t->module->f->C_DestroyObject(t->session, object);

	return rv == CKR_OK ? 0 : pkcs11_module_fail(err, rv, "deleting a key");
}

int
pkcs11_token_relabel(struct pkcs11_token *t, CK_OBJECT_HANDLE object, const char *label, struct err *err)
{
	CK_ATTRIBUTE attribute = { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) };
	CK_RV rv = t->module->f->C_SetAttributeValue(t->session, object, &attribute, 1);

	return rv == CKR_OK ? 0 : pkcs11_module_fail(err, rv, "giving a key another label");
}

bool
pkcs11_token_has(struct pkcs11_token *t, CK_MECHANISM_TYPE mechanism, CK_FLAGS uses, CK_ULONG size)
{
	CK_MECHANISM_INFO info;

	return t->module->f->C_GetMechanismInfo(t->slot, mechanism, &info) == CKR_OK && (info.flags & uses) == uses &&
	       (size == 0 || (info.ulMinKeySize <= size && size <= info.ulMaxKeySize));
}
