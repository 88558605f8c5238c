/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/mem.h"
#include "edge/config.h"
#include "t.h"

#define SAS                                                                                                                        \
	"[provisioning]\nsource = \"manual\"\niothub_hostname = \"hub.local\"\ndevice_id = "                                       \
	"\"d\"\n[provisioning.authentication]\nmethod = \"sas\"\ndevice_id_pk = { value = \"a2V5\" }\n"

static struct config *
load(const char *text, struct err *err)
{
	OWN_TEXT path = mem_textf("%s/config.toml", T_TMPDIR);

	*err = (struct err)ERR_INIT;
	CHECK_OK(file_save(path, text, strlen(text), 0600, err), *err);
	return config_load(path, err);
}

/* The configuration is refused, with this in the sentence. */
static void
refused(const char *text, const char *part)
{
	struct err err;
	OWN(config) c = load(text, &err);

	if (c)
		fail_msg("accepted, though '%s' was expected:\n%s", part, text);
	CHECK_CONTAINS(err.text, "config.toml");
	CHECK_CONTAINS(err.text, part);
}

TEST("a short configuration has the original's defaults")
{
	struct err err;
	OWN(config) c = load("hostname = \"edgegateway.local\"\n" SAS, &err);

	if (!c)
		fail_msg("%s", err.text);
	CHECK_STR(c->hostname, "edgegateway.local");
	CHECK_STR(c->hub_name, "hub.local");
	CHECK_STR(c->device_id, "d");
	CHECK(!c->by_certificate);
	CHECK_INT(c->device_key.len, 3);
	CHECK_MEM(c->device_key.bytes, "key", 3);
	CHECK_STR(c->ca_form, "quickstart");
	CHECK_STR(c->ca_common_name, "aziot-edge CA d");
	CHECK_INT(json_integer_value(json_object_get(json_object_get(c->issuance.tables, "aziot-edged-ca"), "expiry_days")), 90);
	CHECK_INT(c->gateway_mqtt_port, 8883);
	CHECK_INT(c->max_keyd, 64);
	CHECK_INT(c->first_uid, 61840);
}

TEST("the configuration of the seeds: x509, a configured Edge CA, a trust bundle")
{
	struct err err;
	OWN(config) c =
		load("hostname = \"edgegateway.local\"\ntrust_bundle_cert = \"file:///etc/aziot/my%20root.pem\"\n"
		     "[provisioning]\nsource = \"manual\"\niothub_hostname = \"ContosoIotHub.local\"\ndevice_id = \"EdgeGateway\"\n"
		     "[provisioning.authentication]\nmethod = \"x509\"\nidentity_cert = \"file:///var/a.pem\"\nidentity_pk = "
		     "\"file:///var/a.key\"\n"
		     "[edge_ca]\ncert = \"file:///var/ca.pem\"\npk = \"file:///var/ca.key\"\n",
			&err);

	if (!c)
		fail_msg("%s", err.text);
	CHECK(c->by_certificate);
	CHECK_STR(c->trust_bundle, "/etc/aziot/my root.pem");
	CHECK_STR(c->identity_cert, "/var/a.pem");
	CHECK_STR(c->identity_pk, "/var/a.key");
	CHECK_STR(c->ca_form, "preloaded");
	CHECK_STR(c->ca_cert, "/var/ca.pem");
}

TEST("a connection string instead of hub, device and key; a symmetric key may lack its padding")
{
	struct err err;
	OWN(config) c = load(
		"[provisioning]\nsource = \"manual\"\nconnection_string = \"HostName=h.local;DeviceId=d1;SharedAccessKey=a2V5\"\n",
		&err);
	OWN(config) unpadded = NULL;

	if (!c)
		fail_msg("%s", err.text);
	CHECK_STR(c->hub_name, "h.local");
	CHECK_STR(c->device_id, "d1");
	CHECK(c->hostname); /* the machine's own */
	unpadded = load("[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = "
			"\"d\"\n[provisioning.authentication]\nmethod = \"sas\"\n"
			"device_id_pk = { value = \"a2V5cw\" }\n",
		&err);
	CHECK(unpadded && unpadded->device_key.len == 4);
}

TEST("an unknown key is named with its line and the nearest key that exists, at every depth")
{
	refused("hostnam = \"x\"\n" SAS, "config.toml:1: hostnam: unknown key, did you mean `hostname`?");
	refused("\n\n[edge_caa]\n" SAS, "config.toml:3: edge_caa: unknown key, did you mean `edge_ca`?");
	refused(SAS "[edge_ca]\ncomon_name = \"x\"\n", "did you mean `common_name`?");
	refused("[provisioning]\nsource = \"manual\"\niothub_hostnme = \"x\"\n", "did you mean `iothub_hostname`?");
	refused(SAS "[modules.tool]\nuid = 7\nnmes = [\"a\"]\n", "did you mean `names`?");
	refused(SAS "[gateway]\nmqtt-port = 7\n", "did you mean `mqtt_port`?");
	refused(SAS "[cert_issuance.local_ca]\ncrt = \"/x\"\n", "unknown key");
	refused("[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = "
		"\"d\"\n[provisioning.authentication]\nmethod = \"sas\"\ndevice_id_pk = { valu = \"a2V5\" }\n",
		"did you mean `value`?");
}

TEST("a value of another type, or out of range, is named with its line and key")
{
	refused("hostname = 7\n" SAS, "config.toml:1");
	refused(SAS "[gateway]\nmqtt_port = \"8883\"\n", "mqtt_port");
	refused(SAS "[gateway]\nmqtt_port = 65536\n", "mqtt_port");
	refused(SAS "[gateway]\nnames = \"a\"\n", "names");
	refused(SAS "[gateway]\nnames = [1]\n", "names");
	refused(SAS "[gateway]\nenabled = \"yes\"\n", "enabled");
	refused(SAS "[edge_ca]\nauto_generated_edge_ca_expiry_days = 0\n", "expiry_days");
	refused(SAS "[privileges]\nfirst_uid = 0\n", "first_uid");
	refused(SAS "[modules.tool]\n", "uid");
	refused(SAS "[modules.tool]\nuid = -1\n", "uid");
	refused(SAS "[preloaded_keys]\na = 7\n", "config.toml:9");
}

TEST("a table that is written as something else is an error, not a table left out")
{
	refused("edge_ca = 3\n" SAS, "edge_ca");
	refused("gateway = \"off\"\n" SAS, "gateway");
	refused("upstream = []\n" SAS, "upstream");
	refused("modules = 1\n" SAS, "modules");
	refused("cert_issuance = true\n" SAS, "cert_issuance");
	refused("[[edge_ca]]\ncert = \"/x\"\n" SAS, "edge_ca");
	refused("iotedge_max_requests = 10\n" SAS, "iotedge_max_requests");
	refused("provisioning = \"manual\"\n", "provisioning");
}

TEST("what is missing is named")
{
	refused("hostname = \"x\"\n", "provisioning.source");
	refused("[provisioning]\nsource = \"manual\"\ndevice_id = \"d\"\n", "provisioning.iothub_hostname");
	refused("[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\n", "provisioning.device_id");
	refused("[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\n",
		"provisioning.authentication.method");
	refused("[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\nauthentication = { method = "
		"\"x509\", identity_cert = \"/a\" }\n",
		"identity_pk");
	refused("[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\nauthentication = { method = "
		"\"sas\" }\n",
		"device_id_pk");
	refused(SAS "[edge_ca]\ncert = \"/x\"\n", "edge_ca.pk");
	refused(SAS "[edge_ca]\nmethod = \"local_ca\"\n", "cert_issuance.local_ca.cert");
}

TEST("what this version can't do is refused by its name")
{
	refused(SAS "[edge_ca]\nmethod = \"acme\"\n", "'acme'");
	refused("[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\nauthentication = { method = "
		"\"tpm\" }\n",
		"'tpm'");
}

#define EST_AUTH SAS "[cert_issuance.est.auth]\nusername = \"u\"\npassword = \"p\"\n"
#define EST SAS "[edge_ca]\nmethod = \"est\"\n"

static const char *
text_at(const json_t *json, const char *a, const char *b, const char *c)
{
	return json_string_value(json_object_get(json_object_get(json_object_get(json, a), b), c));
}

TEST("EST: servers and credentials for all, and for one certificate in the stead of all of those; files get the original's ids")
{
	struct err err;
	OWN(config) c = load(SAS "[edge_ca]\nmethod = \"est\"\nurl = \"https://ca.local/.well-known/est/edge\"\nusername = "
				 "\"u\"\npassword = \"p\"\ntrusted_certs = [\"file:///own.pem\"]\n[cert_issuance.est]\n"
				 "trusted_certs = [\"file:///r1.pem\", \"file:///r2.pem\"]\nurls.default = "
				 "\"https://est.local/.well-known/est\"\n[cert_issuance.est.auth]\nbootstrap_identity_cert = "
				 "\"file:///b.pem\"\nbootstrap_identity_pk = \"pkcs11:object=b\"\n"
				 "[cert_issuance.est.identity_auto_renew]\nrotate_key = false\nthreshold = \"10day\"\n",
		&err);
	const json_t *own;

	if (!c)
		fail_msg("%s", err.text);
	own = json_object_get(c->issuance.tables, "aziot-edged-ca");
	CHECK_STR(json_string_value(json_object_get(own, "url")), "https://ca.local/.well-known/est/edge");
	CHECK_STR(text_at(c->issuance.tables, "aziot-edged-ca", "auth", "username"), "u");
	CHECK(!text_at(c->issuance.tables, "aziot-edged-ca", "auth", "bootstrap_identity_cert"));
	CHECK_STR(json_string_value(json_array_get(json_object_get(own, "trusted_certs"), 0)), "est-server-ca-3");
	CHECK_STR(json_string_value(json_object_get(c->issuance.certs, "est-server-ca-3")), "/own.pem");
	CHECK_STR(json_string_value(json_object_get(c->issuance.certs, "est-server-ca-2")), "/r2.pem");
	CHECK_STR(text_at(c->issuance.tables, "est", "auth", "identity_cert"), "est-id");
	CHECK_STR(text_at(c->issuance.tables, "est", "auth", "bootstrap_identity_pk"), "est-bootstrap-id");
	CHECK_STR(json_string_value(json_object_get(c->issuance.keys, "est-bootstrap-id")), "pkcs11:object=b");
	CHECK_STR(text_at(c->issuance.tables, "est", "identity_auto_renew", "threshold"), "10day");
}

TEST("a CA on this box may be issued itself, by another, with a name that is given here")
{
	struct err err;
	OWN(config) c =
		load(EST_AUTH "[cert_issuance.local_ca]\nmethod = \"est\"\nurl = \"https://x/.well-known/est\"\nsubject = { CN = "
			      "\"our CA\", O = \"Contoso\" }\nauto_renew = { threshold = \"10day\" }\n[edge_ca]\nmethod = "
			      "\"local_ca\"\n",
			&err);

	if (!c)
		fail_msg("%s", err.text);
	CHECK_STR(text_at(c->issuance.tables, "local-ca", "subject", "CN"), "our CA");
	CHECK_STR(text_at(c->issuance.tables, "local-ca", "auto_renew", "threshold"), "10day");
	CHECK(!c->issuance.local_ca_cert);
	refused(EST_AUTH "[cert_issuance.local_ca]\nmethod = \"local_ca\"\ncommon_name = \"x\"\n", "can't be issued by itself");
	refused(EST_AUTH "[cert_issuance.local_ca]\nmethod = \"self_signed\"\n", "common_name");
	refused(EST_AUTH "[cert_issuance.local_ca]\nmethod = \"self_signed\"\ncommon_name = \"x\"\ncert = \"/a\"\n",
		"either a method, or cert and pk");
}

TEST("EST: what can't be meant is named with its line")
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{ EST, "no EST server is configured" },
		{ EST "url = \"https://x/.well-known/est\"\n", "no EST auth is configured" },
		{ EST "url = \"http://x/.well-known/est\"\nusername = \"u\"\n", "over https:// only" },
		{ EST "url = \"x\"\nusername = \"u\"\n", "config.toml:10" },
		{ EST "url = \"https://x/est?a=b\"\nusername = \"u\"\n", "question mark" },
		{ EST "url = \"https://x/est\"\nusername = \"u:v\"\n", "colon" },
		{ EST "url = \"https://x/est\"\npassword = \"p\"\n", "username is missing" },
		{ EST "url = \"https://x/est\"\nidentity_cert = \"file:///a.pem\"\n", "identity_pk is missing" },
		{ SAS "[cert_issuance.est.identity_auto_renew]\nthreshold = \"100%\"\n", "neither a share" },
		{ SAS "[cert_issuance.est.auth]\nusernam = \"x\"\n", "did you mean `username`?" },
		{ SAS "[cert_issuance.est]\ntrusted_certs = [7]\n", "expected a file URI" },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		refused(cases[i].text, cases[i].part);
}

#define X509(pk)                                                                                                                   \
	"[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\nauthentication = { method = "            \
	"\"x509\", identity_cert = \"/a\", identity_pk = \"" pk "\" }\n"

TEST("every pk takes a PKCS #11 or a TPM URI, as it was written")
{
	struct err err;
	OWN(config) c = load(
		X509("pkcs11:token=Edge;object=identity?pin-value=1234") "[edge_ca]\ncert = \"/ca.pem\"\npk = "
									 "\"tpm:handle=0x81000010\"\n"
									 "[cert_issuance.local_ca]\ncert = \"/l.pem\"\npk = "
									 "\"pkcs11:id=%01\"\n[preloaded_keys]\nmine = "
									 "\"pkcs11:object=m\"\n"
									 "yours = \"file:///y.pem\"\n[aziot_keys]\npkcs11_lib_path "
									 "= \"/usr/lib/m.so\"\npkcs11_base_slot = "
									 "\"pkcs11:slot-id=0\"\n"
									 "paths = [\"/var/lib/tokens\"]\n[tpm]\ntcti = "
									 "\"swtpm:port=1\"\nauth_key_index = "
									 "\"0x00_01_00\"\nhierarchy_authorization.owner = "
									 "\"pw\"\n",
		&err);

	if (!c)
		fail_msg("%s", err.text);
	CHECK_STR(c->identity_pk, "pkcs11:token=Edge;object=identity?pin-value=1234");
	CHECK_STR(c->ca_pk, "tpm:handle=0x81000010");
	CHECK_STR(c->issuance.local_ca_pk, "pkcs11:id=%01");
	CHECK_STR(json_string_value(json_object_get(c->preloaded_keys, "mine")), "pkcs11:object=m");
	CHECK_STR(json_string_value(json_object_get(c->preloaded_keys, "yours")), "/y.pem");
	CHECK_STR(c->keys.pkcs11_lib_path, "/usr/lib/m.so");
	CHECK_STR(c->keys.pkcs11_base_slot, "pkcs11:slot-id=0");
	CHECK_STR(c->keys.tpm_tcti, "swtpm:port=1");
	CHECK_STR(c->keys.tpm_owner_auth, "pw");
	CHECK(!c->keys.tpm_base);
	CHECK_INT(c->keys.tpm_auth_key_index, 0x100);
	CHECK_INT(c->keys.n_paths, 1);
	CHECK(!config_keys_is_file(c->identity_pk) && !config_keys_is_file(c->ca_pk) && config_keys_is_file("/y.pem"));
}

TEST("a place of keys that can't be meant is named with its line, without what may be a PIN")
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{ X509("pkcs11:token=x?pin-value=9f31c0de"), "names no key in the token" },
		{ X509("pkcs11:tokn=x?pin-value=9f31c0de"), "no attribute 'tokn'" },
		{ X509("pkcs12:token=x?pin-value=9f31c0de"), "none of a file:///PATH, a pkcs11: and a tpm: URI" },
		{ X509("tpm:0x81000001"), "tpm:handle=0x81" },
		{ SAS "[preloaded_keys]\nk = \"http://x/?pin-value=9f31c0de\"\n", "none of a file" },
		{ SAS "[aziot_keys]\npkcs11_lib_path = \"m.so\"\n", "pkcs11_lib_path: the whole path" },
		{ SAS "[aziot_keys]\npkcs11_base_slot = \"/dev/token\"\n", "pkcs11_base_slot" },
		{ SAS "[aziot_keys]\npkcs11_base_slot = \"pkcs11:token=a\"\ntpm_base = true\n",
			"either pkcs11_base_slot or tpm_base" },
		{ SAS "[tpm]\nauth_key_index = \"256\"\n", "tpm.auth_key_index: 0x and hexadecimal digits" },
		{ SAS "[tpm]\nauth_key_index = \"0x80_00_00\"\n", "0x000000 to 0x7fffff" },
		{ SAS "[aziot_keys]\ngroups = [\"no-such-group\"]\n", "'no-such-group' is no group" },
		{ SAS "[aziot_keys]\ngroups = [\"root\"]\n", "'root' is no group" },
		{ SAS "[aziot_keys]\npaths = [\"relative\"]\n", "the whole path" },
		{ SAS "[aziot_keys]\npaths = [\"/\"]\n", "the whole path" },
		{ SAS "[aziot_keys]\npkcs11_lib_pat = \"x\"\n", "pkcs11_lib_path" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err;
		OWN(config) c = load(cases[i].text, &err);

		CHECK(!c);
		CHECK_CONTAINS(err.text, "config.toml:");
		CHECK_CONTAINS(err.text, cases[i].part);
		CHECK(!strstr(err.text, "9f31c0de"));
	}
}

TEST("atk-10: an error about a key does not show the key")
{
	struct err err;
	OWN(config) c = load("[provisioning]\nsource = \"manual\"\nconnection_string = "
			     "\"HostName=h.local;DeviceId=d1;SharedAccessKey=planted-secret!\"\n",
		&err);
	OWN(config) d = NULL;

	CHECK(!c);
	CHECK(!strstr(err.text, "planted"));
	d = load("[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\nauthentication = { method = "
		 "\"sas\", device_id_pk = { value = \"planted-secret!\" } }\n",
		&err);
	CHECK(!d);
	CHECK(!strstr(err.text, "planted"));
}

TEST("atk-15: a module's name is one that a hub takes and a socket can have, and there is only one of it")
{
	refused(SAS "[modules.\"../x\"]\nuid = 7\n", "../x");
	refused(SAS "[modules.\"a/b\"]\nuid = 7\n", "a/b");
	refused(SAS "[modules.\"\"]\nuid = 7\n", "is no module id");
	refused(SAS "[modules.\"$edgeHub\"]\nuid = 7\n", "$edgeHub");
	refused(SAS "[modules.edgeHub]\nuid = 7\n", "edgeHub");
	refused(SAS "[modules.a]\nuid = 7\n[modules.\"$a\"]\nuid = 8\n", "$a");
}

TEST("what has digits and dots only is an IPv4 address or a mistake, whoever is to be called so")
{
	static const char *const mistakes[] = { "256.1.1.1", "10.0.0", "1.2.3.4.5", "12345" };

	for (size_t i = 0; i < COUNT(mistakes); i++) {
		OWN_TEXT hostname = mem_textf("hostname = \"%s\"\n" SAS, mistakes[i]);
		OWN_TEXT names = mem_textf(SAS "[gateway]\nnames = [\"auto\", \"%s\"]\n", mistakes[i]);

		refused(hostname, "is no IPv4 address");
		refused(names, "is no IPv4 address");
	}
}

TEST("a hostname that can't stand in a certificate is refused")
{
	refused("hostname = \"\"\n" SAS, "hostname");
	refused("hostname = \"with space\"\n" SAS, "hostname");
	refused("hostname = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbb.local\"\n" SAS,
		"hostname"); /* the common name has room for 64 */
	refused(SAS "[gateway]\nnames = [\"*.local\"]\n", "names");
}

TEST("a file that isn't there, or is no TOML, is named")
{
	struct err err = ERR_INIT;
	OWN_TEXT absent = mem_textf("%s/absent.toml", T_TMPDIR);

	CHECK(!config_load(absent, &err));
	CHECK_CONTAINS(err.text, "absent.toml: No such file");
	refused("hostname = \n", "config.toml:1");
	refused("[provisioning\n", "config.toml:1");
	refused(SAS SAS, "config.toml:8");
}

/* Every line that there is to say, the notes too. */
static char *
all_findings(const char *text)
{
	CLEAR(findings) findings = { 0 };
	struct err err = ERR_INIT;
	OWN(toml) root = toml_parse(text, strlen(text), "config.toml", &err);
	OWN(config) c = NULL;
	CLEAR(buf) out = BUF_INIT(65536);

	if (!root)
		fail_msg("%s", err.text);
	c = config_from_toml(root, &findings);
	CHECK(!c == (findings.n_errors > 0));
	for (size_t i = 0; i < findings.n; i++) {
		OWN_TEXT line = finding_line(&findings.item[i]);

		buf_putf(&out, "%s\n", line);
	}
	return buf_take_text(&out);
}

TEST("every mistake is told, not just the first, and none twice")
{
	OWN_TEXT said =
		all_findings("hostnam = \"x\"\ncloud_timeout_sec = 10\n[provisioning]\nsource = \"manual\"\ndevice_id = \"a b\"\n"
			     "global_endpoint = \"https://x\"\n[edge_ca]\nmethod = \"local_ca\"\nexpiry_days = \"many\"\n"
			     "subject = { CN = \"ca\", Org = \"Contoso\" }\n[gateway]\nmqtt_port = 65536\n");

	CHECK_CONTAINS(said, "config.toml:1: hostnam: unknown key");
	CHECK_CONTAINS(said, "config.toml:2: cloud_timeout_sec: 10 is not between 70 and 3600");
	CHECK_CONTAINS(said, "config.toml:3: provisioning.iothub_hostname: is missing");
	CHECK_CONTAINS(said, "config.toml:5: provisioning.device_id: no id that a hub takes");
	CHECK_CONTAINS(said, "config.toml:6: provisioning.global_endpoint: belongs to source = \"dps\"");
	CHECK_CONTAINS(said, "provisioning.authentication.method: is missing");
	CHECK_CONTAINS(
		said, "config.toml:8: edge_ca.method: there is no CA on this box: cert_issuance.local_ca.cert and pk are missing");
	CHECK_CONTAINS(said, "config.toml:9: edge_ca.expiry_days: expected a whole number, found a string");
	CHECK_CONTAINS(said, "config.toml:10: edge_ca.subject: a subject has no attribute 'Org'");
	CHECK_CONTAINS(said, "config.toml:12: gateway.mqtt_port: 65536 is not between 0 and 65535");
	CHECK(!strstr(strstr(said, "edge_ca.subject:") + 1, "edge_ca.subject:"));
}

TEST("what belongs to a container engine is accepted and said to do nothing, with the reason")
{
	OWN_TEXT said = all_findings(SAS "[agent]\nname = \"edgeAgent\"\ntype = \"docker\"\n[agent.config]\nimage = \"x\"\n"
					 "[moby_runtime]\nnetwork = \"azure-iot-edge\"\n[connect]\nworkload_uri = \"unix:///x\"\n");

	CHECK_CONTAINS(said, "agent: does nothing here: modules are processes of this box");
	CHECK_CONTAINS(said, "moby_runtime.network: does nothing here: there is no container engine here");
	CHECK_CONTAINS(said, "connect: does nothing here");
}

TEST("[[principal]]: processes with keys and certificates of their own; no two of a name or user, none of the roles' users or root")
{
	struct err err;
	OWN(config) c = load(SAS "[[principal]]\nname = \"backup\"\nuid = 1001\nkeys = [\"backup-*\"]\n[[principal]]\nname = "
				 "\"vpn\"\nuid = 1002\ncerts = [\"vpn\"]\n",
		&err);

	if (!c)
		fail_msg("%s", err.text);
	CHECK_INT(json_array_size(c->principals), 2);
	CHECK_STR(json_string_value(json_object_get(json_array_get(c->principals, 1), "name")), "vpn");
	refused(SAS "[[principal]]\nname = \"a\"\nuid = 7\n[[principal]]\nname = \"a\"\nuid = 8\n", "principal 'a' already");
	refused(SAS "[[principal]]\nname = \"a\"\nuid = 7\n[[principal]]\nname = \"b\"\nuid = 7\n", "this user id already");
	refused(SAS "[[principal]]\nname = \"a\"\nuid = 0\n", "root may everything");
	refused(SAS "[[principal]]\nname = \"a\"\nuid = 61842\n", "privileges.first_uid");
	refused(SAS "[[principal]]\nuid = 7\n", "principal.name: is missing");
	refused(SAS "[principal]\nuid = 7\n", "[[heading]]");
	refused(SAS "[[principal]]\nname = \"a\"\nuid = 7\nkyes = []\n", "did you mean `keys`?");
}

TEST("a certificate that is issued: by whom, for how long and by what name, for the device, the Edge CA and any other id")
{
	struct err err;
	OWN(config) c = load(
		"[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\n"
		"[provisioning.authentication]\nmethod = \"x509\"\nidentity_cert = { method = \"local_ca\", expiry_days = 7 }\n"
		"[edge_ca]\nmethod = \"local_ca\"\ncommon_name = \"Contoso Edge CA\"\n"
		"[cert_issuance.local_ca]\ncert = \"/l.pem\"\npk = \"/l.key\"\n"
		"[cert_issuance.vpn]\nmethod = \"self_signed\"\ncommon_name = \"vpn.local\"\n",
		&err);
	const json_t *tables;

	if (!c)
		fail_msg("%s", err.text);
	tables = c->issuance.tables;
	CHECK(c->identity_is_issued && c->by_certificate && !c->identity_cert);
	CHECK_STR(config_issuance_method(&c->issuance, "device-id"), "local_ca");
	CHECK_INT(json_integer_value(json_object_get(json_object_get(tables, "device-id"), "expiry_days")), 7);
	CHECK_STR(json_string_value(json_object_get(json_object_get(tables, "aziot-edged-ca"), "common_name")), "Contoso Edge CA");
	CHECK_INT(json_integer_value(json_object_get(json_object_get(tables, "aziot-edged-ca"), "expiry_days")), 30);
	CHECK_STR(config_issuance_method(&c->issuance, "vpn"), "self_signed");
	refused(SAS "[cert_issuance.device-id]\nmethod = \"self_signed\"\n", "how this one is issued stands in");
	refused(SAS "[edge_ca]\nmethod = \"self_signed\"\nurl = \"https://x/est\"\n", "belongs to method = \"est\"");
	refused(SAS "[edge_ca]\ncert = \"/a\"\npk = \"/b\"\nauto_renew = { rotate_key = true }\n", "neither made nor renewed here");
}

TEST("a subject of several attributes: certd has it for what is signed here, edged and identityd for what they ask others for; the "
     "device's CN is its id")
{
	struct err err;
	OWN(config) c = load("[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\n"
			     "[provisioning.authentication]\nmethod = \"x509\"\nidentity_cert = { method = \"est\", url = "
			     "\"https://e/x\", username = "
			     "\"u\", subject = { O = \"Contoso\" } }\n[edge_ca]\nsubject = { CN = \"Edge\", L = \"Berlin\" }\n",
		&err);

	if (!c)
		fail_msg("%s", err.text);
	CHECK_STR(json_string_value(json_object_get(c->identity_subject, "O")), "Contoso");
	CHECK_STR(json_string_value(json_object_get(c->identity_subject, "CN")), "d");
	CHECK_STR(c->ca_common_name, "Edge");
	CHECK_STR(text_at(c->issuance.tables, "aziot-edged-ca", "subject", "L"), "Berlin");
	CHECK(!json_object_get(json_object_get(c->issuance.tables, "device-id"), "subject"));
	CHECK(!json_object_get(json_object_get(c->issuance.tables, "aziot-edged-ca"), "common_name"));
	refused(SAS "[edge_ca]\nsubject = { CN = \"a\", C = \"Germany\" }\n", "too long or too short for C");
	refused(SAS "[edge_ca]\nsubject = { CN = \"a\" }\ncommon_name = \"a\"\n", "either common_name or subject");
}

TEST("[offline] becomes rules for the gateway, and takes times only")
{
	struct err err;
	OWN(config) c = load("[gateway]\nmax_session_age = \"2day\"\nend_expired = false\n[offline]\ntrust_for = \"90day\"\nsas = "
			     "\"30min\"\n[offline.devices]\n\"s-*\" = \"1day\"\n" SAS,
		&err);

	if (!c)
		fail_msg("%s", err.text);
	CHECK_INT(c->n_offline, 3);
	CHECK_STR(c->offline[0], "all=90day");
	CHECK_STR(c->offline[1], "sas=30min");
	CHECK_STR(c->offline[2], "devices:s-*=1day");
	CHECK_INT(c->max_session_age_s, 2 * 86400);
	CHECK(c->leave_expired);
	refused("[offline]\ntrust_for = \"80%\"\n" SAS, "trust_for");
	refused("[offline]\nsas = \"long\"\n" SAS, "sas");
	refused("[offline.devices]\n\"a*\" = \"5%\"\n" SAS, "a*");
	refused("[gateway]\nmax_session_age = \"5%\"\n" SAS, "max_session_age");
}

TEST("[gateway.server_certs] are certificates under names that can be part of a key's id, each with its key")
{
	struct err err;
	OWN(config) c = load(SAS "[gateway.server_certs.public]\ncert = \"file:///a.pem\"\npk = \"pkcs11:token=t;object=k\"\n"
				 "[gateway.server_certs.b-2]\ncert = \"file:///b.pem\"\npk = \"file:///b.key\"\n",
		&err);

	if (!c)
		fail_msg("%s", err.text);
	CHECK_INT(c->n_server_certs, 2);
	CHECK_STR(c->server_certs[0].key_id, "edgehub-server-public");
	CHECK_STR(c->server_certs[0].cert, "/a.pem");
	CHECK_STR(c->server_certs[0].pk, "pkcs11:token=t;object=k");
	CHECK_STR(c->server_certs[1].pk, "/b.key");
	refused(SAS "[gateway.server_certs.\"../x\"]\ncert = \"file:///a.pem\"\npk = \"file:///a.key\"\n", "letters, digits");
	refused(SAS "[gateway.server_certs.x]\ncert = \"file:///a.pem\"\n", "pk");
	refused(SAS "[gateway.server_certs.x]\npk = \"file:///a.key\"\n", "cert");
	refused(SAS "[gateway]\nserver_certs = [\"a\"]\n", "server_certs");
	refused(SAS "[gateway.server_certs.x]\ncertificate = \"file:///a.pem\"\n", "certificate");
}

TEST("roots follow the EST server that certificates come from, or the one that [trust] names; not without roots to begin with, and "
     "not against the operator's word")
{
	static const char *const url = "https://est.test/.well-known/est";
	struct err err;
	OWN(config) plain = load("trust_bundle_cert = \"file:///r.pem\"\n" SAS, &err);
	OWN(config) est = load("trust_bundle_cert = \"file:///r.pem\"\n[cert_issuance.est.urls]\ndefault = "
			       "\"https://est.test/.well-known/est\"\n" SAS,
		&err);
	OWN(config) named = load("trust_bundle_cert = \"file:///r.pem\"\n[trust]\nsource = "
				 "\"https://est.test/.well-known/est\"\ninterval_sec = 60\n" SAS,
		&err);
	OWN(config) off = load("trust_bundle_cert = \"file:///r.pem\"\n[trust]\nfollow = false\nsource = "
			       "\"https://est.test/.well-known/est\"\n" SAS,
		&err);
	OWN(config) without = load("[cert_issuance.est.urls]\ndefault = \"https://est.test/.well-known/est\"\n" SAS, &err);

	CHECK(plain && !plain->trust_source);
	CHECK(est && !est->trust_is_named);
	CHECK_STR(est->trust_source, url);
	CHECK_INT(est->trust_interval_s, 3600);
	CHECK(named && named->trust_is_named);
	CHECK_STR(named->trust_source, url);
	CHECK_INT(named->trust_interval_s, 60);
	CHECK(off && !off->trust_source);
	CHECK(without && !without->trust_source);
	refused("[trust]\nsource = \"https://est.test/.well-known/est\"\n" SAS, "trust_bundle_cert is missing");
	refused("[trust]\nsource = \"http://est.test/\"\n" SAS, "source");
	refused("[trust]\ninterval_sec = 0\n" SAS, "interval_sec");
}
