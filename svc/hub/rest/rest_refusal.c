/* SPDX-License-Identifier: Apache-2.0 */
/* Why a device or module was last not let in: our own path (docs/hub.md). */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "hub/refusals.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

static void
why(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN(identity) who = registry_find(rest->registry, ids[0], ids[1]);
	char text[CLOCK_TEXT_LEN];
	OWN_TEXT json = NULL;
	struct err err = ERR_INIT;
	json_t *verdict = NULL;
	int64_t when = 0;

	if (!who) {
		rest_fail(req, ids[1] ? REST_MODULE_NOT_FOUND : REST_DEVICE_NOT_FOUND, "there is no %s %s",
			ids[1] ? "module" : "device", ids[1] ? ids[1] : ids[0]);
		return;
	}
	json = refusals_find(rest->refusals, who, &when);
	if (json)
		verdict = json_parse(json, strlen(json), &err);
	http_respond_json(req, 200, NULL,
		json_pack("{s:s, s:s?, s:s?, s:o?}", "deviceId", who->device_id, "moduleId", who->module_id, "refusedTime",
			verdict ? clock_text(when, text) : NULL, "verdict", verdict));
}

const struct rest_route rest_refusal_routes[] = {
	{ "GET", "devices/*/why", REST_SERVICE, AUTH_REGISTRY_READ, why },
	{ "GET", "devices/*/modules/*/why", REST_SERVICE, AUTH_REGISTRY_READ, why },
	{ 0 },
};
