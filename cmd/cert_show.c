/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge cert show and fingerprint. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/option.h"
#include "cert.h"
#include "page.h"

struct options {
	bool json, plain, sha1;
};

static const struct option_row show_rows[] = {
	{ "json", 0, NULL, "one JSON object a line for each certificate", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ 0 },
};

static const struct option_usage show_usage = { "rootedge cert show", "[FILE...]",
	"Show the certificates of PEM or DER files; without a file, or for \"-\", of standard input.",
	"Exit status: 0 shown, 1 a file could not be read, 2 called wrongly.", show_rows };

static void
print_place(struct buf *page, const struct certs *certs, size_t i)
{
	const struct cert *above = i + 1 < certs->n ? certs->item[i + 1] : NULL;

	if (certs->n == 1)
		return;
	buf_putf(page, "  %-14s %zu of %zu%s\n", "place", i + 1, certs->n,
		above && strcmp(cert_issuer(certs->item[i]), cert_subject(above)) == 0 ? ", issued by the next" : "");
}

static int
show(const char *path, const struct options *o, struct err *err)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	CLEAR(certs) certs = { 0 };

	if (cert_read(&certs, path, err) < 0)
		return -1;
	for (size_t i = 0; i < certs.n; i++) {
		OWN_TEXT json = o->json ? cert_json(certs.item[i]) : NULL;

		if (json) {
			buf_putf(&page, "%s\n", json);
			continue;
		}
		cert_print(certs.item[i], clock_wall(), &page, page_has_colour());
		print_place(&page, &certs, i);
		buf_puts(&page, i + 1 < certs.n ? "\n" : "");
	}
	page_print(&page);
	return 0;
}

int
cert_verb_show(int argc, char **argv)
{
	struct options o = { 0 };
	struct err err = ERR_INIT;
	int n = option_parse(&show_usage, &o, argc, argv, &err), status = 0;

	if (n < 0)
		return page_failure(show_usage.command, &err, 2);
	for (int i = 0; i < (n > 0 ? n : 1); i++) {
		if (i > 0 && !o.json)
			puts("");
		if (show(n > 0 ? argv[i] : NULL, &o, &err) < 0)
			status = page_failure(show_usage.command, &err, 1);
	}
	return status;
}

/* -- rootedge cert fingerprint ----------------------------------------------------------------------------------------------------- */

static const struct option_row fingerprint_rows[] = {
	{ "plain", 'p', NULL, "without colons, as hubs register thumbprints", OPTION_FLAG, offsetof(struct options, plain), 0, 0 },
	{ "sha1", 0, NULL, "SHA-1, for old registrations", OPTION_FLAG, offsetof(struct options, sha1), 0, 0 },
	{ 0 },
};

static const struct option_usage fingerprint_usage = { "rootedge cert fingerprint", "[FILE...]",
	"Print the SHA-256 fingerprint of the first certificate of each file, one a line; without a file, of standard input.",
	"Exit status: 0 printed, 1 a file could not be read, 2 called wrongly.", fingerprint_rows };

static int
fingerprint(const char *path, const struct options *o, struct err *err)
{
	CLEAR(certs) certs = { 0 };
	const uint8_t *digest;
	size_t len = o->sha1 ? DIGEST_SHA1_LEN : DIGEST_SHA256_LEN;

	if (cert_read(&certs, path, err) < 0)
		return -1;
	digest = o->sha1 ? cert_sha1(certs.item[0]) : cert_sha256(certs.item[0]);
	for (size_t i = 0; i < len; i++)
		printf("%02X%s", digest[i], i + 1 == len ? "\n" : o->plain ? "" : ":");
	return 0;
}

int
cert_verb_fingerprint(int argc, char **argv)
{
	struct options o = { 0 };
	struct err err = ERR_INIT;
	int n = option_parse(&fingerprint_usage, &o, argc, argv, &err), status = 0;

	if (n < 0)
		return page_failure(fingerprint_usage.command, &err, 2);
	for (int i = 0; i < (n > 0 ? n : 1); i++)
		if (fingerprint(n > 0 ? argv[i] : NULL, &o, &err) < 0)
			status = page_failure(fingerprint_usage.command, &err, 1);
	return status;
}
