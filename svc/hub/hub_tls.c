/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's certificates (hub_tls.h): both ports get what the files say, or neither does. */
#include "hub/hub_tls.h"

#include "net/server_identity.h"

/* Both contexts or none.  Sessions are resumed by devices on MQTT only, and are no good elsewhere. */
static int
make_both(const struct hub_tls_config *config, struct tls_server **mqtt, struct tls_server **https, struct err *err)
{
	struct server_identity id;
	OWN(tls_server) one = NULL;
	OWN(tls_server) other = NULL;
	int done = server_identity_load(&id, &config->paths, err);

	if (done == 0) {
		one = server_identity_tls(&id, "hub-mqtt", config->cache, err);
		other = one ? server_identity_tls(&id, "hub-https", NULL, err) : NULL;
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
