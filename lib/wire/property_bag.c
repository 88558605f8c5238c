/* SPDX-License-Identifier: Apache-2.0 */
/* Property bags, one pair at a time. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/property_bag.h"

struct system_row {
	const char *name, *means;
};

static const struct system_row system_rows[] = {
	{ "$.mid", "message-id" },
	{ "$.cid", "correlation-id" },
	{ "$.uid", "user-id" },
	{ "$.to", "to" },
	{ "$.ct", "content-type" },
	{ "$.ce", "content-encoding" },
	{ "$.exp", "absolute-expiry-time" },
	{ "$.on", "iothub-outputname" },
	{ "$.ifid", "iothub-interface-id" },
	{ "$.sub", "dt-subject" },
	{ "$.cdid", "iothub-connection-device-id" },
	{ "$.cmid", "iothub-connection-module-id" },
	{ "$.ctime", "iothub-creation-time-utc" },
	{ "$.diagid", "diagnostic-id" },
	{ "$.diagctx", "diagnostic-context" },
};

void
property_bag_init(struct property_bag *bag, struct slice text)
{
	*bag = (struct property_bag){ .rest = text, .name = BUF_INIT(PROPERTY_BAG_MAX), .value = BUF_INIT(PROPERTY_BAG_MAX) };
	if (bag->rest.len > 0 && bag->rest.text[bag->rest.len - 1] == '/')
		bag->rest.len--;
}

static void
take_text(struct buf *out, struct slice text)
{
	buf_reset(out);
	if (percent_decode(out, text.text, text.len) && text_is_utf8(buf_text(out), out->len) && strlen(buf_text(out)) == out->len)
		return;
	buf_reset(out);
	buf_put(out, text.text, text.len);
}

bool
property_bag_next(struct property_bag *bag)
{
	struct slice pair, name;

	do {
		if (bag->rest.len == 0)
			return false;
		slice_cut(&bag->rest, '&', &pair);
	} while (pair.len == 0);
	bag->has_value = slice_cut(&pair, '=', &name);
	take_text(&bag->name, name);
	take_text(&bag->value, pair);
	return true;
}

void
property_bag_clear(struct property_bag *bag)
{
	buf_clear(&bag->name);
	buf_clear(&bag->value);
}

const char *
property_system_name(const char *name)
{
	for (size_t i = 0; i < COUNT(system_rows); i++)
		if (text_is(system_rows[i].name, name))
			return system_rows[i].means;
	return NULL;
}

void
property_put(struct buf *out, const char *name, const char *value)
{
	struct slice n = slice_of(name), v = slice_of(value);

	if (out->len > 0)
		buf_putc(out, '&');
	percent_encode(out, n.text, n.len);
	if (!value)
		return;
	buf_putc(out, '=');
	percent_encode(out, v.text, v.len);
}
