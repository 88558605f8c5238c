/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The audit log: a line of JSON for each decision about who comes in, and for each connection that was closed for a broken rule, in STATE/gateway/audit.log and, when that has its size,
 * audit.log.1.  Lines are written together, about a second late, by a worker: a disk that is slow or full keeps nobody waiting, and costs lines, which are counted. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "net/loop.h"

struct audit;
/* max_bytes: of both files together; 0: nothing is written, and there is no file. */
struct audit *audit_open(const char *dir, uint64_t max_bytes, struct loop *loop, struct pool *workers);
void audit_close(struct audit *audit); /* after the workers and the loops: what was put is written */
bool audit_is_on(const struct audit *audit);
void audit_put(struct audit *audit, const char *json); /* any thread; an object, without its line end */
