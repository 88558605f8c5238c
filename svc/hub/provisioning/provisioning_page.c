/* SPDX-License-Identifier: Apache-2.0 */
/* Pages (provisioning_page.h). */
#include "hub/provisioning/provisioning_page.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"

#define PAGE_MAX 1000
#define CONTINUATION_MAX 512
#define BAD_ARGUMENT 400004

bool
provisioning_page_begin(struct provisioning_call *call, struct provisioning_page *page)
{
	const char *count = http_header(call->req, "x-ms-max-item-count"), *from = http_header(call->req, "x-ms-continuation");
	CLEAR(buf) text = BUF_INIT(CONTINUATION_MAX);
	int64_t max = PAGE_MAX;

	*page = (struct provisioning_page){ 0 };
	if (count && !text_to_i64(count, 1, PAGE_MAX, &max)) {
		provisioning_fail(call, BAD_ARGUMENT, "x-ms-max-item-count is not a number from 1 to %d", PAGE_MAX);
		return false;
	}
	if (from && (!base64_decode(&text, from, strlen(from), BASE64_STRICT) || !enrollment_id_is_valid(buf_text(&text)))) {
		provisioning_fail(call, BAD_ARGUMENT, "x-ms-continuation is none of ours");
		return false;
	}
	page->after = from ? mem_text(buf_text(&text)) : NULL;
	page->max = (size_t)max;
	page->list = json_array();
	return true;
}

bool
provisioning_page_has_room(struct provisioning_page *page)
{
	page->more = json_array_size(page->list) == page->max;
	return !page->more;
}

void
provisioning_page_add(struct provisioning_page *page, json_t *item_take, const char *id)
{
	json_array_append_new(page->list, item_take);
	mem_free(page->last);
	page->last = mem_text(id);
}

void
provisioning_page_answer(struct provisioning_call *call, const struct provisioning_page *page, const char *item_type)
{
	OWN_TEXT type = mem_textf("x-ms-item-type: %s", item_type);
	CLEAR(buf) next = BUF_INIT(CONTINUATION_MAX);
	const char *headers[3] = { type, NULL, NULL };

	if (page->more) {
		buf_puts(&next, "x-ms-continuation: ");
		base64_encode(&next, page->last, strlen(page->last));
		headers[1] = buf_text(&next);
	}
	http_respond_json(call->req, 200, headers, json_incref(page->list));
}

void
provisioning_page_clear(struct provisioning_page *page)
{
	json_decref(page->list);
	mem_free(page->after);
	mem_free(page->last);
}
