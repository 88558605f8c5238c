// SPDX-License-Identifier: Apache-2.0
// The unmodified provisioning device client over MQTT, and over WebSocket with TRANSPORT=MqttWs: by key and by certificate, alone and in groups, and refused.
'use strict';
const fs = require('fs');
const assert = require('assert');
const crypto = require('crypto');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const transports = require('azure-iot-provisioning-device-mqtt');
const { X509Security } = require('azure-iot-security-x509');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');

const { SERVICE, PROVISIONING, ID_SCOPE, TRANSPORT, OWN, OWN_KEY, LEAF, LEAF_KEY, PLANT, HUB } = process.env;
const read = (path) => fs.readFileSync(path, 'utf8');
const derive = (key, id) => crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(id).digest('base64');
const name = (what) => `${TRANSPORT.toLowerCase()}-${what}`;

async function register(security) {
	return ProvisioningDeviceClient.create(PROVISIONING, ID_SCOPE, new transports[TRANSPORT](), security).register();
}

async function registers(id, security) {
	const state = await register(security);
	assert.deepStrictEqual([state.status, state.assignedHub, state.deviceId, state.registrationId], ['assigned', HUB, id, id]);
}

async function main() {
	const service = ProvisioningServiceClient.fromConnectionString(SERVICE);
	const key = crypto.randomBytes(64).toString('base64');
	const keys = { attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key, secondaryKey: key } } };
	const certs = (kind, path) => ({ attestation: { type: 'x509', x509: { [kind]: { primary: { certificate: read(path) } } } } });

	await service.createOrUpdateIndividualEnrollment({ registrationId: name('key'), ...keys });
	await registers(name('key'), new SymmetricKeySecurityClient(name('key'), key));
	await assert.rejects(register(new SymmetricKeySecurityClient(name('key'), crypto.randomBytes(64).toString('base64'))), /Not authorized/);

	await service.createOrUpdateEnrollmentGroup({ enrollmentGroupId: name('keys'), ...keys });
	await registers(name('member'), new SymmetricKeySecurityClient(name('member'), derive(key, name('member'))));

	const own = { cert: read(OWN), key: read(OWN_KEY) };
	await service.createOrUpdateIndividualEnrollment({ registrationId: name('cert'), ...certs('clientCertificates', OWN) });
	await registers(name('cert'), new X509Security(name('cert'), own));

	const leaf = { cert: read(LEAF), key: read(LEAF_KEY) };
	await assert.rejects(register(new X509Security(name('leaf'), leaf)), /Not authorized/);
	await service.createOrUpdateEnrollmentGroup({ enrollmentGroupId: name('plant'), ...certs('signingCertificates', PLANT) });
	await registers(name('leaf'), new X509Security(name('leaf'), leaf));
	await assert.rejects(register(new X509Security(name('other'), leaf)), /Not authorized/);
	console.log(JSON.stringify({ ok: true }));
}

main().catch((why) => {
	console.error(why);
	process.exit(1);
});
