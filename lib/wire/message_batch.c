/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a batch. */
#include "wire/message_batch.h"

#include "base/mem.h"
#include "wire/codec.h"
#include "wire/http_property.h"
#include "wire/json.h"
#include "wire/property_bag.h"

void
message_batch_clear(struct message_batch *batch)
{
	for (size_t i = 0; i < batch->n; i++) {
		buf_clear(&batch->message[i].bag);
		buf_clear(&batch->message[i].payload);
	}
	mem_free(batch->message);
	*batch = (struct message_batch){ 0 };
}

static int
read_body(struct buf *payload, const json_t *json, struct err *err)
{
	bool is_base64 = true;
	json_t *body = json_object_get(json, "body");

	if (json_find_bool(json, "base64Encoded", &is_base64, err) < 0)
		return -1;
	if (!json_is_string(body))
		return err_set(err, ERR_INVALID, "a message needs a body, which is a text");
	if (!is_base64)
		buf_put(payload, json_string_value(body), json_string_length(body));
	else if (!base64_decode(payload, json_string_value(body), json_string_length(body), BASE64_STRICT) && !payload->failed)
		return err_set(err, ERR_INVALID, "a body is not base64");
	return 0;
}

/* Keys of one's own have a prefix; what has none and is no name of the hub's is one's own all the same. */
static int
read_properties(struct buf *bag, const json_t *json, struct err *err)
{
	json_t *properties = NULL, *value;
	const char *key;

	if (json_find_object(json, "properties", &properties, err) < 0)
		return -1;
	json_object_foreach(properties, key, value) {
		if (!json_is_string(value))
			return err_set(err, ERR_INVALID, "a property is a text");
		if (!http_property_put(bag, key, json_string_value(value)))
			property_put(bag, key, json_string_value(value));
	}
	return 0;
}

static int
read_message(struct batched_message *out, size_t *left, const json_t *json, struct err *err)
{
	if (!json_is_object(json))
		return err_set(err, ERR_INVALID, "a message is an object");
	out->bag.max = buf_max(*left);
	if (read_properties(&out->bag, json, err) < 0)
		return -1;
	out->payload.max = buf_max(*left - out->bag.len);
	if (read_body(&out->payload, json, err) < 0)
		return -1;
	if (out->bag.failed || out->payload.failed)
		return err_set(err, ERR_LIMIT, "the messages have more than %d bytes", MESSAGE_BATCH_MAX);
	*left -= out->bag.len + out->payload.len;
	return 0;
}

static int
check_shape(const json_t *json, struct err *err)
{
	if (!json_is_array(json) || json_array_size(json) == 0)
		return err_set(err, ERR_INVALID, "a batch is a list of messages");
	if (json_array_size(json) > MESSAGE_BATCH_MESSAGES_MAX)
		return err_set(
			err, ERR_LIMIT, "%zu messages; at most %d are accepted", json_array_size(json), MESSAGE_BATCH_MESSAGES_MAX);
	return 0;
}

int
message_batch_parse(struct message_batch *out, const void *text, size_t len, struct err *err)
{
	size_t left = MESSAGE_BATCH_MAX;
	OWN_LIB(json_t) json = NULL;

	if (len > MESSAGE_BATCH_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "a batch of %zu bytes; at most %d are accepted", len, MESSAGE_BATCH_TEXT_MAX);
	json = json_parse(text, len, err);
	if (!json || check_shape(json, err) < 0)
		return -1;
	*out = (struct message_batch){ .n = json_array_size(json) };
	out->message = mem_new(out->n * sizeof(*out->message));
	for (size_t i = 0; i < out->n; i++)
		if (read_message(&out->message[i], &left, json_array_get(json, i), err) < 0) {
			message_batch_clear(out);
			return -1;
		}
	return 0;
}
