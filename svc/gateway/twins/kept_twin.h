/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the gateway knows of a twin: the hub's last word about it, what its device has reported since (gateway 4.3), and what was desired of it here.  Rules on JSON only: no storage, no clock.
 *
 * What is to be pushed is not a list of what was reported but the difference between what the hub has and what the device wants it to have: sent twice, or after months, it makes the
 * same of the hub's twin.
 *
 * What was desired here is an overlay (overlay.h): a gateway has no right to write it at the hub.  The device sees one document with one $version, which is the hub's and one more for each change
 * that was made here: it never goes back. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"

struct kept_twin {
	char *generation_id; /* whose it is */
	bool is_known;	     /* the hub has told it, once at least */
	bool is_told;	     /* the device goes by what is here: what is different at the hub is news to it */
	json_t *desired;     /* as the hub had it last */
	json_t *reported;    /* as the device has it */
	json_t *at_hub;	     /* reported properties as the hub has them */
	json_t *unread;	     /* all that was reported before the hub was heard of, as one merge; else empty */
	json_t *overlay;     /* what was desired here */
	json_t *told; /* the desired properties that the device goes by, when it was not told what has changed here since; else NULL */
	int64_t desired_version, reported_version;
	int64_t ahead; /* of the hub's version: how much has changed here */
};

struct kept_twin *kept_twin_new(const char *generation_id);
void kept_twin_free(struct kept_twin *twin);
OWN_DEFINE(kept_twin);
/* It may be that of this generation: "" is whichever, on either side. */
bool kept_twin_is_of(const struct kept_twin *twin, const char *generation_id);
json_t *kept_twin_to_json(const struct kept_twin *twin);
struct kept_twin *kept_twin_from_json(const json_t *json, struct err *err);

/* The device reports: by the hub's own rules.  -1: nothing was changed. */
int kept_twin_report(struct kept_twin *twin, json_t *patch, struct err *err);
/* What is to be pushed, or NULL: nothing, or nothing before the hub's twin is known. */
json_t *kept_twin_push(const struct kept_twin *twin);
bool kept_twin_is_due(const struct kept_twin *twin); /* something has to be pushed, sooner or later */
void kept_twin_pushed(struct kept_twin *twin, json_t *patch);
void kept_twin_refused(struct kept_twin *twin); /* the hub will not have it: what it has holds */

/* The hub told a change of desired properties: it is applied when it follows what is here, and *news is what the device is told of it. */
enum kept_patch { KEPT_APPLIED, KEPT_OLD, KEPT_GAP };
enum kept_patch kept_twin_patch(struct kept_twin *twin, int64_t version, json_t *patch, json_t **news);
/* The hub told all of it.  *news is what the device is told of it, with its $version, or NULL: nothing is new to it.  -1: it is no twin. */
int kept_twin_full(struct kept_twin *twin, const json_t *view, json_t **news, struct err *err);

/* Desired here, by the hub's own rules; and nothing is desired here any more.  *news is what the device is told of it.  -1: nothing was changed. */
int kept_twin_desire(struct kept_twin *twin, json_t *patch, json_t **news, struct err *err);
void kept_twin_yield(struct kept_twin *twin, json_t **news);
/* What it has not been told yet of that, or NULL. */
json_t *kept_twin_untold(const struct kept_twin *twin);
bool kept_twin_told(struct kept_twin *twin); /* it goes by all of it; false: it did */

/* Nothing that is given out here or above is shared with the twin. */
json_t *kept_twin_view(const struct kept_twin *twin);	 /* as the device sees it */
json_t *kept_twin_inspect(const struct kept_twin *twin); /* that, and what it is made of, for the gateway's operator */
