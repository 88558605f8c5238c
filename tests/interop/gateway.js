// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iot-device client of a device or module below a gateway, and the service's azure-iothub client at the hub: for each line of standard input ("round", "renew", "end") telemetry,
// direct methods, twin and commands go once around; "renew" has the client renew its token first, which it does without subscribing again.  "see JSON" waits until the program is told of these desired
// properties, and finds them in a twin that it gets.  Prints one JSON line each.
// MODE: sas or x509; MODULE: a module of the device.  NAME: all that the client is told of the gateway and the hub, with MODE sas.  EXPECT=refused wants the connection to be refused.
'use strict';
const assert = require('assert');
const fs = require('fs');
const readline = require('readline');
const { Client, ModuleClient, Message, SharedAccessKeyAuthenticationProvider, X509AuthenticationProvider } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Registry, Client: ServiceClient } = require('azure-iothub');

const { MODE, HUB, GATEWAY, NAME, DEVICE, MODULE, KEY, CERT, CERT_KEY, CA, CONNECTION_STRING, TOKEN, EDGE_LOG, EXPECT } = process.env;
const registry = Registry.fromConnectionString(CONNECTION_STRING);
const service = ServiceClient.fromConnectionString(CONNECTION_STRING);
const auth = MODE === 'x509'
	? new X509AuthenticationProvider({ host: HUB, deviceId: DEVICE, gatewayHostName: GATEWAY, x509: { cert: fs.readFileSync(CERT, 'utf8'), key: fs.readFileSync(CERT_KEY, 'utf8') } })
	: SharedAccessKeyAuthenticationProvider.fromConnectionString(
		`HostName=${NAME || HUB};DeviceId=${DEVICE}${MODULE ? ';ModuleId=' + MODULE : ''};SharedAccessKey=${KEY}${NAME ? '' : ';GatewayHostName=' + GATEWAY}`);
const client = (MODULE ? ModuleClient : Client).fromAuthenticationProvider(auth, Mqtt);
const body = async (promise) => (await promise).responseBody;
const readTwin = () => body(MODULE ? registry.getModuleTwin(DEVICE, MODULE) : registry.getTwin(DEVICE));

async function waitFor(condition) {
	for (;;) {
		const value = await condition();
		if (value)
			return value;
		await new Promise((resolve) => setTimeout(resolve, 20)); // between two looks
	}
}

// After a restart its subscription is at the hub a moment after its connection.
async function invoke(methodName, payload) {
	const params = { methodName, payload, responseTimeoutInSeconds: 30, connectTimeoutInSeconds: 30 };
	return (await (MODULE ? service.invokeDeviceMethod(DEVICE, MODULE, params) : service.invokeDeviceMethod(DEVICE, params))).result;
}

const report = (twin, patch) => new Promise((resolve, reject) => twin.properties.reported.update(patch, (e) => (e ? reject(e) : resolve())));
const send = async (text) => {
	const answer = await fetch(`https://${HUB}/devices/${DEVICE}/messages/devicebound?api-version=2021-04-12`, { method: 'POST', body: text, headers: { Authorization: TOKEN } });
	assert.strictEqual(answer.status, 201);
};

const got = [], told = [];
let twin;

async function round(n) {
	const message = new Message(JSON.stringify({ round: n }));
	message.properties.add('n', String(n));
	await client.sendEvent(message);

	assert.deepStrictEqual(await invoke('echo', { round: n, text: 'grüße' }), { status: 200, payload: { got: { round: n, text: 'grüße' } } });
	assert.strictEqual((await invoke('fail', null)).status, 500);

	const patch = { properties: { desired: { round: n, nested: { a: n } } } };
	const version = (await body(MODULE ? registry.updateModuleTwin(DEVICE, MODULE, patch, '*') : registry.updateTwin(DEVICE, patch, '*'))).properties.desired.$version;
	await waitFor(() => told.some((delta) => delta.$version === version && delta.round === n));
	await report(twin, { firmware: { version: '1.' + n, ['only' + n]: true } });
	await report(twin, { firmware: { ['only' + n]: null } });
	await waitFor(async () => JSON.stringify((await readTwin()).properties.reported.firmware) === JSON.stringify({ version: '1.' + n }));
	await assert.rejects(report(twin, { 'bad.name': 1 }), (e) => /bad\.name/.test(e.message));
	const fresh = await (MODULE ? ModuleClient : Client).prototype.getTwin.call(client);
	assert.strictEqual(fresh.properties.desired.round, n);
	assert.strictEqual(fresh.properties.reported.firmware.version, '1.' + n);

	if (MODULE)
		return;
	await send('command ' + n);
	await waitFor(() => got.includes('command ' + n));
	await waitFor(async () => (await body(registry.get(DEVICE))).cloudToDeviceMessageCount === 0);
}

async function see(wanted) {
	const has = (desired) => Object.entries(wanted).every(([name, value]) => JSON.stringify(desired[name]) === JSON.stringify(value));
	const delta = await waitFor(() => told.find((d) => has(Object.assign({}, ...told.slice(0, told.indexOf(d) + 1)))));
	assert.ok(has(twin.properties.desired));
	const fresh = await (MODULE ? ModuleClient : Client).prototype.getTwin.call(client);
	assert.ok(has(fresh.properties.desired) && fresh.properties.desired.$version === delta.$version, JSON.stringify(fresh.properties.desired));
	return delta.$version;
}

// How often the gateway has let it in.
function nOpened() {
	const name = MODULE ? DEVICE + '/' + MODULE : DEVICE;
	const verdicts = fs.readFileSync(EDGE_LOG, 'utf8').split('\n').filter((line) => line.includes('"verdict"') && line.includes('"role":"gateway"')).map((line) => JSON.parse(line).verdict);
	return verdicts.filter((v) => v.peer === name && v.accepted).length;
}

async function renew() {
	const opened = nOpened();
	auth.setTokenRenewalValues(3600, 900); // which renews at once
	await waitFor(() => nOpened() > opened);
}

async function main() {
	await client.setOptions({ ca: fs.readFileSync(CA, 'utf8') });
	if (EXPECT === 'refused') {
		await assert.rejects(client.open(), (e) => e.name === 'UnauthorizedError' && /Not authorized/.test(e.message));
		console.log(JSON.stringify({ refused: true }));
		process.exit(0);
	}
	await client.open();
	const onMethod = (MODULE ? client.onMethod : client.onDeviceMethod).bind(client);
	onMethod('echo', (request, response) => response.send(200, { got: request.payload }, (e) => assert.ifError(e)));
	onMethod('fail', (request, response) => response.send(500, { no: true }, (e) => assert.ifError(e)));
	twin = await client.getTwin();
	twin.on('properties.desired', (delta) => told.push(JSON.parse(JSON.stringify(delta))));
	if (!MODULE)
		client.on('message', (m) => { got.push(m.data.toString()); client.complete(m, (e) => assert.ifError(e)); });
	let n = 0;
	for await (const line of readline.createInterface({ input: process.stdin })) {
		if (line === 'end')
			break;
		if (line.startsWith('see ')) {
			console.log(JSON.stringify({ version: await see(JSON.parse(line.slice(4))) }));
			continue;
		}
		if (line === 'renew')
			await renew();
		await round(++n);
		console.log(JSON.stringify({ round: n }));
	}
	await client.close();
	console.log(JSON.stringify({ rounds: n }));
	process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
