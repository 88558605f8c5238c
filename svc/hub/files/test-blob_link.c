/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "hub/files/blob_link.h"
#include "t.h"
#include "wire/codec.h"

#define NOON 1767268800 /* 2026-01-01T12:00:00Z */
#define BLOB "uploads/dev1/log.txt"
#define GENERATION "638999999999999999"

static struct secret
key_of(const char *text)
{
	struct secret key = { 0 };

	secret_set(&key, text, strlen(text));
	return key;
}

/* The parameters of a link, decoded. */
struct parts {
	char *sp, *se, *sig;
	struct blob_link link;
};

static char *
parameter(const char *link, const char *name)
{
	const char *at = strstr(link, name);
	struct buf value = BUF_INIT(256);

	at += strlen(name);
	percent_decode(&value, at, strcspn(at, "&"));
	return buf_take_text(&value);
}

static struct parts
link_of(const struct secret *key, const char *blob, unsigned rights, int64_t expires)
{
	CLEAR(buf) text = BUF_INIT(512);
	struct parts parts;

	blob_link_put(&text, key, blob, GENERATION, rights, expires);
	CHECK(buf_text(&text)[0] == '?');
	parts = (struct parts){ .sp = parameter(buf_text(&text), "&sp="),
		.se = parameter(buf_text(&text), "&se="),
		.sig = parameter(buf_text(&text), "&sig=") };
	parts.link = (struct blob_link){ .rights = parts.sp, .expires = parts.se, .signature = parts.sig };
	return parts;
}

static void
parts_clear(struct parts *parts)
{
	mem_free(parts->sp);
	mem_free(parts->se);
	mem_free(parts->sig);
}

TEST("a link may do what it says, with its blob, until it ends")
{
	struct secret key = key_of("0123456789abcdef");
	CLEAR(parts) p = link_of(&key, BLOB, BLOB_READ | BLOB_WRITE, NOON);

	CHECK(blob_link_allows(&p.link, &key, BLOB, GENERATION, BLOB_WRITE, NOON - 1));
	CHECK(blob_link_allows(&p.link, &key, BLOB, GENERATION, BLOB_READ, NOON - 1));
	CHECK(!blob_link_allows(&p.link, &key, BLOB, GENERATION, BLOB_WRITE, NOON));
	CHECK(!blob_link_allows(&p.link, &key, "uploads/dev1/log.txt2", GENERATION, BLOB_WRITE, NOON - 1));
	CHECK(!blob_link_allows(&p.link, &key, "uploads/dev2/log.txt", GENERATION, BLOB_WRITE, NOON - 1));
}

TEST("a link is none for another device that was made under the same name")
{
	struct secret key = key_of("0123456789abcdef");
	CLEAR(parts) p = link_of(&key, BLOB, BLOB_READ | BLOB_WRITE, NOON);

	CHECK(!blob_link_allows(&p.link, &key, BLOB, "639000000000000000", BLOB_WRITE, NOON - 1));
	CHECK(!blob_link_allows(&p.link, &key, BLOB, "", BLOB_READ, NOON - 1));
}

TEST("a link to read does not write")
{
	struct secret key = key_of("0123456789abcdef");
	CLEAR(parts) p = link_of(&key, BLOB, BLOB_READ, NOON);

	CHECK(blob_link_allows(&p.link, &key, BLOB, GENERATION, BLOB_READ, NOON - 1));
	CHECK(!blob_link_allows(&p.link, &key, BLOB, GENERATION, BLOB_WRITE, NOON - 1));
}

TEST("a link whose rights, end or signature were changed, or are missing, is none, nor is one by another key")
{
	struct secret key = key_of("0123456789abcdef"), other = key_of("0123456789abcdee");
	CLEAR(parts) p = link_of(&key, BLOB, BLOB_READ, NOON);
	struct blob_link changed = p.link;

	changed.rights = "rw";
	CHECK(!blob_link_allows(&changed, &key, BLOB, GENERATION, BLOB_WRITE, NOON - 1));
	CHECK(!blob_link_allows(&changed, &key, BLOB, GENERATION, BLOB_READ, NOON - 1));
	changed = p.link;
	changed.expires = "2027-01-01T12:00:00Z";
	CHECK(!blob_link_allows(&changed, &key, BLOB, GENERATION, BLOB_READ, NOON - 1));
	changed.expires = "tomorrow";
	CHECK(!blob_link_allows(&changed, &key, BLOB, GENERATION, BLOB_READ, NOON - 1));
	changed.expires = NULL;
	CHECK(!blob_link_allows(&changed, &key, BLOB, GENERATION, BLOB_READ, NOON - 1));
	changed = p.link;
	changed.signature = "";
	CHECK(!blob_link_allows(&changed, &key, BLOB, GENERATION, BLOB_READ, NOON - 1));
	changed.signature = NULL;
	CHECK(!blob_link_allows(&changed, &key, BLOB, GENERATION, BLOB_READ, NOON - 1));
	changed = (struct blob_link){ 0 };
	CHECK(!blob_link_allows(&changed, &key, BLOB, GENERATION, BLOB_READ, NOON - 1));
	CHECK(!blob_link_allows(&p.link, &other, BLOB, GENERATION, BLOB_READ, NOON - 1));
}
