/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's certificates (hub_tls.h): both ports get what the files say, or neither does. */
#include "hub/hub_tls.h"

#include "keys/key.h"
#include "pki/cert.h"

#define CHAIN_MAX 16

struct server_identity {
	struct certs chain, rsa_chain;
	struct key *key, *rsa_key;
};

static void
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

static int
load_server_identity(struct server_identity *id, const struct hub_tls_config *config, struct err *err)
{
	if (load_pair(&id->chain, &id->key, config->cert_path, config->key_path, err) < 0)
		return -1;
	if (!config->rsa_cert_path)
		return 0;
	return load_pair(&id->rsa_chain, &id->rsa_key, config->rsa_cert_path, config->rsa_key_path, err);
}

/* Sessions are resumed by devices on MQTT only, and are no good elsewhere. */
static struct tls_server *
make_tls(const struct hub_tls_config *of, const struct server_identity *id, bool mqtt, struct err *err)
{
	struct tls_server_config config = {
		.chain = &id->chain,
		.key = id->key,
		.rsa_chain = id->rsa_key ? &id->rsa_chain : NULL,
		.rsa_key = id->rsa_key,
		.ask_client_cert = true,
		.session_scope = mqtt ? "hub-mqtt" : "hub-https",
		.cache = mqtt ? of->cache : NULL,
	};

	return tls_server_new(&config, err);
}

/* Both contexts or none. */
static int
make_both(const struct hub_tls_config *config, struct tls_server **mqtt, struct tls_server **https, struct err *err)
{
	struct server_identity id = { 0 };
	OWN(tls_server) one = NULL;
	OWN(tls_server) other = NULL;
	int done = load_server_identity(&id, config, err);

	if (done == 0) {
		one = make_tls(config, &id, true, err);
		other = one ? make_tls(config, &id, false, err) : NULL;
		done = other ? 0 : -1;
	}
	server_identity_clear(&id);
	if (done < 0)
		return -1;
	*mqtt = GIVE(one);
	*https = GIVE(other);
	return 0;
}

int
hub_tls_open(struct hub_tls *tls, const struct hub_tls_config *config, struct err *err)
{
	struct tls_server *mqtt, *https;

	tls->config = *config;
	if (make_both(config, &mqtt, &https, err) < 0)
		return -1;
	tls->mqtt = tls_holder_new(mqtt);
	tls->https = tls_holder_new(https);
	return 0;
}

int
hub_tls_reload(struct hub_tls *tls, struct err *err)
{
	struct tls_server *mqtt, *https;

	if (make_both(&tls->config, &mqtt, &https, err) < 0)
		return -1;
	tls_holder_swap(tls->mqtt, mqtt);
	tls_holder_swap(tls->https, https);
	return 0;
}

void
hub_tls_close(struct hub_tls *tls)
{
	tls_holder_free(tls->mqtt);
	tls_holder_free(tls->https);
	*tls = (struct hub_tls){ 0 };
}
