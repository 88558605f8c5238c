/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-keyd: the only process of an edge device that touches private keys. */
#include <string.h>

#include "base/mem.h"
#include "common/local_service.h"
#include "keyd/keyd.h"
#include "keyd/tpmd_api.h"
#include "wire/json.h"

#define DOORS_MAX 32

static int
listen_all(struct local_service *service, struct keyd *keyd, struct keyd_door *doors, const json_t *sockets, int64_t max_requests,
	struct err *err)
{
	json_t *item;
	size_t i;

	if (json_array_size(sockets) > DOORS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d sockets", DOORS_MAX);
	json_array_foreach(sockets, i, item) {
		const char *path, *principal;

		if (json_get_text(item, "path", &path, err) < 0 || json_find_text(item, "principal", &principal, err) < 0)
			return -1;
		doors[i] = (struct keyd_door){ .keyd = keyd, .principal = principal };
		if (principal && !principals_named(&keyd->principals, principal))
			return err_set(err, ERR_INVALID, "the socket %s is bound to the principal %s, which does not exist", path,
				principal);
		if (local_service_listen(service, path, 0666, principal ? 64 : (size_t)max_requests, &doors[i], err) < 0)
			return -1;
	}
	return 0;
}

/* "tpm": {"tcti", "owner_auth", "base"} */
static int
take_tpm(struct key_store_config *store, const json_t *config, struct err *err)
{
	json_t *tpm = NULL;
	const char *auth = NULL;

	if (json_find_object(config, "tpm", &tpm, err) < 0)
		return -1;
	if (!tpm)
		return 0;
	if (json_find_text(tpm, "tcti", &store->tpm_tcti, err) < 0 || json_find_text(tpm, "owner_auth", &auth, err) < 0 ||
		json_find_bool(tpm, "base", &store->tpm_base, err) < 0)
		return -1;
	if (auth && strlen(auth) > SECRET_MAX)
		return err_set(err, ERR_INVALID, "owner_auth has more than %d characters", SECRET_MAX);
	if (auth)
		secret_set(&store->tpm_owner_auth, auth, strlen(auth));
	return 0;
}

/* "tpm": {"socket", "principal", "max_requests", "key_index", "endorsement_auth"}: where it is asked for the sake of provisioning, and by whom. */
static int
listen_for_tpm(struct local_service *service, struct keyd *keyd, struct tpmd_door *door, const json_t *config, struct err *err)
{
	const char *path = NULL, *name = NULL, *auth = NULL;
	const struct principal *principal;
	json_t *tpm = NULL;
	int64_t index = TPM_REGISTRATION_KEY_INDEX, max_requests = 10;

	if (json_find_object(config, "tpm", &tpm, err) < 0)
		return -1;
	if (!tpm || !json_object_get(tpm, "socket"))
		return 0;
	if (json_get_text(tpm, "socket", &path, err) < 0 || json_get_text(tpm, "principal", &name, err) < 0 ||
		json_find_int(tpm, "max_requests", &max_requests, err) < 0 || json_find_int(tpm, "key_index", &index, err) < 0 ||
		json_find_text(tpm, "endorsement_auth", &auth, err) < 0)
		return -1;
	principal = principals_named(&keyd->principals, name);
	if (!principal || index < 0 || index > TPM_REGISTRATION_KEY_INDEX_MAX || (auth && strlen(auth) > SECRET_MAX))
		return err_set(err, ERR_INVALID, "tpm: no such principal, a key_index above 0x%x or a password that is too long",
			TPM_REGISTRATION_KEY_INDEX_MAX);
	*door = (struct tpmd_door){ .registration = { .tpm = key_store_tpm(keyd->store), .key_index = (uint32_t)index },
		.uid = principal->uid };
	if (auth)
		secret_set(&door->registration.endorsement_auth, auth, strlen(auth));
	return local_service_listen_for(service, &tpmd_endpoints, path, 0666, (size_t)max_requests, door, err);
}

/* Who may what is the only thing that changes while keyd runs. */
static int
take_principals(const json_t *config, void *arg, struct err *err)
{
	struct keyd *keyd = arg;
	json_t *list = NULL;

	if (json_find_array(config, "principals", &list, err) < 0)
		return -1;
	return principals_change(&keyd->principals, &keyd->principals_lock, list, err);
}

static int
serve(const json_t *config, const struct service_options *options, struct err *err)
{
	OWN(local_service) service = NULL;
	struct keyd keyd = { .principals_lock = PTHREAD_RWLOCK_INITIALIZER };
	struct keyd_door doors[DOORS_MAX];
	struct tpmd_door tpmd = { 0 };
	json_t *preloaded = NULL, *sockets = NULL;
	int64_t max_requests = 10;
	struct key_store_config store = { 0 };
	const char *dir;
	int status;

	if (json_get_text(config, "dir", &dir, err) < 0 || json_find_object(config, "preloaded_keys", &preloaded, err) < 0 ||
		json_find_array(config, "sockets", &sockets, err) < 0 ||
		json_find_int(config, "max_requests", &max_requests, err) < 0 ||
		json_find_text(config, "pkcs11_lib_path", &store.pkcs11_module, err) < 0 ||
		json_find_text(config, "pkcs11_base_slot", &store.pkcs11_base, err) < 0 || take_tpm(&store, config, err) < 0 ||
		take_principals(config, &keyd, err) < 0)
		return -1;
	store.dir = dir;
	store.preloaded = preloaded;
	keyd.store = key_store_open(&store, err);
	secret_clear(&store.tpm_owner_auth);
	status = keyd.store ? key_store_own_secret(keyd.store, "handle-validation-key", &keyd.validation_key, err) : -1;
	if (status == 0) {
		service = local_service_new(&keyd_endpoints);
		status = listen_all(service, &keyd, doors, sockets, max_requests, err);
	}
	if (status == 0)
		status = listen_for_tpm(service, &keyd, &tpmd, config, err);
	if (status == 0) {
		local_service_on_change(service, options, take_principals, &keyd);
		local_service_run(service, options, NULL);
	}
	local_service_free(GIVE(service));
	secret_clear(&tpmd.registration.endorsement_auth);
	key_store_close(keyd.store);
	principals_clear(&keyd.principals);
	secret_clear(&keyd.validation_key);
	return status;
}

int
main(int argc, char **argv)
{
	static const struct local_service_role role = {
		.name = "keyd",
		.summary = "The keys service: makes, keeps and uses keys for those who may.",
		.serve = serve,
	};

	key_start_small(); /* keyd is what stays when everything else is restarted */
	return local_service_main(&role, argc, argv);
}
