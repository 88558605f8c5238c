/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Verbs for an edge device's operator, in the words of iotedge and aziotctl. */

int edge_list(int argc, char **argv);
int edge_status(int argc, char **argv);
int edge_restart(int argc, char **argv);
int edge_reprovision(int argc, char **argv);
int edge_logs(int argc, char **argv);
int edge_bundle(int argc, char **argv);
int edge_init(int argc, char **argv);
