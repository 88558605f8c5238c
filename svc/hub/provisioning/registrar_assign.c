/* SPDX-License-Identifier: Apache-2.0 */
/* A device registers: its registration claims the device id, and from there on it is a pursuit (pursuit.h).
 *
 * A device of a hub that no registration has made is somebody's own: it is taken over only when it trusts exactly what the enrollment says (atk-17). */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "common/service.h"
#include "hub/provisioning/pursuit.h"
#include "hub/provisioning/registrar_inside.h"
#include "hub/provisioning/reprovision.h"

static bool
may_claim(struct registrar_call *call, const struct registration *found, const struct enrollment *e)
{
	/* Keys and thumbprints follow from the id as it is written: one device, one spelling. */
	if (found && e->is_group && !text_is(found->id, call->registration_id)) {
		registrar_fail(call, REGISTRAR_CONFLICT, "this id is registered in another spelling");
		return false;
	}
	/* Another group's CA or key vouches for the same name: it says nothing about this device (atk-07). */
	if (found && e->is_group && !text_is(found->group_id, e->id)) {
		registrar_fail(call, REGISTRAR_CONFLICT, "this id was registered by another enrollment");
		return false;
	}
	return true;
}

static void
remember_evidence(struct registrar_call *call, struct registration *r)
{
	bool by_cert = (!call->token || !*call->token) && call->chain && call->chain->n > 0;

	cert_free(r->shown);
	r->shown = by_cert ? cert_ref(call->chain->item[0]) : NULL;
}

/* A new operation of this registration, or of a new one. */
static void
begin(struct registrar_call *call, struct registration *r, const struct enrollment *e, const char *payload)
{
	char uuid[RANDOM_UUID_LEN];

	if (!r->id) {
		r->id = mem_text(call->registration_id);
		r->device_id = mem_text(e->device_id ? e->device_id : call->registration_id);
		r->created = clock_wall();
	}
	reprovision_begin(r);
	if (!*r->hub) {
		registration_set(&r->twin, NULL);
		registration_set(&r->returned, NULL);
	}
	registration_set(&r->storage_root_key, mem_text(e->storage_root_key));
	registration_set(&r->group_id, e->is_group ? mem_text(e->id) : NULL);
	registration_set(&r->operation, mem_textf("5.%016llx.%s", (unsigned long long)random_u64(), random_uuid(uuid)));
	registration_set(&r->etag, enrollment_etag());
	registration_set(&r->payload, mem_text(payload));
	remember_evidence(call, r);
	r->tries = 0;
	r->updated = clock_wall();
}

/* The device hears which rule it was, the log has the rest: whose key it is, for one, is nobody else's affair. */
static void
refuse_credential(struct registrar_call *call, const struct verdict *v)
{
	const struct reason_row *row = reason_row(verdict_cause(v));

	registrar_fail(call, ca_issue_is_later(v) ? REGISTRAR_UNAVAILABLE : REGISTRAR_BAD_ARGUMENT,
		"no certificate is issued: %s: %s", row->code, row->sentence);
}

/* Before the claim, which names the certificate.  false: answered. */
static bool
issue(struct registrar_call *call, const struct enrollment *e, struct registration *r)
{
	OWN(verdict) v = verdict_new("hub", "May it have a certificate?", call->registration_id);
	struct err err = ERR_INIT;
	bool done = credential_issue(call->provisioning->config.issuing, e, call->registration_id, &call->credential, r, v, &err);

	if (call->credential.csr)
		service_log_verdict(v);
	if (done)
		return true;
	if (verdict_accepted(v)) {
		registrar_fail_broken(call, &err);
		return false;
	}
	if (err.kind != ERR_NONE)
		log_error("no certificate for %s: %s", call->registration_id, err.text);
	refuse_credential(call, v);
	return false;
}

static void
assign(struct registrar_call *call, const struct enrollment *e, struct registration *r)
{
	struct pursuit_answer got = pursuit_begin(call->provisioning, r, e);

	if (got.end == PURSUIT_BROKEN)
		registrar_fail_broken(call, &got.err);
	else if (got.end == PURSUIT_REFUSED)
		registrar_fail(call, got.number, "%s", got.err.text);
	else
		registrar_answer_assigning(call, r);
}

void
registrar_assign(struct registrar_call *call, const struct enrollment *e, struct registration *found, const char *payload)
{
	OWN(registration) fresh = found ? NULL : NEW(registration);
	struct registration *r = found ? found : fresh;

	if (!may_claim(call, found, e) || !issue(call, e, r))
		return;
	begin(call, r, e, payload);
	assign(call, e, r);
}
