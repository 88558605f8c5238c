/* SPDX-License-Identifier: Apache-2.0 */
/* The same clients as ever, with another credential. */
#include "identityd/certificate_trial.h"

#include "base/mem.h"
#include "wire/json.h"

static int
try_at_dps(const struct certificate_trial *t, struct device_credential *credential, struct err *err)
{
	struct dps_client client = *t->dps;
	OWN_TEXT registration_id = provisioner_registration_id(atomic_load(&t->provisioner));
	CLEAR(dps_assignment) assignment = { 0 };
	int64_t retry_after_s;

	if (!registration_id)
		return err_set(err, ERR_UNAVAILABLE, "this device is not provisioned yet");
	client.credential = credential;
	return dps_client_register(&client, registration_id, &assignment, &retry_after_s, err);
}

static int
try_at_hub(const struct certificate_trial *t, struct device_credential *credential, struct err *err)
{
	struct hub_api hub = *t->hub;
	OWN(device_info) device = provisioner_device(atomic_load(&t->provisioner), err);
	OWN_LIB(json_t) modules = NULL;

	hub.credential = credential;
	modules = device ? hub_api_list_modules(&hub, device, err) : NULL;
	return modules ? 0 : -1;
}

int
certificate_trial_run(void *arg, const struct certs *chain, const struct key *key, struct err *err)
{
	const struct certificate_trial *t = arg;
	struct device_credential credential = { .proof = PROOF_CERTIFICATE, .trial_chain = chain, .trial_key = key };

	if (!atomic_load(&t->provisioner))
		return err_set(err, ERR_UNAVAILABLE, "this device is not provisioned yet");
	return t->dps->source->kind == SOURCE_DPS ? try_at_dps(t, &credential, err) : try_at_hub(t, &credential, err);
}
