// SPDX-License-Identifier: Apache-2.0
// A digital twin with azure-iothub's DigitalTwinClient, its commands answered by azure-iot-device.  Prints one JSON line.
'use strict';
const { DigitalTwinClient, IoTHubTokenCredentials } = require('azure-iothub');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const { HUB, DEVICE, KEY, CONNECTION_STRING } = process.env;

// What the client makes of an answer has the answer in it.
const command = async (promise) => {
	const answer = await promise;
	return { status: answer.xMsCommandStatuscode, payload: JSON.parse(answer._response.bodyAsText) };
};

async function main() {
	const twins = new DigitalTwinClient(new IoTHubTokenCredentials(CONNECTION_STRING));
	const device = Client.fromConnectionString(`HostName=${HUB};DeviceId=${DEVICE};SharedAccessKey=${KEY}`, Mqtt);
	const patience = { connectTimeoutInSeconds: 20 };
	const out = {};

	await device.setOptions({ modelId: 'dtmi:com:example:TemperatureController;1' });
	await device.open();
	for (const name of ['reboot', 'thermostat1*report'])
		device.onDeviceMethod(name, (request, response) => response.send(207, { did: name, with: request.payload }));
	await twins.updateDigitalTwin(DEVICE, [{ op: 'add', path: '/thermostat1/target', value: 20.5 }]);
	out.twin = JSON.parse((await twins.getDigitalTwin(DEVICE))._response.bodyAsText);
	out.root = await command(twins.invokeCommand(DEVICE, 'reboot', { delay: 3 }, patience));
	out.component = await command(twins.invokeComponentCommand(DEVICE, 'thermostat1', 'report', {}, patience));
	await device.close();
	console.log(JSON.stringify(out));
}

main().then(() => process.exit(0), (e) => {
	console.error(e);
	process.exit(1);
});
