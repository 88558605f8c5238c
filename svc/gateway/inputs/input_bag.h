/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The properties of a message as an input of a module gets them (gateway 4.6): as they were sent, but for the name of the output, and with who sent it, which no sender can say himself. Pure. */

#include "base/buf.h"
#include "base/rd.h"

void input_bag_make(struct buf *out, struct slice bag, const char *device_id, const char *module_id);
