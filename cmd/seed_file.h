/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A file of devices, read one after the other: a JSON array, an object a line, or CSV whose first line names the columns.  Which of them it is shows in
 * its first character.  However large the file is, one device of it is in memory. */

#include <stdint.h>
#include <stdio.h>

#include "wire/json.h"

#define SEED_FILE_COLUMNS_MAX 64

struct seed_file {
	FILE *in;      /* borrowed */
	uint64_t line; /* of the device that was read last; when reading: where it is */
	uint64_t at, n_bytes;
	bool is_csv, is_array, begun;
	size_t n_columns;
	char *columns[SEED_FILE_COLUMNS_MAX]; /* as paths into the JSON of a device */
};

int seed_file_open(struct seed_file *file, FILE *in, struct err *err);
/* 1: *out is the caller's; 0: the end; -1: the rest can't be read. */
int seed_file_next(struct seed_file *file, json_t **out, struct err *err);
void seed_file_clear(struct seed_file *file);
