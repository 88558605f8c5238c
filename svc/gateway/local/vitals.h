/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How the gateway is at this moment, taken together in one look: for its metrics, its health, its status and the offline budget, which judge it (health.h, offline_budget.h). */

#include "gateway/local/carriage.h"
#include "gateway/local/hub_presence.h"
#include "gateway/local/hub_throttle.h"
#include "gateway/scope/offline_policy.h"
#include "gateway/scope/scope.h"
#include "heads/head.h"
#include "net/listener.h"
#include "gateway/queue/queue.h"

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
	int64_t runs_for_ms;
	int64_t cert_not_before, cert_not_after;
	uint64_t cert_failures;			       /* attempts to renew it that failed, in this process */
	int64_t issuers_not_before, issuers_not_after; /* of the one of its issuers that ends first; 0: it says nothing of them */
	char issuers_name[128];			       /* whose that is */
	bool is_issuer_ours;			       /* it signed itself: this box renews it */
	struct hub_presence hub;
	struct hub_throttle throttle;
	struct carriage carriage;
	int64_t keyd_silent_ms; /* how long it has owed an answer */
	size_t n_known;		/* devices and modules that the hub has told of */
	int64_t scope_told;   /* when the hub told all of them to this process, seconds UTC by the clock as it is now; 0: not yet */
	int64_t scope_for_ms; /* how long ago */
	int64_t record_ends;  /* when the first of them no longer counts ([offline]); 0: none does so by itself */
	char record_ends_of[280]; /* whose that is */
	int64_t device_ca_ends; /* of the CAs that devices known here may come in by, the one that ends next, or ended last where all have; 0: there is none */
	char device_ca_name[256]; /* by which name the hub knows it */
	size_t n_connected;
	uint64_t n_queued; /* for the hub and for modules */
	struct vitals_endpoint {
		char name[280]; /* "iothub", or MODULE/INPUT */
		uint64_t n_queued;
	} endpoints[VITALS_ENDPOINTS_MAX];
	size_t n_endpoints;
	uint64_t queue_bytes, max_queue_bytes;
	uint64_t n_refused;	  /* since the start, because it was full or nearly so */
	double bytes_per_hour;	  /* that were stored for the hub in the last hour, or since the start */
	int64_t oldest_queued_ms; /* when the oldest that waits was taken, wall clock; 0: nothing waits */
	int64_t least_ttl_s;	  /* the shortest time to live of what goes to the hub; below 0: for ever */
	bool is_queue_bad;
	bool drops_oldest;	      /* when it is full */
	char queue_problem[512];      /* why, or "" */
	char revocation_problem[512]; /* why what is known of revoked certificates is not what the lists say, or "" */
	int64_t disk_free;	      /* for this user; -1: can't be known */
};

/* Any thread; may read the disk. */
void vitals_take(struct vitals *out, const struct vitals_sources *sources);
void vitals_measure(const struct vitals_sources *sources); /* into the metrics */

/* What the parts that know tell; any thread. */
void vitals_note_certificate(const struct certs *chain);
void vitals_note_further_certificate(const char *id, int64_t not_before, int64_t not_after);
void vitals_note_bytes(size_t len);	      /* a message was taken, for the hub */
void vitals_note_storing(const char *why);    /* messages can't be stored, or (NULL) can be again; it is logged, too */
void vitals_note_revocation(const char *why); /* lists can't be read, or (NULL) all were */
void vitals_note_log_left(const char *module_id, const char *input, int priority); /* a log of the queue that is there no more */
void vitals_sample(void);							   /* once a minute */
void vitals_note_renewal(bool done);
void vitals_note_scope(bool told); /* the hub was asked for all of it */
