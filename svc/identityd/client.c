/* SPDX-License-Identifier: Apache-2.0 */
/* identityd from a caller's side. */
#include <string.h>

#include "base/mem.h"
#include "identityd/client.h"
#include "identityd/failure.h"
#include "net/http_client.h"
#include "wire/codec.h"
#include "wire/json.h"

#define VERSION "?api-version=2022-08-01"
#define TIMEOUT_MS 90000 /* longer than identityd's own patience with the hub */

void
edge_identity_free(struct edge_identity *i)
{
	if (!i)
		return;
	mem_free(i->hub_name);
	mem_free(i->gateway_host);
	mem_free(i->device_id);
	mem_free(i->module_id);
	mem_free(i->generation_id);
	mem_free(i->auth_type);
	mem_free(i->key_handle);
	mem_free(i->cert_id);
	mem_free(i);
}

static int
take(char **out, const json_t *object, const char *name, struct err *err)
{
	const char *text;

	if (json_find_text(object, name, &text, err) < 0)
		return -1;
	*out = mem_text(text);
	return 0;
}

static struct edge_identity *
parse(const json_t *json, struct err *err)
{
	OWN(edge_identity) i = NEW(edge_identity);
	json_t *spec, *auth;

	if (json_find_object(json, "spec", &spec, err) < 0 || !spec || json_find_object(spec, "auth", &auth, err) < 0)
		return err_null(err, ERR_INVALID, "identityd: an identity without spec");
	if (take(&i->hub_name, spec, "hubName", err) < 0 || take(&i->gateway_host, spec, "gatewayHost", err) < 0 ||
		take(&i->device_id, spec, "deviceId", err) < 0 || take(&i->module_id, spec, "moduleId", err) < 0 ||
		take(&i->generation_id, spec, "genId", err) < 0)
		return NULL;
	if (auth && (take(&i->auth_type, auth, "type", err) < 0 || take(&i->key_handle, auth, "keyHandle", err) < 0 ||
			    take(&i->cert_id, auth, "certId", err) < 0))
		return NULL;
	return GIVE(i);
}

/* -1, or 0 and what was answered: NULL when that is nothing. */
static int
fetch(json_t **out, const struct identityd_client *client, const char *method, const char *path, json_t *body_take, struct err *err)
{
	OWN_LIB(json_t) body = body_take;
	OWN_TEXT url = mem_textf("http://identityd.sock%s%s", path, strchr(path, '?') ? "" : VERSION);
	struct http_call call = { .method = method,
		.url = url,
		.unix_path = client->socket_path,
		.timeout_ms = TIMEOUT_MS,
		.cancelled = client->cancelled };
	struct http_answer answer = { 0 };
	int status = http_fetch_json(out, &answer, &call, body, err);

	http_answer_clear(&answer);
	return status;
}

static struct edge_identity *
ask(const struct identityd_client *client, const char *method, const char *path, json_t *body_take, struct err *err)
{
	OWN_LIB(json_t) json = NULL;

	return fetch(&json, client, method, path, body_take, err) == 0 ? parse(json, err) : NULL;
}

static char *
module_path(const char *module_id)
{
	struct buf path = BUF_INIT(4096);

	buf_puts(&path, "/identities/modules/");
	percent_encode(&path, module_id, strlen(module_id));
	return buf_take_text(&path);
}

struct edge_identity *
identityd_client_device(const struct identityd_client *client, struct err *err)
{
	return ask(client, "POST", "/identities/device", json_pack("{s:s}", "type", "aziot"), err);
}

struct edge_identity *
identityd_client_get_module(const struct identityd_client *client, const char *module_id, struct err *err)
{
	OWN_TEXT path = module_path(module_id);

	return ask(client, "GET", path, NULL, err);
}

struct edge_identity *
identityd_client_kept_module(const struct identityd_client *client, const char *module_id, struct err *err)
{
	OWN_TEXT path = module_path(module_id);
	OWN_TEXT kept = mem_textf("%s" VERSION "&kept=true", path);

	return ask(client, "GET", kept, NULL, err);
}

struct edge_identity *
identityd_client_create_module(const struct identityd_client *client, const char *module_id, struct err *err)
{
	return ask(client, "POST", "/identities/modules", json_pack("{s:s, s:s}", "type", "aziot", "moduleId", module_id), err);
}

struct edge_identity *
identityd_client_update_module(const struct identityd_client *client, const char *module_id, struct err *err)
{
	OWN_TEXT path = module_path(module_id);

	return ask(client, "PUT", path, json_pack("{s:s, s:s}", "type", "aziot", "moduleId", module_id), err);
}

int
identityd_client_delete_module(const struct identityd_client *client, const char *module_id, struct err *err)
{
	OWN_TEXT path = module_path(module_id);
	OWN_LIB(json_t) json = NULL;

	return fetch(&json, client, "DELETE", path, NULL, err);
}

json_t *
identityd_client_list_modules(const struct identityd_client *client, struct err *err)
{
	OWN_LIB(json_t) json = NULL;
	json_t *list;

	if (fetch(&json, client, "GET", "/identities/modules", NULL, err) < 0 ||
		json_find_array(json, "identities", &list, err) < 0)
		return NULL;
	return list ? json_incref(list) : json_array();
}

int
identityd_client_reprovision(const struct identityd_client *client, struct err *err)
{
	OWN_LIB(json_t) json = NULL;

	return fetch(&json, client, "POST", "/identities/device/reprovision", json_pack("{s:s}", "type", "aziot"), err);
}

/* identityd answers 404 for all of them: its first line says whose failure it was (failure.h). */
bool
identityd_client_is_word_of_hub(const struct err *err)
{
	return err->kind == ERR_MISSING && strstr(err->text, FAILURE_OF_HUB) != NULL;
}

json_t *
identityd_client_provisioning(const struct identityd_client *client, struct err *err)
{
	OWN_LIB(json_t) json = NULL;

	if (fetch(&json, client, "GET", "/identities/provisioning", NULL, err) < 0)
		return NULL;
	return json ? GIVE(json) : err_null(err, ERR_INVALID, "identityd says nothing of its provisioning");
}
