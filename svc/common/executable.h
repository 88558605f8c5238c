/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which program a process runs: the kernel tells it of others' processes to root only, and to nobody in a sandbox.  So a service asks, about the process that a pidfd names: its supervisor over a
 * pair of sockets (SOCK_SEQPACKET), or under systemd's units a process that has that one capability and nothing else (dist/systemd/rootedge-programs.service).  One question, one answer, each with
 * the question's number. */

#include <stdbool.h>

#include "base/err.h"

#define EXECUTABLE_PATH_MAX 1024
#define EXECUTABLE_ASKER "ROOTEDGE_EXECUTABLE_ASKER" /* in the environment: the number of the descriptor that the service asks on */

#define EXECUTABLE_SOCKET "/run/aziot/programs.sock" /* where it asks under units */

int executable_connect(const char *socket_path, struct err *err); /* the descriptor to ask on, or -1 */
/* The service's side; blocks for a second or two at most.  1: that very file is what it runs; 0: it is not; -1: nobody could tell. */
int executable_ask(int asker_fd, int pidfd, const char *path, struct err *err);
/* The other's: answers what has come.  False: the service is gone. */
bool executable_answer(int answerer_fd);
/* Answers whoever connects to this listening socket, until nobody has been there for a while; -1: it is no such socket. */
int executable_serve(int listening_fd, struct err *err);
