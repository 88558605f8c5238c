/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A noun that is a service without a verb, and with one a tool for its operator. */

#include <stddef.h>

struct service_verb {
	const char *name, *help;
	int (*run)(int argc, char **argv);
};

struct service_verbs {
	const char *service, *summary, *without; /* "hub", "Verbs for a hub's operator", "Without a verb it is the hub itself" */
	const struct service_verb *verbs;
	size_t n;
};

int service_verbs_run(const struct service_verbs *noun, int argc, char **argv);
