// SPDX-License-Identifier: Apache-2.0
// The unmodified azure-iothub Registry client: queries page by page, configurations, and the content of one gateway.  Prints one JSON line.
'use strict';
const assert = require('assert');
const { Registry, JobClient } = require('azure-iothub');

const registry = Registry.fromConnectionString(process.env.CONNECTION_STRING);
const body = async (promise) => (await promise).responseBody;

async function rows(text, size, next) {
	const query = registry.createQuery(text, size);
	const pages = [];

	do
		pages.push((await query[next]()).result);
	while (query.hasMoreResults);
	return pages;
}

async function waitFor(condition) {
	for (;;) {
		if (await condition())
			return;
		await new Promise((resolve) => setTimeout(resolve, 20)); // between two looks
	}
}

async function main() {
	for (let i = 0; i < 5; i++) {
		await registry.create({ deviceId: 'query-' + i, status: 'enabled' });
		await registry.updateTwin('query-' + i, { tags: { fleet: 'query', n: i } }, '*');
	}

	const pages = await rows("SELECT * FROM devices WHERE tags.fleet = 'query'", 2, 'nextAsTwin');
	assert.deepStrictEqual(pages.map((p) => p.map((t) => t.deviceId)), [['query-0', 'query-1'], ['query-2', 'query-3'], ['query-4']]);
	assert.strictEqual(pages[2][0].tags.n, 4);
	await pages[2][0].update({ tags: { n: 40 } }); // the twin of a row is one to work with

	const [[counted]] = await rows("SELECT COUNT() AS devices, MAX(tags.n) AS most FROM devices WHERE tags.fleet = 'query'", 10, 'next');
	assert.strictEqual(counted.devices, 5);
	assert.strictEqual(counted.most, 40);
	await assert.rejects(registry.createQuery('SELECT * FROM nowhere').nextAsTwin(), { name: 'ArgumentError' });

	const content = { deviceContent: { 'properties.desired.rate': 7 } };
	const made = await body(registry.addConfiguration({ id: 'query', content, targetCondition: "tags.fleet = 'query'", priority: 2, labels: { a: 'b' } }));
	assert.strictEqual(made.schemaVersion, '1.0');
	await assert.rejects(registry.addConfiguration({ id: 'query', content, targetCondition: '*', priority: 2 }));
	await waitFor(async () => (await body(registry.getConfiguration('query'))).systemMetrics.results.appliedCount === 5);
	assert.strictEqual((await body(registry.getTwin('query-3'))).properties.desired.rate, 7);
	const changed = await body(registry.updateConfiguration({ ...made, targetCondition: 'tags.n = 1' }, true));
	await assert.rejects(registry.updateConfiguration({ ...made, priority: 9 }), { name: 'InvalidEtagError' });
	assert.strictEqual(changed.targetCondition, 'tags.n = 1');
	await waitFor(async () => (await body(registry.getTwin('query-3'))).properties.desired.rate === undefined);
	assert.strictEqual((await body(registry.getTwin('query-1'))).properties.desired.rate, 7);
	assert.ok((await body(registry.getConfigurations())).some((c) => c.id === 'query'));
	await registry.removeConfiguration('query');

	await registry.create({ deviceId: 'query-gw', status: 'enabled', capabilities: { iotEdge: true } });
	await registry.applyConfigurationContentOnDevice('query-gw', { modulesContent: { $edgeAgent: { 'properties.desired': { schemaVersion: '1.1' } }, sim: { 'properties.desired.a': 1 } } });
	assert.strictEqual((await body(registry.getModuleTwin('query-gw', '$edgeAgent'))).properties.desired.schemaVersion, '1.1');
	assert.strictEqual((await body(registry.getModuleTwin('query-gw', 'sim'))).properties.desired.a, 1);

	const jobs = JobClient.fromConnectionString(process.env.CONNECTION_STRING);
	await assert.rejects(jobs.getJob('none'));
	await jobs.scheduleTwinUpdate('twins', "tags.fleet = 'query'", { etag: '*', tags: { job: true } }, new Date(), 60);
	await jobs.scheduleDeviceMethod('methods', "deviceId = 'query-0'", { methodName: 'm', payload: 1 }, new Date(), 60);
	await waitFor(async () => (await jobs.getJob('twins')).jobStatus.status === 'completed' && (await jobs.getJob('methods')).jobStatus.status === 'completed');
	assert.strictEqual((await body(registry.getTwin('query-3'))).tags.job, true);
	const [[outcome]] = await rows("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'methods'", 10, 'next');
	assert.strictEqual(outcome.status, 'failed'); // nobody is connected
	await jobs.scheduleTwinUpdate('never', '*', { tags: { never: true } }, new Date(Date.now() + 3600000), 60);
	assert.strictEqual((await jobs.cancelJob('never')).jobStatus.status, 'cancelled');
	assert.deepStrictEqual((await jobs.createQuery('scheduleUpdateTwin').next()).result.map((j) => j.jobId), ['never', 'twins']);

	console.log(JSON.stringify({ pages: pages.length }));
}

main().catch((e) => { console.error(e); process.exit(1); });
