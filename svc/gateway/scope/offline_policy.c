/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of [offline] (offline_policy.h). */
#include "gateway/scope/offline_policy.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "common/renewal.h"

static const char *const classes[] = {
	[OFFLINE_ALL] = "all=",
	[OFFLINE_MODULES] = "modules=",
	[OFFLINE_SAS] = "sas=",
	[OFFLINE_THUMBPRINT] = "thumbprint=",
	[OFFLINE_CA] = "ca=",
	[OFFLINE_DEVICES] = "devices:",
};

static int
take_span(int64_t *seconds, const char *text, struct err *err)
{
	struct renewal_span span = { 0 };

	if (renewal_span_parse(&span, text, err) < 0)
		return -1;
	if (span.percent > 0)
		return err_set(err, ERR_INVALID, "'%s' is a share of nothing: a time is expected, such as 90day", text);
	*seconds = span.seconds;
	return 0;
}

/* The pattern may have an = in it, the time has none. */
static int
take_pattern(struct offline_rule *rule, const char *text, struct err *err)
{
	const char *last = strrchr(text, '=');

	if (!last || last == text)
		return err_set(err, ERR_INVALID, "a pattern of device ids and a time are expected: PATTERN=7day");
	rule->pattern = text;
	return take_span(&rule->seconds, last + 1, err);
}

int
offline_policy_add(struct offline_policy *p, const char *text, struct err *err)
{
	struct offline_rule *rule = &p->rule[p->n];

	if (p->n == OFFLINE_RULES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d rules", OFFLINE_RULES_MAX);
	for (int i = 0; i < OFFLINE_CLASS_COUNT; i++) {
		size_t len = strlen(classes[i]);

		if (strncmp(text, classes[i], len) != 0)
			continue;
		*rule = (struct offline_rule){ .class = (enum offline_class)i };
		if (i == OFFLINE_DEVICES ? take_pattern(rule, text + len, err) < 0 : take_span(&rule->seconds, text + len, err) < 0)
			return -1;
		p->n++;
		return 0;
	}
	return err_set(err, ERR_INVALID, "'%s': all, modules, sas, thumbprint, ca or devices:PATTERN is expected, and =TIME", text);
}

static bool
fits(const struct offline_rule *rule, const struct identity *identity)
{
	static const enum identity_auth auths[OFFLINE_CLASS_COUNT] = {
		[OFFLINE_SAS] = IDENTITY_AUTH_SAS,
		[OFFLINE_THUMBPRINT] = IDENTITY_AUTH_THUMBPRINT,
		[OFFLINE_CA] = IDENTITY_AUTH_CA,
	};

	if (rule->class == OFFLINE_DEVICES) {
		OWN_TEXT pattern = mem_textn(rule->pattern, (size_t)(strrchr(rule->pattern, '=') - rule->pattern));

		return text_fits(identity->device_id, pattern);
	}
	if (rule->class == OFFLINE_ALL)
		return true;
	if (rule->class == OFFLINE_MODULES || identity->module_id)
		return rule->class == OFFLINE_MODULES && identity->module_id;
	return identity->auth == auths[rule->class];
}

/* How much a rule says about a device. */
static int
weight(const struct offline_rule *rule)
{
	return rule->class == OFFLINE_DEVICES ? 2 : rule->class == OFFLINE_ALL ? 0 : 1;
}

int64_t
offline_policy_span(const struct offline_policy *p, const struct identity *identity)
{
	int64_t span = OFFLINE_FOR_EVER;
	int most = -1;

	for (size_t i = 0; i < p->n; i++) {
		const struct offline_rule *rule = &p->rule[i];

		if (!fits(rule, identity) || weight(rule) < most)
			continue;
		if (weight(rule) > most || rule->seconds < span)
			span = rule->seconds;
		most = weight(rule);
	}
	return span;
}
