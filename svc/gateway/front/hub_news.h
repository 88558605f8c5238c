/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What gateways right below this one hear of the hub, by itself whenever it has changed (gauges/hub_word.h): as a method of their $edgeHub, for it listens to those.  Only those who have asked for it in a
 * question hear it; the answer to that has it, too. */

#include "gateway/scope/scope.h"
#include "heads/method.h"

struct hub_news;
struct hub_news *hub_news_new(struct loop *loop, struct methods *methods, struct scope *scope); /* borrowed */
/* Before the methods are stopped, with no other thread left: nobody is told any more. */
void hub_news_stop(struct hub_news *news);
void hub_news_free(struct hub_news *news); /* when the loop is finished */

/* Any thread: this gateway, which is below us, wants to hear. */
void hub_news_hears(struct hub_news *news, const char *gateway_id);
/* On the loop: it is another than before. */
void hub_news_tell(struct hub_news *news);
/* The line of an answer that has it; NULL: there is nothing to say.  Any thread. */
char *hub_news_line(void);
