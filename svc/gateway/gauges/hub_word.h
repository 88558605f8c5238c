/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a gateway tells those below it of the hub (our extension): whether it is served there, and where not, for how long already, and which gateway on the way up it was that lost it.  For how long, and
 * not since when: clocks differ.  As text "reach=away&seconds=12&gateway=edge2", in a header and in a method's payload.  Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "auth/identity.h"
#include "base/buf.h"
#include "base/rd.h"

#define HUB_WORD_MAX 512 /* bytes of the text */
#define HUB_WORD_HEADER "x-rootedge-hub"
#define HUB_WORD_METHOD "HubPresence" /* of $edgeHub, with {"hub": TEXT}, or null when there is nothing to say */

enum hub_reach { HUB_NOT_TRIED, HUB_REACHED, HUB_AWAY, HUB_REFUSES };

struct hub_word {
	enum hub_reach reach; /* HUB_NOT_TRIED: there is nothing to say; HUB_REFUSES: whoever is above that gateway refuses it */
	int64_t for_s;	      /* HUB_AWAY and HUB_REFUSES */
	char gateway[IDENTITY_ID_MAX + 1]; /* as for_s: an id */
};

void hub_word_format(struct buf *out, const struct hub_word *word); /* one that says something */
/* false: it is none, and out was left alone. */
bool hub_word_parse(struct hub_word *out, struct slice text);
