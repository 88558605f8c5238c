/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the configuration (est_config.h).  What can be wrong with it is said now, with its line, and not to the first client. */
#include "est/est_config.h"

#include <stdatomic.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "ca/ca_crl.h"
#include "wire/toml.h"

#define DAY_S INT64_C(86400)
#define ISSUERS_MAX 16
#define LABELS_MAX 64

struct est_config {
	struct est_issuer issuers[ISSUERS_MAX];
	struct est_label labels[LABELS_MAX];
	size_t n_issuers, n_labels;
	atomic_int n_refs;
};

struct est_config *
est_config_ref(struct est_config *c)
{
	atomic_fetch_add(&c->n_refs, 1);
	return c;
}

void
est_config_free(struct est_config *c)
{
	if (!c || atomic_fetch_sub(&c->n_refs, 1) > 1)
		return;
	for (size_t i = 0; i < c->n_labels; i++)
		est_label_clear(&c->labels[i]);
	for (size_t i = 0; i < c->n_issuers; i++)
		est_issuer_clear(&c->issuers[i]);
	mem_free(c);
}

static int
load_issuers(struct est_config *c, const struct toml *root, struct key_source *keys, struct err *err)
{
	const struct toml *table = NULL;

	if (toml_find_table(root, "issuer", &table, err) < 0)
		return -1;
	if (!table || table->n == 0)
		return err_set(err, ERR_INVALID, "%s: there is no [issuer.NAME], the CA that signs", root->file);
	if (table->n > ISSUERS_MAX)
		return toml_err(table, err, "at most %d issuers", ISSUERS_MAX);
	for (size_t n = 0; n < table->n; n++) {
		if (table->item[n]->type != TOML_TABLE)
			return toml_err(table->item[n], err, "expected a table, [issuer.NAME]");
		if (est_issuer_load(&c->issuers[c->n_issuers++], table->item[n], keys, err) < 0)
			return err_wrap(err, "issuer %s", table->item[n]->key);
	}
	return 0;
}

static int
load_label(struct est_config *c, const struct toml *table, struct err *err)
{
	struct est_issuers issuers = { c->issuers, c->n_issuers };
	struct est_label *l = &c->labels[c->n_labels++];

	if (est_label_load(l, table, &issuers, err) < 0)
		return -1;
	for (const struct est_label *other = c->labels; other < l; other++)
		if (text_is(other->name, l->name))
			return toml_err(table, err, "name: there are two labels '%s'", l->name);
	return 0;
}

static int
load_labels(struct est_config *c, const struct toml *root, struct err *err)
{
	const struct toml *list = NULL;

	if (toml_find_array(root, "label", &list, err) < 0)
		return -1;
	if (!list || list->n == 0)
		return err_set(err, ERR_INVALID, "%s: there is no [[label]]: nothing to give", root->file);
	if (list->n > LABELS_MAX)
		return toml_err(list, err, "at most %d labels", LABELS_MAX);
	for (size_t i = 0; i < list->n; i++)
		if (load_label(c, list->item[i], err) < 0)
			return -1;
	return 0;
}

struct est_config *
est_config_load(const char *path, struct key_source *keys, struct err *err)
{
	static const char *const known[] = { "issuer", "label" };
	CLEAR(buf) text = BUF_INIT(TOML_MAX);
	OWN(toml) root = NULL;
	OWN(est_config) c = NEW(est_config);

	c->n_refs = 1;
	if (file_load(&text, path, err) < 0)
		return NULL;
	root = toml_parse(buf_text(&text), text.len, path, err);
	if (!root || toml_check_keys(root, known, COUNT(known), err) < 0 || load_issuers(c, root, keys, err) < 0 ||
		load_labels(c, root, err) < 0)
		return NULL;
	return GIVE(c);
}

struct est_config *
est_config_of_signer(const char *name, struct ca_signer *signer)
{
	struct est_config *c = NEW(est_config);

	c->n_refs = 1;
	c->n_issuers = 1;
	c->issuers[0] = (struct est_issuer){
		.name = mem_text(name), .signer = signer, .signer_is_borrowed = true, .crl_lifetime_s = CA_CRL_DAYS * DAY_S
	};
	return c;
}

const struct est_label *
est_config_label(const struct est_config *c, const char *name)
{
	for (size_t i = 0; i < c->n_labels; i++)
		if (text_is(c->labels[i].name, name))
			return &c->labels[i];
	return NULL;
}

size_t
est_config_n_issuers(const struct est_config *c)
{
	return c->n_issuers;
}

const struct est_issuer *
est_config_issuer(const struct est_config *c, size_t i)
{
	return &c->issuers[i];
}

bool
est_config_is_stale(const struct est_config *c, char stamp[static TRUST_DIR_STAMP_LEN])
{
	for (size_t i = 0; i < c->n_issuers; i++) {
		if (!c->issuers[i].trust_dir)
			continue;
		trust_dir_stamp(c->issuers[i].trust_dir, stamp);
		if (!text_is(stamp, c->issuers[i].trust_stamp))
			return true;
	}
	return false;
}

size_t
est_config_n_labels(const struct est_config *c)
{
	return c->n_labels;
}
