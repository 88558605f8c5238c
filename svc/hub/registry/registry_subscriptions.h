/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The registry's file as the place of kept subscriptions (heads/subscriptions.h), written on its worker. */

#include "heads/subscriptions.h"
#include "hub/registry/registry.h"

struct subscriptions_keeper registry_subscriptions(struct registry *registry);
