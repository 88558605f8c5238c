/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge cert demo: the certificates that rootedge demo plays with (demo_papers.h), for whoever wants to play with other programs. */
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "cert.h"
#include "demo_papers.h"
#include "page.h"
#include "wire/json.h"

struct options {
	bool force, json;
};

static const struct option_row rows[] = {
	{ "force", 'f', NULL, "replace those that exist", OPTION_FLAG, offsetof(struct options, force), 0, 0 },
	{ "json", 0, NULL, "say in JSON what was made, an object a line", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = { "rootedge cert demo", "DIR",
	"Make a private root, an intermediate, the Edge CA, server certificates for a hub and a gateway, and identities for "
	"EdgeGateway "
	"and TempSensor, for trying things out and for nothing else.",
	"Exit status: 0 made, 1 not made, 2 called wrongly.", rows };

static int
check_free(const char *dir, const struct options *o, struct err *err)
{
	const char *name;

	for (size_t i = 0; (name = paper_find_name(i)); i++) {
		OWN_TEXT cert = paper_cert_path(dir, name);
		OWN_TEXT key = paper_key_path(dir, name);

		if (!o->force && (file_exists(cert) || file_exists(key)))
			return err_set(err, ERR_CONFLICT, "%s exists already; --force replaces it", file_exists(cert) ? cert : key);
	}
	return 0;
}

static int
put_one(struct buf *page, const char *dir, const char *name, bool json, struct err *err)
{
	OWN_TEXT path = paper_cert_path(dir, name);
	OWN_TEXT key = paper_key_path(dir, name);
	CLEAR(certs) certs = { 0 };
	OWN_TEXT line = NULL;

	if (certs_load(&certs, path, CERTS_MAX, err) < 0)
		return -1;
	if (json) {
		OWN_LIB(json_t) object = json_pack("{s:s, s:s, s:s, s:s}", "subject", cert_subject(certs.item[0]), "issuer",
			cert_issuer(certs.item[0]), "certificateFile", path, "keyFile", key);

		line = json_line(object);
		buf_putf(page, "%s\n", line);
		return 0;
	}
	buf_putf(page, "%-46s %-38s issued by %s\n", path, cert_subject(certs.item[0]),
		cert_is_self_issued(certs.item[0]) ? "itself" : cert_issuer(certs.item[0]));
	return 0;
}

static int
tell(const char *dir, const struct options *o, struct err *err)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	const char *name;

	for (size_t i = 0; (name = paper_find_name(i)); i++)
		if (put_one(&page, dir, name, o->json, err) < 0)
			return -1;
	if (!o->json)
		buf_puts(&page, "Each has its private key beside it, in NAME.key.pem.\n");
	page_print(&page);
	return 0;
}

int
cert_verb_demo(int argc, char **argv)
{
	struct options o = { 0 };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err);

	if (n >= 0 && n != 1)
		n = err_set(&err, ERR_INVALID, "a folder is needed; --help tells more");
	if (n < 0)
		return page_failure(usage.command, &err, 2);
	if (file_make_dir(argv[0], 0755, &err) < 0 || check_free(argv[0], &o, &err) < 0 || papers_make(argv[0], &err) < 0 ||
		tell(argv[0], &o, &err) < 0)
		return page_failure(usage.command, &err, 1);
	return 0;
}
