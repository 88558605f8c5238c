/* SPDX-License-Identifier: Apache-2.0 */
/* Attestation by a certificate: enrolled by who issued it. */
#include "hub/provisioning/test_arrival.h"

TEST("a leaf registers by the group of the CA that issued it")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *group = add_ca_group(&a, "plant", &root);

	show(&a, &leaf, NULL);
	let_in(&a, group);
}

TEST("the nearest CA on the way up answers, also when the root has a group that stands before it")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("line 3", &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *near;

	add_ca_group(&a, "plant", &root);
	near = add_ca_group(&a, "line-3", &ca);
	show(&a, &leaf, &ca);
	let_in(&a, near);
}

TEST("the root's group answers for a leaf whose intermediate was sent")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("line 3", &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *group = add_ca_group(&a, "plant", &root);

	show(&a, &leaf, &ca);
	let_in(&a, group);
}

TEST("a leaf without its intermediate finds no group")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("line 3", &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	CLEAR(arrival) a = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	show(&a, &leaf, NULL);
	refused(&a, ENROLLMENT_UNKNOWN);
}

TEST("a disabled group refuses, and the enabled group of the root above is not tried")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("line 3", &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	CLEAR(arrival) a = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	add_ca_group(&a, "line-3", &ca)->enabled = false;
	show(&a, &leaf, &ca);
	refused(&a, ENROLLMENT_DISABLED);
}

TEST("the secondary CA of a group counts like the primary one")
{
	CLEAR(made) old = story_root("root");
	CLEAR(made) fresh = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &fresh);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *group = add_ca_group(&a, "plant", &old);

	group->certs[1] = cert_ref(fresh.cert);
	show(&a, &leaf, NULL);
	let_in(&a, group);
}

TEST("a CA of the same name with another key vouches for nothing")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) imposter = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &imposter);
	CLEAR(arrival) a = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	show(&a, &leaf, &imposter);
	refused(&a, ENROLLMENT_UNKNOWN);
}

TEST("a leaf that was made an issuer by its owner does not vouch for another")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) mine = story_device("dev1", &root);
	CLEAR(made) forged =
		story_crooked((struct crooked){ .common_name = "dev2", .extensions = { "extendedKeyUsage", "clientAuth" } }, &mine);
	CLEAR(arrival) a = arrival_of("dev2");

	add_ca_group(&a, "plant", &root);
	show(&a, &forged, &mine);
	{
		OWN(verdict) v = NULL;

		CHECK(decide(&a, &v) == NULL);
		CHECK(!verdict_accepted(v));
	}
}

TEST("the CA's own certificate is no device's")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	show(&a, &ca, NULL);
	refused(&a, CERT_LEAF_IS_CA);
}

TEST("a group's device is refused under another registration id than its CN")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev2");

	add_ca_group(&a, "plant", &root);
	show(&a, &leaf, NULL);
	refused(&a, NAME_CN_MISMATCH);
}

TEST("a certificate with two CNs, or with NUL in it, has no name to register by")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) two = story_crooked((struct crooked){ .common_name = "dev1", .second_name = "dev2" }, &root);
	CLEAR(made) nul = story_crooked((struct crooked){ .common_name = "dev1\0.evil", .common_name_len = 10 }, &root);
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(arrival) b = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	show(&a, &two, NULL);
	refused(&a, NAME_CN_MISMATCH);
	add_ca_group(&b, "plant", &root);
	show(&b, &nul, NULL);
	refused(&b, NAME_CN_MISMATCH);
}

TEST("a leaf is refused once its group's CA has expired")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	show(&a, &leaf, NULL);
	a.now = STORY_NOW + 31 * STORY_DAY;
	refused(&a, CERT_EXPIRED);
}
