// SPDX-License-Identifier: Apache-2.0
// A digital twin with azure-iothub's DigitalTwinClient, its commands answered by azure-iot-device.  Prints one JSON line.
const { DigitalTwinClient, IoTHubTokenCredentials } = require('azure-iothub');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const [service, device] = process.argv.slice(2);

async function main() {
	const out = {};
	const twins = new DigitalTwinClient(new IoTHubTokenCredentials(service));
	const id = /DeviceId=([^;]+)/.exec(device)[1];
	const client = Client.fromConnectionString(device, Mqtt);
	await client.setOptions({ modelId: 'dtmi:com:example:TemperatureController;1', ca: process.env.NODE_EXTRA_CA_CERTS });
	await client.open();
	for (const name of ['reboot', 'thermostat1*report'])
		client.onDeviceMethod(name, (request, response) => response.send(207, { did: name, with: request.payload }));
	await new Promise(resolve => setImmediate(resolve));
	await twins.updateDigitalTwin(id, [{ op: 'add', path: '/thermostat1/target', value: 20.5 }]);
	const read = await twins.getDigitalTwin(id);
	out.twin = read.body || read;
	const invoke = async (call) => { const r = await call(); return { status: r.statusCode, payload: r.payload || r.body || r.result }; };
	for (let i = 0; ; i++)
		try {
			out.root = await invoke(() => twins.invokeCommand(id, 'reboot', { delay: 3 }, { connectTimeoutInSeconds: 20 }));
			break;
		} catch (e) {
			if (i === 3) throw e;
		}
	out.component = await invoke(() => twins.invokeComponentCommand(id, 'thermostat1', 'report', {}, { connectTimeoutInSeconds: 20 }));
	await client.close();
	console.log(JSON.stringify(out));
}

main().catch(e => { console.error(e); process.exit(1); });
