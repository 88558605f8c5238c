/* SPDX-License-Identifier: Apache-2.0 */
/* Roots that are read again when others have followed (cloud_roots.h). */
#include "identityd/cloud_roots.h"

#include "base/log.h"
#include "pki/root_line.h"

#define ROOTS_MAX 1024

static struct anchors *
load(const struct cloud_roots *r, struct err *err)
{
	CLEAR(certs) all = { 0 };
	json_t *path;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)r->paths, i, path) {
		if (!json_is_string(path))
			return err_null(err, ERR_INVALID, "anchors: not a list of paths");
		if (root_line_load_roots(&all, json_string_value(path), r->line_path, ROOTS_MAX, err) < 0)
			return NULL;
	}
	return anchors_new(&all, err);
}

int
cloud_roots_open(struct cloud_roots *r, const json_t *paths, const char *line_path, struct err *err)
{
	*r = (struct cloud_roots){ .paths = paths, .line_path = line_path };
	pthread_mutex_init(&r->lock, NULL);
	if (line_path)
		r->line = file_version(line_path);
	r->anchors = load(r, err);
	return r->anchors ? 0 : -1;
}

void
cloud_roots_clear(struct cloud_roots *r)
{
	anchors_free(r->anchors);
	pthread_mutex_destroy(&r->lock);
}

static void
follow(struct cloud_roots *r)
{
	struct file_version now = file_version(r->line_path);
	struct err err = ERR_INIT;
	struct anchors *next;

	if (now.inode == 0 || file_version_is(&now, &r->line))
		return;
	next = load(r, &err);
	if (!next) {
		if (!file_version_is(&now, &r->unreadable)) /* is said once, and tried again */
			log_error("the roots that the hub is trusted by stay: %s", err.text);
		r->unreadable = now;
		return;
	}
	anchors_free(r->anchors);
	r->anchors = next;
	r->line = now;
	log_info("the hub is trusted by other roots from now on");
}

struct anchors *
cloud_roots_now(struct cloud_roots *r)
{
	struct anchors *now;

	pthread_mutex_lock(&r->lock);
	if (r->line_path)
		follow(r);
	now = anchors_ref(r->anchors);
	pthread_mutex_unlock(&r->lock);
	return now;
}
