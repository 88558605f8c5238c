/* SPDX-License-Identifier: Apache-2.0 */
/* Commands on their way to sessions (command_sessions.h).  A session to whose device something is to be brought has a courier, on its loop: it asks the queue for as many as may be
 * on their way, sends them, and remembers when each lock ends.  When one does, the device has said nothing for too long: the command is forgotten by the
 * session and asked for again.  What the device acknowledged but the queue has not yet settled stays on the courier's list, so that it is asked for again
 * when the queue could not.
 *
 * A device with a kept subscription that connects without asking again has renewed its token, or it is a new process whose application will listen in a moment: its MQTT library would
 * acknowledge what nobody sees (clients-observed 3).  Both look alike, so it gets a short grace. */
#include "hub/commands/command_sessions.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "hub/hub_head.h"

#define IN_FLIGHT_MAX 16
#define GRACE_MS 2000
#define LOOK_MS 5000 /* the wall clock, by which locks end, may be set at any time */
#define RETRY_MS 1000

struct command_sessions {
	struct command_queue *queue;
	struct directory *directory;
};

struct flight {
	int64_t sequence, until_ms; /* when its lock ends, by the wall clock */
};

struct courier {
	struct command_sessions *sessions;
	struct head_session *session; /* NULL: it has ended, and the courier waits for its job alone */
	struct loop *loop;
	struct timer timer;
	struct command_call call; /* the one that asks for commands */
	bool is_asking, ask_again;
	bool is_sure;	 /* that there is something that it has not: what it has may have been purged, so counting does not tell */
	int64_t next_ms; /* what others have locked may be had then; 0: they have nothing */
	struct flight flights[IN_FLIGHT_MAX];
	size_t n;
};

static void ask(struct courier *courier, const struct subject *subject);

/* -- The courier ---------------------------------------------------------------------------------------------------------------------------- */

static void on_timer(struct timer *timer);

static struct courier *
need_courier(struct command_sessions *sessions, struct head_session *session)
{
	struct command_slot *slot = hub_head_commands(session);

	if (slot->courier)
		return slot->courier;
	slot->courier = NEW(courier);
	slot->courier->sessions = sessions;
	slot->courier->session = session;
	slot->courier->loop = conn_loop(head_session_conn(session));
	timer_init(&slot->courier->timer, slot->courier->loop, on_timer);
	return slot->courier;
}

static void
dismiss(struct courier *courier)
{
	hub_head_commands(courier->session)->courier = NULL;
	timer_cancel(&courier->timer);
	mem_free(courier);
}

static void
take_out(struct courier *courier, size_t i)
{
	courier->n--;
	memmove(&courier->flights[i], &courier->flights[i + 1], (courier->n - i) * sizeof(courier->flights[0]));
}

static struct flight *
find_flight(struct courier *courier, int64_t sequence)
{
	for (size_t i = 0; i < courier->n; i++)
		if (courier->flights[i].sequence == sequence)
			return &courier->flights[i];
	return NULL;
}

static void
drop_flight(struct courier *courier, int64_t sequence)
{
	struct flight *flight = find_flight(courier, sequence);

	if (flight)
		take_out(courier, (size_t)(flight - courier->flights));
}

/* Wake up when there is something to do, or go when there is nothing. */
static void
rest(struct courier *courier)
{
	int64_t now_ms = clock_wall_ms(), next_ms = courier->next_ms;

	if (courier->is_asking)
		return;
	for (size_t i = 0; i < courier->n; i++)
		if (next_ms == 0 || courier->flights[i].until_ms < next_ms)
			next_ms = courier->flights[i].until_ms;
	if (next_ms == 0)
		dismiss(courier);
	else
		timer_arm(&courier->timer, next_ms <= now_ms ? 1 : next_ms - now_ms < LOOK_MS ? next_ms - now_ms : LOOK_MS);
}

/* -- What becomes of a command ----------------------------------------------------------------------------------------------------------------- */

struct outcome {
	struct command_call call;
	struct loop *loop;
	uint64_t conn_id; /* whose it was */
};

static struct head_session *
session_of(const struct outcome *outcome)
{
	struct conn *conn = conn_find(outcome->loop, outcome->conn_id);

	return conn ? conn_user(conn) : NULL;
}

static void
on_settled(struct command_call *call)
{
	struct outcome *outcome = CONTAINER_OF(call, struct outcome, call);
	struct head_session *session = session_of(outcome);
	struct courier *courier = session ? hub_head_commands(session)->courier : NULL;
	const struct subject *subject = courier ? hub_head_subject(session) : NULL;

	if (courier && call->answer != COMMAND_FAILED)
		drop_flight(courier, call->sequence);
	/* Looking at the trust may have ended the session, and the courier with it. */
	if (subject && hub_head_commands(session)->courier == courier)
		ask(courier, subject);
	command_call_clear(&outcome->call);
	mem_free(outcome);
}

/* When too much waits already, its lock ends and it is sent again. */
static void
submit_outcome(struct command_sessions *sessions, struct outcome *outcome)
{
	outcome->call.op = COMMAND_SETTLE;
	outcome->call.done = on_settled;
	if (command_queue_submit(sessions->queue, &outcome->call, loop_owner(outcome->loop)))
		return;
	command_call_clear(&outcome->call);
	mem_free(outcome);
}

enum command_outcome
command_outcome_of(enum head_outcome outcome)
{
	static const enum command_outcome outcomes[] = {
		[HEAD_COMPLETED] = COMMAND_COMPLETE,
		[HEAD_REJECTED] = COMMAND_REJECT,
		[HEAD_ABANDONED] = COMMAND_ABANDON,
	};

	return outcomes[outcome];
}

void
command_sessions_on_settled(struct command_sessions *sessions, struct head_session *session, const struct subject *subject,
	uint64_t command_id, enum head_outcome outcome)
{
	struct conn *conn = head_session_conn(session);
	struct outcome *it = NEW(outcome);

	it->loop = conn_loop(conn);
	it->conn_id = conn_id(conn);
	it->call.device_id = mem_text(subject->device_id);
	it->call.module_id = mem_text(subject->module_id);
	it->call.sequence = (int64_t)command_id;
	it->call.outcome = command_outcome_of(outcome);
	submit_outcome(sessions, it);
}

/* -- Bringing ------------------------------------------------------------------------------------------------------------------------------------ */

/* It could not be sent, and is somebody else's.  By now another session may have it: that one's is another delivery. */
static void
give_back(struct courier *courier, const struct command_call *taken, const struct command_parcel *parcel)
{
	struct outcome *outcome = NEW(outcome);

	outcome->loop = courier->loop;
	outcome->call.device_id = mem_text(taken->device_id);
	outcome->call.module_id = mem_text(taken->module_id);
	outcome->call.sequence = parcel->sequence;
	outcome->call.n_deliveries = parcel->n_deliveries;
	outcome->call.outcome = COMMAND_UNSENT;
	submit_outcome(courier->sessions, outcome);
}

/* false: the device does not listen any more, or is about to go. */
static bool
bring(struct courier *courier, const struct command_parcel *parcel, int64_t until_ms)
{
	struct head_command command = {
		.id = (uint64_t)parcel->sequence,
		.bag = slice_of(parcel->bag),
		.payload = { .text = (const char *)parcel->payload, .len = parcel->len },
	};

	/* When the clock went back its lock is none to the queue; it is on its way all the same. */
	drop_flight(courier, parcel->sequence);
	head_session_forget(courier->session, command.id);
	/* First on the list: at QoS 0 it is settled while it is being sent. */
	courier->flights[courier->n++] = (struct flight){ .sequence = parcel->sequence, .until_ms = until_ms };
	if (head_session_deliver(courier->session, &command))
		return true;
	drop_flight(courier, parcel->sequence);
	return false;
}

/* In order: after one that could not be sent, none is. */
static void
bring_all(struct courier *courier, const struct command_call *taken)
{
	int64_t until_ms = clock_wall_ms() + COMMAND_LOCK_MS;
	size_t i = 0;

	while (i < taken->n_parcels && bring(courier, &taken->parcels[i], until_ms))
		i++;
	if (i < taken->n_parcels)
		hub_head_commands(courier->session)->from_ms = clock_boot_ms() + RETRY_MS;
	for (; i < taken->n_parcels; i++)
		give_back(courier, taken, &taken->parcels[i]);
}

static void
on_taken(struct command_call *call)
{
	struct courier *courier = CONTAINER_OF(call, struct courier, call);
	const struct subject *subject = courier->session ? hub_head_subject(courier->session) : NULL;
	bool again = courier->ask_again;
	struct command_call answer;

	if (!subject) {
		for (size_t i = 0; i < call->n_parcels; i++)
			give_back(courier, call, &call->parcels[i]);
		command_call_clear(call);
		courier->is_asking = false;
		if (!courier->session)
			mem_free(courier);
		return;
	}
	answer = *call;
	*call = (struct command_call){ 0 };
	courier->is_asking = false;
	courier->ask_again = false;
	if (answer.answer == COMMAND_OK)
		hub_head_commands(courier->session)->has_taken = true;
	courier->next_ms = answer.answer == COMMAND_FAILED ? clock_wall_ms() + RETRY_MS : answer.next_ms;
	bring_all(courier, &answer);
	command_call_clear(&answer);
	if (again)
		ask(courier, subject);
	else
		rest(courier);
}

/* -- Asking -------------------------------------------------------------------------------------------------------------------------------------- */

static bool
submit(struct courier *courier, const struct subject *subject)
{
	courier->call = (struct command_call){
		.op = COMMAND_TAKE,
		.device_id = mem_text(subject->device_id),
		.module_id = mem_text(subject->module_id),
		.generation_id = mem_text(subject->generation_id),
		.max = IN_FLIGHT_MAX - courier->n,
		.is_session = true,
		.is_first = !hub_head_commands(courier->session)->has_taken,
		.done = on_taken,
	};
	courier->is_asking = command_queue_submit(courier->sessions->queue, &courier->call, loop_owner(courier->loop));
	if (courier->is_asking)
		courier->is_sure = false;
	else
		command_call_clear(&courier->call);
	return courier->is_asking;
}

/* Is there more than what it has? */
static bool
is_needed(const struct courier *courier, const struct subject *subject)
{
	size_t n = command_queue_count(courier->sessions->queue, subject->device_id, subject->module_id);

	return courier->n < IN_FLIGHT_MAX && (head_session_wants(courier->session) & HEAD_WANTS_COMMANDS) &&
	       n > (courier->is_sure ? 0 : courier->n);
}

static void
ask(struct courier *courier, const struct subject *subject)
{
	int64_t early_ms = hub_head_commands(courier->session)->from_ms - clock_boot_ms();

	if (courier->is_asking) {
		courier->ask_again = true;
		return;
	}
	if (!is_needed(courier, subject)) {
		courier->next_ms = 0;
		rest(courier);
	} else if (early_ms > 0) {
		timer_arm(&courier->timer, early_ms);
	} else if (!submit(courier, subject)) {
		timer_arm(&courier->timer, RETRY_MS);
	}
}

/* The device had its time: what it has not acknowledged is the queue's again. */
static void
drop_late(struct courier *courier)
{
	int64_t now_ms = clock_wall_ms();

	for (size_t i = courier->n; i-- > 0;) {
		if (courier->flights[i].until_ms > now_ms)
			continue;
		head_session_forget(courier->session, (uint64_t)courier->flights[i].sequence);
		take_out(courier, i);
	}
}

static void
on_timer(struct timer *timer)
{
	struct courier *courier = CONTAINER_OF(timer, struct courier, timer);
	const struct subject *subject = hub_head_subject(courier->session);

	if (!subject)
		return; /* its end has freed the courier, or is about to */
	drop_late(courier);
	ask(courier, subject);
}

/* -- The session ------------------------------------------------------------------------------------------------------------------------------ */

static void
look(struct command_sessions *sessions, struct head_session *session, const struct subject *subject)
{
	struct courier *courier;

	if (command_queue_count(sessions->queue, subject->device_id, subject->module_id) == 0)
		return;
	courier = need_courier(sessions, session);
	courier->is_sure = true;
	ask(courier, subject);
}

void
command_sessions_on_live(struct command_sessions *sessions, struct head_session *session, const struct subject *subject)
{
	if (!(head_session_wants(session) & HEAD_WANTS_COMMANDS))
		return;
	hub_head_commands(session)->from_ms = clock_boot_ms() + GRACE_MS;
	look(sessions, session, subject);
}

void
command_sessions_on_wants(
	struct command_sessions *sessions, struct head_session *session, const struct subject *subject, unsigned wants)
{
	if (!(wants & HEAD_ASKED_COMMANDS))
		return;
	hub_head_commands(session)->from_ms = 0;
	look(sessions, session, subject);
}

void
command_sessions_on_end(struct head_session *session)
{
	struct courier *courier = hub_head_commands(session)->courier;

	if (!courier)
		return;
	timer_cancel(&courier->timer);
	hub_head_commands(session)->courier = NULL;
	courier->session = NULL;
	if (!courier->is_asking)
		mem_free(courier);
}

/* -- New commands --------------------------------------------------------------------------------------------------------------------------------- */

struct knock {
	struct directory_visit visit;
	struct command_sessions *sessions;
};

static void
on_visit(struct directory_visit *visit, struct head_session *session)
{
	struct knock *knock = CONTAINER_OF(visit, struct knock, visit);
	const struct subject *subject = session ? hub_head_subject(session) : NULL;

	if (subject)
		look(knock->sessions, session, subject);
	mem_free(knock);
}

/* On the worker. */
static void
on_ready(void *arg, const char *device_id, const char *module_id)
{
	struct command_sessions *sessions = arg;
	OWN_TEXT name = identity_name(device_id, module_id);
	struct knock *knock;

	if (!directory_is_connected(sessions->directory, name))
		return;
	knock = NEW(knock);
	knock->sessions = sessions;
	knock->visit.run = on_visit;
	if (!directory_visit(sessions->directory, name, &knock->visit))
		mem_free(knock);
}

struct command_sessions *
command_sessions_new(struct command_queue *queue, struct directory *directory)
{
	struct command_sessions *sessions = NEW(command_sessions);

	sessions->queue = queue;
	sessions->directory = directory;
	command_queue_watch(queue, on_ready, sessions);
	return sessions;
}

void
command_sessions_free(struct command_sessions *sessions)
{
	mem_free(sessions);
}
