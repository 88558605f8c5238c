/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What devices ask of the provisioning service (hub 6), apart from how they ask it: a question with its evidence goes in, a status and a JSON body come out.  Everything here
 * runs on the registry's worker, one after the other. */

#include "base/rd.h"
#include "hub/provisioning/credential.h"
#include "hub/provisioning/provisioning_inside.h"
#include "hub/provisioning/registration.h"

struct registrar_answer {
	int number; /* 0, or what is wrong: the status and three digits */
	int status; /* as of HTTP */
	int retry_after_s;
	json_t *body;
};

struct registrar_call {
	struct provisioning *provisioning;
	const char *id_scope, *registration_id; /* as the device says them */
	const char *operation;			/* registrar_operation: which */
	const char *token;			/* NULL: none */
	const struct certs *chain;		/* that the handshake proved */
	bool is_https;				/* a TPM can be challenged (hub 6.2) */
	struct slice body;
	struct credential credential; /* the registrar's */
	struct registrar_answer answer;
};
typedef void registrar_question(struct registrar_call *call); /* always answers */
registrar_question registrar_register, registrar_operation, registrar_lookup;
/* May it ask at all?  false: the answer says why not. */
bool registrar_admit(struct registrar_call *call);
void registrar_refuse_busy(struct registrar_call *call); /* the worker has too much to do */
void registrar_call_clear(struct registrar_call *call);	 /* the answer */

/* For services the enrollment is NULL. */
json_t *registrar_state_json(const struct registration *r, const struct enrollment *e);
