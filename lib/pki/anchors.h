/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside pki: the OpenSSL side of struct anchors (chain.h). */

#include <openssl/x509_vfy.h>

#include "pki/chain.h"

X509_STORE *anchors_store(const struct anchors *anchors); /* borrowed */
bool anchors_have_crls(const struct anchors *anchors);
