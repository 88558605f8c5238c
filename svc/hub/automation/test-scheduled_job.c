/* SPDX-License-Identifier: Apache-2.0 */
/* One scheduled job: what its document may say, and how it is shown. */
#include "base/mem.h"
#include "hub/automation/scheduled_job.h"
#include "t.h"
#include "wire/json.h"

static json_t *
parse(const char *text)
{
	struct err err = ERR_INIT;
	json_t *json = json_parse(text, strlen(text), &err);

	if (!json)
		fail_msg("%s: %s", text, err.text);
	return json;
}

#define UPDATE "\"type\": \"scheduleUpdateTwin\", \"queryCondition\": \"*\""
#define METHOD "\"type\": \"scheduleDeviceMethod\", \"queryCondition\": \"deviceId = 'd'\""

TEST("a job changes twins or calls a method, of devices that meet a condition")
{
	static const char *const good[] = {
		"{" UPDATE ", \"updateTwin\": {\"tags\": {\"a\": 1}}}",
		"{" METHOD ", \"cloudToDeviceMethod\": {\"methodName\": \"m\"}, \"startTime\": \"2026-03-01T00:00:00Z\"}",
		"{\"type\": \"SCHEDULEupdateTWIN\", \"queryCondition\": \"*\", \"updateTwin\": {}, \"maxExecutionTimeInSeconds\": "
		"2592000}",
	};

	for (size_t i = 0; i < COUNT(good); i++) {
		OWN_LIB(json_t) doc = parse(good[i]);
		struct err err = ERR_INIT;

		if (scheduled_job_check(doc, &err) < 0)
			fail_msg("%s: %s", good[i], err.text);
	}
}

TEST("what is no job is told why")
{
	static const struct {
		const char *doc, *why;
	} bad[] = {
		{ "{\"type\": \"export\", \"queryCondition\": \"*\"}", "type is scheduleUpdateTwin or scheduleDeviceMethod" },
		{ "{\"type\": \"scheduleUpdateTwin\"}", "queryCondition" },
		{ "{\"type\": \"scheduleUpdateTwin\", \"queryCondition\": \"deviceId =\", \"updateTwin\": {}}", "queryCondition" },
		{ "{" UPDATE "}", "updateTwin is missing" },
		{ "{" UPDATE ", \"updateTwin\": 1}", "updateTwin" },
		{ "{" UPDATE ", \"updateTwin\": {\"properties\": []}}", "properties" },
		{ "{" METHOD "}", "cloudToDeviceMethod is missing" },
		{ "{" METHOD ", \"cloudToDeviceMethod\": {}, \"startTime\": \"soon\"}", "startTime is not a time" },
		{ "{" METHOD ", \"cloudToDeviceMethod\": {}, \"startTime\": 1}", "startTime" },
		{ "{" METHOD ", \"cloudToDeviceMethod\": {}, \"maxExecutionTimeInSeconds\": 0}", "from 1 to 2592000" },
		{ "{" METHOD ", \"cloudToDeviceMethod\": {}, \"maxExecutionTimeInSeconds\": 2592001}", "from 1 to 2592000" },
		{ "{" METHOD ", \"cloudToDeviceMethod\": {}, \"maxExecutionTimeInSeconds\": \"1\"}", "maxExecutionTimeInSeconds" },
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		OWN_LIB(json_t) doc = parse(bad[i].doc);
		struct err err = ERR_INIT;

		CHECK(scheduled_job_check(doc, &err) < 0);
		CHECK_CONTAINS(err.text, bad[i].why);
	}
}

TEST("a job without a time to start at begins when it is told to, and lasts an hour")
{
	OWN_LIB(json_t) without = parse("{\"startTime\": \"\"}");
	OWN_LIB(json_t) with = parse("{\"startTime\": \"1970-01-01T00:01:00Z\", \"maxExecutionTimeInSeconds\": 5}");
	struct err err = ERR_INIT;
	int64_t ms = 7;

	CHECK_OK(scheduled_job_start(without, &ms, &err), err);
	CHECK_INT(ms, 7);
	CHECK_INT(scheduled_job_seconds(without), 3600);
	CHECK_OK(scheduled_job_start(with, &ms, &err), err);
	CHECK_INT(ms, 60000);
	CHECK_INT(scheduled_job_seconds(with), 5);
}

TEST("a job is shown with what it was told, how far it is and how its devices fared")
{
	OWN_LIB(json_t) doc = parse("{" METHOD ", \"startTime\": \"x\", \"cloudToDeviceMethod\": {}}");
	struct scheduled_job_row row = { .id = "j",
		.doc = doc,
		.created_ms = 1000,
		.start_ms = 2000,
		.status = SCHEDULED_JOB_RUNNING,
		.n_devices = 6,
		.n_completed = 1,
		.n_failed = 2,
		.n_running = 3 };
	OWN_LIB(json_t) view = scheduled_job_view(&row);
	OWN_LIB(json_t) wanted =
		parse("{\"jobId\": \"j\", " METHOD ", \"cloudToDeviceMethod\": {}, \"createdTime\": \"1970-01-01T00:00:01.000Z\","
		      "\"startTime\": \"1970-01-01T00:00:02.000Z\", \"endTime\": null, \"status\": \"running\","
		      "\"failureReason\": null, \"deviceJobStatistics\": {\"deviceCount\": 6, \"succeededCount\": 1,"
		      "\"failedCount\": 2, \"runningCount\": 3, \"pendingCount\": 0}}");

	if (!json_equal(view, wanted))
		fail_msg("%s", json_dumps(view, 0));
}

TEST("a device that is being called has no end, and one that failed has an error instead of an outcome")
{
	OWN_LIB(json_t) error = scheduled_job_error("why");
	OWN_LIB(json_t) response = parse("{\"deviceMethodResponse\": {\"status\": 200, \"payload\": null}}");
	struct scheduled_job_device_row row = { .job_id = "j", .device_id = "d", .status = SCHEDULED_JOB_RUNNING, .updated_ms = 5 };
	OWN_LIB(json_t) running = scheduled_job_device_view(&row);
	OWN_LIB(json_t) failed = NULL;
	OWN_LIB(json_t) completed = NULL;

	CHECK(json_is_null(json_object_get(running, "endTimeUtc")));
	CHECK(json_is_string(json_object_get(running, "lastUpdatedDateTimeUtc")));
	row.status = SCHEDULED_JOB_FAILED;
	row.outcome = error;
	failed = scheduled_job_device_view(&row);
	CHECK_STR(json_string_value(json_object_get(json_object_get(failed, "error"), "description")), "why");
	CHECK(!json_object_get(failed, "outcome"));
	CHECK(json_is_string(json_object_get(failed, "endTimeUtc")));
	row.status = SCHEDULED_JOB_COMPLETED;
	row.outcome = response;
	completed = scheduled_job_device_view(&row);
	CHECK(json_equal(json_object_get(completed, "outcome"), response));
	CHECK(!json_object_get(completed, "error"));
}
