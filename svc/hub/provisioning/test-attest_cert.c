/* SPDX-License-Identifier: Apache-2.0 */
/* Attestation by a certificate: enrolled by itself. */
#include "hub/provisioning/test_arrival.h"

TEST("the enrolled certificate registers, from either slot, whoever signed it")
{
	CLEAR(made) old = story_device("dev1", NULL);
	CLEAR(made) renewed = story_device("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_individual(&a, ENROLLMENT_BY_CERT);

	e->certs[0] = cert_ref(old.cert);
	e->certs[1] = cert_ref(renewed.cert);
	show(&a, &renewed, NULL);
	let_in(&a, e);
}

TEST("another certificate of the same name is not the enrolled one")
{
	CLEAR(made) enrolled = story_device("dev1", NULL);
	CLEAR(made) impostor = story_device("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(enrolled.cert);
	show(&a, &impostor, NULL);
	refused(&a, ENROLLMENT_CERT_DIFFERS);
}

TEST("an individual enrollment is not got past with a certificate of a group")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) enrolled = story_device("dev1", NULL);
	CLEAR(made) other = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(enrolled.cert);
	add_ca_group(&a, "plant", &root);
	show(&a, &other, NULL);
	refused(&a, ENROLLMENT_CERT_DIFFERS);
}

TEST("the enrolled certificate is refused when its CN is another registration id")
{
	CLEAR(made) leaf = story_device("dev2", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(leaf.cert);
	show(&a, &leaf, NULL);
	refused(&a, NAME_CN_MISMATCH);
}

TEST("the CN is compared by bytes: another case is another name")
{
	CLEAR(made) leaf = story_device("DEV1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(leaf.cert);
	show(&a, &leaf, NULL);
	refused(&a, NAME_CN_MISMATCH);
}

TEST("the enrolled certificate is refused after its end, and before its beginning")
{
	CLEAR(made) leaf = story_device("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(leaf.cert);
	show(&a, &leaf, NULL);
	a.now = STORY_NOW + 31 * STORY_DAY;
	refused(&a, CERT_EXPIRED);
	a.now = STORY_NOW - 2 * STORY_DAY;
	refused(&a, CERT_NOT_YET_VALID);
}

/* By who issued it. */
static void
be_revoked(struct arrival *a, const struct made *issuer, const struct made *what)
{
	OWN_TEXT serial = cert_serial_hex(what->cert);
	struct err err = ERR_INIT;

	revocations_free(a->revoked);
	a->revoked = revocations_new();
	CHECK_OK(revocations_put(a->revoked, issuer->cert, serial, &err), err);
}

TEST("a certificate that is revoked registers nobody, enrolled itself or by its CA, nor does one below a CA that is")
{
	CLEAR(made) root = story_root("factory");
	CLEAR(made) between = story_intermediate("line 7", &root);
	CLEAR(made) other = story_device("dev2", &root);
	CLEAR(made) leaf = story_device("dev1", &between);
	CLEAR(made) own = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(arrival) enrolled = arrival_of("dev1");
	struct enrollment *group = add_ca_group(&a, "group", &root);

	show(&a, &leaf, &between);
	be_revoked(&a, &root, &other);
	let_in(&a, group);
	be_revoked(&a, &between, &leaf);
	refused(&a, CERT_REVOKED);
	be_revoked(&a, &root, &between);
	refused(&a, CERT_REVOKED);
	set_individual(&enrolled, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(own.cert);
	show(&enrolled, &own, NULL);
	let_in(&enrolled, enrolled.individual);
	be_revoked(&enrolled, &root, &own);
	refused(&enrolled, CERT_REVOKED);
}

TEST("a server's certificate does not register a device, enrolled or not")
{
	CLEAR(made) leaf = story_server("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(leaf.cert);
	show(&a, &leaf, NULL);
	refused(&a, CERT_NO_CLIENT_AUTH);
}

TEST("a disabled individual enrollment refuses, and no group is tried in its place")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_individual(&a, ENROLLMENT_BY_CERT);

	e->certs[0] = cert_ref(leaf.cert);
	e->enabled = false;
	add_ca_group(&a, "plant", &root);
	show(&a, &leaf, NULL);
	refused(&a, ENROLLMENT_DISABLED);
}
