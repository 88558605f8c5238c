// SPDX-License-Identifier: Apache-2.0
// Many clients at once: each connects and sends; "again" on standard input, after the gateway was lost, has each send again, by whatever the SDK does to come back.  Prints one JSON line each.
'use strict';
const readline = require('readline');
const { Message } = require('azure-iot-device');
const connectAll = require('./clients');

async function main() {
	const clients = await connectAll();
	const send = (text) => Promise.all(clients.map((c) => c.sendEvent(new Message(text))));
	await send('before');
	console.log(JSON.stringify({ connected: clients.length }));
	for await (const line of readline.createInterface({ input: process.stdin })) {
		await send(line);
		console.log(JSON.stringify({ sent: line }));
		break;
	}
	process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
