/* SPDX-License-Identifier: Apache-2.0 */
/* Modules (module.h). */
#include "edged/module.h"

#include "base/mem.h"
#include "base/text.h"
#include "net/interfaces.h"
#include "wire/json.h"

static int
take_names(struct module *m, const json_t *names, struct err *err)
{
	const json_t *name;
	size_t i;

	if (json_array_size(names) > MODULE_NAMES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d names", MODULE_NAMES_MAX);
	json_array_foreach(names, i, name)
		if (json_is_string(name))
			m->names[m->n_names++] = mem_text(json_string_value(name));
	return 0;
}

int
module_take(struct module *m, const json_t *json, struct err *err)
{
	const char *id, *socket_path, *key;
	json_t *names;

	*m = (struct module){ .key_alg = KEY_EC_P256 };
	pthread_mutex_init(&m->lock, NULL);
	if (json_get_text(json, "id", &id, err) < 0 || json_get_text(json, "socket", &socket_path, err) < 0 ||
		json_find_array(json, "names", &names, err) < 0 || json_find_text(json, "key", &key, err) < 0)
		return -1;
	m->id = mem_text(id);
	m->socket_path = mem_text(socket_path);
	if (key && !key_alg_parse(key, &m->key_alg))
		return err_set(err, ERR_INVALID, "module %s: there is no kind of key '%.40s'", id, key);
	if (take_names(m, names, err) < 0 || caller_rule_take(&m->caller, json, err) < 0)
		return err_wrap(err, "module %s", id);
	return 0;
}

void
module_clear(struct module *m)
{
	for (size_t n = 0; n < m->n_names; n++)
		mem_free(m->names[n]);
	mem_free(m->id);
	mem_free(m->socket_path);
	caller_rule_clear(&m->caller);
	mem_free(m->generation_id);
	mem_free(m->sign_handle);
	pthread_mutex_destroy(&m->lock);
}

const char *
module_bare(const char *module_id)
{
	return module_id[0] == '$' ? module_id + 1 : module_id;
}

bool
module_may_have_name(const struct module *m, const char *name)
{
	if (text_is_nocase(name, module_bare(m->id)))
		return true;
	for (size_t i = 0; i < m->n_names; i++)
		if (text_is_nocase(name, m->names[i]) || (text_is(m->names[i], MODULE_NAMES_AUTO) && interfaces_have(name)))
			return true;
	return false;
}

int
module_get_identity(struct module *m, struct module_identity *identity, struct err *err)
{
	bool has;

	pthread_mutex_lock(&m->lock);
	has = m->generation_id != NULL;
	*identity = (struct module_identity){ mem_text(m->generation_id), mem_text(m->sign_handle) };
	pthread_mutex_unlock(&m->lock);
	return has ? 0
		   : err_set(err, ERR_UNAVAILABLE,
			     "the module %s has no identity: the hub could not be asked yet, or it was deleted", m->id);
}

void
module_set_identity(struct module *m, const char *generation_id, const char *sign_handle)
{
	pthread_mutex_lock(&m->lock);
	mem_free(m->generation_id);
	mem_free(m->sign_handle);
	m->generation_id = mem_text(generation_id);
	m->sign_handle = mem_text(sign_handle);
	pthread_mutex_unlock(&m->lock);
}

void
module_forget_identity(struct module *m)
{
	module_set_identity(m, NULL, NULL);
	pthread_mutex_lock(&m->lock);
	m->n_forgotten++;
	pthread_mutex_unlock(&m->lock);
}

unsigned
module_n_forgotten(struct module *m)
{
	unsigned n;

	pthread_mutex_lock(&m->lock);
	n = m->n_forgotten;
	pthread_mutex_unlock(&m->lock);
	return n;
}

void
module_identity_clear(struct module_identity *identity)
{
	mem_free(identity->generation_id);
	mem_free(identity->sign_handle);
	*identity = (struct module_identity){ 0 };
}
