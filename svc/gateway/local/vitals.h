/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How the gateway is at this moment, taken together in one look: for its metrics, its health, its status and the offline budget, which judge it (health.h, offline_budget.h). */

#include "gateway/gauges/carriage.h"
#include "gateway/gauges/hub_presence.h"
#include "gateway/gauges/hub_throttle.h"
#include "gateway/gauges/noted.h"
#include "gateway/queue/queue.h"
#include "gateway/scope/offline_policy.h"
#include "gateway/scope/scope.h"
#include "heads/head.h"
#include "net/listener.h"

/* Where to look; borrowed. */
struct vitals_sources {
	struct scope *scope;
	struct directory *directory;
	struct queue *queue;
	const struct offline_policy *offline;
	const char *state_dir;
	struct keyd_client *keyd;
	const struct listener *mqtt, *https; /* https NULL: there is none, because of https_problem */
	const char *https_problem;
	bool has_parent;
};

#define VITALS_ENDPOINTS_MAX 32 /* further ones count in n_queued */

struct vitals {
	int64_t now;	/* seconds UTC */
	int https_port; /* 0: none, because of https_problem */
	const char *https_problem;
	struct noted noted;
	struct hub_presence hub;
	struct hub_throttle throttle;
	struct carriage carriage;
	int64_t keyd_silent_ms; /* how long it has owed an answer */
	size_t n_known;		/* devices and modules that the hub has told of */
	int64_t scope_told;   /* when the hub told all of them to this process, seconds UTC by the clock as it is now; 0: not yet */
	int64_t scope_for_ms; /* how long ago */
	int64_t record_ends;  /* when the first of them no longer counts ([offline]); 0: none does so by itself */
	char record_ends_of[280]; /* whose that is */
	int64_t device_ca_ends; /* by vitals_take_device_cas: of the CAs that devices known here may come in by, the one that ends next, or ended last where all have; 0: there is none */
	char device_ca_name[256]; /* by which name the hub knows it */
	size_t n_connected;
	uint64_t n_queued; /* for the hub and for modules */
	struct vitals_endpoint {
		char name[NOTED_ENDPOINT_MAX]; /* "iothub", or MODULE/INPUT */
		uint64_t n_queued;
	} endpoints[VITALS_ENDPOINTS_MAX];
	size_t n_endpoints;
	uint64_t queue_bytes, max_queue_bytes;
	uint64_t n_refused;	  /* since the start, because it was full or nearly so */
	int64_t oldest_queued_ms; /* when the oldest that waits was taken, wall clock; 0: nothing waits */
	int64_t least_ttl_s;	  /* the shortest time to live of what goes to the hub; below 0: for ever */
	bool is_queue_bad;
	bool drops_oldest;	 /* when it is full */
	char queue_problem[512]; /* why, or "" */
	int64_t disk_free;	 /* for this user; -1: can't be known */
};

/* Any thread; may read the disk. */
void vitals_take(struct vitals *out, const struct vitals_sources *sources);
/* Beside it, where somebody reads device_ca_*: it looks for each CA at the devices, until it finds one of its. */
void vitals_take_device_cas(struct vitals *vitals, const struct vitals_sources *sources);
void vitals_measure(const struct vitals_sources *sources); /* into the metrics */
