/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Scheduled jobs and what became of each device, in the registry's database (the tables job and job_device).  A device of a job has a row from the moment on at which
 * something is about to be done with it.  The registry's worker's. */

#include "hub/automation/scheduled_job.h"
#include "store/db.h"

/* All that are not over, in no order; a document that is no job is damaged, and ends it.  The document is borrowed. */
int job_store_load(
	struct db *db, void (*each)(void *arg, const char *id, json_t *doc, int64_t start_ms), void *arg, struct err *err);

/* 1: it is there now; 0: there was one of its name. */
int job_store_add(struct db *db, const char *id, const json_t *doc, int64_t created_ms, int64_t start_ms, struct err *err);
int job_store_begin(struct db *db, const char *id, struct err *err);
int job_store_end(
	struct db *db, const char *id, enum scheduled_job_status status, const char *why, int64_t now_ms, struct err *err);
/* Those that ended before; and of the others, the newest first, what is more than so many jobs, or devices in them. */
int job_store_forget(struct db *db, int64_t before_ms, int64_t max_jobs, int64_t max_devices, struct err *err);

/* 1: it has its row already, whatever that says. */
int job_store_has_device(struct db *db, const char *job_id, const char *device_id, struct err *err);
int job_store_put_device(struct db *db, const char *job_id, const char *device_id, enum scheduled_job_status status,
	const json_t *outcome, struct err *err);

/* As they are shown, in the order of their names, behind those given ("": all).  `each` returns false to have no more. */
int job_store_get(struct db *db, const char *id, json_t **view, struct err *err); /* 0: there is none */
int job_store_list(
	struct db *db, const char *after, bool (*each)(void *arg, const char *id, json_t *view), void *arg, struct err *err);
int job_store_list_devices(struct db *db, const char *after_job, const char *after_device,
	bool (*each)(void *arg, const char *job_id, const char *device_id, json_t *view), void *arg, struct err *err);
