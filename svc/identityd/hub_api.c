/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's registry from the edge. */
#include "identityd/hub_api.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "identityd/module_record.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/uri.h"

#define VERSION "api-version=2017-11-08-preview"
#define IN_VAIN_MS 5000 /* a failure that took longer */
#define AWAY_MS 30000
#define MOMENT_MS 5000

/* -- The request ----------------------------------------------------------------------------------------------------------------------- */

struct hub_call {
	const char *method, *module_id; /* NULL: all modules */
	const json_t *body;
	const char *if_match;
};

static char *
url_of(const struct hub_api *api, const struct device_info *device, const char *module_id, struct err *err)
{
	struct buf url = BUF_INIT(4096);
	OWN_TEXT host = NULL;
	int port = api->port;

	if (uri_parse_host(device->gateway_host, &host, &port, err) < 0)
		return NULL;
	buf_putf(&url, strchr(host, ':') ? "https://[%s]:%d/devices/" : "https://%s:%d/devices/", host, port);
	percent_encode(&url, device->device_id, strlen(device->device_id));
	buf_puts(&url, "/modules");
	if (module_id) {
		buf_puts(&url, "/");
		percent_encode(&url, module_id, strlen(module_id));
	}
	buf_puts(&url, "?" VERSION);
	return buf_take_text(&url);
}

/* Also below a parent it is the hub that the token is for. */
static char *
resource_of(const struct device_info *device, struct err *err)
{
	OWN_TEXT host = NULL;
	int port;

	return uri_parse_host(device->hub_name, &host, &port, err) == 0 ? mem_textf("%s/devices/%s", host, device->device_id)
									: NULL;
}

/* Not being let in is about this device; all that is not an answer of the hub's is about the way to it. */
static enum err_kind
kind_of(const struct http_answer *answer, const struct hub_call *call, enum err_kind kind)
{
	if (answer->status == 401)
		return ERR_DENIED;
	if (answer->status == 404)
		return !call->module_id || text_is(answer->error_code, "DeviceNotFound") ? ERR_DENIED : ERR_MISSING;
	if (answer->status < 400 || answer->status >= 500 || answer->status == 429)
		return ERR_UNAVAILABLE;
	return kind == ERR_CONFLICT ? ERR_CONFLICT : ERR_BROKEN; /* 403 too, which is a quota */
}

static int
check_away(const struct hub_api *api, const struct device_info *device, struct err *err)
{
	int64_t left = api->away_until_ms - clock_boot_ms();

	if (left <= 0)
		return 0;
	return err_set(err, ERR_UNAVAILABLE, "%s was waited for in vain just now, it is asked again in %lld s",
		device->gateway_host, (long long)(left + 999) / 1000);
}

static bool
was_unreached(const struct hub_api *api)
{
	int64_t at = api->unreached_ms;

	return at != 0 && clock_boot_ms() - at < MOMENT_MS;
}

static void
take_time(struct hub_api *api, const struct http_answer *answer, const struct err *err, int64_t since_ms)
{
	int64_t now = clock_boot_ms();

	api->unreached_ms = answer->status == 0 ? now : 0;
	if (err->kind == ERR_UNAVAILABLE && now - since_ms > IN_VAIN_MS)
		api->away_until_ms = now + AWAY_MS;
}

static int
ask(struct hub_api *api, const struct device_info *device, const struct hub_call *what, json_t **out, struct err *err)
{
	OWN_TEXT url = url_of(api, device, what->module_id, err);
	OWN_TEXT resource = url ? resource_of(device, err) : NULL;
	OWN_TEXT match = what->if_match ? mem_textf("If-Match: %s", what->if_match) : NULL;
	CLEAR(credential_use) use = { 0 };
	const char *headers[3] = { 0 };
	struct http_call call = { .method = what->method, .url = url, .connect_to = api->address, .headers = headers };
	struct http_answer answer = { 0 };
	int64_t since_ms = clock_boot_ms();
	size_t n = 0;
	int status;

	if (!resource || check_away(api, device, err) < 0)
		return -1;
	if (device_credential_use(&use, api->credential, resource, NULL, err) < 0) {
		err->kind = ERR_UNAVAILABLE; /* whatever it was, it was not the hub that said no */
		return -1;
	}
	if (use.authorization)
		headers[n++] = use.authorization;
	if (match)
		headers[n++] = match;
	call.chain = &use.chain;
	call.key = use.key;
	status = cloud_fetch(api->cloud, out, &answer, &call, what->body, was_unreached(api) ? 0 : api->cloud->retries, err);
	if (status < 0)
		err->kind = kind_of(&answer, what, err->kind);
	take_time(api, &answer, err, since_ms);
	http_answer_clear(&answer);
	return status;
}

/* -- The answer ------------------------------------------------------------------------------------------------------------------------ */

static json_t *
ask_module(struct hub_api *api, const struct device_info *device, const struct hub_call *what, struct err *err)
{
	OWN_LIB(json_t) json = NULL;

	if (ask(api, device, what, &json, err) < 0)
		return NULL;
	if (module_record_check(json, device->device_id, what->module_id, err) == 0)
		return GIVE(json);
	err->kind = ERR_UNAVAILABLE;
	return err_wrap_null(err, "the answer of %s", device->gateway_host);
}

json_t *
hub_api_get_module(struct hub_api *api, const struct device_info *device, const char *module_id, struct err *err)
{
	return ask_module(api, device, &(struct hub_call){ .method = "GET", .module_id = module_id }, err);
}

json_t *
hub_api_put_module(struct hub_api *api, const struct device_info *device, const char *module_id, const json_t *module,
	const char *if_match, struct err *err)
{
	return ask_module(api, device,
		&(struct hub_call){ .method = "PUT", .module_id = module_id, .body = module, .if_match = if_match }, err);
}

/* What is no module of this device's is none of our business. */
json_t *
hub_api_list_modules(struct hub_api *api, const struct device_info *device, struct err *err)
{
	OWN_LIB(json_t) all = NULL;
	json_t *module, *list;
	size_t i;

	if (ask(api, device, &(struct hub_call){ .method = "GET" }, &all, err) < 0)
		return NULL;
	if (!json_is_array(all))
		return err_null(err, ERR_UNAVAILABLE, "the answer of %s: no list of modules", device->gateway_host);
	list = json_array();
	json_array_foreach(all, i, module) {
		struct err ignored = ERR_INIT;

		if (module_record_check(module, device->device_id, NULL, &ignored) == 0)
			json_array_append(list, module);
	}
	return list;
}

int
hub_api_delete_module(struct hub_api *api, const struct device_info *device, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) json = NULL;

	return ask(api, device, &(struct hub_call){ .method = "DELETE", .module_id = module_id, .if_match = "*" }, &json, err);
}
