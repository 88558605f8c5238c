/* SPDX-License-Identifier: Apache-2.0 */
/* Modules and tokens in use, each once. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "keys/pkcs11_tokens.h"

struct pkcs11 {
	char *module_path;
	struct pkcs11_module *modules;
	struct pkcs11_token *tokens;
	pthread_mutex_t lock; /* both lists */
};

struct pkcs11 *
pkcs11_new(const char *module_path)
{
	struct pkcs11 *p = NEW(pkcs11);

	p->module_path = mem_text(module_path);
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void
pkcs11_free(struct pkcs11 *p)
{
	if (!p)
		return;
	while (p->tokens) {
		struct pkcs11_token *next = p->tokens->next;

		pkcs11_token_free(p->tokens);
		p->tokens = next;
	}
	while (p->modules) {
		struct pkcs11_module *next = p->modules->next;

		pkcs11_module_close(p->modules);
		p->modules = next;
	}
	pthread_mutex_destroy(&p->lock);
	mem_free(p->module_path);
	mem_free(p);
}

/* RFC 7512 2.4: module-path is a file; module-name a library as the linker finds it. */
static char *
path_of(const struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err)
{
	const char *path = uri->text[PKCS11_MODULE_PATH], *name = uri->text[PKCS11_MODULE_NAME];

	if (path)
		return *path == '/' ? mem_text(path) : err_null(err, ERR_INVALID, "module-path is a whole path");
	if (name)
		return strchr(name, '/') ? err_null(err, ERR_INVALID, "module-name is a name, and no path")
					 : mem_textf("lib%s.so", name);
	return p->module_path
		       ? mem_text(p->module_path)
		       : err_null(err, ERR_INVALID, "no PKCS #11 module is configured (pkcs11_lib_path), nor named by the URI");
}

static struct pkcs11_module *
find_module(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err)
{
	OWN_TEXT path = path_of(p, uri, err);
	struct pkcs11_module *m;

	for (m = p->modules; path && m; m = m->next)
		if (text_is(m->path, path))
			return m;
	m = path ? pkcs11_module_open(path, err) : NULL;
	if (m) {
		m->next = p->modules;
		p->modules = m;
	}
	return m;
}

static struct pkcs11_token *
find_token(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err)
{
	struct pkcs11_module *module;
	struct pkcs11_token *t;

	for (t = p->tokens; t; t = t->next)
		if (pkcs11_uri_same_token(t->uri, uri))
			return t;
	module = find_module(p, uri, err);
	if (!module)
		return NULL;
	t = pkcs11_token_new(module, uri);
	t->next = p->tokens;
	p->tokens = t;
	return t;
}

struct pkcs11_token *
pkcs11_tokens_get(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err)
{
	struct pkcs11_token *t;

	pthread_mutex_lock(&p->lock);
	t = find_token(p, uri, err);
	pthread_mutex_unlock(&p->lock);
	return t;
}
