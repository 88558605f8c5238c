/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The tables of the hub's SQLite file, as the steps that made them: a step that a release had is never changed. */

#include <stddef.h>

extern const char *const schema_migrations[];
extern const size_t schema_n_migrations;
