/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* No more than a profile gives: for who lets another CA sign.  A request goes there as it is, and what that CA makes of it is its own affair; so it may wish for nothing that this side has not
 * judged, and what comes back is looked at again.  Pure: no I/O, no clock. */

#include "diag/verdict.h"
#include "pki/issue.h"

/* The subject is one CN and nothing else, and of attributes and extensions there are only those whose content is judged: challengePassword, subjectAltName, keyUsage, basicConstraints, and an
 * extendedKeyUsage with no other use than the kind's.  CSR_ASKS_MORE. */
void bounds_judge_request(struct verdict *v, const struct csr *csr, enum issue_kind kind);
/* The same of the subject and the uses of a certificate.  A leaf without extendedKeyUsage is for every use, which is more than any kind gives.  CERT_MORE_NAMES, CERT_MORE_USES. */
void bounds_judge_cert(struct verdict *v, const struct cert *cert, enum issue_kind kind);
