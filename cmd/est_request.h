/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The verbs of rootedge est that ask a server, as any client does.  argv[0] is the verb; the result is the exit status. */

int est_verb_ping(int argc, char **argv);
int est_verb_cacerts(int argc, char **argv);
int est_verb_enroll(int argc, char **argv);
int est_verb_reenroll(int argc, char **argv);
