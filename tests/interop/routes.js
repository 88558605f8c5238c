// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iot-device as two modules of an edge device and a device below its gateway: what the device measures comes to an input of `filter`, which passes on through an output what is
// warm; `sensor` sends to `filter` through outputs of its own, also while that is away, and what is urgent goes first.  The routes are the gateway's.  MODULES has the environment of each module.
// Prints one JSON line with what came to the inputs of `filter`.
'use strict';
const assert = require('assert');
const { Client, ModuleClient, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const { MODULES, LEAF, LEAF_KEY, HUB, CA, GATEWAY } = process.env;

async function open(name) {
	Object.assign(process.env, JSON.parse(MODULES)[name]); // which is where it looks
	const client = await ModuleClient.fromEnvironment(Mqtt);
	await client.open();
	return client;
}

function message(body, properties) {
	const m = new Message(JSON.stringify(body));
	m.contentType = 'application/json';
	m.contentEncoding = 'utf-8';
	for (const [name, value] of Object.entries(properties || {}))
		m.properties.add(name, value);
	return m;
}

// Calls `each` for every message of an input until there were n of them.
function takes(client, n, each) {
	const got = [];
	return new Promise((resolve, reject) => {
		client.on('inputMessage', (input, m) => {
			const one = { input, body: JSON.parse(m.getData()), properties: Object.fromEntries(m.properties.propertyList.map((p) => [p.key, p.value])), type: m.contentType };
			client.complete(m, (e) => e && reject(e));
			got.push(one);
			Promise.resolve(each && each(one)).then(() => got.length === n && resolve(got), reject);
		});
	});
}

async function main() {
	const sensor = await open('sensor');
	let filter = await open('forward');
	const leaf = Client.fromConnectionString(`HostName=${HUB};DeviceId=${LEAF};SharedAccessKey=${LEAF_KEY};GatewayHostName=${GATEWAY}`, Mqtt);
	await leaf.setOptions({ ca: CA });
	await leaf.open();

	// The filter: of six, three are warm, and the routes give it no others.
	const warm = takes(filter, 3, (one) => filter.sendOutputEvent('alarms', message({ alarm: one.body.temperature }, { of: LEAF })));
	for (const temperature of [20, 31, 25, 32, 29.9, 33])
		await leaf.sendEvent(message({ temperature }, { unit: '°C' }));
	const first = await warm;
	await filter.close();

	// What comes while it is away waits, what is urgent before the rest.
	for (let n = 0; n < 4; n++) {
		await sensor.sendOutputEvent('readings', message({ n }, { urgent: 'no' }));
		await sensor.sendOutputEvent('readings', message({ n }, { urgent: 'yes' }));
	}
	await sensor.sendOutputEvent('nowhere', message({ lost: true }));
	filter = await open('forward');
	const second = await takes(filter, 8);
	for (const client of [filter, sensor, leaf])
		await client.close();
	console.log(JSON.stringify({ first, second }));
	process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
