/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for the device's identity (edge-services 3.1). */
#include "edged/device_wait.h"

#include <poll.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "identityd/client.h"

#define RETRY_MS 5000

static bool
ask(struct edged *e, struct err *err)
{
	OWN(edge_identity) identity = identityd_client_device(e->identityd, err);

	if (!identity)
		return false;
	e->hub_name = mem_text(identity->hub_name);
	e->device_id = mem_text(identity->device_id);
	return true;
}

void
device_wait(struct edged *e)
{
	struct err said = ERR_INIT, err = ERR_INIT;

	while (!ask(e, &err)) {
		if (!text_is(err.text, said.text))
			log_warn("who this device is, is not known yet: %s", err.text);
		said = err;
		err = (struct err)ERR_INIT;
		poll(NULL, 0, RETRY_MS);
	}
	log_info("this device is %s of %s", e->device_id, e->hub_name);
}

bool
device_has_moved(const struct edged *e)
{
	struct err none = ERR_INIT;
	OWN(edge_identity) identity = identityd_client_device(e->identityd, &none);

	return identity && !(text_is(identity->hub_name, e->hub_name) && text_is(identity->device_id, e->device_id));
}
