/* SPDX-License-Identifier: Apache-2.0 */
/* The rule (mark_track.h). */
#include "hub/events/mark_track.h"

static uint64_t
taken(const struct mark_track *track)
{
	return track->taken > track->last ? track->taken : track->last;
}

/* The log was put back to an older state: a message that is younger than all of them is none of them. */
static bool
is_of_another_past(const struct mark_track *track, const struct message_mark *mark)
{
	return mark->sequence <= taken(track) && mark->stored_ms > track->stored_ms;
}

static void
note_time(struct mark_track *track, const struct message_mark *mark)
{
	if (mark->stored_ms > track->stored_ms)
		track->stored_ms = mark->stored_ms;
}

static void
move_on(struct mark_track *track, const struct message_mark *mark)
{
	if (mark->previous <= track->last && mark->sequence > track->last)
		track->last = mark->sequence;
}

enum mark_answer
mark_track_take(struct mark_track *track, const struct message_mark *mark)
{
	if (is_of_another_past(track, mark))
		track->last = track->taken = 0;
	if (mark->sequence <= track->last)
		return MARK_DUPLICATE;
	if (mark->sequence <= track->taken)
		return MARK_UNSURE;
	note_time(track, mark);
	track->taken = mark->sequence;
	track->n_on_the_way++;
	return MARK_NEW;
}

void
mark_track_stored(struct mark_track *track, const struct message_mark *mark, bool ok)
{
	if (track->n_on_the_way > 0)
		track->n_on_the_way--;
	if (ok)
		move_on(track, mark);
	if (track->n_on_the_way == 0)
		track->taken = track->last;
}

void
mark_track_found(struct mark_track *track, const struct message_mark *mark)
{
	if (is_of_another_past(track, mark))
		track->last = 0;
	note_time(track, mark);
	move_on(track, mark);
	track->taken = track->last;
}
