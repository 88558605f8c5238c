/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge cert root, intermediate, edge-ca, server, device, csr: from a name to files.  What stands in the certificate follows from its kind (pki/issue.c);
 * here are the defaults of each kind, and where its files go. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cert.h"
#include "cert_openssl.h"
#include "page.h"
#include "wire/json.h"

#define DAY_S 86400
#define CHAIN_MAX (256 * 1024)

struct options {
	const char *name, *issuer, *issuer_key, *key, *key_alg, *csr, *out, *key_out, *not_before, *not_after, *p12, *p12_password;
	struct option_list san;
	int64_t days, path_len;
	bool force, json, der, show_openssl;
};

#define ROW_NAME                                                                                                                   \
	{                                                                                                                          \
		"name", 0, "NAME", "the CN, instead of the argument", OPTION_TEXT, offsetof(struct options, name), 0, 0            \
	}
#define ROW_SAN                                                                                                                    \
	{                                                                                                                          \
		"san", 'n', "NAME", "a DNS name, IP address or URI:... it is for; may be given several times", OPTION_LIST,        \
			offsetof(struct options, san), 0, 0                                                                        \
	}
#define ROWS_ISSUER                                                                                                                \
	{ "issuer", 'i', "FILE", "the issuing CA's certificate, with those above it if it has any", OPTION_TEXT,                   \
		offsetof(struct options, issuer), 0, 0 },                                                                          \
	{                                                                                                                          \
		"issuer-key", 0, "FILE", "its key (X.key.pem beside X.cert.pem)", OPTION_TEXT,                                     \
			offsetof(struct options, issuer_key), 0, 0                                                                 \
	}
#define ROWS_KEY                                                                                                                   \
	{ "key-alg", 0, "ALG", "make a key of this kind: ec-p256 (default), ec-p384, rsa-2048, rsa-3072, rsa-4096, ed25519",       \
		OPTION_TEXT, offsetof(struct options, key_alg), 0, 0 },                                                            \
	{                                                                                                                          \
		"key", 'k', "FILE", "use this key instead of making one", OPTION_TEXT, offsetof(struct options, key), 0, 0         \
	}
#define ROW_CSR                                                                                                                    \
	{                                                                                                                          \
		"csr", 0, "FILE", "issue for the key of this request, - is standard input; what else it asks for is not granted",  \
			OPTION_TEXT, offsetof(struct options, csr), 0, 0                                                           \
	}
#define ROWS_DATES                                                                                                                 \
	{ "days", 'd', "N", "how long it is valid, never longer than its issuer", OPTION_INT, offsetof(struct options, days), 1,   \
		36500 },                                                                                                           \
		{ "not-before", 0, "TIME", "valid from this date or RFC 3339 time (10 minutes ago)", OPTION_TEXT,                  \
			offsetof(struct options, not_before), 0, 0 },                                                              \
	{                                                                                                                          \
		"not-after", 0, "TIME", "valid until then, instead of --days", OPTION_TEXT, offsetof(struct options, not_after),   \
			0, 0                                                                                                       \
	}
#define ROW_PATH_LEN                                                                                                               \
	{                                                                                                                          \
		"path-len", 0, "N", "how many CAs may stand below it; -1: any number", OPTION_INT,                                 \
			offsetof(struct options, path_len), -1, 16                                                                 \
	}
#define ROWS_FILES(what, ending)                                                                                                   \
	{ "out", 'o', "FILE", "where the " what " goes (NAME." ending ".pem)", OPTION_TEXT, offsetof(struct options, out), 0, 0 }, \
		{ "key-out", 0, "FILE", "where the private key goes (NAME.key.pem), readable by you alone", OPTION_TEXT,           \
			offsetof(struct options, key_out), 0, 0 },                                                                 \
		{ "der", 0, NULL, "the " what " in DER, alone (NAME." ending ".der)", OPTION_FLAG, offsetof(struct options, der),  \
			0, 0 },                                                                                                    \
		{ "force", 'f', NULL, "replace these files when they exist", OPTION_FLAG, offsetof(struct options, force), 0, 0 }, \
		OPENSSL_ROW(struct options),                                                                                       \
	{                                                                                                                          \
		"json", 0, NULL, "say in JSON what was made", OPTION_FLAG, offsetof(struct options, json), 0, 0                    \
	}

static const struct option_row root_rows[] = { ROW_NAME, ROWS_KEY, ROWS_DATES, ROW_PATH_LEN, ROWS_FILES("certificate", "cert"),
	CERT_ROWS_P12(struct options), { 0 } };
static const struct option_row ca_rows[] = { ROW_NAME, ROWS_ISSUER, ROWS_KEY, ROW_CSR, ROWS_DATES, ROW_PATH_LEN,
	ROWS_FILES("certificate", "cert"), CERT_ROWS_P12(struct options), { 0 } };
static const struct option_row leaf_rows[] = { ROW_NAME, ROWS_ISSUER, ROW_SAN, ROWS_KEY, ROW_CSR, ROWS_DATES,
	ROWS_FILES("certificate", "cert"), CERT_ROWS_P12(struct options), { 0 } };
static const struct option_row csr_rows[] = { ROW_NAME, ROW_SAN, ROWS_KEY, ROWS_FILES("request", "csr"), { 0 } };

#define EXITS "Exit status: 0 made, 1 not made, 2 called wrongly."

struct kind {
	const char *what;
	struct option_usage usage;
	int64_t days, path_len;
	bool needs_issuer, name_is_san;
};

static const struct kind kinds[] = {
	[ISSUE_ROOT] = { "root CA",
		{ "rootedge cert root", "NAME", "Make a root CA: a key, and a certificate that it signed itself, for ten years.",
			EXITS, root_rows },
		3650, -1, false, false },
	[ISSUE_INTERMEDIATE] = { "intermediate CA",
		{ "rootedge cert intermediate", "NAME", "Make a CA under another one, for five years.", EXITS, ca_rows }, 1825, -1,
		true, false },
	[ISSUE_EDGE_CA] = { "Edge CA",
		{ "rootedge cert edge-ca", "NAME",
			"Make an Edge CA, from which an edge device issues the certificates of its gateway and modules, for a "
			"year; no CA may stand below it.  Without --issuer it signs itself.",
			EXITS, ca_rows },
		365, 0, false, false },
	[ISSUE_SERVER] = { "server certificate",
		{ "rootedge cert server", "HOST",
			"Make a server certificate for a host name or address, for a year; more names with --san.  Without "
			"--issuer it signs itself.",
			EXITS, leaf_rows },
		365, 0, false, true },
	[ISSUE_DEVICE] = { "device certificate",
		{ "rootedge cert device", "ID",
			"Make a device's identity certificate, CN = the device id, for a year.  Without --issuer it signs itself, "
			"for registration by thumbprint.",
			EXITS, leaf_rows },
		365, 0, false, false },
};

/* One certificate being made. */
struct making {
	const struct kind *kind;
	struct options *o;
	const char *name;
	char *out, *key_out, *issuer_key_path;
	struct certs issuer, chain; /* the issuer, and those above it; what is made, and those above it but the root */
	struct key *issuer_key, *key;
	struct csr *csr;
	bool csr_is_der;
	struct cert *cert;
};

static void
making_clear(struct making *m)
{
	mem_free(m->out);
	mem_free(m->key_out);
	mem_free(m->issuer_key_path);
	certs_clear(&m->issuer);
	certs_clear(&m->chain);
	key_free(m->issuer_key);
	key_free(m->key);
	csr_free(m->csr);
	cert_free(m->cert);
}

/* "x.cert.pem" has its key in "x.key.pem". */
static char *
key_beside(const char *cert_path)
{
	static const char ending[] = ".cert.pem";

	if (!text_ends(cert_path, ending))
		return NULL;
	return mem_textf("%.*s.key.pem", (int)(strlen(cert_path) - strlen(ending)), cert_path);
}

/* Only --not-after makes a certificate that has ended already, for whoever wants to see one refused. */
static int
check_issuer_lives(const struct making *m, struct err *err)
{
	const struct cert *issuer = m->issuer.item[0];
	char then[CLOCK_TEXT_LEN];

	if (m->o->not_after || cert_not_after(issuer) > clock_wall())
		return 0;
	return err_set(
		err, ERR_INVALID, "the issuer %s ended on %s", cert_subject(issuer), clock_text(cert_not_after(issuer), then));
}

static int
load_issuer(struct making *m, struct err *err)
{
	if (!m->o->issuer)
		return m->kind->needs_issuer ? err_set(err, ERR_INVALID, "an %s needs an issuer: --issuer FILE", m->kind->what) : 0;
	if (certs_load(&m->issuer, m->o->issuer, CERTS_MAX, err) < 0)
		return -1;
	m->issuer_key_path = m->o->issuer_key ? mem_text(m->o->issuer_key) : key_beside(m->o->issuer);
	if (!m->issuer_key_path)
		return err_set(err, ERR_INVALID, "--issuer-key FILE: where is the key of %s?", m->o->issuer);
	return check_issuer_lives(m, err);
}

static int
load_csr(struct making *m, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(CHAIN_MAX);

	if (!m->o->issuer)
		return err_set(err, ERR_INVALID, "a request needs an issuer: --issuer FILE");
	if (m->o->key)
		return err_set(err, ERR_INVALID, "--csr or --key: a request brings its own key");
	if (cert_source_bytes(&text, m->o->csr, err) < 0)
		return -1;
	m->csr_is_der = text.len > 1 && text.data[0] == 0x30;
	m->csr = m->csr_is_der ? csr_from_der(text.data, text.len, err) : csr_parse(buf_text(&text), text.len, err);
	return m->csr ? 0 : err_wrap(err, "%s", m->o->csr);
}

static int
take_time(const char *option, const char *text, int64_t *out, struct err *err)
{
	if (text && !clock_parse(text, out))
		return err_set(err, ERR_INVALID, "--%s: '%s' is not a time like 2026-03-01T00:00:00Z", option, text);
	return 0;
}

static int
fill_profile(struct profile *p, const struct making *m, enum issue_kind kind, struct err *err)
{
	const struct options *o = m->o;

	*p = (struct profile){
		.kind = kind, .common_name = m->name, .path_len = (int)o->path_len, .not_before = clock_wall() - ISSUE_BACKDATE_S
	};
	if (take_time("not-before", o->not_before, &p->not_before, err) < 0)
		return -1;
	p->not_after = (o->not_before ? p->not_before : clock_wall()) + o->days * DAY_S;
	if (take_time("not-after", o->not_after, &p->not_after, err) < 0)
		return -1;
	if (m->kind->name_is_san)
		p->names[p->n_names++] = m->name;
	for (size_t i = 0; i < o->san.n; i++)
		if (p->n_names == 0 || !text_is(o->san.items[i], m->name))
			p->names[p->n_names++] = o->san.items[i];
	return 0;
}

/* The certificate followed by its issuers, so that the file is what a server or device sends; the root is not sent. */
static void
gather_chain(struct making *m)
{
	certs_add(&m->chain, m->cert);
	for (size_t i = 0; i < m->issuer.n; i++)
		if (!cert_is_self_issued(m->issuer.item[i]))
			certs_add(&m->chain, m->issuer.item[i]);
}

static int
save(struct making *m, struct err *err)
{
	struct buf bytes = BUF_INIT(CHAIN_MAX);

	if (m->o->der)
		cert_put_der(m->cert, &bytes);
	else
		certs_put_pem(&m->chain, &bytes);
	return cert_file_save(m->out, &bytes, err);
}

static int
take_name(struct making *m, int n, char **argv, struct err *err)
{
	if (n + (m->o->name != NULL) != 1)
		return err_set(err, ERR_INVALID, "one name is needed; --help tells more");
	m->name = m->o->name ? m->o->name : argv[0];
	return 0;
}

/* Where it all goes, before anything is made: two files, and none that is there already. */
static int
name_files(struct making *m, const char *what, struct err *err)
{
	const struct options *o = m->o;
	OWN_TEXT suffix = mem_textf(".%s.%s", what, o->der ? "der" : "pem");

	m->out = cert_file_path(o->out, m->name, suffix);
	m->key_out = cert_file_path(o->key_out, m->name, ".key.pem");
	if (!o->csr && text_is(m->out, o->key ? o->key : m->key_out))
		return err_set(err, ERR_INVALID, "%s: the private key needs a file of its own", m->out);
	if (o->show_openssl)
		return 0;
	if (cert_file_check(m->out, o->force, err) < 0 || (o->p12 && cert_file_check(o->p12, o->force, err) < 0))
		return -1;
	return o->csr || o->key ? 0 : cert_file_check(m->key_out, o->force, err);
}

/* All that is asked for, before anything is made or touched. */
static int
prepare(struct making *m, struct profile *profile, enum issue_kind kind, struct err *err)
{
	if (name_files(m, "cert", err) < 0 || load_issuer(m, err) < 0 || (m->o->csr && load_csr(m, err) < 0))
		return -1;
	if (m->o->p12 && m->o->csr)
		return err_set(err, ERR_INVALID, "--p12 or --csr: the key of a request is not here");
	if (m->o->p12 && !m->o->p12_password)
		return err_set(err, ERR_INVALID, "--p12-password is missing: where the password for %s is", m->o->p12);
	return fill_profile(profile, m, kind, err);
}

static int
make(struct making *m, const struct profile *profile, struct err *err)
{
	struct issuer issuer = { .cert = m->issuer.n > 0 ? m->issuer.item[0] : NULL };

	if (issuer.cert && !(m->issuer_key = key_load(m->issuer_key_path, err)))
		return -1;
	if (!m->csr)
		m->key = m->o->key ? key_load(m->o->key, err) : cert_file_new_key(m->o->key_alg, err);
	if (!m->csr && !m->key)
		return -1;
	issuer.key = issuer.cert ? m->issuer_key : m->key;
	m->cert = issue_cert(profile, m->csr ? csr_public_key(m->csr) : key_pkey(m->key), &issuer, err);
	if (!m->cert)
		return -1;
	gather_chain(m);
	if (m->o->p12 && cert_file_save_p12(m->o->p12, &m->chain, m->key, m->o->p12_password, err) < 0)
		return -1;
	/* The key first: a certificate whose key is lost is worth nothing, a key without one can be used again with --key. */
	if (m->key && !m->o->key && key_save(m->key, m->key_out, err) < 0)
		return -1;
	return save(m, err);
}

static struct openssl_make
openssl_make(const struct making *m, const struct profile *profile)
{
	const struct options *o = m->o;

	return (struct openssl_make){ .profile = profile,
		.out = m->out,
		.key_out = o->key ? o->key : m->key_out,
		.key_alg = o->key || o->csr ? NULL : o->key_alg,
		.issuer_path = o->issuer,
		.issuer_key_path = m->issuer_key_path,
		.issuer = &m->issuer,
		.csr = o->csr,
		.csr_is_der = m->csr_is_der,
		.der = o->der,
		.dated = o->not_before || o->not_after };
}

static void
show_openssl(const struct making *m, const struct profile *profile)
{
	CLEAR(buf) script = BUF_INIT(PAGE_MAX);
	struct openssl_make made = openssl_make(m, profile);

	openssl_put_cert(&script, &made);
	if (m->o->p12)
		openssl_put_p12(&script, m->out, made.key_out, m->o->p12, m->o->p12_password);
	page_print(&script);
}

static void
tell_json(const struct making *m)
{
	OWN_TEXT text = cert_json(m->cert);
	OWN_TEXT line = NULL;
	struct err err = ERR_INIT;
	OWN_LIB(json_t) json = json_parse(text, strlen(text), &err);

	json_object_set_new(json, "certificateFile", json_string(m->out));
	if (m->key)
		json_object_set_new(json, "keyFile", json_string(m->o->key ? m->o->key : m->key_out));
	line = json_line(json);
	puts(line);
}

static bool
ends_early(const struct making *m)
{
	return m->issuer.n > 0 && !m->o->not_after && cert_not_after(m->cert) == cert_not_after(m->issuer.item[0]);
}

static void
tell(const struct making *m)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	char until[CLOCK_TEXT_LEN], fingerprint[CERT_FINGERPRINT_LEN];
	OWN_TEXT names = cert_names(m->cert);
	bool colour = page_has_colour();

	buf_putf(&page, "%s%s %s%s\n", colour ? "\033[1m" : "", m->kind->what, cert_subject(m->cert), colour ? "\033[0m" : "");
	buf_putf(&page, "  issued by    %s\n", cert_is_self_issued(m->cert) ? "itself" : cert_issuer(m->cert));
	if (*names)
		buf_putf(&page, "  names        %s\n", names);
	buf_putf(&page, "  valid until  %s%s\n", clock_text(cert_not_after(m->cert), until),
		ends_early(m) ? ", when its issuer ends" : "");
	buf_putf(&page, "  SHA-256      %s\n", cert_fingerprint(m->cert, fingerprint));
	buf_putf(&page, "  certificate  %s\n", m->out);
	if (m->key)
		buf_putf(&page, "  private key  %s\n", m->o->key ? m->o->key : m->key_out);
	page_print(&page);
}

int
cert_verb_make(enum issue_kind kind, int argc, char **argv)
{
	const struct kind *k = &kinds[kind];
	struct options o = { .days = k->days, .path_len = k->path_len, .key_alg = "ec-p256" };
	CLEAR(making) m = { .kind = k, .o = &o };
	struct profile profile;
	struct err err = ERR_INIT;
	int n = option_parse(&k->usage, &o, argc, argv, &err);

	if (n < 0 || take_name(&m, n, argv, &err) < 0)
		return page_failure(k->usage.command, &err, 2);
	if (prepare(&m, &profile, kind, &err) < 0 || (!o.show_openssl && make(&m, &profile, &err) < 0))
		return page_failure(k->usage.command, &err, 1);
	if (o.show_openssl)
		show_openssl(&m, &profile);
	else if (o.json)
		tell_json(&m);
	else
		tell(&m);
	return 0;
}

/* -- rootedge cert csr ---------------------------------------------------------------------------------------------------------- */

static const struct option_usage csr_usage = { "rootedge cert csr", "NAME",
	"Make a key and a certificate signing request with this CN.", EXITS, csr_rows };

static int
to_der(struct buf *pem, struct err *err)
{
	OWN(csr) csr = csr_parse(buf_text(pem), pem->len, err);

	buf_reset(pem);
	if (csr)
		csr_put_der(csr, pem);
	return csr ? 0 : -1;
}

static int
make_csr(struct making *m, struct err *err)
{
	struct buf pem = BUF_INIT(CHAIN_MAX);

	m->key = m->o->key ? key_load(m->o->key, err) : cert_file_new_key(m->o->key_alg, err);
	if (!m->key || issue_csr(&pem, m->key, m->name, m->o->san.items, m->o->san.n, err) < 0)
		return -1;
	if ((m->o->der && to_der(&pem, err) < 0) || (!m->o->key && key_save(m->key, m->key_out, err) < 0)) {
		buf_wipe(&pem);
		return -1;
	}
	return cert_file_save(m->out, &pem, err);
}

static void
show_csr_openssl(struct making *m)
{
	CLEAR(buf) script = BUF_INIT(PAGE_MAX);
	struct profile profile = { .common_name = m->name, .n_names = m->o->san.n };
	struct openssl_make made;

	memcpy(profile.names, m->o->san.items, sizeof(m->o->san.items));
	made = openssl_make(m, &profile);
	openssl_put_csr(&script, &made);
	page_print(&script);
}

static void
tell_csr_json(const struct making *m)
{
	OWN_LIB(json_t) json = json_object();
	OWN_TEXT line = NULL;

	json_object_set_new(json, "requestFile", json_string(m->out));
	json_object_set_new(json, "keyFile", json_string(m->o->key ? m->o->key : m->key_out));
	line = json_line(json);
	puts(line);
}

int
cert_verb_csr(int argc, char **argv)
{
	struct options o = { .key_alg = "ec-p256" };
	CLEAR(making) m = { .o = &o };
	struct err err = ERR_INIT;
	int n = option_parse(&csr_usage, &o, argc, argv, &err);

	if (n < 0 || take_name(&m, n, argv, &err) < 0)
		return page_failure(csr_usage.command, &err, 2);
	if (name_files(&m, "csr", &err) < 0 || (!o.show_openssl && make_csr(&m, &err) < 0))
		return page_failure(csr_usage.command, &err, 1);
	if (o.show_openssl)
		show_csr_openssl(&m);
	else if (o.json)
		tell_csr_json(&m);
	else
		printf("certificate signing request of CN=%s\n  request      %s\n  private key  %s (%s)\n", m.name, m.out,
			o.key ? o.key : m.key_out, key_describe(m.key));
	return 0;
}
