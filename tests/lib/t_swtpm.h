/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A TPM 2.0 of this test's own: swtpm, which can be switched off, on, and exchanged for another. */

#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "t.h"

struct t_swtpm {
	int port;
	pid_t pid;
	char tcti[64];
};

static inline bool
t_connects(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	close(fd);
	return yes;
}

/* With the state in T_TMPDIR/name: the same name is the same TPM. */
static inline void
t_swtpm_on(struct t_swtpm *t, const char *name)
{
	OWN_TEXT state = mem_textf("dir=%s/%s", T_TMPDIR, name);
	OWN_TEXT make = mem_textf("mkdir -p %s/%s", T_TMPDIR, name);
	OWN_TEXT server = mem_textf("type=tcp,port=%d", t->port);
	OWN_TEXT control = mem_textf("type=tcp,port=%d", t->port + 1);
	int64_t until = clock_boot_ms() + 20000;

	if (system(make) != 0)
		fail_msg("%s", make);
	t->pid = fork();
	if (t->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server, "--ctrl", control, "--flags",
			"not-need-init", (char *)NULL);
		_exit(127);
	}
	while (!t_connects(t->port + 1)) {
		if (waitpid(t->pid, NULL, WNOHANG) == t->pid) {
			t->pid = 0; /* somebody has one of these ports */
			return;
		}
		if (clock_boot_ms() > until)
			fail_msg("swtpm does not answer");
	}
}

static inline void
t_swtpm_off(struct t_swtpm *t)
{
	if (t->pid > 0) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, NULL, 0);
	}
	t->pid = 0;
}

/* Skips the test where there is no swtpm. */
static inline void
t_swtpm_start(struct t_swtpm *t, const char *name)
{
	if (system("command -v swtpm >/dev/null") != 0) {
		print_message("# swtpm is not installed\n");
		skip();
	}
	do {
		t->port = 20000 + (int)(random_u64() % 6000) * 2; /* a pair, below the ports that connections take */
		snprintf(t->tcti, sizeof(t->tcti), "swtpm:host=127.0.0.1,port=%d", t->port);
		t_swtpm_on(t, name);
	} while (t->pid == 0);
}
