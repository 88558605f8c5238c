/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests: an EST server's configuration with a CA of its own, on the clock of pki/story.h. */

#include "base/file.h"
#include "ca/csr_story.h"
#include "est/est_config.h"

/* A root as the issuer [issuer.plant], in a folder of its own; the caller clears ca. */
struct est_story {
	struct made ca;
	char *dir;
};

static inline void
est_story_save(const struct est_story *s, const char *name, const char *text)
{
	OWN_TEXT path = file_join(s->dir, name);
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, text, strlen(text), 0600, &err), err);
}

static inline void
est_story_save_cert(const struct est_story *s, const char *name, const struct cert *cert)
{
	OWN_TEXT pem = cert_pem(cert);

	est_story_save(s, name, pem);
}

static inline struct est_story
est_story_new(void)
{
	struct est_story s = { .ca = story_root("plant CA"), .dir = story_path("est") };
	struct err err = ERR_INIT;
	OWN_TEXT key = file_join(s.dir, "plant.key");

	CHECK_OK(file_make_dir(s.dir, 0700, &err), err);
	est_story_save_cert(&s, "plant.pem", s.ca.cert);
	CHECK_OK(key_save(s.ca.key, key, &err), err);
	return s;
}

static inline void
est_story_clear(struct est_story *s)
{
	made_clear(&s->ca);
	mem_free(s->dir);
}

#define EST_STORY_ISSUER "[issuer.plant]\ncertificate = \"plant.pem\"\nkey = \"plant.key\"\n"

static inline struct est_config *
est_story_try(const struct est_story *s, const char *text, struct err *err)
{
	OWN_TEXT path = file_join(s->dir, "est.toml");

	est_story_save(s, "est.toml", text);
	return est_config_load(path, NULL, err);
}

/* With that issuer and these labels. */
static inline struct est_config *
est_story_config(const struct est_story *s, const char *labels)
{
	OWN_TEXT text = mem_textf("%s%s", EST_STORY_ISSUER, labels);
	struct err err = ERR_INIT;
	struct est_config *c = est_story_try(s, text, &err);

	if (!c)
		fail_msg("%s", err.text);
	return c;
}
