/* SPDX-License-Identifier: Apache-2.0 */
/* A server's certificates from files (server_identity.h). */
#include "net/server_identity.h"

#define CHAIN_MAX 16

void
server_identity_clear(struct server_identity *id)
{
	certs_clear(&id->chain);
	certs_clear(&id->rsa_chain);
	key_free(id->key);
	key_free(id->rsa_key);
}

static int
load_pair(struct certs *chain, struct key **key, const char *cert_path, const char *key_path, struct err *err)
{
	if (certs_load(chain, cert_path, CHAIN_MAX, err) < 0)
		return -1;
	*key = key_load(key_path, err);
	if (!*key)
		return -1;
	if (!cert_matches_key(chain->item[0], *key))
		return err_set(err, ERR_INVALID, "the key %s is not that of the certificate %s", key_path, cert_path);
	return 0;
}

int
server_identity_load(struct server_identity *id, const struct server_identity_paths *paths, struct err *err)
{
	*id = (struct server_identity){ 0 };
	if (load_pair(&id->chain, &id->key, paths->cert, paths->key, err) < 0)
		return -1;
	return paths->rsa_cert ? load_pair(&id->rsa_chain, &id->rsa_key, paths->rsa_cert, paths->rsa_key, err) : 0;
}

struct tls_server *
server_identity_tls(const struct server_identity *id, const char *session_scope, struct tls_cache *cache, struct err *err)
{
	struct tls_server_config config = {
		.chain = &id->chain,
		.key = id->key,
		.rsa_chain = id->rsa_key ? &id->rsa_chain : NULL,
		.rsa_key = id->rsa_key,
		.ask_client_cert = true,
		.session_scope = session_scope,
		.cache = cache,
	};

	return tls_server_new(&config, err);
}
