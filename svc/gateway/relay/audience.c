/* SPDX-License-Identifier: Apache-2.0 */
/* Who was deleted and made again is another (atk-25). */
#include "gateway/relay/audience.h"

#include "base/text.h"

const struct subject *
audience_find(const struct audience *audience, struct head_session *session, const char *generation_id)
{
	const struct subject *subject = session ? audience->trusted(session) : NULL;

	return subject && (!*generation_id || text_is(generation_id, subject->generation_id)) ? subject : NULL;
}
