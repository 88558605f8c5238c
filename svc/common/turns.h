/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* --watch-turns of a service: how long each of its loops kept those who waited, told at the end. */

#include <stddef.h>

#include "net/loop.h"

void turns_watch(struct loop *const *loops, size_t n); /* before they run */
void turns_tell(struct loop *const *loops, size_t n);  /* once none of them runs any more */
