/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/text.h"
#include "t.h"
#include "wire/pkcs11_uri.h"

static struct pkcs11_uri *
parsed(const char *text)
{
	struct err err = ERR_INIT;
	struct pkcs11_uri *uri = pkcs11_uri_parse(text, &err);

	if (!uri)
		fail_msg("%s: %s", text, err.text);
	return uri;
}

TEST("every attribute of RFC 7512 is taken, decoded")
{
	OWN(pkcs11_uri)
	uri = parsed("pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;serial=4711;"
		     "library-manufacturer=L;library-description=D;library-version=3.14;slot-description=S;slot-manufacturer=M;"
		     "slot-id=327;object=my-key;type=private;id=%69%95%3E%00%F4?pin-source=file:/etc/token&module-name=p11&"
		     "module-path=/usr/lib/x.so");

	CHECK_STR(uri->text[PKCS11_TOKEN], "The Software PKCS#11 Softtoken");
	CHECK_STR(uri->text[PKCS11_MANUFACTURER], "Snake Oil, Inc.");
	CHECK_STR(uri->text[PKCS11_MODEL], "1.0");
	CHECK_STR(uri->text[PKCS11_SERIAL], "4711");
	CHECK_STR(uri->text[PKCS11_LIBRARY_MANUFACTURER], "L");
	CHECK_STR(uri->text[PKCS11_LIBRARY_DESCRIPTION], "D");
	CHECK_STR(uri->text[PKCS11_LIBRARY_VERSION], "3.14");
	CHECK_STR(uri->text[PKCS11_SLOT_DESCRIPTION], "S");
	CHECK_STR(uri->text[PKCS11_SLOT_MANUFACTURER], "M");
	CHECK_INT(uri->slot_id, 327);
	CHECK_STR(uri->text[PKCS11_OBJECT], "my-key");
	CHECK_STR(uri->text[PKCS11_TYPE], "private");
	CHECK_INT(uri->id_len, 5);
	CHECK_MEM(uri->id, "\x69\x95\x3e\0\xf4", 5);
	CHECK_STR(uri->text[PKCS11_PIN_SOURCE], "file:/etc/token");
	CHECK_STR(uri->text[PKCS11_MODULE_NAME], "p11");
	CHECK_STR(uri->text[PKCS11_MODULE_PATH], "/usr/lib/x.so");
}

TEST("the shortest URI names any token")
{
	OWN(pkcs11_uri) uri = parsed("PKCS11:");

	for (int a = 0; a < PKCS11_ATTRIBUTES; a++)
		CHECK(!uri->text[a]);
	CHECK_INT(uri->id_len, 0);
}

TEST("the examples of RFC 7512 that name one thing are taken")
{
	static const char *const texts[] = {
		"pkcs11:object=my-pubkey;type=public",
		"pkcs11:object=my-key;type=private?pin-source=file:/etc/token",
		"pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-"
		"certificate;"
		"type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin",
		"pkcs11:object=my-sign-key;type=private?module-name=mypkcs11",
		"pkcs11:object=my-sign-key;type=private?module-path=/mnt/libmypkcs11.so.1",
		"pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.?pin-value=the-pin",
		"pkcs11:slot-description=Sun%20Metaslot",
		"pkcs11:library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;library-version=1.23",
		"pkcs11:token=Edge?pin-value=1234&x-vendor=y",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct err err = ERR_INIT;
		OWN(pkcs11_uri) uri = pkcs11_uri_parse(texts[i], &err);

		if (!uri)
			fail_msg("%s: %s", texts[i], err.text);
	}
}

TEST("what could lead to another key than meant is refused, and says why")
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "pkcs12:token=a", "not a PKCS #11 URI" },
		{ "", "not a PKCS #11 URI" },
		{ "pkcs11", "not a PKCS #11 URI" },
		{ "pkcs11:token=a;token=b", "token is given twice" },
		{ "pkcs11:id=%01;id=%01", "id is given twice" },
		{ "pkcs11:tokn=a", "no attribute 'tokn' in its path" },
		{ "pkcs11:x-vendor=a", "no attribute 'x-vendor' in its path" },
		{ "pkcs11:pin-value=1234", "no attribute 'pin-value' in its path" },
		{ "pkcs11:token=a?object=b", "no attribute 'object' in its query" },
		{ "pkcs11:token", "without \"=\"" },
		{ "pkcs11:token=a;", "without \"=\"" },
		{ "pkcs11:object=", "object is empty" },
		{ "pkcs11:token=%zz", "token is empty, too long or not percent-encoded" },
		{ "pkcs11:token=%00a", "token is not UTF-8 text" },
		{ "pkcs11:token=%ff", "token is not UTF-8 text" },
		{ "pkcs11:token=a b", "only percent-encoded" },
		{ "pkcs11:token=a#b", "only percent-encoded" },
		{ "pkcs11:type=key", "type is private" },
		{ "pkcs11:slot-id=one", "slot-id is a decimal number" },
		{ "pkcs11:slot-id=-1", "slot-id is a decimal number" },
		{ "pkcs11:library-version=1.2.3", "library-version" },
		{ "pkcs11:library-version=256", "library-version" },
		{ "pkcs11:token=a?pin-value=1&pin-source=file:/x", "either pin-source or pin-value" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;

		if (pkcs11_uri_parse(cases[i].text, &err))
			fail_msg("taken: %s", cases[i].text);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
	}
}

TEST("what is too long is refused before it is looked at")
{
	OWN_TEXT value = mem_new(5001);
	OWN_TEXT uri = NULL;
	OWN_TEXT id = NULL;

	memset(value, 'a', 5000);
	uri = mem_textf("pkcs11:token=%s", value);
	CHECK(!pkcs11_uri_parse(uri, &(struct err)ERR_INIT));
	id = mem_textf("pkcs11:id=%.256s", value);
	CHECK(!pkcs11_uri_parse(id, &(struct err)ERR_INIT));
}

TEST("atk-10: a PIN is in no error and in no text that is made of the URI")
{
	static const char *const wrong[] = { "pkcs11:token=a?pin-value=9f31c0de&pin-value=9f31c0de",
		"pkcs11:token=a?pin-value=9f31c0de%zz", "pkcs11:token=a?pin-value=9f31c0de&what=9f31c0de",
		"pkcs11:tokn=a?pin-value=9f31c0de", "pkcs11:token=a b?pin-value=9f31c0de" };
	OWN(pkcs11_uri) uri = parsed("pkcs11:token=a;object=k?pin-value=9f31c0de");
	OWN_TEXT text = pkcs11_uri_format(uri);

	CHECK_STR(text, "pkcs11:token=a;object=k");
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct err err = ERR_INIT;

		CHECK(!pkcs11_uri_parse(wrong[i], &err));
		CHECK(*err.text && !strstr(err.text, "9f31c0de"));
	}
}

TEST("a URI is written in one order and spelling, and reads as the same")
{
	OWN(pkcs11_uri) uri = parsed("pkcs11:id=%61%00;object=a%3Bb%3D;slot-id=7;token=T%20%C3%A4");
	OWN_TEXT text = pkcs11_uri_format(uri);
	OWN(pkcs11_uri) again = parsed(text);

	CHECK_STR(text, "pkcs11:token=T%20%C3%A4;slot-id=7;object=a%3Bb%3D;id=a%00");
	CHECK_STR(again->text[PKCS11_OBJECT], "a;b=");
	CHECK_INT(again->id_len, 2);
}

TEST("a PIN's file is named as a URI or a path; a command, a host or a relative path is none")
{
	static const struct {
		const char *uri, *file;
	} cases[] = {
		{ "pkcs11:?pin-source=file:/etc/pin", "/etc/pin" },
		{ "pkcs11:?pin-source=file:///etc/pin", "/etc/pin" },
		{ "pkcs11:?pin-source=/etc/pin", "/etc/pin" },
		{ "pkcs11:?pin-source=%7Ccat%20/etc/pin", NULL },
		{ "pkcs11:?pin-source=file:pin", NULL },
		{ "pkcs11:?pin-source=pin", NULL },
		{ "pkcs11:?pin-source=https://x/pin", NULL },
		{ "pkcs11:?pin-value=1", NULL },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		OWN(pkcs11_uri) uri = parsed(cases[i].uri);

		CHECK_STR(pkcs11_uri_pin_file(uri), cases[i].file);
	}
}

TEST("another object of a token is reached in the same way")
{
	OWN(pkcs11_uri) uri = parsed("pkcs11:token=Edge;object=old;type=private;id=%01?pin-value=1234");
	OWN(pkcs11_uri) other = pkcs11_uri_with_object(uri, "new");
	OWN(pkcs11_uri) elsewhere = parsed("pkcs11:token=Other;object=new?pin-value=1234");

	CHECK_STR(other->text[PKCS11_OBJECT], "new");
	CHECK_STR(other->text[PKCS11_PIN_VALUE], "1234");
	CHECK(!other->text[PKCS11_TYPE] && other->id_len == 0);
	CHECK(pkcs11_uri_same_token(uri, other));
	CHECK(!pkcs11_uri_same_token(uri, elsewhere));
}
