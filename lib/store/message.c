/* SPDX-License-Identifier: Apache-2.0 */
/* The stored form of a message (message.h), version 1, numbers big-endian:
 *
 *	u8 version, u8 source, u8 flags (1 retain, 2 dup, 4 will), u8 zero, u64 enqueued_ms, then each with its u32 length:
 *	device id, module id, generation id, auth method, model id, bag, payload
 *
 * Version 2, written only for a message that expires, has u64 expires_ms behind enqueued_ms.  Version 3, written only for one with a mark, has expires_ms (0: never), and the mark behind the
 * payload.
 *
 * The property bag is kept as the device sent it and taken apart only when somebody reads the message: most are only passed on. */
#include "store/message.h"

#include <endian.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define VERSION 1
#define VERSION_EXPIRES 2
#define VERSION_MARKED 3
#define HEAD_LEN 12

enum { FLAG_RETAIN = 1, FLAG_DUP = 2, FLAG_WILL = 4 };

/* FNV-1a: for ever, or a device would change its partition with a new version. */
unsigned
message_partition(struct slice device_id, unsigned n_partitions)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < device_id.len; i++)
		hash = (hash ^ (uint8_t)device_id.text[i]) * 16777619u;
	return (hash ^ hash >> 16) % n_partitions;
}

static const char *const source_names[] = {
	[MESSAGE_TELEMETRY] = "Telemetry",
	[MESSAGE_TWIN_CHANGE] = "twinChangeEvents",
	[MESSAGE_LIFECYCLE] = "deviceLifecycleEvents",
	[MESSAGE_CONNECTION] = "deviceConnectionStateEvents",
};

const char *
message_source_name(enum message_source source)
{
	return (size_t)source < COUNT(source_names) ? source_names[source] : NULL;
}

bool
message_source_find(const char *name, enum message_source *source)
{
	for (size_t i = MESSAGE_TELEMETRY; i < COUNT(source_names); i++)
		if (text_is_nocase(source_names[i], name)) {
			*source = (enum message_source)i;
			return true;
		}
	return false;
}

/* The hot path of every message: room once, then copies. */
static uint8_t *
put_slice(uint8_t *at, struct slice s)
{
	uint32_t len = htobe32((uint32_t)s.len);

	memcpy(at, &len, sizeof(len));
	if (s.len > 0)
		memcpy(at + sizeof(len), s.text, s.len);
	return at + sizeof(len) + s.len;
}

void
message_encode(struct buf *out, const struct message *message)
{
	const struct slice parts[] = { message->device_id, message->module_id, message->generation_id, message->auth_method,
		message->model_id, message->bag, message->payload, message->mark };
	uint64_t enqueued_ms = htobe64((uint64_t)message->enqueued_ms);
	uint64_t expires_ms = htobe64((uint64_t)message->expires_ms);
	uint8_t version = message->mark.len > 0 ? VERSION_MARKED : message->expires_ms ? VERSION_EXPIRES : VERSION;
	size_t head_len = version == VERSION ? HEAD_LEN : HEAD_LEN + sizeof(expires_ms), len = head_len;
	size_t n_parts = version == VERSION_MARKED ? COUNT(parts) : COUNT(parts) - 1;
	uint8_t *at;

	for (size_t i = 0; i < n_parts; i++)
		len += sizeof(uint32_t) + parts[i].len;
	at = buf_extend(out, len);
	if (!at)
		return;
	at[0] = version;
	at[1] = (uint8_t)message->source;
	at[2] = (uint8_t)((message->retain ? FLAG_RETAIN : 0) | (message->dup ? FLAG_DUP : 0) | (message->is_will ? FLAG_WILL : 0));
	at[3] = 0;
	memcpy(at + 4, &enqueued_ms, sizeof(enqueued_ms));
	if (version != VERSION)
		memcpy(at + HEAD_LEN, &expires_ms, sizeof(expires_ms));
	at += head_len;
	for (size_t i = 0; i < n_parts; i++)
		at = put_slice(at, parts[i]);
}

static struct slice
get_slice(struct rd *rd)
{
	uint32_t len = rd_u32(rd);

	return rd_slice(rd, len);
}

int
message_decode(struct message *out, const uint8_t *data, size_t len, struct err *err)
{
	struct rd rd = rd_over(data, len);
	struct message m = { 0 };
	uint8_t version = rd_u8(&rd), source = rd_u8(&rd), flags = rd_u8(&rd);

	if (!rd.bad && version > VERSION_MARKED)
		return err_set(err, ERR_INVALID, "a stored message of version %u; this program knows %u", version, VERSION_MARKED);
	rd_u8(&rd);
	m.source = (enum message_source)source;
	m.retain = flags & FLAG_RETAIN;
	m.dup = flags & FLAG_DUP;
	m.is_will = flags & FLAG_WILL;
	m.enqueued_ms = (int64_t)rd_u64(&rd);
	if (version >= VERSION_EXPIRES)
		m.expires_ms = (int64_t)rd_u64(&rd);
	m.device_id = get_slice(&rd);
	m.module_id = get_slice(&rd);
	m.generation_id = get_slice(&rd);
	m.auth_method = get_slice(&rd);
	m.model_id = get_slice(&rd);
	m.bag = get_slice(&rd);
	m.payload = get_slice(&rd);
	if (version == VERSION_MARKED)
		m.mark = get_slice(&rd);
	if (rd.bad || rd_left(&rd) != 0 || version < VERSION || (version == VERSION_EXPIRES && m.expires_ms == 0) ||
		(version == VERSION_MARKED && m.mark.len == 0) || source < MESSAGE_TELEMETRY || source > MESSAGE_CONNECTION ||
		m.device_id.len == 0)
		return err_set(err, ERR_BROKEN, "a stored message of %zu bytes cannot be read", len);
	*out = m;
	return 0;
}
