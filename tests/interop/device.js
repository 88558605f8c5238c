// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iot-device client over MQTT: connect, send COUNT messages with properties, prove that each was acknowledged, leave.
// MODE: sas, x509, sas-gateway, x509-gateway; WEBSOCKET: on port 443.  Prints one JSON line; EXPECT=refused wants the connection to be refused.
'use strict';
const fs = require('fs');
const assert = require('assert');
const { Client, Message, X509AuthenticationProvider } = require('azure-iot-device');
const { Mqtt: MqttTcp, MqttWs } = require('azure-iot-device-mqtt');
const Mqtt = process.env.WEBSOCKET ? MqttWs : MqttTcp;

function client() {
	const { MODE, HUB, GATEWAY, DEVICE, KEY, CERT, CERT_KEY } = process.env;
	const x509 = CERT && { cert: fs.readFileSync(CERT, 'utf8'), key: fs.readFileSync(CERT_KEY, 'utf8') };
	if (MODE === 'x509-gateway')
		return Client.fromAuthenticationProvider(new X509AuthenticationProvider({ host: HUB, deviceId: DEVICE, gatewayHostName: GATEWAY, x509 }), Mqtt);
	const gateway = MODE.endsWith('gateway') ? ';GatewayHostName=' + GATEWAY : '';
	if (MODE === 'x509') {
		const c = Client.fromConnectionString(`HostName=${HUB};DeviceId=${DEVICE};x509=true`, Mqtt);
		c.setOptions(x509);
		return c;
	}
	return Client.fromConnectionString(`HostName=${HUB};DeviceId=${DEVICE};SharedAccessKey=${KEY}${gateway}`, Mqtt);
}

function message(i) {
	const m = new Message(JSON.stringify({ n: i, text: 'grüße & "quotes"' }));
	m.messageId = 'id-' + i;
	m.contentType = 'application/json';
	m.contentEncoding = 'utf-8';
	m.properties.add('n', String(i));
	m.properties.add('weird key&=%', 'value/with+all #?&=% ü');
	m.properties.add('empty', '');
	return m;
}

async function main() {
	const c = client();
	await c.setOptions({ ca: process.env.WEBSOCKET ? fs.readFileSync(process.env.CA, 'utf8') : process.env.CA }); // a file's name is understood for MQTT alone
	if (process.env.EXPECT === 'refused') {
		await assert.rejects(c.open(), (e) => e.name === 'UnauthorizedError' && /Not authorized/.test(e.message));
		console.log(JSON.stringify({ refused: true }));
		process.exit(0);
	}
	await c.open();
	const count = Number(process.env.COUNT || 100);
	const all = [];
	for (let i = 0; i < count; i++)
		all.push(c.sendEvent(message(i)));
	await Promise.all(all);
	await c.close();
	console.log(JSON.stringify({ sent: count }));
}

main().catch((e) => { console.error(e); process.exit(1); });
