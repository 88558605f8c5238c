/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts of openssl commands (cert_openssl.h). */
#include "cert_openssl.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "page.h"
#include "pki/p12.h"
#include "wire/uri.h"

#define DAY_S 86400
#define INPUT_MAX (4 * 1024 * 1024)

void
openssl_put_word(struct buf *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-";

	if (*word && strspn(word, plain) == strlen(word))
		buf_puts(out, word);
	else
		page_put_quoted(out, word);
}

static void
put_option(struct buf *out, const char *option, const char *value)
{
	buf_putf(out, " %s ", option);
	openssl_put_word(out, value);
}

/* -- Keys ------------------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *alg, *how;
} keys[] = {
	{ "ec-p256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256" },
	{ "ec-p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384" },
	{ "rsa-2048", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048" },
	{ "rsa-3072", "-algorithm RSA -pkeyopt rsa_keygen_bits:3072" },
	{ "rsa-4096", "-algorithm RSA -pkeyopt rsa_keygen_bits:4096" },
	{ "ed25519", "-algorithm ED25519" },
};

static void
put_key(struct buf *out, const struct openssl_make *m)
{
	for (size_t i = 0; m->key_alg && i < COUNT(keys); i++)
		if (text_is(m->key_alg, keys[i].alg)) {
			buf_putf(out, "openssl genpkey %s -out ", keys[i].how);
			openssl_put_word(out, m->key_out);
			buf_putc(out, '\n');
		}
}

/* -- Requests and certificates ------------------------------------------------------------------------------------------------------- */

/* openssl takes "/CN=name" apart at slashes and plus signs. */
static void
put_subject(struct buf *out, const char *common_name)
{
	CLEAR(buf) subject = BUF_INIT(512);

	buf_puts(&subject, "/CN=");
	for (; *common_name; common_name++) {
		if (strchr("/+\\", *common_name))
			buf_putc(&subject, '\\');
		buf_putc(&subject, *common_name);
	}
	put_option(out, "-subj", buf_text(&subject));
}

static void
put_request(struct buf *out, const struct openssl_make *m, const char *options)
{
	buf_putf(out, "openssl req -new -utf8%s", options);
	put_option(out, "-key", m->key_out);
	put_subject(out, m->profile->common_name);
}

static char *
settings_path(const struct openssl_make *m)
{
	return mem_textf("%s.cnf", m->out);
}

static void
put_settings(struct buf *out, const struct openssl_make *m, const char *lines)
{
	OWN_TEXT path = settings_path(m);

	buf_puts(out, "cat > ");
	openssl_put_word(out, path);
	buf_putf(out, " <<'END'\n%sEND\n", lines);
}

void
openssl_put_csr(struct buf *out, const struct openssl_make *m)
{
	CLEAR(buf) lines = BUF_INIT(65536);
	OWN_TEXT path = settings_path(m);

	buf_puts(&lines, "[req]\ndistinguished_name = subject\nreq_extensions = wishes\n[subject]\n[wishes]\n");
	issue_put_names(&lines, m->profile);
	put_key(out, m);
	if (m->profile->n_names > 0)
		put_settings(out, m, buf_text(&lines));
	put_request(out, m, m->der ? " -outform DER" : "");
	if (m->profile->n_names > 0)
		put_option(out, "-config", path);
	put_option(out, "-out", m->out);
	buf_putc(out, '\n');
}

/* YYYYMMDDHHMMSSZ, of an RFC 3339 text. */
static void
put_time(struct buf *out, const char *option, int64_t when)
{
	char text[CLOCK_TEXT_LEN];

	buf_putf(out, " %s ", option);
	for (const char *at = clock_text(when, text); *at; at++)
		if (!strchr("-:T", *at))
			buf_putc(out, *at);
}

static void
put_dates(struct buf *out, const struct openssl_make *m)
{
	int64_t until = m->profile->not_after;

	if (m->issuer->n > 0 && until > cert_not_after(m->issuer->item[0]))
		until = cert_not_after(m->issuer->item[0]);
	if (m->dated) {
		put_time(out, "-not_before", m->profile->not_before);
		put_time(out, "-not_after", until);
		return;
	}
	buf_putf(out, " -days %lld", (long long)((until - clock_wall() + 60) / DAY_S));
}

static const char *
digest_option(const struct openssl_make *m)
{
	OWN_TEXT key = m->issuer->n > 0 ? cert_key_text(m->issuer->item[0]) : NULL;

	if (key)
		return text_is(key, "EC P-384") ? " -sha384" : "";
	return text_is(m->key_alg, "ec-p384") ? " -sha384" : "";
}

static void
put_signer(struct buf *out, const struct openssl_make *m)
{
	if (m->issuer->n == 0) {
		put_option(out, "-signkey", m->key_out);
		return;
	}
	put_option(out, "-CA", m->issuer_path);
	put_option(out, "-CAkey", m->issuer_key_path);
}

/* Those above it follow, but for the root. */
static void
put_above(struct buf *out, const struct openssl_make *m)
{
	size_t n = 0;

	while (n < m->issuer->n && !cert_is_self_issued(m->issuer->item[n]))
		n++;
	if (n == 0 || m->der)
		return;
	buf_putf(out, "awk '/BEGIN CERTIFICATE/ { n++ } n <= %zu' ", n);
	openssl_put_word(out, m->issuer_path);
	buf_puts(out, " >> ");
	openssl_put_word(out, m->out);
	buf_putc(out, '\n');
}

static void
put_wish(struct buf *out, const struct openssl_make *m)
{
	if (!m->csr)
		return;
	if (!text_is(m->csr, "-"))
		put_option(out, "-in", m->csr);
	buf_puts(out, m->csr_is_der ? " -inform DER" : "");
	put_subject(out, m->profile->common_name);
}

void
openssl_put_cert(struct buf *out, const struct openssl_make *m)
{
	CLEAR(buf) lines = BUF_INIT(65536);
	OWN_TEXT path = settings_path(m);

	issue_put_extensions(&lines, m->profile, m->issuer->n > 0 ? m->issuer->item[0] : NULL);
	put_key(out, m);
	put_settings(out, m, buf_text(&lines));
	if (m->dated)
		buf_puts(out, "# -not_before and -not_after came with OpenSSL 3.4\n");
	if (!m->csr) {
		put_request(out, m, "");
		buf_puts(out, " |\n  ");
	}
	buf_putf(out, "openssl x509 -req%s%s", digest_option(m), m->der ? " -outform DER" : "");
	put_wish(out, m);
	put_dates(out, m);
	put_option(out, "-extfile", path);
	put_signer(out, m);
	put_option(out, "-out", m->out);
	buf_putc(out, '\n');
	put_above(out, m);
}

/* As -passin and -passout have it. */
static char *
password_argument(const char *where)
{
	return text_is(where, "-")	     ? mem_text("stdin")
	       : text_starts(where, "fd://") ? mem_textf("fd:%s", where + 5)
					     : mem_textf("file:%s", where);
}

void
openssl_put_p12(struct buf *out, const char *cert, const char *key, const char *p12, const char *password)
{
	OWN_TEXT from = password_argument(password);

	buf_puts(out, "openssl pkcs12 -export");
	if (cert)
		put_option(out, "-in", cert);
	put_option(out, "-inkey", key);
	put_option(out, "-out", p12);
	put_option(out, "-passout", from);
	buf_putc(out, '\n');
}

/* -- Reading ----------------------------------------------------------------------------------------------------------------------- */

char *
openssl_put_password(struct buf *out, const char *where)
{
	if (!where)
		return NULL;
	if (!text_is(where, "-") && !text_starts(where, "fd://"))
		return password_argument(where);
	buf_putf(out, "IFS= read -r password%s%s\nexport password\n", text_is(where, "-") ? "" : " <&",
		text_is(where, "-") ? "" : where + strlen("fd://"));
	return mem_text("env:password");
}

enum form { FORM_PEM, FORM_DER, FORM_P12, FORM_OPEN_P12 };

/* Of one that can't be read openssl says so itself. */
static enum form
form_of(const char *path)
{
	CLEAR(buf) bytes = BUF_INIT(INPUT_MAX);
	CLEAR(certs) found = { 0 };
	struct err err = ERR_INIT;

	if (cert_source_bytes(&bytes, path, &err) < 0 || bytes.len == 0)
		return FORM_PEM;
	if (p12_is(&bytes))
		return p12_take_certs(&found, &bytes, "", CERTS_MAX, &err) == 0 ? FORM_OPEN_P12 : FORM_P12;
	return bytes.data[0] == 0x30 ? FORM_DER : FORM_PEM;
}

static void
put_target(struct buf *out, const char *redirect, const char *path)
{
	buf_puts(out, redirect);
	openssl_put_word(out, path);
	buf_putc(out, '\n');
}

/* In its own order a CA may be first. */
static void
put_opened(struct buf *out, const char *path, const char *pass, const char *to)
{
	static const struct {
		const char *which, *redirect;
	} parts[] = { { "-clcerts", " > " }, { "-cacerts", " >> " } };

	for (size_t i = 0; i < COUNT(parts); i++) {
		buf_putf(out, "openssl pkcs12 -nokeys %s", parts[i].which);
		put_option(out, "-in", path);
		if (pass)
			put_option(out, "-passin", pass);
		put_target(out, parts[i].redirect, to);
	}
}

char *
openssl_put_pem(struct buf *out, const struct cert_source *source, const char *pass)
{
	const char *where = source->where;
	bool is_file = cert_source_is_file(where);
	enum form form = is_file ? form_of(where) : FORM_PEM;
	struct err err = ERR_INIT;
	OWN_TEXT host = NULL;
	char *to;
	int port;

	if (is_file && form == FORM_PEM)
		return mem_text(where);
	if (!is_file && cert_source_is_url(where))
		(void)cert_source_host(where, &host, &port, &err);
	to = mem_textf("%s.pem", is_file ? where : host ? host : "standard-input");
	if (form == FORM_DER) {
		buf_puts(out, "openssl x509");
		put_option(out, "-in", where);
		put_target(out, " -out ", to);
	} else if (is_file) {
		put_opened(out, where, form == FORM_OPEN_P12 ? "pass:" : pass, to);
	} else {
		openssl_put_source(out, source);
		put_target(out, "cat > ", to);
	}
	return to;
}

bool
openssl_is_piped(const struct cert_source *source)
{
	return !cert_source_is_file(source->where) || form_of(source->where) >= FORM_P12;
}

static void
put_locked(struct buf *out, const struct cert_source *source)
{
	OWN_TEXT from = source->password ? password_argument(source->password) : NULL;

	buf_puts(out, "openssl pkcs12 -nokeys");
	put_option(out, "-in", source->where);
	if (from || form_of(source->where) == FORM_OPEN_P12)
		put_option(out, "-passin", from ? from : "pass:");
	buf_puts(out, " |\n  ");
}

void
openssl_put_source(struct buf *out, const struct cert_source *source)
{
	OWN_TEXT host = NULL;
	OWN_TEXT place = NULL;
	struct err err = ERR_INIT;
	int port;

	if (cert_source_is_file(source->where) && openssl_is_piped(source)) {
		put_locked(out, source);
		return;
	}
	if (!cert_source_is_url(source->where) || cert_source_host(source->where, &host, &port, &err) < 0)
		return;
	place = mem_textf("%s:%d", source->connect_to ? source->connect_to : host, port);
	buf_puts(out, "openssl s_client -showcerts");
	put_option(out, "-connect", place);
	put_option(out, uri_is_ip(host) ? "-noservername -verify_ip" : "-servername", host);
	buf_puts(out, " < /dev/null 2> /dev/null |\n  ");
}

void
openssl_put_in(struct buf *out, const struct cert_source *source)
{
	if (!openssl_is_piped(source))
		put_option(out, "-in", source->where);
}
