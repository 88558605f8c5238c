/* SPDX-License-Identifier: Apache-2.0 */
/* Which messages of a gateway are here already: losses of connections, of writes and of the past. */
#include "hub/events/mark_track.h"

#include "t.h"

static struct message_mark
mark(uint64_t sequence, uint64_t previous)
{
	return (struct message_mark){
		.log = "00c0ffee00c0ffee", .sequence = sequence, .previous = previous, .stored_ms = 1000 + (int64_t)sequence
	};
}

static enum mark_answer
take(struct mark_track *track, uint64_t sequence, uint64_t previous)
{
	struct message_mark m = mark(sequence, previous);

	return mark_track_take(track, &m);
}

static void
stored(struct mark_track *track, uint64_t sequence, uint64_t previous, bool ok)
{
	struct message_mark m = mark(sequence, previous);

	mark_track_stored(track, &m, ok);
}

static void
found(struct mark_track *track, uint64_t sequence, uint64_t previous)
{
	struct message_mark m = mark(sequence, previous);

	mark_track_found(track, &m);
}

TEST("what comes again after the connection was lost is known, and what follows it is new")
{
	struct mark_track track = { 0 };

	CHECK_INT(take(&track, 3, 0), MARK_NEW);
	CHECK_INT(take(&track, 7, 3), MARK_NEW);
	stored(&track, 3, 0, true);
	stored(&track, 7, 3, true);
	CHECK_INT(take(&track, 3, 0), MARK_DUPLICATE);
	CHECK_INT(take(&track, 7, 3), MARK_DUPLICATE);
	CHECK_INT(take(&track, 8, 7), MARK_NEW);
}

TEST("what is on its way to the disk is neither new nor here, until it has arrived or failed")
{
	struct mark_track track = { 0 };

	CHECK_INT(take(&track, 3, 0), MARK_NEW);
	CHECK_INT(take(&track, 3, 0), MARK_UNSURE);
	stored(&track, 3, 0, false);
	CHECK_INT(take(&track, 3, 0), MARK_NEW);
	stored(&track, 3, 0, true);
	CHECK_INT(take(&track, 3, 0), MARK_DUPLICATE);
}

TEST("where one could not be stored, it is not taken for those behind it that could, now and after a restart")
{
	struct mark_track track = { 0 }, again = { 0 };

	take(&track, 3, 0);
	take(&track, 5, 3);
	take(&track, 6, 5);
	stored(&track, 3, 0, true);
	stored(&track, 5, 3, false);
	stored(&track, 6, 5, true);
	CHECK_INT(take(&track, 5, 0), MARK_NEW);
	stored(&track, 5, 0, true);
	CHECK_INT(take(&track, 6, 5), MARK_NEW);
	found(&again, 3, 0);
	found(&again, 6, 5);
	CHECK_INT(take(&again, 5, 0), MARK_NEW);
}

TEST("what is found on the disk is known, and finding it twice does no harm")
{
	struct mark_track track = { 0 };

	for (int i = 0; i < 2; i++) {
		found(&track, 3, 0);
		found(&track, 4, 3);
	}
	CHECK_INT(take(&track, 4, 0), MARK_DUPLICATE);
	CHECK_INT(take(&track, 5, 0), MARK_NEW);
}

TEST("a log that was put back to an older state sends what is new under old numbers: it is taken")
{
	struct mark_track track = { 0 };
	struct message_mark later = mark(50, 0);

	found(&track, 100, 0);
	CHECK_INT(take(&track, 50, 0), MARK_DUPLICATE);
	later.stored_ms = 5000;
	CHECK_INT(mark_track_take(&track, &later), MARK_NEW);
	mark_track_stored(&track, &later, true);
	CHECK_INT(mark_track_take(&track, &later), MARK_DUPLICATE);
}

TEST("a gateway's clock that was set back makes nothing that is new a duplicate")
{
	struct mark_track track = { 0 };
	struct message_mark early = mark(101, 0);

	found(&track, 100, 0);
	early.stored_ms = 1;
	CHECK_INT(mark_track_take(&track, &early), MARK_NEW);
	mark_track_stored(&track, &early, true);
	CHECK_INT(mark_track_take(&track, &early), MARK_DUPLICATE);
	CHECK_INT(take(&track, 100, 0), MARK_DUPLICATE);
}
