/* SPDX-License-Identifier: Apache-2.0 */
/* Linked hubs: what an operator gives is a connection string of a policy of the other hub, which can change its registry and, for initial twins, its twins. */
#include "hub/provisioning/linked_hub.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/allocation.h"
#include "wire/connstr.h"
#include "wire/json.h"

#define COLUMNS "host, policy, key, weight"
#define HOST_MAX 260

void
linked_hub_free(struct linked_hub *hub)
{
	if (!hub)
		return;
	mem_free(hub->host);
	mem_free(hub->policy);
	secret_clear(&hub->key);
	mem_free(hub);
}

struct linked_hub *
linked_hub_copy(const struct linked_hub *hub)
{
	struct linked_hub *copy = NEW(linked_hub);

	copy->host = mem_text(hub->host);
	copy->policy = mem_text(hub->policy);
	secret_set(&copy->key, hub->key.bytes, hub->key.len);
	copy->weight = hub->weight;
	return copy;
}

/* -- JSON ------------------------------------------------------------------------------------------------------------------------- */

/* It becomes part of a URL: what no host name has stays out. */
static bool
host_is_good(const char *host)
{
	size_t len = strlen(host);

	return len > 0 && len <= HOST_MAX && strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-:") == len && host[0] != ':';
}

static int
take_string(struct linked_hub *hub, const char *host, const char *text, struct err *err)
{
	OWN(connstr) string = connstr_parse(text, err);

	if (!string)
		return -1;
	if (!host_is_good(hub->host) || !text_is_nocase(string->host, host))
		return err_set(err, ERR_INVALID, "the HostName of the connection string is not that of the path");
	if (!string->policy || !string->has_key || string->device_id)
		return err_set(err, ERR_INVALID, "the connection string is not that of a policy with its key");
	hub->policy = mem_text(string->policy);
	secret_set(&hub->key, string->key.bytes, string->key.len);
	return 0;
}

static void
keep_string(struct linked_hub *hub, const struct linked_hub *before)
{
	hub->policy = mem_text(before->policy);
	secret_set(&hub->key, before->key.bytes, before->key.len);
}

struct linked_hub *
linked_hub_from_json(const char *host, const json_t *body, const struct linked_hub *before, struct err *err)
{
	OWN(linked_hub) hub = NEW(linked_hub);
	const char *text = NULL;

	hub->host = text_lower(host);
	hub->weight = before ? before->weight : 1;
	if (json_find_text(body, "connectionString", &text, err) < 0 ||
		json_find_int(body, "allocationWeight", &hub->weight, err) < 0)
		return NULL;
	if (hub->weight < 0 || hub->weight > ALLOCATION_WEIGHT_MAX)
		return err_null(err, ERR_INVALID, "allocationWeight is not from 0 to %d", ALLOCATION_WEIGHT_MAX);
	if (!text && !before)
		return err_null(err, ERR_INVALID, "missing field `connectionString`");
	if (!text)
		keep_string(hub, before);
	else if (take_string(hub, host, text, err) < 0)
		return NULL;
	return GIVE(hub);
}

json_t *
linked_hub_to_json(const struct linked_hub *hub)
{
	return json_pack("{s:s, s:I, s:s}", "name", hub->host, "allocationWeight", (json_int_t)hub->weight, "sharedAccessKeyName",
		hub->policy);
}

/* -- SQLite ----------------------------------------------------------------------------------------------------------------------- */

static struct linked_hub *
read_row(struct db_stmt *row)
{
	struct linked_hub *hub = NEW(linked_hub);
	size_t len;
	const void *key = db_blob(row, 2, &len);

	hub->host = mem_text(db_text(row, 0));
	hub->policy = mem_text(db_text(row, 1));
	secret_set(&hub->key, key, len);
	hub->weight = db_int(row, 3);
	return hub;
}

int
linked_hub_find(struct db *db, const char *host, struct linked_hub **out, struct err *err)
{
	OWN_TEXT key = text_lower(host);
	struct db_stmt *row = db_query(db, err, "SELECT " COLUMNS " FROM linked_hub WHERE host = ?", "t", key);
	int there = row ? db_next(row, err) : -1;

	*out = there > 0 ? read_row(row) : NULL;
	if (row)
		db_done(row);
	return there < 0 ? -1 : 0;
}

int
linked_hub_put(struct db *db, const struct linked_hub *hub, struct err *err)
{
	return db_run(db, err, "INSERT OR REPLACE INTO linked_hub (" COLUMNS ") VALUES (?,?,?,?)", "ttbi", hub->host, hub->policy,
		hub->key.bytes, hub->key.len, hub->weight);
}

int
linked_hub_remove(struct db *db, const char *host, struct err *err)
{
	OWN_TEXT key = text_lower(host);

	return db_run(db, err, "DELETE FROM linked_hub WHERE host = ?", "t", key);
}

int
linked_hubs_load(struct db *db, struct linked_hubs *out, struct err *err)
{
	struct db_stmt *row = db_query(db, err, "SELECT " COLUMNS " FROM linked_hub ORDER BY host", "");
	int there = row ? 0 : -1;

	*out = (struct linked_hubs){ 0 };
	while (row && out->n < LINKED_HUBS_MAX && (there = db_next(row, err)) > 0)
		out->item[out->n++] = read_row(row);
	if (row)
		db_done(row);
	return there < 0 ? -1 : 0;
}

void
linked_hubs_clear(struct linked_hubs *hubs)
{
	for (size_t i = 0; i < hubs->n; i++)
		linked_hub_free(hubs->item[i]);
	hubs->n = 0;
}
