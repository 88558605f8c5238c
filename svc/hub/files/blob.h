/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Blobs on the hub's HTTPS port, below the container's name: as much of a blob storage's interface as devices use to upload a file by a link (Put Blob, Put Block, Put Block List), and services to
 * read it (Get Blob) by a link or by their policy. */

#include "hub/files/files.h"
#include "hub/registry/policy_keeper.h"
#include "net/http_server.h"

struct blob_server {
	struct files *files; /* borrowed, like all of it */
	const char *hostname;
	struct policy_keeper *policies;
};
/* Answer a request for a blob.  false: its path is none of a blob. */
bool blob_serve(struct blob_server *server, struct http_request *req);
/* Where the body of such a request goes; NULL: into memory. */
struct http_sink *blob_sink(struct blob_server *server, struct http_request *req);
