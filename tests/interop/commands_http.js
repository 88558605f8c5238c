// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iot-device client asks for commands over HTTPS: it abandons the first one once, rejects the second and completes the rest.  Prints one JSON line.
'use strict';
const assert = require('assert');
const { Client } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');

const { HUB, DEVICE, KEY, TOKEN } = process.env;

async function send(body, headers) {
	const answer = await fetch(`https://${HUB}/devices/${DEVICE}/messages/devicebound?api-version=2021-04-12`, { method: 'POST', body, headers: { Authorization: TOKEN, ...headers } });
	assert.strictEqual(answer.status, 201, await answer.text());
}

async function main() {
	for (let i = 0; i < 4; i++)
		await send('grüße ' + i, { 'iothub-messageid': 'h' + i, 'iothub-ack': 'full', 'iothub-app-n': String(i) });
	const client = Client.fromConnectionString(`HostName=${HUB};DeviceId=${DEVICE};SharedAccessKey=${KEY}`, Http);
	await client.setOptions({ http: { receivePolicy: { interval: 1 } } });
	await client.open();
	const got = [];
	await new Promise((resolve, reject) => {
		client.on('message', async (m) => {
			try {
				got.push(m.data.toString());
				assert.strictEqual(m.messageId, 'h' + m.data.toString().slice(-1));
				if (got.length === 1)
					await client.abandon(m);
				else if (m.messageId === 'h1')
					await client.reject(m);
				else
					await client.complete(m);
				if (got.length === 5)
					resolve();
			} catch (e) {
				reject(e);
			}
		});
	});
	assert.deepStrictEqual([...got].sort(), ['grüße 0', 'grüße 0', 'grüße 1', 'grüße 2', 'grüße 3']);
	console.log(JSON.stringify({ received: got.length }));
	process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
