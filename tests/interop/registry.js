// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iothub Registry client: create, read, update, list, delete.  Prints one JSON line.
'use strict';
const assert = require('assert');
const { Registry } = require('azure-iothub');

async function main() {
	const registry = Registry.fromConnectionString(process.env.CONNECTION_STRING);
	const thumbs = JSON.parse(process.env.THUMBPRINTS);

	const sas = (await registry.create({ deviceId: 'node-sas', status: 'enabled' })).responseBody;
	assert.strictEqual(sas.deviceId, 'node-sas');
	assert.strictEqual(sas.authentication.type, 'sas');
	assert.ok(Buffer.from(sas.authentication.symmetricKey.primaryKey, 'base64').length >= 16);
	assert.ok(sas.generationId && sas.etag);

	const x509 = (await registry.create({ deviceId: 'node-x509', status: 'enabled', authentication: { x509Thumbprint: thumbs } })).responseBody;
	assert.strictEqual(x509.authentication.type, 'selfSigned');
	assert.strictEqual(x509.authentication.x509Thumbprint.primaryThumbprint.toUpperCase(), thumbs.primaryThumbprint.toUpperCase());

	await assert.rejects(registry.create({ deviceId: 'node-sas' }), { name: 'DeviceAlreadyExistsError' });
	await assert.rejects(registry.get('node-nobody'), { name: 'DeviceNotFoundError' });

	const again = (await registry.get('node-sas')).responseBody;
	assert.strictEqual(again.generationId, sas.generationId);

	again.status = 'disabled';
	again.statusReason = 'maintenance';
	const updated = (await registry.update(again)).responseBody;
	assert.strictEqual(updated.status, 'disabled');
	assert.strictEqual(updated.statusReason, 'maintenance');
	assert.notStrictEqual(updated.etag, sas.etag);
	updated.status = 'enabled';
	await registry.update(updated);

	const odd = "odd id:.+%_#*?!(),=@;$'".replace(/ /g, '');
	await registry.create({ deviceId: odd });
	assert.strictEqual((await registry.get(odd)).responseBody.deviceId, odd);

	const ids = (await registry.list()).responseBody.map((d) => d.deviceId);
	assert.ok(ids.includes('node-sas') && ids.includes('node-x509') && ids.includes(odd));

	await registry.delete(odd);
	await assert.rejects(registry.get(odd), { name: 'DeviceNotFoundError' });

	const bad = Registry.fromConnectionString(process.env.CONNECTION_STRING.replace(/SharedAccessKey=.*/, 'SharedAccessKey=' + Buffer.alloc(32).toString('base64')));
	await assert.rejects(bad.get('node-sas'), { name: 'UnauthorizedError' });

	console.log(JSON.stringify({ key: sas.authentication.symmetricKey.primaryKey }));
}

main().catch((e) => { console.error(e); process.exit(1); });
