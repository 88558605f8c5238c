/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The verbs of `rootedge dev`: argv[0] is the verb. */

#include "base/err.h"

int dev_up(int argc, char **argv);
int dev_env(int argc, char **argv);
char *dev_default_dir(struct err *err); /* where `up` keeps what it knows; the caller owns it */
