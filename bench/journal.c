/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry costs the issuance journal: journal DIR THERE N, for bench/est-journal.  In a journal that has THERE entries, of requesters fill-0, fill-1, ..., it adds N, 64 a transaction as an EST
 * server under load does it, and looks N up; in CPU time, and by the clock. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "ca/ca_issue.h"
#include "wire/codec.h"

#define BATCH 64

static double
now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

struct bench {
	struct ca_signer *signer;
	struct ca_journal *journal;
	int64_t there, n;
};

struct spent {
	double us, cpu_us;
};

static struct spent
start(void)
{
	return (struct spent){ now_us(CLOCK_MONOTONIC), now_us(CLOCK_PROCESS_CPUTIME_ID) };
}

static void
add_spent(struct spent *sum, struct spent since)
{
	sum->us += now_us(CLOCK_MONOTONIC) - since.us;
	sum->cpu_us += now_us(CLOCK_PROCESS_CPUTIME_ID) - since.cpu_us;
}

static void
stop(const struct err *err)
{
	fprintf(stderr, "journal: %s\n", err->text);
	exit(1);
}

static struct ca_entry *
make(struct bench *b, int64_t number)
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	OWN_TEXT name = mem_textf("dev-%lld", (long long)number);
	struct profile profile = {
		.kind = ISSUE_DEVICE, .common_name = name, .not_before = time(NULL), .not_after = time(NULL) + 30 * 86400
	};
	uint8_t digest[DIGEST_SHA256_LEN];
	CLEAR(buf) hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);
	struct ca_entry *e = NEW(ca_entry);

	digest_sha256(name, strlen(name), digest);
	hex_encode(&hex, digest, sizeof(digest), true);
	e->profile = mem_text("devices");
	e->requester = mem_text(name);
	e->request = mem_text(buf_text(&hex));
	e->issuer = ca_signer_chain(b->signer);
	e->issued = time(NULL);
	e->once = true;
	e->cert = ca_signer_sign(b->signer, &profile, key_pkey(key), &err);
	if (!e->cert)
		stop(&err);
	return e;
}

static void
add_batch(struct bench *b, int64_t first, struct spent *sum)
{
	struct ca_entry *entries[BATCH];
	struct err err = ERR_INIT;
	struct spent began;

	for (int i = 0; i < BATCH; i++)
		entries[i] = make(b, first + i);
	began = start();
	if (ca_journal_add(b->journal, entries, BATCH, &err) < 0)
		stop(&err);
	add_spent(sum, began);
	for (int i = 0; i < BATCH; i++)
		ca_entry_free(entries[i]);
}

static void
look(struct bench *b, struct spent *sum)
{
	struct err err = ERR_INIT;
	struct spent began = start();

	for (int64_t i = 0; i < b->n; i++) {
		OWN_TEXT id = mem_textf("fill-%lld", (long long)(random() % b->there));
		OWN(ca_entry) found = NULL;

		if (ca_journal_find(b->journal, CA_BY_REQUESTER, id, &found, &err) < 0 || !found)
			stop(&err);
	}
	add_spent(sum, began);
}

static void
open_all(struct bench *b, const char *dir)
{
	OWN_TEXT cert = file_join(dir, "ca.pem");
	OWN_TEXT key = file_join(dir, "ca.key");
	OWN_TEXT path = file_join(dir, "issued.db");
	struct err err = ERR_INIT;
	struct spent opening = { 0 }, began;

	if (file_make_dir(dir, 0700, &err) < 0 || ca_signer_make(cert, key, "bench", time(NULL), &err) < 0)
		stop(&err);
	b->signer = ca_signer_load(cert, key, NULL, &err);
	began = start();
	b->journal = b->signer ? ca_journal_open(path, &err) : NULL;
	if (!b->journal)
		stop(&err);
	add_spent(&opening, began);
	printf("journal_open.%lld %.0f ms CPU, %.0f ms\n", (long long)b->there, opening.cpu_us / 1000, opening.us / 1000);
}

/* The most that it had; getrusage tells of the process before exec, too. */
static long
peak_kb(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[200];
	long kb = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

int
main(int argc, char **argv)
{
	struct bench b = { .there = argc == 4 ? atoll(argv[2]) : 0, .n = argc == 4 ? atoll(argv[3]) : 0 };
	struct spent adding = { 0 }, looking = { 0 };

	if (argc != 4) {
		fprintf(stderr, "journal DIR THERE N\n");
		return 2;
	}
	open_all(&b, argv[1]);
	for (int64_t done = 0; done < b.n; done += BATCH)
		add_batch(&b, b.there + done, &adding);
	if (b.there > 0)
		look(&b, &looking);
	printf("journal_add.%lld %.0f us CPU, %.0f us\njournal_look_up.%lld %.0f us CPU, %.0f us\njournal_memory.%lld %ld MB\n",
		(long long)b.there, adding.cpu_us / (double)b.n, adding.us / (double)b.n, (long long)b.there,
		looking.cpu_us / (double)b.n, looking.us / (double)b.n, (long long)b.there, peak_kb() / 1024);
	ca_journal_close(b.journal);
	ca_signer_free(b.signer);
	return 0;
}
