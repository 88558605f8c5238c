/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge cert bundle: what a server or a device sends, in its order, of certificates that lie about in any; as PEM, or with the key as PKCS #12. */
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "cert.h"
#include "cert_openssl.h"
#include "keys/key.h"
#include "page.h"

struct options {
	const char *out, *key, *p12, *p12_password, *connect_to, *password;
	bool root, force, show_openssl;
};

static const struct option_row rows[] = {
	{ "out", 'o', "FILE", "where the bundle goes, PEM (standard output)", OPTION_TEXT, offsetof(struct options, out), 0, 0 },
	{ "root", 0, NULL, "with the root, which nobody needs who trusts it", OPTION_FLAG, offsetof(struct options, root), 0, 0 },
	{ "key", 'k', "FILE", "the private key of the first, for --p12", OPTION_TEXT, offsetof(struct options, key), 0, 0 },
	CERT_ROWS_P12(struct options),
	{ "force", 'f', NULL, "replace these files when they exist", OPTION_FLAG, offsetof(struct options, force), 0, 0 },
	OPENSSL_ROW(struct options),
	CERT_SOURCE_ROWS(struct options),
	{ 0 },
};

static const struct option_usage usage = { "rootedge cert bundle", CERT_SOURCE_OPERANDS,
	"Put a certificate, the first that is given, and those that issued it into the order in which they are sent.",
	"Exit status: 0 done, 1 not done: one could not be read, or does not belong to the rest, 2 called wrongly.", rows };

/* Where one of them came from: the nth of its source. */
struct origin {
	struct cert_source source;
	size_t nth, of;
};

struct bundle {
	struct options o;
	struct certs given, chain;
	struct origin *origins; /* of those that were given */
};

static void
bundle_clear(struct bundle *b)
{
	certs_clear(&b->given);
	certs_clear(&b->chain);
	mem_free(b->origins);
}

static void
add(struct bundle *b, struct cert *cert, const struct origin *origin)
{
	b->origins = mem_resize(b->origins, (b->given.n + 1) * sizeof(*b->origins));
	b->origins[b->given.n] = *origin;
	certs_add(&b->given, cert);
}

static int
read_all(struct bundle *b, int n, char **argv, struct err *err)
{
	for (int i = 0; i < (n > 0 ? n : 1); i++) {
		struct cert_source source = {
			.where = n > 0 ? argv[i] : NULL, .connect_to = b->o.connect_to, .password = b->o.password
		};
		CLEAR(certs) certs = { 0 };

		if (cert_source_read(&certs, &source, err) < 0)
			return -1;
		for (size_t k = 0; k < certs.n; k++)
			add(b, certs.item[k], &(struct origin){ source, k + 1, certs.n });
	}
	return 0;
}

/* One that is no part of the chain is a mistake of who gives it: a server with a wrong intermediate is trusted by nobody. */
static int
put_in_order(struct bundle *b, struct err *err)
{
	CLEAR(certs) whole = { 0 };

	certs_put_in_order(&whole, &b->given);
	for (size_t i = 0; i < b->given.n; i++)
		if (!certs_have(&whole, b->given.item[i]))
			return err_set(err, ERR_INVALID, "%s has issued none of the chain of %s", cert_subject(b->given.item[i]),
				cert_subject(b->given.item[0]));
	for (size_t i = 0; i < whole.n; i++)
		if (i == 0 || b->o.root || !cert_is_self_issued(whole.item[i]))
			certs_add(&b->chain, whole.item[i]);
	return 0;
}

static int
save_p12(const struct bundle *b, struct err *err)
{
	OWN(key) key = key_load(b->o.key, err);

	if (!key || cert_file_check(b->o.p12, b->o.force, err) < 0)
		return -1;
	return cert_file_save_p12(b->o.p12, &b->chain, key, b->o.p12_password, err);
}

static int
save(const struct bundle *b, struct err *err)
{
	struct buf pem = BUF_INIT(PAGE_MAX);

	certs_put_pem(&b->chain, &pem);
	if (!b->o.out) {
		page_print(&pem);
		return 0;
	}
	if (cert_file_check(b->o.out, b->o.force, err) == 0)
		return cert_file_save(b->o.out, &pem, err);
	buf_wipe(&pem);
	return -1;
}

static void
put_one(struct buf *script, const struct origin *from)
{
	buf_puts(script, "  ");
	openssl_put_source(script, &from->source);
	if (from->of == 1) {
		buf_puts(script, "openssl x509");
		openssl_put_in(script, &from->source);
	} else {
		buf_putf(script, "awk '/BEGIN CERT/ { n++; p = 1 } p && n == %zu; /END CERT/ { p = 0 }'", from->nth);
		if (cert_source_is_file(from->source.where)) {
			buf_putc(script, ' ');
			openssl_put_word(script, from->source.where);
		}
	}
	buf_putc(script, '\n');
}

static void
put_end(struct buf *script, const struct options *o)
{
	buf_puts(script, "}");
	if (o->p12) {
		buf_puts(script, " | ");
		openssl_put_p12(script, NULL, o->key, o->p12, o->p12_password);
		return;
	}
	if (o->out) {
		buf_puts(script, " > ");
		openssl_put_word(script, o->out);
	}
	buf_putc(script, '\n');
}

/* Certificate by certificate, in the order that was found. */
static void
show_openssl(const struct bundle *b)
{
	CLEAR(buf) script = BUF_INIT(PAGE_MAX);

	buf_puts(&script, "{\n");
	for (size_t i = 0; i < b->chain.n; i++)
		for (size_t k = 0; k < b->given.n; k++)
			if (cert_is_same(b->chain.item[i], b->given.item[k])) {
				put_one(&script, &b->origins[k]);
				break;
			}
	put_end(&script, &b->o);
	page_print(&script);
}

int
cert_verb_bundle(int argc, char **argv)
{
	CLEAR(bundle) b = { 0 };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &b.o, argc, argv, &err), done;

	if (n >= 0 && b.o.p12 && b.o.out)
		n = err_set(&err, ERR_INVALID, "--out or --p12: one of them");
	if (n >= 0 && b.o.p12 && (!b.o.key || !b.o.p12_password))
		n = err_set(&err, ERR_INVALID,
			"--p12 needs --key and --p12-password: PKCS #12 holds a certificate with its key, under a password");
	if (n < 0)
		return page_failure(usage.command, &err, 2);
	done = read_all(&b, n, argv, &err) < 0 || put_in_order(&b, &err) < 0;
	if (!done && b.o.show_openssl)
		show_openssl(&b);
	else if (!done)
		done = b.o.p12 ? save_p12(&b, &err) : save(&b, &err);
	return done ? page_failure(usage.command, &err, 1) : 0;
}
