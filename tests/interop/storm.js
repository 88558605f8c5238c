// SPDX-License-Identifier: Apache-2.0
// As many unmodified azure-iot-device clients as CASES has, at once: each connects and sends; "again" on standard input, after the gateway was lost, has each send again, by whatever the SDK does to
// come back.  Prints one JSON line each.
'use strict';
const fs = require('fs');
const readline = require('readline');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const { HUB, GATEWAY, CASES, CA } = process.env;

async function main() {
	const ca = fs.readFileSync(CA, 'utf8');
	const clients = await Promise.all(JSON.parse(CASES).map(async ({ device, key }) => {
		const c = Client.fromConnectionString(`HostName=${HUB};DeviceId=${device};SharedAccessKey=${key};GatewayHostName=${GATEWAY}`, Mqtt);
		await c.setOptions({ ca });
		await c.open();
		return c;
	}));
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
