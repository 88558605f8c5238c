/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-certd: the certificates service (edge-services 1.2): keeps certificates and issues them with keys that lie in keyd. */
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "certd/issuance.h"
#include "certd/local_ca.h"
#include "certd/root_follower.h"
#include "common/local_service.h"
#include "common/principal.h"
#include "wire/json.h"

#define PEM_MAX (1024 * 1024)

struct certd {
	struct issuance issuance;
	struct principals principals;
	pthread_rwlock_t principals_lock;
	struct renewals *renewals;
	struct root_follower *roots; /* NULL: they don't follow */
};

/* Reading is for everybody who can open the socket; changing is for principals. */
static bool
may_change(const struct endpoint_call *call, const char *id)
{
	struct certd *certd = call->door;
	bool may = call->process.uid == 0;

	/* Where all services run as one user, that user's principals are several: any of them may do. */
	pthread_rwlock_rdlock(&certd->principals_lock);
	for (size_t i = 0; i < certd->principals.n; i++)
		if (certd->principals.item[i].uid == call->process.uid && principal_may(&certd->principals.item[i], id))
			may = true;
	pthread_rwlock_unlock(&certd->principals_lock);
	return call->has_process && may;
}

static int
authorize(const struct endpoint_call *call, const char *id, struct err *err)
{
	if (may_change(call, id))
		return 0;
	return err_set(err, ERR_DENIED, "user %u is not authorized to modify the cert ID", call->process.uid);
}

/* Why something of an id failed is for those whom the id is. */
static bool
may_see_causes(const struct endpoint_call *call)
{
	const char *id = call->var[0] ? call->var[0] : json_string_value(json_object_get(call->body, "certId"));

	return id && may_change(call, id);
}

static int
answer_pem(struct buf *pem, int status, json_t **answer)
{
	*answer = json_pack("{s:s}", "pem", buf_text(pem));
	buf_clear(pem);
	return status;
}

static int
create(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const struct certd *certd = call->door;
	struct issuance_request request = { 0 };
	struct buf pem = BUF_INIT(PEM_MAX);
	json_t *issuer = NULL;

	if (!call->body)
		return err_set(err, ERR_INVALID, "missing request body");
	if (json_get_text(call->body, "certId", &request.id, err) < 0 || json_get_text(call->body, "csr", &request.csr, err) < 0 ||
		json_find_object(call->body, "issuer", &issuer, err) < 0 ||
		(issuer && (json_get_text(issuer, "certId", &request.issuer_id, err) < 0 ||
				   json_get_text(issuer, "privateKeyHandle", &request.issuer_handle, err) < 0)))
		return -422;
	if (authorize(call, request.id, err) < 0)
		return -1;
	if (issuance_create(&certd->issuance, &request, &pem, err) < 0) {
		buf_clear(&pem);
		return -1;
	}
	return answer_pem(&pem, 201, answer);
}

/* What is missing is 400 here, and what the original says of it. */
static int
refuse_id(struct err *err)
{
	if (err->kind == ERR_MISSING)
		return err_set(err, ERR_MISSING, "parameter \"id\" has an invalid value\ncaused by: not found");
	return err->kind == ERR_BROKEN ? -1 : err_wrap(err, "parameter \"id\" has an invalid value\ncaused by");
}

static int
get(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const struct certd *certd = call->door;
	struct buf pem = BUF_INIT(PEM_MAX);

	if (cert_store_load(certd->issuance.store, call->var[0], &pem, err) < 0)
		return refuse_id(err);
	return answer_pem(&pem, 200, answer);
}

static int
import(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const struct certd *certd = call->door;
	struct turn *turn;
	const char *pem;
	int status;

	if (json_get_text(call->body, "pem", &pem, err) < 0 || authorize(call, call->var[0], err) < 0)
		return -1;
	turn = turns_take(certd->issuance.turns, call->var[0]);
	status = cert_store_save(certd->issuance.store, call->var[0], pem, strlen(pem), err);
	turn_made(turn, NULL);
	turns_give(certd->issuance.turns, turn);
	if (status < 0)
		return -1;
	*answer = json_pack("{s:s}", "pem", pem);
	return 201;
}

static int delete (const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const struct certd *certd = call->door;
	struct turn *turn;
	int status;

	(void)answer;
	if (authorize(call, call->var[0], err) < 0)
		return -1;
	turn = turns_take(certd->issuance.turns, call->var[0]);
	status = cert_store_delete(certd->issuance.store, call->var[0], err);
	turn_made(turn, NULL);
	turns_give(certd->issuance.turns, turn);
	return status < 0 ? -1 : 204;
}

static int
list_renewals(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const struct certd *certd = call->door;

	(void)err;
	*answer = renewals_json(certd->renewals);
	return 200;
}

static const struct endpoint endpoints[] = {
	{ "POST", "/certificates", "2020-09-01", create },
	{ "GET", "/certificates/{}", "2020-09-01", get },
	{ "PUT", "/certificates/{}", "2020-09-01", import },
	{ "DELETE", "/certificates/{}", "2020-09-01", delete },
	{ "GET", "/renewals", "2020-09-01", list_renewals },
};

static const struct endpoint_body bodies[] = {
	{ "POST", "/certificates", "certId csr" },
	{ "PUT", "/certificates/{}", "pem" },
};

static const char *const versions[] = { "2020-09-01", NULL };

static const struct endpoint_table table = {
	.endpoints = endpoints,
	.n_endpoints = COUNT(endpoints),
	.bodies = bodies,
	.n_bodies = COUNT(bodies),
	.versions = versions,
	.denied_status = 401,
	.missing_status = 400,
	.hide_failures = true,
	.may_see_causes = may_see_causes,
	.n_workers = EST_UNDER_WAY_MAX + LOCAL_WORKERS,
};

/* Who may what is the only thing that changes while certd runs. */
static int
take_principals(const json_t *config, void *arg, struct err *err)
{
	struct certd *certd = arg;
	json_t *list = NULL;

	if (json_find_array(config, "principals", &list, err) < 0)
		return -1;
	return principals_change(&certd->principals, &certd->principals_lock, list, err);
}

/* Before anybody asks for what it may change. */
static int
open_roots(struct certd *certd, const json_t *config, const char *system_roots, struct err *err)
{
	json_t *trust = NULL;

	if (json_find_object(config, "trust", &trust, err) < 0)
		return -1;
	if (trust)
		certd->roots = root_follower_new(&(struct root_follower_config){ certd->issuance.store, trust, system_roots }, err);
	return trust && !certd->roots ? -1 : 0;
}

static int
open_all(struct certd *certd, const json_t *config, struct err *err)
{
	json_t *preloaded = NULL, *issuance = NULL;
	const char *dir, *keyd, *system_roots = NULL, *renewals = NULL;

	if (json_get_text(config, "dir", &dir, err) < 0 || json_get_text(config, "keyd", &keyd, err) < 0 ||
		json_find_object(config, "preloaded_certs", &preloaded, err) < 0 ||
		json_find_object(config, "cert_issuance", &issuance, err) < 0 ||
		json_find_text(config, "system_roots", &system_roots, err) < 0 ||
		json_find_text(config, "renewals", &renewals, err) < 0 || take_principals(config, certd, err) < 0)
		return -1;
	certd->issuance.config = issuance;
	certd->issuance.keyd = keyd_client_new(keyd);
	certd->issuance.turns = turns_new();
	certd->issuance.store = cert_store_open(dir, preloaded, err);
	if (!certd->issuance.store || open_roots(certd, config, system_roots, err) < 0)
		return -1;
	certd->renewals = renewals_new(renewals);
	certd->issuance.renewals = certd->renewals;
	if ((json_object_get(preloaded, LOCAL_CA_ID) || json_object_get(issuance, LOCAL_CA_ID)) &&
		local_ca_watch(&certd->issuance, certd->renewals, err) < 0)
		return -1;
	certd->issuance.est = est_new(&(struct est_config){ .store = certd->issuance.store,
					      .keyd = certd->issuance.keyd,
					      .cert_issuance = issuance,
					      .dir = dir,
					      .system_roots = system_roots,
					      .renewals = certd->renewals },
		err);
	return certd->issuance.est ? renewals_start(certd->renewals, err) : -1;
}

static void
give_up_waiting(void *certd)
{
	est_stop(((struct certd *)certd)->issuance.est);
}

static int
serve(const json_t *config, const struct service_options *options, struct err *err)
{
	OWN(local_service) service = NULL;
	struct certd certd = { .principals_lock = PTHREAD_RWLOCK_INITIALIZER };
	const char *socket_path;
	int64_t max_requests = 10;
	int status = open_all(&certd, config, err);

	if (status == 0 && (json_get_text(config, "socket", &socket_path, err) < 0 ||
				   json_find_int(config, "max_requests", &max_requests, err) < 0))
		status = -1;
	if (status == 0) {
		service = local_service_new(&table);
		status = local_service_listen(service, socket_path, 0666, (size_t)max_requests, &certd, err);
	}
	if (status == 0 && certd.roots)
		status = root_follower_start(certd.roots, certd.issuance.est, err);
	if (status == 0) {
		local_service_on_change(service, options, take_principals, &certd);
		local_service_on_end(service, give_up_waiting, &certd);
		local_service_run(service, options, NULL);
	}
	if (certd.issuance.est)
		est_stop(certd.issuance.est);
	local_service_free(GIVE(service));
	root_follower_free(certd.roots);
	renewals_free(certd.renewals);
	est_free(certd.issuance.est);
	turns_free(certd.issuance.turns);
	cert_store_close(certd.issuance.store);
	keyd_client_free(certd.issuance.keyd);
	principals_clear(&certd.principals);
	return status;
}

int
main(int argc, char **argv)
{
	static const struct local_service_role role = {
		.name = "certd",
		.summary = "The certificates service: keeps certificates and issues them.",
		.serve = serve,
	};

	return local_service_main(&role, argc, argv);
}
