/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a device or module: immutable once shared, by reference. */
#include <stdatomic.h>
#include <string.h>

#include "auth/identity.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

/* The count lies before the record, so that readers of the struct do not meet it. */
struct counted {
	atomic_int n_refs;
	struct identity identity;
};

static struct counted *
counted(const struct identity *identity)
{
	return (struct counted *)(uintptr_t)((const char *)identity - offsetof(struct counted, identity));
}

struct identity *
identity_new(const char *device_id, const char *module_id)
{
	struct counted *c = NEW(counted);

	c->n_refs = 1;
	c->identity.device_id = mem_text(device_id);
	c->identity.module_id = mem_text(module_id);
	return &c->identity;
}

struct identity *
identity_ref(const struct identity *identity)
{
	if (!identity)
		return NULL;
	counted(identity)->n_refs++;
	return &counted(identity)->identity;
}

void
identity_free(struct identity *identity)
{
	if (!identity || --counted(identity)->n_refs > 0)
		return;
	mem_free(identity->device_id);
	mem_free(identity->module_id);
	mem_free(identity->generation_id);
	mem_free(identity->etag);
	mem_free(identity->scope);
	for (size_t i = 0; i < identity->n_parents; i++)
		mem_free(identity->parents[i]);
	mem_free(identity->status_reason);
	mem_free(identity->managed_by);
	for (size_t i = 0; i < 2; i++) {
		secret_clear(&identity->keys[i]);
		mem_free(identity->thumbprints[i]);
	}
	mem_free(counted(identity));
}

struct identity *
identity_copy(const struct identity *from)
{
	struct identity *copy = identity_new(from->device_id, from->module_id);

	copy->generation_id = mem_text(from->generation_id);
	copy->etag = mem_text(from->etag);
	copy->scope = mem_text(from->scope);
	copy->n_parents = from->n_parents;
	for (size_t i = 0; i < from->n_parents; i++)
		copy->parents[i] = mem_text(from->parents[i]);
	copy->status_reason = mem_text(from->status_reason);
	copy->managed_by = mem_text(from->managed_by);
	copy->enabled = from->enabled;
	copy->is_edge = from->is_edge;
	copy->auth = from->auth;
	for (size_t i = 0; i < 2; i++) {
		copy->keys[i] = from->keys[i];
		copy->thumbprints[i] = mem_text(from->thumbprints[i]);
	}
	copy->created = from->created;
	copy->status_updated = from->status_updated;
	return copy;
}

struct subject
identity_subject(const struct identity *identity)
{
	return identity->subject;
}

static size_t
size_of(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* Returns where the copy stands, and moves on behind it. */
static char *
copy_to(char **at, const char *text)
{
	char *copy = text ? memcpy(*at, text, size_of(text)) : NULL;

	*at += size_of(text);
	return copy;
}

/* One allocation, which begins with the device's id: each connection has one of these. */
struct subject
subject_copy(const struct subject *s)
{
	char *at = mem_new(size_of(s->device_id) + size_of(s->module_id) + size_of(s->generation_id));
	struct subject copy;

	copy.device_id = copy_to(&at, s->device_id);
	copy.module_id = copy_to(&at, s->module_id);
	copy.generation_id = copy_to(&at, s->generation_id);
	return copy;
}

void
subject_clear(struct subject *s)
{
	mem_free(s->device_id);
	*s = (struct subject){ 0 };
}

char *
subject_name(const struct subject *s)
{
	return identity_name(s->device_id, s->module_id);
}

/* With its length, so that no two records look the same in a row; NULL and "" differ. */
static void
put_field(struct buf *b, const void *bytes, size_t len)
{
	buf_put_u8(b, bytes != NULL);
	buf_put_u64(b, len);
	buf_put(b, bytes, len);
}

static void
put_text(struct buf *b, const char *text)
{
	put_field(b, text, text ? strlen(text) : 0);
}

void
identity_ground(const struct identity *identity, const char *thumbprint, uint8_t out[static DIGEST_SHA256_LEN])
{
	struct buf b = BUF_INIT(UINT32_MAX / 2);

	buf_put_u8(&b, identity->enabled);
	buf_put_u8(&b, (uint8_t)identity->auth);
	put_text(&b, identity->generation_id);
	buf_put_u64(&b, identity->n_parents);
	for (size_t i = 0; i < identity->n_parents; i++)
		put_text(&b, identity->parents[i]);
	for (int i = 0; i < 2; i++)
		put_field(&b, identity->keys[i].bytes, identity->keys[i].len);
	put_text(&b, thumbprint ? thumbprint : identity->thumbprints[0]);
	put_text(&b, thumbprint ? NULL : identity->thumbprints[1]);
	digest_sha256(b.data, b.len, out);
	buf_wipe(&b); /* it held keys */
}

bool
identity_same_trust(const struct identity *before, const struct identity *after)
{
	uint8_t was[DIGEST_SHA256_LEN], is[DIGEST_SHA256_LEN];

	identity_ground(before, NULL, was);
	identity_ground(after, NULL, is);
	return mem_equal_ct(was, is, sizeof(was));
}

struct identity *
identity_under(struct identity *module_take, const struct identity *device)
{
	OWN(identity) module = module_take;
	struct identity *disabled;

	if (!module || !module->module_id || (device && device->enabled))
		return GIVE(module);
	disabled = identity_copy(module);
	disabled->enabled = false;
	mem_free(disabled->status_reason);
	disabled->status_reason = mem_text("its device is disabled");
	return disabled;
}

bool
identity_id_is_valid(const char *id)
{
	size_t len = id ? strnlen(id, IDENTITY_ID_MAX + 1) : 0;

	if (len == 0 || len > IDENTITY_ID_MAX || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		return false;
	for (const char *c = id; *c; c++) {
		bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');

		if (!letter && !strchr("-:.+%_#*?!(),=@;$'", *c))
			return false;
	}
	return true;
}

/* The id stands in the scope, in front of the last hyphen. */
char *
identity_scope_device(const char *scope)
{
	const char *hyphen;

	if (!scope || !text_starts(scope, IDENTITY_SCOPE_PREFIX))
		return NULL;
	scope += strlen(IDENTITY_SCOPE_PREFIX);
	hyphen = strrchr(scope, '-');
	return hyphen ? mem_textn(scope, (size_t)(hyphen - scope)) : NULL;
}

char *
identity_name(const char *device_id, const char *module_id)
{
	return module_id ? mem_textf("%s/%s", device_id, module_id) : mem_text(device_id);
}
