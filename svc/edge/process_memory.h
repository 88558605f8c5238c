/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What memory a process of ours takes: its proportional share (PSS) where we may look, else what is resident. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int64_t process_memory_kib(pid_t pid, bool *is_pss); /* 0: it has gone */
