/* SPDX-License-Identifier: Apache-2.0 */
/* The fingerprints of roots that have retired, and the file of a line: what is taken keeps its ceilings. */
#include "base/mem.h"
#include "fuzz.h"
#include "pki/root_line.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN_TEXT text = mem_textn((const char *)data, size);
	uint8_t retired[ROOT_LINE_MAX][DIGEST_SHA256_LEN];
	CLEAR(root_line) line = { 0 };
	struct err err = ERR_INIT;
	size_t n;

	if (root_line_parse_fingerprints(text, retired, &n))
		FUZZ_CHECK(n <= ROOT_LINE_MAX && n * DIGEST_SHA256_LEN * 2 <= size);
	if (root_line_parse(&line, (const char *)data, size, &err) == 0)
		FUZZ_CHECK(line.n <= ROOT_LINE_MAX && line.n_retired <= ROOT_LINE_MAX);
	return 0;
}
