/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates as the two documents have them: a private root, an optional intermediate, the Edge CA below it, and what the hub
 * and the devices show.  Two each for EdgeGateway and TempSensor, of different length, for the two slots that the hub has for a
 * device's thumbprints. */
#include "demo_papers.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "demo_cast.h"
#include "pki/issue.h"

#define DAY_S 86400
#define PEM_MAX 65536

struct paper_row {
	const char *name;
	enum issue_kind kind;
	const char *common_name;
	const char *issuer; /* the name of an earlier row; NULL: signs itself */
	int days, path_len;
	const char *names[3];
};

static const struct paper_row rows[] = {
	{ PAPER_ROOT, ISSUE_ROOT, "my_private_root_CA", NULL, 3650, -1, { NULL } },
	{ PAPER_INTERMEDIATE, ISSUE_INTERMEDIATE, "my_optional_intermediate_CA", PAPER_ROOT, 1825, 1, { NULL } },
	{ PAPER_EDGE_CA, ISSUE_EDGE_CA, "iotedged workload ca edgegateway", PAPER_INTERMEDIATE, 365, 0, { NULL } },
	/* An edge device of ours makes this one itself. */
	{ PAPER_GATEWAY, ISSUE_SERVER, CAST_EDGE_HOST, PAPER_EDGE_CA, 365, 0, { CAST_EDGE_HOST } },
	{ PAPER_HUB, ISSUE_SERVER, CAST_HUB_HOST, PAPER_ROOT, 365, 0, { CAST_HUB_HOST, "localhost", "127.0.0.1" } },
	{ PAPER_EDGE, ISSUE_DEVICE, "EdgeGateway", PAPER_ROOT, 365, 0, { NULL } },
	{ PAPER_EDGE_SECOND, ISSUE_DEVICE, "EdgeGateway", PAPER_ROOT, 730, 0, { NULL } },
	{ PAPER_SENSOR, ISSUE_DEVICE, "TempSensor", PAPER_ROOT, 365, 0, { NULL } },
	{ PAPER_SENSOR_SECOND, ISSUE_DEVICE, "TempSensor", PAPER_ROOT, 730, 0, { NULL } },
	/* The right name, the right issuer, and yet not the certificate that is on record. */
	{ PAPER_IMPOSTOR, ISSUE_DEVICE, "TempSensor", PAPER_ROOT, 365, 0, { NULL } },
	{ PAPER_OTHER_ROOT, ISSUE_ROOT, "another_private_root_CA", NULL, 3650, -1, { NULL } },
};

char *
paper_cert_path(const char *dir, const char *name)
{
	return mem_textf("%s/%s.cert.pem", dir, name);
}

char *
paper_key_path(const char *dir, const char *name)
{
	return mem_textf("%s/%s.key.pem", dir, name);
}

struct paper {
	struct cert *cert;
	struct key *key;
};

static size_t
index_of(const char *name)
{
	size_t i = 0;

	while (!text_is(rows[i].name, name))
		i++;
	return i;
}

static struct cert *
issue(const struct paper_row *row, const struct paper *papers, const struct key *key, struct err *err)
{
	const struct paper *above = row->issuer ? &papers[index_of(row->issuer)] : NULL;
	struct profile profile = {
		.kind = row->kind,
		.common_name = row->common_name,
		.path_len = row->path_len,
		.not_before = clock_wall() - ISSUE_BACKDATE_S,
		.not_after = clock_wall() + (int64_t)row->days * DAY_S,
	};

	for (size_t i = 0; i < COUNT(row->names) && row->names[i]; i++)
		profile.names[profile.n_names++] = row->names[i];
	return issue_cert(&profile, key_pkey(key),
		&(struct issuer){ .cert = above ? above->cert : NULL, .key = above ? above->key : key }, err);
}

/* What a server or device sends: the certificate and those above it, without the root. */
static int
save(const struct paper_row *row, const struct paper *papers, const char *dir, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	OWN_TEXT path = paper_cert_path(dir, row->name);

	cert_put_pem(papers[row - rows].cert, &pem);
	for (const struct paper_row *above = row; above->issuer && rows[index_of(above->issuer)].issuer;) {
		above = &rows[index_of(above->issuer)];
		cert_put_pem(papers[above - rows].cert, &pem);
	}
	return file_save(path, pem.data, pem.len, 0644, err);
}

static int
make(struct paper *papers, size_t i, const char *dir, struct err *err)
{
	OWN_TEXT key_path = paper_key_path(dir, rows[i].name);

	papers[i].key = key_generate(KEY_EC_P256, err);
	if (!papers[i].key)
		return -1;
	papers[i].cert = issue(&rows[i], papers, papers[i].key, err);
	if (!papers[i].cert || key_save(papers[i].key, key_path, err) < 0)
		return -1;
	return save(&rows[i], papers, dir, err);
}

int
papers_make(const char *dir, struct err *err)
{
	struct paper papers[COUNT(rows)] = { { NULL, NULL } };
	int done = 0;

	for (size_t i = 0; i < COUNT(rows) && done == 0; i++)
		done = make(papers, i, dir, err);
	for (size_t i = 0; i < COUNT(rows); i++) {
		cert_free(papers[i].cert);
		key_free(papers[i].key);
	}
	return done;
}

const char *
paper_find_name(size_t i)
{
	return i < COUNT(rows) ? rows[i].name : NULL;
}

int
paper_fingerprint(char out[static CERT_FINGERPRINT_LEN], const char *dir, const char *name, struct err *err)
{
	OWN_TEXT path = paper_cert_path(dir, name);
	struct certs certs = { 0 };

	if (certs_load(&certs, path, CERTS_MAX, err) < 0)
		return -1;
	cert_fingerprint(certs.item[0], out);
	certs_clear(&certs);
	return 0;
}
