/* SPDX-License-Identifier: Apache-2.0 */
/* One look a second, and a connection for each new sentence (roots_report.h). */
#include "identityd/roots_report.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "device/device_client.h"
#include "identityd/backoff.h"
#include "pki/root_line.h"
#include "wire/json.h"
#include "wire/uri.h"

#define LOOK_EVERY_MS 1000
#define HEED_EVERY_MS 200 /* whether it is time to stop, while the hub is waited for */
#define AUTHORIZATION "Authorization: "

struct roots_report {
	struct roots_report_config config;
	pthread_t thread;
	char *told; /* the sentence that the hub has, and which hub that is */
	int64_t failures, next_ms;
};

/* -- One connection ------------------------------------------------------------------------------------------------------------------ */

struct telling {
	struct loop *loop;
	struct device_client *client;
	struct timer timer;
	struct cloud *cloud;
	const char *patch;
	int status; /* of the answer */
	bool has_ended;
	struct err *err; /* why it has */
};

static void
on_connected(struct device_client *client, void *user)
{
	(void)user;
	device_client_listen(client, DEVICE_WANTS_ANSWERS);
}

static void
on_listening(void *user, unsigned granted)
{
	struct telling *t = user;

	(void)granted;
	if (!device_client_report(t->client, slice_of(t->patch), 0))
		device_client_break(t->client, "it takes nothing that is reported");
}

static void
on_twin(void *user, uint64_t cookie, int status, int64_t version, struct slice body)
{
	struct telling *t = user;

	(void)cookie;
	(void)version;
	(void)body;
	t->status = status;
	device_client_close(t->client);
}

static void
on_acked(struct device_client *client, void *user, uint64_t cookie)
{
	(void)client;
	(void)user;
	(void)cookie;
}

static void
on_end(struct device_client *client, void *user, enum device_client_end end, uint8_t code, const char *why)
{
	struct telling *t = user;

	(void)client;
	(void)code;
	t->client = NULL;
	t->has_ended = true;
	if (t->status == 0)
		err_set(t->err, end == DEVICE_CLIENT_REFUSED ? ERR_DENIED : ERR_UNAVAILABLE, "%s", why);
	else if (t->status / 100 != 2)
		err_set(t->err, ERR_BROKEN, "it answers with %d", t->status);
}

static void
on_timer(struct timer *timer)
{
	struct telling *t = CONTAINER_OF(timer, struct telling, timer);

	if (t->client && atomic_load(&t->cloud->stopping))
		device_client_break(t->client, "it is time to stop");
	else
		timer_arm(timer, HEED_EVERY_MS);
}

static int
tell_on_loop(struct telling *t, struct device_client_config *target, struct err *err)
{
	static const struct device_client_ops ops = { .on_connected = on_connected, .on_acked = on_acked, .on_end = on_end };
	static const struct device_told_ops told = { .on_listening = on_listening, .on_twin = on_twin };

	target->told = &told;
	target->told_user = t;
	timer_init(&t->timer, t->loop, on_timer);
	t->client = device_client_connect(t->loop, target, &ops, t, err);
	if (!t->client)
		return -1;
	timer_arm(&t->timer, HEED_EVERY_MS);
	loop_run_until(t->loop, &t->has_ended);
	timer_cancel(&t->timer);
	return err->kind == ERR_NONE ? 0 : -1;
}

/* Below a parent gateway it is that which is spoken to, as for all else, and the hub which is meant. */
static int
connect_and_tell(
	struct roots_report *r, const struct device_info *device, struct anchors *anchors, const char *patch, struct err *err)
{
	OWN_TEXT host = NULL;
	OWN_TEXT hub = NULL;
	int port;
	OWN_TEXT resource = uri_parse_host(device->gateway_host, &host, &port, err) == 0 &&
					    uri_parse_host(device->hub_name, &hub, &port, err) == 0
				    ? mem_textf("%s/devices/%s", hub, device->device_id)
				    : NULL;
	CLEAR(credential_use) use = { 0 };
	struct telling t = { .cloud = r->config.cloud, .patch = patch, .err = err };
	struct device_client_config target = { .host = host,
		.connect_to = r->config.address,
		.port = r->config.port,
		.hub_host = hub,
		.device_id = device->device_id,
		.who = "edge" };
	int status;

	if (!resource || device_credential_use(&use, r->config.credential, resource, NULL, err) < 0)
		return -1;
	target.token = use.authorization ? use.authorization + strlen(AUTHORIZATION) : NULL;
	target.tls = tls_client_new(
		&(struct tls_client_config){
			.who = "edge", .anchors = anchors, .chain = use.key ? &use.chain : NULL, .key = use.key },
		err);
	if (!target.tls)
		return -1;
	t.loop = loop_new("roots");
	status = tell_on_loop(&t, &target, err);
	loop_free(t.loop);
	tls_client_free(target.tls);
	return status;
}

/* -- When ---------------------------------------------------------------------------------------------------------------------------- */

static void
take_outcome(struct roots_report *r, int status, const char *sentence, const struct err *err)
{
	int64_t wait;

	if (status == 0) {
		mem_free(r->told);
		r->told = mem_text(sentence);
		r->failures = 0;
		log_info("the hub knows which roots are trusted here");
		return;
	}
	wait = backoff_ms(++r->failures, err->kind, -1, random_u64());
	r->next_ms = clock_boot_ms() + wait;
	log_at(r->failures == 1 ? LOG_INFO : LOG_DEBUG,
		"the hub is not told yet which roots are trusted here, trying again in %lld s: %s", (long long)(wait + 999) / 1000,
		err->text);
}

/* Who this device is comes first: provisioning says how that goes. */
static void
look(struct roots_report *r)
{
	struct err err = ERR_INIT;
	OWN(device_info) device = provisioner_device(r->config.provisioner, &err);
	OWN(anchors) anchors = device ? cloud_roots_now(&r->config.cloud->roots) : NULL;
	OWN_LIB(json_t) patch = anchors ? root_line_tell(anchors_certs(anchors)) : NULL;
	OWN_TEXT words = patch ? json_line(patch) : NULL;
	OWN_TEXT sentence = words ? mem_textf("%s %s %s", device->hub_name, device->device_id, words) : NULL;

	if (!sentence || text_is(sentence, r->told) || clock_boot_ms() < r->next_ms)
		return;
	take_outcome(r, connect_and_tell(r, device, anchors, words, &err), sentence, &err);
}

static void *
run(void *arg)
{
	struct roots_report *r = arg;

	while (cloud_pause(r->config.cloud, LOOK_EVERY_MS))
		look(r);
	return NULL;
}

struct roots_report *
roots_report_start(const struct roots_report_config *config, struct err *err)
{
	struct roots_report *r = NEW(roots_report);
	int error;

	r->config = *config;
	error = pthread_create(&r->thread, NULL, run, r);
	if (error == 0)
		return r;
	mem_free(r);
	errno = error;
	err_errno(err, "the thread that tells the hub of roots");
	return NULL;
}

void
roots_report_stop(struct roots_report *r)
{
	if (!r)
		return;
	pthread_join(r->thread, NULL);
	mem_free(r->told);
	mem_free(r);
}
