// SPDX-License-Identifier: Apache-2.0
// What else the unmodified azure-iothub and azure-iot-device clients can ask of a hub, and what they make of a no: modules by etag, jobs that this hub hasn't, wrong keys, unknown
// names; a module's outputs, the two halves of an upload, a renewed token.  Prints one JSON line.
'use strict';
const assert = require('assert');
const fs = require('fs');
const https = require('https');
const { Registry, Client: ServiceClient } = require('azure-iothub');
const { Client, ModuleClient, Message, SharedAccessSignature } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const { HUB, CA, CONNECTION_STRING } = process.env;
const ca = fs.readFileSync(CA, 'utf8');
const registry = Registry.fromConnectionString(CONNECTION_STRING);
const body = async (promise) => (await promise).responseBody;

async function checkModules() {
	await registry.create({ deviceId: 'ops', status: 'enabled' });
	const made = await body(registry.addModule({ deviceId: 'ops', moduleId: 'm1', managedBy: 'somebody' }));
	const changed = await body(registry.updateModule({ ...made, managedBy: 'another' }));
	assert.strictEqual(changed.managedBy, 'another');
	assert.notStrictEqual(changed.etag, made.etag);
	assert.strictEqual(changed.authentication.symmetricKey.primaryKey, made.authentication.symmetricKey.primaryKey);
	await assert.rejects(registry.updateModule({ ...made, managedBy: 'late' }), { name: 'InvalidEtagError' });
	assert.strictEqual((await body(registry.updateModule({ ...made, managedBy: 'forced' }, true))).managedBy, 'forced');
	await assert.rejects(registry.updateModule({ ...made, moduleId: 'none' }, true), (e) => /Not found/i.test(e.message));
	// By a module, this client takes a callback only.
	await assert.rejects(new Promise((resolve, reject) => registry.removeModule(made, (e) => (e ? reject(e) : resolve()))), { name: 'InvalidEtagError' });
	return body(registry.getModule('ops', 'm1'));
}

// The code of a refusal stands in the header and in the body; 404s other than a device's are 'Not found' to this client.
async function checkUnknown() {
	const code = async (promise, status, name) => assert.rejects(promise, (e) => {
		const said = typeof e.responseBody === 'string' ? e.responseBody : JSON.stringify(e.responseBody);
		assert.strictEqual((e.response || {}).statusCode ?? status, status, said);
		assert.ok(said.includes(name), said);
		return true;
	});
	await code(registry.get('nobody'), 404, 'DeviceNotFound');
	await code(registry.delete('nobody'), 404, 'DeviceNotFound');
	await code(registry.update({ deviceId: 'nobody' }), 404, 'DeviceNotFound');
	await code(registry.getTwin('nobody'), 404, 'DeviceNotFound');
	await code(registry.updateTwin('nobody', { tags: {} }, '*'), 404, 'DeviceNotFound');
	await code(registry.getModulesOnDevice('nobody'), 404, 'DeviceNotFound');
	await code(registry.getModule('ops', 'none'), 404, 'ModuleNotFound');
	await code(registry.getModuleTwin('ops', 'none'), 404, 'ModuleNotFound');
	await code(registry.getConfiguration('none'), 404, 'ConfigurationNotFound');
	await code(registry.removeConfiguration('none'), 404, 'ConfigurationNotFound');
	await code(registry.importDevicesFromBlob('https://x/in', 'https://x/out'), 404, 'FeatureNotSupported');
	await code(registry.exportDevicesToBlob('https://x/out', false), 404, 'FeatureNotSupported');
	await code(registry.listJobs(), 404, 'FeatureNotSupported');
	await code(registry.getJob('none'), 404, 'FeatureNotSupported');
	await code(registry.cancelJob('none'), 404, 'FeatureNotSupported');
}

async function checkWrongKey() {
	const text = CONNECTION_STRING.replace(/SharedAccessKey=.*/, 'SharedAccessKey=' + Buffer.alloc(32).toString('base64'));
	const bad = Registry.fromConnectionString(text);
	const unauthorized = { name: 'UnauthorizedError' };
	for (const ask of [() => bad.list(), () => bad.create({ deviceId: 'x' }), () => bad.getTwin('ops'), () => bad.getModule('ops', 'm1'), () => bad.getConfigurations(),
		() => bad.getRegistryStatistics(), () => bad.addDevices([{ deviceId: 'x' }]), () => bad.removeDevices([{ deviceId: 'ops' }], true),
		() => bad.createQuery('SELECT * FROM devices').next(), () => ServiceClient.fromConnectionString(text).invokeDeviceMethod('ops', { methodName: 'm' })])
		await assert.rejects(ask(), unauthorized);
	await registry.get('ops'); // it is still there
	await assert.rejects(registry.get('x'), { name: 'DeviceNotFoundError' });
}

// The client has no call for it.
function serviceStatistics() {
	const token = registry._restApiClient._config.sharedAccessSignature;
	const text = typeof token === 'string' ? token : token.toString();
	return new Promise((resolve, reject) => https.get({ host: HUB, path: '/statistics/service?api-version=2021-04-12', headers: { Authorization: text } }, (answer) => {
		let data = '';
		answer.on('data', (piece) => { data += piece; }).on('end', () => resolve(JSON.parse(data)));
	}).on('error', reject));
}

async function checkOutputs(module) {
	const client = ModuleClient.fromConnectionString(`HostName=${HUB};DeviceId=ops;ModuleId=m1;SharedAccessKey=${module.authentication.symmetricKey.primaryKey}`, Mqtt);
	await client.setOptions({ ca });
	await client.open();
	assert.ok((await serviceStatistics()).connectedDeviceCount >= 1);
	const message = new Message('from an output');
	message.properties.add('n', '1');
	await client.sendOutputEvent('out1', message);
	await client.close();
}

// A module calls another one of its device: the SDK asks for that where it says its gateway is.
async function checkModuleCallsModule(module) {
	const callee = await body(registry.addModule({ deviceId: 'ops', moduleId: 'callee' }));
	const connect = async (id, key) => {
		const client = ModuleClient.fromConnectionString(`HostName=${HUB};DeviceId=ops;ModuleId=${id};SharedAccessKey=${key};GatewayHostName=${HUB}`, Mqtt);
		await client.setOptions({ ca });
		await client.open();
		return client;
	};
	const listening = await connect('callee', callee.authentication.symmetricKey.primaryKey);
	listening.onMethod('add', (request, response) => response.send(200, { sum: request.payload.a + request.payload.b }));
	const calling = await connect('m1', module.authentication.symmetricKey.primaryKey);
	const ask = (deviceId) => calling.invokeMethod(deviceId, 'callee', { methodName: 'add', payload: { a: 3, b: 4 }, responseTimeoutInSeconds: 10, connectTimeoutInSeconds: 10 });
	assert.deepStrictEqual((({ status, payload }) => ({ status, payload }))(await ask('ops')), { status: 200, payload: { sum: 7 } });
	await assert.rejects(ask('somebody-else'), (e) => e.name === 'UnauthorizedError');
	await calling.close();
	await listening.close();
}

function put(place, data) {
	const path = `/${place.containerName}/${encodeURIComponent(place.blobName).replace(/%2F/g, '/')}${place.sasToken}`;
	return new Promise((resolve, reject) => {
		const [host, port] = place.hostName.split(':');
		https.request({ host, port: port || 443, path, method: 'PUT', headers: { 'x-ms-blob-type': 'BlockBlob', 'Content-Length': data.length } }, (answer) => {
			answer.resume().on('end', () => resolve(answer.statusCode));
		}).on('error', reject).end(data);
	});
}

async function checkUploadByHand() {
	const key = (await body(registry.get('ops'))).authentication.symmetricKey.primaryKey;
	const client = Client.fromConnectionString(`HostName=${HUB};DeviceId=ops;SharedAccessKey=${key}`, Mqtt);
	await client.setOptions({ ca });
	await client.open();
	const place = await client.getBlobSharedAccessSignature('by-hand.bin');
	assert.strictEqual(await put(place, Buffer.from('0123456789')), 201);
	await client.notifyBlobUploadStatus(place.correlationId, true, 200, 'done');
	await assert.rejects(client.notifyBlobUploadStatus(place.correlationId, true, 200, 'done again'));
	await client.close();

	const soon = SharedAccessSignature.create(HUB, 'ops', key, Math.floor(Date.now() / 1000) + 600).toString();
	const later = SharedAccessSignature.create(HUB, 'ops', key, Math.floor(Date.now() / 1000) + 1200).toString();
	const renewed = Client.fromSharedAccessSignature(soon, Mqtt);
	await renewed.setOptions({ ca });
	await renewed.open();
	await renewed.sendEvent(new Message('before'));
	await renewed.updateSharedAccessSignature(later);
	await renewed.sendEvent(new Message('after'));
	await renewed.close();
}

async function main() {
	const module = await checkModules();
	await checkUnknown();
	await checkWrongKey();
	await checkOutputs(module);
	await checkModuleCallsModule(module);
	await checkUploadByHand();
	await registry.removeModule('ops', 'm1');
	await registry.delete('ops');
	console.log(JSON.stringify({ done: true }));
}

main().catch((e) => { console.error(e, e.responseBody); process.exit(1); });
