/* SPDX-License-Identifier: Apache-2.0 */
/* The registered CAs and their one writer (ca.h).  The list belongs to the worker.  What decisions see is a set that is made anew with each change and
 * swapped in; connections that began under the old one are asked again by whoever watches. */
#include "hub/registry/ca.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "hub/registry/registry_record.h"
#include "wire/codec.h"
#include "wire/json.h"

#define CERT_TEXT_MAX (64 * 1024)

struct ca_registry {
	struct registry *registry;
	enum ca_list list;
	struct ca_record *item[AUTHORITIES_MAX]; /* by name */
	size_t n;
	struct certs from_file;
	pthread_mutex_t lock; /* for `current`: held while a reference is taken, once a connection */
	struct authorities *current;
	void (*withdrawn)(void *arg);
	void *withdrawn_arg;
	void (*changed)(void *arg);
	void *changed_arg;
};

/* -- Rules -------------------------------------------------------------------------------------------------------------------------- */

bool
ca_name_is_valid(const char *name)
{
	size_t len = strnlen(name, CA_NAME_MAX + 1);

	if (len == 0 || len > CA_NAME_MAX)
		return false;
	for (; *name; name++)
		if (!(*name >= 'a' && *name <= 'z') && !(*name >= 'A' && *name <= 'Z') && !(*name >= '0' && *name <= '9') &&
			!strchr("-._", *name))
			return false;
	return true;
}

static int
read_bytes(struct buf *bytes, const char *text, struct err *err)
{
	CLEAR(buf) compact = BUF_INIT(CERT_TEXT_MAX);

	if (strstr(text, "-----BEGIN")) {
		buf_puts(bytes, text);
	} else {
		for (; *text; text++)
			if (!strchr(" \t\r\n", *text))
				buf_put(&compact, text, 1);
		if (compact.failed || !base64_decode(bytes, buf_text(&compact), compact.len, BASE64_LAX))
			return err_set(err, ERR_INVALID, "the certificate is neither PEM nor base64");
	}
	return bytes->failed ? err_set(err, ERR_LIMIT, "the certificate is longer than %d bytes", CERT_TEXT_MAX) : 0;
}

struct cert *
ca_read_cert(const char *text, size_t max, struct err *err)
{
	CLEAR(buf) bytes = BUF_INIT(CERT_TEXT_MAX);
	struct certs certs = { 0 };
	struct cert *cert;

	if (strlen(text) > CERT_TEXT_MAX)
		return err_null(err, ERR_LIMIT, "the certificate is longer than %d bytes", CERT_TEXT_MAX);
	if (read_bytes(&bytes, text, err) < 0 || certs_decode(&certs, &bytes, max, err) < 0)
		return NULL;
	cert = cert_ref(certs.item[0]);
	certs_clear(&certs);
	return cert;
}

int
ca_check_proof(const struct cert *ca, const struct cert *leaf, const char *code, int64_t now, struct err *err)
{
	struct cert *root = cert_ref((struct cert *)(uintptr_t)ca);
	struct certs one = { .item = &root, .n = 1 };
	OWN(anchors) anchors = anchors_new(&one, err);
	OWN(verdict) v = verdict_new("hub", "Does its owner hold the CA's key?", cert_subject(ca));
	OWN_TEXT sentence = NULL;

	cert_free(root);
	if (!anchors)
		return -1;
	if (!text_is(cert_common_name(leaf), code))
		return err_set(err, ERR_INVALID, "the CN of the verification certificate is not the verification code");
	chain_verify(v, anchors, &(struct chain_query){ .leaf = leaf, .purpose = CHAIN_ANY, .now = now, .partial = true });
	if (verdict_accepted(v))
		return 0;
	sentence = verdict_sentence(v);
	return err_set(err, ERR_INVALID, "the verification certificate proves nothing: %s", sentence);
}

/* -- What decisions see --------------------------------------------------------------------------------------------------------- */

struct authorities *
ca_current(struct ca_registry *cas)
{
	struct authorities *current;

	pthread_mutex_lock(&cas->lock);
	current = authorities_ref(cas->current);
	pthread_mutex_unlock(&cas->lock);
	return current;
}

static struct authorities *
make_set(const struct ca_registry *cas, struct err *err)
{
	static const struct authority_scope all = { 0 };
	OWN(authorities) set = authorities_new();

	for (size_t i = 0; i < cas->from_file.n; i++)
		if (authorities_add(set, "--device-ca", cas->from_file.item[i], &all, true, err) < 0)
			return NULL;
	for (size_t i = 0; i < cas->n; i++)
		if (authorities_add(
			    set, cas->item[i]->name, cas->item[i]->cert, &cas->item[i]->scope, cas->item[i]->is_verified, err) < 0)
			return NULL;
	return GIVE(set);
}

/* A set that can't be made (no memory in OpenSSL) leaves the old one: it is said, and the next change tries again. */
static void
publish(struct ca_registry *cas)
{
	struct err err = ERR_INIT;
	struct authorities *set = make_set(cas, &err), *old;

	if (!set) {
		log_error("CAs: %s", err.text);
		return;
	}
	pthread_mutex_lock(&cas->lock);
	old = cas->current;
	cas->current = set;
	pthread_mutex_unlock(&cas->lock);
	authorities_free(old);
	registry_touch(cas->registry);
}

void
ca_watch(struct ca_registry *cas, void (*withdrawn)(void *arg), void *arg)
{
	cas->withdrawn = withdrawn;
	cas->withdrawn_arg = arg;
}

void
ca_watch_all(struct ca_registry *cas, void (*changed)(void *arg), void *arg)
{
	cas->changed = changed;
	cas->changed_arg = arg;
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------- */

static void
load_one(void *arg, struct ca_record *record_take)
{
	struct ca_registry *cas = arg;

	if (cas->n < AUTHORITIES_MAX)
		cas->item[cas->n++] = record_take;
	else
		ca_record_free(record_take);
}

struct ca_registry *
ca_open(struct registry *registry, enum ca_list list, const char *file_path, struct err *err)
{
	struct ca_registry *cas = NEW(ca_registry);

	cas->registry = registry;
	cas->list = list;
	pthread_mutex_init(&cas->lock, NULL);
	if ((file_path && certs_load(&cas->from_file, file_path, AUTHORITIES_MAX / 2, err) < 0) ||
		ca_store_load(registry_store_of(registry), list, load_one, cas, err) < 0 || !(cas->current = make_set(cas, err))) {
		ca_close(cas);
		return NULL;
	}
	return cas;
}

void
ca_close(struct ca_registry *cas)
{
	if (!cas)
		return;
	for (size_t i = 0; i < cas->n; i++)
		ca_record_free(cas->item[i]);
	certs_clear(&cas->from_file);
	authorities_free(cas->current);
	pthread_mutex_destroy(&cas->lock);
	mem_free(cas);
}

/* -- Changing it, on the worker ------------------------------------------------------------------------------------------------------ */

/* Where it is, or where it belongs. */
static size_t
position(const struct ca_registry *cas, const char *name)
{
	size_t i = 0;

	while (i < cas->n && strcmp(cas->item[i]->name, name) < 0)
		i++;
	return i;
}

static struct ca_record *
find(const struct ca_registry *cas, const char *name)
{
	size_t at = position(cas, name);

	return at < cas->n && text_is(cas->item[at]->name, name) ? cas->item[at] : NULL;
}

struct cert *
ca_find_verified(const struct ca_registry *cas, const char *name)
{
	const struct ca_record *record = find(cas, name);

	return record && record->is_verified ? record->cert : NULL;
}

static void
add_found(struct ca_call *call, const struct ca_record *record)
{
	call->found = mem_resize(call->found, (call->n_found + 1) * sizeof(struct ca_record *));
	call->found[call->n_found++] = ca_record_copy(record);
}

static void
replace(struct ca_registry *cas, const char *name, struct ca_record *after_take)
{
	size_t at = position(cas, name);

	if (at < cas->n && text_is(cas->item[at]->name, name)) {
		ca_record_free(cas->item[at]);
		memmove(&cas->item[at], &cas->item[at + 1], (--cas->n - at) * sizeof(struct ca_record *));
	}
	if (!after_take)
		return;
	memmove(&cas->item[at + 1], &cas->item[at], (cas->n++ - at) * sizeof(struct ca_record *));
	cas->item[at] = after_take;
}

static int
stamp(struct registry_store *store, struct ca_record *record, struct err *err)
{
	int64_t change = 0;

	if (registry_store_get_number(store, "ca_change", &change, err) < 0 ||
		registry_store_set_number(store, "ca_change", change + 1, err) < 0)
		return -1;
	mem_free(record->etag);
	record->etag = record_etag((uint64_t)change + 1);
	record->updated = clock_wall();
	return 0;
}

static int
save(struct ca_registry *cas, const char *name, struct ca_record *after, struct err *err)
{
	struct registry_store *store = registry_store_of(cas->registry);
	int done = registry_store_begin(store, err);

	if (done < 0)
		return -1;
	if (after)
		done = stamp(store, after, err) < 0 ? -1 : ca_store_put(store, cas->list, after, err);
	else
		done = ca_store_remove(store, cas->list, name, err);
	return registry_store_end(store, done, err);
}

static void
audit(const char *what, const char *name, const struct cert *cert)
{
	char fingerprint[CERT_FINGERPRINT_LEN];
	OWN_LIB(json_t) json = json_pack("{s:s, s:s, s:s, s:s}", "change", what, "name", name, "subject", cert_subject(cert),
		"sha256", cert_fingerprint(cert, fingerprint));
	OWN_TEXT text = json_line(json);
	OWN_TEXT sentence = mem_textf("CA %s (%s): %s", name, cert_subject(cert), what);

	log_event(LOG_INFO, "ca", text, sentence);
}

/* Made durable, then seen; `what` for the log.  Decisions hear of it only where they could change. */
static enum ca_answer
commit(struct ca_registry *cas, struct ca_call *call, struct ca_record *after_take, const char *what, bool is_trust)
{
	OWN(ca_record) after = after_take;
	const struct ca_record *before = find(cas, call->name);
	bool was_verified = before && before->is_verified;

	if (save(cas, call->name, after, &call->err) < 0)
		return CA_FAILED;
	audit(what, call->name, after ? after->cert : before->cert);
	if (after)
		add_found(call, after);
	replace(cas, call->name, GIVE(after));
	if (is_trust)
		publish(cas);
	if (is_trust && was_verified && cas->withdrawn)
		cas->withdrawn(cas->withdrawn_arg);
	if (is_trust && cas->changed)
		cas->changed(cas->changed_arg);
	return CA_OK;
}

static enum ca_answer
check_match(const struct ca_call *call, const struct ca_record *before)
{
	if (!before)
		return call->op == CA_PUT && !call->if_match ? CA_OK : CA_MISSING;
	if (!call->if_match)
		return CA_NO_ETAG;
	return text_is(call->if_match, "*") || text_is(call->if_match, before->etag) ? CA_OK : CA_WRONG_ETAG;
}

static enum ca_answer
check_cert(const struct ca_registry *cas, struct ca_call *call)
{
	if (authority_check_cert(call->cert, &call->err) < 0)
		return CA_INVALID;
	if (cert_not_after(call->cert) <= clock_wall()) {
		(void)err_set(&call->err, ERR_INVALID, "%s has expired", cert_subject(call->cert));
		return CA_INVALID;
	}
	for (size_t i = 0; i < cas->n; i++)
		if (!text_is(cas->item[i]->name, call->name) && cert_is_same(cas->item[i]->cert, call->cert))
			return CA_ELSEWHERE;
	return CA_OK;
}

/* A new certificate is a new key until its owner proves otherwise; a scope stays unless another one is sent. */
static struct ca_record *
compose(const struct ca_call *call, const struct ca_record *before)
{
	struct ca_record *after = before ? ca_record_copy(before) : NEW(ca_record);
	bool same = before && (!call->cert || cert_is_same(before->cert, call->cert));

	if (!before) {
		after->name = mem_text(call->name);
		after->created = clock_wall();
	}
	if (call->cert && !same) {
		cert_free(after->cert);
		after->cert = cert_ref(call->cert);
		mem_free(after->code);
		after->code = NULL;
	}
	if (call->has_scope) {
		authority_scope_clear(&after->scope);
		after->scope = authority_scope_copy(&call->scope);
	}
	after->is_verified = call->has_verified ? call->is_verified : same && before->is_verified;
	return after;
}

static enum ca_answer
run_put(struct ca_registry *cas, struct ca_call *call)
{
	const struct ca_record *before = find(cas, call->name);
	enum ca_answer answer = check_match(call, before);

	if (answer != CA_OK)
		return answer;
	if (!before && cas->n + cas->from_file.n >= AUTHORITIES_MAX)
		return CA_TOO_MANY;
	if (!before && !call->cert) {
		(void)err_set(&call->err, ERR_INVALID, "properties.certificate is missing");
		return CA_INVALID;
	}
	answer = call->cert ? check_cert(cas, call) : CA_OK;
	if (answer != CA_OK)
		return answer;
	return commit(cas, call, compose(call, before), before ? "changed" : "registered", true);
}

static enum ca_answer
run_remove(struct ca_registry *cas, struct ca_call *call)
{
	enum ca_answer answer = check_match(call, find(cas, call->name));

	return answer == CA_OK ? commit(cas, call, NULL, "deleted", true) : answer;
}

static char *
make_code(void)
{
	CLEAR(buf) text = BUF_INIT(2 * CA_CODE_BYTES + 1);
	uint8_t bytes[CA_CODE_BYTES];

	random_bytes(bytes, sizeof(bytes));
	hex_encode(&text, bytes, sizeof(bytes), true);
	return buf_take_text(&text);
}

static enum ca_answer
run_code(struct ca_registry *cas, struct ca_call *call)
{
	const struct ca_record *before = find(cas, call->name);
	enum ca_answer answer = check_match(call, before);
	struct ca_record *after;

	if (answer != CA_OK)
		return answer;
	after = ca_record_copy(before);
	mem_free(after->code);
	after->code = make_code();
	return commit(cas, call, after, "verification code made", false);
}

static enum ca_answer
run_verify(struct ca_registry *cas, struct ca_call *call)
{
	const struct ca_record *before = find(cas, call->name);
	enum ca_answer answer = check_match(call, before);
	struct ca_record *after;

	if (answer != CA_OK)
		return answer;
	if (!before->code)
		return CA_NO_CODE;
	if (ca_check_proof(before->cert, call->cert, before->code, clock_wall(), &call->err) < 0)
		return CA_INVALID;
	after = ca_record_copy(before);
	mem_free(after->code);
	after->code = NULL; /* a code proves once */
	after->is_verified = true;
	return commit(cas, call, after, "verified", true);
}

static enum ca_answer
run_get(struct ca_registry *cas, struct ca_call *call)
{
	const struct ca_record *record = find(cas, call->name);

	if (!record)
		return CA_MISSING;
	add_found(call, record);
	return CA_OK;
}

static enum ca_answer
run_list(struct ca_registry *cas, struct ca_call *call)
{
	for (size_t i = 0; i < cas->n; i++)
		add_found(call, cas->item[i]);
	return CA_OK;
}

/* -- Calls ---------------------------------------------------------------------------------------------------------------------------- */

void
ca_run(struct ca_registry *cas, struct ca_call *call)
{
	static enum ca_answer (*const run[])(struct ca_registry * cas, struct ca_call * call) = {
		[CA_LIST] = run_list,
		[CA_GET] = run_get,
		[CA_PUT] = run_put,
		[CA_REMOVE] = run_remove,
		[CA_CODE] = run_code,
		[CA_VERIFY] = run_verify,
	};

	call->answer = run[call->op](cas, call);
}

static void
run_job(struct job *job)
{
	struct ca_call *call = CONTAINER_OF(job, struct ca_call, job);

	ca_run(call->cas, call);
}

static void
job_done(struct job *job)
{
	struct ca_call *call = CONTAINER_OF(job, struct ca_call, job);

	call->done(call);
}

bool
ca_submit(struct ca_registry *cas, struct ca_call *call, struct owner *owner)
{
	call->cas = cas;
	call->job = (struct job){ .run = run_job, .done = job_done, .owner = owner };
	return registry_work(cas->registry, &call->job);
}

void
ca_call_clear(struct ca_call *call)
{
	for (size_t i = 0; i < call->n_found; i++)
		ca_record_free(call->found[i]);
	mem_free(call->found);
	mem_free(call->name);
	mem_free(call->if_match);
	cert_free(call->cert);
	authority_scope_clear(&call->scope);
	*call = (struct ca_call){ 0 };
}
