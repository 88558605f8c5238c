/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of a file, of standard input, of a server (cert_source.h). */
#include "cert_source.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/probe.h"
#include "password.h"
#include "pki/p12.h"
#include "wire/uri.h"

#define INPUT_MAX (4 * 1024 * 1024)
#define TIMEOUT_MS 10000

struct scheme {
	const char *prefix;
	int port; /* 0: the URL has to say it */
};

static const struct scheme schemes[] = { { "https://", 443 }, { "mqtts://", 8883 }, { "wss://", 443 }, { "amqps://", 5671 },
	{ "tls://", 0 } };

static const struct scheme *
find_scheme(const char *where)
{
	for (size_t i = 0; where && i < COUNT(schemes); i++)
		if (text_starts(where, schemes[i].prefix))
			return &schemes[i];
	return NULL;
}

bool
cert_source_is_url(const char *where)
{
	return where && strstr(where, "://") && !text_starts(where, "file://");
}

bool
cert_source_is_file(const char *where)
{
	return where && !text_is(where, "-") && !cert_source_is_url(where);
}

int
cert_source_host(const char *where, char **host, int *port, struct err *err)
{
	const struct scheme *scheme = find_scheme(where);
	OWN_TEXT place = NULL;

	if (!scheme)
		return err_set(err, ERR_INVALID,
			"'%.80s': a server is named by https://, mqtts://, wss://, amqps:// or tls://HOST:PORT", where);
	where += strlen(scheme->prefix);
	place = mem_textn(where, strcspn(where, "/?#"));
	*port = scheme->port;
	if (uri_parse_host(place, host, port, err) < 0)
		return -1;
	if (*port)
		return 0;
	mem_free(*host);
	*host = NULL;
	return err_set(err, ERR_INVALID, "'tls://%.80s': the port is missing", place);
}

/* A server that demands a certificate of ours has shown its own before that. */
static int
take_sent(struct certs *out, const struct probe *probe, const struct cert_source *source, struct err *err)
{
	const char *where = source->where;

	if (probe->sent.n == 0)
		return err_set(err, ERR_UNAVAILABLE, "%s: %s", where, probe->why ? probe->why : "it showed no certificate");
	if (source->proven && !probe->proven)
		return err_set(err, ERR_DENIED, "%s: it showed a certificate and did not prove that it has its key (%s)", where,
			probe->why ? probe->why : "no handshake");
	for (size_t i = 0; i < probe->sent.n; i++)
		certs_add(out, probe->sent.item[i]);
	return 0;
}

static int
read_server(struct certs *out, const struct cert_source *source, struct err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct probe_target target = { .connect_to = source->connect_to, .timeout_ms = TIMEOUT_MS };
	CLEAR(probe) probe = { .reason = OK };
	OWN_TEXT host = NULL;

	if (cert_source_host(source->where, &host, &target.port, err) < 0)
		return -1;
	sigaction(SIGPIPE, &ignore, NULL); /* libssl writes to servers that are gone */
	target.host = host;
	probe_run(&probe, &target);
	return take_sent(out, &probe, source, err);
}

static int
load_file(struct buf *out, const char *where, struct err *err)
{
	OWN_TEXT path = text_starts(where, "file://") ? uri_file_path(where, err) : mem_text(where);

	return path ? file_load(out, path, err) : -1;
}

int
cert_source_bytes(struct buf *out, const char *where, struct err *err)
{
	uint8_t piece[4096];
	size_t n;

	if (where && !text_is(where, "-"))
		return load_file(out, where, err);
	while (!out->failed && (n = fread(piece, 1, sizeof(piece), stdin)) > 0)
		buf_put(out, piece, n);
	return out->failed ? err_set(err, ERR_LIMIT, "standard input: more than %u bytes", out->max) : 0;
}

static const char *
name_of(const struct cert_source *source)
{
	return cert_source_is_file(source->where) ? source->where : "standard input";
}

/* Given, or asked for where "" is not it. */
static int
take_locked(struct certs *out, const struct buf *bytes, const struct cert_source *source, struct err *err)
{
	OWN_TEXT question = mem_textf("Password of %s", name_of(source));
	char password[PASSWORD_SIZE];
	int done;

	if (!source->password) {
		done = p12_take_certs(out, bytes, "", CERTS_MAX, err);
		if (done == 0 || err->kind != ERR_DENIED)
			return done;
		*err = (struct err)ERR_INIT;
	}
	done = source->password ? password_read(password, source->password, err) : password_ask(password, question, err);
	if (done < 0)
		return source->password ? -1 : err_wrap(err, "PKCS #12 with a password: --password-file says where it is");
	done = p12_take_certs(out, bytes, password, CERTS_MAX, err);
	mem_wipe(password, sizeof(password));
	return done;
}

int
cert_source_decode(struct certs *out, const struct buf *bytes, const struct cert_source *source, struct err *err)
{
	int done = p12_is(bytes) ? take_locked(out, bytes, source, err) : certs_decode(out, bytes, CERTS_MAX, err);

	return done < 0 ? err_wrap(err, "%s", name_of(source)) : 0;
}

int
cert_source_read(struct certs *out, const struct cert_source *source, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(INPUT_MAX);

	if (cert_source_is_url(source->where))
		return read_server(out, source, err);
	if (cert_source_bytes(&text, source->where, err) < 0)
		return -1;
	return cert_source_decode(out, &text, source, err);
}
