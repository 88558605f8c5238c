/* SPDX-License-Identifier: Apache-2.0 */
/* Files of devices for `rootedge hub seed`: JSON or CSV, whatever is in it, it ends, and what is read are objects in the order of the lines. */
#include "fuzz.h"
#include "seed_file.h"

#define DEVICES_MAX 100000

static void
read_all(FILE *in)
{
	struct seed_file file = { 0 };
	struct err err = ERR_INIT;
	uint64_t line = 0;
	json_t *device = NULL;
	int got = seed_file_open(&file, in, &err) < 0 ? -1 : 1;

	for (int n = 0; got == 1; n++) {
		got = seed_file_next(&file, &device, &err);
		if (got != 1)
			break;
		FUZZ_CHECK(json_is_object(device) && file.line >= line && n < DEVICES_MAX);
		line = file.line;
		json_decref(device);
	}
	FUZZ_CHECK(got == 0 || *err.text);
	seed_file_clear(&file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *in = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;

	if (!in)
		return 0;
	read_all(in);
	fclose(in);
	return 0;
}
