/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the workload API (edge-services 2): a request is answered when the process at the other end is the module's that the path names, and still lives. */

#include "edged/edged.h"

/* The module that speaks; NULL: forbidden. */
struct module *workload_caller(const struct endpoint_call *call, struct err *err);
/* The same, and its identity, whose generation must be the one in the path.  The identity is the caller's to clear; it is clear after a failure. */
struct module *workload_caller_of_generation(const struct endpoint_call *call, struct module_identity *identity, struct err *err);
/* The status for who gets no module: 503 where it has no identity yet, and else -1. */
int workload_refuse(const struct err *err);
struct edged *workload_edged(const struct endpoint_call *call);
int workload_need_body(const struct endpoint_call *call, struct err *err);

/* Handlers, a subject a file. */
int workload_server_certificate_of(const struct endpoint_call *call, json_t **answer, struct err *err);
int workload_identity_certificate_of(const struct endpoint_call *call, json_t **answer, struct err *err);
int workload_sign_for(const struct endpoint_call *call, json_t **answer, struct err *err);
int workload_encrypt_for(const struct endpoint_call *call, json_t **answer, struct err *err);
int workload_decrypt_for(const struct endpoint_call *call, json_t **answer, struct err *err);
