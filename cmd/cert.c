/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge cert: certificates by hand.  Here is the table of verbs; each is in a file named after it. */
#include "cert.h"

#include "base/mem.h"
#include "cmd.h"
#include "verbs.h"

struct verb {
	const char *name, *help;
	int (*run)(int argc, char **argv); /* NULL: makes a certificate of `kind` */
	enum issue_kind kind;
};

static const struct verb verbs[] = {
	{ "root", "make a root CA", NULL, ISSUE_ROOT },
	{ "intermediate", "make a CA under another", NULL, ISSUE_INTERMEDIATE },
	{ "edge-ca", "make an Edge CA, which issues the certificates of one edge device's modules", NULL, ISSUE_EDGE_CA },
	{ "server", "make a server certificate for host names and addresses", NULL, ISSUE_SERVER },
	{ "device", "make a device identity certificate", NULL, ISSUE_DEVICE },
	{ "csr", "make a key and a certificate signing request", cert_verb_csr, 0 },
	{ "show", "show certificates", cert_verb_show, 0 },
	{ "fingerprint", "print the SHA-256 fingerprint, as `openssl x509 -fingerprint -sha256` does", cert_verb_fingerprint, 0 },
	{ "verify", "is this certificate to be trusted? decided as the servers decide", cert_verb_verify, 0 },
	{ "needs-renewal", "is it time to renew it? for scripts", cert_verb_needs_renewal, 0 },
	{ "bundle", "put a certificate and those that issued it in order, as PEM or PKCS #12", cert_verb_bundle, 0 },
	{ "revoke", "revoke a certificate that a CA of ours has issued", cert_verb_revoke, 0 },
	{ "demo", "make all of a gateway's story, for trying things out", cert_verb_demo, 0 },
};

static const char more[] =
	"\nA gateway and a device:\n"
	"  rootedge cert root my_private_root_CA\n"
	"  rootedge cert intermediate my_optional_intermediate_CA --issuer my_private_root_CA.cert.pem\n"
	"  rootedge cert edge-ca 'iotedged workload ca edgegateway' --issuer my_optional_intermediate_CA.cert.pem\n"
	"  rootedge cert server edgegateway.local --issuer iotedged-workload-ca-edgegateway.cert.pem\n"
	"  rootedge cert verify edgegateway.local.cert.pem --trusted my_private_root_CA.cert.pem --dns edgegateway.local\n"
	"  rootedge cert device TempSensor\n"
	"  rootedge cert fingerprint TempSensor.cert.pem\n";

int
cmd_cert(int argc, char **argv)
{
	static const struct verb_table table = VERB_TABLE("rootedge cert", "Make, show and verify certificates.", more, verbs);
	int status;
	const struct verb *verb = verb_find(&table, argc, argv, &status);

	if (!verb)
		return status;
	return verb->run ? verb->run(argc - 1, argv + 1) : cert_verb_make(verb->kind, argc - 1, argv + 1);
}
