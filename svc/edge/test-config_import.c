/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "edge/config.h"
#include "edge/config_import.h"
#include "t.h"

static struct toml *
parsed(const char *text)
{
	struct err err = ERR_INIT;
	struct toml *root = toml_parse(text, strlen(text), "f.toml", &err);

	if (!root)
		fail_msg("%s", err.text);
	return root;
}

static bool
has_line(const struct config_import *i, enum import_what what, const char *key, const char *part)
{
	for (size_t n = 0; n < i->n_lines; n++)
		if (i->lines[n].what == what && strcmp(i->lines[n].key, key) == 0 && strstr(i->lines[n].text, part))
			return true;
	return false;
}

/* What came out is a configuration of ours. */
static struct config *
configured(const struct config_import *i)
{
	CLEAR(findings) findings = { 0 };
	CLEAR(buf) text = BUF_INIT(65536);
	struct err err = ERR_INIT;
	OWN(toml) again = NULL;
	struct config *c;

	toml_put(&text, i->root);
	again = parsed(buf_text(&text));
	c = config_from_toml(again, &findings);
	if (findings_first_error(&findings, &err) < 0)
		fail_msg("%s in\n%s", err.text, buf_text(&text));
	return c;
}

TEST("a connection string becomes hub, device and a file with the key; containers are left out with the reason")
{
	CLEAR(config_import) i;
	struct err err = ERR_INIT;
	OWN(config) c = NULL;

	config_import_init(&i,
		parsed("hostname = \"gw\"\n[provisioning]\nsource = \"manual\"\nconnection_string = "
		       "\"HostName=h.local;DeviceId=d1;SharedAccessKey=a2V5\"\n[agent]\nname = \"edgeAgent\"\n[moby_runtime]\nuri "
		       "= "
		       "\"unix:///x\"\nnetwork = \"n\"\n[connect]\nworkload_uri = \"unix:///w\"\nzzz = 1\n"),
		"/etc/aziot/secrets");
	CHECK_OK(config_import_finish(&i, &err), err);
	c = configured(&i);
	CHECK_STR(c->hub_name, "h.local");
	CHECK_STR(c->device_id, "d1");
	CHECK_STR(c->device_key_path, "/etc/aziot/secrets/device-id");
	CHECK_INT(i.n_secrets, 1);
	CHECK_STR(i.secrets[0].path, "/etc/aziot/secrets/device-id");
	CHECK_MEM(i.secrets[0].bytes.data, "key", 3);
	CHECK(has_line(&i, IMPORT_CHANGED, "provisioning.connection_string", "its key in /etc/aziot/secrets/device-id"));
	CHECK(has_line(&i, IMPORT_KEPT, "hostname", ""));
	CHECK(has_line(&i, IMPORT_LEFT_OUT, "agent", "containers"));
	CHECK(has_line(&i, IMPORT_LEFT_OUT, "moby_runtime.uri", "no container engine"));
	CHECK(has_line(&i, IMPORT_LEFT_OUT, "connect", "sockets"));
	CHECK(!toml_find(i.root, "agent"));
}

TEST("a key in the text and PINs in URIs become files, each secret once; the URIs stay the same otherwise")
{
	CLEAR(config_import) i;
	struct err err = ERR_INIT;
	OWN(config) c = NULL;

	config_import_init(&i,
		parsed("[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = "
		       "\"d\"\n[provisioning.authentication]\n"
		       "method = \"sas\"\ndevice_id_pk = { value = \"a2V5\" }\n[edge_ca]\ncert = \"/ca.pem\"\npk = "
		       "\"pkcs11:token=t;object=ca?module-path=/m.so&pin-value=12%2034\"\n[preloaded_keys]\nk = "
		       "\"pkcs11:token=t;object=k?pin-value=12%2034\"\n"),
		"/s p");
	CHECK_OK(config_import_finish(&i, &err), err);
	c = configured(&i);
	CHECK_STR(c->device_key_path, "/s p/device-id");
	CHECK_STR(c->ca_pk, "pkcs11:token=t;object=ca?module-path=/m.so&pin-source=file:/s%20p/pin-2");
	CHECK_STR(
		json_string_value(json_object_get(c->preloaded_keys, "k")), "pkcs11:token=t;object=k?pin-source=file:/s%20p/pin-2");
	CHECK_INT(i.n_secrets, 2);
	CHECK_MEM(i.secrets[1].bytes.data, "12 34", 5);
	for (size_t n = 0; n < i.n_lines; n++)
		CHECK(!strstr(i.lines[n].text, "a2V5") && !strstr(i.lines[n].text, "12%20"));
}

TEST("principals of three services are one of ours each; other tables of theirs move, and what config.toml says already is left "
     "out")
{
	CLEAR(config_import) i;
	struct err err = ERR_INIT;
	OWN(toml) keyd = parsed(
		"max_requests = 5\n[preloaded_keys]\nvpn = \"file:///v.key\"\n[[principal]]\nuid = 1001\nkeys = [\"vpn*\"]\n");
	OWN(toml) certd =
		parsed("[cert_issuance.vpn]\nmethod = \"self_signed\"\ncommon_name = \"vpn\"\n[[principal]]\nuid = 1001\ncerts = "
		       "[\"vpn\"]\n[[principal]]\nuid = 1002\ncerts = [\"*\"]\n");
	OWN(config) c = NULL;

	config_import_init(&i,
		parsed("[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = "
		       "\"d\"\n[provisioning.authentication]\n"
		       "method = \"sas\"\ndevice_id_pk = { uri = \"file:///k\" }\n"),
		"/s");
	config_import_service(&i, "keyd", keyd);
	config_import_service(&i, "certd", certd);
	CHECK_OK(config_import_finish(&i, &err), err);
	c = configured(&i);
	CHECK_INT(json_array_size(c->principals), 2);
	CHECK_STR(json_string_value(json_object_get(json_array_get(c->principals, 0), "name")), "user-1001");
	CHECK_STR(json_string_value(json_array_get(json_object_get(json_array_get(c->principals, 0), "keys"), 0)), "vpn*");
	CHECK_STR(json_string_value(json_array_get(json_object_get(json_array_get(c->principals, 0), "certs"), 0)), "vpn");
	CHECK_STR(config_issuance_method(&c->issuance, "vpn"), "self_signed");
	CHECK_STR(json_string_value(json_object_get(c->preloaded_keys, "vpn")), "/v.key");
	CHECK(has_line(&i, IMPORT_LEFT_OUT, "keyd: max_requests", "config.toml says it"));
	CHECK_INT(i.n_secrets, 0);
}

TEST("the old name of the parent is changed; a key that nobody knows is left out; a secret that is no base64 is an error without "
     "it")
{
	CLEAR(config_import) i;
	CLEAR(config_import) bad;
	struct err err = ERR_INIT;

	config_import_init(&i, parsed("local_gateway_hostname = \"p\"\nnobody = 1\n"), "/s");
	CHECK_OK(config_import_finish(&i, &err), err);
	CHECK_STR(toml_find(i.root, "parent_hostname")->text, "p");
	CHECK(!toml_find(i.root, "nobody"));
	CHECK(has_line(&i, IMPORT_LEFT_OUT, "nobody", "no key that is known"));
	config_import_init(&bad, parsed("[provisioning.authentication]\ndevice_id_pk = { value = \"planted-secret!\" }\n"), "/s");
	CHECK_INT(config_import_finish(&bad, &err), -1);
	CHECK_CONTAINS(err.text, "not base64");
	CHECK(!strstr(err.text, "planted"));
}
