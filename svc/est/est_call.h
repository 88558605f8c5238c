/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside est: a request for a certificate on its way: judged on a worker, written by the writer together with others, answered on its loop. */

#include "ca/ca_issue.h"
#include "est/est_judge.h"
#include "est/est_revocation.h"
#include "net/http_server.h"

struct est_service;

enum est_ask { EST_ENROLL, EST_RENEW, EST_KEYGEN };

struct est_call {
	struct est_service *service;
	struct job judging, writing, taking;
	struct http_request *req;
	struct est_config *config;
	const struct est_label *label;
	struct certs peer;
	uint8_t binding[CONN_BINDING_MAX];
	size_t binding_len;
	enum est_ask ask;
	/* What came of it. */
	struct verdict *verdict;
	struct err err; /* it could not be done */
	struct est_who who;
	struct csr *csr;
	struct key *key; /* KEYGEN: made for who asks, and kept nowhere else */
	struct est_claim claim;
	struct ca_entry *entry;
	struct est_spending spending;
	int64_t waiting; /* its number among those that wait for approval; 0: none is needed */
	int64_t wait_s;	 /* of has_to_wait: when to ask again */
	bool is_known, has_to_wait;
	bool has_entered; /* upstream, by its claim's id */
};

struct est_call *est_call_new(struct est_service *service, struct http_request *req, struct est_config *config_take,
	const struct est_label *label, enum est_ask ask);
void est_call_free(struct est_call *call);

struct est_desk {
	struct ca_journal *journal;
	struct est_store *store;
	struct est_revocation *revocation;
};
void est_call_judge(struct est_call *call, const struct est_desk *desk, int64_t now);
/* Those that have an entry: one-time passwords first, which are worth nothing from then on, then the journal. */
void est_calls_write(struct est_call *const *calls, size_t n, const struct est_desk *desk, int64_t now);
void est_call_answer(struct est_call *call); /* on the loop */

/* In words, as plain text (RFC 8951 5.1). */
void est_respond_text(struct http_request *req, int status, const char *header, const char *text);
