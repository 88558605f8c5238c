/* SPDX-License-Identifier: Apache-2.0 */
/* The first certificate of its file. */
#include "certd/local_ca.h"

#include <string.h>

#include "pki/cert.h"

#define PEM_MAX (1024 * 1024)
#define CHAIN_MAX 64

static int
look(void *arg, struct renewal_found *out, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	CLEAR(certs) chain = { 0 };

	if (cert_store_load(arg, LOCAL_CA_ID, &pem, err) < 0 || certs_parse(&chain, buf_text(&pem), pem.len, CHAIN_MAX, err) < 0)
		return -1;
	out->current = (struct renewal_life){ cert_not_before(chain.item[0]), cert_not_after(chain.item[0]) };
	memcpy(out->sha256, cert_sha256(chain.item[0]), sizeof(out->sha256));
	return 0;
}

void
local_ca_watch(struct cert_store *store, struct renewals *renewals)
{
	renewals_add(renewals, &(struct renewal_target){ .id = (char *)(uintptr_t)LOCAL_CA_ID,
				       .policy = RENEWAL_POLICY_DEFAULT,
				       .look = look,
				       .waits_to_be_asked = true,
				       .arg = store });
}
