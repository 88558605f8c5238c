/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/wait.h>

#include "base/mem.h"
#include "base/option.h"
#include "t.h"

struct opts {
	bool quiet;
	const char *name;
	int64_t port;
	struct option_list peers;
};

static const struct option_row rows[] = {
	{ "quiet", 'q', NULL, "say less", OPTION_FLAG, offsetof(struct opts, quiet), 0, 0 },
	{ "name", 0, "NAME", "call it so", OPTION_TEXT, offsetof(struct opts, name), 0, 0 },
	{ "port", 'p', "PORT", "listen here; 0 takes a free one", OPTION_INT, offsetof(struct opts, port), 0, 65535 },
	{ "peer", 0, "HOST", "may be given several times", OPTION_LIST, offsetof(struct opts, peers), 0, 0 },
	{ 0 },
};
static const struct option_usage usage = { "rootedge test", "FILE...", "Tries options.", "See also the others.", rows };

/* The arguments are words between single spaces; they live as long as `line`. */
static int
parse(struct opts *opts, char *line, char **argv, struct err *err)
{
	static char command[] = "test";
	int argc = 0;

	*opts = (struct opts){ 0 };
	argv[argc++] = command;
	for (char *word; (word = strsep(&line, " "));)
		argv[argc++] = word;
	argv[argc] = NULL;
	return option_parse(&usage, opts, argc, argv, err);
}

#define PARSE(text)                                                                                                                \
	struct err err = ERR_INIT;                                                                                                 \
	struct opts o;                                                                                                             \
	char line[] = text, *argv[60];                                                                                             \
	int n = parse(&o, line, argv, &err)

TEST("each kind of option is read in each of its spellings")
{
	PARSE("-q --name edge --port=8883 --peer a --peer=b");

	CHECK_INT(n, 0);
	CHECK(o.quiet);
	CHECK_STR(o.name, "edge");
	CHECK_INT(o.port, 8883);
	CHECK_INT(o.peers.n, 2);
	CHECK_STR(o.peers.items[0], "a");
	CHECK_STR(o.peers.items[1], "b");
}

TEST("a letter takes its value from the next word or the same")
{
	PARSE("-p 1 -p2");

	CHECK_INT(n, 0);
	CHECK_INT(o.port, 2);
}

TEST("operands stand anywhere and come out in front, in their order")
{
	PARSE("one -q two --port 5 three");

	CHECK_INT(n, 3);
	CHECK_STR(argv[0], "one");
	CHECK_STR(argv[1], "two");
	CHECK_STR(argv[2], "three");
	CHECK(o.quiet);
	CHECK_INT(o.port, 5);
}

TEST("after -- everything is an operand; a dash alone always is")
{
	PARSE("- -- -q --help");

	CHECK_INT(n, 3);
	CHECK_STR(argv[0], "-");
	CHECK_STR(argv[1], "-q");
	CHECK_STR(argv[2], "--help");
	CHECK(!o.quiet);
}

TEST("a value may be empty or look like an option")
{
	PARSE("--name= --peer --quiet");

	CHECK_INT(n, 0);
	CHECK_STR(o.name, "");
	CHECK_STR(o.peers.items[0], "--quiet");
	CHECK(!o.quiet);
}

TEST("a wrong option names the nearest one")
{
	PARSE("--prot=1");

	CHECK_INT(n, -1);
	CHECK_ERR(err, ERR_INVALID, "rootedge test: there is no option --prot; did you mean --port?");
}

TEST("--help is proposed too")
{
	PARSE("--hlep");

	CHECK_INT(n, -1);
	CHECK_ERR(err, ERR_INVALID, "did you mean --help?");
}

TEST("a wrong option that resembles none is shown as it was given")
{
	PARSE("-z");

	CHECK_INT(n, -1);
	CHECK_ERR(err, ERR_INVALID, "there is no option -z; --help lists them");
}

TEST("the beginning of an option is not the option")
{
	PARSE("--por 1");

	CHECK_INT(n, -1);
	CHECK_ERR(err, ERR_INVALID, "there is no option --por;");
}

TEST("a number outside its range is refused with the range")
{
	PARSE("--port 65536");

	CHECK_INT(n, -1);
	CHECK_ERR(err, ERR_INVALID, "--port: expected a number from 0 to 65535, found '65536'");
}

TEST("an option without its value is refused")
{
	PARSE("--name");

	CHECK_INT(n, -1);
	CHECK_ERR(err, ERR_INVALID, "--name needs a value: NAME");
}

TEST("a flag with a value is refused")
{
	PARSE("--quiet=yes");

	CHECK_INT(n, -1);
	CHECK_ERR(err, ERR_INVALID, "--quiet takes no value");
}

TEST("a list has an end")
{
	struct err err = ERR_INIT;
	struct opts o = { 0 };
	char *argv[OPTION_LIST_MAX + 2], word[] = "--peer=x";

	for (size_t i = 0; i < COUNT(argv); i++)
		argv[i] = word;
	CHECK_INT(option_parse(&usage, &o, OPTION_LIST_MAX + 1, argv, &err), 0);
	CHECK_INT(o.peers.n, OPTION_LIST_MAX);
	o = (struct opts){ 0 };
	CHECK_INT(option_parse(&usage, &o, OPTION_LIST_MAX + 2, argv, &err), -1);
	CHECK_ERR(err, ERR_LIMIT, "--peer: given more than 32 times");
}

TEST("help is written from the table")
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	option_print_help(&usage, out);
	fclose(out);
	CHECK_CONTAINS(text, "Tries options.\n\nusage: rootedge test [OPTIONS] FILE...\n");
	CHECK_CONTAINS(text, "  -q, --quiet                        say less\n");
	CHECK_CONTAINS(text, "      --name NAME                    call it so\n");
	CHECK_CONTAINS(text, "  -h, --help                         this text\n");
	CHECK_CONTAINS(text, "\nSee also the others.\n");
	free(text);
}

TEST("--help prints and ends with 0, whatever else was given")
{
	char command[] = "test", help[] = "--help", wrong[] = "--wrong", *argv[] = { command, help, wrong, NULL };
	pid_t child;
	int status = 0;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		struct err err = ERR_INIT;
		struct opts o = { 0 };

		if (!freopen("/dev/null", "w", stdout))
			_exit(3);
		option_parse(&usage, &o, 3, argv, &err);
		_exit(4);
	}
	CHECK(child > 0);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}
