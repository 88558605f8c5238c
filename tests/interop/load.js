// SPDX-License-Identifier: Apache-2.0
// Unmodified azure-iot-device clients, one for each of CASES, which send one message after the other, numbered from 0, until there is a line on standard input.  Prints {"connected": N}, and at the end
// how many each has sent.
'use strict';
const fs = require('fs');
const readline = require('readline');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const { HUB, GATEWAY, CASES, CA } = process.env;
let enough = false;

async function load(c) {
	let n = 0;
	do
		await c.sendEvent(new Message(String(n++)));
	while (!enough);
	return n;
}

async function main() {
	const ca = fs.readFileSync(CA, 'utf8');
	const clients = await Promise.all(JSON.parse(CASES).map(async ({ device, key }) => {
		const c = Client.fromConnectionString(`HostName=${HUB};DeviceId=${device};SharedAccessKey=${key};GatewayHostName=${GATEWAY}`, Mqtt);
		await c.setOptions({ ca });
		await c.open();
		return c;
	}));
	const loads = clients.map(load);
	console.log(JSON.stringify({ connected: clients.length }));
	readline.createInterface({ input: process.stdin }).once('line', () => { enough = true; });
	console.log(JSON.stringify({ sent: await Promise.all(loads) }));
	process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
