/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A list as services get it: page by page, each of which says behind which id the next one begins (hub 7: x-ms-max-item-count, x-ms-continuation, x-ms-item-type). */

#include "hub/provisioning/provisioning_inside.h"

struct provisioning_page {
	json_t *list;
	size_t max;
	char *after; /* begin behind this id; NULL: at the beginning */
	char *last;  /* the id of the last one on it */
	bool more;
};
/* false: answered.  What it asks the store for is max + 1: whether there is more. */
bool provisioning_page_begin(struct provisioning_call *call, struct provisioning_page *page);
bool provisioning_page_has_room(struct provisioning_page *page); /* false: there is more than the page holds */
void provisioning_page_add(struct provisioning_page *page, json_t *item_take, const char *id);
void provisioning_page_answer(struct provisioning_call *call, const struct provisioning_page *page, const char *item_type);
void provisioning_page_clear(struct provisioning_page *page);
