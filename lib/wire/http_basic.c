/* SPDX-License-Identifier: Apache-2.0 */
/* "Basic ", and base64 of NAME:PASSWORD (http_basic.h). */
#include "wire/http_basic.h"

#include <string.h>
#include <strings.h>

#include "wire/codec.h"

#define SCHEME "Basic "

bool
http_basic_read(struct buf *name, const char **password, const char *authorization)
{
	const char *encoded = authorization + sizeof(SCHEME) - 1;
	char *colon;

	if (strncasecmp(authorization, SCHEME, sizeof(SCHEME) - 1) != 0)
		return false;
	encoded += strspn(encoded, " ");
	/* With a NUL in it, what is compared would be less than what was sent. */
	if (!base64_decode(name, encoded, strlen(encoded), BASE64_STRICT) || name->len == 0 || memchr(name->data, 0, name->len))
		return false;
	colon = strchr((char *)name->data, ':');
	if (!colon)
		return false;
	*colon = '\0';
	*password = colon + 1;
	return true;
}
