/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the parts of the gateway that know tell of themselves, for whoever looks at all of it (local/vitals.h).  Of the process, as its metrics are; any thread. */

#include "pki/cert.h"

#define NOTED_SERVER_CERT "edgehub-server" /* what metrics call it */
#define NOTED_ENDPOINT_MAX 280

struct noted {
	int64_t runs_for_ms;
	int64_t cert_not_before, cert_not_after;
	uint64_t cert_failures;			       /* attempts to renew it that have failed since it was */
	int64_t issuers_not_before, issuers_not_after; /* of the one of its issuers that ends first; 0: it says nothing of them */
	char issuers_name[128];			       /* whose that is */
	bool is_issuer_ours;			       /* it signed itself: this box renews it */
	int64_t scope_told_ms;	      /* when the hub told all of it to this process, by the boot clock; 0: not yet */
	double bytes_per_hour;	      /* that were stored for the hub in the last hour, or since the start */
	char storing_problem[512];    /* why messages can't be stored, or "" */
	char revocation_problem[512]; /* why what is known of revoked certificates is not what the lists say, or "" */
};
void noted_take(struct noted *out);

void noted_certificate(const struct certs *chain);			      /* of the server itself */
void noted_dates(const char *cert_id, int64_t not_before, int64_t not_after); /* of any that is served */
void noted_renewal(bool done);
void noted_bytes(size_t len);		/* a message was taken, for the hub */
void noted_storing(const char *why);	/* messages can't be stored, or (NULL) can be again; it is logged, too */
void noted_revocation(const char *why); /* lists can't be read, or (NULL) all were */
/* How much waits for a sink, 0 when its log is there no more; module_id NULL: the hub. */
void noted_queue_length(const char *module_id, const char *input, int priority, uint64_t n);
void noted_endpoint(char out[static NOTED_ENDPOINT_MAX], const char *module_id, const char *input); /* "iothub", or MODULE/INPUT */
void noted_scope(bool told); /* the hub was asked for all of it */
void noted_minute(void);     /* one is over: what bytes_per_hour is reckoned from */
