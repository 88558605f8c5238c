/* SPDX-License-Identifier: Apache-2.0 */
/* The source of this device's identity (provisioning_source.h). */
#include "identityd/provisioning_source.h"

#include <string.h>

#include "auth/identity.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"
#include "wire/uri.h"

#define PAYLOAD_MAX (64 * 1024)

struct word {
	const char *name;
	int value;
};

static const struct word kinds[] = { { "manual", SOURCE_MANUAL }, { "dps", SOURCE_DPS }, { "none", SOURCE_NONE } };
static const struct word manual_proofs[] = { { "sas", PROOF_KEY }, { "x509", PROOF_CERTIFICATE } };
static const struct word dps_proofs[] = { { "symmetric_key", PROOF_KEY }, { "x509", PROOF_CERTIFICATE }, { "tpm", PROOF_TPM } };
static const struct word modes[] = { { "Dynamic", MODE_DYNAMIC }, { "AlwaysOnStartup", MODE_ALWAYS_ON_STARTUP },
	{ "OnErrorOnly", MODE_ON_ERROR_ONLY } };

static int
find_word(const struct word *words, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (text_is(words[i].name, name))
			return words[i].value;
	return -1;
}

static const char *
name_of(const struct word *words, size_t n, int value)
{
	for (size_t i = 0; i < n; i++)
		if (words[i].value == value)
			return words[i].name;
	return "";
}

static int
take_word(
	int *out, const json_t *config, const char *key, const char *otherwise, const struct word *words, size_t n, struct err *err)
{
	const char *text = NULL;

	if (json_find_text(config, key, &text, err) < 0)
		return -1;
	*out = find_word(words, n, text ? text : otherwise);
	return *out >= 0 ? 0 : err_set(err, ERR_INVALID, "%s: '%.60s' is none of its values", key, text ? text : "nothing");
}

static int
take_manual(struct provisioning_source *s, const json_t *config, struct err *err)
{
	const char *hub_name, *device_id;
	int proof;

	if (json_get_text(config, "hub_name", &hub_name, err) < 0 || json_get_text(config, "device_id", &device_id, err) < 0 ||
		take_word(&proof, config, "auth", "", manual_proofs, COUNT(manual_proofs), err) < 0)
		return -1;
	if (!identity_id_is_valid(device_id))
		return err_set(err, ERR_INVALID, "device_id: no id that a hub takes");
	s->proof = (enum source_proof)proof;
	s->hub_name = text_lower(hub_name);
	s->device_id = mem_text(device_id);
	return 0;
}

static int
check_endpoint(const char *text, struct err *err)
{
	OWN(uri) uri = uri_parse(text, err);

	if (uri && uri->scheme == URI_HTTPS)
		return 0;
	return uri ? err_set(err, ERR_INVALID, "global_endpoint: https://HOST is expected") : err_wrap(err, "global_endpoint");
}

/* They become parts of paths and of tokens. */
static int
check_id(const char *name, const char *text, struct err *err)
{
	return !text || identity_id_is_valid(text) ? 0 : err_set(err, ERR_INVALID, "%s: no id that provisioning takes", name);
}

static int
take_payload(struct provisioning_source *s, const json_t *dps, struct err *err)
{
	OWN_TEXT text = NULL;

	s->payload = json_incref(json_object_get(dps, "payload"));
	text = s->payload ? json_line(s->payload) : NULL;
	return !text || strlen(text) <= PAYLOAD_MAX ? 0 : err_set(err, ERR_LIMIT, "payload: more than %d KB", PAYLOAD_MAX / 1024);
}

/* "dps": {"global_endpoint", "id_scope", "registration_id", "payload"} */
static int
take_dps(struct provisioning_source *s, const json_t *config, struct err *err)
{
	const char *endpoint, *scope_id, *registration_id, *parent;
	json_t *dps;
	int proof;

	if (json_find_object(config, "dps", &dps, err) < 0 || json_find_text(config, "gateway_host", &parent, err) < 0 ||
		take_word(&proof, config, "auth", "", dps_proofs, COUNT(dps_proofs), err) < 0)
		return -1;
	if (json_get_text(dps, "global_endpoint", &endpoint, err) < 0 || json_get_text(dps, "id_scope", &scope_id, err) < 0 ||
		json_find_text(dps, "registration_id", &registration_id, err) < 0 || check_endpoint(endpoint, err) < 0 ||
		check_id("id_scope", scope_id, err) < 0 || check_id("registration_id", registration_id, err) < 0)
		return -1;
	if (parent)
		return err_set(err, ERR_INVALID, "DPS provisioning is not supported in nested mode");
	if (!registration_id && proof != PROOF_CERTIFICATE)
		return err_set(err, ERR_INVALID, "registration_id is missing");
	s->proof = (enum source_proof)proof;
	s->endpoint = mem_text(endpoint);
	s->scope_id = mem_text(scope_id);
	s->registration_id = mem_text(registration_id);
	return take_payload(s, dps, err);
}

int
provisioning_source_take(struct provisioning_source *s, const json_t *config, struct err *err)
{
	int kind, mode;

	if (take_word(&kind, config, "source", "manual", kinds, COUNT(kinds), err) < 0 ||
		take_word(&mode, config, "auto_reprovisioning_mode", "Dynamic", modes, COUNT(modes), err) < 0)
		return -1;
	s->kind = (enum source_kind)kind;
	s->mode = (enum source_mode)mode;
	if (kind == SOURCE_NONE)
		return 0;
	return kind == SOURCE_DPS ? take_dps(s, config, err) : take_manual(s, config, err);
}

void
provisioning_source_clear(struct provisioning_source *s)
{
	mem_free(s->hub_name);
	mem_free(s->device_id);
	mem_free(s->endpoint);
	mem_free(s->scope_id);
	mem_free(s->registration_id);
	json_decref(s->payload);
}

const char *
provisioning_source_proof_name(const struct provisioning_source *s)
{
	return s->kind == SOURCE_DPS ? name_of(dps_proofs, COUNT(dps_proofs), s->proof)
				     : name_of(manual_proofs, COUNT(manual_proofs), s->proof);
}

const char *
source_mode_name(enum source_mode mode)
{
	return name_of(modes, COUNT(modes), mode);
}

json_t *
provisioning_source_json(const struct provisioning_source *s, const char *registration_id)
{
	json_t *json = json_pack("{s:s}", "source", name_of(kinds, COUNT(kinds), s->kind));

	if (s->kind != SOURCE_NONE)
		json_object_set_new(json, "auth", json_string(provisioning_source_proof_name(s)));
	if (s->kind != SOURCE_DPS)
		return json;
	json_object_set_new(json, "endpoint", json_string(s->endpoint));
	json_object_set_new(json, "scope_id", json_string(s->scope_id));
	json_object_set_new(json, "registration_id", json_string(registration_id ? registration_id : ""));
	if (s->payload)
		json_object_set(json, "payload", s->payload);
	return json;
}
