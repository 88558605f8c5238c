/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP exchange with libcurl.  Trust is decided by pki/chain inside the handshake, before a byte of the request leaves; libcurl's own name check is off because ours
 * (SAN only) replaces it.  Exchanges over unix sockets keep their connection, a handle for each thread: signatures by keyd go this way. */
#include <ctype.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/http_client.h"
#include "net/tls_inside.h"
#include "wire/json.h"

#define MAX_BODY (4 * 1024 * 1024)
#define TIMEOUT_MS 30000
#define HEADERS_MAX (64 * 1024)
#define IDLE_S 60 /* shorter than any of our servers keeps an idle connection */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t kept_key; /* for its destructor; the pointer itself is in `kept` */
static __thread CURL *kept;

struct exchange {
	const struct http_call *call;
	struct http_answer *answer;
	CURL *curl;
	char *host;
	size_t header_bytes;
	struct err trouble; /* of our own making, before the exchange began */
	char error[CURL_ERROR_SIZE];
};

static void
free_kept(void *curl)
{
	curl_easy_cleanup(curl);
}

static void
init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	pthread_key_create(&kept_key, free_kept);
}

void
http_answer_clear(struct http_answer *answer)
{
	buf_wipe(&answer->body);
	mem_free(answer->etag);
	mem_free(answer->content_type);
	mem_free(answer->error_code);
	verdict_free(answer->verdict);
	*answer = (struct http_answer){ 0 };
}

/* -- Trust -------------------------------------------------------------------------------------------------------------------------- */

static int
on_server(X509_STORE_CTX *ctx, void *arg)
{
	struct exchange *x = arg;

	return tls_judge_server(ctx, x->call->anchors, x->call->who ? x->call->who : "client", x->host, &x->answer->verdict);
}

static CURLcode
set_trust(CURL *curl, void *ssl_ctx, void *arg)
{
	struct exchange *x = arg;
	SSL_CTX *ctx = ssl_ctx;
	const struct certs *chain = x->call->chain;

	(void)curl;
	tls_set_common(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, on_server, x);
	if (!chain || chain->n == 0)
		return CURLE_OK;
	return tls_use_certificate(ctx, chain, x->call->key, &x->trouble) < 0 ? CURLE_SSL_CERTPROBLEM : CURLE_OK;
}

/* -- Reading ------------------------------------------------------------------------------------------------------------------------- */

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	buf_put(&x->answer->body, data, size * n);
	return x->answer->body.failed ? 0 : size * n;
}

static void
keep_header(struct slice line, const char *name, char **out)
{
	size_t len = strlen(name);

	if (line.len <= len || strncasecmp(line.text, name, len) != 0 || line.text[len] != ':')
		return;
	for (len++; len < line.len && line.text[len] == ' ';)
		len++;
	mem_free(*out);
	*out = mem_textn(line.text + len, line.len - len);
}

static size_t
on_header(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	struct slice line = { .text = data, .len = size * n };
	OWN_TEXT retry = NULL;

	x->header_bytes += line.len;
	if (x->header_bytes > HEADERS_MAX)
		return 0;
	while (line.len > 0 && isspace((unsigned char)line.text[line.len - 1]))
		line.len--;
	keep_header(line, "etag", &x->answer->etag);
	keep_header(line, "content-type", &x->answer->content_type);
	keep_header(line, "iothub-errorcode", &x->answer->error_code);
	keep_header(line, "retry-after", &retry);
	if (retry && !text_to_i64(retry, 0, 7 * 24 * 3600, &x->answer->retry_after_s))
		x->answer->retry_after_s = -1;
	return size * n;
}

/* -- The exchange --------------------------------------------------------------------------------------------------------------------- */

static bool
names_type(const struct http_call *call)
{
	for (size_t i = 0; call->headers && call->headers[i]; i++)
		if (strncasecmp(call->headers[i], "content-type:", 13) == 0)
			return true;
	return false;
}

static struct curl_slist *
header_list(const struct http_call *call)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	if (!names_type(call))
		list = curl_slist_append(list, "Content-Type:"); /* none, rather than that of a form */
	for (size_t i = 0; call->headers && call->headers[i]; i++)
		list = curl_slist_append(list, call->headers[i]);
	return list;
}

static void
set_method(CURL *curl, const struct http_call *call)
{
	bool sends = text_is(call->method, "POST") || text_is(call->method, "PUT") || text_is(call->method, "PATCH");

	if (text_is(call->method, "HEAD")) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
		return;
	}
	/* A POST without a body says so: some servers insist on the length. */
	if (call->body || sends) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body ? call->body : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(call->body ? call->body_len : 0));
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

static int
on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
	const struct exchange *x = arg;

	(void)down_all;
	(void)down;
	(void)up_all;
	(void)up;
	return atomic_load_explicit(x->call->cancelled, memory_order_relaxed);
}

static void
set_options(struct exchange *x, struct curl_slist *headers)
{
	const struct http_call *call = x->call;
	CURL *curl = x->curl;

	curl_easy_setopt(curl, CURLOPT_URL, call->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, call->unix_path ? "http" : "https");
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(call->timeout_ms > 0 ? call->timeout_ms : TIMEOUT_MS));
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, x->error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* a proxy's answer is not the server's */
	if (call->cancelled) {
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, x);
	}
	set_method(curl, call);
}

static void
set_unix(struct exchange *x)
{
	curl_easy_setopt(x->curl, CURLOPT_UNIX_SOCKET_PATH, x->call->unix_path);
	curl_easy_setopt(x->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(x->curl, CURLOPT_MAXAGE_CONN, (long)IDLE_S);
}

static void
set_https(struct exchange *x, struct curl_slist *places)
{
	CURL *curl = x->curl;

	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSL_ENABLE_ALPN, 0L);
	curl_easy_setopt(curl, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, set_trust);
	curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, x);
	if (places)
		curl_easy_setopt(curl, CURLOPT_CONNECT_TO, places);
}

static char *
host_of(const char *url)
{
	CURLU *parts = curl_url();
	char *host = NULL, *copy = NULL;

	if (curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK && curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		copy = host[0] == '[' ? mem_textn(host + 1, strlen(host) - 2) : mem_text(host);
	curl_free(host);
	curl_url_cleanup(parts);
	return copy ? copy : mem_text("");
}

static int
failure(struct exchange *x, CURLcode code, struct err *err)
{
	const char *where = x->call->unix_path ? x->call->unix_path : x->call->url;
	struct verdict *v = x->answer->verdict;
	bool too_much = x->answer->body.failed || x->header_bytes > HEADERS_MAX;

	if (x->trouble.kind != ERR_NONE)
		return err_set(err, x->trouble.kind, "%s %s: %s", x->call->method, where, x->trouble.text);
	if (v && !verdict_accepted(v)) {
		OWN_TEXT sentence = verdict_sentence(v);

		return err_set(err, ERR_DENIED, "%s %s: %s", x->call->method, where, sentence);
	}
	return err_set(err, too_much ? ERR_LIMIT : ERR_UNAVAILABLE, "%s %s: %s", x->call->method, where,
		too_much    ? "the answer is larger than what is accepted"
		: *x->error ? x->error
			    : curl_easy_strerror(code));
}

static int
perform(struct exchange *x, struct err *err)
{
	struct curl_slist *headers = header_list(x->call), *places = NULL;
	long status = 0;
	CURLcode code;

	if (x->call->connect_to) {
		OWN_TEXT place = mem_textf(strchr(x->call->connect_to, ':') ? "::[%s]:" : "::%s:", x->call->connect_to);

		places = curl_slist_append(NULL, place);
	}
	set_options(x, headers);
	if (x->call->unix_path)
		set_unix(x);
	else
		set_https(x, places);
	code = curl_easy_perform(x->curl);
	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	x->answer->status = (int)status;
	curl_slist_free_all(headers);
	curl_slist_free_all(places);
	return code == CURLE_OK ? 0 : failure(x, code, err);
}

/* Resetting a handle drops its settings and keeps its connections. */
static CURL *
take_handle(const struct http_call *call)
{
	if (!call->unix_path)
		return curl_easy_init();
	if (!kept) {
		kept = curl_easy_init();
		pthread_setspecific(kept_key, kept);
	}
	if (kept)
		curl_easy_reset(kept);
	return kept;
}

int
http_fetch(struct http_answer *out, const struct http_call *call, struct err *err)
{
	struct exchange x = { .call = call, .answer = out };
	int status;

	pthread_once(&once, init_curl);
	*out = (struct http_answer){ .body = BUF_INIT(call->max_body ? call->max_body : MAX_BODY), .retry_after_s = -1 };
	if (!call->unix_path && !call->anchors)
		return err_set(err, ERR_INVALID, "%s: nothing to trust was given", call->url);
	x.curl = take_handle(call);
	if (!x.curl)
		return err_set(err, ERR_BROKEN, "libcurl does not start");
	x.host = host_of(call->url);
	status = perform(&x, err);
	if (call->unix_path)
		curl_easy_reset(x.curl); /* nothing of ours stays in it */
	else
		curl_easy_cleanup(x.curl);
	mem_free(x.host);
	return status;
}

static enum err_kind
kind_of(int status)
{
	switch (status) {
	case 400:
	case 415:
	case 422:
		return ERR_INVALID;
	case 401:
	case 403:
		return ERR_DENIED;
	case 404:
		return ERR_MISSING;
	case 409:
	case 412:
		return ERR_CONFLICT;
	case 413:
	case 429:
		return ERR_LIMIT;
	default:
		return ERR_UNAVAILABLE;
	}
}

/* The server's own words: "message" of our services and "Message" of the hub. */
static const char *
message_of(const json_t *body)
{
	static const char *const names[] = { "message", "Message", "errorMessage", "ErrorMessage" };

	for (size_t i = 0; i < COUNT(names); i++) {
		const char *text = json_string_value(json_object_get(body, names[i]));

		if (text)
			return text;
	}
	return "";
}

int
http_fetch_json(json_t **out, struct http_answer *answer, const struct http_call *call, const json_t *body, struct err *err)
{
	OWN_TEXT text = body ? json_line(body) : NULL;
	const char *headers[20] = { "Accept: application/json" };
	struct http_call copy = *call;
	size_t n = 1;
	OWN_LIB(json_t) json = NULL;
	struct err unparsable = ERR_INIT;

	*out = NULL;
	if (body)
		headers[n++] = "Content-Type: application/json";
	for (size_t i = 0; call->headers && call->headers[i] && n + 1 < COUNT(headers); i++)
		headers[n++] = call->headers[i];
	copy.headers = headers;
	copy.body = text;
	copy.body_len = text ? strlen(text) : 0;
	if (http_fetch(answer, &copy, err) < 0)
		return -1;
	if (answer->body.len > 0)
		json = json_parse(answer->body.data, answer->body.len, &unparsable);
	if (answer->status >= 300)
		return err_set(err, kind_of(answer->status), "%s %s: status %d: %s", call->method, call->url, answer->status,
			json ? message_of(json) : "");
	if (answer->body.len > 0 && !json)
		return err_set(err, ERR_INVALID, "%s %s: %s", call->method, call->url, unparsable.text);
	*out = GIVE(json);
	return 0;
}
