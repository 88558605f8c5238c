// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iot-device client on port 443 alone: MQTT over WebSocket, and a file uploaded by the storage client that it brings.
// WHAT: send, upload.  With KEY by a token, with CERT and CERT_KEY by a certificate.  Prints one JSON line; EXPECT=refused wants the connection to be refused.
'use strict';
const fs = require('fs');
const assert = require('assert');
const { Readable } = require('stream');
const { Client, Message } = require('azure-iot-device');
const { MqttWs } = require('azure-iot-device-mqtt');

async function client() {
	const { HUB, DEVICE, KEY, CERT, CERT_KEY } = process.env;
	const ca = fs.readFileSync(process.env.CA, 'utf8'); // a file's name is understood for MQTT alone
	const c = Client.fromConnectionString(`HostName=${HUB};DeviceId=${DEVICE};${CERT ? 'x509=true' : 'SharedAccessKey=' + KEY}`, MqttWs);
	await c.setOptions(CERT ? { cert: fs.readFileSync(CERT, 'utf8'), key: fs.readFileSync(CERT_KEY, 'utf8'), ca } : { ca });
	return c;
}

async function send(c) {
	await c.open();
	const sizes = [0, 1, 100, 10000, 200000];
	for (let round = 0; round < 5; round++)
		await Promise.all(sizes.map((n, i) => {
			const m = new Message('x'.repeat(n));
			m.properties.add('n', `${round}.${i}`);
			return c.sendEvent(m);
		}));
	await c.close();
	return { sent: 5 * sizes.length };
}

async function upload(c) {
	const size = Number(process.env.SIZE);
	const content = Buffer.alloc(size, 'all work and no play ');
	await c.uploadToBlob(process.env.BLOB, Readable.from([content]), size);
	return { uploaded: size };
}

async function main() {
	const c = await client();
	if (process.env.EXPECT === 'refused') {
		await assert.rejects(c.open(), (e) => e.name === 'UnauthorizedError' && /Not authorized/.test(e.message));
		console.log(JSON.stringify({ refused: true }));
		process.exit(0);
	}
	console.log(JSON.stringify(await (process.env.WHAT === 'upload' ? upload(c) : send(c))));
	process.exit(0);
}

main().catch((e) => { console.error(e, e.innerError); process.exit(1); });
