/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* certd as its callers see it (edge-services 1.2).  Calls block: use them on a worker. */

#include "base/buf.h"
#include "base/err.h"

/* PEM of the stored chain, appended; ERR_MISSING when there is none. */
int certd_client_get(const char *socket_path, const char *id, struct buf *pem, struct err *err);
int certd_client_import(const char *socket_path, const char *id, const char *pem, struct err *err);
int certd_client_delete(const char *socket_path, const char *id, struct err *err);
/* Issue for a CSR (PEM).  With issuer_id the certificate is signed by that stored certificate's key (issuer_handle, from keyd); without, by the method
 * configured for the id.  The new chain is stored under id and appended to pem. */
int certd_client_create(const char *socket_path, const char *id, const char *csr, const char *issuer_id, const char *issuer_handle,
	struct buf *pem, struct err *err);
