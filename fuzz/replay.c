/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files and folders of inputs: the corpus as an ordinary test, and what a fuzzer found under a debugger. */
#include <dirent.h>

#include "base/file.h"
#include "fuzz.h"

#define INPUT_MAX (4 * 1024 * 1024)

static int
replay_file(const char *path)
{
	CLEAR(buf) content = BUF_INIT(INPUT_MAX);
	struct err err = ERR_INIT;
	void *exact;

	if (file_load(&content, path, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	/* Exactly as many bytes as there are, so that a sanitizer sees the first one too many. */
	exact = mem_dup(buf_text(&content), content.len);
	LLVMFuzzerTestOneInput(exact, content.len);
	mem_free(exact);
	return 1;
}

static int
replay_dir(const char *path, DIR *dir)
{
	struct dirent *entry;
	int n = 0;

	while ((entry = readdir(dir))) {
		OWN_TEXT file = file_join(path, entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		if (replay_file(file) < 0)
			return -1;
		n++;
	}
	return n;
}

int
main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		int n = dir ? replay_dir(argv[i], dir) : replay_file(argv[i]);

		if (dir)
			closedir(dir);
		if (n < 0)
			return 1;
		total += n;
	}
	printf("%d inputs\n", total);
	return total > 0 ? 0 : 1;
}
