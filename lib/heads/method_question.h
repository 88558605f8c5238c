/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A method call as services and modules write it over HTTP (hub 2.3, 4.5; gateway 4.4): {"methodName", "payload", "responseTimeoutInSeconds", "connectTimeoutInSeconds"}.  Pure. */

#include "heads/method.h"

/* Fills the name, the payload and the times; LIMIT: the payload is larger than METHOD_PAYLOAD_MAX.  What was filled is the caller's also then. */
int method_question_take(struct method_call *method, json_t *body, size_t name_max, struct err *err);
