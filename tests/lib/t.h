/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Unit tests, one small header over cmocka.
 *
 *	TEST("an empty buffer has empty text")
 *	{
 *		CHECK_STR(buf_text(&b), "");
 *	}
 *
 * Each TEST registers itself; the program runs all of them and prints TAP.  A file of tests is a program of its own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"

#define T_TESTS_MAX 256

static struct CMUnitTest t_tests[T_TESTS_MAX];
static size_t t_n_tests;
static char t_dir[64];
static pid_t t_dir_of; /* a forked child that exits must not remove it */

static inline void
t_register(const char *sentence, CMUnitTestFunction function)
{
	if (t_n_tests == T_TESTS_MAX)
		abort();
	t_tests[t_n_tests++] = (struct CMUnitTest){ .name = sentence, .test_func = function };
}

#define T_CAT_(a, b) a##b
#define T_CAT(a, b) T_CAT_(a, b)
#define T_TEST_(sentence, id)                                                                                                      \
	static void T_CAT(t_test_, id)(void **t_state);                                                                            \
	__attribute__((constructor)) static void T_CAT(t_register_, id)(void)                                                      \
	{                                                                                                                          \
		t_register(sentence, T_CAT(t_test_, id));                                                                          \
	}                                                                                                                          \
	static void T_CAT(t_test_, id)(__attribute__((unused)) void **t_state)
#define TEST(sentence) T_TEST_(sentence, __LINE__)

#define CHECK(condition) assert_true(condition)
#define CHECK_STR(got, want)                                                                                                       \
	do {                                                                                                                       \
		const char *t_got = (got), *t_want = (want);                                                                       \
		if (!t_got || !t_want)                                                                                             \
			assert_ptr_equal(t_got, t_want);                                                                           \
		else                                                                                                               \
			assert_string_equal(t_got, t_want);                                                                        \
	} while (0)
#define CHECK_INT(got, want)                                                                                                       \
	do {                                                                                                                       \
		long long t_got = (long long)(got), t_want = (long long)(want);                                                    \
		if (t_got != t_want)                                                                                               \
			fail_msg("%s is %lld, not %lld", #got, t_got, t_want);                                                     \
	} while (0)
#define CHECK_MEM(got, want, len) assert_memory_equal(got, want, len)
#define CHECK_CONTAINS(text, part)                                                                                                 \
	do {                                                                                                                       \
		const char *t_text = (text);                                                                                       \
		if (!t_text || !strstr(t_text, part))                                                                              \
			fail_msg("expected '%s' in '%s'", part, t_text ? t_text : "(null)");                                       \
	} while (0)
/* A failure of this kind whose sentence has this part. */
#define CHECK_ERR(e, wanted_kind, part)                                                                                            \
	do {                                                                                                                       \
		if ((e).kind != (wanted_kind))                                                                                     \
			fail_msg("kind %s, not %s: %s", err_kind_name((e).kind), err_kind_name(wanted_kind), (e).text);            \
		CHECK_CONTAINS((e).text, part);                                                                                    \
	} while (0)
/* A call that must not fail: shows the sentence when it does. */
#define CHECK_OK(call, e)                                                                                                          \
	do {                                                                                                                       \
		if ((call) < 0)                                                                                                    \
			fail_msg("%s: %s", #call, (e).text);                                                                       \
	} while (0)

static inline void
t_remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", t_dir);
	if (t_dir_of == getpid() && system(command) != 0)
		fprintf(stderr, "# could not remove %s\n", t_dir);
}

/* A folder of this program's own, removed at its end. */
#define T_TMPDIR (t_tmpdir())
static inline const char *
t_tmpdir(void)
{
	if (!*t_dir) {
		snprintf(t_dir, sizeof(t_dir), "/tmp/re-test-XXXXXX");
		if (!mkdtemp(t_dir))
			abort();
		t_dir_of = getpid();
		atexit(t_remove_dir);
	}
	return t_dir;
}

int
main(void)
{
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("", t_tests, t_n_tests, NULL, NULL) != 0; /* the count would wrap at 256 */
}
