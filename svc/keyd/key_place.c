/* SPDX-License-Identifier: Apache-2.0 */
/* Places of keys. */
#include "base/mem.h"
#include "common/id_file.h"
#include "keyd/key_place.h"
#include "wire/tss_key.h"

/* Where the operator says. */
struct preloaded {
	char *path;
	struct pkcs11_uri *uri; /* or: */
	uint32_t tpm_handle;	/* or: */
};

static int
take_preloaded(struct key_places *s, const char *id, const char *place, struct err *err)
{
	struct preloaded *p = NEW(preloaded);

	map_put_text(s->preloaded, id, p);
	if (pkcs11_uri_is(place)) {
		p->uri = pkcs11_uri_parse(place, err);
		return p->uri ? 0 : err_wrap(err, "the preloaded key %.100s", id);
	}
	if (tss_key_is_uri(place))
		return tss_key_parse_uri(place, &p->tpm_handle, err) < 0 ? err_wrap(err, "the preloaded key %.100s", id) : 0;
	p->path = mem_text(place);
	return 0;
}

int
key_places_open(struct key_places *s, const char *dir, const json_t *preloaded, const char *base, struct err *err)
{
	const char *id;
	json_t *place;

	s->dir = mem_text(dir);
	s->preloaded = map_new();
	if (base) {
		s->base = pkcs11_uri_parse(base, err);
		if (!s->base)
			return err_wrap(err, "pkcs11_base_slot");
	}
	json_object_foreach((json_t *)(uintptr_t)preloaded, id, place)
		if (json_is_string(place) && take_preloaded(s, id, json_string_value(place), err) < 0)
			return -1;
	return 0;
}

void
key_places_clear(struct key_places *s)
{
	size_t at = 0;
	void *value;

	while (map_next(s->preloaded, &at, NULL, NULL, &value)) {
		struct preloaded *p = value;

		mem_free(p->path);
		pkcs11_uri_free(p->uri);
		mem_free(p);
	}
	map_free(s->preloaded);
	pkcs11_uri_free(s->base);
	mem_free(s->dir);
}

void
key_place_clear(struct key_place *place)
{
	pkcs11_uri_free(place->own_uri);
	mem_free(place->path);
}

int
key_place_find(const struct key_places *s, const char *id, struct key_place *out, struct err *err)
{
	const struct preloaded *p = map_find_text(s->preloaded, id);

	if (p) {
		*out = (struct key_place){
			.token = p->uri, .path = mem_text(p->path), .tpm_handle = p->tpm_handle, .is_preloaded = true
		};
		return 0;
	}
	out->path = id_file_place(s->dir, id, ".key", err);
	if (!out->path)
		return -1;
	if (s->base)
		out->token = out->own_uri = pkcs11_uri_with_object(s->base, id);
	return 0;
}

bool
key_place_goes_on(const struct key_place *place, struct err *err)
{
	if (err->kind != ERR_MISSING || !place->path)
		return false;
	*err = (struct err)ERR_INIT;
	return true;
}

bool
key_place_may_make(const struct key_place *place, struct err *err)
{
	if (err->kind != ERR_MISSING || place->is_preloaded)
		return false;
	*err = (struct err)ERR_INIT;
	return true;
}

void
key_place_tell_missing(const struct key_place *place, struct err *err)
{
	if (err->kind == ERR_MISSING && !place->is_preloaded)
		(void)err_set(err, ERR_MISSING, "key not found");
}
