/* SPDX-License-Identifier: Apache-2.0 */
/* A gateway that has its TLS key in its own process, to see what the one in keyd costs: `bench/edge handshakes`.  The linker puts this in front of keyd's client; nothing else is another. */
#include "keyd/client.h"

struct key *__wrap_keyd_client_create_pair(struct keyd_client *client, const char *id, const char *algorithms, struct err *err);

struct key *
__wrap_keyd_client_create_pair(struct keyd_client *client, const char *id, const char *algorithms, struct err *err)
{
	(void)client;
	(void)id;
	(void)algorithms;
	return key_generate(KEY_EC_P256, err);
}
