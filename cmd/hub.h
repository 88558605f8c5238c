/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The verbs of `rootedge hub`: argv[0] is the verb. */

int hub_events(int argc, char **argv);
int hub_connection_string(int argc, char **argv);
int hub_device(int argc, char **argv);
int hub_module(int argc, char **argv);
int hub_twin(int argc, char **argv);
int hub_method(int argc, char **argv);
int hub_query(int argc, char **argv);
int hub_c2d(int argc, char **argv);
int hub_ca(int argc, char **argv);
int hub_policy(int argc, char **argv);
int hub_configuration(int argc, char **argv);
int hub_job(int argc, char **argv);
int hub_file(int argc, char **argv);
int hub_seed(int argc, char **argv);

#define HUB_STATE_DEFAULT "/var/lib/rootedge/hub"
