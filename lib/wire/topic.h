/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Topics and filters that devices use (hub 1.5 to 1.11): what kind it is and whose.  Ids are taken literally.  What is allowed
 * is the head's business. */

#include <stdbool.h>
#include <stdint.h>

#include "base/rd.h"

enum topic_kind {
	TOPIC_UNKNOWN,
	TOPIC_TELEMETRY,       /* devices/D[/modules/M]/messages/events/BAG */
	TOPIC_TWIN_GET,	       /* $iothub/twin/GET/?$rid=R */
	TOPIC_TWIN_REPORTED,   /* $iothub/twin/PATCH/properties/reported/?$rid=R */
	TOPIC_METHOD_RESPONSE, /* $iothub/methods/res/STATUS/?$rid=R */
	TOPIC_ISSUE_CERT,      /* $iothub/credentials/POST/issueCertificate/?$rid=R */
};

struct topic {
	enum topic_kind kind;
	struct slice device_id, module_id; /* empty where the kind has none */
	struct slice bag;		   /* telemetry */
	struct slice rid;		   /* the others: the text after "$rid=" */
	struct slice version;		   /* reported twin: the text after "$version=", or empty */
	struct slice status;		   /* method responses: a whole number */
};
struct topic topic_parse(struct slice text);

/* And those that it is told by. */
enum told_kind {
	TOLD_UNKNOWN,
	TOLD_COMMAND,	  /* devices/D[/modules/M]/messages/devicebound/BAG */
	TOLD_DESIRED,	  /* $iothub/twin/PATCH/properties/desired/?$version=V */
	TOLD_METHOD,	  /* $iothub/methods/POST/NAME/?$rid=R */
	TOLD_TWIN_ANSWER, /* $iothub/twin/res/STATUS/?$rid=R[&$version=V] */
};

struct told {
	enum told_kind kind;
	struct slice device_id, module_id, bag; /* a command's */
	struct slice name;			/* a method's, percent-encoded */
	struct slice rid;
	int status;
	int64_t version; /* 0: none was told */
};
struct told told_parse(struct slice text);

enum filter_kind {
	FILTER_UNKNOWN,
	FILTER_DEVICEBOUND,   /* devices/D[/modules/M]/messages/devicebound/# */
	FILTER_INPUTS,	      /* devices/D/modules/M/inputs/# */
	FILTER_MODULE_ALL,    /* devices/D/modules/M/# */
	FILTER_TWIN_RESPONSE, /* $iothub/twin/res/# */
	FILTER_TWIN_DESIRED,  /* $iothub/twin/PATCH/properties/desired/# */
	FILTER_METHODS,	      /* $iothub/methods/POST/# */
	FILTER_CREDENTIALS,   /* $iothub/credentials/res/# */
};
#define FILTER_KINDS (FILTER_CREDENTIALS + 1)

struct filter {
	enum filter_kind kind;
	struct slice device_id, module_id;
};
struct filter filter_parse(struct slice text);
/* Of one identity there is one filter of each kind. */
char *filter_text(enum filter_kind kind, const char *device_id, const char *module_id);
/* The QoS of what is delivered for it: 1 for messages, 0 for the rest. */
uint8_t filter_qos(enum filter_kind kind);
