/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The TSS (tpm2-tss), loaded when the TPM is asked for the first time: whoever has no keys there carries none of it. */

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "base/err.h"

struct tpm_library {
#define TPM_FUNCTION(library, name) __typeof__(name) *name;
#include "keys/tpm_library.tbl.h"
#undef TPM_FUNCTION
};

const struct tpm_library *tpm_library_load(struct err *err); /* once for the process; any thread */
