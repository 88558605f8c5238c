// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iot-device as a module of an edge device: all it knows is what IoT Edge puts into a module's environment, its tokens are signed through the workload socket, and it trusts
// the bundle from there.  Straight to the hub it uses events, outputs, its twin and direct methods, also after a renewal of its token; through the gateway (IOTEDGE_GATEWAYHOSTNAME) it sends
// events, and calls methods of a device there (LEAF, LEAF_KEY) and of itself.  EXPECT=refused wants edged to refuse it.  Prints one JSON line.
'use strict';
const assert = require('assert');
const fs = require('fs');
const { Client, ModuleClient, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Registry, Client: ServiceClient } = require('azure-iothub');

const { CONNECTION_STRING, HUB_LOG, EXPECT, IOTEDGE_DEVICEID: DEVICE, IOTEDGE_MODULEID: MODULE, IOTEDGE_GATEWAYHOSTNAME: GATEWAY } = process.env;

async function waitFor(condition) {
	for (;;) {
		const value = await condition();
		if (value)
			return value;
		await new Promise((resolve) => setTimeout(resolve, 10)); // between two looks
	}
}

function message(i) {
	const m = new Message(JSON.stringify({ n: i, text: 'grüße & "quotes"' }));
	m.messageId = 'id-' + i;
	m.contentType = 'application/json';
	m.contentEncoding = 'utf-8';
	m.properties.add('n', String(i));
	m.properties.add('weird key&=%', 'value/with+all #?&=% ü');
	m.properties.add('empty', '');
	return m;
}

async function sends(client, from, to) {
	const all = [];
	for (let i = from; i < to; i++)
		all.push(client.sendEvent(message(i)));
	await Promise.all(all);
}

function nOpened() {
	const verdicts = fs.readFileSync(HUB_LOG, 'utf8').split('\n').filter((line) => line.includes('"verdict"')).map((line) => JSON.parse(line).verdict);
	return verdicts.filter((v) => v.peer === DEVICE + '/' + MODULE && v.accepted).length;
}

async function usesTwin(client, round) {
	const registry = Registry.fromConnectionString(CONNECTION_STRING);
	const version = (await registry.updateModuleTwin(DEVICE, MODULE, { properties: { desired: { round } } }, '*')).responseBody.properties.desired.$version;
	const twin = await client.getTwin();
	const told = [];
	twin.on('properties.desired', (delta) => told.push(delta.$version));
	await waitFor(() => told.includes(version) || twin.properties.desired.$version === version);
	assert.strictEqual(twin.properties.desired.round, round);
	await new Promise((resolve, reject) => twin.properties.reported.update({ round }, (e) => (e ? reject(e) : resolve())));
	assert.strictEqual((await registry.getModuleTwin(DEVICE, MODULE)).responseBody.properties.reported.round, round);
}

async function answersMethod(round) {
	const params = { methodName: 'measure', payload: { round }, responseTimeoutInSeconds: 10, connectTimeoutInSeconds: 10 };
	const { result } = await ServiceClient.fromConnectionString(CONNECTION_STRING).invokeDeviceMethod(DEVICE, MODULE, params);
	assert.deepStrictEqual(result, { status: 200, payload: { measured: round } });
}

async function straight(client) {
	await client.open();
	client.onMethod('measure', (request, response) => response.send(200, { measured: request.payload.round }, assert.ifError));
	await sends(client, 0, 10);
	await client.sendOutputEvent('out1', new Message('from an output'));
	await usesTwin(client, 1);
	await answersMethod(1);
	const opened = nOpened();
	client._transport._authenticationProvider.setTokenRenewalValues(3600, 900); // which renews at once
	await waitFor(() => nOpened() > opened);
	await usesTwin(client, 2);
	await answersMethod(2);
}

// invokeMethod has no api-version, and goes to port 443 of the gateway alone.
async function invokes(client) {
	const { LEAF, LEAF_KEY, HUB, CA } = process.env;
	const leaf = Client.fromConnectionString(`HostName=${HUB};DeviceId=${LEAF};SharedAccessKey=${LEAF_KEY};GatewayHostName=${GATEWAY}`, Mqtt);
	const call = (payload, connectTimeoutInSeconds) => ({ methodName: 'measure', payload, responseTimeoutInSeconds: 10, connectTimeoutInSeconds });
	const answers = (who) => (request, response) => response.send(201, { who, got: request.payload }, assert.ifError);
	await leaf.setOptions({ ca: CA });
	await leaf.open();
	await assert.rejects(client.invokeMethod(LEAF, call(0, 0)), /Not found/);
	leaf.onDeviceMethod('measure', answers('leaf'));
	assert.deepStrictEqual(await client.invokeMethod(LEAF, call({ n: 1 }, 10)), { status: 201, payload: { who: 'leaf', got: { n: 1 } } });
	client.onMethod('measure', answers('module'));
	assert.deepStrictEqual(await client.invokeMethod(DEVICE, MODULE, call('text', 10)), { status: 201, payload: { who: 'module', got: 'text' } });
	await leaf.close();
}

async function main() {
	const client = await ModuleClient.fromEnvironment(Mqtt);
	if (EXPECT === 'refused') {
		await assert.rejects(client.open(), (e) => (console.error(e), true));
		console.log(JSON.stringify({ refused: true }));
		process.exit(0);
	}
	if (GATEWAY) {
		await client.open();
		await sends(client, 0, 10);
		await invokes(client);
	} else {
		await straight(client);
	}
	await client.close();
	console.log(JSON.stringify({ opened: nOpened() }));
	process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
