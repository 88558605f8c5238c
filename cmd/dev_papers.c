/* SPDX-License-Identifier: Apache-2.0 */
/* A root that stays, so that what trusts it goes on trusting; a server certificate that fits what was asked for today (dev_papers.h). */
#include "dev_papers.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "pki/chain.h"
#include "pki/issue.h"

#define DAY_S 86400
#define ROOT_DAYS 3650
#define SERVER_DAYS 365
#define RENEW_DAYS 30
#define PEM_MAX 65536

static const char *const always[] = { "localhost", "127.0.0.1", "::1" };

char *
dev_papers_root(const char *dir)
{
	return file_join(dir, "root.cert.pem");
}

char *
dev_papers_cert(const char *dir)
{
	return file_join(dir, "hub.cert.pem");
}

char *
dev_papers_key(const char *dir)
{
	return file_join(dir, "hub.key.pem");
}

static int
save_cert(const struct cert *cert, const char *path, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);

	cert_put_pem(cert, &pem);
	return file_save(path, pem.data, pem.len, 0644, err);
}

struct root {
	struct cert *cert;
	struct key *key;
};

static void
root_clear(struct root *root)
{
	cert_free(root->cert);
	key_free(root->key);
}

static int
make_root(struct root *root, const char *cert_path, const char *key_path, struct err *err)
{
	struct profile profile = {
		.kind = ISSUE_ROOT,
		.common_name = "rootedge development root",
		.path_len = -1,
		.not_before = clock_wall() - ISSUE_BACKDATE_S,
		.not_after = clock_wall() + (int64_t)ROOT_DAYS * DAY_S,
	};

	root->key = key_generate(KEY_EC_P256, err);
	root->cert = root->key ? issue_cert(&profile, key_pkey(root->key), &(struct issuer){ .key = root->key }, err) : NULL;
	if (!root->cert || key_save(root->key, key_path, err) < 0)
		return -1;
	return save_cert(root->cert, cert_path, err);
}

static struct cert *
load_cert(const char *path, struct err *err)
{
	struct certs certs = { 0 };
	struct cert *cert = NULL;

	if (certs_load(&certs, path, CERTS_MAX, err) == 0)
		cert = cert_ref(certs.item[0]);
	certs_clear(&certs);
	return cert;
}

static int
load_or_make_root(struct root *root, const char *dir, struct err *err)
{
	OWN_TEXT cert_path = dev_papers_root(dir);
	OWN_TEXT key_path = file_join(dir, "root.key.pem");

	if (!file_exists(cert_path))
		return make_root(root, cert_path, key_path, err);
	root->cert = load_cert(cert_path, err);
	root->key = root->cert ? key_load(key_path, err) : NULL;
	return root->key ? 0 : -1;
}

static void
put_names(struct profile *profile, const char *hostname, const struct option_list *names)
{
	profile->names[profile->n_names++] = hostname;
	for (size_t i = 0; i < COUNT(always); i++)
		if (!text_is(always[i], hostname))
			profile->names[profile->n_names++] = always[i];
	for (size_t i = 0; i < names->n; i++)
		profile->names[profile->n_names++] = names->items[i];
}

static bool
is_good_for(const struct cert *cert, const struct anchors *anchors, const char *host)
{
	struct chain_query query = {
		.leaf = cert, .purpose = CHAIN_SERVER, .host = host, .now = clock_wall() + (int64_t)RENEW_DAYS * DAY_S
	};
	OWN(verdict) verdict = verdict_new("dev", "Is it still good?", host);

	chain_verify(verdict, anchors, &query);
	return verdict_accepted(verdict);
}

/* Is the one that is there good for all of these names, and for a while? */
static bool
is_still_good(const char *path, const struct root *root, const struct profile *profile)
{
	struct certs roots = { 0 };
	struct err err = ERR_INIT;
	OWN(cert) cert = file_exists(path) ? load_cert(path, &err) : NULL;
	OWN(anchors) anchors = NULL;
	bool good;

	certs_add(&roots, root->cert);
	anchors = anchors_new(&roots, &err);
	certs_clear(&roots);
	good = cert && anchors;
	for (size_t i = 0; good && i < profile->n_names; i++)
		good = is_good_for(cert, anchors, profile->names[i]);
	return good;
}

static int
make_server(const struct root *root, const char *dir, const struct profile *profile, struct err *err)
{
	OWN_TEXT cert_path = dev_papers_cert(dir);
	OWN_TEXT key_path = dev_papers_key(dir);
	OWN(key) key = NULL;
	OWN(cert) cert = NULL;

	if (file_exists(key_path) && is_still_good(cert_path, root, profile))
		return 0;
	key = key_generate(KEY_EC_P256, err);
	cert = key ? issue_cert(profile, key_pkey(key), &(struct issuer){ .cert = root->cert, .key = root->key }, err) : NULL;
	return cert && key_save(key, key_path, err) == 0 ? save_cert(cert, cert_path, err) : -1;
}

int
dev_papers_make(const char *dir, const char *hostname, const struct option_list *names, struct err *err)
{
	CLEAR(root) root = { NULL, NULL };
	struct profile profile = {
		.kind = ISSUE_SERVER,
		.common_name = "rootedge development hub",
		.not_before = clock_wall() - ISSUE_BACKDATE_S,
		.not_after = clock_wall() + (int64_t)SERVER_DAYS * DAY_S,
	};

	put_names(&profile, hostname, names);
	if (load_or_make_root(&root, dir, err) < 0)
		return -1;
	return make_server(&root, dir, &profile, err);
}
