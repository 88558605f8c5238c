// SPDX-License-Identifier: Apache-2.0
// Clients that send one message after the other, numbered from 0, until there is a line on standard input.  Prints {"connected": N}, and at the end how many each has sent.
'use strict';
const readline = require('readline');
const { Message } = require('azure-iot-device');
const connectAll = require('./clients');

let enough = false;

async function load(c) {
	let n = 0;
	do
		await c.sendEvent(new Message(String(n++)));
	while (!enough);
	return n;
}

async function main() {
	const clients = await connectAll();
	const loads = clients.map(load);
	console.log(JSON.stringify({ connected: clients.length }));
	readline.createInterface({ input: process.stdin }).once('line', () => { enough = true; });
	console.log(JSON.stringify({ sent: await Promise.all(loads) }));
	process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
