/* SPDX-License-Identifier: Apache-2.0 */
/* The states of roots (rollover.h). */
#include "ca/rollover.h"

#include "base/mem.h"
#include "base/text.h"

static const char *const names[] = {
	[ROLLOVER_ANNOUNCED] = "announced",
	[ROLLOVER_ACTIVE] = "active",
	[ROLLOVER_OUTGOING] = "outgoing",
	[ROLLOVER_RETIRED] = "retired",
};

const char *
rollover_state_name(enum rollover_state state)
{
	return names[state];
}

bool
rollover_state_parse(const char *name, enum rollover_state *out)
{
	for (size_t i = 0; i < COUNT(names); i++)
		if (text_is(name, names[i])) {
			*out = (enum rollover_state)i;
			return true;
		}
	return false;
}

void
rollover_clear(struct rollover *r)
{
	for (size_t i = 0; i < r->n; i++)
		cert_free(r->roots[i].cert);
	certs_clear(&r->cross);
	*r = (struct rollover){ 0 };
}

static struct rollover_root *
find(const struct rollover *r, enum rollover_state state)
{
	for (size_t i = r->n; i > 0; i--)
		if (r->roots[i - 1].state == state)
			return (struct rollover_root *)(uintptr_t)&r->roots[i - 1];
	return NULL;
}

const struct rollover_root *
rollover_find(const struct rollover *r, enum rollover_state state)
{
	return find(r, state);
}

static size_t
count(const struct rollover *r, enum rollover_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->roots[i].state == state;
	return n;
}

static int
check_root(const struct cert *root, struct err *err)
{
	if (!cert_is_ca(root) || !cert_is_issued_by(root, root))
		return err_set(err, ERR_INVALID, "%s is no root: a CA that signed itself", cert_subject(root));
	if (!cert_has_acceptable_key(root))
		return err_set(err, ERR_INVALID, "the key of %s is of a kind or size that is not accepted", cert_subject(root));
	return 0;
}

int
rollover_check(const struct rollover *r, struct err *err)
{
	for (size_t i = 0; i < r->n; i++)
		if (check_root(r->roots[i].cert, err) < 0)
			return -1;
	if (count(r, ROLLOVER_ACTIVE) != 1)
		return err_set(err, ERR_INVALID, "%zu roots are active, where there is one", count(r, ROLLOVER_ACTIVE));
	if (count(r, ROLLOVER_ANNOUNCED) + count(r, ROLLOVER_OUTGOING) > 1)
		return err_set(err, ERR_INVALID, "more than one root is announced or outgoing");
	return 0;
}

static void
add(struct rollover *r, struct cert *root, enum rollover_state state, int64_t now)
{
	if (r->n == ROLLOVER_ROOTS_MAX) { /* the first is retired: at most two are not */
		cert_free(r->roots[0].cert);
		for (size_t i = 1; i < r->n; i++)
			r->roots[i - 1] = r->roots[i];
		r->n--;
	}
	r->roots[r->n++] = (struct rollover_root){ cert_ref(root), state, now };
	r->generation++;
}

int
rollover_begin(struct rollover *r, struct cert *root, int64_t now, struct err *err)
{
	if (r->n > 0)
		return err_set(err, ERR_CONFLICT, "%s is active already; another one follows it by rotate",
			cert_subject(rollover_find(r, ROLLOVER_ACTIVE)->cert));
	if (check_root(root, err) < 0)
		return -1;
	add(r, root, ROLLOVER_ACTIVE, now);
	return 0;
}

int
rollover_may_announce(const struct rollover *r, const char *subject, struct err *err)
{
	const struct rollover_root *announced = rollover_find(r, ROLLOVER_ANNOUNCED),
				   *outgoing = rollover_find(r, ROLLOVER_OUTGOING);

	if (!rollover_find(r, ROLLOVER_ACTIVE))
		return err_set(err, ERR_MISSING, "there is no root yet that another one could follow");
	if (announced)
		return err_set(
			err, ERR_CONFLICT, "%s is announced already: activate it, or retire it", cert_subject(announced->cert));
	if (outgoing)
		return err_set(err, ERR_CONFLICT, "%s has not retired yet: one root at a time", cert_subject(outgoing->cert));
	/* Both are trusted for a time, and chains find their root by its name. */
	for (size_t i = 0; i < r->n; i++)
		if (text_is(subject, cert_subject(r->roots[i].cert)))
			return err_set(err, ERR_CONFLICT, "a root %s is or was here: the new one needs a name of its own", subject);
	return 0;
}

int
rollover_announce(
	struct rollover *r, struct cert *root, struct cert *new_with_old, struct cert *old_with_new, int64_t now, struct err *err)
{
	const struct cert *old;

	if (rollover_may_announce(r, cert_subject(root), err) < 0 || check_root(root, err) < 0)
		return -1;
	old = rollover_find(r, ROLLOVER_ACTIVE)->cert;
	if (!cert_is_issued_by(new_with_old, old) || !text_is(cert_subject(new_with_old), cert_subject(root)))
		return err_set(
			err, ERR_INVALID, "the cross certificate of %s is not signed by %s", cert_subject(root), cert_subject(old));
	if (!cert_is_issued_by(old_with_new, root) || !text_is(cert_subject(old_with_new), cert_subject(old)))
		return err_set(
			err, ERR_INVALID, "the cross certificate of %s is not signed by %s", cert_subject(old), cert_subject(root));
	add(r, root, ROLLOVER_ANNOUNCED, now);
	certs_clear(&r->cross);
	certs_add(&r->cross, new_with_old);
	certs_add(&r->cross, old_with_new);
	return 0;
}

static void
enter(struct rollover_root *root, enum rollover_state state, int64_t now)
{
	root->state = state;
	root->since = now;
}

int
rollover_activate(struct rollover *r, int64_t now, struct err *err)
{
	struct rollover_root *next = find(r, ROLLOVER_ANNOUNCED);

	if (!next)
		return err_set(err, ERR_CONFLICT, "no root is announced that could become active");
	enter(find(r, ROLLOVER_ACTIVE), ROLLOVER_OUTGOING, now);
	enter(next, ROLLOVER_ACTIVE, now);
	r->generation++;
	return 0;
}

const struct rollover_root *
rollover_leaving(const struct rollover *r)
{
	const struct rollover_root *outgoing = rollover_find(r, ROLLOVER_OUTGOING);

	return outgoing ? outgoing : rollover_find(r, ROLLOVER_ANNOUNCED);
}

/* The cross certificates go with it: by one of them the retired root would be trusted still. */
int
rollover_retire(struct rollover *r, int64_t now, struct err *err)
{
	struct rollover_root *leaving = (struct rollover_root *)(uintptr_t)rollover_leaving(r);

	if (!leaving)
		return err_set(err, ERR_CONFLICT, "no root is outgoing or announced: there is none to retire");
	enter(leaving, ROLLOVER_RETIRED, now);
	certs_clear(&r->cross);
	r->generation++;
	return 0;
}

void
rollover_bundle(const struct rollover *r, struct certs *out)
{
	static const enum rollover_state order[] = { ROLLOVER_ACTIVE, ROLLOVER_ANNOUNCED, ROLLOVER_OUTGOING };

	for (size_t i = 0; i < COUNT(order); i++) {
		const struct rollover_root *root = rollover_find(r, order[i]);

		if (root)
			certs_add(out, root->cert);
	}
}
