/* SPDX-License-Identifier: Apache-2.0 */
/* Readings from `first` (the oldest that is not acknowledged) to `next` (the next new one) are kept in a ring; `resend` walks it again after a connection was lost.  What is
 * acknowledged is written down only then, so the list never holds a reading that the server may have lost. */
#include "device/sensor.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "common/service.h"
#include "device/device_link.h"
#include "wire/property_bag.h"
#include "wire/sas.h"

#define TOKEN_LIFE_S 3600
#define PAGE_MAX 65536

struct reading {
	double temperature, humidity;
	bool acked;
};

struct sensor {
	const struct sensor_config *config;
	struct loop *loop;
	struct device_link *link;
	struct timer timer; /* for the next reading */
	struct reading ring[SENSOR_IN_FLIGHT_MAX];
	int64_t first, resend, next;
	int64_t next_at_ms; /* boot clock */
	enum sensor_end end;
	bool told;
};

static struct reading *
reading_at(struct sensor *s, int64_t seq)
{
	return &s->ring[seq % SENSOR_IN_FLIGHT_MAX];
}

/* Between 18 and 26 degrees. */
static void
measure(struct reading *r, int64_t seq)
{
	r->temperature = round((22 + 4 * sin((double)seq / 7) + random_below(100) / 250.0) * 10) / 10;
	r->humidity = 40 + random_below(200) / 10.0;
	r->acked = false;
}

/* -- Sending -------------------------------------------------------------------------------------------------------------------------- */

static void
send_reading(struct sensor *s, int64_t seq)
{
	const struct reading *r = reading_at(s, seq);
	OWN_TEXT number = mem_textf("%lld", (long long)seq);
	OWN_TEXT payload = mem_textf("{\"temperature\":%.1f,\"humidity\":%.1f,\"seq\":%s}", r->temperature, r->humidity, number);
	struct buf bag = BUF_INIT(256);

	property_put(&bag, "$.ct", "application/json");
	property_put(&bag, "$.ce", "utf-8");
	property_put(&bag, "seq", number);
	device_link_publish(s->link,
		&(struct device_message){ .bag = slice_of(buf_text(&bag)), .payload = slice_of(payload), .qos = 1 }, (uint64_t)seq);
	buf_clear(&bag);
}

static bool
may_measure(struct sensor *s)
{
	const struct sensor_config *c = s->config;
	int64_t left = s->next_at_ms - clock_boot_ms();

	if ((c->count > 0 && s->next >= c->count) || s->next - s->first >= (int64_t)c->in_flight)
		return false;
	if (c->interval_ms == 0 || left <= 0)
		return true;
	timer_arm(&s->timer, left);
	return false;
}

static void
send_more(struct sensor *s)
{
	while (device_link_may_publish(s->link)) {
		if (s->resend < s->next) {
			if (!reading_at(s, s->resend)->acked)
				send_reading(s, s->resend);
			s->resend++;
			continue;
		}
		if (!may_measure(s))
			return;
		s->next_at_ms = clock_boot_ms() + s->config->interval_ms;
		measure(reading_at(s, s->next), s->next);
		send_reading(s, s->next++);
		s->resend = s->next;
	}
}

static void
on_timer(struct timer *timer)
{
	send_more(CONTAINER_OF(timer, struct sensor, timer));
}

/* -- What the link says ----------------------------------------------------------------------------------------------------------------- */

static void
ask_token(struct device_link *link, void *user)
{
	const struct sensor_config *c = ((struct sensor *)user)->config;
	OWN_TEXT resource = mem_textf("%s/devices/%s", c->hub_host, c->device_id);
	int64_t expires = clock_wall() + TOKEN_LIFE_S;
	struct buf token = BUF_INIT(SAS_TOKEN_MAX);

	sas_sign(&token, resource, expires, NULL, c->key);
	device_link_token(link, buf_text(&token), expires);
	buf_wipe(&token);
}

static void
on_up(struct device_link *link, void *user)
{
	struct sensor *s = user;

	(void)link;
	log_info("connected to %s port %d as %s", s->config->host, s->config->port, s->config->device_id);
	s->resend = s->first;
	send_more(s);
}

static void
write_acked(const struct sensor_config *c, int64_t seq)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "%lld\n", (long long)seq);

	if (write(c->acked_fd, line, (size_t)len) != len)
		log_error("the list of acknowledged readings: %s", strerror(errno));
}

static void
tell_acked(struct sensor *s, int64_t seq)
{
	const struct sensor_config *c = s->config;
	const struct reading *r = reading_at(s, seq);

	if (c->acked_fd >= 0)
		write_acked(c, seq);
	if (c->json)
		printf("{\"seq\":%lld,\"temperature\":%.1f,\"humidity\":%.1f,\"acknowledged\":true}\n", (long long)seq,
			r->temperature, r->humidity);
	else if (!c->quiet)
		printf("reading %lld: %.1f °C, %.1f %%, acknowledged\n", (long long)seq, r->temperature, r->humidity);
	fflush(stdout);
}

static void
on_acked(struct device_link *link, void *user, uint64_t cookie)
{
	struct sensor *s = user;
	int64_t seq = (int64_t)cookie;

	if (seq < s->first || seq >= s->next || reading_at(s, seq)->acked)
		return;
	reading_at(s, seq)->acked = true;
	tell_acked(s, seq);
	while (s->first < s->next && reading_at(s, s->first)->acked)
		s->first++;
	if (s->config->count > 0 && s->first >= s->config->count) {
		s->end = SENSOR_ALL_ACKED;
		device_link_stop(link);
	} else {
		send_more(s);
	}
}

static enum sensor_end
meaning(enum device_client_end end)
{
	if (end == DEVICE_CLIENT_UNTRUSTED)
		return SENSOR_UNTRUSTED;
	return end == DEVICE_CLIENT_REFUSED ? SENSOR_REFUSED : SENSOR_UNREACHABLE;
}

static bool
on_down(struct device_link *link, void *user, enum device_client_end end, uint8_t code, const char *why)
{
	struct sensor *s = user;
	const struct sensor_config *c = s->config;
	bool may_change = end == DEVICE_CLIENT_UNREACHABLE || end == DEVICE_CLIENT_CLOSED || code == 3; /* 3: the server is busy */

	(void)link;
	timer_cancel(&s->timer);
	s->end = meaning(end);
	if (end == DEVICE_CLIENT_REFUSED)
		log_warn("%s does not let %s in: CONNACK %d, %s", c->host, c->device_id, code, why);
	else if (end != DEVICE_CLIENT_UNTRUSTED)
		log_warn("%s port %d: %s", c->host, c->port, why);
	if (c->retry && may_change)
		return true;
	loop_stop(s->loop);
	return false;
}

static void
on_stopped(struct device_link *link, void *user)
{
	struct sensor *s = user;

	(void)link;
	loop_stop(s->loop);
}

/* Once; and for people a refusal in full, because somebody has to do something about it. */
static void
on_verdict(struct device_link *link, void *user, const struct verdict *verdict)
{
	struct sensor *s = user;
	struct buf page = BUF_INIT(PAGE_MAX);

	(void)link;
	if (s->told)
		return;
	s->told = true;
	if (verdict_accepted(verdict) || log_format() == LOG_JSON) {
		service_log_verdict(verdict);
		return;
	}
	verdict_print(verdict, &page, isatty(STDERR_FILENO));
	fputs(buf_text(&page), stderr);
	buf_clear(&page);
}

static const struct device_link_ops by_key = {
	.ask_token = ask_token,
	.on_up = on_up,
	.on_acked = on_acked,
	.on_down = on_down,
	.on_stopped = on_stopped,
	.on_verdict = on_verdict,
};
static const struct device_link_ops by_certificate = {
	.on_up = on_up,
	.on_acked = on_acked,
	.on_down = on_down,
	.on_stopped = on_stopped,
	.on_verdict = on_verdict,
};

/* -- All of it --------------------------------------------------------------------------------------------------------------------------- */

enum sensor_end
sensor_run(const struct sensor_config *config)
{
	struct sensor *s = NEW(sensor);
	struct device_client_config target = {
		.host = config->host,
		.connect_to = config->connect_to,
		.port = config->port,
		.hub_host = config->hub_host,
		.device_id = config->device_id,
		.tls = config->tls,
		.who = "device",
		.max_in_flight = config->in_flight,
		.answer_within_ms = config->timeout_ms,
	};
	enum sensor_end end;

	s->config = config;
	s->end = SENSOR_UNREACHABLE;
	s->loop = loop_new("device");
	timer_init(&s->timer, s->loop, on_timer);
	s->link = device_link_new(s->loop, &target, config->key ? &by_key : &by_certificate, s);
	loop_handle_signals(s->loop, NULL, NULL);
	device_link_start(s->link);
	loop_run(s->loop);
	timer_cancel(&s->timer);
	device_link_free(s->link);
	loop_free(s->loop);
	end = s->end;
	mem_free(s);
	return end;
}
