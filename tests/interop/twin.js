// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iot-device client of a device or module (MQTT; with WEBSOCKET in a WebSocket) and the service's azure-iothub client on both ends of a twin and of direct
// methods; then the same again after the device has renewed its token, which it does without subscribing again.  Prints one JSON line.
'use strict';
const assert = require('assert');
const fs = require('fs');
const { Client, ModuleClient, SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { Registry, Client: ServiceClient } = require('azure-iothub');

const { HUB, DEVICE, MODULE, KEY, CONNECTION_STRING, CA, HUB_LOG, WEBSOCKET } = process.env;
const transport = WEBSOCKET ? MqttWs : Mqtt;
const ca = fs.readFileSync(CA, 'utf8'); // over WebSocket a file's name is not understood
const registry = Registry.fromConnectionString(CONNECTION_STRING);
const service = ServiceClient.fromConnectionString(CONNECTION_STRING);

const body = async (promise) => (await promise).responseBody;
const readTwin = () => body(MODULE ? registry.getModuleTwin(DEVICE, MODULE) : registry.getTwin(DEVICE));
const updateTwin = (patch, etag) => body(MODULE ? registry.updateModuleTwin(DEVICE, MODULE, patch, etag) : registry.updateTwin(DEVICE, patch, etag));

async function invoke(methodName, more) {
	const params = { methodName, responseTimeoutInSeconds: 5, connectTimeoutInSeconds: 10, ...more };
	return (await (MODULE ? service.invokeDeviceMethod(DEVICE, MODULE, params) : service.invokeDeviceMethod(DEVICE, params))).result;
}

function report(twin, patch) {
	return new Promise((resolve, reject) => twin.properties.reported.update(patch, (e) => (e ? reject(e) : resolve())));
}

async function waitFor(condition) {
	for (;;) {
		const value = condition();
		if (value)
			return value;
		await new Promise((resolve) => setTimeout(resolve, 10)); // between two looks
	}
}

// What the device is told after this change; the client first tells every new listener the whole of it, and keeps parts of what it told as its own.
const told = [];
async function desiredAfter(patch) {
	const version = (await updateTwin({ properties: { desired: patch } }, '*')).properties.desired.$version;
	return waitFor(() => told.find((delta) => delta.$version === version));
}

function nOpened() {
	const name = MODULE ? DEVICE + '/' + MODULE : DEVICE;
	const verdicts = fs.readFileSync(HUB_LOG, 'utf8').split('\n').filter((line) => line.includes('"verdict"')).map((line) => JSON.parse(line).verdict);
	return verdicts.filter((v) => v.peer === name && v.accepted).length;
}

async function checkTwin(twin, round) {
	const delta = await desiredAfter({ interval: round, nested: { a: round, b: { c: [round, 'ü'] } } });
	assert.deepStrictEqual(delta, { interval: round, nested: { a: round, b: { c: [round, 'ü'] } }, $version: twin.properties.desired.$version });
	assert.strictEqual(twin.properties.desired.nested.b.c[0], round);
	await desiredAfter({ nested: { b: null } });
	assert.deepStrictEqual(twin.properties.desired.nested, { a: round });
	assert.strictEqual(twin.properties.desired.interval, round);

	await report(twin, { firmware: { version: '1.' + round, old: true }, battery: 21.5 });
	await report(twin, { firmware: { old: null } });
	const seen = await readTwin();
	assert.deepStrictEqual(seen.properties.reported.firmware, { version: '1.' + round });
	assert.strictEqual(seen.properties.reported.battery, 21.5);
	assert.strictEqual(seen.properties.desired.$version, twin.properties.desired.$version);
	assert.ok(seen.properties.reported.$metadata.firmware.version.$lastUpdated);
	await assert.rejects(report(twin, { 'bad.name': 1 }), (e) => /bad\.name/.test(e.message));
	await assert.rejects(report(twin, { big: Array(9).fill('x'.repeat(4000)) }), (e) => /size/.test(e.message));
}

async function checkEtags() {
	const first = await readTwin();
	const second = await updateTwin({ tags: { site: { floor: 1 } } }, first.etag);
	assert.deepStrictEqual(second.tags, { site: { floor: 1 } });
	await assert.rejects(updateTwin({ tags: { site: { floor: 2 } } }, first.etag), { name: 'InvalidEtagError' });
	const third = await second.update({ tags: { site: { floor: null, room: 'b7' } } });
	assert.deepStrictEqual((third.responseBody ?? third.twin ?? third).tags ?? (await readTwin()).tags, { site: { room: 'b7' } });
}

async function checkMethods(round) {
	assert.deepStrictEqual(await invoke('echo', { payload: { round, text: 'grüße' } }), { status: 200, payload: { got: { round, text: 'grüße' } } });
	assert.deepStrictEqual(await invoke('echo', {}), { status: 200, payload: { got: null } });
	assert.strictEqual((await invoke('fail', { payload: 'x' })).status, 500);
	const many = await Promise.all(Array.from({ length: 10 }, (_, i) => invoke('echo', { payload: i })));
	assert.deepStrictEqual(many.map((r) => r.payload.got), Array.from({ length: 10 }, (_, i) => i));
}

async function main() {
	await assert.rejects(invoke('echo', { payload: 1, connectTimeoutInSeconds: 0 }), (e) => /not connected/.test(e.message) || /not connected/.test(e.responseBody));

	const auth = SharedAccessKeyAuthenticationProvider.fromConnectionString(
		`HostName=${HUB};DeviceId=${DEVICE}${MODULE ? ';ModuleId=' + MODULE : ''};SharedAccessKey=${KEY}`);
	const client = (MODULE ? ModuleClient : Client).fromAuthenticationProvider(auth, transport);
	await client.setOptions({ ca });
	await client.open();
	client.onMethod = (MODULE ? client.onMethod : client.onDeviceMethod).bind(client);
	client.onMethod('echo', (request, response) => response.send(200, { got: request.payload }, (e) => assert.ifError(e)));
	client.onMethod('fail', (request, response) => response.send(500, 'no', (e) => assert.ifError(e)));
	const twin = await client.getTwin();
	twin.on('properties.desired', (delta) => told.push(JSON.parse(JSON.stringify(delta))));
	assert.strictEqual((await waitFor(() => told[0])).$version, 1);

	await checkTwin(twin, 1);
	await checkEtags();
	await checkMethods(1);
	await assert.rejects(invoke('nobody-listens'), (e) => e.name === 'GatewayTimeoutError' || e.response?.statusCode === 504);

	const opened = nOpened();
	auth.setTokenRenewalValues(3600, 900); // which renews at once
	await waitFor(() => nOpened() > opened);
	await checkTwin(twin, 2);
	await checkMethods(2);
	await client.close();
	console.log(JSON.stringify({ opened: nOpened() }));
	process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
