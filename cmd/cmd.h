/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The subcommands of rootedge: one small file each.  argv[0] is the subcommand's own name; the result is the exit status. */

int cmd_ca(int argc, char **argv);
int cmd_cert(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_dev(int argc, char **argv);
int cmd_edge(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_est(int argc, char **argv);
int cmd_renewals(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_gateway(int argc, char **argv);
int cmd_hub(int argc, char **argv);
int cmd_provisioning(int argc, char **argv);
int cmd_trust(int argc, char **argv);

/* Become the service "rootedge-NAME" that lies beside this executable (or in its libexec folder).  Returns only when that failed. */
int cmd_exec_service(const char *name, int argc, char **argv);
/* The path of that service's executable; the caller owns it. */
char *cmd_service_path(const char *name);
