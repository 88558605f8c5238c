// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iothub Registry client with many devices at once, with modules, and the refusals of both.  Prints one JSON line.
'use strict';
const assert = require('assert');
const { Registry } = require('azure-iothub');

const names = (n) => Array.from({ length: n }, (_, i) => ({ deviceId: 'bulk-' + i, status: 'enabled' }));

// A bulk that has refused items: 200 with isSuccessful false, or an ArgumentError with the answer's body.
async function refused(promise) {
	let body;
	try {
		body = (await promise).responseBody;
	} catch (e) {
		assert.strictEqual(e.name, 'ArgumentError');
		body = typeof e.responseBody === 'string' ? JSON.parse(e.responseBody) : e.responseBody;
	}
	assert.strictEqual(body.isSuccessful, false);
	return Object.fromEntries(body.errors.map((e) => [e.deviceId, e.errorCode]));
}

async function main() {
	const registry = Registry.fromConnectionString(process.env.CONNECTION_STRING);

	const added = (await registry.addDevices(names(100))).responseBody;
	assert.deepStrictEqual(added, { isSuccessful: true, errors: [], warnings: [] });
	const first = (await registry.get('bulk-0')).responseBody;
	assert.ok(Buffer.from(first.authentication.symmetricKey.primaryKey, 'base64').length === 32);
	assert.ok((await registry.list()).responseBody.filter((d) => d.deviceId.startsWith('bulk-')).length === 100);

	assert.deepStrictEqual(await refused(registry.addDevices([{ deviceId: 'bulk-0' }, { deviceId: 'bulk-new' }])), { 'bulk-0': 'DeviceAlreadyExists' });
	assert.strictEqual((await registry.get('bulk-new')).responseBody.deviceId, 'bulk-new');
	await assert.rejects(registry.addDevices([{ deviceId: 'twice' }, { deviceId: 'twice' }]), { name: 'ArgumentError' });
	await assert.rejects(registry.get('twice'), { name: 'DeviceNotFoundError' });

	// By etag, and by force.
	const one = (await registry.get('bulk-1')).responseBody;
	const two = (await registry.get('bulk-2')).responseBody;
	one.status = two.status = 'disabled';
	assert.ok((await registry.updateDevices([one, two], false)).responseBody.isSuccessful);
	assert.deepStrictEqual(await refused(registry.updateDevices([one], false)), { 'bulk-1': 'PreconditionFailed' });
	assert.ok((await registry.updateDevices([one], true)).responseBody.isSuccessful);
	const after = (await registry.get('bulk-1')).responseBody;
	assert.strictEqual(after.status, 'disabled');
	assert.strictEqual(after.authentication.symmetricKey.primaryKey, one.authentication.symmetricKey.primaryKey);
	assert.deepStrictEqual(await refused(registry.updateDevices([{ deviceId: 'bulk-nobody' }], true)), { 'bulk-nobody': 'DeviceNotFound' });

	assert.deepStrictEqual(await refused(registry.removeDevices([one], false)), { 'bulk-1': 'PreconditionFailed' });
	assert.ok((await registry.removeDevices([after], false)).responseBody.isSuccessful);
	assert.ok((await registry.removeDevices(names(100).filter((d) => d.deviceId !== 'bulk-1' && d.deviceId !== 'bulk-3'), true)).responseBody.isSuccessful);
	await assert.rejects(registry.get('bulk-0'), { name: 'DeviceNotFoundError' });

	const module = (await registry.addModule({ deviceId: 'bulk-3', moduleId: 'm1' })).responseBody;
	assert.strictEqual(module.moduleId, 'm1');
	assert.deepStrictEqual((await registry.getModulesOnDevice('bulk-3')).responseBody.map((m) => m.moduleId), ['m1']);
	await assert.rejects(registry.addModule({ deviceId: 'bulk-3', moduleId: 'm1' }), { name: 'DeviceAlreadyExistsError' });
	assert.strictEqual((await registry.getModule('bulk-3', 'm1')).responseBody.deviceId, 'bulk-3');
	await assert.rejects(registry.getModule('bulk-3', 'm2'));
	await registry.removeModule('bulk-3', 'm1');
	assert.deepStrictEqual((await registry.getModulesOnDevice('bulk-3')).responseBody, []);

	const statistics = (await registry.getRegistryStatistics()).responseBody;
	assert.ok(statistics.totalDeviceCount >= 2);
	console.log(JSON.stringify({ key: (await registry.get('bulk-3')).responseBody.authentication.symmetricKey.primaryKey }));
}

main().catch((e) => { console.error(e, e.responseBody); process.exit(1); });
