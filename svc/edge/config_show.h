/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The configuration that is in effect: every value, defaults too, and where it comes from.  Secrets are not in it. */

#include <stdio.h>

#include <jansson.h>

#include "wire/toml.h"

/* [{"table":"provisioning","key":"source","value":"manual","origin":"/etc/aziot/config.toml:3"}], in the order of the reference */
json_t *config_show_json(const struct toml *root);
/* Secrets in what a role is told. */
void config_show_hide(json_t *told);
void config_show_print(const json_t *values, FILE *out); /* as TOML, with the origins as comments */
