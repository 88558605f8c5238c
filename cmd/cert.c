/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge cert: certificates by hand.  Here is the table of verbs; each is in a file named after it. */
#include "cert.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "cmd.h"

struct verb {
	const char *name;
	int (*run)(int argc, char **argv); /* NULL: makes a certificate of `kind` */
	enum issue_kind kind;
	const char *help;
};

static const struct verb verbs[] = {
	{ "root", NULL, ISSUE_ROOT, "make a root CA" },
	{ "intermediate", NULL, ISSUE_INTERMEDIATE, "make a CA under another" },
	{ "edge-ca", NULL, ISSUE_EDGE_CA, "make an Edge CA, which issues the certificates of one edge device's modules" },
	{ "server", NULL, ISSUE_SERVER, "make a server certificate for host names and addresses" },
	{ "device", NULL, ISSUE_DEVICE, "make a device identity certificate" },
	{ "csr", cert_verb_csr, 0, "make a key and a certificate signing request" },
	{ "show", cert_verb_show, 0, "show certificates" },
	{ "fingerprint", cert_verb_fingerprint, 0, "print the SHA-256 fingerprint, as `openssl x509 -fingerprint -sha256` does" },
	{ "verify", cert_verb_verify, 0, "is this certificate to be trusted? decided as the servers decide" },
	{ "needs-renewal", cert_verb_needs_renewal, 0, "is it time to renew it? for scripts" },
	{ "bundle", cert_verb_bundle, 0, "put a certificate and those that issued it in order, as PEM or PKCS #12" },
	{ "revoke", cert_verb_revoke, 0, "revoke a certificate that a CA of ours has issued" },
	{ "demo", cert_verb_demo, 0, "make all of a gateway's story, for trying things out" },
};

static int
usage(FILE *out)
{
	fputs("Make, show and verify certificates.\n\nusage: rootedge cert VERB [OPTIONS] [ARGUMENTS]\n\n", out);
	for (size_t i = 0; i < COUNT(verbs); i++)
		fprintf(out, "  %-14s %s\n", verbs[i].name, verbs[i].help);
	fputs("\n"
	      "A gateway and a device:\n"
	      "  rootedge cert root my_private_root_CA\n"
	      "  rootedge cert intermediate my_optional_intermediate_CA --issuer my_private_root_CA.cert.pem\n"
	      "  rootedge cert edge-ca 'iotedged workload ca edgegateway' --issuer my_optional_intermediate_CA.cert.pem\n"
	      "  rootedge cert server edgegateway.local --issuer iotedged-workload-ca-edgegateway.cert.pem\n"
	      "  rootedge cert verify edgegateway.local.cert.pem --trusted my_private_root_CA.cert.pem --dns edgegateway.local\n"
	      "  rootedge cert device TempSensor\n"
	      "  rootedge cert fingerprint TempSensor.cert.pem\n"
	      "\nrootedge cert VERB --help tells more.\n",
		out);
	return out == stdout ? 0 : 2;
}

static int
unknown(const char *word)
{
	const char *names[COUNT(verbs)], *near;

	for (size_t i = 0; i < COUNT(verbs); i++)
		names[i] = verbs[i].name;
	near = text_nearest(word, names, COUNT(verbs));
	fprintf(stderr, "rootedge cert: there is no verb '%s'; ", word);
	if (near)
		fprintf(stderr, "did you mean '%s'?\n", near);
	else
		fputs("rootedge cert --help lists them\n", stderr);
	return 2;
}

int
cmd_cert(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr);
	if (text_is(argv[1], "--help") || text_is(argv[1], "-h") || text_is(argv[1], "help"))
		return usage(stdout);
	for (size_t i = 0; i < COUNT(verbs); i++) {
		if (!text_is(argv[1], verbs[i].name))
			continue;
		return verbs[i].run ? verbs[i].run(argc - 1, argv + 1) : cert_verb_make(verbs[i].kind, argc - 1, argv + 1);
	}
	return unknown(argv[1]);
}
