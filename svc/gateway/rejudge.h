/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Looks every minute whether time alone has ended a session: an old record, a certificate's end, its age.  Lives on one loop. */

#include "base/pool.h"
#include "gateway/gateway_head.h"
#include "net/loop.h"

struct rejudge;
struct rejudge *rejudge_new(struct loop *loop, struct pool *workers, struct gateway_head *head);
void rejudge_free(struct rejudge *rejudge); /* after the workers have stopped and the loop is finished */
