/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Text of somebody else's on a page for people: what a terminal would obey (C0 and C1 controls), or what is not UTF-8, is shown as its bytes, "\x9b".  Pure. */

#include "base/buf.h"

void buf_put_visible(struct buf *out, const char *text);
