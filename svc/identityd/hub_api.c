/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's registry from the edge. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "certd/client.h"
#include "common/service.h"
#include "identityd/hub_api.h"
#include "net/http_client.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/sas.h"

#define VERSION "api-version=2017-11-08-preview"
#define TOKEN_LIFE_S 60
#define TIMEOUT_MS 70000
#define CHAIN_MAX 16
#define PEM_MAX (1024 * 1024)
#define DEVICE_KEY_ID "device-id"

struct credentials {
	struct certs chain;
	struct key *key;
	char *authorization; /* a header, or NULL */
};

static void
credentials_clear(struct credentials *c)
{
	certs_clear(&c->chain);
	key_free(c->key);
	if (c->authorization)
		mem_wipe(c->authorization, strlen(c->authorization));
	mem_free(c->authorization);
}

static int
use_certificate(struct credentials *c, struct hub_api *api, struct err *err)
{
	struct buf pem = BUF_INIT(PEM_MAX);
	int status = api->makes_certificate ? device_certificate_ensure(&api->device, err) : 0;

	if (status == 0)
		status = certd_client_get(api->certd_socket, DEVICE_KEY_ID, &pem, err);
	if (status == 0)
		status = certs_parse(&c->chain, buf_text(&pem), pem.len, CHAIN_MAX, err);
	buf_clear(&pem);
	if (status < 0)
		return err_wrap(err, "the device identity certificate");
	c->key = keyd_client_load_pair(api->keyd, DEVICE_KEY_ID, err);
	return c->key ? 0 : err_wrap(err, "the device identity key");
}

struct signer {
	struct keyd_client *keyd;
	const char *handle;
};

static int
hmac(void *arg, const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN], struct err *err)
{
	struct signer *s = arg;

	return keyd_client_hmac(s->keyd, s->handle, data, len, out, err);
}

static int
use_token(struct credentials *c, struct hub_api *api, struct err *err)
{
	OWN_TEXT handle = keyd_client_load_key(api->keyd, DEVICE_KEY_ID, err);
	OWN_TEXT resource = mem_textf("%s/devices/%s", api->hub_name, api->device_id);
	struct signer signer = { .keyd = api->keyd, .handle = handle };
	struct buf header = BUF_INIT(SAS_TOKEN_MAX);

	if (!handle)
		return err_wrap(err, "the device's symmetric key");
	buf_puts(&header, "Authorization: ");
	if (sas_format(&header, resource, clock_wall() + TOKEN_LIFE_S, NULL, hmac, &signer, err) < 0) {
		buf_wipe(&header);
		return -1;
	}
	c->authorization = buf_take_text(&header);
	return 0;
}

/* Said once, and again when the answer changes. */
static void
log_verdict(struct hub_api *api, const struct verdict *v)
{
	bool news;

	if (!v)
		return;
	pthread_mutex_lock(&api->lock);
	news = api->last_cause != (int)verdict_cause(v);
	api->last_cause = (int)verdict_cause(v);
	pthread_mutex_unlock(&api->lock);
	if (news)
		service_log_verdict(v);
}

static char *
url_of(const struct hub_api *api, const char *module_id)
{
	struct buf url = BUF_INIT(4096);

	buf_putf(&url, "https://%s:%d/devices/", api->gateway_host, api->port);
	percent_encode(&url, api->device_id, strlen(api->device_id));
	buf_puts(&url, "/modules");
	if (module_id) {
		buf_puts(&url, "/");
		percent_encode(&url, module_id, strlen(module_id));
	}
	buf_puts(&url, "?" VERSION);
	return buf_take_text(&url);
}

static int
ask(struct hub_api *api, const char *method, const char *module_id, const json_t *body, const char *if_match, json_t **out,
	struct err *err)
{
	struct credentials c = { 0 };
	OWN_TEXT url = url_of(api, module_id);
	OWN_TEXT match = if_match ? mem_textf("If-Match: %s", if_match) : NULL;
	const char *headers[3] = { 0 };
	struct http_call call = { .method = method,
		.url = url,
		.connect_to = api->address,
		.headers = headers,
		.anchors = api->anchors,
		.timeout_ms = TIMEOUT_MS,
		.who = "edge" };
	struct http_answer answer = { 0 };
	size_t n = 0;
	int status = api->by_certificate ? use_certificate(&c, api, err) : use_token(&c, api, err);

	if (status < 0) {
		credentials_clear(&c);
		return -1;
	}
	if (c.authorization)
		headers[n++] = c.authorization;
	if (match)
		headers[n++] = match;
	call.chain = &c.chain;
	call.key = c.key;
	status = http_fetch_json(out, &answer, &call, body, err);
	log_verdict(api, answer.verdict);
	http_answer_clear(&answer);
	credentials_clear(&c);
	return status;
}

json_t *
hub_api_get_module(struct hub_api *api, const char *module_id, struct err *err)
{
	json_t *json = NULL;

	return ask(api, "GET", module_id, NULL, NULL, &json, err) == 0 ? json : NULL;
}

json_t *
hub_api_list_modules(struct hub_api *api, struct err *err)
{
	json_t *json = NULL;

	return ask(api, "GET", NULL, NULL, NULL, &json, err) == 0 ? json : NULL;
}

json_t *
hub_api_put_module(struct hub_api *api, const char *module_id, const json_t *module, const char *if_match, struct err *err)
{
	json_t *json = NULL;

	return ask(api, "PUT", module_id, module, if_match, &json, err) == 0 ? json : NULL;
}

int
hub_api_delete_module(struct hub_api *api, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) json = NULL;

	return ask(api, "DELETE", module_id, NULL, "*", &json, err);
}

void
hub_api_clear(struct hub_api *api)
{
	mem_free(api->hub_name);
	mem_free(api->gateway_host);
	mem_free(api->address);
	mem_free(api->device_id);
	mem_free(api->certd_socket);
	keyd_client_free(api->keyd);
	anchors_free(api->anchors);
}
