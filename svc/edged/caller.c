/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the process at the other end of a socket (caller.h). */
#include "edged/caller.h"

#include <poll.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "edged/cgroup.h"
#include "wire/json.h"

#define CGROUP_MAX 16384

/* -- The rule ------------------------------------------------------------------------------------------------------------------------------ */

static int
take_id(bool *has, uint32_t *id, const json_t *json, const char *key, struct err *err)
{
	int64_t value = -1;

	if (json_find_int(json, key, &value, err) < 0)
		return -1;
	if (value >= (int64_t)UINT32_MAX)
		return err_set(err, ERR_INVALID, "%s: out of range", key);
	*has = value >= 0;
	*id = *has ? (uint32_t)value : 0;
	return 0;
}

static int
take_text(char **out, const json_t *json, const char *key, struct err *err)
{
	const char *text;

	if (json_find_text(json, key, &text, err) < 0)
		return -1;
	*out = mem_text(text);
	return 0;
}

int
caller_rule_take(struct caller_rule *rule, const json_t *json, struct err *err)
{
	*rule = (struct caller_rule){ 0 };
	if (take_id(&rule->has_uid, &rule->uid, json, "uid", err) < 0 ||
		take_id(&rule->has_gid, &rule->gid, json, "gid", err) < 0 ||
		take_text(&rule->executable, json, "executable", err) < 0 || take_text(&rule->unit, json, "unit", err) < 0 ||
		take_text(&rule->cgroup, json, "cgroup", err) < 0)
		return -1;
	if (!rule->has_uid && !rule->has_gid && !rule->executable && !rule->unit && !rule->cgroup)
		return err_set(err, ERR_INVALID, "nothing says which process it is");
	return 0;
}

void
caller_rule_clear(struct caller_rule *rule)
{
	mem_free(rule->executable);
	mem_free(rule->unit);
	mem_free(rule->cgroup);
	*rule = (struct caller_rule){ 0 };
}

/* -- What is seen of the process ------------------------------------------------------------------------------------------------------------- */

static int
check_ids(const struct caller_rule *rule, const struct peer_process *process, struct err *err)
{
	if (rule->has_uid && process->uid != rule->uid)
		return err_set(err, ERR_DENIED, "is another user than the module's (%u)", rule->uid);
	if (rule->has_gid && process->gid != rule->gid)
		return err_set(err, ERR_DENIED, "has another group than the module's (%u)", rule->gid);
	return 0;
}

static char *
load_group(const struct peer_process *process, struct err *err)
{
	OWN_TEXT path = mem_textf("/proc/%d/cgroup", process->pid);
	CLEAR(buf) text = BUF_INIT(CGROUP_MAX);
	char *group = file_load(&text, path, err) < 0 ? NULL : cgroup_path(buf_text(&text));

	if (!group && err->kind == ERR_NONE)
		(void)err_set(err, ERR_DENIED, "is in no control group that can be seen from here");
	return group;
}

static int
check_group(const struct caller_rule *rule, const struct peer_process *process, struct err *err)
{
	OWN_TEXT group = load_group(process, err);
	OWN_TEXT unit = group ? cgroup_unit(group) : NULL;

	if (!group)
		return -1;
	if (rule->unit && (!unit || !text_is(unit, rule->unit)))
		return err_set(err, ERR_DENIED, "is of the unit %.100s and not of %.100s", unit ? unit : "(none)", rule->unit);
	if (rule->cgroup && !cgroup_is_in(group, rule->cgroup))
		return err_set(err, ERR_DENIED, "is in the control group %.100s and not in %.100s", group, rule->cgroup);
	return 0;
}

static int
check_executable(const struct caller_rule *rule, const struct peer_process *process, int asker_fd, struct err *err)
{
	int is = executable_ask(asker_fd, process->pidfd, rule->executable, err);

	return is == 0 ? err_set(err, ERR_DENIED, "runs another program than %.100s", rule->executable) : is > 0 ? 0 : -1;
}

static bool
has_ended(const struct peer_process *process)
{
	struct pollfd p = { .fd = process->pidfd, .events = POLLIN };

	return process->pidfd < 0 || poll(&p, 1, 0) != 0;
}

int
caller_judge(const struct caller_rule *rule, const struct peer_process *process, int asker_fd, enum reason *reason, struct err *err)
{
	int status = check_ids(rule, process, err);

	if (status == 0 && (rule->unit || rule->cgroup))
		status = check_group(rule, process, err);
	if (status == 0 && rule->executable)
		status = check_executable(rule, process, asker_fd, err);
	*reason = CALLER_NOT_ALLOWED;
	if (!has_ended(process))
		return status;
	*reason = CALLER_UNKNOWN;
	*err = (struct err)ERR_INIT;
	return err_set(err, ERR_DENIED, "has ended since it connected");
}
