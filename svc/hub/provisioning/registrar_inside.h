/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the registrar: a question is judged, carried out and answered, a file each. */

#include "hub/provisioning/attest.h"
#include "hub/provisioning/registrar.h"

enum registrar_number {
	REGISTRAR_BAD_ARGUMENT = 400004,
	REGISTRAR_UNAUTHORIZED = 401000,
	REGISTRAR_NO_REGISTRATION = 404202,
	REGISTRAR_NO_OPERATION = 404203,
	REGISTRAR_CONFLICT = 409203,
	REGISTRAR_UNAVAILABLE = 503001,
};

/* -- Answers (registrar_answer.c) -------------------------------------------------------------------------------------------------- */

void registrar_answer(struct registrar_call *call, int status, json_t *body_take);
void registrar_answer_assigning(struct registrar_call *call, const struct registration *r);
void registrar_fail(struct registrar_call *call, int number, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void registrar_fail_broken(struct registrar_call *call, const struct err *err); /* the log has it */
const char *registration_status(const struct registration *r);
struct db *registrar_db(const struct registrar_call *call);

/* Who has an enrollment of its own is judged by that alone.  NULL: answered.  That of a TPM has the storage root key that the device showed. */
struct enrollment *registrar_judge(struct registrar_call *call);

/* -- TPMs (registrar_tpm.c) ---------------------------------------------------------------------------------------------------------- */

/* What the device says of its TPM: in the body, or when it registered.  false: answered. */
bool registrar_read_tpm(struct registrar_call *call, struct attest_tpm *out);
void registrar_challenge(
	struct registrar_call *call, const struct enrollment *e, const char *storage_root_key); /* always answers */
json_t *registrar_tpm_json(const struct registration *r, const struct enrollment *e); /* the key at the hub, once it is assigned */

/* -- Steps --------------------------------------------------------------------------------------------------------------------------- */

/* Always answers.  found: the registration as it is, NULL: there is none. */
void registrar_assign(struct registrar_call *call, const struct enrollment *e, struct registration *found, const char *payload);
