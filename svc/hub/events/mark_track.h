/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is known of one log of a gateway for one device (wire/message_mark.h): up to where its messages are here.  A gateway sends what a device sent in the order of its log, and after a connection
 * was lost again from the oldest that was not acknowledged; so one number is enough.  It only moves over a message of which it is known that the one before is here, too: where that one could not be
 * stored, those behind it may come twice, and it is not taken for them.  Pure. */

#include "wire/message_mark.h"

struct mark_track {
	char log[MESSAGE_MARK_LOG_LEN + 1]; /* "": none */
	uint64_t last;			    /* up to that all is on the disk */
	uint64_t taken;			    /* that was given to the disk, at most */
	unsigned n_on_the_way;		    /* to the disk */
	int64_t stored_ms;		    /* the latest time at which the gateway stored one of them */
};

enum mark_answer {
	MARK_NEW,	/* store it, and say how that went */
	MARK_DUPLICATE, /* it is here */
	MARK_UNSURE,	/* it is on the way to the disk and may not arrive there: nothing can be acknowledged now */
};
enum mark_answer mark_track_take(struct mark_track *track, const struct message_mark *mark);
void mark_track_stored(struct mark_track *track, const struct message_mark *mark, bool ok);
/* One that was found on the disk, in their order. */
void mark_track_found(struct mark_track *track, const struct message_mark *mark);
