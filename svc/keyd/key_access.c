/* SPDX-License-Identifier: Apache-2.0 */
/* Who may what with a key: no I/O. */
#include "base/mem.h"
#include "base/text.h"
#include "keyd/key_access.h"

static bool
is_root(const struct key_caller *c)
{
	return !c->bound && c->is_known && c->uid == 0;
}

/* Is this principal the caller's?  A socket of one's own is nobody else's: its name and the user id must both be right. */
static bool
is_caller(const struct key_caller *c, const struct principal *p)
{
	return c->is_known && p->uid == c->uid && (!c->bound || text_is(p->name, c->bound));
}

/* Among several of one user's the first that may. */
static const struct principal *
who_may(const struct key_caller *c, const char *id)
{
	for (size_t i = 0; i < c->principals->n; i++)
		if (is_caller(c, &c->principals->item[i]) && principal_may(&c->principals->item[i], id))
			return &c->principals->item[i];
	return NULL;
}

bool
key_caller_may(const struct key_caller *c, const char *id)
{
	return is_root(c) || who_may(c, id);
}

const char *
key_caller_name(const struct key_caller *c, const char *id)
{
	const struct principal *p = who_may(c, id);

	return p ? p->name : is_root(c) ? "" : NULL;
}

static bool
borrows(const struct key_caller *c)
{
	for (size_t i = 0; i < c->principals->n; i++)
		if (is_caller(c, &c->principals->item[i]) && c->principals->item[i].borrows)
			return true;
	return false;
}

/* Was the handle made for somebody who still may use the key, and is it the caller's to use? */
static bool
is_lent(const struct key_caller *c, const struct key_handle *handle)
{
	const struct principal *maker = handle->maker ? principals_named(c->principals, handle->maker) : NULL;
	bool of_root = text_is(handle->maker ? handle->maker : "?", "");

	if (!c->is_known || !(of_root || principal_may(maker, handle->id)))
		return false;
	return (maker && maker->lends) || borrows(c);
}

bool
key_caller_may_with(const struct key_caller *c, const struct key_handle *handle, enum key_access access)
{
	OWN_TEXT derived = mem_textf("derived:%s", handle->id);

	if (key_caller_may(c, handle->id))
		return true;
	if (access == KEY_SIGN && handle->kind == KEY_HANDLE_DERIVED && who_may(c, derived))
		return true;
	return access != KEY_OWN && is_lent(c, handle);
}
