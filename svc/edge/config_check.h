/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What can only be seen by looking at what a configuration names: files that are there, can be read by whoever is to read them and by nobody else, certificates that belong to their keys, may
 * do what they are there for and still live, names that fit (edge-services 10.1, 12). */

#include "edge/config.h"
#include "pki/cert.h"

void config_check_files(const struct config *config, const struct toml *root, struct findings *findings);

/* What certificates say about themselves.  Pure: no I/O, no clock. */
struct config_spot {
	const struct toml *value; /* NULL: no place */
	char key[200];
};
void config_check_dates(
	struct findings *findings, const struct config_spot *spot, const struct cert *cert, int64_t now, bool is_fatal);
/* n_below: CAs that the first of the chain is to issue. */
void config_check_ca(struct findings *findings, const struct config_spot *spot, const struct certs *chain, size_t n_below);
/* What a server shows, with what it sends beside it, to whoever asks for a name. */
void config_check_server(struct findings *findings, const struct config_spot *spot, const struct certs *chain);
/* Certificates of the same subject make chains that can't be built. */
void config_check_name(
	struct findings *findings, const struct config_spot *spot, const char *common_name, const struct config *config);
/* The name of this machine, and how names have to look. */
void config_check_hostname(struct findings *findings, const struct config_spot *spot, const char *hostname, const char *machine);
