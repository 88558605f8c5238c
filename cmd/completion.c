/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge completion: scripts for shells.  They ask --help for what can come next, so they know no word by themselves and never fall behind. */
#include <stdio.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "page.h"

/* The words before the cursor that are no options are the command; its --help lists verbs and options, one a line. */
static const char bash[] = "_rootedge() {\n"
			   "	local words=() w help\n"
			   "	for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
			   "		case $w in -*) break ;; *) words+=(\"$w\") ;; esac\n"
			   "	done\n"
			   "	help=$(rootedge \"${words[@]}\" --help 2>/dev/null)\n"
			   "	if [[ ${COMP_WORDS[COMP_CWORD]} == -* ]]; then\n"
			   "		help=$(grep -o -- '--[a-z][a-z0-9-]*' <<<\"$help\")\n"
			   "	else\n"
			   "		help=$(sed -n 's/^  \\([a-z][a-z0-9-]*\\) .*/\\1/p' <<<\"$help\")\n"
			   "	fi\n"
			   "	COMPREPLY=($(compgen -W \"$help\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
			   "}\n"
			   "complete -o default -F _rootedge rootedge\n";

static const char zsh[] = "#compdef rootedge\n"
			  "_rootedge() {\n"
			  "	local -a before found; local help w\n"
			  "	for w in \"${(@)words[2,CURRENT-1]}\"; do\n"
			  "		case $w in -*) break ;; *) before+=(\"$w\") ;; esac\n"
			  "	done\n"
			  "	help=$(rootedge \"${before[@]}\" --help 2>/dev/null)\n"
			  "	if [[ ${words[CURRENT]} == -* ]]; then\n"
			  "		found=(${(f)\"$(grep -o -- '--[a-z][a-z0-9-]*' <<<\"$help\")\"})\n"
			  "	else\n"
			  "		found=(${(f)\"$(sed -n 's/^  \\([a-z][a-z0-9-]*\\) .*/\\1/p' <<<\"$help\")\"})\n"
			  "	fi\n"
			  "	(( ${#found} )) && compadd -- \"${found[@]}\" || _files\n"
			  "}\n"
			  "compdef _rootedge rootedge\n";

static const char fish[] = "function __rootedge_complete\n"
			   "	set -l before (commandline -opc | string match -v -- '-*')\n"
			   "	set -l help (rootedge $before[2..-1] --help 2>/dev/null)\n"
			   "	if string match -q -- '-*' (commandline -ct)\n"
			   "		printf '%s\\n' $help | string match -ra -- '--[a-z][a-z0-9-]*'\n"
			   "	else\n"
			   "		printf '%s\\n' $help | string replace -rf '^  ([a-z][a-z0-9-]*) +(.*)' '$1\\t$2'\n"
			   "	end\n"
			   "end\n"
			   "complete -c rootedge -a '(__rootedge_complete)'\n";

static const struct {
	const char *name, *script;
} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

static const struct option_row rows[] = { { 0 } };
static const struct option_usage usage = {
	.command = "rootedge completion",
	.arguments = "bash|zsh|fish",
	.summary = "Print the script by which a shell completes rootedge's verbs and options.",
	.more = "bash: source <(rootedge completion bash)\nzsh: source <(rootedge completion zsh)\nfish: rootedge completion fish "
		"| source",
	.rows = rows,
};

int
cmd_completion(int argc, char **argv)
{
	struct err err = ERR_INIT;
	int n = option_parse(&usage, NULL, argc, argv, &err);

	for (size_t i = 0; n == 1 && i < COUNT(shells); i++)
		if (text_is(argv[0], shells[i].name)) {
			fputs(shells[i].script, stdout);
			return fflush(stdout) == 0 ? 0 : 1;
		}
	if (n >= 0)
		(void)err_set(&err, ERR_INVALID, "expected one of bash, zsh and fish");
	return page_failure(usage.command, &err, 2);
}
