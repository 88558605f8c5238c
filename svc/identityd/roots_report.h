/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A device without a gateway tells the hub which roots it trusts, for whoever wants to retire one (docs/trust.md): a gateway does so on its own connection, in its place the device itself connects for
 * that one sentence, once after each start and when its roots have changed.  What it says stands among its reported properties: {"trust": {"roots": [...]}}.
 *
 * On a thread of its own; while the hub is away it waits, longer each time.  Nothing else waits for it. */

#include "identityd/provisioner.h"

struct roots_report_config {
	struct cloud *cloud;
	struct device_credential *credential;
	struct provisioner *provisioner;
	const char *address; /* instead of resolving the hub's name; may be NULL */
	int port;	     /* of the hub's MQTT */
};
struct roots_report;
struct roots_report *roots_report_start(const struct roots_report_config *config, struct err *err); /* all borrowed */
void roots_report_stop(struct roots_report *report);						    /* cloud_stop comes first */
