/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The certificates of the hub that `rootedge dev up` runs: a root of its own and the hub's server certificate, made once and kept in its folder; the server's
 * is made again in time, or when it is to have other names. */

#include "base/err.h"
#include "base/option.h"

char *dev_papers_root(const char *dir); /* paths; the caller owns them */
char *dev_papers_cert(const char *dir);
char *dev_papers_key(const char *dir);
int dev_papers_make(const char *dir, const char *hostname, const struct option_list *names, struct err *err);
