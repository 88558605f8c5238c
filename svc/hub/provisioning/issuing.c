/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the hub's CA (issuing.h). */
#include "hub/provisioning/issuing.h"

#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/client.h"

#define URL_MAX 1024
#define HOSTNAME_SHOWN 50 /* with what stands behind it a common name */

/* As for an EST issuer (est_issuer.c): who reads a certificate fetches a list before it trusts anybody, so without TLS. */
static int
check_url(const char *what, const char *url, struct err *err)
{
	if (!url || (text_starts(url, "http://") && strlen(url) <= URL_MAX && !strpbrk(url, " ,;\"\\\n")))
		return 0;
	return err_set(err, ERR_INVALID, "--issuing-ca-%s-url: '%.80s' is no http:// address", what, url);
}

static int
take_policies(struct issuing *i, const struct issuing_config *config, struct err *err)
{
	const char *const *list = config->policies;
	const char *crl_url = config->crl_url, *ocsp_url = config->ocsp_url;
	static const char *const without[] = { "default=30", NULL };
	const char *const *from = list && *list ? list : without;

	for (; from[i->n_policies]; i->n_policies++) {
		struct ca_profile next;

		if (ca_profile_parse_credential(&next, from[i->n_policies], err) < 0)
			return err_wrap(err, "--credential-policy");
		if (issuing_policy(i, next.name))
			return err_set(err, ERR_INVALID, "--credential-policy: %s is given twice", next.name);
		i->policies = mem_resize(i->policies, (i->n_policies + 1) * sizeof(next));
		next.crl_url = crl_url;
		next.ocsp_url = ocsp_url;
		i->policies[i->n_policies] = next;
	}
	return 0;
}

/* Somebody else's eyes on the key are the operator's affair, and worth a word. */
static void
warn_of_mode(const char *key_path)
{
	struct stat st;

	if (key_source_is_file(key_path) && stat(key_path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)))
		log_warn("the key of the issuing CA, %s, can be read by others than its owner", key_path);
}

static int
open_signer(struct issuing *i, const struct issuing_config *config, const char *dir, struct err *err)
{
	OWN_TEXT made_cert = file_join(dir, "issuing-ca.cert.pem");
	OWN_TEXT made_key = file_join(dir, "issuing-ca.key.pem");
	OWN_TEXT name = mem_textf("%.*s issuing CA", HOSTNAME_SHOWN, config->hostname);
	const char *cert = config->cert_path ? config->cert_path : made_cert;
	const char *key = config->cert_path ? config->key_path : made_key;
	char until[CLOCK_TEXT_LEN];

	if (!config->cert_path && ca_signer_make(cert, key, name, clock_wall(), err) < 0)
		return err_wrap(err, "making an issuing CA");
	i->signer = ca_signer_load(cert, key, config->keys, err);
	if (!i->signer)
		return -1;
	warn_of_mode(key);
	log_info("%s issues certificates, until %s", cert_subject(ca_signer_chain(i->signer)->item[0]),
		clock_text(ca_signer_ends(i->signer), until));
	return 0;
}

/* What was issued would be unknown, and could be issued again. */
static int
open_journal(struct issuing *i, const struct issuing_config *config, struct err *err)
{
	OWN_TEXT path = hub_client_journal_path(config->state_dir);
	OWN_TEXT begun = NULL;

	if (registry_store_get_text(config->store, "issuance_journal", &begun, err) < 0)
		return -1;
	if (begun && !file_exists(path))
		return err_set(err, ERR_BROKEN, "the issuance journal %s is gone: put it back from a copy", path);
	i->journal = ca_journal_open(path, err);
	return i->journal && (begun || registry_store_set_text(config->store, "issuance_journal", "begun", err) == 0) ? 0 : -1;
}

struct issuing *
issuing_open(const struct issuing_config *config, struct err *err)
{
	struct issuing *i = NEW(issuing);
	OWN_TEXT dir = file_join(config->state_dir, "ca");
	bool done;

	done = check_url("crl", config->crl_url, err) == 0 && check_url("ocsp", config->ocsp_url, err) == 0 &&
	       take_policies(i, config, err) == 0 && file_make_dir(dir, 0700, err) == 0 && open_signer(i, config, dir, err) == 0 &&
	       open_journal(i, config, err) == 0;
	if (!done) {
		issuing_close(i);
		return NULL;
	}
	i->desk = (struct ca_desk){ .signer = i->signer, .journal = i->journal };
	return i;
}

void
issuing_close(struct issuing *i)
{
	if (!i)
		return;
	ca_journal_close(i->journal);
	ca_signer_free(i->signer);
	mem_free(i->policies);
	mem_free(i);
}

const struct ca_profile *
issuing_policy(const struct issuing *i, const char *name)
{
	for (size_t n = 0; n < i->n_policies; n++)
		if (text_is(i->policies[n].name, name))
			return &i->policies[n];
	return NULL;
}
