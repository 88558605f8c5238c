/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sockets of the local services.  Whoever starts the roles opens them and hands them over (common/activation.h): a role that asks another one which is not there yet, or is being started
 * again, waits in the socket's queue, so all are started at once.
 *
 * So are ports of the gateway below 1024, which is no root.
 *
 * With users of their own the sockets lie where everybody finds them, and membership of the service's group is the permission to connect.  Processes of the box that config.toml names
 * ([[principal]]) are in no such group: where there are some, the services alone say who may what.  Roles of one user have a socket of keyd each, in folders with secret names. */

#include "edge/layout.h"

void role_sockets_name(struct layout *layout, const struct config *config);
/* Found out now rather than by a role that can't start, again and again. */
int role_sockets_check(const struct layout *layout, const struct config *config, struct err *err);
/* fds[i] belongs to layout->sockets[i], and is -1 for a port that can't be opened, which the gateway will say.  Returns -1 at the first that can't be opened, and all are closed. */
int role_sockets_open(const struct layout *layout, int fds[static LAYOUT_SOCKETS_MAX], struct err *err);
