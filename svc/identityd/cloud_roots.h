/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The roots that what lies beyond this box is trusted by: those of the operator's files, and what has followed them since, which is looked at before each call (pki/root_line.h). */

#include <pthread.h>

#include <jansson.h>

#include "base/file.h"
#include "pki/chain.h"

struct cloud_roots {
	const json_t *paths;		      /* of PEM files; borrowed */
	const char *line_path;		      /* of what has followed; borrowed; NULL: nothing does */
	struct file_version line, unreadable; /* which one counts; which one could not be read */
	struct anchors *anchors;
	pthread_mutex_t lock;
};
int cloud_roots_open(struct cloud_roots *roots, const json_t *paths, const char *line_path, struct err *err);
void cloud_roots_clear(struct cloud_roots *roots);	    /* after an open that failed, too */
struct anchors *cloud_roots_now(struct cloud_roots *roots); /* the caller owns a reference; any thread */
