/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11 modules: loading, starting again, and which token is meant. */
#include <dlfcn.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "keys/pkcs11_module.h"

#define RESTART_PAUSE_MS 1000 /* one token that stays away must not keep the others from working */
#define SLOTS_MAX 64

/* -- What a module answers ------------------------------------------------------------------------------------------------------------- */

struct rv_row {
	CK_RV rv;
	enum err_kind kind;
	const char *name;
};

#define GONE(rv)                                                                                                                   \
	{                                                                                                                          \
		rv, ERR_UNAVAILABLE, #rv                                                                                           \
	}
#define NO(rv)                                                                                                                     \
	{                                                                                                                          \
		rv, ERR_BROKEN, #rv                                                                                                \
	}

static const struct rv_row rv_rows[] = {
	GONE(CKR_GENERAL_ERROR),
	GONE(CKR_FUNCTION_FAILED),
	GONE(CKR_DEVICE_ERROR),
	GONE(CKR_DEVICE_MEMORY),
	GONE(CKR_DEVICE_REMOVED),
	GONE(CKR_TOKEN_NOT_PRESENT),
	GONE(CKR_TOKEN_NOT_RECOGNIZED),
	GONE(CKR_SLOT_ID_INVALID),
	GONE(CKR_SESSION_CLOSED),
	GONE(CKR_SESSION_HANDLE_INVALID),
	GONE(CKR_OBJECT_HANDLE_INVALID),
	GONE(CKR_KEY_HANDLE_INVALID),
	GONE(CKR_USER_NOT_LOGGED_IN),
	GONE(CKR_CRYPTOKI_NOT_INITIALIZED),
	GONE(CKR_OPERATION_NOT_INITIALIZED),
	NO(CKR_PIN_INCORRECT),
	NO(CKR_PIN_INVALID),
	NO(CKR_PIN_LEN_RANGE),
	NO(CKR_PIN_LOCKED),
	NO(CKR_PIN_EXPIRED),
	NO(CKR_USER_PIN_NOT_INITIALIZED),
	NO(CKR_SESSION_COUNT),
	NO(CKR_SESSION_READ_ONLY),
	NO(CKR_TOKEN_WRITE_PROTECTED),
	NO(CKR_MECHANISM_INVALID),
	NO(CKR_MECHANISM_PARAM_INVALID),
	NO(CKR_FUNCTION_NOT_SUPPORTED),
	NO(CKR_KEY_FUNCTION_NOT_PERMITTED),
	NO(CKR_KEY_TYPE_INCONSISTENT),
	NO(CKR_KEY_SIZE_RANGE),
	NO(CKR_ATTRIBUTE_READ_ONLY),
	NO(CKR_ATTRIBUTE_TYPE_INVALID),
	NO(CKR_ATTRIBUTE_VALUE_INVALID),
	NO(CKR_TEMPLATE_INCONSISTENT),
	NO(CKR_TEMPLATE_INCOMPLETE),
	NO(CKR_DATA_LEN_RANGE),
	NO(CKR_DATA_INVALID),
	NO(CKR_HOST_MEMORY),
	NO(CKR_ARGUMENTS_BAD),
	NO(CKR_CANT_LOCK),
	NO(CKR_NEED_TO_CREATE_THREADS),
};

bool
pkcs11_module_lost_object(CK_RV rv)
{
	return rv == CKR_OBJECT_HANDLE_INVALID || rv == CKR_KEY_HANDLE_INVALID;
}

int
pkcs11_module_fail(struct err *err, CK_RV rv, const char *doing)
{
	for (size_t i = 0; i < COUNT(rv_rows); i++)
		if (rv_rows[i].rv == rv)
			return err_set(err, rv_rows[i].kind, "%s: the module says %s", doing, rv_rows[i].name);
	return err_set(err, ERR_BROKEN, "%s: the module says 0x%lx", doing, rv);
}

/* -- Loading and starting -------------------------------------------------------------------------------------------------------------- */

struct pkcs11_module *
pkcs11_module_open(const char *path, struct err *err)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	CK_RV (*get)(CK_FUNCTION_LIST * *list) = NULL;
	CK_FUNCTION_LIST *f = NULL;
	struct pkcs11_module *m;

	if (!library)
		return err_null(err, ERR_BROKEN, "the PKCS #11 module can't be loaded: %s", dlerror());
	*(void **)&get = dlsym(library, "C_GetFunctionList");
	if (!get || get(&f) != CKR_OK || !f) {
		dlclose(library);
		return err_null(err, ERR_BROKEN, "%s is no PKCS #11 module", path);
	}
	m = NEW(pkcs11_module);
	m->path = mem_text(path);
	m->library = library;
	m->f = f;
	m->generation = 1;
	pthread_mutex_init(&m->lock, NULL);
	return m;
}

void
pkcs11_module_close(struct pkcs11_module *m)
{
	if (!m)
		return;
	if (m->initialised)
		m->f->C_Finalize(NULL);
	dlclose(m->library);
	pthread_mutex_destroy(&m->lock);
	mem_free(m->path);
	mem_free(m);
}

int
pkcs11_module_start(struct pkcs11_module *m, struct err *err)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	CK_RV rv;

	if (m->initialised)
		return 0;
	rv = m->f->C_Initialize(&args);
	if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
		return pkcs11_module_fail(err, rv, "starting the PKCS #11 module");
	m->initialised = true;
	return 0;
}

bool
pkcs11_module_restart(struct pkcs11_module *m)
{
	int64_t now = clock_boot_ms();

	if (m->restarted_ms != 0 && now - m->restarted_ms < RESTART_PAUSE_MS)
		return false;
	m->restarted_ms = now;
	if (m->initialised)
		m->f->C_Finalize(NULL);
	m->initialised = false;
	m->generation++;
	return true;
}

/* -- Which token ------------------------------------------------------------------------------------------------------------------------ */

/* The fields of these structures are padded with blanks. */
static bool
field_is(const char *wanted, const CK_UTF8CHAR *field, size_t size)
{
	size_t len = size;

	while (len > 0 && field[len - 1] == ' ')
		len--;
	return !wanted || slice_is((struct slice){ .text = (const char *)field, .len = len }, wanted);
}

static bool
version_is(const char *wanted, CK_VERSION version)
{
	OWN_TEXT full = mem_textf("%d.%d", version.major, version.minor);
	OWN_TEXT major = mem_textf("%d", version.major);

	return !wanted || text_is(wanted, full) || (version.minor == 0 && text_is(wanted, major));
}

static bool
library_is(const struct pkcs11_module *m, const struct pkcs11_uri *uri)
{
	CK_INFO info;

	if (!uri->text[PKCS11_LIBRARY_MANUFACTURER] && !uri->text[PKCS11_LIBRARY_DESCRIPTION] && !uri->text[PKCS11_LIBRARY_VERSION])
		return true;
	return m->f->C_GetInfo(&info) == CKR_OK &&
	       field_is(uri->text[PKCS11_LIBRARY_MANUFACTURER], info.manufacturerID, sizeof(info.manufacturerID)) &&
	       field_is(uri->text[PKCS11_LIBRARY_DESCRIPTION], info.libraryDescription, sizeof(info.libraryDescription)) &&
	       version_is(uri->text[PKCS11_LIBRARY_VERSION], info.libraryVersion);
}

static bool
slot_is(const struct pkcs11_module *m, const struct pkcs11_uri *uri, CK_SLOT_ID slot)
{
	CK_SLOT_INFO info;

	if (uri->text[PKCS11_SLOT_ID] && uri->slot_id != slot)
		return false;
	if (!uri->text[PKCS11_SLOT_DESCRIPTION] && !uri->text[PKCS11_SLOT_MANUFACTURER])
		return true;
	return m->f->C_GetSlotInfo(slot, &info) == CKR_OK &&
	       field_is(uri->text[PKCS11_SLOT_DESCRIPTION], info.slotDescription, sizeof(info.slotDescription)) &&
	       field_is(uri->text[PKCS11_SLOT_MANUFACTURER], info.manufacturerID, sizeof(info.manufacturerID));
}

static bool
token_is(const struct pkcs11_module *m, const struct pkcs11_uri *uri, CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	return m->f->C_GetTokenInfo(slot, info) == CKR_OK && (info->flags & CKF_TOKEN_INITIALIZED) &&
	       field_is(uri->text[PKCS11_TOKEN], info->label, sizeof(info->label)) &&
	       field_is(uri->text[PKCS11_MANUFACTURER], info->manufacturerID, sizeof(info->manufacturerID)) &&
	       field_is(uri->text[PKCS11_SERIAL], info->serialNumber, sizeof(info->serialNumber)) &&
	       field_is(uri->text[PKCS11_MODEL], info->model, sizeof(info->model));
}

int
pkcs11_module_find_token(
	struct pkcs11_module *m, const struct pkcs11_uri *uri, CK_SLOT_ID *slot, CK_TOKEN_INFO *info, struct err *err)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG n = SLOTS_MAX;
	CK_RV rv = m->f->C_GetSlotList(CK_TRUE, slots, &n);
	size_t n_found = 0;

	if (rv != CKR_OK)
		return pkcs11_module_fail(err, rv, "listing the tokens");
	for (CK_ULONG i = 0; i < n && library_is(m, uri); i++) {
		CK_TOKEN_INFO one;

		if (!slot_is(m, uri, slots[i]) || !token_is(m, uri, slots[i], &one))
			continue;
		*slot = slots[i];
		*info = one;
		n_found++;
	}
	if (n_found == 0)
		return err_set(err, ERR_UNAVAILABLE, "the token is not there (%lu slots with a token)", n);
	return n_found == 1 ? 0 : err_set(err, ERR_INVALID, "%zu tokens match; say more of the one that is meant", n_found);
}
