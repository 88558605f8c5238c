/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways that speak for devices, at the gateway above them. */
#include "gateway/speaker.h"

#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"

struct speaker {
	char *gateway_id;
	struct trust module, device; /* its $edgeHub was judged, and itself */
};

static struct identity *
find(void *arg, const char *device_id, const char *module_id)
{
	int64_t confirmed;

	return scope_find(arg, device_id, module_id, &confirmed);
}

void
speaker_find(struct on_behalf *out, struct scope *scope, const char *chain)
{
	on_behalf_find(out, chain, find, scope);
	if (out->actor && scope_is_gateway_below(scope, out->actor->device_id))
		return;
	identity_free(out->actor);
	out->actor = NULL;
}

struct speaker *
speaker_new(const struct on_behalf *records)
{
	struct speaker *speaker = NEW(speaker);

	speaker->gateway_id = mem_text(records->actor_device->device_id);
	trust_init(&speaker->module, records->actor, NULL, NULL);
	trust_init(&speaker->device, records->actor_device, NULL, NULL);
	return speaker;
}

void
speaker_free(struct speaker *speaker)
{
	if (!speaker)
		return;
	mem_free(speaker->gateway_id);
	mem_free(speaker);
}

static bool
is_as_judged(struct scope *scope, const struct trust *trust, const char *device_id, const char *module_id)
{
	OWN(identity) now = find(scope, device_id, module_id);

	return trust_check(trust, now, NULL, NULL) == OK;
}

bool
speaker_may(const struct speaker *speaker, struct scope *scope, const char *device_id)
{
	return is_as_judged(scope, &speaker->module, speaker->gateway_id, ON_BEHALF_MODULE) &&
	       is_as_judged(scope, &speaker->device, speaker->gateway_id, NULL) &&
	       scope_is_reached(scope, device_id, speaker->gateway_id);
}

/* -- Asking above -------------------------------------------------------------------------------------------------------------------------- */

static void
look_up_unknown(struct scope *scope, const char *device_id, int64_t since_ms)
{
	OWN(identity) known = find(scope, device_id, NULL);
	struct err ignored = ERR_INIT;

	if (!known && identity_id_is_valid(device_id))
		scope_look_up(scope, device_id, NULL, since_ms, &ignored);
}

/* From the device up: those between it and the actor, who is known. */
enum scope_answer
speaker_look_up(
	struct scope *scope, const char *chain, const char *device_id, const char *module_id, int64_t since_ms, struct err *err)
{
	enum scope_answer answer = scope_look_up(scope, device_id, module_id, since_ms, err);
	struct slice rest = slice_of(chain), one;
	bool more = answer == SCOPE_FOUND && slice_cut(&rest, ';', &one);

	for (size_t i = 0; more && i < ON_BEHALF_PATH_MAX; i++) {
		OWN_TEXT id = NULL;

		more = slice_cut(&rest, ';', &one);
		id = slice_text(one);
		if (!text_is(id, device_id))
			look_up_unknown(scope, id, since_ms);
	}
	return answer;
}
