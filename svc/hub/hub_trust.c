/* SPDX-License-Identifier: Apache-2.0 */
/* Trust and its withdrawal (hub_trust.h).  What changes says so on the registry's worker; the session itself is asked on its own loop. */
#include "hub/hub_trust.h"

#include "base/log.h"
#include "base/mem.h"

/* A gateway that speaks for a device: its $edgeHub was judged, and itself. */
struct speaker {
	char *gateway_id;
	struct trust module, device;
};

/* -- What a session stands on --------------------------------------------------------------------------------------------------------- */

static struct speaker *
speaker_new(const struct evidence *found)
{
	struct speaker *speaker = NEW(speaker);

	speaker->gateway_id = mem_text(found->chain.actor_device->device_id);
	trust_init(&speaker->module, found->chain.actor, NULL, NULL);
	trust_init(&speaker->device, found->chain.actor_device, NULL, NULL);
	return speaker;
}

static void
speaker_free(struct speaker *speaker)
{
	if (!speaker)
		return;
	mem_free(speaker->gateway_id);
	mem_free(speaker);
}

const char *
standing_init(struct standing *standing, const struct evidence *evidence, const struct cert *leaf, const struct authority *vouched,
	uint64_t epoch)
{
	struct subject subject = identity_subject(evidence->target);

	*standing = (struct standing){
		.subject = subject_copy(&subject),
		.speaker = evidence->chain.actor ? speaker_new(evidence) : NULL,
		.epoch = epoch,
	};
	return trust_init(&standing->trust, evidence->target, leaf, vouched);
}

void
standing_clear(struct standing *standing)
{
	subject_clear(&standing->subject);
	speaker_free(standing->speaker);
	*standing = (struct standing){ 0 };
}

/* -- Does it still stand? ---------------------------------------------------------------------------------------------------------------- */

/* Who was let in was enabled, so a module whose device was disabled since has changed as well. */
static bool
is_as_judged(struct registry *registry, const struct trust *trust, const char *device_id, const char *module_id)
{
	OWN(identity) now = registry_find_judged(registry, device_id, module_id);

	return trust_check(trust, now, NULL, NULL) == OK;
}

/* The gateway's session was opened by a key of its own, and stands on the device being below it, through others that are enabled. */
static bool
may_still_speak(struct registry *registry, const struct standing *standing)
{
	const struct speaker *speaker = standing->speaker;

	return is_as_judged(registry, &speaker->module, speaker->gateway_id, ON_BEHALF_MODULE) &&
	       is_as_judged(registry, &speaker->device, speaker->gateway_id, NULL) &&
	       registry_is_reached(registry, standing->subject.device_id, speaker->gateway_id);
}

enum reason
hub_trust_check(const struct hub_trust *trust, struct standing *standing)
{
	struct registry *registry = trust->registry;
	uint64_t epoch = registry_epoch(registry);
	OWN(authorities) cas = NULL;
	OWN(revocations) revoked = NULL;
	OWN(identity) now = NULL;
	enum reason reason;

	if (epoch == standing->epoch)
		return OK;
	cas = ca_current(trust->cas);
	revoked = hub_revocation_current(trust->revocation);
	now = registry_find_judged(registry, standing->subject.device_id, standing->subject.module_id);
	reason = trust_check(&standing->trust, now, cas, revoked);
	if (reason == OK && standing->speaker && !may_still_speak(registry, standing))
		reason = SESSION_WITHDRAWN;
	if (reason == OK)
		standing->epoch = epoch;
	return reason;
}

/* -- Withdrawal ---------------------------------------------------------------------------------------------------------------------------- */

struct recheck {
	struct directory_visit visit;
	struct hub_trust *trust;
	bool of_ca; /* a CA was withdrawn, from this device perhaps */
};

static void
on_recheck(struct directory_visit *visit, struct head_session *session)
{
	struct recheck *recheck = CONTAINER_OF(visit, struct recheck, visit);
	struct standing *standing = session ? recheck->trust->standing_of(session) : NULL;
	enum reason reason = standing ? hub_trust_check(recheck->trust, standing) : OK;

	/* By which CA the gateway let it in is not known here.  When the gateway opens its connection again it asks about the device, and hears of the CAs. */
	if (standing && standing->speaker && recheck->of_ca)
		reason = CA_WITHDRAWN;
	if (reason != OK)
		head_session_close(session, reason);
	mem_free(recheck);
}

/* What it stands on may be gone: its session asks again, there where it lives, and no TLS session is resumed. */
static void
withdraw(struct hub_trust *trust, const char *device_id, const char *module_id, bool of_ca)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	struct recheck *recheck = NEW(recheck);

	tls_cache_drop_identity(trust->tls_cache, name);
	recheck->trust = trust;
	recheck->of_ca = of_ca;
	recheck->visit.run = on_recheck;
	if (!directory_visit(trust->directory, name, &recheck->visit))
		mem_free(recheck);
}

static void
withdraw_module(void *arg, const char *device_id, const char *module_id)
{
	withdraw(arg, device_id, module_id, false);
}

/* On the registry's worker.  A disabled device takes its modules with it. */
static void
on_change(void *arg, const struct identity *before, const struct identity *after)
{
	struct hub_trust *trust = arg;
	struct err err = ERR_INIT;

	if (after && identity_same_trust(before, after))
		return;
	withdraw(trust, before->device_id, before->module_id, false);
	if (after && !after->module_id && !after->enabled &&
		registry_store_modules(registry_store_of(trust->registry), after->device_id, withdraw_module, trust, &err) < 0)
		log_error("registry: %s", err.text);
}

static void
withdraw_if_by_ca(void *arg, const struct identity *identity)
{
	if (identity->auth == IDENTITY_AUTH_CA)
		withdraw(arg, identity->device_id, identity->module_id, true);
}

/* On the registry's worker.  Whose CA it was is known to each session. */
static void
on_ca_withdrawn(void *arg)
{
	struct hub_trust *trust = arg;

	registry_each(trust->registry, withdraw_if_by_ca, trust);
}

static void
withdraw_if_by_certificate(void *arg, const struct identity *identity)
{
	if (identity->auth == IDENTITY_AUTH_CA || identity->auth == IDENTITY_AUTH_THUMBPRINT)
		withdraw(arg, identity->device_id, identity->module_id, false);
}

/* On the registry's worker.  Whose certificate it was is known to each session. */
static void
on_revoked(void *arg)
{
	struct hub_trust *trust = arg;

	registry_each(trust->registry, withdraw_if_by_certificate, trust);
}

void
hub_trust_watch(struct hub_trust *trust)
{
	registry_watch(trust->registry, REGISTRY_CHANGED | REGISTRY_REMOVED, on_change, trust);
	ca_watch(trust->cas, on_ca_withdrawn, trust);
	hub_revocation_watch(trust->revocation, on_revoked, trust);
}
