/* SPDX-License-Identifier: Apache-2.0 */
/* File upload as devices ask for it and services hear of it (hub 2.4, 4.6): a link to a blob that does not exist yet, what became of it, and the queue of notifications.  The bytes themselves go to
 * blob.c. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "hub/files/blob_link.h"
#include "hub/files/blob_list.h"
#include "hub/files/files.h"
#include "hub/rest/rest.h"
#include "wire/codec.h"
#include "wire/json.h"

#define UPLOADS_MAX 10 /* of a device at a time (hub 1.13) */
#define LINK_MAX 1024

/* One request on its way through the registry's worker. */
struct file_request {
	char *id;	     /* of the correlation, or the lock; owned */
	char *generation_id; /* of the device that begins */
	struct file_upload upload;
	struct file_notification notification;
	struct rest *rest;
	struct http_request *req;
	enum rest_error error;
	const char *error_words; /* NULL: it went well */
	struct err err;
	bool succeeded; /* the device says so */
	void (*run)(struct file_request *r);
	void (*answer)(struct file_request *r);
	struct job job;
};

static void
request_free(struct file_request *r)
{
	file_upload_clear(&r->upload);
	file_notification_clear(&r->notification);
	mem_free(r->id);
	mem_free(r->generation_id);
	mem_free(r);
}

static struct registry_store *
store_of(const struct file_request *r)
{
	return registry_store_of(r->rest->registry);
}

static void
refuse(struct file_request *r, enum rest_error error, const char *words)
{
	r->error = error;
	r->error_words = words;
}

static void
on_worker(struct job *job)
{
	struct file_request *r = CONTAINER_OF(job, struct file_request, job);

	r->run(r);
	if (r->err.kind == ERR_NONE)
		return;
	log_error("files: %s", r->err.text);
	refuse(r, r->err.kind == ERR_UNAVAILABLE ? REST_SERVICE_UNAVAILABLE : REST_SERVER_ERROR, "the store could not be used");
}

static void
on_done(struct job *job)
{
	struct file_request *r = CONTAINER_OF(job, struct file_request, job);

	if (r->error_words)
		rest_fail(r->req, r->error, "%s", r->error_words);
	else
		r->answer(r);
	request_free(r);
}

static void
submit(struct rest *rest, struct http_request *req, struct file_request *r, void (*run)(struct file_request *r),
	void (*answer)(struct file_request *r))
{
	struct conn *conn = http_conn(req);

	r->rest = rest;
	r->req = req;
	r->run = run;
	r->answer = answer;
	r->job = (struct job){ .run = on_worker, .done = on_done, .owner = conn ? loop_owner(conn_loop(conn)) : NULL };
	if (conn && registry_work(rest->registry, &r->job))
		return;
	rest_fail(req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	request_free(r);
}

static void
answer_nothing(struct file_request *r)
{
	http_respond(r->req, 204, NULL, NULL, 0);
}

/* -- A device begins ------------------------------------------------------------------------------------------------------------------------ */

static char *
generation_of(struct rest *rest, const char *device_id)
{
	OWN(identity) device = registry_find(rest->registry, device_id, NULL);

	return device ? mem_text(device->generation_id) : NULL;
}

static void
begin(struct file_request *r)
{
	OWN_TEXT generation_id = generation_of(r->rest, r->upload.device_id);
	int64_t n = 0, now = clock_wall();

	if (!r->generation_id || !text_is(generation_id, r->generation_id)) {
		refuse(r, REST_DEVICE_NOT_FOUND, "the device was deleted");
		return;
	}
	if (files_remove_old_blocks(r->rest->files, &r->err) < 0 ||
		file_store_count_uploads(store_of(r), r->upload.device_id, now, &n, &r->err) < 0)
		return;
	if (n >= UPLOADS_MAX)
		refuse(r, REST_DEVICE_MAXIMUM_ACTIVE_FILE_UPLOAD_LIMIT_EXCEEDED, "the device has 10 uploads that have not ended");
	else
		file_store_begin_upload(store_of(r), r->id, &r->upload, now, &r->err);
}

static void
answer_link(struct file_request *r)
{
	CLEAR(buf) link = BUF_INIT(LINK_MAX);
	OWN_TEXT host = files_host(r->rest->files);

	blob_link_put(
		&link, files_key(r->rest->files), r->upload.blob, r->generation_id, BLOB_READ | BLOB_WRITE, r->upload.expires);
	http_respond_json(r->req, 200, NULL,
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "correlationId", r->id, "hostName", host, "containerName", FILES_CONTAINER,
			"blobName", r->upload.blob, "sasToken", buf_text(&link)));
}

/* DEVICE/NAME.  NULL: answered with what is wrong. */
static char *
wanted_blob(struct http_request *req, const char *device_id)
{
	OWN_LIB(json_t) body = rest_body(req);
	OWN_TEXT blob = NULL;
	struct err err = ERR_INIT;
	const char *name;

	if (!body)
		return NULL;
	if (json_get_text(body, "blobName", &name, &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return NULL;
	}
	blob = mem_textf("%s/%s", device_id, name);
	if (!blob_name_is_valid(blob)) {
		rest_fail(req, REST_ARGUMENT_INVALID,
			"a blobName has up to %d bytes with the device's id, no control characters or backslashes, and between its "
			"slashes nothing that is empty, . or ..",
			BLOB_NAME_MAX);
		return NULL;
	}
	return GIVE(blob);
}

static void
post_file(struct rest *rest, struct http_request *req, const char *const *ids)
{
	char id[RANDOM_UUID_LEN], *blob;
	struct file_request *r;

	if (!files_are_taken(rest->files)) {
		rest_fail(req, REST_DEFAULT_STORAGE_ENDPOINT_NOT_CONFIGURED, "this hub takes no files");
		return;
	}
	blob = wanted_blob(req, ids[0]);
	if (!blob)
		return;
	r = NEW(file_request);
	r->id = mem_text(random_uuid(id));
	r->generation_id = generation_of(rest, ids[0]);
	r->upload = (struct file_upload){ .device_id = mem_text(ids[0]), .blob = blob, .expires = clock_wall() + FILES_LIFE_S };
	submit(rest, req, r, begin, answer_link);
}

/* -- What became of it ------------------------------------------------------------------------------------------------------------------------ */

/* The blob must be there: what a service is told about can be read. */
static int
notify(struct file_request *r, const struct file_upload *upload)
{
	struct blob_record record = { 0 };
	struct file_notification notification = { .device_id = upload->device_id, .blob = upload->blob, .enqueued = clock_wall() };

	if (file_store_find_blob(store_of(r), upload->blob, &record, &r->err) < 0)
		return -1;
	notification.size = record.size;
	notification.modified = record.modified;
	if (!record.file[0])
		refuse(r, REST_INVALID_STORAGE_ENDPOINT_OR_BLOB, "nothing was uploaded by the link of this correlation id");
	blob_record_clear(&record);
	return r->error_words ? -1 : file_store_put_notification(store_of(r), &notification, &r->err);
}

static void
conclude(struct file_request *r, const struct file_upload *upload)
{
	int done = 0;

	if (registry_store_begin(store_of(r), &r->err) < 0)
		return;
	if ((r->succeeded && notify(r, upload) < 0) || file_store_end_upload(store_of(r), r->id, &r->err) < 0)
		done = -1;
	registry_store_end(store_of(r), done, &r->err);
}

static void
end(struct file_request *r)
{
	struct file_upload found = { 0 };

	if (file_store_find_upload(store_of(r), r->id, &found, &r->err) < 0)
		return;
	if (!found.blob || !text_is(found.device_id, r->upload.device_id))
		refuse(r, REST_INVALID_FILE_UPLOAD_CORRELATION_ID, "there is no upload of this device with this correlation id");
	else if (clock_wall() >= found.expires)
		refuse(r, REST_EXPIRED_FILE_UPLOAD_CORRELATION_ID, "the upload with this correlation id has expired");
	else
		conclude(r, &found);
	file_upload_clear(&found);
}

/* {"correlationId"?, "isSuccess", "statusCode"?, "statusDescription"?}: the id may stand in the path instead. */
static int
read_outcome(struct file_request *r, const json_t *body, const char *id_in_path, struct err *err)
{
	const json_t *succeeded = json_object_get(body, "isSuccess");
	const char *id = NULL, *description = NULL;
	int64_t status = 0;

	if (json_find_text(body, "correlationId", &id, err) < 0 || json_find_int(body, "statusCode", &status, err) < 0 ||
		json_find_text(body, "statusDescription", &description, err) < 0)
		return -1;
	if (!json_is_boolean(succeeded))
		return err_set(err, ERR_INVALID, "isSuccess must be true or false");
	if (id && id_in_path && !text_is(id, id_in_path))
		return err_set(err, ERR_INVALID, "correlationId is not that of the path");
	r->succeeded = json_is_true(succeeded);
	r->id = mem_text(id_in_path ? id_in_path : id);
	return r->id ? 0 : err_set(err, ERR_INVALID, "correlationId is missing");
}

static void
post_outcome(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_body(req);
	struct err err = ERR_INIT;
	struct file_request *r;

	if (!body)
		return;
	r = NEW(file_request);
	r->upload.device_id = mem_text(ids[0]);
	if (read_outcome(r, body, ids[1], &err) == 0) {
		submit(rest, req, r, end, answer_nothing);
		return;
	}
	rest_fail(req, REST_INVALID_FILE_UPLOAD_COMPLETION_STATUS, "%s", err.text);
	request_free(r);
}

/* -- Services hear of it ---------------------------------------------------------------------------------------------------------------------- */

static void
take(struct file_request *r)
{
	file_store_take_notification(store_of(r), r->id, clock_wall(), &r->notification, &r->err);
}

static char *
blob_uri(const struct files *files, const char *blob)
{
	CLEAR(buf) uri = BUF_INIT(LINK_MAX + 3 * BLOB_NAME_MAX);
	struct slice rest = slice_of(blob), part;
	OWN_TEXT host = files_host(files);
	bool more = true;

	buf_putf(&uri, "https://%s/" FILES_CONTAINER, host);
	while (more) {
		more = slice_cut(&rest, '/', &part);
		buf_putc(&uri, '/');
		percent_encode_segment(&uri, part.text, part.len);
	}
	return buf_take_text(&uri);
}

static void
answer_notification(struct file_request *r)
{
	const struct file_notification *n = &r->notification;
	char modified[CLOCK_TEXT_LEN], enqueued[CLOCK_TEXT_LEN];
	OWN_TEXT etag = mem_textf("ETag: \"%s\"", r->id);
	const char *headers[] = { etag, NULL };
	OWN_TEXT uri = NULL;

	if (!n->blob) {
		answer_nothing(r);
		return;
	}
	uri = blob_uri(r->rest->files, n->blob);
	http_respond_json(r->req, 200, headers,
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "deviceId", n->device_id, "blobUri", uri, "blobName", n->blob,
			"lastUpdatedTime", clock_text(n->modified, modified), "blobSizeInBytes", (json_int_t)n->size,
			"enqueuedTimeUtc", clock_text(n->enqueued, enqueued)));
}

static void
get_notification(struct rest *rest, struct http_request *req, const char *const *ids)
{
	struct file_request *r = NEW(file_request);
	char id[RANDOM_UUID_LEN];

	(void)ids;
	r->id = mem_text(random_uuid(id));
	submit(rest, req, r, take, answer_notification);
}

static void
check_held(struct file_request *r, int64_t held)
{
	if (r->err.kind == ERR_NONE && held == 0)
		refuse(r, REST_DEVICE_MESSAGE_LOCK_LOST, "this lock holds no notification, or no longer");
}

static void
complete(struct file_request *r)
{
	int64_t held = 0;

	file_store_complete_notification(store_of(r), r->id, clock_wall(), &held, &r->err);
	check_held(r, held);
}

static void
abandon(struct file_request *r)
{
	int64_t held = 0;

	file_store_abandon_notification(store_of(r), r->id, clock_wall(), &held, &r->err);
	check_held(r, held);
}

static void
settle(struct rest *rest, struct http_request *req, const char *lock, void (*run)(struct file_request *r))
{
	struct file_request *r = NEW(file_request);

	r->id = mem_text(lock);
	submit(rest, req, r, run, answer_nothing);
}

static void
delete_notification(struct rest *rest, struct http_request *req, const char *const *ids)
{
	settle(rest, req, ids[0], complete);
}

static void
abandon_notification(struct rest *rest, struct http_request *req, const char *const *ids)
{
	settle(rest, req, ids[0], abandon);
}

const struct rest_route rest_file_routes[] = {
	{ "POST", "devices/*/files", REST_SERVICE_OR_DEVICE, AUTH_DEVICE_CONNECT, post_file },
	{ "POST", "devices/*/files/notifications", REST_SERVICE_OR_DEVICE, AUTH_DEVICE_CONNECT, post_outcome },
	{ "POST", "devices/*/files/notifications/*", REST_SERVICE_OR_DEVICE, AUTH_DEVICE_CONNECT, post_outcome },
	{ "GET", "messages/serviceBound/filenotifications", REST_SERVICE, AUTH_SERVICE_CONNECT, get_notification },
	{ "DELETE", "messages/serviceBound/filenotifications/*", REST_SERVICE, AUTH_SERVICE_CONNECT, delete_notification },
	{ "POST", "messages/serviceBound/filenotifications/*/abandon", REST_SERVICE, AUTH_SERVICE_CONNECT, abandon_notification },
	{ 0 },
};
