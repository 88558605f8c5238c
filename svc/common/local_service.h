/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A service on unix sockets: one loop, a few workers, a table of endpoints, and any number of sockets, each with what is bound to it. */

#include "common/endpoint.h"
#include "common/service.h"
#include "net/loop.h"

struct local_service;

#define LOCAL_WORKERS 4

struct local_service *local_service_new(const struct endpoint_table *table);
/* `door` comes back in endpoint_call.door; borrowed.  max_per_caller: connections of one user at a time (edge-services 0.3). */
int local_service_listen(
	struct local_service *service, const char *path, mode_t mode, size_t max_per_caller, void *door, struct err *err);
/* The same with another table than the service's own. */
int local_service_listen_for(struct local_service *service, const struct endpoint_table *table, const char *path, mode_t mode,
	size_t max_per_caller, void *door, struct err *err);
/* The configuration is read again when its file changes (config_watch.h). */
void local_service_on_change(struct local_service *service, const struct service_options *options,
	int (*changed)(const json_t *config, void *arg, struct err *err), void *arg);
/* Called when it is to end, on the loop's thread: what its handlers wait for elsewhere can be given up, so that who was let in gets an answer soon. */
void local_service_on_end(struct local_service *service, void (*ending)(void *arg), void *arg);
/* Until SIGTERM.  options NULL: the caller says himself when it is ready (service_ready). */
void local_service_run(struct local_service *service, const struct service_options *options, json_t *ready_take);
void local_service_end(struct local_service *service); /* as if SIGTERM had come: who was let in gets his answer.  Any thread */
void local_service_free(struct local_service *service);
OWN_DEFINE(local_service);

/* The main of such a service: its configuration is a JSON file of the supervisor's, 0600 (--config); `serve` returns after SIGTERM, with
 * what the process ends with (service.h), or -1. */
struct local_service_role {
	const char *name, *summary;
	int (*serve)(const json_t *config, const struct service_options *options, struct err *err);
};
int local_service_main(const struct local_service_role *role, int argc, char **argv);
