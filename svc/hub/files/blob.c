/* SPDX-License-Identifier: Apache-2.0 */
/* A request is a few steps, some on the disk's pool and some on the registry's worker, and its answer.  In each of them a file is durable before a row names it, and a row has forgotten a file before
 * the file is removed: whatever is cut off leaves at most files that nobody names. */
#include "hub/files/blob.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "common/service.h"
#include "hub/files/blob_link.h"
#include "hub/files/blob_list.h"
#include "wire/codec.h"

#define PREFIX "/" FILES_CONTAINER "/"
#define BODY_MAX (4000ull * 1024 * 1024) /* of one request; the quota is what really ends it */
#define REFUSED_BODY_MAX (8 * 1024 * 1024)
#define CONTENT_TYPE_MAX 256

/* -- Which blob, and who may ------------------------------------------------------------------------------------------------------------- */

/* The blob of the path, decoded: the caller owns it.  NULL: it is none, or none that could be. */
static char *
blob_of(const struct http_request *req)
{
	CLEAR(buf) name = BUF_INIT(BLOB_NAME_MAX + IDENTITY_ID_MAX + 2);
	const char *path = http_path(req);

	if (!text_starts(path, PREFIX) || !percent_decode(&name, path + strlen(PREFIX), strlen(path) - strlen(PREFIX)))
		return NULL;
	if (name.failed || strlen(buf_text(&name)) != name.len || !blob_name_is_valid(buf_text(&name)))
		return NULL;
	return buf_take_text(&name);
}

/* Of the device whose blob it is, as it is now; the caller owns it.  NULL: there is none. */
static char *
generation_of(const struct blob_server *server, const char *blob)
{
	OWN_TEXT device_id = file_store_device(blob);
	OWN(identity) device = registry_find(files_registry(server->files), device_id, NULL);

	return device ? mem_text(device->generation_id) : NULL;
}

static bool
link_allows(const struct blob_server *server, const struct http_request *req, const char *blob, const char *generation_id,
	enum blob_right right)
{
	struct blob_link link = {
		.rights = http_query(req, "sp"), .expires = http_query(req, "se"), .signature = http_query(req, "sig")
	};

	return generation_id && blob_link_allows(&link, files_key(server->files), blob, generation_id, right, clock_wall());
}

/* A service reads by its policy's token, as it does anything else. */
static bool
policy_allows(const struct blob_server *server, const struct http_request *req)
{
	const char *token = http_header(req, "Authorization");
	OWN(policies) policies = NULL;
	OWN(verdict) verdict = NULL;

	if (!token)
		return false;
	policies = policy_keeper_current(server->policies);
	verdict = auth_decide_service(
		server->hostname, "devices", token, policies->row, policies->n, AUTH_SERVICE_CONNECT, clock_wall());
	if (!verdict_accepted(verdict))
		service_log_verdict(verdict);
	return verdict_accepted(verdict);
}

/* -- Answers ------------------------------------------------------------------------------------------------------------------------------- */

struct blob_error {
	int status;
	const char *code, *words;
};
static const struct blob_error denied = { 403, "AuthenticationFailed", "The link does not allow this, or has ended." },
			       not_there = { 404, "BlobNotFound", "There is no such blob." },
			       bad_uri = { 400, "InvalidUri", "The path is not that of a blob." },
			       bad_method = { 405, "UnsupportedHttpVerb", "This is not possible with a blob." },
			       bad_comp = { 400, "InvalidQueryParameterValue", "This value of comp is not known here." },
			       bad_block_id = { 400, "InvalidQueryParameterValue", "A blockid is the base64 of 1 to 64 bytes." },
			       bad_type = { 400, "InvalidHeaderValue", "x-ms-blob-type must be BlockBlob." },
			       bad_list = { 400, "InvalidBlockList",
				       "The list of blocks is malformed, or names a block that is not here." },
			       no_room = { 507, "QuotaExceeded", "The room for uploaded files is used up." },
			       no_device_room = { 507, "QuotaExceeded", "The room for files of this device is used up." },
			       busy = { 503, "ServerBusy", "The blob can't be stored now; try again." },
			       broken = { 500, "InternalError", "The blob can't be read." };

static void
fail(struct http_request *req, const struct blob_error *error)
{
	OWN_TEXT code = mem_textf("x-ms-error-code: %s", error->code);
	OWN_TEXT body = mem_textf("<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code><Message>%s</Message></Error>",
		error->code, error->words);
	const char *headers[] = { "Content-Type: application/xml", code, error->status == 503 ? "Retry-After: 5" : NULL, NULL };

	http_respond(req, error->status, headers, body, strlen(body));
}

/* The header lines that name a version of a blob. */
struct version_lines {
	char etag[64], modified[64], request_id[64];
};

static void
version_lines(struct version_lines *lines, const struct blob_record *record)
{
	char date[CLOCK_TEXT_LEN], id[RANDOM_UUID_LEN];

	snprintf(lines->etag, sizeof(lines->etag), "ETag: \"0x%.16s\"", record->file);
	snprintf(lines->modified, sizeof(lines->modified), "Last-Modified: %s", clock_text_http(record->modified, date));
	snprintf(lines->request_id, sizeof(lines->request_id), "x-ms-request-id: %s", random_uuid(id));
}

/* -- Calls --------------------------------------------------------------------------------------------------------------------------------- */

struct blob_call;
struct blob_step {
	enum { ON_DISK, ON_REGISTRY } where;
	void (*run)(struct blob_call *call);
};

struct dropped_file {
	char file[FILE_ID_LEN];
	int64_t size;
};

struct blob_call {
	char *blob, *block_id;
	char *generation_id; /* of the device, when the link was looked at */
	struct blob_list list;
	struct blob_record record, *blocks;
	struct dropped_file *dropped; /* no row names them any more */
	size_t n_dropped;
	struct file_part joined;
	struct blob_server *server;
	struct http_request *req;
	struct file_part *part; /* the new file: the request's or `joined` */
	const struct blob_error *error;
	const struct blob_step *step;
	void (*answer)(struct blob_call *call);
	struct owner *owner;
	struct job job;
	int fd; /* of the file that is answered */
};

static struct registry_store *
store_of(const struct blob_call *call)
{
	return registry_store_of(files_registry(call->server->files));
}

static void
call_free(struct blob_call *call)
{
	file_part_clear(&call->joined);
	blob_list_clear(&call->list);
	blob_record_clear(&call->record);
	if (call->fd >= 0)
		close(call->fd);
	mem_free(call->blocks);
	mem_free(call->dropped);
	mem_free(call->block_id);
	mem_free(call->generation_id);
	mem_free(call->blob);
	mem_free(call);
}

static void next(struct blob_call *call);

static void
on_step(struct job *job)
{
	struct blob_call *call = CONTAINER_OF(job, struct blob_call, job);

	call->step->run(call);
}

static void
on_step_done(struct job *job)
{
	struct blob_call *call = CONTAINER_OF(job, struct blob_call, job);

	call->step++;
	next(call);
}

static void
next(struct blob_call *call)
{
	struct files *files = call->server->files;
	bool started = false;

	if (!call->error && call->step->run) {
		call->job = (struct job){ .run = on_step, .done = on_step_done, .owner = call->owner };
		started = call->step->where == ON_DISK ? files_work(files, &call->job)
						       : registry_work(files_registry(files), &call->job);
		if (started)
			return;
		call->error = &busy;
	}
	if (call->error)
		fail(call->req, call->error);
	else
		call->answer(call);
	call_free(call);
}

static void
call_failed(struct blob_call *call, const struct err *err)
{
	log_error("files: %s: %s", call->blob, err->text);
	if (err->kind == ERR_LIMIT)
		call->error = call->part && call->part->is_device_full ? &no_device_room : &no_room;
	else
		call->error = err->kind == ERR_UNAVAILABLE || err->kind == ERR_BROKEN ? &busy : &broken;
}

static void
drop(void *arg, const char *blob, const char *file, int64_t size)
{
	struct blob_call *call = arg;
	struct dropped_file *one;

	(void)blob; /* it is the call's */
	call->dropped = mem_resize(call->dropped, (call->n_dropped + 1) * sizeof(*call->dropped));
	one = &call->dropped[call->n_dropped++];
	snprintf(one->file, sizeof(one->file), "%s", file);
	one->size = size;
}

/* -- Steps --------------------------------------------------------------------------------------------------------------------------------- */

static void
seal(struct blob_call *call)
{
	if (file_part_seal(call->part) < 0)
		call_failed(call, &call->part->err);
}

static void
take_part(struct blob_call *call)
{
	memcpy(call->record.file, call->part->id, FILE_ID_LEN);
	call->record.size = call->part->size;
	call->record.modified = clock_wall();
}

static int
replace_block(struct blob_call *call, struct err *err)
{
	struct blob_record before = { 0 };

	if (file_store_find_block(store_of(call), call->blob, call->block_id, &before, err) < 0 ||
		file_store_put_block(store_of(call), call->blob, call->block_id, &call->record, err) < 0)
		return -1;
	if (before.file[0])
		drop(call, call->blob, before.file, before.size);
	return 0;
}

/* A blob begins anew: what was there, and the blocks that were on their way, are no more. */
static int
replace_blob(struct blob_call *call, struct err *err)
{
	struct blob_record before = { 0 };

	if (file_store_find_blob(store_of(call), call->blob, &before, err) < 0)
		return -1;
	if (before.file[0])
		drop(call, call->blob, before.file, before.size);
	blob_record_clear(&before);
	if (file_store_files(store_of(call), call->blob, drop, call, err) < 0 ||
		file_store_remove_blocks(store_of(call), call->blob, err) < 0)
		return -1;
	return file_store_put_blob(store_of(call), call->blob, &call->record, err);
}

static void
record(struct blob_call *call)
{
	OWN_TEXT generation_id = generation_of(call->server, call->blob);
	struct err err = ERR_INIT;
	int done;

	/* The device was deleted while it sent, and what another one of its name has is not its own. */
	if (!text_is(generation_id, call->generation_id)) {
		call->error = &denied;
		return;
	}
	take_part(call);
	done = registry_store_begin(store_of(call), &err);
	if (done == 0)
		done = registry_store_end(
			store_of(call), call->block_id ? replace_block(call, &err) : replace_blob(call, &err), &err);
	if (done == 0) {
		call->part->kept = true;
		return;
	}
	call->n_dropped = 0;
	call_failed(call, &err);
}

static void
remove_dropped(struct blob_call *call)
{
	for (size_t i = 0; i < call->n_dropped; i++)
		files_remove(call->server->files, call->blob, call->dropped[i].file, call->dropped[i].size);
}

static void
find_blocks(struct blob_call *call)
{
	struct err err = ERR_INIT;

	call->blocks = mem_array(call->list.n + 1, sizeof(*call->blocks));
	for (size_t i = 0; i < call->list.n && !call->error; i++) {
		if (file_store_find_block(store_of(call), call->blob, call->list.ids[i], &call->blocks[i], &err) < 0)
			call_failed(call, &err);
		else if (!call->blocks[i].file[0])
			call->error = &bad_list;
	}
}

static void
join_blocks(struct blob_call *call)
{
	for (size_t i = 0; i < call->list.n; i++)
		file_part_append(&call->joined, call->blocks[i].file);
	if (call->joined.err.kind == ERR_MISSING)
		call->error = &bad_list; /* another list has just taken them */
	else
		seal(call);
}

static void
find_blob(struct blob_call *call)
{
	struct err err = ERR_INIT;

	if (file_store_find_blob(store_of(call), call->blob, &call->record, &err) < 0)
		call_failed(call, &err);
	else if (!call->record.file[0])
		call->error = &not_there;
}

static void
open_blob(struct blob_call *call)
{
	struct err err = ERR_INIT;

	call->fd = files_read(call->server->files, call->record.file, &err);
	if (call->fd < 0)
		call_failed(call, &err);
}

static const struct blob_step storing[] = { { ON_DISK, seal }, { ON_REGISTRY, record }, { ON_DISK, remove_dropped }, { 0, NULL } };
static const struct blob_step joining[] = { { ON_REGISTRY, find_blocks }, { ON_DISK, join_blocks }, { ON_REGISTRY, record },
	{ ON_DISK, remove_dropped }, { 0, NULL } };
static const struct blob_step reading[] = { { ON_REGISTRY, find_blob }, { ON_DISK, open_blob }, { 0, NULL } };

/* -- What is answered in the end ------------------------------------------------------------------------------------------------------------ */

static void
answer_created(struct blob_call *call)
{
	struct version_lines lines;
	const char *headers[] = { lines.etag, lines.modified, lines.request_id, "x-ms-version: 2020-08-04",
		"x-ms-request-server-encrypted: false", NULL };

	version_lines(&lines, &call->record);
	http_respond(call->req, 201, call->block_id ? headers + 2 : headers, NULL, 0);
}

struct blob_source {
	struct http_source base;
	int fd;
};

static int
source_read(struct http_source *base, void *data, size_t len)
{
	struct blob_source *source = CONTAINER_OF(base, struct blob_source, base);
	uint8_t *at = data;

	while (len > 0) {
		ssize_t got = read(source->fd, at, len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		at += got;
		len -= (size_t)got;
	}
	return 0;
}

static void
source_free(struct http_source *base)
{
	struct blob_source *source = CONTAINER_OF(base, struct blob_source, base);

	close(source->fd);
	mem_free(source);
}

static void
answer_content(struct blob_call *call)
{
	struct blob_source *source = NEW(blob_source);
	const char *type = call->record.content_type ? call->record.content_type : "application/octet-stream";
	OWN_TEXT type_line = mem_textf("Content-Type: %s", type);
	struct version_lines lines;
	/* It is a device's content on the hub's own name: no browser may take it for a page of the hub. */
	const char *headers[] = { lines.etag, lines.modified, lines.request_id, type_line, "x-ms-version: 2020-08-04",
		"x-ms-blob-type: BlockBlob", "Content-Disposition: attachment", NULL };

	version_lines(&lines, &call->record);
	source->base = (struct http_source){ .len = (uint64_t)call->record.size, .read = source_read, .free = source_free };
	source->fd = call->fd;
	call->fd = -1;
	http_respond_from(call->req, 200, headers, &source->base);
}

/* -- Sinks ---------------------------------------------------------------------------------------------------------------------------------- */

struct blob_sink {
	struct http_sink base;
	struct file_part part; /* without files: what comes is refused, and read past so that the answer can be heard */
};

static void
sink_write(struct http_sink *base, const void *data, size_t len)
{
	struct blob_sink *sink = CONTAINER_OF(base, struct blob_sink, base);

	if (sink->part.files)
		file_part_write(&sink->part, data, len);
}

static void
sink_free(struct http_sink *base)
{
	struct blob_sink *sink = CONTAINER_OF(base, struct blob_sink, base);

	file_part_clear(&sink->part);
	mem_free(sink);
}

struct http_sink *
blob_sink(struct blob_server *server, struct http_request *req)
{
	OWN_TEXT blob = NULL;
	OWN_TEXT generation_id = NULL;
	struct blob_sink *sink;
	bool allowed;

	if (!text_starts(http_path(req), PREFIX) || !text_is(http_method(req), "PUT") ||
		text_is(http_query(req, "comp"), "blocklist"))
		return NULL;
	blob = blob_of(req);
	generation_id = blob ? generation_of(server, blob) : NULL;
	allowed = blob && link_allows(server, req, blob, generation_id, BLOB_WRITE);
	sink = NEW(blob_sink);
	sink->base = (struct http_sink){ .max = allowed ? BODY_MAX : REFUSED_BODY_MAX, .write = sink_write, .free = sink_free };
	file_part_init(&sink->part, allowed ? server->files : NULL, blob);
	return &sink->base;
}

/* The part that came with the request; NULL: it was refused then. */
static struct file_part *
part_of(const struct http_request *req)
{
	struct http_sink *base = http_sink_of(req);
	struct blob_sink *sink = base ? CONTAINER_OF(base, struct blob_sink, base) : NULL;

	return sink && sink->part.files ? &sink->part : NULL;
}

/* -- Requests ------------------------------------------------------------------------------------------------------------------------------- */

static struct blob_call *
call_new(struct blob_server *server, struct http_request *req, const char *blob, const char *generation_id)
{
	struct blob_call *call = NEW(blob_call);

	call->server = server;
	call->req = req;
	call->blob = mem_text(blob);
	call->fd = -1;
	file_part_init(&call->joined, server->files, blob);
	call->generation_id = mem_text(generation_id);
	return call;
}

static void
start(struct blob_call *call, const struct blob_step *steps, void (*answer)(struct blob_call *call))
{
	struct conn *conn = http_conn(call->req);

	call->step = steps;
	call->answer = answer;
	call->owner = conn ? loop_owner(conn_loop(conn)) : NULL;
	if (!conn)
		call->error = &busy; /* it died: nobody hears it */
	next(call);
}

static char *
content_type(const struct http_request *req)
{
	const char *type = http_header(req, "x-ms-blob-content-type");

	if (!type)
		type = http_query(req, "comp") ? NULL : http_header(req, "Content-Type");
	return type && strlen(type) <= CONTENT_TYPE_MAX && !text_has_control(type, strlen(type)) && text_is_utf8(type, strlen(type))
		       ? mem_text(type)
		       : NULL;
}

static void
put_part(struct blob_server *server, struct http_request *req, const char *blob, const char *generation_id, const char *block_id)
{
	struct blob_call *call = call_new(server, req, blob, generation_id);

	call->part = part_of(req);
	call->block_id = mem_text(block_id);
	call->record.content_type = block_id ? NULL : content_type(req);
	start(call, storing, answer_created);
}

static void
put_list(struct blob_server *server, struct http_request *req, const char *blob, const char *generation_id)
{
	struct blob_call *call = call_new(server, req, blob, generation_id);
	struct err err = ERR_INIT;
	size_t len;
	const void *body = http_body(req, &len);

	call->part = &call->joined;
	call->record.content_type = content_type(req);
	if (blob_list_parse(&call->list, body, len, &err) < 0)
		call->error = &bad_list;
	start(call, joining, answer_created);
}

static void
put(struct blob_server *server, struct http_request *req, const char *blob)
{
	const char *comp = http_query(req, "comp"), *block_id = http_query(req, "blockid");
	OWN_TEXT generation_id = generation_of(server, blob);

	if (!link_allows(server, req, blob, generation_id, BLOB_WRITE))
		fail(req, &denied);
	else if (text_is(comp, "blocklist"))
		put_list(server, req, blob, generation_id);
	else if (!part_of(req))
		fail(req, &denied);
	else if (text_is(comp, "block") && (!block_id || !blob_block_id_is_valid(block_id)))
		fail(req, &bad_block_id);
	else if (text_is(comp, "block"))
		put_part(server, req, blob, generation_id, block_id);
	else if (comp)
		fail(req, &bad_comp);
	else if (!text_is_nocase(http_header(req, "x-ms-blob-type"), "BlockBlob"))
		fail(req, &bad_type);
	else
		put_part(server, req, blob, generation_id, NULL);
}

static void
get(struct blob_server *server, struct http_request *req, const char *blob)
{
	OWN_TEXT generation_id = generation_of(server, blob);

	if (!link_allows(server, req, blob, generation_id, BLOB_READ) && !policy_allows(server, req))
		fail(req, &denied);
	else if (http_query(req, "comp"))
		fail(req, &bad_comp);
	else
		start(call_new(server, req, blob, generation_id), reading, answer_content);
}

bool
blob_serve(struct blob_server *server, struct http_request *req)
{
	OWN_TEXT blob = NULL;

	if (!text_starts(http_path(req), PREFIX))
		return false;
	blob = blob_of(req);
	if (!blob)
		fail(req, &bad_uri);
	else if (text_is(http_method(req), "PUT"))
		put(server, req, blob);
	else if (text_is(http_method(req), "GET") || text_is(http_method(req), "HEAD"))
		get(server, req, blob);
	else
		fail(req, &bad_method);
	return true;
}
