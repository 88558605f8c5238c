/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor over text that takes word after word, and refuses what it does not expect: an XML parser would know entities, and more than is wanted of a stranger. */
#include "hub/files/blob_list.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "wire/codec.h"

/* -- Names --------------------------------------------------------------------------------------------------------------------------- */

bool
blob_block_id_is_valid(const char *id)
{
	CLEAR(buf) bytes = BUF_INIT(64);
	size_t len = strlen(id);

	return len > 0 && len <= BLOB_BLOCK_ID_MAX && base64_decode(&bytes, id, len, BASE64_STRICT);
}

bool
blob_name_is_valid(const char *name)
{
	struct slice rest = slice_of(name), part;
	bool more = true;

	if (rest.len > BLOB_NAME_MAX || !text_is_utf8(name, rest.len) || text_has_control(name, rest.len) || strchr(name, '\\'))
		return false;
	while (more) {
		more = slice_cut(&rest, '/', &part);
		if (part.len == 0 || slice_is(part, ".") || slice_is(part, ".."))
			return false;
	}
	return true;
}

/* -- The list -------------------------------------------------------------------------------------------------------------------------- */

static void
skip_space(struct slice *s)
{
	while (s->len > 0 && strchr(" \t\r\n", *s->text) && *s->text) {
		s->text++;
		s->len--;
	}
}

static bool
take(struct slice *s, const char *word)
{
	if (!slice_starts(*s, word))
		return false;
	s->text += strlen(word);
	s->len -= strlen(word);
	return true;
}

static void
skip_prologue(struct slice *s)
{
	struct slice prologue;

	take(s, "\xef\xbb\xbf");
	skip_space(s);
	if (slice_starts(*s, "<?xml "))
		slice_cut(s, '>', &prologue);
	skip_space(s);
}

/* One of these, after its "<". */
static const char *const kinds[] = { "Latest>", "Committed>", "Uncommitted>" };

static bool
take_block(struct slice *s, char **id)
{
	const char *kind = NULL;
	struct slice text;

	if (!take(s, "<"))
		return false;
	for (size_t i = 0; i < COUNT(kinds) && !kind; i++)
		kind = take(s, kinds[i]) ? kinds[i] : NULL;
	if (!kind || !slice_cut(s, '<', &text) || !take(s, "/") || !take(s, kind) || text.len > BLOB_BLOCK_ID_MAX)
		return false;
	*id = slice_text(text);
	return true;
}

static int
parse(struct blob_list *list, struct slice s, struct err *err)
{
	size_t room = 0;

	skip_prologue(&s);
	if (take(&s, "<BlockList/>") || take(&s, "<BlockList />"))
		goto end;
	if (!take(&s, "<BlockList>"))
		return err_set(err, ERR_INVALID, "a <BlockList> was expected");
	for (skip_space(&s); !take(&s, "</BlockList>"); skip_space(&s)) {
		if (list->n == BLOB_BLOCKS_MAX)
			return err_set(err, ERR_LIMIT, "more than %d blocks", BLOB_BLOCKS_MAX);
		if (list->n == room) {
			room = room ? room * 2 : 16;
			list->ids = mem_resize(list->ids, room * sizeof(*list->ids));
		}
		if (!take_block(&s, &list->ids[list->n]))
			return err_set(err, ERR_INVALID, "block %zu of the list is not written as a block", list->n + 1);
		list->n++;
		if (!blob_block_id_is_valid(list->ids[list->n - 1]))
			return err_set(err, ERR_INVALID, "the id of block %zu is not the base64 of 1 to 64 bytes", list->n);
	}
end:
	skip_space(&s);
	return s.len == 0 ? 0 : err_set(err, ERR_INVALID, "there is more behind the list");
}

int
blob_list_parse(struct blob_list *out, const void *text, size_t len, struct err *err)
{
	struct blob_list list = { 0 };

	if (parse(&list, (struct slice){ .text = text, .len = len }, err) < 0) {
		blob_list_clear(&list);
		return -1;
	}
	*out = list;
	return 0;
}

void
blob_list_clear(struct blob_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		mem_free(list->ids[i]);
	mem_free(list->ids);
	*list = (struct blob_list){ 0 };
}
