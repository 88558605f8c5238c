// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iot-device client over HTTPS.  WHAT: send, batch, large, refused.  With KEY by a token, with CERT and CERT_KEY by a certificate.  Prints one JSON line.
'use strict';
const fs = require('fs');
const assert = require('assert');
const { Client, Message } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');

const policy = { receivePolicy: { interval: 1 } }; // without it the client's setOptions never answers

async function client() {
	const { HUB, DEVICE, KEY, CERT, CERT_KEY } = process.env;
	const c = Client.fromConnectionString(`HostName=${HUB};DeviceId=${DEVICE};${CERT ? 'x509=true' : 'SharedAccessKey=' + KEY}`, Http);
	await c.setOptions(CERT ? { cert: fs.readFileSync(CERT, 'utf8'), key: fs.readFileSync(CERT_KEY, 'utf8'), http: policy } : { http: policy });
	await c.open();
	return c;
}

function message(i) {
	const m = new Message(JSON.stringify({ n: i, text: 'grüße & "quotes"' }));
	m.messageId = 'id-' + i;
	m.correlationId = 'c-' + i;
	m.contentType = 'application/json';
	m.contentEncoding = 'utf-8';
	m.properties.add('n', String(i));
	m.properties.add('weird', 'value/with+all #?&=%');
	m.properties.add('empty', '');
	return m;
}

const rejects = (promise, name) => assert.rejects(promise, (e) => e.name === name);

const deeds = {
	async send(c) {
		for (let i = 0; i < 5; i++)
			await c.sendEvent(message(i));
		await Promise.all([5, 6, 7, 8, 9].map((i) => c.sendEvent(message(i))));
	},
	async batch(c) {
		await c.sendEventBatch([0, 1, 2, 3, 4].map((i) => {
			const m = new Message('text ' + i);
			m.properties.add('n', String(i));
			return m;
		}));
	},
	async large(c) {
		await c.sendEvent(new Message('x'.repeat(250000)));
		await rejects(c.sendEvent(new Message('x'.repeat(300000))), 'MessageTooLargeError');
	},
	async refused(c) {
		await rejects(c.sendEvent(new Message('x')), 'UnauthorizedError');
	},
};

async function main() {
	const c = await client();
	console.log(JSON.stringify((await deeds[process.env.WHAT](c)) || {}));
	process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
