// SPDX-License-Identifier: Apache-2.0
// The unmodified provisioning SDK registers by TPM over HTTP: the service client enrolls its endorsement key, the device client answers the challenge, and a device client of
// the hub sends with tokens that the TPM signs.  Only the security client is ours: the SDK's own needs a TPM that speaks to its tss.js; this one speaks to a real TPM, too.
'use strict';
const fs = require('fs');
const assert = require('assert');
const { execFileSync } = require('child_process');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { Mqtt: ProvisioningMqtt } = require('azure-iot-provisioning-device-mqtt');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const { SERVICE, PROVISIONING, ID_SCOPE, HUB, CA, SOFT_TPM, TPM, OTHER_TPM } = process.env;
const body = async (promise) => (await promise).responseBody;

// What azure-iot-security-tpm's TpmSecurityClient offers, over tpm2-tools.
class TpmSecurity {
	constructor(registrationId, folder) {
		this.registrationId = registrationId;
		this.folder = folder;
	}
	ask(verb, input) { return execFileSync('python3', [SOFT_TPM, this.folder, verb], { input }); }
	answer(callback, verb, input) {
		let found;
		try { found = this.ask(verb, input); } catch (e) { return callback(e); }
		return callback(null, found);
	}
	getRegistrationId(callback) { callback(null, this.registrationId); }
	getEndorsementKey(callback) { this.answer(callback, 'ek'); }
	getStorageRootKey(callback) { this.answer(callback, 'srk'); }
	activateIdentityKey(blob, callback) { this.answer(callback, 'import', blob); }
	signWithIdentity(data, callback) { this.answer(callback, 'sign', data); }
}

const create = (security, transport = new Http()) => ProvisioningDeviceClient.create(PROVISIONING, ID_SCOPE, transport, security);
// By TPM, the SDK gives the whole answer and not only the registration.
const register = async (security) => (await create(security).register()).registrationState;

function token(security, resource) {
	const sr = encodeURIComponent(resource), se = Math.floor(Date.now() / 1000) + 3600;
	return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(security.ask('sign', `${sr}\n${se}`).toString('base64'))}&se=${se}`;
}

async function send(security, state) {
	const client = Client.fromSharedAccessSignature(token(security, `${state.assignedHub}/devices/${state.deviceId}`), Mqtt);
	await client.setOptions({ ca: fs.readFileSync(CA, 'utf8') });
	await client.open();
	await client.sendEvent(new Message('signed in the TPM'));
	await client.close();
}

async function main() {
	const service = ProvisioningServiceClient.fromConnectionString(SERVICE);
	const security = new TpmSecurity('prov-tpm', TPM), impostor = new TpmSecurity('prov-tpm', OTHER_TPM);
	const endorsementKey = security.ask('ek').toString('base64');

	const made = await body(service.createOrUpdateIndividualEnrollment({ registrationId: 'prov-tpm', deviceId: 'prov-tpm-device', attestation: { type: 'tpm', tpm: { endorsementKey } } }));
	assert.deepStrictEqual(made.attestation, { type: 'tpm', tpm: { endorsementKey } });
	assert.deepStrictEqual(await body(service.getIndividualEnrollmentAttestationMechanism('prov-tpm')), made.attestation);

	const state = await register(security);
	assert.strictEqual(state.assignedHub, HUB);
	assert.strictEqual(state.deviceId, 'prov-tpm-device');
	await send(security, state);
	await assert.rejects(register(impostor));

	// An update sends back what a look gave; the keys stay.
	await service.createOrUpdateIndividualEnrollment(await body(service.getIndividualEnrollment('prov-tpm')));
	await send(security, state);
	await send(security, await register(security));
	assert.throws(() => create(security, new ProvisioningMqtt())); // the SDK knows that TPMs do not do that
	await service.deleteIndividualEnrollment('prov-tpm');
	await assert.rejects(register(security));
	console.log(JSON.stringify({ ok: true }));
}

main().catch((why) => {
	console.error(why);
	process.exit(1);
});
