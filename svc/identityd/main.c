/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-identityd: who this device and its modules are (edge-services 1.3).  Here it is put together; the socket is open from the first moment, and whoever asks before this device is
 * provisioned hears why it is not. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/local_service.h"
#include "identityd/certificate_trial.h"
#include "identityd/identity_api.h"
#include "identityd/roots_report.h"
#include "wire/json.h"

#define RETRIES_MAX 100
#define TIMEOUT_MAX_S 3600
#define LOOK_EVERY_S 600
#define LOOK_MAX_S (30 * 86400)

struct assembly {
	struct identityd identityd;
	struct cloud cloud;
	struct hub_api hub;
	struct dps_client dps;
	struct certificate_trial trial;
	int64_t look_every_s;
	struct roots_report *roots_report; /* NULL: somebody else tells the hub */
};

static int
open_cloud(struct assembly *a, const json_t *config, struct err *err)
{
	struct cloud *c = &a->cloud;
	const char *line = NULL;
	json_t *paths = NULL;
	int64_t port = 443;

	if (json_find_array(config, "anchors", &paths, err) < 0 || json_find_text(config, "root_line", &line, err) < 0 ||
		cloud_roots_open(&c->roots, paths, line, err) < 0 ||
		json_find_int(config, "cloud_timeout_sec", &c->timeout_s, err) < 0 ||
		json_find_int(config, "cloud_retries", &c->retries, err) < 0 || json_find_int(config, "hub_port", &port, err) < 0 ||
		json_find_text(config, "hub_address", &a->hub.address, err) < 0 ||
		json_find_text(config, "provisioning_address", &a->dps.address, err) < 0 ||
		json_find_int(config, "look_every_sec", &a->look_every_s, err) < 0)
		return -1;
	if (a->look_every_s < 1 || a->look_every_s > LOOK_MAX_S)
		return err_set(err, ERR_INVALID, "look_every_sec: 1 to %d", LOOK_MAX_S);
	if (c->timeout_s < CLOUD_TIMEOUT_S || c->timeout_s > TIMEOUT_MAX_S)
		return err_set(err, ERR_INVALID, "cloud_timeout_sec must be at least %d seconds", CLOUD_TIMEOUT_S);
	if (c->retries < 0 || c->retries > RETRIES_MAX)
		return err_set(err, ERR_INVALID, "cloud_retries: 0 to %d", RETRIES_MAX);
	a->hub.port = (int)port;
	return 0;
}

static int
open_credential(struct assembly *a, const json_t *config, struct err *err)
{
	struct device_credential *c = &a->identityd.credential;
	const struct provisioning_source *source = &a->identityd.source;
	const char *keyd, *certd, *tpmd;
	bool makes_certificate = false;

	if (json_get_text(config, "keyd", &keyd, err) < 0 || json_get_text(config, "certd", &certd, err) < 0 ||
		json_find_text(config, "tpmd", &tpmd, err) < 0 ||
		json_find_bool(config, "make_device_certificate", &makes_certificate, err) < 0)
		return -1;
	if (source->proof == PROOF_TPM && !tpmd)
		return err_set(err, ERR_INVALID, "tpmd is missing: by a TPM this device is to prove who it is");
	c->proof = source->proof;
	c->keyd = keyd_client_new(keyd);
	c->certd_socket = mem_text(certd);
	c->tpmd_socket = mem_text(tpmd);
	c->certificate = (struct device_certificate){ .certd = c->certd_socket,
		.keyd = c->keyd,
		.is_issued = makes_certificate,
		.test = certificate_trial_run,
		.arg = &a->trial,
		.device_id = source->kind == SOURCE_DPS ? source->registration_id : source->device_id };
	if (makes_certificate && !c->certificate.device_id && source->kind != SOURCE_NONE)
		return err_set(err, ERR_INVALID, "registration_id is missing: a certificate that is to be issued has its name");
	return 0;
}

/* Watched from now on, and what is issued is made when it is needed. */
static int
open_certificate(struct assembly *a, const json_t *config, struct err *err)
{
	struct device_certificate *certificate = &a->identityd.credential.certificate;
	json_t *auto_renew = NULL, *subject = NULL;

	if (a->identityd.credential.proof != PROOF_CERTIFICATE || a->identityd.source.kind == SOURCE_NONE)
		return 0;
	a->trial.hub = &a->hub;
	a->trial.dps = &a->dps;
	if (json_find_object(config, "identity_auto_renew", &auto_renew, err) < 0 ||
		json_find_object(config, "device_subject", &subject, err) < 0)
		return -1;
	certificate->subject = subject ? subject_from_json(subject, err) : NULL;
	if (subject && !certificate->subject)
		return -1;
	return device_certificate_open(certificate, a->identityd.modules.state_dir, auto_renew, err);
}

static int
take_callers(struct callers *out, const struct caller_rules *rules, const json_t *config, struct err *err)
{
	const char *ignored;
	json_t *principals = NULL;

	if (json_find_array(config, "principals", &principals, err) < 0 || callers_take(out, principals, rules, &ignored, err) < 0)
		return -1;
	if (ignored)
		log_warn("the principal %s is ignored: there is one without idtype, the daemon, already", ignored);
	return 0;
}

static int
open_callers(struct assembly *a, const json_t *config, struct err *err)
{
	struct identityd *d = &a->identityd;
	const char *hostname, *domain;

	pthread_rwlock_init(&d->callers_lock, NULL);
	if (json_find_text(config, "hostname", &hostname, err) < 0 || json_find_text(config, "localid_domain", &domain, err) < 0)
		return -1;
	d->rules = (struct caller_rules){ .has_device = d->source.kind != SOURCE_NONE, .has_localid = domain != NULL };
	d->local.domain = mem_text(domain);
	d->local.hostname = mem_text(hostname);
	d->local.certd_socket = mem_text(d->credential.certd_socket);
	return take_callers(&d->callers, &d->rules, config, err);
}

/* Those that have a module identity in the hub. */
static size_t
list_host_modules(const struct callers *all, const char *names[static CALLERS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++)
		if (all->item[i].module)
			names[n++] = all->item[i].name;
	return n;
}

/* Who may ask for what is the only thing that changes while identityd runs. */
static int
change_callers(const json_t *config, void *arg, struct err *err)
{
	struct identityd *d = &((struct assembly *)arg)->identityd;
	struct callers next, before;
	const char *names[CALLERS_MAX];

	if (take_callers(&next, &d->rules, config, err) < 0)
		return -1;
	pthread_rwlock_wrlock(&d->callers_lock);
	before = d->callers;
	d->callers = next;
	pthread_rwlock_unlock(&d->callers_lock);
	callers_clear(&before);
	provisioner_set_host_modules(d->provisioner, names, list_host_modules(&next, names));
	return 0;
}

static int
open_modules(struct assembly *a, const json_t *config, struct err *err)
{
	struct module_identities *m = &a->identityd.modules;

	a->hub.cloud = a->dps.cloud = &a->cloud;
	a->hub.credential = a->dps.credential = &a->identityd.credential;
	a->dps.source = &a->identityd.source;
	m->hub = &a->hub;
	m->keyd = a->identityd.credential.keyd;
	return json_get_text(config, "dir", &m->state_dir, err) < 0 ||
			       json_find_bool(config, "prefer_module_identity_cache", &m->prefer_cache, err) < 0
		       ? -1
		       : file_make_dir(m->state_dir, 0700, err);
}

static int
open_all(struct assembly *a, const json_t *config, struct err *err)
{
	module_identities_init(&a->identityd.modules);
	cloud_init(&a->cloud);
	if (provisioning_source_take(&a->identityd.source, config, err) < 0 || open_cloud(a, config, err) < 0 ||
		open_credential(a, config, err) < 0 || open_callers(a, config, err) < 0)
		return -1;
	return open_modules(a, config, err) < 0 ? -1 : open_certificate(a, config, err);
}

/* On a device without a gateway. */
static int
start_report(struct assembly *a, const json_t *config, struct err *err)
{
	int64_t port = 0;
	bool reports = false;

	if (json_find_int(config, "hub_mqtt_port", &port, err) < 0 || json_find_bool(config, "reports_roots", &reports, err) < 0)
		return -1;
	if (!reports || a->identityd.source.kind == SOURCE_NONE)
		return 0;
	a->roots_report = roots_report_start(&(struct roots_report_config){ .cloud = &a->cloud,
						     .credential = &a->identityd.credential,
						     .provisioner = a->identityd.provisioner,
						     .address = a->hub.address,
						     .port = (int)port },
		err);
	return a->roots_report ? 0 : -1;
}

static int
start(struct assembly *a, const json_t *config, struct err *err)
{
	const char *names[CALLERS_MAX];

	file_remove_leftovers(a->identityd.modules.state_dir);
	a->identityd.provisioner = provisioner_start(&(struct provisioner_config){
		.source = &a->identityd.source,
		.credential = &a->identityd.credential,
		.dps = &a->dps,
		.cloud = &a->cloud,
		.modules = &a->identityd.modules,
		.state_dir = a->identityd.modules.state_dir,
		.parent = json_string_value(json_object_get(config, "gateway_host")),
		.host_modules = names,
		.n_host_modules = list_host_modules(&a->identityd.callers, names),
		.look_every_s = a->look_every_s,
	});
	atomic_store(&a->trial.provisioner, a->identityd.provisioner);
	return device_certificate_start(&a->identityd.credential.certificate, err) < 0 ? -1 : start_report(a, config, err);
}

static void
close_all(struct assembly *a)
{
	struct identityd *d = &a->identityd;

	cloud_stop(&a->cloud);
	roots_report_stop(a->roots_report);
	device_certificate_stop(&d->credential.certificate);
	provisioner_stop(d->provisioner);
	module_identities_clear(&d->modules);
	callers_clear(&d->callers);
	pthread_rwlock_destroy(&d->callers_lock);
	device_credential_clear(&d->credential);
	provisioning_source_clear(&d->source);
	mem_free(d->local.certd_socket);
	mem_free(d->local.hostname);
	mem_free(d->local.domain);
	cloud_clear(&a->cloud);
}

static void
give_up_waiting(void *cloud)
{
	cloud_stop(cloud);
}

static int
serve(const json_t *config, const struct service_options *options, struct err *err)
{
	OWN(local_service) service = NULL;
	struct assembly a = { .look_every_s = LOOK_EVERY_S };
	const char *socket_path;
	int64_t max_requests = 10;
	int status = open_all(&a, config, err);

	if (status == 0)
		status = json_get_text(config, "socket", &socket_path, err) < 0 ||
					 json_find_int(config, "max_requests", &max_requests, err) < 0
				 ? -1
				 : 0;
	if (status == 0)
		status = start(&a, config, err);
	if (status == 0) {
		service = local_service_new(&identity_endpoints);
		status = local_service_listen(service, socket_path, 0666, (size_t)max_requests, &a.identityd, err);
	}
	if (status == 0) {
		local_service_on_change(service, options, change_callers, &a);
		local_service_on_end(service, give_up_waiting, &a.cloud);
		local_service_run(service, options, NULL);
	}
	cloud_stop(&a.cloud);
	local_service_free(GIVE(service));
	close_all(&a);
	return status;
}

int
main(int argc, char **argv)
{
	static const struct local_service_role role = {
		.name = "identityd",
		.summary = "The identity service: the identities of this device and its modules.",
		.serve = serve,
	};

	return local_service_main(&role, argc, argv);
}
