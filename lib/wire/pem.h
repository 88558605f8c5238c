/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* PEM (RFC 7468): text cut into blocks, one at a time.  Text between blocks is overlooked; a block that is broken, empty or too
 * large is a failure with its line, and so are a BEGIN or END line that is malformed or alone. */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rd.h"

#define PEM_BLOCK_MAX (256 * 1024)

struct pem {
	struct slice rest;
	int line;	    /* where the current block begins, from 1 */
	struct slice label; /* "CERTIFICATE" */
	bool encrypted;	    /* the block has a "Proc-Type: 4,ENCRYPTED" header */
	struct buf der;	    /* of the current block */
	int next_line_;
};

void pem_init(struct pem *pem, const char *text, size_t len);
void pem_clear(struct pem *pem);
int pem_next(struct pem *pem, struct err *err); /* 1: a block, 0: the end, -1 */
void pem_put(struct buf *out, const char *label, const void *der, size_t len);
