/* SPDX-License-Identifier: Apache-2.0 */
/* Names of folders, there and back (queue_place.h). */
#include "gateway/queue/queue_place.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "gateway/routes/routes.h"
#include "wire/codec.h"

#define PART_MAX 600

static void
put_part(struct buf *out, const char *text)
{
	percent_encode(out, text, strlen(text));
	buf_putc(out, '@');
}

char *
queue_place_path(const struct queue_place *place, const char *state_dir)
{
	CLEAR(buf) name = BUF_INIT(2 * PART_MAX);

	if (!place->module_id && place->priority == ROUTE_LOWEST)
		return mem_textf("%s/queue", state_dir);
	put_part(&name, place->module_id ? place->module_id : "upstream");
	if (place->module_id)
		put_part(&name, place->input);
	return mem_textf("%s/queues/%s%d", state_dir, buf_text(&name), place->priority);
}

static char *
get_part(struct slice part)
{
	CLEAR(buf) text = BUF_INIT(PART_MAX);

	if (part.len == 0 || !percent_decode(&text, part.text, part.len) || strlen(buf_text(&text)) != text.len)
		return NULL;
	return buf_take_text(&text);
}

bool
queue_place_parse(const char *name, struct queue_place *out)
{
	struct slice rest = slice_of(name), part[3];
	struct queue_place place = { 0 };
	int64_t priority;
	size_t n = 0;

	while (n < COUNT(part) && slice_cut(&rest, '@', &part[n]))
		n++;
	if (n < 1 || n >= COUNT(part) || !text_to_i64(part[n].text, 0, ROUTE_LOWEST, &priority))
		return false;
	if (n == 1 && !slice_is(part[0], "upstream"))
		return false;
	place.priority = (int)priority;
	if (n == 2) {
		place.module_id = get_part(part[0]);
		place.input = get_part(part[1]);
		if (!place.module_id || !place.input) {
			queue_place_clear(&place);
			return false;
		}
	}
	*out = place;
	return true;
}

void
queue_place_clear(struct queue_place *place)
{
	mem_free(place->module_id);
	mem_free(place->input);
	*place = (struct queue_place){ 0 };
}
