/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One scheduled job (hub 4.5): from a time on, and for so long, change the twin or call a method of every device that meets a condition.  Here is what its document may
 * say, and how it and what became of each device are shown.  Pure; any thread. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"

/* Of a job, and of a device in it: these numbers stand in the database. */
enum scheduled_job_status {
	SCHEDULED_JOB_WAITING,
	SCHEDULED_JOB_RUNNING,
	SCHEDULED_JOB_COMPLETED,
	SCHEDULED_JOB_FAILED,
	SCHEDULED_JOB_CANCELLED,
	SCHEDULED_JOB_STATUS_COUNT,
};

/* Is it a job, but for the parameters of its method? */
int scheduled_job_check(const json_t *doc, struct err *err);
/* The following are asked about a document that was checked. */
bool scheduled_job_is_method(const json_t *doc);
int64_t scheduled_job_seconds(const json_t *doc);
/* On the wall clock; *ms stays as it is when the document names none. */
int scheduled_job_start(const json_t *doc, int64_t *ms, struct err *err);

/* As it is shown; all is borrowed, times are the wall clock's, 0: not yet. */
struct scheduled_job_row {
	const char *id, *failure; /* failure may be NULL */
	const json_t *doc;
	int64_t created_ms, start_ms, end_ms;
	enum scheduled_job_status status;
	int64_t n_devices, n_completed, n_failed, n_running;
};
json_t *scheduled_job_view(const struct scheduled_job_row *row);

/* What became of a device: `outcome` is {"deviceMethodResponse": ...} or {"error": ...}, or NULL. */
struct scheduled_job_device_row {
	const char *job_id, *device_id, *type;
	enum scheduled_job_status status;
	int64_t start_ms, updated_ms, created_ms;
	json_t *outcome;
};
json_t *scheduled_job_device_view(const struct scheduled_job_device_row *row);
json_t *scheduled_job_error(const char *why);
