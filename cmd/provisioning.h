/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The verbs of `rootedge provisioning`: argv[0] is the verb. */

int provisioning_enrollment(int argc, char **argv);
int provisioning_enrollment_group(int argc, char **argv);
int provisioning_registration(int argc, char **argv);
int provisioning_linked_hub(int argc, char **argv);
int provisioning_certificate(int argc, char **argv); /* hub_ca.c */
int provisioning_policy(int argc, char **argv);	     /* hub_policy.c */
int provisioning_connection_string(int argc, char **argv);
int provisioning_show(int argc, char **argv);
