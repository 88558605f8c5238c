/* SPDX-License-Identifier: Apache-2.0 */
#include "est/est_names.h"

#include "base/mem.h"
#include "t.h"

TEST("{id} is who shows the certificate, and nobody else fits")
{
	CLEAR(est_names) templates = { 0 };
	CLEAR(est_names) names = { 0 };

	CHECK(est_names_add(&templates, "{id}") && est_names_add(&templates, "aziot-edge CA {id}") &&
		est_names_add(&templates, "{id}.{id}.test"));
	CHECK(est_names_fill(&names, &templates, "dev-1"));
	CHECK(est_names_hold(&names, "dev-1") && est_names_hold(&names, "aziot-edge CA dev-1") &&
		est_names_hold(&names, "dev-1.dev-1.test"));
	CHECK(!est_names_hold(&names, "dev-2") && !est_names_hold(&names, "dev-1 ") && !est_names_hold(&names, "") &&
		!est_names_hold(&names, "{id}") && !est_names_hold(&names, "DEV-1"));
}

TEST("atk-20: a certificate whose name is a pattern speaks for nobody")
{
	CLEAR(est_names) templates = { 0 };
	CLEAR(est_names) names = { 0 };

	CHECK(est_names_add(&templates, "{id}"));
	CHECK(!est_names_fill(&names, &templates, "dev-*") && !est_names_fill(&names, &templates, "dev-?"));
	CHECK(!est_names_fill(&names, &templates, ""));
	CHECK_INT(names.n, 0);
}

TEST("a pattern that is empty, too long, has a control character or is one too many is not taken")
{
	CLEAR(est_names) names = { 0 };
	OWN_TEXT longest = mem_textf("%0*d", EST_NAME_LEN_MAX, 1);
	OWN_TEXT too_long = mem_textf("%0*d", EST_NAME_LEN_MAX + 1, 1);

	CHECK(!est_names_add(&names, "") && !est_names_add(&names, too_long) && !est_names_add(&names, "a\nb"));
	for (size_t i = 0; i < EST_NAMES_MAX; i++)
		CHECK(est_names_add(&names, longest));
	CHECK(!est_names_add(&names, "one"));
}
