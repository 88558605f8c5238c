/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The supervisor's own socket, for its operator: a line of JSON is asked, a line answered, and the connection ends.  Who is neither root nor the supervisor's own user is not listened to.
 * Where all roles are that user the socket's name is a secret that lies in a file which their sandbox does not let them read (STATE/run/control).
 *
 * No thread and no waiting: the supervisor polls, and a client that dawdles is dropped. */

#include <poll.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"

#define CONTROL_CLIENTS_MAX 8
#define CONTROL_FDS_MAX (CONTROL_CLIENTS_MAX + 1)

struct control;
/* Answers a request; the caller of it owns what comes back. */
typedef json_t *control_handler(const json_t *request, void *arg);

struct control *control_open(const char *path, const char *state, control_handler *handle, void *arg, struct err *err);
/* Adds what is to be polled, and answers how many. */
size_t control_poll(const struct control *control, struct pollfd out[static CONTROL_FDS_MAX]);
int64_t control_deadline_ms(
	const struct control *control); /* when control_serve is due though nothing is ready (boot clock); -1: not */
void control_serve(struct control *control);
void control_free(struct control *control);
OWN_DEFINE(control);
