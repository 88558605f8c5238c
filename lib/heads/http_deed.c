/* SPDX-License-Identifier: Apache-2.0 */
/* What a device does over HTTPS: it sends events, and is answered when they are durable; it asks for a command, and says what became of it. */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "heads/http_call.h"
#include "wire/http_property.h"
#include "wire/message_batch.h"
#include "wire/property_bag.h"

static const char batch_type[] = "application/vnd.microsoft.iothub.json";

/* -- Events -------------------------------------------------------------------------------------------------------------------------------- */

static void
fail_sending(struct http_call *call)
{
	const struct http_head_config *config = &call->head->config;
	OWN_TEXT name = identity_name(call->device_id, call->module_id);

	if (config->ops->refused)
		config->ops->refused(config->backend, name, call->why);
	http_call_fail(call, HTTP_HEAD_UNAVAILABLE,
		call->why == UNAVAILABLE ? "what was sent could not be stored" : reason_row(call->why)->sentence);
}

static void
on_durable(struct head_ack *ack, enum reason why)
{
	struct http_call *call = CONTAINER_OF(ack, struct http_call, ack);

	if (why != OK)
		call->why = why;
	if (--call->n_waiting > 0)
		return;
	if (call->why != OK)
		fail_sending(call);
	else
		http_call_answer(call, 204, NULL, NULL, 0);
}

static void
send_one(struct http_call *call, struct http_device *device, struct slice bag, struct slice payload)
{
	const struct http_head_config *config = &call->head->config;
	struct head_message message = { .bag = bag, .payload = payload };

	config->ops->message(config->backend, device->base.domain, &device->base, &message, &call->ack);
}

/* Node's client sends the address of the endpoint as iothub-to: that is no property of the message. */
static bool
is_own_address(const struct http_call *call, const char *name, const char *value)
{
	const char *path = http_path(call->req);
	size_t len = strlen(path);

	if (!text_is_nocase(name, "iothub-to"))
		return false;
	while (len > 0 && path[len - 1] == '/')
		len--;
	return strncasecmp(value, path, len) == 0 && (!value[len] || value[len] == '/' || value[len] == '?');
}

/* false: more of them than a message can have. */
static bool
take_properties(const struct http_call *call, struct buf *bag)
{
	const char *name, *value;
	size_t at = 0;

	while (http_next_header(call->req, &at, &name, &value))
		if (!is_own_address(call, name, value))
			http_property_put(bag, name, value);
	return !bag->failed;
}

static void
send_single(struct http_call *call, struct http_device *device)
{
	CLEAR(buf) bag = BUF_INIT(HTTP_MESSAGE_MAX);
	struct slice payload;

	payload.text = http_body(call->req, &payload.len);
	if (!take_properties(call, &bag) || bag.len + payload.len > HTTP_MESSAGE_MAX) {
		http_call_fail(call, HTTP_HEAD_TOO_LARGE, "a message has at most 262144 bytes with its properties");
		return;
	}
	call->n_waiting = 1;
	send_one(call, device, slice_of(buf_text(&bag)), payload);
}

static void
send_each(struct http_call *call, struct http_device *device, const struct message_batch *batch)
{
	call->n_waiting = batch->n + 1; /* the last is ours: the call lives until all are given */
	for (size_t i = 0; i < batch->n; i++) {
		const struct batched_message *m = &batch->message[i];

		if (call->why != OK) {
			call->n_waiting -= batch->n - i;
			break;
		}
		send_one(call, device, slice_of(buf_text(&m->bag)),
			(struct slice){ .text = buf_text(&m->payload), .len = m->payload.len });
	}
	on_durable(&call->ack, OK);
}

static void
send_batch(struct http_call *call, struct http_device *device)
{
	CLEAR(message_batch) batch = { 0 };
	struct err err = ERR_INIT;
	size_t len;
	const void *text = http_body(call->req, &len);

	if (message_batch_parse(&batch, text, len, &err) == 0)
		send_each(call, device, &batch);
	else
		http_call_fail(call, err.kind == ERR_LIMIT ? HTTP_HEAD_TOO_LARGE : HTTP_HEAD_BAD_MESSAGE, err.text);
}

static bool
is_batch(const struct http_request *req)
{
	const char *type = http_header(req, "content-type");
	size_t len = sizeof(batch_type) - 1;

	return type && strncasecmp(type, batch_type, len) == 0 && (!type[len] || strchr("; \t", type[len]));
}

void
http_deed_send(struct http_call *call, struct http_device *device)
{
	call->ack.done = on_durable;
	if (is_batch(call->req))
		send_batch(call, device);
	else
		send_single(call, device);
}

/* -- Commands ------------------------------------------------------------------------------------------------------------------------------ */

#define HEADERS_MAX 512 /* a bag with more properties is cut off there: clients take no more either */

struct headers {
	char *line[HEADERS_MAX + 1];
	size_t n;
};

static void
headers_clear(struct headers *headers)
{
	for (size_t i = 0; i < headers->n; i++)
		mem_free(headers->line[i]);
}

static void
put(struct headers *headers, char *line_take)
{
	if (headers->n < HEADERS_MAX)
		headers->line[headers->n++] = line_take;
	else
		mem_free(line_take);
}

static void
put_state(struct headers *headers, const struct head_parcel *parcel)
{
	char when[CLOCK_TEXT_LEN];

	put(headers, mem_textf("ETag: \"%s\"", parcel->lock_token));
	put(headers, mem_textf("iothub-sequencenumber: %llu", (unsigned long long)parcel->sequence));
	put(headers, mem_textf("iothub-deliverycount: %d", parcel->n_deliveries));
	put(headers, mem_textf("iothub-enqueuedtime: %s", clock_text_ms(parcel->enqueued_ms, when)));
	if (parcel->expires_ms > 0)
		put(headers, mem_textf("iothub-expiry: %s", clock_text_ms(parcel->expires_ms, when)));
}

static void
put_properties(struct headers *headers, struct slice text)
{
	struct property_bag bag;

	property_bag_init(&bag, text);
	while (property_bag_next(&bag)) {
		const char *name = buf_text(&bag.name), *value = buf_text(&bag.value);

		if (text_is(name, "$.exp")) /* told already */
			continue;
		put(headers, http_property_header(name, value));
		if (text_is(name, "$.ct") && !text_has_control(value, strlen(value)))
			put(headers, mem_textf("Content-Type: %s", value));
	}
	property_bag_clear(&bag);
}

static void
on_received(struct head_receipt *receipt, const struct head_parcel *parcel)
{
	struct http_call *call = CONTAINER_OF(receipt, struct http_call, receipt);
	CLEAR(headers) headers = { 0 };

	if (!parcel) {
		http_call_answer(call, 204, NULL, NULL, 0);
		return;
	}
	put_state(&headers, parcel);
	put_properties(&headers, parcel->bag);
	http_call_answer(call, 200, (const char *const *)headers.line, parcel->payload.text, parcel->payload.len);
}

static void
on_receive_unavailable(struct head_receipt *receipt)
{
	http_call_fail(CONTAINER_OF(receipt, struct http_call, receipt), HTTP_HEAD_UNAVAILABLE, "try again");
}

void
http_deed_receive(struct http_call *call, struct http_device *device)
{
	const struct http_head_config *config = &call->head->config;

	call->receipt = (struct head_receipt){ .received = on_received, .unavailable = on_receive_unavailable };
	if (config->ops->receive)
		config->ops->receive(config->backend, device->base.domain, &device->base, &call->receipt);
	else
		head_received(&call->receipt, NULL);
}

static void
on_settled(struct head_settlement *settlement, bool found)
{
	struct http_call *call = CONTAINER_OF(settlement, struct http_call, settlement);

	if (found)
		http_call_answer(call, 204, NULL, NULL, 0);
	else
		http_call_fail(call, HTTP_HEAD_LOCK_LOST, "nobody holds this lock, or not any more");
}

static void
on_settle_unavailable(struct head_settlement *settlement)
{
	http_call_fail(CONTAINER_OF(settlement, struct http_call, settlement), HTTP_HEAD_UNAVAILABLE, "try again");
}

/* Clients name the lock again, quoted or not, or not at all. */
static bool
matches(const struct http_call *call)
{
	const char *given = http_header(call->req, "if-match");
	struct slice tag = slice_of(given ? given : call->lock_token);

	if (tag.len >= 2 && tag.text[0] == '"' && tag.text[tag.len - 1] == '"')
		tag = (struct slice){ .text = tag.text + 1, .len = tag.len - 2 };
	return slice_is(tag, call->lock_token) || slice_is(tag, "*");
}

static void
settle(struct http_call *call, struct http_device *device, enum head_outcome outcome)
{
	const struct http_head_config *config = &call->head->config;

	call->settlement = (struct head_settlement){ .settled = on_settled, .unavailable = on_settle_unavailable };
	if (config->ops->settle && matches(call))
		config->ops->settle(
			config->backend, device->base.domain, &device->base, call->lock_token, outcome, &call->settlement);
	else
		head_settled(&call->settlement, false);
}

void
http_deed_complete(struct http_call *call, struct http_device *device)
{
	const char *reject = http_query(call->req, "reject");

	settle(call, device, reject && !text_is_nocase(reject, "false") ? HEAD_REJECTED : HEAD_COMPLETED);
}

void
http_deed_abandon(struct http_call *call, struct http_device *device)
{
	settle(call, device, HEAD_ABANDONED);
}
