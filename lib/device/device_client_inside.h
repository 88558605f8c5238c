/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the device's connection: device_client.c has its life and what it publishes, device_ear.c what it listens to and asks. */

#include "device/device_client.h"
#include "net/conn.h"
#include "wire/mqtt.h"

#define DEVICE_PACKET_MAX (512 * 1024)
#define DEVICE_QUEUED_ENOUGH (1024 * 1024) /* more is sent when the server has read that */

struct flight {
	uint16_t id;
	uint64_t cookie;
};

enum client_state { CLIENT_OPENING, CLIENT_WAITS_CONNACK, CLIENT_LIVE, CLIENT_ENDING };

struct device_client {
	const struct device_client_ops *ops;
	void *user;
	struct conn *conn;
	char *topic; /* up to the bag */
	char *who;
	struct buf connect; /* the packet to open with */
	struct buf packet;  /* what is being sent; its memory stays */
	struct flight *flights;
	size_t first, n_flights, max_flights;
	struct timer timer;
	enum client_state state;
	enum device_client_end end;
	uint8_t code;
	uint16_t next_id, keep_alive_s;
	int64_t last_sent_ms, last_heard_ms, answer_within_ms;
	bool told_verdict;
	struct device_ear *ear; /* NULL: it only speaks */
};

void device_client_fail(struct device_client *c, const char *why);
void device_client_send(struct device_client *c, struct buf *packet);
uint16_t device_client_next_id(struct device_client *c);

struct device_ear *device_ear_new(struct device_client *c, struct loop *loop, const struct device_client_config *config);
void device_ear_free(struct device_ear *ear);
void device_ear_close(struct device_ear *ear); /* nothing is told any more */
/* A packet that only who listens gets.  False: it is none of those. */
bool device_ear_take(struct device_ear *ear, const struct mqtt_frame *frame);
