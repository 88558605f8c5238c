/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A server certificate of the operator's own, beside the one that the Edge CA issues ([gateway.server_certs]): a file with its chain, and its key in keyd under an id.  What is there is
 * looked at again and again; until another pair has proven to belong together the one before stays in use.  Used on one worker at a time. */

#include "keyd/client.h"
#include "net/tls.h"

struct further_cert;
struct further_cert *further_cert_new(const char *text, struct err *err); /* "KEY-ID=PATH" */
void further_cert_free(struct further_cert *cert);
/* true: there is another one than before.  like: what its context has in common with the first one's; chain and key are set here.  Blocks. */
bool further_cert_look(struct further_cert *cert, struct keyd_client *keyd, const struct tls_server_config *like);
struct tls_server *further_cert_current(const struct further_cert *cert); /* borrowed; NULL: there is none yet */
