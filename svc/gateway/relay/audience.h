/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who is connected here and may be spoken to. */

#include "heads/head.h"

struct audience {
	struct directory *directory;
	/* On a session's loop: who it is, or NULL when that is no longer trusted and its session is being closed. */
	const struct subject *(*trusted)(struct head_session *session);
};

/* Of a visit (directory.h), on the session's loop: who it is; NULL: nobody, or another generation than this one ("": whichever). */
const struct subject *audience_find(const struct audience *audience, struct head_session *session, const char *generation_id);
