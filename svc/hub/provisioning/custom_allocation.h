/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Custom allocation: an operator's web hook says to which hub a device belongs, what its twin begins with, and what it is told.  Here is what is asked and what an answer means, as JSON; who asks
 * is webhook.c. */

#include "hub/provisioning/linked_hub.h"
#include "hub/provisioning/registration.h"

#define CUSTOM_ALLOCATION_PAYLOAD_MAX (64 * 1024) /* of what the device is told, and of the twin, on one line */

enum custom_allocation_number {
	CUSTOM_ALLOCATION_FAILED = 400207,
	CUSTOM_ALLOCATION_NO_HUB = 400208,
	CUSTOM_ALLOCATION_UNAUTHORIZED = 400209,
};

/* https with a host: what is told there is of devices, and the answer is trusted. */
int custom_allocation_check_url(const char *url, struct err *err);
bool custom_allocation_is_wanted(const struct enrollment *e);
const char *custom_allocation_url(const struct enrollment *e);

/* {"individualEnrollment" or "enrollmentGroup", "deviceRuntimeContext", "linkedHubs"}; the query of the hook's own address, where its key may be, is not shown in it. */
json_t *custom_allocation_request(
	const struct enrollment *e, const struct registration *r, const struct linked_hubs *hubs, const char *ours);

struct custom_allocation {
	char *hub;	       /* in the spelling in which it was told of */
	char *twin, *returned; /* JSON on one line; NULL: none */
};
void custom_allocation_clear(struct custom_allocation *allocation);
/* What a status other than 2xx means; 0: that it is to be asked again. */
int custom_allocation_status_number(int status);
/* 0, or the number of what is wrong, with a sentence. */
int custom_allocation_read(struct custom_allocation *out, const json_t *answer, const struct enrollment *e,
	const struct linked_hubs *hubs, const char *ours, struct err *err);
