// SPDX-License-Identifier: Apache-2.0
// The unmodified provisioning SDKs: the service client enrolls, the device client registers over HTTP, and the device client of the hub connects with what came of it.
'use strict';
const fs = require('fs');
const assert = require('assert');
const crypto = require('crypto');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { X509Security } = require('azure-iot-security-x509');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const { SERVICE, PROVISIONING, ID_SCOPE, OWN, OWN_KEY, LEAF, LEAF_KEY, PLANT, HUB, CA } = process.env;
const read = (path) => fs.readFileSync(path, 'utf8');
const derive = (key, id) => crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(id).digest('base64');

async function register(security) {
	const client = ProvisioningDeviceClient.create(PROVISIONING, ID_SCOPE, new Http(), security);
	return client.register();
}

async function connect(state, { key, x509 }) {
	const credential = key ? `SharedAccessKey=${key}` : 'x509=true';
	const client = Client.fromConnectionString(`HostName=${state.assignedHub};DeviceId=${state.deviceId};${credential}`, Mqtt);
	await client.setOptions(x509 ? { ...x509, ca: read(CA) } : { ca: read(CA) });
	await client.open();
	await client.close();
}

async function main() {
	const service = ProvisioningServiceClient.fromConnectionString(SERVICE);
	const key = crypto.randomBytes(64).toString('base64');

	const made = (await service.createOrUpdateIndividualEnrollment({ registrationId: 'prov-key', deviceId: 'prov-key-device',
		attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key, secondaryKey: key } } })).responseBody;
	assert.strictEqual(made.registrationId, 'prov-key');
	assert.ok(made.etag);
	const mechanism = (await service.getIndividualEnrollmentAttestationMechanism('prov-key')).responseBody;
	assert.strictEqual(mechanism.symmetricKey.primaryKey, key);
	let state = await register(new SymmetricKeySecurityClient('prov-key', key));
	assert.strictEqual(state.assignedHub, HUB);
	assert.strictEqual(state.deviceId, 'prov-key-device');
	await connect(state, { key });

	/* An update sends back what a look gave; the key stays. */
	await service.createOrUpdateIndividualEnrollment((await service.getIndividualEnrollment('prov-key')).responseBody);
	await register(new SymmetricKeySecurityClient('prov-key', key));
	await assert.rejects(register(new SymmetricKeySecurityClient('prov-key', crypto.randomBytes(64).toString('base64'))));

	await service.createOrUpdateEnrollmentGroup({ enrollmentGroupId: 'prov-keys',
		attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key, secondaryKey: key } } });
	state = await register(new SymmetricKeySecurityClient('prov-member', derive(key, 'prov-member')));
	await connect(state, { key: derive(key, 'prov-member') });

	const second = 'prov-member-2';
	await register(new SymmetricKeySecurityClient(second, derive(key, second)));
	const query = service.createEnrollmentGroupDeviceRegistrationStateQuery({ query: 'SELECT *' }, 'prov-keys', 1);
	const members = [];
	do
		members.push(...(await query.next(query.continuationToken)).responseBody);
	while (query.hasMoreResults);
	assert.deepStrictEqual(members.map((m) => m.registrationId), ['prov-member', second]);
	await service.deleteDeviceRegistrationState(members[1]);
	await assert.rejects(service.getDeviceRegistrationState(second), (e) => e.response.statusCode === 404);

	const own = { cert: read(OWN), key: read(OWN_KEY) };
	await service.createOrUpdateIndividualEnrollment({ registrationId: 'prov-cert',
		attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: own.cert } } } } });
	await connect(await register(new X509Security('prov-cert', own)), { x509: own });

	const leaf = { cert: read(LEAF), key: read(LEAF_KEY) };
	await assert.rejects(register(new X509Security('prov-leaf', leaf)));
	await service.createOrUpdateEnrollmentGroup({ enrollmentGroupId: 'prov-plant',
		attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: read(PLANT) } } } } });
	await connect(await register(new X509Security('prov-leaf', leaf)), { x509: leaf });
	await assert.rejects(register(new X509Security('prov-other', leaf)));

	assert.strictEqual((await service.getDeviceRegistrationState('prov-leaf')).responseBody.deviceId, 'prov-leaf');
	await assert.rejects(service.getIndividualEnrollment('prov-nobody'));
	await service.deleteIndividualEnrollment('prov-key');
	await assert.rejects(register(new SymmetricKeySecurityClient('prov-key', key)));
	console.log(JSON.stringify({ ok: true }));
}

main().catch((why) => {
	console.error(why);
	process.exit(1);
});
