/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations.  The file is looked at rather than waited for: a look costs nothing, and a sandbox that shows the file may not show its folder. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "common/config_watch.h"
#include "wire/json.h"

#define CONFIG_MAX (1024 * 1024)
#define LOOK_MS 5000

struct config_watch {
	const char *path;
	struct timer timer;
	struct file_version version; /* as it was when it was read */
	int (*changed)(const json_t *config, void *arg, struct err *err);
	void *arg;
};

json_t *
config_load(const char *path, struct err *err)
{
	struct buf text = BUF_INIT(CONFIG_MAX);
	json_t *config = NULL;

	if (!path)
		return err_null(err, ERR_INVALID, "--config is missing");
	if (file_load(&text, path, err) == 0) {
		config = json_parse(text.data, text.len, err);
		if (!config)
			err_wrap(err, "%s", path);
	}
	buf_wipe(&text);
	return config;
}

/* A file that is away for a moment counts as the one before. */
static struct file_version
version_now(const struct config_watch *w)
{
	struct file_version now = file_version(w->path);

	return now.inode ? now : w->version;
}

void
config_watch_look(struct config_watch *w)
{
	struct file_version version = version_now(w);
	struct err err = ERR_INIT;
	OWN_LIB(json_t) config = config_load(w->path, &err);

	w->version = version;
	if (config && w->changed(config, w->arg, &err) == 0)
		log_info("the configuration was read again");
	else
		log_warn("the configuration stays as it was: %s", err.text);
}

static void
look_if_changed(struct timer *timer)
{
	struct config_watch *w = CONTAINER_OF(timer, struct config_watch, timer);
	struct file_version v = version_now(w);

	if (!file_version_is(&v, &w->version))
		config_watch_look(w);
	timer_arm(timer, LOOK_MS);
}

struct config_watch *
config_watch_start(struct loop *loop, const char *path, int (*changed)(const json_t *config, void *arg, struct err *err), void *arg)
{
	struct config_watch *w = NEW(config_watch);

	w->path = path;
	w->changed = changed;
	w->arg = arg;
	w->version = version_now(w);
	timer_init(&w->timer, loop, look_if_changed);
	timer_arm(&w->timer, LOOK_MS);
	return w;
}

void
config_watch_stop(struct config_watch *w)
{
	if (!w)
		return;
	timer_cancel(&w->timer);
	mem_free(w);
}
