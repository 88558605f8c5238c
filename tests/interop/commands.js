// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iot-device client over MQTT (with WEBSOCKET in a WebSocket) receives commands that a service sends over REST: what waited for it, many in order, and those after
// a renewal of its token, which subscribes to nothing.  Prints one JSON line.
'use strict';
const assert = require('assert');
const fs = require('fs');
const { Client, SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');

const { HUB, DEVICE, KEY, CA, HUB_LOG, TOKEN, WEBSOCKET } = process.env;
const transport = WEBSOCKET ? MqttWs : Mqtt;
const ca = fs.readFileSync(CA, 'utf8'); // over WebSocket a file's name is not understood
const API = '?api-version=2021-04-12';

async function rest(method, path, body, headers) {
	const answer = await fetch(`https://${HUB}${path}${API}`, { method, body, headers: { Authorization: TOKEN, ...headers } });
	const text = await answer.text();
	assert.ok(answer.ok, `${answer.status} ${text}`);
	return text ? JSON.parse(text) : undefined;
}
const send = (body, headers) => rest('POST', `/devices/${DEVICE}/messages/devicebound`, body, headers);

async function waitFor(condition) {
	for (;;) {
		const value = await condition();
		if (value)
			return value;
		await new Promise((resolve) => setTimeout(resolve, 10)); // between two looks
	}
}

function nOpened() {
	const verdicts = fs.readFileSync(HUB_LOG, 'utf8').split('\n').filter((line) => line.includes('"verdict"')).map((line) => JSON.parse(line).verdict);
	return verdicts.filter((v) => v.peer === DEVICE && v.accepted).length;
}

const got = [];
const texts = () => got.map((m) => m.data.toString());
const nothingPending = () => waitFor(async () => (await rest('GET', '/devices/' + DEVICE)).cloudToDeviceMessageCount === 0);

async function main() {
	const expiry = new Date(Date.now() + 600000).toISOString();
	await send('grüße', { 'iothub-messageid': 'm 1', 'iothub-correlationid': 'c/1', 'iothub-userid': 'u', 'iothub-contenttype': 'text/plain', 'iothub-contentencoding': 'utf-8',
		'iothub-expiry': expiry, 'iothub-ack': 'full', 'iothub-app-k': 'v 1/2&3=4%5', 'iothub-app-empty': '' });

	const auth = SharedAccessKeyAuthenticationProvider.fromConnectionString(`HostName=${HUB};DeviceId=${DEVICE};SharedAccessKey=${KEY}`);
	const client = Client.fromAuthenticationProvider(auth, transport);
	await client.setOptions({ ca });
	await client.open();
	client.on('message', (m) => { got.push(m); client.complete(m, (e) => assert.ifError(e)); });
	const first = await waitFor(() => got[0]);
	assert.strictEqual(first.data.toString(), 'grüße');
	assert.deepStrictEqual([first.messageId, first.correlationId, first.userId, first.contentType, first.contentEncoding, first.to],
		['m 1', 'c/1', 'u', 'text/plain', 'utf-8', `/devices/${DEVICE}/messages/devicebound`]);
	assert.strictEqual(new Date(first.expiryTimeUtc).getTime(), Math.floor(Date.parse(expiry) / 1000) * 1000);
	assert.strictEqual(first.properties.getValue('k'), 'v 1/2&3=4%5');
	assert.strictEqual(first.properties.getValue('empty'), '');
	assert.strictEqual(first.properties.getValue('iothub-ack'), 'full');

	const many = Array.from({ length: 40 }, (_, i) => 'n' + i);
	for (const text of many)
		await send(text);
	await waitFor(() => got.length === 41);
	assert.deepStrictEqual(texts().slice(1), many);
	await nothingPending();

	const opened = nOpened();
	auth.setTokenRenewalValues(3600, 900); // which renews at once
	await waitFor(() => nOpened() > opened);
	await send('after renewal');
	await waitFor(() => texts()[41] === 'after renewal');
	await nothingPending();

	await client.close(); // who comes again finds what waited, although its application listens late
	await send('while away');
	const again = Client.fromConnectionString(`HostName=${HUB};DeviceId=${DEVICE};SharedAccessKey=${KEY}`, transport);
	await again.setOptions({ ca });
	await again.open();
	await new Promise((resolve) => setTimeout(resolve, 500)); // the application is slow
	again.on('message', (m) => got.push(m));
	await waitFor(() => texts()[42] === 'while away');
	await nothingPending();
	await again.close();
	console.log(JSON.stringify({ received: got.length }));
	process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
