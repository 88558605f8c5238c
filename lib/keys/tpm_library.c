/* SPDX-License-Identifier: Apache-2.0 */
/* Loading the TSS. */
#include <dlfcn.h>
#include <pthread.h>

#include "base/mem.h"
#include "keys/tpm_library.h"

struct function_row {
	const char *library, *name;
};

static const struct function_row rows[] = {
#define TPM_FUNCTION(library, name) { library, #name },
#include "keys/tpm_library.tbl.h"
#undef TPM_FUNCTION
};

/* All its members are pointers to functions, in the order of the rows. */
static union {
	struct tpm_library library;
	void *pointers[COUNT(rows)];
} loaded;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct err failure = ERR_INIT;

static void
load(void)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		void *library = dlopen(rows[i].library, RTLD_NOW | RTLD_LOCAL); /* for good; each counts how often it was opened */

		loaded.pointers[i] = library ? dlsym(library, rows[i].name) : NULL;
		if (loaded.pointers[i])
			continue;
		err_set(&failure, ERR_BROKEN, "the TSS is not there (tpm2-tss): %s", dlerror());
		return;
	}
}

const struct tpm_library *
tpm_library_load(struct err *err)
{
	pthread_once(&once, load);
	if (failure.kind == ERR_NONE)
		return &loaded.library;
	return err_null(err, failure.kind, "%s", failure.text);
}

#ifdef __SANITIZE_ADDRESS__
/* tpm2-tss 3.2 loses what it would have read when the TPM goes away in the middle of Esys_TR_FromTPMPublic: 750 bytes each time, and nothing that we could free. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:Esys_ReadPublic_Finish\n";
}
#endif
