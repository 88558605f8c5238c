/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/password.h"

#include <string.h>

#include "base/mem.h"
#include "t.h"

TEST("a password fits its own hash and no other; the same one is never hashed to the same text")
{
	struct err err = ERR_INIT;
	OWN_TEXT a = password_hash("correct horse", &err);
	OWN_TEXT b = password_hash("correct horse", &err);

	CHECK(a && b && strcmp(a, b) != 0 && !strstr(a, "horse"));
	CHECK(password_fits("correct horse", a) && password_fits("correct horse", b));
	CHECK(!password_fits("correct hors", a) && !password_fits("", a) && !password_fits("Correct horse", a));
}

TEST("what is no hash fits nothing, and neither does a user who is not there")
{
	static const char *const bad[] = { "", "correct horse", "pbkdf2-sha256$", "pbkdf2-sha256$0$AAAAAAAAAAAAAAAAAAAAAA==$",
		"pbkdf2-sha256$1$$", "pbkdf2-sha256$99999999999999999999$AA==$AA==", "pbkdf2-sha1$1$AA==$AA==" };

	for (size_t i = 0; i < COUNT(bad); i++)
		CHECK(!password_fits("", bad[i]));
	CHECK(!password_fits("", NULL) && !password_fits("x", NULL));
}

TEST("an empty password, and one that is too long, are refused")
{
	struct err err = ERR_INIT;
	OWN_TEXT long_one = mem_textf("%0*d", PASSWORD_MAX + 1, 1);

	CHECK(!password_hash("", &err) && !password_hash(long_one, &err));
	CHECK(!password_fits(long_one, NULL));
}
