/* SPDX-License-Identifier: Apache-2.0 */
/* A page of devices that a job comes to (jobs_inside.h), in one transaction: what is done to each and that it was done.  So after any crash, and when the disk fails in between, a device was done or it
 * was not, and the job knows which.  A method is called when it is durable that it is: never twice. */
#include "hub/automation/jobs_inside.h"

#include "base/mem.h"
#include "hub/registry/registry_store.h"
#include "wire/json.h"

struct page_device {
	const char *id;	       /* borrowed from the row */
	struct twin_call twin; /* of a job that changes twins */
	bool is_new;	       /* to this job */
};

struct page {
	struct page_device device[JOBS_PAGE];
	size_t n;
};

static void
page_clear(struct page *page)
{
	for (size_t i = 0; i < page->n; i++)
		twin_call_clear(&page->device[i].twin);
}

static struct twin_call
twin_change_of(const struct job_active *a, const char *device_id)
{
	const json_t *update = json_object_get(a->doc, "updateTwin");
	const char *etag = json_string_value(json_object_get(update, "etag"));

	return (struct twin_call){
		.device_id = mem_text(device_id),
		.if_match = mem_text(etag && *etag ? etag : "*"),
		.tags = json_incref(json_object_get(update, "tags")),
		.desired = json_incref(json_object_get(json_object_get(update, "properties"), "desired")),
	};
}

static int
change_twin(struct jobs *jobs, const struct job_active *a, struct page_device *device, struct err *err)
{
	struct twin_call *call = &device->twin;
	OWN_LIB(json_t) outcome = NULL;

	*call = twin_change_of(a, device->id);
	twins_try(jobs->twins, call);
	if (call->answer == TWIN_FAILED)
		return err_set(err, call->err.kind, "%s", call->err.text);
	if (call->answer != TWIN_OK)
		outcome = scheduled_job_error(call->err.text);
	return job_store_put_device(
		jobs->db, a->id, device->id, outcome ? SCHEDULED_JOB_FAILED : SCHEDULED_JOB_COMPLETED, outcome, err);
}

static int
do_device(struct jobs *jobs, const struct job_active *a, struct page_device *device, struct err *err)
{
	int there = job_store_has_device(jobs->db, a->id, device->id, err);

	if (there != 0)
		return there < 0 ? -1 : 0;
	device->is_new = true;
	return a->is_method ? job_store_put_device(jobs->db, a->id, device->id, SCHEDULED_JOB_RUNNING, NULL, err)
			    : change_twin(jobs, a, device, err);
}

static int
do_all(struct jobs *jobs, const struct job_active *a, struct page *page, struct err *err)
{
	for (size_t i = 0; i < page->n; i++)
		if (do_device(jobs, a, &page->device[i], err) < 0)
			return -1;
	return 0;
}

/* What may be seen outside: after the transaction. */
static void
follow(struct jobs *jobs, struct job_active *a, struct page_device *device, const struct err *problem)
{
	if (!device->is_new)
		return;
	if (!a->is_method)
		twins_settle(jobs->twins, &device->twin, problem);
	else if (!problem)
		jobs_call_method(jobs, a, device->id);
}

int
jobs_do_page(struct jobs *jobs, struct job_active *a, const json_t *rows, struct err *err)
{
	struct registry_store *store = registry_store_of(jobs->registry);
	struct page page = { 0 };
	json_t *row;
	size_t i;
	int done;

	json_array_foreach(rows, i, row)
		page.device[page.n++].id = json_string_value(json_object_get(row, "deviceId"));
	done = registry_store_begin(store, err);
	if (done == 0)
		done = registry_store_end(store, do_all(jobs, a, &page, err), err);
	for (i = 0; i < page.n; i++)
		follow(jobs, a, &page.device[i], done == 0 ? NULL : err);
	page_clear(&page);
	return done;
}
