/* SPDX-License-Identifier: Apache-2.0 */
/* Headers and properties. */
#include "wire/http_property.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/property_bag.h"

#define LINE_MAX 262144

static const char app[] = "iothub-app-";

struct row {
	const char *header, *property;
};

static const struct row rows[] = {
	{ "iothub-messageid", "$.mid" },
	{ "iothub-correlationid", "$.cid" },
	{ "iothub-userid", "$.uid" },
	{ "iothub-to", "$.to" },
	{ "iothub-expiry", "$.exp" },
	{ "iothub-contenttype", "$.ct" },
	{ "iothub-contentencoding", "$.ce" },
	{ "iothub-interface-id", "$.ifid" },
	{ "iothub-creation-time-utc", "$.ctime" },
	{ "dt-subject", "$.sub" },
	{ "iothub-ack", "iothub-ack" },
};

bool
http_property_put(struct buf *bag, const char *header, const char *value)
{
	if (strncasecmp(header, app, sizeof(app) - 1) == 0 && header[sizeof(app) - 1]) {
		property_put(bag, header + sizeof(app) - 1, value);
		return true;
	}
	for (size_t i = 0; i < COUNT(rows); i++)
		if (text_is_nocase(header, rows[i].header)) {
			property_put(bag, rows[i].property, value);
			return true;
		}
	return false;
}

/* RFC 9110 5.6.2. */
static bool
is_token(const char *text)
{
	return *text && text[strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

static bool
is_plain(const char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			return false;
	return true;
}

static void
put(struct buf *out, const char *text, bool as_it_is)
{
	if (as_it_is)
		buf_puts(out, text);
	else
		percent_encode(out, text, strlen(text));
}

char *
http_property_header(const char *name, const char *value)
{
	struct buf line = BUF_INIT(LINE_MAX);
	const char *header = NULL;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (text_is(name, rows[i].property))
			header = rows[i].header;
	if (header) {
		buf_puts(&line, header);
	} else {
		buf_puts(&line, app);
		put(&line, name, is_token(name));
	}
	buf_puts(&line, ": ");
	put(&line, value, is_plain(value));
	return buf_take_text(&line);
}
