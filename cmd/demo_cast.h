/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The processes of the story, on 127.0.0.1 with free ports: ContosoIotHub, EdgeGateway with its roles, and TempSensor.  All
 * that they write lies in one folder. */

#include "child.h"

#define CAST_HUB_HOST "contosoiothub.local"
#define CAST_EDGE_HOST "edgegateway.local"
#define CAST_EDGE "EdgeGateway"
#define CAST_SENSOR "TempSensor"

struct cast {
	const char *dir; /* absolute; borrowed */
	int stop_fd;	 /* readable: end everything */
	struct child *hub, *edge;
};

int cast_start_hub(struct cast *cast, struct err *err);
int cast_register(struct cast *cast, struct err *err); /* EdgeGateway, and TempSensor as its child, at the hub's REST API */
int cast_start_edge(struct cast *cast, struct err *err);
void cast_clear(struct cast *cast); /* ends them, the edge first */

int cast_hub_mqtt_port(const struct cast *cast);
int cast_hub_https_port(const struct cast *cast);
int cast_gateway_port(const struct cast *cast); /* 0: the edge device has no gateway */
/* The one of the two that has ended although nobody asked it to, or NULL. */
const struct child *cast_find_ended(const struct cast *cast);

/* A device that says it is TempSensor. */
struct cast_device {
	const char *log;	/* the name of its log */
	const char *paper, *ca; /* what it shows, whom it trusts: names of papers */
	const char *gateway;	/* the name by which it looks for the gateway */
	int count;		/* readings to send */
};
int cast_run_device(struct cast *cast, const struct cast_device *device, struct err *err); /* its exit status, or -1 */

char *cast_log_path(const struct cast *cast, const char *name);
/* For programs: HostName=HOST:PORT;SharedAccessKeyName=iothubowner;SharedAccessKey=... */
char *cast_service_string(const struct cast *cast, struct err *err);
