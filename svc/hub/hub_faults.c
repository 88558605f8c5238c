/* SPDX-License-Identifier: Apache-2.0 */
/* Faults on purpose in a session (hub_faults.h). */
#include "hub/hub_faults.h"

#include "base/mem.h"

/* An acknowledgement that comes late on purpose. */
struct late_ack {
	struct faults *faults;
	struct loop *loop;
	struct head_ack *ack;
	bool ok;
};

static void
acknowledge_late(void *arg)
{
	struct late_ack *late = arg;

	head_message_done(late->ack, late->ok ? OK : UNAVAILABLE);
	mem_free(late);
}

static void
on_stored(void *arg, bool ok)
{
	struct late_ack *late = arg;

	late->ok = ok;
	faults_later(late->faults, late->loop, acknowledge_late, late);
}

void
hub_faults_store(struct faults *faults, struct marks *marks, struct loop *loop, struct message_lane *lane,
	const struct message *message, struct head_ack *ack)
{
	struct late_ack *late = NEW(late_ack);

	*late = (struct late_ack){ .faults = faults, .loop = loop, .ack = ack };
	marks_store(marks, lane, message, on_stored, late);
}

/* A connection that is to break on purpose, by its number: it may be gone by then. */
struct doomed {
	struct loop *loop;
	uint64_t conn_id;
};

static void
disconnect(void *arg)
{
	struct doomed *doomed = arg;
	struct conn *conn = conn_find(doomed->loop, doomed->conn_id);

	if (conn)
		head_session_close(conn_user(conn), SESSION_FAULT);
	mem_free(doomed);
}

void
hub_faults_disconnect(struct faults *faults, struct conn *conn)
{
	int64_t after_ms = faults_disconnect_ms(faults);
	struct doomed *doomed;

	if (after_ms == 0)
		return;
	doomed = NEW(doomed);
	*doomed = (struct doomed){ .loop = conn_loop(conn), .conn_id = conn_id(conn) };
	faults_after(faults, doomed->loop, after_ms, disconnect, doomed);
}
