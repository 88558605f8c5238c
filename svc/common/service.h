/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What every service's main does: hardening, dying with its parent, saying that it serves, to its parent and to systemd. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "diag/verdict.h"
#include "net/loop.h"

struct service_options {
	int64_t ready_fd; /* --ready-fd, -1 when not given */
	bool die_with_parent;
	bool runs_programs;	 /* set by the one that does: the supervisor */
	const char *config_path; /* of a service on unix sockets (local_service.h) */
};

/* Before there are threads.  The ready descriptor is --ready-fd, else $ROOTEDGE_READY_FD; no process started later inherits either, nor sockets that were handed over
 * (activation.h), nor systemd's ear (notify.h).  The process keeps
 * no more system calls than a service needs (syscall_filter.h). */
void service_start(const char *role, struct service_options *options);
/* The main loop's signals (loop_handle_signals), with what systemd wants to hear of a reload, and that the loop turns. */
void service_handle_signals(struct loop *loop, void (*reload)(void *arg), void *arg);
/* How many connections there may be: what is wanted (0: 100,000), as far as the limit of open files goes when each takes so many. */
size_t service_max_connections(int64_t wanted, size_t descriptors_each);
/* Where it isn't known how many each takes: a connection whose descriptor has a higher number takes what the service needs for itself; and is there one for another connection, now?  Any thread. */
int service_last_descriptor(void);
bool service_may_connect(void);
/* One line of JSON on the ready descriptor, which is closed; members is taken and may be NULL. */
void service_ready(const struct service_options *options, json_t *members_take);
void service_stopping(void); /* it no longer serves */
/* What a process ends with (edge-services 3.1): nobody starts it again, because its settings would be the same; or at once, because it asked for it. */
enum { SERVICE_FAILED = 1, SERVICE_MISUSED = 2, SERVICE_BAD_SETTINGS = 153, SERVICE_REPROVISIONED = 154 };
/* The answer to "let this peer in?" into the log: info when accepted, warn when not. */
void service_log_verdict(const struct verdict *verdict);
/* Messages can't be stored, or (NULL) can be again: as struct message_log_config has it. */
void service_log_storing(const char *why);
/* A broken protocol rule, as struct head_ops has it. */
void service_log_violation(const char *who, enum reason reason, const char *detail);

/* How tokens and TPMs are reached, for those whose CA keys may be there (member: a struct key_source_config). */
#define KEY_SOURCE_OPTION_ROWS(type, member)                                                                                       \
	{ "pkcs11-module", 0, "FILE", "the PKCS #11 module of CA keys in tokens, where their URIs name none", OPTION_TEXT,         \
		offsetof(type, member.pkcs11_module), 0, 0 },                                                                      \
	{                                                                                                                          \
		"tpm", 0, "TCTI", "how the TPM of CA keys is reached, as tpm2-tss has it (device)", OPTION_TEXT,                   \
			offsetof(type, member.tpm_tcti), 0, 0                                                                      \
	}

/* The two rows that every service's option table ends with (member: a struct service_options). */
#define SERVICE_OPTION_ROWS(type, member)                                                                                          \
	{ "ready-fd", 0, "N", "write one line of JSON to this descriptor once it serves", OPTION_INT,                              \
		offsetof(type, member.ready_fd), 0, 1 << 20 },                                                                     \
	{                                                                                                                          \
		"die-with-parent", 0, NULL, "end when the starting process ends", OPTION_FLAG,                                     \
			offsetof(type, member.die_with_parent), 0, 0                                                               \
	}
