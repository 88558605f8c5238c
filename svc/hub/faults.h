/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Faults on purpose, for those who test their devices and services against a hub: answers that come late, connections that break, throttling, a clock that is wrong.
 * Only a hub that was started with --fault has them; it says so in its log. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "net/loop.h"

struct faults_config {
	int64_t delay_ms;	 /* before each message is acknowledged and each request is answered */
	uint32_t drop, throttle; /* of a million: the connection breaks at a message or request; CONNACK 3 or 429 */
	int64_t disconnect_ms;	 /* each device's connection is closed after about this long */
	int64_t clock_s;	 /* added to the wall clock */
};
/* "delay=200ms,drop=5%,throttle=10%,disconnect=30s,clock=-1h" */
int faults_parse(struct faults_config *out, const char *text, struct err *err);

struct faults;
struct faults *faults_new(const struct faults_config *config); /* also sets the clock of this process */
/* What waits happens now, and nothing waits from now on.  Once no loop runs and before one is freed: who waits knows its loop. */
void faults_stop(struct faults *faults);
void faults_free(struct faults *faults); /* stopped at the latest now; after the loops, which may still hand something over */

/* All of these take NULL for a hub without faults. */
bool faults_drop(const struct faults *faults);
bool faults_throttle(const struct faults *faults);
int64_t faults_disconnect_ms(const struct faults *faults); /* for one connection, somewhere around what was asked for; 0: never */
/* Run it on this loop after the delay: at once where there is none. */
void faults_later(struct faults *faults, struct loop *loop, void (*run)(void *arg), void *arg);
void faults_after(struct faults *faults, struct loop *loop, int64_t after_ms, void (*run)(void *arg), void *arg);
