/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: what a connection without a descriptor does in place of the calls of the kernel. */

#include "net/conn.h"

void strand_write(struct conn *conn, const void *data, size_t len);
void strand_turn(struct conn *conn);
void strand_end(struct conn *conn); /* it is being freed */

const struct verdict *strand_verdict(const struct conn *conn);
const char *strand_tls_version(const struct conn *conn);
struct certs strand_peer_chain(const struct conn *conn);
bool strand_is_hung_up(const struct conn *conn);
