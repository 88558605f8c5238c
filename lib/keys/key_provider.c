/* SPDX-License-Identifier: Apache-2.0 */
/* An OpenSSL 3 provider whose keys have only their public half here.
 *
 * Key management: a key is an ordinary public EVP_PKEY of the default provider plus the remote operation; every question about it is passed on to
 * that EVP_PKEY.  Signatures (remote_signature.c): the digest is made here, the padding of RSA too, and the private operation is one call of
 * key_remote_ops.  libssl, X509_REQ_sign and EVP_DigestSign work with such a key as with any other.
 *
 * The provider's algorithms have the usual names ("EC", "RSA"), because libssl tells certificate types by them.  It is loaded after the default
 * provider, and keys are made with the property "provider=rootedge", so nothing else ever lands here. */
#include <pthread.h>
#include <stdatomic.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>

#include "base/mem.h"
#include "base/text.h"
#include "keys/key_provider.h"
#include "keys/remote_key.h"

#define PROPERTY "provider=rootedge"
#define PARAM_KEY "rootedge-key" /* the address of a struct remote_key */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static OSSL_PROVIDER *usual, *ours; /* loaded for as long as the process lives */

struct remote_key *
remote_key_ref(struct remote_key *key)
{
	key->n_refs++;
	return key;
}

void
remote_key_free(struct remote_key *key)
{
	if (!key || --key->n_refs > 0)
		return;
	if (key->ops)
		key->ops->release(key->arg);
	EVP_PKEY_free(key->public_half);
	mem_free(key);
}

/* -- Key management: a handle that is filled by import and then points to the shared key --------------------------------------- */

static void *
manage_new(void *provider)
{
	struct remote_key **handle = mem_new(sizeof(*handle));

	(void)provider;
	return handle;
}

static void
manage_free(void *data)
{
	struct remote_key **handle = data;

	if (handle)
		remote_key_free(*handle);
	mem_free(handle);
}

static int
manage_import(void *data, int selection, const OSSL_PARAM params[])
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, PARAM_KEY);
	struct remote_key **handle = data;
	uint64_t address;

	(void)selection;
	if (!p || *handle || !OSSL_PARAM_get_uint64(p, &address))
		return 0;
	*handle = remote_key_ref((struct remote_key *)(uintptr_t)address);
	return 1;
}

static const OSSL_PARAM *
manage_import_types(int selection)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_DEFN(PARAM_KEY, OSSL_PARAM_UNSIGNED_INTEGER, NULL, 0), OSSL_PARAM_END };

	(void)selection;
	return types;
}

static int
manage_has(const void *data, int selection)
{
	struct remote_key *const *handle = data;

	(void)selection; /* a remote key can do all that a private one can */
	return handle && *handle;
}

static int
manage_match(const void *a, const void *b, int selection)
{
	struct remote_key *const *x = a, *const *y = b;

	(void)selection;
	return EVP_PKEY_eq((*x)->public_half, (*y)->public_half) == 1;
}

static int
manage_export(void *data, int selection, OSSL_CALLBACK *give, void *arg)
{
	struct remote_key **handle = data;
	OSSL_PARAM *params = NULL;
	int ok;

	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
		return 0;
	if (EVP_PKEY_todata((*handle)->public_half, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return 0;
	ok = give(params, arg);
	OSSL_PARAM_free(params);
	return ok;
}

static const OSSL_PARAM *
manage_export_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_DEFN(OSSL_PKEY_PARAM_GROUP_NAME, OSSL_PARAM_UTF8_STRING, NULL, 0),
		OSSL_PARAM_DEFN(OSSL_PKEY_PARAM_PUB_KEY, OSSL_PARAM_OCTET_STRING, NULL, 0),
		OSSL_PARAM_DEFN(OSSL_PKEY_PARAM_RSA_N, OSSL_PARAM_UNSIGNED_INTEGER, NULL, 0),
		OSSL_PARAM_DEFN(OSSL_PKEY_PARAM_RSA_E, OSSL_PARAM_UNSIGNED_INTEGER, NULL, 0),
		OSSL_PARAM_END,
	};

	return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : types;
}

static int
manage_get_params(void *data, OSSL_PARAM params[])
{
	struct remote_key **handle = data;

	return EVP_PKEY_get_params((*handle)->public_half, params);
}

static const OSSL_PARAM *
manage_gettable(void *provider)
{
	static const OSSL_PARAM gettable[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_DEFN(OSSL_PKEY_PARAM_RSA_N, OSSL_PARAM_UNSIGNED_INTEGER, NULL, 0),
		OSSL_PARAM_DEFN(OSSL_PKEY_PARAM_RSA_E, OSSL_PARAM_UNSIGNED_INTEGER, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)provider;
	return gettable;
}

static const char *
manage_ec_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define MANAGE_COMMON                                                                                                              \
	{ OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))manage_new }, { OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))manage_free },            \
		{ OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))manage_import },                                                       \
		{ OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))manage_import_types },                                           \
		{ OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))manage_has }, { OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))manage_match },  \
		{ OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))manage_export },                                                       \
		{ OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))manage_export_types },                                           \
		{ OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))manage_get_params },                                               \
	{                                                                                                                          \
		OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))manage_gettable                                                 \
	}

static const OSSL_DISPATCH manage_ec[] = { MANAGE_COMMON,
	{ OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (void (*)(void))manage_ec_operation }, { 0, NULL } };
static const OSSL_DISPATCH manage_rsa[] = { MANAGE_COMMON, { 0, NULL } };
static const OSSL_DISPATCH manage_ed25519[] = { MANAGE_COMMON, { 0, NULL } };

static const OSSL_ALGORITHM keys_offered[] = {
	{ "EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTY, manage_ec, NULL },
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTY, manage_rsa, NULL },
	{ "ED25519:1.3.101.112", PROPERTY, manage_ed25519, NULL },
	{ NULL, NULL, NULL, NULL },
};
static const OSSL_ALGORITHM signatures_offered[] = {
	{ "ECDSA", PROPERTY, remote_signature, NULL },
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTY, remote_signature, NULL },
	{ "ED25519:1.3.101.112", PROPERTY, remote_eddsa, NULL },
	{ NULL, NULL, NULL, NULL },
};

static const OSSL_ALGORITHM *
query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT ? keys_offered : operation == OSSL_OP_SIGNATURE ? signatures_offered : NULL;
}

static const OSSL_DISPATCH provider_functions[] = {
	{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
	{ 0, NULL },
};

static int
provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider)
{
	(void)in;
	*provider = (void *)(uintptr_t)core; /* it has no state, and must not be NULL */
	*out = provider_functions;
	return 1;
}

/* libcrypto does not give its providers up itself while somebody holds them. */
static void
unload(void)
{
	OSSL_PROVIDER_unload(ours);
	OSSL_PROVIDER_unload(usual);
}

static void
load(void)
{
	usual = OSSL_PROVIDER_load(NULL, "default"); /* by name, because loading any provider turns off the automatic one */
	if (usual && OSSL_PROVIDER_add_builtin(NULL, "rootedge", provider_init) == 1)
		ours = OSSL_PROVIDER_load(NULL, "rootedge");
	OPENSSL_atexit(unload);
}

static EVP_PKEY *
import(struct remote_key *key, const char *type)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, PROPERTY);
	uint64_t address = (uintptr_t)key;
	OSSL_PARAM params[] = { OSSL_PARAM_construct_uint64(PARAM_KEY, &address), OSSL_PARAM_END };
	EVP_PKEY *pkey = NULL;

	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* A copy of the public half alone. */
static EVP_PKEY *
public_copy(const EVP_PKEY *pkey, const char *type)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *copy = NULL;

	if (!ctx || EVP_PKEY_todata(pkey, EVP_PKEY_PUBLIC_KEY, &params) != 1 || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &copy, EVP_PKEY_PUBLIC_KEY, params) != 1)
		copy = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return copy;
}

static const char *
type_of(const EVP_PKEY *pkey)
{
	static const char *const types[] = { "EC", "RSA", "ED25519" };

	for (size_t i = 0; i < COUNT(types); i++)
		if (EVP_PKEY_is_a(pkey, types[i]))
			return types[i];
	return NULL;
}

EVP_PKEY *
key_provider_pkey(const EVP_PKEY *public_pkey, const struct key_remote_ops *ops, void *arg, struct err *err)
{
	const char *type = type_of(public_pkey);
	struct remote_key *key = NEW(remote_key);
	EVP_PKEY *pkey = NULL;

	pthread_once(&once, load);
	key->n_refs = 1;
	key->ops = ops;
	key->arg = arg;
	key->is_rsa = text_is(type, "RSA");
	key->is_eddsa = text_is(type, "ED25519");
	key->public_half = type ? public_copy(public_pkey, type) : NULL;
	if (ours && key->public_half)
		pkey = import(key, type);
	remote_key_free(key);
	if (!pkey) {
		ERR_clear_error();
		return err_null(err, ERR_BROKEN, "OpenSSL takes no remote key of this kind (%s)",
			type ? type : "none of EC, RSA and Ed25519");
	}
	return pkey;
}
