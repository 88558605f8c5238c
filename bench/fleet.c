/* SPDX-License-Identifier: Apache-2.0 */
/* Making a fleet: the certificates come from pki/issue.c, as those of real devices do. */
#include "fleet.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "pki/issue.h"
#include "wire/codec.h"

#define DAY_S 86400
#define SECRET_LEN 32
#define FILE_MAX (16 * 1024 * 1024)

/* A certificate and its key, as issuer of others. */
struct pair {
	struct cert *cert;
	struct key *key;
};

static void
pair_clear(struct pair *pair)
{
	cert_free(pair->cert);
	key_free(pair->key);
}

static struct cert *
issue(const struct pair *issuer, const struct key *key, enum issue_kind kind, const char *name, struct err *err)
{
	struct profile profile = { .kind = kind, .common_name = name, .path_len = -1, .not_before = clock_wall() - DAY_S };

	profile.not_after = profile.not_before + 30 * DAY_S;
	if (kind == ISSUE_SERVER)
		profile.names[profile.n_names++] = name;
	return issue_cert(
		&profile, key_pkey(key), &(struct issuer){ .cert = issuer->cert, .key = issuer->key ? issuer->key : key }, err);
}

static int
make_pair(struct pair *out, const struct pair *issuer, enum issue_kind kind, const char *name, struct err *err)
{
	out->key = key_generate(KEY_EC_P256, err);
	out->cert = out->key ? issue(issuer, out->key, kind, name, err) : NULL;
	return out->cert ? 0 : -1;
}

static void
make_secret(struct secret *secret)
{
	uint8_t bytes[SECRET_LEN];

	random_bytes(bytes, sizeof(bytes));
	secret_set(secret, bytes, sizeof(bytes));
}

static int
make_device(struct fleet_device *d, size_t number, const struct pair *ca, struct err *err)
{
	OWN(cert) self = NULL;
	OWN(cert) leaf = NULL;

	snprintf(d->id, sizeof(d->id), "dev-%05zu", number);
	d->has_even_number = number % 2 == 0;
	make_secret(&d->secret);
	d->key = key_generate(KEY_EC_P256, err);
	if (!d->key)
		return -1;
	self = issue(&(struct pair){ 0 }, d->key, ISSUE_DEVICE, d->id, err);
	leaf = self ? issue(ca, d->key, ISSUE_DEVICE, d->id, err) : NULL;
	if (!leaf)
		return -1;
	certs_add(&d->chain[FLEET_SELF], self);
	certs_add(&d->chain[FLEET_CHAIN], leaf);
	certs_add(&d->chain[FLEET_LEAF], leaf);
	certs_add(&d->chain[FLEET_CHAIN], ca->cert);
	return 0;
}

static int
save(const char *dir, const char *name, const struct buf *text, struct err *err)
{
	OWN_TEXT path = file_join(dir, name);

	return text->failed ? err_set(err, ERR_LIMIT, "%s becomes too large", path)
			    : file_save(path, text->data, text->len, 0600, err);
}

static int
save_certs(const char *dir, const char *name, struct cert *first, struct cert *second, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(FILE_MAX);

	cert_put_pem(first, &pem);
	if (second)
		cert_put_pem(second, &pem);
	return save(dir, name, &pem, err);
}

/* For those who come without us. */
static int
save_first(const struct fleet_device *d, const char *dir, struct err *err)
{
	OWN_TEXT key_path = file_join(dir, "device.key.pem");

	return save_certs(dir, "device.pem", d->chain[FLEET_SELF].item[0], NULL, err) < 0 ? -1 : key_save(d->key, key_path, err);
}

static int
save_devices(const struct fleet *fleet, const char *dir, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(FILE_MAX);
	CLEAR(buf) list = BUF_INIT(FILE_MAX);
	CLEAR(buf) keys = BUF_INIT(FILE_MAX);

	for (size_t i = 0; i < fleet->n_devices; i++) {
		const struct fleet_device *d = &fleet->devices[i];
		const struct cert *self = d->chain[FLEET_SELF].item[0];
		char fingerprint[CERT_FINGERPRINT_LEN];

		cert_put_pem(self, &pem);
		buf_putf(&list, "%s %s\n", d->id, cert_fingerprint(self, fingerprint));
		buf_putf(&keys, "%s ", d->id);
		base64_encode(&keys, d->secret.bytes, d->secret.len);
		buf_putf(&keys, "\n");
	}
	if (save(dir, "keys", &keys, err) < 0)
		return -1;
	return save(dir, "devices.pem", &pem, err) < 0 ? -1 : save(dir, "thumbprints", &list, err);
}

/* What stands above the devices, and its files. */
static int
make_authorities(struct pair *ca, const char *dir, const char *host, struct err *err)
{
	CLEAR(pair) root = { 0 };
	CLEAR(pair) server = { 0 };
	OWN_TEXT key_path = file_join(dir, "server.key.pem");

	if (make_pair(&root, &(struct pair){ 0 }, ISSUE_ROOT, "Load Root", err) < 0 ||
		make_pair(ca, &root, ISSUE_INTERMEDIATE, "Load Intermediate", err) < 0 ||
		make_pair(&server, ca, ISSUE_SERVER, host, err) < 0)
		return -1;
	if (save_certs(dir, "root.pem", root.cert, NULL, err) < 0 || save_certs(dir, "cas.pem", root.cert, ca->cert, err) < 0 ||
		save_certs(dir, "server.cert.pem", server.cert, ca->cert, err) < 0)
		return -1;
	return key_save(server.key, key_path, err);
}

struct fleet *
fleet_make(const char *dir, const char *host, size_t n_devices, struct err *err)
{
	OWN(fleet) fleet = NEW(fleet);
	CLEAR(pair) ca = { 0 };

	if (file_make_dir(dir, 0755, err) < 0 || make_authorities(&ca, dir, host, err) < 0)
		return NULL;
	fleet->devices = mem_array(n_devices, sizeof(*fleet->devices));
	for (; fleet->n_devices < n_devices; fleet->n_devices++)
		if (make_device(&fleet->devices[fleet->n_devices], fleet->n_devices + 1, &ca, err) < 0)
			return NULL;
	return save_devices(fleet, dir, err) < 0 || save_first(&fleet->devices[0], dir, err) < 0 ? NULL : GIVE(fleet);
}

void
fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	for (size_t i = 0; i < fleet->n_devices; i++) {
		struct fleet_device *d = &fleet->devices[i];

		certs_clear(&d->chain[FLEET_SELF]);
		certs_clear(&d->chain[FLEET_CHAIN]);
		certs_clear(&d->chain[FLEET_LEAF]);
		key_free(d->key);
		secret_clear(&d->secret);
	}
	mem_free(fleet->devices);
	mem_free(fleet);
}
