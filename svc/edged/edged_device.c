/* SPDX-License-Identifier: Apache-2.0 */
/* The device's identity (edge-services 3.1). */
#include "edged/edged_device.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

static void
set(struct edged_device *d, const char *hub_name, const char *device_id)
{
	struct device_names *names = NEW(device_names);

	names->hub_name = mem_text(hub_name);
	names->device_id = mem_text(device_id);
	atomic_store(&d->names, names);
}

void
edged_device_init(struct edged_device *d, const char *hub_name, const char *device_id)
{
	pthread_mutex_init(&d->lock, NULL);
	if (hub_name && device_id)
		set(d, hub_name, device_id);
}

void
edged_device_clear(struct edged_device *d)
{
	struct device_names *names = atomic_load(&d->names);

	pthread_mutex_destroy(&d->lock);
	if (!names)
		return;
	mem_free(names->hub_name);
	mem_free(names->device_id);
	mem_free(names);
}

const struct device_names *
edged_device_names(struct edged_device *d, struct err *err)
{
	const struct device_names *names = atomic_load(&d->names);

	if (names)
		return names;
	pthread_mutex_lock(&d->lock);
	(void)err_set(err, ERR_UNAVAILABLE, "who this device is, is not known yet%s%.400s", *d->why.text ? ": " : "", d->why.text);
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static void
note_why(struct edged_device *d, const struct err *why)
{
	bool news;

	pthread_mutex_lock(&d->lock);
	news = !text_is(why->text, d->why.text);
	d->why = *why;
	pthread_mutex_unlock(&d->lock);
	if (news)
		log_warn("who this device is, is not known yet: %s", why->text);
}

bool
edged_device_ask(struct edged_device *d, const struct identityd_client *identityd)
{
	struct err err = ERR_INIT;
	OWN(edge_identity) identity = NULL;

	if (atomic_load(&d->names))
		return true;
	identity = identityd_client_device(identityd, &err);
	if (!identity) {
		note_why(d, &err);
		return false;
	}
	set(d, identity->hub_name, identity->device_id);
	log_info("this device is %s of %s", identity->device_id, identity->hub_name);
	return true;
}

bool
edged_device_has_moved(struct edged_device *d, const struct identityd_client *identityd)
{
	struct err none = ERR_INIT;
	const struct device_names *names = edged_device_names(d, &none);
	OWN(edge_identity) identity = names ? identityd_client_device(identityd, &none) : NULL;

	return identity && !(text_is(identity->hub_name, names->hub_name) && text_is(identity->device_id, names->device_id));
}
