/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A real PKCS #11 module with tokens in this test's own folder: SoftHSM 2. */

#include "base/mem.h"
#include "t.h"

#define T_PIN "1234"

static const char *
t_softhsm_module(void)
{
	static const char *const paths[] = { "/usr/lib/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so" };

	for (size_t i = 0; i < COUNT(paths); i++)
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	return NULL;
}

static inline void
t_run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* One more token of this label.  Skips the test where there is no SoftHSM. */
static inline void
t_softhsm_token(const char *label)
{
	OWN_TEXT conf = mem_textf("%s/softhsm2.conf", T_TMPDIR);
	OWN_TEXT command =
		mem_textf("mkdir -p %s/tokens && printf 'directories.tokendir = %s/tokens\\nobjectstore.backend = file\\n"
			  "log.level = ERROR\\n' >%s && softhsm2-util --init-token --free --label %s --pin " T_PIN
			  " --so-pin 567890 >/dev/null 2>&1",
			T_TMPDIR, T_TMPDIR, conf, label);

	if (!t_softhsm_module() || system("command -v softhsm2-util >/dev/null") != 0) {
		print_message("# SoftHSM 2 (softhsm2) is not installed\n");
		skip();
	}
	setenv("SOFTHSM2_CONF", conf, 1);
	t_run(command);
}
