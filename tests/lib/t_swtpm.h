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

static inline struct sockaddr_in
t_loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
}

/* Or somebody else's TPM would answer for ours while that still notices that it can't have the port. */
static inline bool
t_port_is_free(int port)
{
	struct sockaddr_in address = t_loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	bool yes;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	yes = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return yes;
}

/* TPM2_GetCapability: one that was not started yet answers, too, if only with an error. */
static inline bool
t_tpm_answers(int port)
{
	static const uint8_t question[] = { 0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7a, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 0, 1 };
	struct sockaddr_in address = t_loopback(port);
	struct timeval patience = { .tv_sec = 1 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint8_t answer[64];
	bool yes;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	yes = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	      send(fd, question, sizeof(question), MSG_NOSIGNAL) == (ssize_t)sizeof(question) &&
	      recv(fd, answer, sizeof(answer), 0) >= 10;
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
	while (!t_tpm_answers(t->port)) {
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
		do
			t->port = 20000 + (int)(random_u64() % 6000) * 2; /* a pair, below the ports that connections take */
		while (!t_port_is_free(t->port) || !t_port_is_free(t->port + 1));
		snprintf(t->tcti, sizeof(t->tcti), "swtpm:host=127.0.0.1,port=%d", t->port);
		t_swtpm_on(t, name);
	} while (t->pid == 0);
}
