/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TempSensor: readings of a temperature that wanders, sent one after the other until as many as wanted are acknowledged.  A reading that was on its way when the
 * connection broke is sent again under its own number. */

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "net/tls.h"

#define SENSOR_IN_FLIGHT_MAX 4096

enum sensor_end { SENSOR_ALL_ACKED, SENSOR_UNTRUSTED, SENSOR_USAGE, SENSOR_UNREACHABLE, SENSOR_REFUSED };

struct sensor_config {
	const char *host, *connect_to; /* the name that the server must prove; where TCP goes */
	int port;
	const char *hub_host, *device_id;
	const struct secret *key; /* NULL: by certificate */
	struct tls_client *tls;
	int64_t count, interval_ms; /* 0: without end; 0: as fast as they are acknowledged */
	int64_t timeout_ms;	    /* for the server to be reached, and again to let it in; 0: 30 s */
	size_t in_flight;
	bool retry, json, quiet;
	int acked_fd; /* a line for each acknowledged number, or -1 */
};

/* Runs until it is done, or SIGTERM. */
enum sensor_end sensor_run(const struct sensor_config *config);
