/* SPDX-License-Identifier: Apache-2.0 */
/* Principals and their patterns. */
#include "base/mem.h"
#include "base/text.h"
#include "common/principal.h"
#include "wire/json.h"

bool
principal_may(const struct principal *principal, const char *id)
{
	for (size_t i = 0; principal && i < principal->n_patterns; i++)
		if (text_fits(id, principal->patterns[i]))
			return true;
	return false;
}

const struct principal *
principals_find(const struct principals *p, uid_t uid)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->item[i].uid == uid)
			return &p->item[i];
	return NULL;
}

const struct principal *
principals_named(const struct principals *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (text_is(p->item[i].name, name))
			return &p->item[i];
	return NULL;
}

void
principals_clear(struct principals *p)
{
	for (size_t i = 0; i < p->n; i++) {
		mem_free(p->item[i].name);
		for (size_t k = 0; k < p->item[i].n_patterns; k++)
			mem_free(p->item[i].patterns[k]);
	}
	p->n = 0;
}

static int
take_one(struct principal *p, const json_t *json, struct err *err)
{
	const char *name;
	json_t *ids, *id;
	int64_t uid = -1;
	size_t at;

	if (json_get_text(json, "name", &name, err) < 0 || json_find_int(json, "uid", &uid, err) < 0 ||
		json_find_array(json, "ids", &ids, err) < 0 || json_find_bool(json, "lends", &p->lends, err) < 0 ||
		json_find_bool(json, "borrows", &p->borrows, err) < 0)
		return -1;
	if (uid < 0 || uid > UINT32_MAX - 1 || json_array_size(ids) > PATTERNS_MAX)
		return err_set(err, ERR_INVALID, "principal %s: no uid, or more than %d patterns", name, PATTERNS_MAX);
	p->name = mem_text(name);
	p->uid = (uid_t)uid;
	json_array_foreach(ids, at, id)
		if (json_is_string(id))
			p->patterns[p->n_patterns++] = mem_text(json_string_value(id));
	return 0;
}

int
principals_from_json(struct principals *out, const json_t *list, struct err *err)
{
	json_t *item;
	size_t at;

	out->n = 0;
	if (json_array_size(list) > PRINCIPALS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d principals", PRINCIPALS_MAX);
	json_array_foreach(list, at, item) {
		out->item[out->n] = (struct principal){ 0 };
		if (take_one(&out->item[out->n++], item, err) < 0) {
			principals_clear(out);
			return -1;
		}
	}
	return 0;
}

int
principals_change(struct principals *all, pthread_rwlock_t *lock, const json_t *list, struct err *err)
{
	struct principals *next = NEW(principals), before;
	int status = principals_from_json(next, list, err);

	if (status == 0) {
		pthread_rwlock_wrlock(lock);
		before = *all;
		*all = *next;
		pthread_rwlock_unlock(lock);
		principals_clear(&before);
	}
	mem_free(next);
	return status;
}
