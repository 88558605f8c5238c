/* SPDX-License-Identifier: Apache-2.0 */
/* A request that the server has not decided about is a file beside the certificates, so that it is asked about again after a restart, and the same request. */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/est_pending.h"
#include "common/id_file.h"
#include "pki/est.h"
#include "wire/json.h"

#define FILE_MAX (4 * EST_BODY_MAX)
#define WAIT_MAX_S 86400 /* a longer one is a clock that was set back since */

static json_t *
load(const struct est_pending *p)
{
	struct err err = ERR_INIT;
	OWN_TEXT path = id_file_place(p->dir, p->id, ".pending", &err);
	CLEAR(buf) text = BUF_INIT(FILE_MAX);

	return path && file_load(&text, path, &err) == 0 ? json_parse(text.data, text.len, &err) : NULL;
}

struct csr *
est_pending_find(const struct est_pending *p, const struct csr *now_asked, int64_t now, int64_t *not_before)
{
	OWN_LIB(json_t) kept = load(p);
	const char *url = NULL, *body = NULL;
	struct err err = ERR_INIT;
	OWN(csr) csr = NULL;

	*not_before = 0;
	if (!kept || json_get_text(kept, "url", &url, &err) < 0 || json_get_text(kept, "csr", &body, &err) < 0 ||
		json_find_int(kept, "not_before", not_before, &err) < 0 || !text_is(url, p->url))
		return NULL;
	csr = est_take_csr(body, strlen(body), &err);
	if (!csr || !csr_wishes_same(csr, now_asked))
		return NULL;
	if (*not_before > now + WAIT_MAX_S)
		*not_before = 0;
	return GIVE(csr);
}

int
est_pending_keep(const struct est_pending *p, const struct csr *csr, int64_t not_before, struct err *err)
{
	CLEAR(buf) der = BUF_INIT(EST_BODY_MAX);
	CLEAR(buf) body = BUF_INIT(2 * EST_BODY_MAX);
	OWN_TEXT path = id_file_place(p->dir, p->id, ".pending", err);
	OWN_LIB(json_t) json = NULL;
	OWN_TEXT line = NULL;

	csr_put_der(csr, &der);
	est_put_der(&body, der.data, der.len);
	json = json_pack("{s:s, s:s, s:I}", "url", p->url, "csr", buf_text(&body), "not_before", (json_int_t)not_before);
	line = json ? json_line(json) : NULL;
	return path && line ? file_save(path, line, strlen(line), 0600, err) : -1;
}

void
est_pending_forget(const struct est_pending *p)
{
	struct err err = ERR_INIT;
	OWN_TEXT path = id_file_place(p->dir, p->id, ".pending", &err);

	if (path && file_exists(path) && file_remove(path, &err) < 0)
		log_warn("a request that is decided stays in its file: %s", err.text);
}
