/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* May this gateway speak for that device?  (gateway 3.7, 3.8) The claim's chain is "target;...;actor"; the records say what is
 * true. */

#include "auth/decide.h"

bool on_behalf_check(struct verdict *v, const struct auth_claim *claim, const struct auth_records *records);
