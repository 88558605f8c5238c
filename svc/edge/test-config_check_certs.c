/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "edge/config_check.h"
#include "pki/issue.h"
#include "t.h"

#define DAY 86400
#define NOW 1800000000

static struct cert *
make(enum issue_kind kind, const char *name, const struct issuer *issuer, struct key **key, int64_t from, int64_t to)
{
	struct profile profile = {
		.kind = kind, .common_name = name, .path_len = kind == ISSUE_EDGE_CA ? 0 : -1, .not_before = from, .not_after = to
	};
	struct err err = ERR_INIT;
	struct issuer self = { 0 };
	struct cert *cert;

	*key = key_generate(KEY_EC_P256, &err);
	self.key = *key;
	cert = issue_cert(&profile, key_pkey(*key), issuer ? issuer : &self, &err);
	if (!cert)
		fail_msg("%s", err.text);
	return cert;
}

static const struct config_spot spot = { .key = "edge_ca.cert" };

/* The one finding, or that there is none. */
static void
says(const struct findings *f, enum finding_level level, const char *part)
{
	if (!part) {
		CHECK_INT(f->n, 0);
		return;
	}
	CHECK_INT(f->n, 1);
	CHECK_INT(f->item[0].level, level);
	CHECK_CONTAINS(f->item[0].text, part);
}

TEST("dates: not yet good and expired are errors where it matters, warnings where not; the last seven days are a warning")
{
	static const struct {
		int64_t from, to;
		bool is_fatal;
		enum finding_level level;
		const char *part;
	} cases[] = {
		{ NOW - DAY, NOW + 8 * DAY, true, FINDING_NOTE, NULL },
		{ NOW - DAY, NOW + 6 * DAY, true, FINDING_WARNING, "in less than 7 days" },
		{ NOW - DAY, NOW, true, FINDING_ERROR, "has expired on 2027-01-15" },
		{ NOW - 9 * DAY, NOW - DAY, false, FINDING_WARNING, "has expired" },
		{ NOW + DAY, NOW + 30 * DAY, true, FINDING_ERROR, "clock" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEAR(findings) f = { 0 };
		OWN(key) key = NULL;
		OWN(cert) cert = make(ISSUE_ROOT, "r", NULL, &key, cases[i].from, cases[i].to);

		config_check_dates(&f, &spot, cert, NOW, cases[i].is_fatal);
		says(&f, cases[i].level, cases[i].part);
	}
}

TEST("an Edge CA is a CA, and each certificate in its file issued the one before")
{
	OWN(key) root_key = NULL;
	OWN(key) other_key = NULL;
	OWN(key) ca_key = NULL;
	OWN(key) leaf_key = NULL;
	OWN(cert) root = make(ISSUE_ROOT, "root", NULL, &root_key, NOW, NOW + DAY);
	OWN(cert) other = make(ISSUE_ROOT, "root", NULL, &other_key, NOW, NOW + DAY);
	struct issuer issuer = { .cert = root, .key = root_key };
	OWN(cert) ca = make(ISSUE_EDGE_CA, "edge", &issuer, &ca_key, NOW, NOW + DAY);
	OWN(cert) leaf = make(ISSUE_SERVER, "edge", &issuer, &leaf_key, NOW, NOW + DAY);
	struct cert *good[] = { ca, root }, *wrong_issuer[] = { ca, other }, *no_ca[] = { leaf, root };
	CLEAR(findings) none = { 0 };
	CLEAR(findings) wrong = { 0 };
	CLEAR(findings) no = { 0 };

	config_check_ca(&none, &spot, &(struct certs){ .item = good, .n = 2 }, 0);
	says(&none, FINDING_NOTE, NULL);
	config_check_ca(&wrong, &spot, &(struct certs){ .item = wrong_issuer, .n = 2 }, 0);
	says(&wrong, FINDING_ERROR, "certificate 2 in the file (CN=root) did not issue the one before it (CN=edge)");
	config_check_ca(&no, &spot, &(struct certs){ .item = no_ca, .n = 2 }, 0);
	says(&no, FINDING_ERROR, "is no CA's");
}

TEST("a CA that may have none below it issues no Edge CA, nor does one above it with too short a path")
{
	OWN(key) root_key = NULL;
	OWN(key) local_key = NULL;
	OWN(key) edge_key = NULL;
	OWN(cert) root = make(ISSUE_ROOT, "root", NULL, &root_key, NOW, NOW + DAY);
	struct issuer issuer = { .cert = root, .key = root_key };
	OWN(cert) edge = make(ISSUE_EDGE_CA, "edge", &issuer, &edge_key, NOW, NOW + DAY); /* pathlen:0 */
	OWN(cert) local = make(ISSUE_INTERMEDIATE, "local", &issuer, &local_key, NOW, NOW + DAY);
	struct cert *none_below[] = { edge, root }, *any_below[] = { local, root };
	CLEAR(findings) fits = { 0 };
	CLEAR(findings) good = { 0 };
	CLEAR(findings) bad = { 0 };

	config_check_ca(&fits, &spot, &(struct certs){ .item = none_below, .n = 2 }, 0);
	says(&fits, FINDING_NOTE, NULL);
	config_check_ca(&good, &spot, &(struct certs){ .item = any_below, .n = 2 }, 1);
	says(&good, FINDING_NOTE, NULL);
	config_check_ca(&bad, &spot, &(struct certs){ .item = none_below, .n = 2 }, 1);
	says(&bad, FINDING_ERROR, "CN=edge may have 0 CAs below it (pathLenConstraint), and has 1");
}

TEST("the Edge CA's name is not that of the device or of the gateway")
{
	char host[] = "edge.local", device[] = "EdgeGateway";
	struct config c = { .hostname = host, .device_id = device };
	static const struct {
		const char *name, *part;
	} cases[] = { { "aziot-edge CA EdgeGateway", NULL }, { "Edge.local", "is the hostname too" },
		{ "EdgeGateway", "is the device's id too" } };

	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEAR(findings) f = { 0 };

		config_check_name(&f, &spot, cases[i].name, &c);
		says(&f, FINDING_WARNING, cases[i].part);
	}
}

TEST("a hostname is the machine's name or begins with it, and is a name by RFC 1035; an address is taken as it is")
{
	static const struct {
		const char *host, *machine, *part;
	} cases[] = {
		{ "gw", "gw", NULL },
		{ "GW.example.org", "gw", NULL },
		{ "192.168.1.4", "gw", NULL },
		{ "2001:db8::1", "gw", NULL },
		{ "other.example.org", "gw", "this machine calls itself 'gw'" },
		{ "gwx.example.org", "gw", "this machine calls itself" },
		{ "gw_1", "gw_1", "RFC 1035" },
		{ "1gw", "1gw", "RFC 1035" },
		{ "gw-.x", "gw-", "RFC 1035" },
		{ "gw..x", "gw", "RFC 1035" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEAR(findings) f = { 0 };

		config_check_hostname(&f, &spot, cases[i].host, cases[i].machine);
		says(&f, FINDING_WARNING, cases[i].part);
	}
}

static struct cert *
server_for(const char *name, struct key **key, const struct issuer *issuer)
{
	struct profile profile = { .kind = ISSUE_SERVER,
		.common_name = "gw",
		.names = { name },
		.n_names = 1,
		.path_len = -1,
		.not_before = NOW - DAY,
		.not_after = NOW + 30 * DAY };
	struct err err = ERR_INIT;
	struct cert *cert;

	*key = key_generate(KEY_EC_P256, &err);
	cert = issue_cert(&profile, key_pkey(*key), issuer, &err);
	if (!cert)
		fail_msg("%s", err.text);
	return cert;
}

static void
server_says(struct cert *const *certs, size_t n, const char *part)
{
	CLEAR(findings) f = { 0 };
	struct certs chain = { 0 };

	for (size_t i = 0; i < n; i++)
		certs_add(&chain, certs[i]);
	config_check_server(&f, &spot, &chain);
	certs_clear(&chain);
	says(&f, FINDING_ERROR, part);
}

TEST("a further server certificate may serve, has a DNS name, and is followed by its issuers")
{
	OWN(key) root_key = NULL;
	OWN(key) named_key = NULL;
	OWN(key) address_key = NULL;
	OWN(key) device_key = NULL;
	OWN(key) other_key = NULL;
	OWN(cert) root = make(ISSUE_ROOT, "root", NULL, &root_key, NOW - DAY, NOW + 300 * DAY);
	OWN(cert) other = make(ISSUE_ROOT, "other", NULL, &other_key, NOW - DAY, NOW + 300 * DAY);
	struct issuer by = { .cert = root, .key = root_key };
	OWN(cert) named = server_for("gw.example", &named_key, &by);
	OWN(cert) address = server_for("10.0.0.1", &address_key, &by);
	OWN(cert) device = make(ISSUE_DEVICE, "dev1", &by, &device_key, NOW - DAY, NOW + 30 * DAY);

	server_says((struct cert *[]){ named, root }, 2, NULL);
	server_says((struct cert *[]){ root, named }, 2, "the server's own comes first");
	server_says((struct cert *[]){ device }, 1, "extendedKeyUsage");
	server_says((struct cert *[]){ address }, 1, "no DNS name");
	server_says((struct cert *[]){ named, other }, 2, "did not issue");
}
