/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which program a process runs: the kernel tells it of others' processes to root only, and to nobody in a sandbox.  So a service asks its supervisor, over a pair of sockets
 * (SOCK_SEQPACKET), about the process that a pidfd names: one question, one answer. */

#include <stdbool.h>

#include "base/err.h"

#define EXECUTABLE_PATH_MAX 1024
#define EXECUTABLE_ASKER "ROOTEDGE_EXECUTABLE_ASKER" /* in the environment: the number of the descriptor that the service asks on */

/* The service's side; blocks for a second or two at most.  1: that very file is what it runs; 0: it is not; -1: nobody could tell. */
int executable_ask(int asker_fd, int pidfd, const char *path, struct err *err);
/* The supervisor's: answers what has come.  False: the service is gone. */
bool executable_answer(int answerer_fd);
