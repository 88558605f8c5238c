// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iot-device client as every kind of downstream device (gateway 8.1): each of CASES connects through its gateway, sends a message and answers a direct method that the
// service calls (not with sendOnly), or is refused.  All at once.  Prints one JSON line.
'use strict';
const assert = require('assert');
const fs = require('fs');
const { Client, Message, SharedAccessKeyAuthenticationProvider, X509AuthenticationProvider } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { Client: ServiceClient } = require('azure-iothub');

const { HUB, CONNECTION_STRING } = process.env;
const service = ServiceClient.fromConnectionString(CONNECTION_STRING);

async function client({ device, gateway, key, cert, certKey, ca, websocket }) {
	const transport = websocket ? MqttWs : Mqtt;
	const provider = cert
		? new X509AuthenticationProvider({ host: HUB, deviceId: device, gatewayHostName: gateway, x509: { cert: fs.readFileSync(cert, 'utf8'), key: fs.readFileSync(certKey, 'utf8') } })
		: SharedAccessKeyAuthenticationProvider.fromConnectionString(`HostName=${HUB};DeviceId=${device};SharedAccessKey=${key};GatewayHostName=${gateway}`);
	const c = Client.fromAuthenticationProvider(provider, transport);
	await c.setOptions({ ca: fs.readFileSync(ca, 'utf8') });
	return c;
}

async function run(one) {
	const c = await client(one);
	if (one.refused) {
		await assert.rejects(c.open(), (e) => e.name === 'UnauthorizedError');
		return;
	}
	await c.open();
	c.onDeviceMethod('measure', (request, response) => response.send(200, { of: one.device, got: request.payload }, assert.ifError));
	await c.sendEvent(new Message('from ' + one.name));
	if (one.sendOnly) {
		await c.close();
		return;
	}
	const params = { methodName: 'measure', payload: one.name, responseTimeoutInSeconds: 30, connectTimeoutInSeconds: 30 };
	const { result } = await service.invokeDeviceMethod(one.device, params);
	assert.deepStrictEqual(result, { status: 200, payload: { of: one.device, got: one.name } });
	await c.close();
}

async function main() {
	const cases = JSON.parse(process.env.CASES);
	await Promise.all(cases.map((one) => run(one).catch((e) => { throw new Error(`${one.name}: ${e.stack} ${e.innerError || ''}`); })));
	console.log(JSON.stringify({ done: cases.length }));
	process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
