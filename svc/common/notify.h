/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Telling systemd how things are, as sd_notify(3) has it: one datagram to $NOTIFY_SOCKET.  Without one, nothing happens. */

#include <stdint.h>

/* At the start: no process started later is to speak in our name. */
void notify_take(void);
void notify_ready(void);
void notify_reloading(void); /* notify_ready follows */
void notify_stopping(void);
int64_t notify_watchdog_ms(void); /* how often notify_alive has to come at the latest; 0: nobody waits for it */
void notify_alive(void);
