/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the files that a configuration names.  One row a pair of certificate and key; what each is there for decides what is asked of it. */
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "edge/config_check.h"
#include "edge/documents.h"
#include "edge/layout.h"
#include "edge/operator_files.h"
#include "wire/json.h"

#define UNIT_GROUPS_MAX 64
#define UNIT_GROUPS_MORE 4

struct check {
	const struct config *config;
	const struct toml *root;
	struct findings *findings;
	int64_t now;
};

static struct config_spot
spot_of(const struct check *k, const char *path)
{
	struct config_spot spot = { .value = toml_find_path(k->root, path) };

	snprintf(spot.key, sizeof(spot.key), "%s", path);
	return spot;
}

static struct config_spot
spot_below(const struct check *k, const char *table, const char *key)
{
	const struct toml *above = toml_find_path(k->root, table);
	struct config_spot spot = { .value = above ? toml_find(above, key) : NULL };

	snprintf(spot.key, sizeof(spot.key), "%.80s.%.100s", table, key);
	return spot;
}

static void tell(const struct check *k, enum finding_level level, const struct config_spot *spot, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void
tell(const struct check *k, enum finding_level level, const struct config_spot *spot, const char *fmt, ...)
{
	char text[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	findings_add(k->findings, level, spot->value ? spot->value->file : NULL, spot->value ? spot->value->line : 0, spot->key,
		"%s", text);
}

/* -- Files ---------------------------------------------------------------------------------------------------------------------------------- */

/* Could this user?  Tried out in a child, as the folders on the way count too.  Where it can't be tried, as we may not become him, nor may he be started: yes. */
static bool
user_can(int what, uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups, const char *path)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(setgroups(n_groups, groups) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0 &&
			access(path, what) < 0);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && status == 0;
}

/* With all his groups, and those that his unit adds (dist/systemd): a list that ends with NULL. */
static bool
unit_can(int what, const char *user, const char *const *more, const char *path)
{
	const struct passwd *unit = getpwnam(user);
	gid_t groups[UNIT_GROUPS_MAX + UNIT_GROUPS_MORE];
	int n = UNIT_GROUPS_MAX;

	if (!unit)
		return false;
	if (getgrouplist(user, unit->pw_gid, groups, &n) < 0)
		n = UNIT_GROUPS_MAX; /* the first of them */
	for (size_t i = 0; more[i] && i < UNIT_GROUPS_MORE; i++) {
		const struct group *group = getgrnam(more[i]);

		if (group)
			groups[n++] = group->gr_gid;
	}
	return user_can(what, unit->pw_uid, unit->pw_gid, groups, (size_t)n, path);
}

/* Of the supervisor's users, or of systemd's units; who starts it is not known here. */
static bool
keyd_can_read(const struct config *c, const char *path)
{
	return user_can(R_OK, (uid_t)c->first_uid, (gid_t)c->first_uid, c->keys.groups, c->keys.n_groups, path) ||
	       unit_can(R_OK, "aziotks", (const char *const[]){ NULL }, path);
}

/* Likewise the gateway. */
static bool
gateway_can_read(const struct config *c, const char *folder)
{
	return user_can(R_OK | X_OK, (uid_t)(c->first_uid + ROLE_GATEWAY), (gid_t)(c->first_uid + ROLE_GATEWAY), NULL, 0, folder) ||
	       unit_can(R_OK | X_OK, "edgehubuser", (const char *const[]){ "aziotks", "iotedge", NULL }, folder);
}

/* Files of a token's: keyd opens them itself, so as root its user must be able to.  All others are read by whoever starts the roles. */
static void
check_token_files(const struct check *k, const struct config_spot *spot, const char *place)
{
	char *files[CONFIG_PLACE_FILES];
	size_t n = config_keys_is_file(place) ? 0 : config_keys_files(place, files);

	for (size_t i = 0; i < n; i++) {
		if (access(files[i], R_OK) < 0)
			tell(k, FINDING_ERROR, spot, "%s: %s", files[i], strerror(errno));
		else if (geteuid() == 0 && !keyd_can_read(k->config, files[i]))
			tell(k, getpwnam("aziotks") ? FINDING_WARNING : FINDING_ERROR, spot,
				"%s: keyd, which runs as user %lld or, by systemd, as aziotks, may not read it%s", files[i],
				(long long)k->config->first_uid,
				getpwnam("aziotks") ? ", unless its unit is given a group more" : "");
		mem_free(files[i]);
	}
}

/* A key that others can read is no secret; one that others can write to is theirs. */
static void
check_mode(const struct check *k, const struct config_spot *spot, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return; /* whoever reads it says so */
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		tell(k, FINDING_ERROR, spot, "%s: others may replace this key (mode %04o): chmod 0600", path,
			(unsigned)st.st_mode & 07777);
	else if (st.st_mode & (S_IRGRP | S_IROTH))
		tell(k, FINDING_WARNING, spot, "%s: others may read this key (mode %04o): chmod 0600", path,
			(unsigned)st.st_mode & 07777);
}

/* NULL: it can't be read here (a token, the TPM), or it is none, which is told. */
static struct key *
load_key(const struct check *k, const struct config_spot *spot, const char *place)
{
	struct err err = ERR_INIT;
	struct key *key;

	check_token_files(k, spot, place);
	if (!config_keys_is_file(place))
		return NULL;
	check_mode(k, spot, place);
	if (operator_files_is_tpm_key(place))
		return NULL;
	key = key_load(place, &err);
	if (!key)
		tell(k, FINDING_ERROR, spot, "%s", err.text);
	return key;
}

static bool
load_certs(const struct check *k, const struct config_spot *spot, const char *path, struct certs *out)
{
	struct err err = ERR_INIT;

	if (!path)
		return false;
	if (operator_files_load_certs(out, path, &err) == 0)
		return true;
	tell(k, FINDING_ERROR, spot, "%s", err.text);
	return false;
}

/* -- Certificates --------------------------------------------------------------------------------------------------------------------------- */

/* Loads both; whether they belong together.  chain stays empty where there is none. */
static void
check_pair(const struct check *k, const struct config_spot *cert_spot, const char *cert, const struct config_spot *key_spot,
	const char *place, struct certs *chain, bool is_fatal)
{
	OWN(key) key = place ? load_key(k, key_spot, place) : NULL;

	if (!load_certs(k, cert_spot, cert, chain))
		return;
	config_check_dates(k->findings, cert_spot, chain->item[0], k->now, is_fatal);
	if (!cert_has_acceptable_key(chain->item[0]))
		tell(k, FINDING_ERROR, cert_spot, "%s: its key is too weak, or of a kind that is not used here", cert);
	if (key && !cert_matches_key(chain->item[0], key))
		tell(k, FINDING_ERROR, key_spot, "%s: the key does not belong to the certificate in %s", place, cert);
}

static bool
is_among(const struct cert *cert, const struct certs *roots)
{
	for (size_t i = 0; i < roots->n; i++)
		if (cert_is_same(cert, roots->item[i]) || cert_is_issued_by(cert, roots->item[i]))
			return true;
	return false;
}

static void
check_bundle(const struct check *k, struct certs *roots)
{
	struct config_spot spot = spot_of(k, "trust_bundle_cert");

	if (!load_certs(k, &spot, k->config->trust_bundle, roots))
		return;
	for (size_t i = 0; i < roots->n; i++) {
		config_check_dates(k->findings, &spot, roots->item[i], k->now, false);
		if (!cert_is_ca(roots->item[i]))
			tell(k, FINDING_WARNING, &spot, "the certificate of %.80s is no CA's: nothing is trusted by it",
				cert_subject(roots->item[i]));
	}
}

static void
check_identity(const struct check *k)
{
	const struct config *c = k->config;
	bool dps = text_is(c->source, "dps");
	struct config_spot cert =
		spot_of(k, dps ? "provisioning.attestation.identity_cert" : "provisioning.authentication.identity_cert");
	struct config_spot key =
		spot_of(k, dps ? "provisioning.attestation.identity_pk" : "provisioning.authentication.identity_pk");
	CLEAR(certs) chain = { 0 };
	const char *name;

	check_pair(k, &cert, c->identity_cert, &key, c->identity_pk, &chain, true);
	if (chain.n == 0)
		return;
	name = cert_common_name(chain.item[0]);
	if (cert_is_ca(chain.item[0]))
		tell(k, FINDING_WARNING, &cert, "%s: this is a CA; is it the Edge CA's certificate instead of the device's?",
			c->identity_cert);
	if (!cert_may_client(chain.item[0]))
		tell(k, FINDING_ERROR, &cert, "%s: its extendedKeyUsage doesn't let it be a client", c->identity_cert);
	if (c->dps_registration_id && !text_is(name, c->dps_registration_id))
		tell(k, FINDING_ERROR, &cert, "its CN is '%.64s', the registration id '%.64s': provisioning refuses that",
			name ? name : "", c->dps_registration_id);
	if (dps && !c->dps_registration_id && !name)
		tell(k, FINDING_ERROR, &cert, "it has no CN, and no registration_id is given");
}

static void
check_edge_ca(const struct check *k, const struct certs *roots)
{
	const struct config *c = k->config;
	struct config_spot cert = spot_of(k, "edge_ca.cert"), key = spot_of(k, "edge_ca.pk"), table = spot_of(k, "edge_ca");
	CLEAR(certs) chain = { 0 };
	const struct cert *top;

	if (text_is(c->ca_form, "quickstart"))
		tell(k, FINDING_WARNING, &table,
			"the Edge CA is one that signs itself: devices have to trust it by itself, and anew when it is renewed; "
			"for trying out");
	if (!text_is(c->ca_form, "preloaded")) {
		config_check_name(k->findings, &table, c->ca_common_name, c);
		return;
	}
	check_pair(k, &cert, c->ca_cert, &key, c->ca_pk, &chain, true);
	if (chain.n == 0)
		return;
	config_check_ca(k->findings, &cert, &chain, 0);
	config_check_name(k->findings, &cert, cert_common_name(chain.item[0]), c);
	top = chain.item[chain.n - 1];
	if (roots->n > 0 ? !is_among(top, roots) : !cert_is_self_issued(top))
		tell(k, FINDING_WARNING, &cert, "its chain ends with %.80s, issued by %.80s, which %s", cert_subject(top),
			cert_issuer(top), roots->n > 0 ? "trust_bundle_cert doesn't have" : "no trust_bundle_cert has");
}

static void
check_local_ca(const struct check *k)
{
	struct config_spot cert = spot_of(k, "cert_issuance.local_ca.cert"), key = spot_of(k, "cert_issuance.local_ca.pk");
	CLEAR(certs) chain = { 0 };

	if (!k->config->issuance.local_ca_cert)
		return;
	check_pair(k, &cert, k->config->issuance.local_ca_cert, &key, k->config->issuance.local_ca_pk, &chain, true);
	if (chain.n == 0)
		return;
	config_check_ca(k->findings, &cert, &chain, 1);
	if (text_is_nocase(cert_common_name(chain.item[0]), k->config->ca_common_name) && !text_is(k->config->ca_form, "preloaded"))
		tell(k, FINDING_WARNING, &cert,
			"the Edge CA that it issues would have its own name, '%.64s': chains can't be built",
			k->config->ca_common_name);
}

/* What certd has under ids: EST identities by the tables they come from, and the operator's own. */
static void
check_est(const struct check *k)
{
	static const struct {
		const char *id, *cert, *pk;
	} rows[] = {
		{ "est-id", "cert_issuance.est.auth.identity_cert", "cert_issuance.est.auth.identity_pk" },
		{ "est-bootstrap-id", "cert_issuance.est.auth.bootstrap_identity_cert",
			"cert_issuance.est.auth.bootstrap_identity_pk" },
		{ "est-id-aziot-edged-ca", "edge_ca.identity_cert", "edge_ca.identity_pk" },
		{ "est-bootstrap-id-aziot-edged-ca", "edge_ca.bootstrap_identity_cert", "edge_ca.bootstrap_identity_pk" },
	};
	const char *id;
	json_t *path;

	json_object_foreach(k->config->issuance.certs, id, path) {
		struct config_spot cert = spot_of(k, "cert_issuance.est.trusted_certs"), key = cert;
		CLEAR(certs) chain = { 0 };
		size_t i = 0;

		while (i < COUNT(rows) && !text_is(rows[i].id, id))
			i++;
		if (i < COUNT(rows)) {
			cert = spot_of(k, rows[i].cert);
			key = spot_of(k, rows[i].pk);
		} else if (text_starts(id, "est-id") || text_starts(id, "est-bootstrap-id")) {
			cert = key = (struct config_spot){ 0 };
			snprintf(cert.key, sizeof(cert.key), "EST for %.100s", strstr(id, "id-") + 3);
			key = cert;
		}
		check_pair(k, &cert, json_string_value(path), &key,
			json_string_value(json_object_get(k->config->issuance.keys, id)), &chain, text_starts(id, "est-id"));
	}
}

static void
check_server_cert(const struct check *k, const struct config_server_cert *s)
{
	OWN_TEXT cert_path = mem_textf("gateway.server_certs.%s.cert", s->name);
	OWN_TEXT key_path = mem_textf("gateway.server_certs.%s.pk", s->name);
	struct config_spot cert = spot_of(k, cert_path), key = spot_of(k, key_path);
	CLEAR(certs) chain = { 0 };

	check_pair(k, &cert, s->cert, &key, s->pk, &chain, false);
	if (chain.n > 0)
		config_check_server(k->findings, &cert, &chain);
}

static void
check_server_certs(const struct check *k)
{
	for (size_t i = 0; i < k->config->n_server_certs; i++)
		check_server_cert(k, &k->config->server_certs[i]);
}

static void
check_preloaded(const struct check *k)
{
	const char *id;
	json_t *value, *member;
	size_t i;

	json_object_foreach(k->config->preloaded_certs, id, value) {
		struct config_spot spot = spot_below(k, "preloaded_certs", id);
		CLEAR(certs) chain = { 0 };

		if (load_certs(k, &spot, json_string_value(value), &chain))
			config_check_dates(k->findings, &spot, chain.item[0], k->now, false);
		json_array_foreach(value, i, member)
			if (text_is(json_string_value(member), id))
				tell(k, FINDING_ERROR, &spot, "the list stands for itself");
	}
	json_object_foreach(k->config->preloaded_keys, id, value) {
		struct config_spot spot = spot_below(k, "preloaded_keys", id);
		const char *place = json_string_value(value);

		check_token_files(k, &spot, place);
		if (!config_keys_is_file(place))
			continue;
		if (access(place, R_OK) < 0)
			tell(k, FINDING_ERROR, &spot, "%s: %s", place, strerror(errno));
		check_mode(k, &spot, place);
	}
}

/* -- Other things --------------------------------------------------------------------------------------------------------------------------- */

static void
check_symmetric(const struct check *k)
{
	const char *path = k->config->device_key_path;
	bool dps = text_is(k->config->source, "dps");
	struct config_spot spot =
		spot_of(k, dps ? "provisioning.attestation.symmetric_key.uri" : "provisioning.authentication.device_id_pk.uri");
	CLEAR(buf) bytes = BUF_INIT(SECRET_MAX);
	struct err err = ERR_INIT;

	if (!path)
		return;
	check_token_files(k, &spot, path);
	if (!config_keys_is_file(path))
		return;
	check_mode(k, &spot, path);
	if (file_load(&bytes, path, &err) < 0)
		tell(k, FINDING_ERROR, &spot, "%s", err.text);
	else if (bytes.len == 0)
		tell(k, FINDING_ERROR, &spot, "%s: the file is empty", path);
	else if (bytes.data[bytes.len - 1] == '\n')
		tell(k, FINDING_WARNING, &spot, "%s ends with a line feed, which is part of the key: it is raw bytes, not base64",
			path);
	buf_wipe(&bytes);
}

static void
check_documents(const struct check *k)
{
	const struct config *c = k->config;
	struct config_spot payload_spot = spot_of(k, "provisioning.payload.uri"), info_spot = spot_of(k, "additional_info");
	struct err err = ERR_INIT;
	OWN_LIB(json_t) payload = c->dps_payload ? documents_load_payload(c->dps_payload, &err) : json_null();
	OWN_LIB(json_t) info = NULL;

	if (!payload)
		tell(k, FINDING_ERROR, &payload_spot, "%s", err.text);
	info = c->additional_info ? documents_load_info(c->additional_info, &err) : json_null();
	if (!info)
		tell(k, FINDING_ERROR, &info_spot, "%s", err.text);
}

/* The gateway looks into a folder by itself, again and again, and may read no other one than stands there when it starts. */
static void
check_gateway_folder(const struct check *k, enum finding_level level, const char *key, const char *path, const char *folder)
{
	struct config_spot spot = spot_of(k, key);
	struct stat st;

	if (!path)
		return;
	if (path[0] != '/')
		tell(k, FINDING_ERROR, &spot, "%s: a whole path is expected, from / on", path);
	else if (stat(folder, &st) < 0)
		tell(k, level, &spot, "%s: %s", folder, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		tell(k, level, &spot, "%s: it is no folder", folder);
	else if (access(folder, R_OK | X_OK) < 0)
		tell(k, level, &spot, "%s: %s", folder, strerror(errno));
	else if (geteuid() == 0 && !gateway_can_read(k->config, folder))
		tell(k, level, &spot, "%s: the gateway, which runs as user %lld or, by systemd, as edgehubuser, may not read it",
			folder, (long long)k->config->first_uid + ROLE_GATEWAY);
}

static void
check_gateway(const struct check *k)
{
	const struct config *c = k->config;

	if (!c->has_gateway)
		return;
	/* Without the lists whoever was revoked is let in; without the file other routes hold. */
	check_gateway_folder(k, FINDING_ERROR, "gateway.crl_dir", c->gateway_crl_dir, c->gateway_crl_dir);
	check_gateway_folder(
		k, FINDING_WARNING, "gateway.routes", c->gateway_routes, c->gateway_routes_dir ? c->gateway_routes_dir : "/");
}

static void
check_hostname(const struct check *k)
{
	struct config_spot spot = spot_of(k, "hostname");
	char machine[256] = "";

	if (spot.value && gethostname(machine, sizeof(machine) - 1) == 0)
		config_check_hostname(k->findings, &spot, k->config->hostname, machine);
}

/* A process that is the user of a role has the rights of the role. */
static void
check_module(const struct check *k, const struct config_module *m)
{
	const struct config *c = k->config;
	struct config_spot spot = spot_below(k, "modules", m->id);

	if (m->has_uid && m->uid >= c->first_uid && m->uid < c->first_uid + CONFIG_ROLE_UIDS)
		tell(k, FINDING_WARNING, &spot, "user %u is one of the roles' own (privileges.first_uid)", m->uid);
	else if (m->has_uid && m->uid == 0)
		tell(k, FINDING_WARNING, &spot, "a module of root's may everything on this box");
	if (m->executable && access(m->executable, X_OK) < 0)
		tell(k, FINDING_WARNING, &spot, "%s: %s", m->executable, strerror(errno));
}

static void
check_modules(const struct check *k)
{
	for (size_t i = 0; i < k->config->n_modules; i++)
		check_module(k, &k->config->modules[i]);
}

static bool
has_secret(const struct toml *t)
{
	static const char *const secret[] = { "password", "value", "connection_string", "owner", "endorsement" };

	for (size_t i = 0; t->key && t->type == TOML_STRING && i < COUNT(secret); i++)
		if (text_is(t->key, secret[i]))
			return true;
	if (t->type == TOML_STRING && strstr(t->text, "pin-value="))
		return true;
	for (size_t i = 0; i < t->n; i++)
		if (has_secret(t->item[i]))
			return true;
	return false;
}

/* The configuration itself: of root or of whoever starts the roles, and with secrets in it for nobody else to read. */
static void
check_own_files(const struct check *k)
{
	bool secret = has_secret(k->root);

	for (size_t i = 0; i < k->root->n_files; i++) {
		const char *path = k->root->files[i];
		struct stat st;

		if (*path != '/' && !strchr(path, '.')) /* of the environment */
			continue;
		if (stat(path, &st) < 0)
			continue;
		if (st.st_mode & S_IWGRP)
			findings_add(k->findings, FINDING_WARNING, path, 0, NULL,
				"its group may write to it (mode %04o): chmod 0600", (unsigned)st.st_mode & 07777);
		else if (secret && (st.st_mode & (S_IRGRP | S_IROTH)))
			findings_add(k->findings, FINDING_WARNING, path, 0, NULL,
				"others may read it, and there are secrets in the configuration (mode %04o): chmod 0600",
				(unsigned)st.st_mode & 07777);
		if (st.st_uid != 0 && st.st_uid != geteuid())
			findings_add(k->findings, FINDING_WARNING, path, 0, NULL,
				"it belongs to user %u, who can change it: chown root", st.st_uid);
	}
}

void
config_check_files(const struct config *config, const struct toml *root, struct findings *findings)
{
	struct check k = { .config = config, .root = root, .findings = findings, .now = clock_wall() };
	CLEAR(certs) roots = { 0 };

	check_own_files(&k);
	check_hostname(&k);
	check_bundle(&k, &roots);
	check_symmetric(&k);
	check_identity(&k);
	check_edge_ca(&k, &roots);
	check_local_ca(&k);
	check_est(&k);
	check_preloaded(&k);
	check_server_certs(&k);
	check_documents(&k);
	check_gateway(&k);
	check_modules(&k);
}
