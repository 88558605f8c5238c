/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files that a configuration names: relative to the folder of the configuration. */

#include "wire/toml.h"

char *est_path_place(const struct toml *at, const char *path); /* the caller owns it, as below */
/* NULL and no error: the key is not there. */
char *est_path_find(const struct toml *table, const char *key, struct err *err);
