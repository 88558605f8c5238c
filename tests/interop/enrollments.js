// SPDX-License-Identifier: Apache-2.0
// What else the unmodified azure-iot-provisioning-service client can ask: pages of enrollments, groups and registrations, many at once, and what is deleted.  Prints one JSON line.
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');

const service = ProvisioningServiceClient.fromConnectionString(process.env.SERVICE);
const body = async (promise) => (await promise).responseBody;
const key = () => crypto.randomBytes(64).toString('base64');
const symmetric = () => ({ type: 'symmetricKey', symmetricKey: { primaryKey: key(), secondaryKey: key() } });

// The client never settles the promise of this one; its callback it calls.
const bulk = (operation) => new Promise((resolve, reject) => service.runBulkEnrollmentOperation(operation, (e, result) => (e ? reject(e) : resolve(result))));

// Without a callback this client forgets by itself where it was.
async function pages(query) {
	const all = [];
	do
		all.push((await query.next(query.continuationToken)).responseBody);
	while (query.hasMoreResults);
	return all;
}

async function main() {
	const group = await body(service.createOrUpdateEnrollmentGroup({ enrollmentGroupId: 'ops-group', attestation: symmetric() }));
	assert.strictEqual((await body(service.getEnrollmentGroup('ops-group'))).etag, group.etag);
	assert.ok((await body(service.getEnrollmentGroupAttestationMechanism('ops-group'))).symmetricKey.primaryKey);
	assert.ok((await pages(service.createEnrollmentGroupQuery({ query: 'SELECT *' }, 10))).flat().some((g) => g.enrollmentGroupId === 'ops-group'));
	assert.deepStrictEqual(await pages(service.createEnrollmentGroupDeviceRegistrationStateQuery({ query: 'SELECT *' }, 'ops-group', 10)), [[]]);
	await assert.rejects(pages(service.createEnrollmentGroupDeviceRegistrationStateQuery({ query: 'SELECT *' }, 'ops-nobody', 10)), (e) => e.response.statusCode === 404);
	await assert.rejects(service.createOrUpdateEnrollmentGroup({ ...group, etag: 'AAAAAAAAAAE=' }), (e) => e.response.statusCode === 412);

	const enrollments = ['ops-1', 'ops-2', 'ops-3'].map((registrationId) => ({ registrationId, attestation: symmetric() }));
	assert.strictEqual((await bulk({ mode: 'create', enrollments })).isSuccessful, true);
	assert.strictEqual((await bulk({ mode: 'create', enrollments: [enrollments[0]] })).isSuccessful, false);
	const found = await pages(service.createIndividualEnrollmentQuery({ query: 'SELECT *' }, 2));
	assert.ok(found.length >= 2 && found.every((page) => page.length <= 2));
	assert.ok(found.flat().filter((e) => e.registrationId.startsWith('ops-')).length === 3);

	await assert.rejects(service.getDeviceRegistrationState('ops-1'), (e) => e.response.statusCode === 404);
	await assert.rejects(service.deleteDeviceRegistrationState('ops-1'), (e) => e.response.statusCode === 404);
	await service.deleteIndividualEnrollment('ops-1');
	await service.deleteIndividualEnrollment(await body(service.getIndividualEnrollment('ops-2')));
	await bulk({ mode: 'delete', enrollments: [enrollments[2]] });
	for (const id of ['ops-1', 'ops-2', 'ops-3'])
		await assert.rejects(service.getIndividualEnrollment(id), (e) => e.response.statusCode === 404);
	await service.deleteEnrollmentGroup('ops-group', group.etag);
	await assert.rejects(service.getEnrollmentGroup('ops-group'), (e) => e.response.statusCode === 404);

	const wrong = ProvisioningServiceClient.fromConnectionString(process.env.SERVICE.replace(/SharedAccessKey=.*/, 'SharedAccessKey=' + Buffer.alloc(32).toString('base64')));
	await assert.rejects(wrong.getEnrollmentGroup('ops-group'), (e) => e.response.statusCode === 401);
	console.log(JSON.stringify({ pages: found.length }));
}

main().catch((e) => { console.error(e, e.responseBody); process.exit(1); });
