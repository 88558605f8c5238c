/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge cert show and fingerprint. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/option.h"
#include "cert.h"
#include "cert_openssl.h"
#include "page.h"

struct options {
	const char *connect_to, *password;
	bool json, pem, der, plain, sha1, show_openssl;
};

static const struct option_row show_rows[] = {
	{ "json", 0, NULL, "one JSON object a line for each certificate", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ "pem", 0, NULL, "the certificates themselves, PEM", OPTION_FLAG, offsetof(struct options, pem), 0, 0 },
	{ "der", 0, NULL, "the first one itself, DER", OPTION_FLAG, offsetof(struct options, der), 0, 0 },
	OPENSSL_ROW(struct options),
	CERT_SOURCE_ROWS(struct options),
	{ 0 },
};

static const struct option_usage show_usage = { "rootedge cert show", CERT_SOURCE_OPERANDS,
	"Show the certificates of files, PEM, DER or PKCS #12, of standard input (none, or \"-\"), or those that a server sends: "
	"https://HOST[:443], mqtts://HOST[:8883], tls://HOST:PORT.  Whether they are to be trusted is asked of rootedge cert "
	"verify.",
	"Exit status: 0 shown, 1 something could not be read, 2 called wrongly.", show_rows };

static void
print_place(struct buf *page, const struct certs *certs, size_t i)
{
	const struct cert *above = i + 1 < certs->n ? certs->item[i + 1] : NULL;

	if (certs->n == 1)
		return;
	buf_putf(page, "  %-14s %zu of %zu%s\n", "place", i + 1, certs->n,
		above && strcmp(cert_issuer(certs->item[i]), cert_subject(above)) == 0 ? ", issued by the next" : "");
}

static void
put_words(struct buf *page, const struct certs *certs)
{
	for (size_t i = 0; i < certs->n; i++) {
		cert_print(certs->item[i], clock_wall(), page, page_has_colour());
		print_place(page, certs, i);
		buf_puts(page, i + 1 < certs->n ? "\n" : "");
	}
}

static void
put_json(struct buf *page, const struct certs *certs)
{
	for (size_t i = 0; i < certs->n; i++) {
		OWN_TEXT json = cert_json(certs->item[i]);

		buf_putf(page, "%s\n", json);
	}
}

/* openssl x509 shows one; a chain is put into the one container whose reader shows all. */
static void
put_show_openssl(struct buf *page, const struct cert_source *source, const struct certs *certs)
{
	openssl_put_source(page, source);
	if (certs->n == 1) {
		buf_puts(page, "openssl x509 -noout -text");
		openssl_put_in(page, source);
		buf_putc(page, '\n');
		return;
	}
	buf_puts(page, "openssl crl2pkcs7 -nocrl -certfile ");
	openssl_put_word(page, openssl_is_piped(source) ? "/dev/stdin" : source->where);
	buf_puts(page, " |\n  openssl pkcs7 -print_certs -text -noout\n");
}

static int
show(const char *where, const struct options *o, struct err *err)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	CLEAR(certs) certs = { 0 };
	struct cert_source source = { .where = where, .connect_to = o->connect_to, .password = o->password };

	if (cert_source_read(&certs, &source, err) < 0)
		return -1;
	if (o->show_openssl)
		put_show_openssl(&page, &source, &certs);
	else if (o->der)
		cert_put_der(certs.item[0], &page);
	else if (o->pem)
		certs_put_pem(&certs, &page);
	else if (o->json)
		put_json(&page, &certs);
	else
		put_words(&page, &certs);
	page_print(&page);
	return 0;
}

static bool
has_words(const struct options *o)
{
	return !o->json && !o->pem && !o->der && !o->show_openssl;
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
		if (i > 0 && has_words(&o))
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
	{ "json", 0, NULL, "for programs: an object a line", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	OPENSSL_ROW(struct options),
	CERT_SOURCE_ROWS(struct options),
	{ 0 },
};

static const struct option_usage fingerprint_usage = { "rootedge cert fingerprint", CERT_SOURCE_OPERANDS,
	"Print the SHA-256 fingerprint of the first certificate of each file or server, one a line; without one, of standard "
	"input.",
	"Exit status: 0 printed, 1 something could not be read, 2 called wrongly.", fingerprint_rows };

static void
put_fingerprint(struct buf *page, const struct cert *cert, const struct options *o)
{
	const uint8_t *digest = o->sha1 ? cert_sha1(cert) : cert_sha256(cert);
	size_t len = o->sha1 ? DIGEST_SHA1_LEN : DIGEST_SHA256_LEN;

	for (size_t i = 0; i < len; i++)
		buf_putf(page, "%02X%s", digest[i], i + 1 == len || o->plain ? "" : ":");
}

static void
put_fingerprint_openssl(struct buf *page, const struct cert_source *source, const struct options *o)
{
	openssl_put_source(page, source);
	buf_putf(page, "openssl x509 -noout -fingerprint -%s", o->sha1 ? "sha1" : "sha256");
	openssl_put_in(page, source);
	buf_puts(page, o->plain ? " | sed 's/.*=//; s/://g'" : " | sed 's/.*=//'");
}

static int
fingerprint(const char *where, const struct options *o, struct err *err)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	CLEAR(certs) certs = { 0 };
	struct cert_source source = { .where = where, .connect_to = o->connect_to, .password = o->password };

	if (cert_source_read(&certs, &source, err) < 0)
		return -1;
	buf_puts(&page, o->json ? "{\"fingerprint\":\"" : "");
	if (o->show_openssl)
		put_fingerprint_openssl(&page, &source, o);
	else
		put_fingerprint(&page, certs.item[0], o);
	buf_puts(&page, o->json ? "\"}\n" : "\n");
	page_print(&page);
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
