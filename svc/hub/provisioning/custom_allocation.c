/* SPDX-License-Identifier: Apache-2.0 */
/* The question and the answer of a custom allocation (custom_allocation.h). */
#include "hub/provisioning/custom_allocation.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/hub_choice.h"
#include "wire/json.h"
#include "wire/uri.h"

#define URL_MAX 2048

/* -- The hook ------------------------------------------------------------------------------------------------------------------------- */

int
custom_allocation_check_url(const char *url, struct err *err)
{
	OWN(uri) uri = NULL;

	if (strlen(url) > URL_MAX)
		return err_set(err, ERR_INVALID, "webhookUrl is longer than %d characters", URL_MAX);
	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c > '~')
			return err_set(err, ERR_INVALID, "webhookUrl has a character that no URL has");
	uri = uri_parse(url, err);
	if (!uri)
		return err_wrap(err, "webhookUrl");
	return uri->scheme == URI_HTTPS ? 0 : err_set(err, ERR_INVALID, "webhookUrl is not one of https://");
}

bool
custom_allocation_is_wanted(const struct enrollment *e)
{
	return text_is(json_string_value(json_object_get(e->wishes, "allocationPolicy")), "custom");
}

const char *
custom_allocation_url(const struct enrollment *e)
{
	return json_string_value(json_object_get(json_object_get(e->wishes, "customAllocationDefinition"), "webhookUrl"));
}

/* -- The question ----------------------------------------------------------------------------------------------------------------------- */

static json_t *
enrollment_shown(const struct enrollment *e)
{
	OWN_LIB(json_t) all = enrollment_to_json(e);
	json_t *shown = json_deep_copy(all); /* the pool reads it */
	json_t *definition = json_deep_copy(json_object_get(shown, "customAllocationDefinition"));
	const char *url = json_string_value(json_object_get(definition, "webhookUrl"));
	const char *query = url ? strchr(url, '?') : NULL;
	OWN_TEXT start = query ? mem_textn(url, (size_t)(query - url)) : NULL;
	OWN_TEXT hidden = query ? mem_textf("%s?****", start) : NULL;

	if (hidden)
		json_object_set_new(definition, "webhookUrl", json_string(hidden));
	json_object_set_new(shown, "customAllocationDefinition", definition);
	return shown;
}

static json_t *
context_of(const struct enrollment *e, const struct registration *r)
{
	json_t *context = json_pack("{s:s}", "registrationId", r->id);
	struct err err = ERR_INIT;
	json_t *payload = r->payload ? json_parse(r->payload, strlen(r->payload), &err) : NULL;

	if (r->from) {
		json_object_set_new(context, "currentIotHubHostName", json_string(r->from));
		json_object_set_new(context, "currentDeviceId", json_string(r->device_id));
	}
	if (e->proof == ENROLLMENT_BY_KEY)
		json_object_set_new(context, "symmetricKey", json_object());
	else if (e->proof == ENROLLMENT_BY_TPM)
		json_object_set_new(context, "tpm",
			json_pack("{s:s*, s:s*}", "endorsementKey", e->endorsement_key, "storageRootKey", r->storage_root_key));
	else if (r->shown)
		json_object_set_new(context, "x509",
			json_pack("{s:{s:o}}", "clientCertificates", "primary", enrollment_cert_json(r->shown, true)));
	if (payload)
		json_object_set_new(context, "payload", payload);
	return context;
}

json_t *
custom_allocation_request(
	const struct enrollment *e, const struct registration *r, const struct linked_hubs *hubs, const char *ours)
{
	json_t *names = json_array();

	for (size_t i = 0; i <= hubs->n; i++)
		if (hub_choice_may(e, hub_choice_name(hubs, i, ours)))
			json_array_append_new(names, json_string(hub_choice_name(hubs, i, ours)));
	return json_pack("{s:o, s:o, s:o}", e->is_group ? "enrollmentGroup" : "individualEnrollment", enrollment_shown(e),
		"deviceRuntimeContext", context_of(e, r), "linkedHubs", names);
}

/* -- The answer -------------------------------------------------------------------------------------------------------------------------- */

void
custom_allocation_clear(struct custom_allocation *allocation)
{
	mem_free(allocation->hub);
	mem_free(allocation->twin);
	mem_free(allocation->returned);
	*allocation = (struct custom_allocation){ 0 };
}

/* What goes by itself is asked again; a hook that says no, or breaks, is told to the device. */
int
custom_allocation_status_number(int status)
{
	if (status == 401 || status == 403)
		return CUSTOM_ALLOCATION_UNAUTHORIZED;
	return status == 429 || status == 503 ? 0 : CUSTOM_ALLOCATION_FAILED;
}

static int
take_object(char **out, const json_t *answer, const char *name, struct err *err)
{
	const json_t *value = json_object_get(answer, name);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_object(value))
		return err_set(err, ERR_INVALID, "the custom allocation's %s is not an object", name);
	*out = json_line(value);
	if (strlen(*out) > CUSTOM_ALLOCATION_PAYLOAD_MAX)
		return err_set(err, ERR_INVALID, "the custom allocation's %s is longer than %d bytes", name,
			CUSTOM_ALLOCATION_PAYLOAD_MAX);
	return 0;
}

static int
take_hub(struct custom_allocation *out, const json_t *answer, const struct enrollment *e, const struct linked_hubs *hubs,
	const char *ours, struct err *err)
{
	const char *host = json_string_value(json_object_get(answer, "iotHubHostName"));
	int i = host ? hub_choice_find(hubs, ours, host) : -1;

	if (!host || !*host)
		return err_set(err, ERR_INVALID, "the custom allocation gave no hub");
	if (i < 0 || !hub_choice_may(e, host))
		return err_set(err, ERR_INVALID, "the custom allocation gave the hub '%.200s', which is none of linkedHubs", host);
	out->hub = mem_text(hub_choice_name(hubs, (size_t)i, ours));
	return 0;
}

int
custom_allocation_read(struct custom_allocation *out, const json_t *answer, const struct enrollment *e,
	const struct linked_hubs *hubs, const char *ours, struct err *err)
{
	*out = (struct custom_allocation){ 0 };
	if (!json_is_object(answer)) {
		(void)err_set(err, ERR_INVALID, "the custom allocation's answer is not a JSON object");
		return CUSTOM_ALLOCATION_FAILED;
	}
	if (take_hub(out, answer, e, hubs, ours, err) < 0)
		return CUSTOM_ALLOCATION_NO_HUB;
	if (take_object(&out->twin, answer, "initialTwin", err) == 0 && take_object(&out->returned, answer, "payload", err) == 0)
		return 0;
	custom_allocation_clear(out);
	return CUSTOM_ALLOCATION_FAILED;
}
