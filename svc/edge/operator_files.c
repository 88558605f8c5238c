/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's files before they are used. */
#include "base/file.h"
#include "edge/operator_files.h"
#include "wire/tss_key.h"

int
operator_files_load_certs(struct certs *out, const char *path, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(OPERATORS_FILE_MAX);

	if (file_load(&text, path, err) < 0)
		return -1;
	return certs_parse(out, buf_text(&text), text.len, CERTS_MAX, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

bool
operator_files_is_tpm_key(const char *path)
{
	struct buf text = BUF_INIT(OPERATORS_FILE_MAX);
	struct err ignored = ERR_INIT;
	bool is = file_load(&text, path, &ignored) == 0 && tss_key_is(buf_text(&text), text.len);

	buf_wipe(&text);
	return is;
}

static int
check_pair(const char *cert_path, const char *key_path, struct err *err)
{
	CLEAR(certs) certs = { 0 };
	OWN(key) key = NULL;

	if (!cert_path)
		return 0;
	if (operator_files_load_certs(&certs, cert_path, err) < 0)
		return -1;
	if (!config_keys_is_file(key_path) || operator_files_is_tpm_key(key_path))
		return 0; /* only keyd asks a token or the TPM: edged says whether they belong together */
	key = key_load(key_path, err);
	if (!key)
		return -1;
	if (!cert_matches_key(certs.item[0], key))
		return err_set(err, ERR_INVALID, "%s: the key does not belong to the certificate in %s", key_path, cert_path);
	return 0;
}

int
operator_files_check(const struct config *c, struct err *err)
{
	CLEAR(certs) roots = { 0 };
	const char *id;
	json_t *path;

	if (c->trust_bundle && operator_files_load_certs(&roots, c->trust_bundle, err) < 0)
		return err_wrap(err, "trust_bundle_cert");
	if (check_pair(c->identity_cert, c->identity_pk, err) < 0)
		return err_wrap(err, "provisioning.authentication");
	if (check_pair(c->ca_cert, c->ca_pk, err) < 0)
		return err_wrap(err, "edge_ca");
	json_object_foreach(c->issuance.certs, id, path)
		if (check_pair(json_string_value(path), json_string_value(json_object_get(c->issuance.keys, id)), err) < 0)
			return err_wrap(err, "EST");
	return check_pair(c->issuance.local_ca_cert, c->issuance.local_ca_pk, err) < 0 ? err_wrap(err, "cert_issuance.local_ca")
										       : 0;
}

int
operator_files_check_server_certs(const struct config *c, struct err *err)
{
	for (size_t i = 0; i < c->n_server_certs; i++)
		if (check_pair(c->server_certs[i].cert, c->server_certs[i].pk, err) < 0)
			return err_wrap(err, "gateway.server_certs.%s", c->server_certs[i].name);
	return 0;
}
