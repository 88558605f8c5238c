// SPDX-License-Identifier: Apache-2.0
// Unmodified azure-iot-device clients, one for each of CASES, that have connected to the gateway.
'use strict';
const fs = require('fs');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const { HUB, GATEWAY, CASES, CA } = process.env;

module.exports = async function connectAll() {
	const ca = fs.readFileSync(CA, 'utf8');
	return Promise.all(JSON.parse(CASES).map(async ({ device, key }) => {
		const c = Client.fromConnectionString(`HostName=${HUB};DeviceId=${device};SharedAccessKey=${key};GatewayHostName=${GATEWAY}`, Mqtt);
		await c.setOptions({ ca });
		await c.open();
		return c;
	}));
};
