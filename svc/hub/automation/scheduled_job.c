/* SPDX-License-Identifier: Apache-2.0 */
/* What a scheduled job may say, and how it is shown (scheduled_job.h). */
#include "hub/automation/scheduled_job.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"
#include "wire/query.h"

#define SECONDS_USUAL 3600
#define SECONDS_MAX (30 * 24 * 3600)

static const char *const status_names[SCHEDULED_JOB_STATUS_COUNT] = { "scheduled", "running", "completed", "failed", "cancelled" };

/* -- What a job is ------------------------------------------------------------------------------------------------------------------------- */

bool
scheduled_job_is_method(const json_t *doc)
{
	return text_is_nocase(json_string_value(json_object_get(doc, "type")), "scheduleDeviceMethod");
}

int64_t
scheduled_job_seconds(const json_t *doc)
{
	int64_t seconds = SECONDS_USUAL;
	struct err ignored = ERR_INIT;

	(void)json_find_int(doc, "maxExecutionTimeInSeconds", &seconds, &ignored);
	return seconds;
}

int
scheduled_job_start(const json_t *doc, int64_t *ms, struct err *err)
{
	const char *text = NULL;
	int64_t wall;

	if (json_find_text(doc, "startTime", &text, err) < 0)
		return -1;
	if (!text || !*text)
		return 0;
	if (!clock_parse(text, &wall))
		return err_set(err, ERR_INVALID, "startTime is not a time");
	*ms = wall * 1000;
	return 0;
}

static int
check_update(const json_t *doc, struct err *err)
{
	json_t *update = NULL, *properties = NULL;

	if (json_find_object(doc, "updateTwin", &update, err) < 0)
		return -1;
	if (!update)
		return err_set(err, ERR_INVALID, "updateTwin is missing");
	return json_find_object(update, "properties", &properties, err);
}

int
scheduled_job_check(const json_t *doc, struct err *err)
{
	const char *type, *condition;
	int64_t seconds = SECONDS_USUAL, start;
	json_t *method = NULL;
	OWN(query) query = NULL;

	if (json_get_text(doc, "type", &type, err) < 0 || json_get_text(doc, "queryCondition", &condition, err) < 0 ||
		json_find_int(doc, "maxExecutionTimeInSeconds", &seconds, err) < 0 || scheduled_job_start(doc, &start, err) < 0)
		return -1;
	if (!scheduled_job_is_method(doc) && !text_is_nocase(type, "scheduleUpdateTwin"))
		return err_set(err, ERR_INVALID, "type is scheduleUpdateTwin or scheduleDeviceMethod");
	if (seconds < 1 || seconds > SECONDS_MAX)
		return err_set(err, ERR_INVALID, "maxExecutionTimeInSeconds is from 1 to %d", SECONDS_MAX);
	query = query_parse_condition(condition, QUERY_DEVICES, err);
	if (!query)
		return err_wrap(err, "queryCondition");
	if (!scheduled_job_is_method(doc))
		return check_update(doc, err);
	if (json_find_object(doc, "cloudToDeviceMethod", &method, err) < 0)
		return -1;
	return method ? 0 : err_set(err, ERR_INVALID, "cloudToDeviceMethod is missing");
}

/* -- As it is shown ------------------------------------------------------------------------------------------------------------------------- */

static void
put_time(json_t *view, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT_LEN];

	json_object_set_new(view, name, ms > 0 ? json_string(clock_text_ms(ms, text)) : json_null());
}

json_t *
scheduled_job_view(const struct scheduled_job_row *row)
{
	static const char *const kept[] = { "type", "queryCondition", "maxExecutionTimeInSeconds", "cloudToDeviceMethod",
		"updateTwin" };
	json_t *view = json_object();

	json_object_set_new(view, "jobId", json_string(row->id));
	for (size_t i = 0; i < COUNT(kept); i++)
		if (json_object_get(row->doc, kept[i]))
			json_object_set(view, kept[i], json_object_get(row->doc, kept[i]));
	put_time(view, "createdTime", row->created_ms);
	put_time(view, "startTime", row->start_ms);
	put_time(view, "endTime", row->end_ms);
	json_object_set_new(view, "status", json_string(status_names[row->status]));
	json_object_set_new(view, "failureReason", row->failure ? json_string(row->failure) : json_null());
	json_object_set_new(view, "deviceJobStatistics",
		json_pack("{s:I, s:I, s:I, s:I, s:i}", "deviceCount", (json_int_t)row->n_devices, "succeededCount",
			(json_int_t)row->n_completed, "failedCount", (json_int_t)row->n_failed, "runningCount",
			(json_int_t)row->n_running, "pendingCount", 0));
	return view;
}

json_t *
scheduled_job_device_view(const struct scheduled_job_device_row *row)
{
	json_t *view = json_object(), *error = json_object_get(row->outcome, "error");

	json_object_set_new(view, "deviceId", json_string(row->device_id));
	json_object_set_new(view, "jobId", json_string(row->job_id));
	json_object_set_new(view, "jobType", json_string(row->type ? row->type : ""));
	json_object_set_new(view, "status", json_string(status_names[row->status]));
	put_time(view, "startTimeUtc", row->start_ms);
	put_time(view, "endTimeUtc", row->status == SCHEDULED_JOB_RUNNING ? 0 : row->updated_ms);
	put_time(view, "createdDateTimeUtc", row->created_ms);
	put_time(view, "lastUpdatedDateTimeUtc", row->updated_ms);
	json_object_set(view, error ? "error" : "outcome", error ? error : row->outcome);
	return view;
}

json_t *
scheduled_job_error(const char *why)
{
	return json_pack("{s:{s:s}}", "error", "description", why);
}
