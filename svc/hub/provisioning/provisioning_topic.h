/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The names that devices use at the provisioning service over MQTT (hub 6.2): the user name of CONNECT, and the topics of their questions.  Pure; all slices
 * borrow the text. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rd.h"

#define PROVISIONING_FILTER "$dps/registrations/res/#"

/* "ID-SCOPE/registrations/REGISTRATION-ID/api-version=...&ClientVersion=...", with or without a "?" before api-version. */
struct provisioning_name {
	struct slice id_scope, registration_id;
};
int provisioning_name_parse(struct provisioning_name *out, struct slice text, struct err *err);

enum provisioning_topic_kind {
	PROVISIONING_TOPIC_UNKNOWN,
	PROVISIONING_TOPIC_REGISTER,  /* $dps/registrations/PUT/iotdps-register/?$rid=R */
	PROVISIONING_TOPIC_OPERATION, /* $dps/registrations/GET/iotdps-get-operationstatus/?$rid=R&operationId=O */
};
struct provisioning_topic {
	enum provisioning_topic_kind kind;
	struct slice rid, operation;
};
struct provisioning_topic provisioning_topic_parse(struct slice text);
/* The topic of an answer: clients look for $rid first. */
void provisioning_topic_put_answer(struct buf *out, int status, const char *rid, int retry_after_s);
