/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files about scheduled jobs share: jobs.c has the steps, jobs_method.c the methods on their way, jobs_call.c what a service asks for. */

#include <pthread.h>
#include <stdatomic.h>

#include "hub/automation/job_store.h"
#include "hub/automation/jobs.h"
#include "hub/twins/twin_walk.h"

/* A job that is not over. */
struct job_active {
	char *id;
	json_t *doc;
	int64_t start_ms, until_ms;
	bool is_method, is_running, is_walking, is_walked;
	struct twin_walk walk;
	size_t n_in_flight;
	struct job_active *next;
};

struct jobs {
	struct registry *registry;
	struct twins *twins;
	struct methods *methods;
	struct directory *directory;
	struct db *db;
	struct loop *loop;
	const char *const *indexed_paths;
	size_t n_indexed_paths;
	struct job_active *active;
	atomic_size_t n_active;
	struct timer timer;
	struct job step;
	bool is_stepping; /* the loop's */
	atomic_bool stopping;
	pthread_mutex_t lock;
	struct job_errand *back; /* outcomes that are to be written down */
};

/* A job begins to be one that is not over, and is over. */
void jobs_add_active(struct jobs *jobs, const char *id, json_t *doc, int64_t start_ms);
struct job_active *jobs_find_active(struct jobs *jobs, const char *id);
int jobs_end(struct jobs *jobs, struct job_active *a, enum scheduled_job_status status, const char *why, struct err *err);

/* Do what the job does to the devices of these rows, no more than JOBS_PAGE; -1: nothing of it is done. */
#define JOBS_PAGE 20
int jobs_do_page(struct jobs *jobs, struct job_active *a, const json_t *rows, struct err *err);
/* Call the job's method on a device, of which it is written down that it is. */
void jobs_call_method(struct jobs *jobs, struct job_active *a, const char *device_id);
/* Write down one outcome that has come back; 1: there was one. */
int jobs_write_back(struct jobs *jobs, struct err *err);
bool jobs_have_outcomes(struct jobs *jobs); /* any thread */
void jobs_forget_outcomes(struct jobs *jobs);
