/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Listening sockets that whoever started this process had open already, handed over as sd_listen_fds(3) has it: LISTEN_PID, LISTEN_FDS.  systemd's socket units do it, and the
 * supervisor of an edge device.  Clients that come before the service does wait in the socket's queue, and so they do while it is started again.
 *
 * A socket is known by where it listens: the path of a unix socket, the port of a TCP one.  So a configuration needs no second name for it. */

#include "net/listener.h"

/* At the start, before there are threads: takes what there is, for this process alone. */
void activation_take(void);
/* Whose unix_path or port one of them listens on: that is what the listener uses.  Otherwise nothing changes. */
void activation_adopt(struct listener_config *config);
