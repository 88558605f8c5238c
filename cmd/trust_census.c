/* SPDX-License-Identifier: Apache-2.0 */
/* The two sources (trust_census.h). */
#include "trust_census.h"

#include "auth/thumbprint.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "ca/ca_revoked.h"
#include "est/est_store.h"
#include "hub_tool.h"
#include "wire/codec.h"

#define BATCH 256

static void
fingerprint_of(char out[static EST_DIGEST_LEN], const struct cert *root)
{
	CLEAR(buf) hex = BUF_INIT(EST_DIGEST_LEN);

	hex_encode(&hex, cert_sha256(root), DIGEST_SHA256_LEN, true);
	snprintf(out, EST_DIGEST_LEN, "%s", buf_text(&hex));
}

/* -- An EST server ------------------------------------------------------------------------------------------------------------------ */

struct listing {
	struct census *census;
	struct ca_journal *chains; /* another reader: who lists holds the one that it lists */
	const struct rollover *roots;
	struct map *revoked; /* "SHA-256 of the CA/serial number" */
	struct map *ours;    /* by the SHA-256 of a CA: is it under one of the roots? */
	struct err trouble;
	int64_t since, last;
};

static void
take_revoked(void *arg, const struct ca_revocation *one)
{
	struct listing *l = arg;
	OWN_TEXT key = mem_textf("%s/%s", one->issuer, one->serial);

	map_put_text(l->revoked, key, l);
}

static bool
is_under(const struct certs *chain, const struct rollover *roots)
{
	for (size_t i = 0; i < chain->n; i++)
		for (size_t k = 0; k < roots->n; k++)
			if (cert_is_same(chain->item[i], roots->roots[k].cert) ||
				cert_is_issued_by(chain->item[i], roots->roots[k].cert))
				return true;
	return false;
}

/* A server may have issuers under other roots, who are none of these devices' business. */
static bool
is_ours(struct listing *l, const char *ca)
{
	static bool yes = true, no = false;
	CLEAR(certs) chain = { 0 };
	const bool *known = map_find_text(l->ours, ca);

	if (!known) {
		if (l->trouble.kind == ERR_NONE)
			(void)ca_journal_find_issuer(l->chains, ca, &chain, &l->trouble);
		known = is_under(&chain, l->roots) ? &yes : &no;
		map_put_text(l->ours, ca, known == &yes ? &yes : &no);
	}
	return *known;
}

static void
take_issued(void *arg, const struct ca_entry *e)
{
	struct listing *l = arg;
	OWN_TEXT serial = cert_serial_hex(e->cert);
	OWN_TEXT key = NULL;

	l->last = e->sequence;
	key = mem_textf("%s/%s", e->issuer_sha256, serial);
	if (cert_not_after(e->cert) > l->since && !map_find_text(l->revoked, key) && is_ours(l, e->issuer_sha256))
		census_add(l->census, e->requester);
}

static void
take_holder(void *arg, const struct est_holding *h)
{
	(h->says ? census_say : census_send)(arg, h->id);
}

static int
read_journal(struct listing *l, const char *journal_path, struct err *err)
{
	OWN_TEXT revoked_path = ca_revoked_path(journal_path);
	struct ca_journal *journal = ca_journal_open_reader(journal_path, err);
	struct ca_revoked *revoked = journal ? ca_revoked_open(revoked_path, err) : NULL;
	int n = revoked ? ca_revoked_each(revoked, NULL, take_revoked, l, err) : -1;

	l->chains = n >= 0 ? ca_journal_open_reader(journal_path, err) : NULL;
	n = l->chains ? 0 : -1;
	while (n >= 0 && (n = ca_journal_list(journal, l->last, BATCH, take_issued, l, err)) > 0)
		;
	ca_revoked_close(revoked);
	ca_journal_close(l->chains);
	ca_journal_close(journal);
	if (n == 0 && l->trouble.kind != ERR_NONE) {
		*err = l->trouble;
		return -1;
	}
	return n;
}

int
trust_census_est(struct census *census, const char *dir, const struct rollover *roots, const struct cert *root, int64_t ended_s,
	struct err *err)
{
	OWN_TEXT journal_path = est_journal_path(dir);
	OWN_TEXT store_path = est_store_path(dir);
	struct listing l = { .census = census,
		.roots = roots,
		.revoked = map_new(),
		.ours = map_new(),
		.trouble = ERR_INIT,
		.since = clock_wall() - ended_s };
	struct est_store *store = NULL;
	char fingerprint[EST_DIGEST_LEN];
	int done = file_exists(journal_path)
			   ? read_journal(&l, journal_path, err)
			   : err_set(err, ERR_MISSING, "%s is not there: is %s the state of an EST server?", journal_path, dir);

	map_free(l.revoked);
	map_free(l.ours);
	fingerprint_of(fingerprint, root);
	store = done == 0 ? est_store_open(store_path, err) : NULL;
	done = store ? est_store_list_holders(store, fingerprint, take_holder, census, err) : -1;
	est_store_close(store);
	return done;
}

/* -- A hub -------------------------------------------------------------------------------------------------------------------------- */

/* What a device says is taken in any spelling. */
static bool
is_it(const json_t *said, const char *fingerprint)
{
	OWN_TEXT normal = json_is_string(said) ? thumbprint_normalise(json_string_value(said)) : NULL;

	return text_is(normal, fingerprint);
}

static bool
has_it(const json_t *roots, const char *fingerprint)
{
	const json_t *item;
	size_t i;

	json_array_foreach(roots, i, item)
		if (is_it(item, fingerprint))
			return true;
	return false;
}

static int
ask(struct census *census, struct hub_session *hub, const char *query, bool relies, const char *fingerprint, struct err *err)
{
	OWN_LIB(json_t) body = json_pack("{s:s}", "query", query);
	OWN_LIB(json_t) rows = NULL;
	const json_t *row;
	size_t i;

	if (hub_tool_pages(hub, &(struct hub_request){ .method = "POST", .path = "devices/query", .body = body }, 0, &rows, err) <
		0)
		return -1;
	json_array_foreach(rows, i, row) {
		const char *id;

		if (json_get_text(row, "deviceId", &id, err) < 0)
			return -1;
		if (relies)
			census_add(census, id);
		if (has_it(json_object_get(row, "roots"), fingerprint))
			census_say(census, id);
		if (json_is_true(json_object_get(row, "isEdge")))
			census_believe_only_itself(census, id);
	}
	return 0;
}

int
trust_census_hub(struct census *census, struct hub_session *hub, const struct cert *root, struct err *err)
{
	char fingerprint[EST_DIGEST_LEN];

	fingerprint_of(fingerprint, root);
	if (ask(census, hub,
		    "SELECT deviceId, capabilities.iotEdge AS isEdge, properties.reported.trust.roots AS roots FROM devices WHERE "
		    "status = 'enabled'",
		    true, fingerprint, err) < 0)
		return -1;
	return ask(census, hub,
		"SELECT deviceId, moduleId, properties.reported.trust.roots AS roots FROM devices.modules WHERE moduleId IN "
		"['$edgeHub', "
		"'$edgeAgent']",
		false, fingerprint, err);
}
