/* SPDX-License-Identifier: Apache-2.0 */
/* Commands for devices that ask (command_requests.h). */
#include "hub/commands/command_requests.h"

#include "base/mem.h"
#include "hub/commands/command_sessions.h"

struct command_request {
	struct command_call call;
	struct head_receipt *receipt; /* of TAKE */
	struct head_settlement *settlement;
};

static struct command_request *
request_new(const struct subject *subject, enum command_op op, void (*done)(struct command_call *call))
{
	struct command_request *request = NEW(command_request);

	request->call.op = op;
	request->call.device_id = mem_text(subject->device_id);
	request->call.module_id = mem_text(subject->module_id);
	request->call.generation_id = mem_text(subject->generation_id);
	request->call.done = done;
	return request;
}

static void
request_free(struct command_request *request)
{
	command_call_clear(&request->call);
	mem_free(request);
}

static bool
submit(struct command_queue *queue, struct head_session *session, struct command_request *request)
{
	return command_queue_submit(queue, &request->call, loop_owner(conn_loop(head_session_conn(session))));
}

/* -- Receiving ------------------------------------------------------------------------------------------------------------------------------ */

static void
hand_over(struct head_receipt *receipt, const struct command_parcel *parcel)
{
	head_received(receipt, &(struct head_parcel){
				       .lock_token = parcel->lock_token,
				       .sequence = (uint64_t)parcel->sequence,
				       .n_deliveries = parcel->n_deliveries,
				       .enqueued_ms = parcel->enqueued_ms,
				       .expires_ms = parcel->expires_ms,
				       .bag = slice_of(parcel->bag),
				       .payload = { .text = (const char *)parcel->payload, .len = parcel->len },
			       });
}

static void
on_taken(struct command_call *call)
{
	struct command_request *request = CONTAINER_OF(call, struct command_request, call);

	if (call->answer == COMMAND_FAILED)
		head_receive_unavailable(request->receipt);
	else if (call->n_parcels > 0)
		hand_over(request->receipt, &call->parcels[0]);
	else
		head_received(request->receipt, NULL);
	request_free(request);
}

void
command_requests_receive(
	struct command_queue *queue, struct head_session *session, const struct subject *subject, struct head_receipt *receipt)
{
	struct command_request *request;

	/* They ask once a second, and most often there is nothing. */
	if (command_queue_count(queue, subject->device_id, subject->module_id) == 0) {
		head_received(receipt, NULL);
		return;
	}
	request = request_new(subject, COMMAND_TAKE, on_taken);
	request->receipt = receipt;
	request->call.max = 1;
	if (submit(queue, session, request))
		return;
	head_receive_unavailable(receipt);
	request_free(request);
}

/* -- Settling ------------------------------------------------------------------------------------------------------------------------------- */

static void
on_settled(struct command_call *call)
{
	struct command_request *request = CONTAINER_OF(call, struct command_request, call);

	if (call->answer == COMMAND_FAILED)
		head_settle_unavailable(request->settlement);
	else
		head_settled(request->settlement, call->answer == COMMAND_OK);
	request_free(request);
}

void
command_requests_settle(struct command_queue *queue, struct head_session *session, const struct subject *subject,
	const char *lock_token, enum head_outcome outcome, struct head_settlement *settlement)
{
	struct command_request *request = request_new(subject, COMMAND_SETTLE, on_settled);

	request->settlement = settlement;
	request->call.lock_token = mem_text(lock_token);
	request->call.outcome = command_outcome_of(outcome);
	if (submit(queue, session, request))
		return;
	head_settle_unavailable(settlement);
	request_free(request);
}
