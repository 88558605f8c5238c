/* SPDX-License-Identifier: Apache-2.0 */
/* Enrollments and the rules of their ids (enrollment.h). */
#include "hub/provisioning/enrollment.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub/registry/ca.h"

struct enrollment *
enrollment_new(const char *id, bool is_group)
{
	struct enrollment *enrollment = NEW(enrollment);

	enrollment->id = mem_text(id);
	enrollment->is_group = is_group;
	enrollment->enabled = true;
	enrollment->refs = 1;
	return enrollment;
}

struct enrollment *
enrollment_ref(const struct enrollment *enrollment)
{
	struct enrollment *mine = (struct enrollment *)(uintptr_t)enrollment;

	mine->refs++;
	return mine;
}

void
enrollment_free(struct enrollment *enrollment)
{
	if (!enrollment || --enrollment->refs > 0)
		return;
	for (int i = 0; i < 2; i++) {
		secret_clear(&enrollment->keys[i]);
		cert_free(enrollment->certs[i]);
		mem_free(enrollment->ca_names[i]);
	}
	mem_free(enrollment->id);
	mem_free(enrollment->endorsement_key);
	mem_free(enrollment->storage_root_key);
	mem_free(enrollment->device_id);
	mem_free(enrollment->etag);
	json_decref(enrollment->wishes);
	mem_free(enrollment);
}

bool
enrollment_has_ca_names(const struct enrollment *enrollment)
{
	return enrollment->ca_names[0] || enrollment->ca_names[1];
}

void
enrollment_resolve(struct enrollment *enrollment, const struct ca_registry *cas)
{
	for (int i = 0; i < 2; i++) {
		struct cert *cert = enrollment->ca_names[i] ? ca_find_verified(cas, enrollment->ca_names[i]) : NULL;

		if (cert)
			enrollment->certs[i] = cert_ref(cert);
	}
}

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool
enrollment_id_is_valid(const char *id)
{
	size_t len = id ? strnlen(id, ENROLLMENT_ID_MAX + 1) : 0;

	if (len == 0 || len > ENROLLMENT_ID_MAX || !(is_alnum(id[len - 1]) || id[len - 1] == '-'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(id[i]) && !strchr("-._:", id[i]))
			return false;
	return true;
}

char *
enrollment_id_fold(const char *id)
{
	return text_lower(id);
}
