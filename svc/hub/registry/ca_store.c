/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of the registered CAs (ca_store.h).  The certificate is kept as it was sent, and read again at the start: what can't be read is damage. */
#include "hub/registry/ca_store.h"

#include <string.h>

#include "base/mem.h"
#include "wire/json.h"

struct ca_record *
ca_record_copy(const struct ca_record *from)
{
	struct ca_record *copy = NEW(ca_record);

	*copy = (struct ca_record){ .name = mem_text(from->name),
		.etag = mem_text(from->etag),
		.code = mem_text(from->code),
		.cert = cert_ref(from->cert),
		.scope = authority_scope_copy(&from->scope),
		.is_verified = from->is_verified,
		.created = from->created,
		.updated = from->updated };
	return copy;
}

void
ca_record_free(struct ca_record *record)
{
	if (!record)
		return;
	mem_free(record->name);
	mem_free(record->etag);
	mem_free(record->code);
	cert_free(record->cert);
	authority_scope_clear(&record->scope);
	mem_free(record);
}

static int
read_scope(struct authority_scope *scope, const char *text, struct err *err)
{
	OWN_LIB(json_t) json = json_parse(text, strlen(text), err);

	return json ? authority_scope_from_json(scope, json, err) : -1;
}

static struct ca_record *
read_record(struct db_stmt *row, struct err *err)
{
	OWN(ca_record) record = NEW(ca_record);
	const uint8_t *der;
	size_t len;

	record->name = mem_text(db_text(row, 0));
	record->etag = mem_text(db_text(row, 1));
	der = db_blob(row, 2, &len);
	record->cert = der ? cert_from_der(der, len, err) : err_null(err, ERR_BROKEN, "no certificate");
	record->is_verified = db_int(row, 3) != 0;
	record->code = mem_text(db_text(row, 4));
	record->created = db_int(row, 6);
	record->updated = db_int(row, 7);
	if (!record->cert || read_scope(&record->scope, db_text(row, 5), err) < 0)
		return err_wrap_null(err, "the CA %s", record->name);
	return GIVE(record);
}

static const struct {
	const char *load, *put, *remove;
} sql[] = {
#define SQL_OF(table)                                                                                                              \
	{                                                                                                                          \
		.load = "SELECT name, etag, certificate, is_verified, code, scope, created, updated FROM " table " ORDER BY name", \
		.put = "INSERT OR REPLACE INTO " table " (name, etag, certificate, is_verified, code, scope, created, updated)"    \
		       " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",                                                                         \
		.remove = "DELETE FROM " table " WHERE name = ?"                                                                   \
	}
	[CA_OF_HUB] = SQL_OF("ca"),
	[CA_OF_PROVISIONING] = SQL_OF("provisioning_ca"),
#undef SQL_OF
};

int
ca_store_load(struct registry_store *store, enum ca_list list, ca_store_each *each, void *arg, struct err *err)
{
	struct db *db = registry_store_db(store);
	struct db_stmt *rows = db_query(db, err, sql[list].load, "");
	struct ca_record *record;
	int got;

	if (!rows)
		return -1;
	while ((got = db_next(rows, err)) == 1) {
		record = read_record(rows, err);
		if (!record) {
			got = err_wrap(err, "%s is damaged, and left untouched", db_path(db));
			break;
		}
		each(arg, record);
	}
	db_done(rows);
	return got;
}

int
ca_store_put(struct registry_store *store, enum ca_list list, const struct ca_record *r, struct err *err)
{
	OWN_LIB(json_t) scope = authority_scope_to_json(&r->scope);
	OWN_TEXT scope_text = json_line(scope);
	uint8_t *der = NULL;
	int len = i2d_X509(cert_x509(r->cert), &der), done;

	if (len <= 0)
		return err_set(err, ERR_BROKEN, "the certificate of %s can't be written", r->name);
	done = db_run(registry_store_db(store), err, sql[list].put, "ttbittii", r->name, r->etag, (const void *)der, (size_t)len,
		(int64_t)r->is_verified, r->code, scope_text, r->created, r->updated);
	OPENSSL_free(der);
	return done;
}

int
ca_store_remove(struct registry_store *store, enum ca_list list, const char *name, struct err *err)
{
	return db_run(registry_store_db(store), err, sql[list].remove, "t", name);
}
