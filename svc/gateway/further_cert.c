/* SPDX-License-Identifier: Apache-2.0 */
/* The file and its key change one after the other: in between they don't belong together, and the next look sees what has become of it. */
#include "gateway/further_cert.h"

#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/gauges/noted.h"

#define FILE_MAX (256 * 1024)
#define CHAIN_MAX 10

struct further_cert {
	char *key_id, *path;
	struct tls_server *current;
	int64_t not_before, not_after;	   /* of that */
	uint8_t digest[DIGEST_SHA256_LEN]; /* of the file that it is from */
	char *trouble;			   /* what was said last */
};

struct further_cert *
further_cert_new(const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	struct further_cert *f;

	if (!equals || equals == text || !equals[1])
		return err_null(err, ERR_INVALID, "a key's id, = and a path are expected, not '%.100s'", text);
	f = NEW(further_cert);
	f->key_id = mem_textn(text, (size_t)(equals - text));
	f->path = mem_text(equals + 1);
	return f;
}

void
further_cert_free(struct further_cert *f)
{
	if (!f)
		return;
	tls_server_free(f->current);
	mem_free(f->key_id);
	mem_free(f->path);
	mem_free(f->trouble);
	mem_free(f);
}

struct tls_server *
further_cert_current(const struct further_cert *f)
{
	return f->current;
}

/* Once, until it is another trouble or none. */
static void
tell(struct further_cert *f, const char *trouble)
{
	if (trouble && !text_is(f->trouble, trouble))
		log_error("the server certificate %s: %s; %s", f->key_id, trouble,
			f->current ? "the one in use stays" : "whoever asks for its names is shown the Edge CA's");
	mem_free(f->trouble);
	f->trouble = mem_text(trouble);
}

static int
make(struct further_cert *f, struct keyd_client *keyd, const struct tls_server_config *like, const struct certs *chain,
	struct err *err)
{
	OWN(key) key = keyd_client_load_pair(keyd, f->key_id, err);
	struct tls_server_config config = *like;
	struct tls_server *made;

	if (!key)
		return -1;
	config.chain = chain;
	config.key = key;
	made = tls_server_new(&config, err);
	if (!made)
		return -1;
	tls_server_free(f->current);
	f->current = made;
	f->not_before = cert_not_before(chain->item[0]);
	f->not_after = cert_not_after(chain->item[0]);
	return 0;
}

/* 1: another one; 0: the same. */
static int
look(struct further_cert *f, struct keyd_client *keyd, const struct tls_server_config *like, struct err *err)
{
	CLEAR(buf) file = BUF_INIT(FILE_MAX);
	CLEAR(certs) chain = { 0 };
	uint8_t digest[DIGEST_SHA256_LEN];
	OWN_TEXT names = NULL;
	char when[CLOCK_TEXT_LEN];

	if (file_load(&file, f->path, err) < 0)
		return -1;
	digest_sha256(file.data, file.len, digest);
	if (f->current && memcmp(digest, f->digest, sizeof(digest)) == 0)
		return 0;
	if (certs_decode(&chain, &file, CHAIN_MAX, err) < 0 || make(f, keyd, like, &chain, err) < 0)
		return -1;
	memcpy(f->digest, digest, sizeof(digest));
	names = cert_names(chain.item[0]);
	log_info("the server certificate %s is shown to whoever asks for %s, until %s", f->key_id, names,
		clock_text(f->not_after, when));
	return 1;
}

bool
further_cert_look(struct further_cert *f, struct keyd_client *keyd, const struct tls_server_config *like)
{
	struct err err = ERR_INIT;
	int found = look(f, keyd, like, &err);
	bool is_over = f->current && clock_wall() > f->not_after;

	tell(f, found < 0 ? err.text : is_over ? "it has expired" : NULL);
	if (f->current)
		noted_dates(f->key_id, f->not_before, f->not_after);
	return found == 1;
}
