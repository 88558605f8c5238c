/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "edge/config.h"
#include "edge/config_source.h"
#include "t.h"

static void
put(const char *name, const char *text)
{
	OWN_TEXT path = mem_textf("%s/%s", T_TMPDIR, name);
	OWN_TEXT dir = mem_textf("%s/config.d", T_TMPDIR);
	struct err err = ERR_INIT;

	CHECK_OK(file_make_dir(dir, 0755, &err), err);
	CHECK_OK(file_save(path, text, strlen(text), 0600, &err), err);
}

static void
forget(const char *name)
{
	OWN_TEXT path = mem_textf("%s/%s", T_TMPDIR, name);

	unlink(path);
}

static struct toml *
load(char **said)
{
	OWN_TEXT path = mem_textf("%s/config.toml", T_TMPDIR);
	CLEAR(findings) findings = { 0 };
	struct toml *root = config_source_load(path, &findings);
	CLEAR(buf) out = BUF_INIT(65536);

	CHECK(!root == (findings.n_errors > 0));
	for (size_t i = 0; i < findings.n; i++) {
		OWN_TEXT line = finding_line(&findings.item[i]);

		buf_putf(&out, "%s\n", line);
	}
	*said = buf_take_text(&out);
	return root;
}

TEST("config.d: by name, tables key by key, lists joined, values replaced; each value still knows its file and line")
{
	OWN_TEXT said = NULL;
	OWN(toml) root = NULL;
	const struct toml *value;

	put("config.toml",
		"hostname = \"a\"\n[gateway]\naddress = \"127.0.0.1\"\nnames = [\"one\"]\n[aziot_max_requests]\nkeyd = 5\n");
	put("config.d/20-late.toml", "hostname = \"late\"\n[gateway]\nnames = [\"three\"]\n");
	put("config.d/10-early.toml", "\nhostname = \"early\"\n[gateway]\nmqtt_port = 1\nnames = [\"two\"]\n");
	put("config.d/30-not-this.toml.bak", "hostname = \"bak\"\n");
	put("config.d/.hidden.toml", "hostname = \"hidden\"\n");
	root = load(&said);
	CHECK_STR(said, "");
	CHECK_STR(toml_find(root, "hostname")->text, "late");
	CHECK_CONTAINS(toml_find(root, "hostname")->file, "config.d/20-late.toml");
	CHECK_STR(toml_find_path(root, "gateway.address")->text, "127.0.0.1");
	value = toml_find_path(root, "gateway.mqtt_port");
	CHECK_INT(value->integer, 1);
	CHECK_CONTAINS(value->file, "config.d/10-early.toml");
	CHECK_INT(value->line, 4);
	value = toml_find_path(root, "gateway.names");
	CHECK_INT(value->n, 3);
	CHECK_STR(value->item[0]->text, "one");
	CHECK_STR(value->item[2]->text, "three");
	CHECK_INT(toml_find_path(root, "aziot_max_requests.keyd")->integer, 5);
}

TEST("what is wrong in several files is told of each, with its own name and line")
{
	OWN_TEXT said = NULL;
	OWN(toml) root = NULL;

	put("config.toml", "hostname = \n");
	put("config.d/10-early.toml", "a = 1\nb = \n");
	put("config.d/20-late.toml", "c = 1\n");
	root = load(&said);
	CHECK(!root);
	CHECK_CONTAINS(said, "/config.toml:1: ");
	CHECK_CONTAINS(said, "/config.d/10-early.toml:2: ");
	CHECK(!strstr(said, "20-late"));
}

TEST("the environment is over all files, by the key's name, for values and lists; what is no key there is a mistake")
{
	OWN_TEXT said = NULL;
	OWN_TEXT wrong = NULL;
	OWN(toml) root = NULL;
	OWN(toml) refused = NULL;

	put("config.toml", "hostname = \"a\"\n[gateway]\nnames = [\"one\"]\n");
	put("config.d/10-early.toml", "[gateway]\nmqtt_port = 1\n");
	put("config.d/20-late.toml", "");
	setenv("ROOTEDGE_SET_HOSTNAME", "quoted \"name\"\n[gateway]", 1);
	setenv("ROOTEDGE_SET_GATEWAY__MQTT_PORT", "2", 1);
	setenv("ROOTEDGE_SET_GATEWAY__NAMES", "[\"two\"]", 1);
	setenv("ROOTEDGE_SET_PROVISIONING__AUTHENTICATION__METHOD", "sas", 1);
	root = load(&said);
	CHECK_STR(said, "");
	CHECK_STR(toml_find(root, "hostname")->text, "quoted \"name\"\n[gateway]");
	CHECK_STR(toml_find(root, "hostname")->file, "ROOTEDGE_SET_HOSTNAME");
	CHECK_INT(toml_find(root, "hostname")->line, 0);
	CHECK_INT(toml_find_path(root, "gateway.mqtt_port")->integer, 2);
	CHECK_INT(toml_find_path(root, "gateway.names")->n, 2);
	CHECK_STR(toml_find_path(root, "provisioning.authentication.method")->text, "sas");

	setenv("ROOTEDGE_SET_HOSTNAM", "x", 1);
	setenv("ROOTEDGE_SET_GATEWAY", "x", 1);
	setenv("ROOTEDGE_SET_GATEWAY__MQTT_PORT", "2\nhostname = \"x\"", 1);
	setenv("ROOTEDGE_SET_MODULES__TOOL__UID", "7", 1);
	refused = load(&wrong);
	CHECK(!refused);
	CHECK_CONTAINS(wrong, "ROOTEDGE_SET_HOSTNAM: there is no key hostnam, did you mean `hostname`?");
	CHECK_CONTAINS(wrong, "ROOTEDGE_SET_GATEWAY: only single values and lists");
	CHECK_CONTAINS(wrong, "ROOTEDGE_SET_GATEWAY__MQTT_PORT: not what gateway.mqtt_port can be");
	CHECK_CONTAINS(wrong, "ROOTEDGE_SET_MODULES__TOOL__UID: there is no key");
	config_source_clear_environment();
	CHECK(!getenv("ROOTEDGE_SET_HOSTNAME") && !getenv("ROOTEDGE_SET_GATEWAY") && !getenv("ROOTEDGE_SET_MODULES__TOOL__UID"));
}

TEST("atk-10: a secret in the environment is in no sentence about it")
{
	OWN_TEXT path = mem_textf("%s/config.toml", T_TMPDIR);
	CLEAR(findings) findings = { 0 };
	OWN(config) c = NULL;

	put("config.toml", "[provisioning]\nsource = \"manual\"\n");
	setenv("ROOTEDGE_SET_PROVISIONING__CONNECTION_STRING", "HostName=h;DeviceId=d;SharedAccessKey=planted-secret!", 1);
	c = config_load_telling(path, &findings);
	config_source_clear_environment();
	CHECK(!c && findings.n > 0);
	for (size_t i = 0; i < findings.n; i++)
		CHECK(!strstr(findings.item[i].text, "planted"));
}

TEST("atk-28: a file that everybody may write to is refused; $ROOTEDGE_CONFIG_DIR names another folder, an absent one has nothing")
{
	OWN_TEXT said = NULL;
	OWN_TEXT path = mem_textf("%s/config.d/20-late.toml", T_TMPDIR);
	OWN_TEXT dir = NULL;
	OWN(toml) root = NULL;

	put("config.toml", "hostname = \"a\"\n");
	put("config.d/20-late.toml", "hostname = \"b\"\n");
	chmod(path, 0666);
	root = load(&said);
	CHECK(!root);
	CHECK_CONTAINS(said, "20-late.toml: everybody may write to it");
	setenv("ROOTEDGE_CONFIG_DIR", "/nonexistent/config.d", 1);
	dir = config_source_dir("/x/config.toml");
	CHECK_STR(dir, "/nonexistent/config.d");
	mem_free(GIVE(said));
	root = load(&said);
	unsetenv("ROOTEDGE_CONFIG_DIR");
	CHECK(root);
	forget("config.d/20-late.toml");
}
