/* SPDX-License-Identifier: Apache-2.0 */
/* Two maps: names as they are, and wildcards by what follows their star.  Addresses are no names: nobody asks for one by SNI. */
#include "net/tls_names.h"

#include <ctype.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/uri.h"

#define HOST_MAX 255
#define NAMES_MAX 100 /* of one certificate */

struct tls_names {
	struct map *exact, *below; /* "gw.example", "example" for "*.example" */
};

struct tls_names *
tls_names_new(void)
{
	struct tls_names *n = NEW(tls_names);

	n->exact = map_new();
	n->below = map_new();
	return n;
}

void
tls_names_free(struct tls_names *n)
{
	if (!n)
		return;
	map_free(n->exact);
	map_free(n->below);
	mem_free(n);
}

/* Lower case, without the root's dot; 0: none. */
static size_t
normalize(const char *host, char out[static HOST_MAX + 1])
{
	size_t len = strnlen(host, HOST_MAX + 1);

	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len > HOST_MAX)
		len = 0;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)host[i]);
	out[len] = '\0';
	return len;
}

static void
put(struct map *map, const char *key, void *value)
{
	if (!map_find_text(map, key))
		map_put_text(map, key, value);
}

/* "*.example" would be for all of a top-level domain, which no client takes. */
static void
add(struct tls_names *n, const char *name, void *value)
{
	char host[HOST_MAX + 1];

	if (text_starts(name, "URI:") || uri_is_ip(name) || normalize(name, host) == 0)
		return;
	if (!text_starts(host, "*."))
		put(n->exact, host, value);
	else if (strchr(host + 2, '.') && !strchr(host + 2, '*'))
		put(n->below, host + 2, value);
}

void
tls_names_add(struct tls_names *n, const struct cert *leaf, void *value)
{
	char *names[NAMES_MAX];
	size_t count = cert_alternative_names(leaf, names, NAMES_MAX);

	for (size_t i = 0; i < count; i++) {
		add(n, names[i], value);
		mem_free(names[i]);
	}
}

void *
tls_names_find(const struct tls_names *n, const char *name)
{
	char host[HOST_MAX + 1];
	void *found = normalize(name, host) > 0 ? map_find_text(n->exact, host) : NULL;
	const char *dot = strchr(host, '.');

	return found || !dot || dot == host ? found : map_find_text(n->below, dot + 1);
}
