/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmd/unit_show.h"
#include "t.h"

static const char text[] = "Result=success\nNRestarts=0\nExecMainStatus=0\nMainPID=812\nId=rootedge-keyd."
			   "service\nLoadState=loaded\nActiveState=active\n"
			   "SubState=running\nActiveEnterTimestampMonotonic=5120000\n"
			   "\n"
			   "Id=rootedge-keyd.socket\nLoadState=loaded\nActiveState=active\nSubState=running\n"
			   "\n"
			   "Result=exit-code\nNRestarts=5\nExecMainStatus=1\nMainPID=0\nId=rootedge-certd.service\nLoadState="
			   "loaded\nActiveState=failed\nSubState=failed\n";

TEST("units are read by the lines between empty ones, in whatever order their properties are")
{
	struct unit_show units[8];

	CHECK_INT(unit_show_parse(units, 8, text), 3);
	CHECK_STR(units[0].value[UNIT_ID], "rootedge-keyd.service");
	CHECK_STR(units[0].value[UNIT_PID], "812");
	CHECK_STR(units[1].value[UNIT_ID], "rootedge-keyd.socket");
	CHECK_STR(units[1].value[UNIT_PID], "");
	CHECK_STR(units[2].value[UNIT_RESTARTS], "5");
	CHECK_INT(unit_show_parse(units, 2, text), 2);
	CHECK_INT(unit_show_parse(units, 8, ""), 0);
	CHECK_INT(unit_show_parse(units, 8, "\n\n=\nnonsense\n\n"), 1);
}

TEST("a value that is too long is cut")
{
	struct unit_show unit;
	char line[2 * UNIT_VALUE_MAX];

	memset(line, 'x', sizeof(line));
	memcpy(line, "Id=", 3);
	line[sizeof(line) - 1] = '\0';
	CHECK_INT(unit_show_parse(&unit, 1, line), 1);
	CHECK_INT(strlen(unit.value[UNIT_ID]), UNIT_VALUE_MAX - 1);
}

TEST("an active service is running, one whose socket waits for the first connection is ready, and another is down with its reason")
{
	struct unit_show units[3], idle = { 0 }, gone = { 0 };
	char words[160];

	unit_show_parse(units, 3, text);
	CHECK_STR(unit_show_state(&units[0], &units[1], words, sizeof(words)), "Running");
	CHECK_STR(unit_show_state(&units[2], NULL, words, sizeof(words)), "Down - failed (exit-code, status 1)");
	unit_show_parse(&idle, 1, "ActiveState=inactive\nLoadState=loaded\n");
	CHECK_STR(unit_show_state(&idle, &units[1], words, sizeof(words)), "Ready");
	CHECK_STR(unit_show_state(&idle, NULL, words, sizeof(words)), "Down - inactive");
	unit_show_parse(&idle, 1, "ActiveState=inactive\nLoadState=loaded\nConditionResult=no\n");
	CHECK_STR(unit_show_state(&idle, NULL, words, sizeof(words)), "Not configured");
	unit_show_parse(&idle, 1, "ActiveState=active\nSubState=exited\nLoadState=loaded\n");
	CHECK_STR(unit_show_state(&idle, NULL, words, sizeof(words)), "Done");
	unit_show_parse(&idle, 1, "ActiveState=activating\nSubState=start\nLoadState=loaded\n");
	CHECK_STR(unit_show_state(&idle, NULL, words, sizeof(words)), "Starting");
	unit_show_parse(&idle, 1, "ActiveState=activating\nSubState=auto-restart\nResult=exit-code\nExecMainStatus=1\n");
	CHECK_STR(unit_show_state(&idle, NULL, words, sizeof(words)), "Down - activating (exit-code, status 1)");
	unit_show_parse(&gone, 1, "ActiveState=inactive\nLoadState=not-found\n");
	CHECK_STR(unit_show_state(&gone, NULL, words, sizeof(words)), "Down - not installed");
}
