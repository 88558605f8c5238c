#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rootedge config: worked configurations and what each role is told of them, every mistake by its file, line and key, what is in effect and where it comes from, and a configuration of IoT
Edge taken over.  atk-10: no secret is shown; atk-28: what can't be used is said, and nothing is changed."""
import glob, json, os, random, re, stat, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

CONFIGS = os.path.join(ROOT, "tests", "configs")
NAMES = sorted(os.path.basename(os.path.dirname(p)) for p in glob.glob(os.path.join(CONFIGS, "*", "config.toml")))
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
SAS = """[provisioning]
source = "manual"
iothub_hostname = "contoso.local"
device_id = "EdgeGateway"
[provisioning.authentication]
method = "sas"
device_id_pk = { value = "%s" }
""" % KEY


def config(verb, path, *args, env=None):
    return run("rootedge", "config", verb, "--config", path, *args, check=False, env=dict(os.environ, **(env or {})))


def write(path, text, mode=0o600):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def check(path, *args, env=None):
    """(status, [(level, line, key, text)])"""
    done = config("check", path, "--json", *args, env=env)
    assert done.returncode in (0, 1) and not done.stderr, done
    report = json.loads(done.stdout)
    found = [(f["level"], f.get("line"), f.get("key"), f["text"]) for f in report["findings"]]
    assert report["errors"] == sum(f[0] == "error" for f in found) and (done.returncode == 1) == (report["errors"] > 0), report
    return done.returncode, found


def says(found, level, key, part):
    assert any(f[0] == level and f[2] == key and part in f[3] for f in found), (level, key, part, found)


def openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == 0, (args, done.stderr)


# -- Worked configurations ----------------------------------------------------------------------------------------------------------

def test_01_roles():
    """each worked configuration tells keyd, certd, identityd and edged what stands beside it"""
    assert len(NAMES) >= 10, NAMES
    for name in NAMES:
        for role in ("keyd", "certd", "identityd", "edged"):
            done = config("show", os.path.join(CONFIGS, name, "config.toml"), "--role", role)
            with open(os.path.join(CONFIGS, name, role + ".json")) as f:
                expected = json.load(f)
            assert done.returncode == 0, (name, done.stderr)
            told = json.loads(done.stdout)
            assert told == expected, "%s: %s is told\n%s\ninstead of\n%s\nWhere that is meant: tests/scenarios/a_config.py --write" % (name, role, done.stdout, json.dumps(expected, indent=2))


def test_02_checked():
    """nothing is wrong with the worked configurations but that the files they name are not here"""
    allowed = re.compile("No such file|this machine calls itself|others may read it|signs itself|belongs to user|keyd, which runs")
    for name in NAMES:
        for level, _, key, text in check(os.path.join(CONFIGS, name, "config.toml"))[1]:
            assert level == "note" or allowed.search(text), (name, key, text)


def test_03_page():
    """the page of examples shows each of them as it is, and docs/config.md is what the program prints"""
    with open(os.path.join(ROOT, "docs", "config-examples.md")) as f:
        page = f.read()
    for name in NAMES:
        with open(os.path.join(CONFIGS, name, "config.toml")) as f:
            text = f.read()
        assert "```toml\n%s```" % text in page, "docs/config-examples.md: %s is not as in tests/configs" % name
    with open(os.path.join(ROOT, "docs", "config.md")) as f:
        assert f.read() == run("rootedge", "config", "reference").stdout, "docs/config.md is old: rootedge config reference > docs/config.md"


# -- check --------------------------------------------------------------------------------------------------------------------------

def test_04_all_mistakes():
    """mistakes in several files and in the environment are told at once, each with its place and the nearest key"""
    with Folder() as folder:
        path = write(folder / "config.toml", "hostnam = 1\n[gateway]\nmqtt_port = 70000\n" + SAS)
        write(folder / "config.d/10.toml", "\n[edge_ca]\nmethod = \"est\"\nexpiry_days = true\n")
        done = config("check", path, env={"ROOTEDGE_SET_GATEWAY__ENABLED": "perhaps"})
        assert done.returncode == 1 and "ROOTEDGE_SET_GATEWAY__ENABLED: not what gateway.enabled can be" in done.stdout, done
        done = config("check", path, env={"ROOTEDGE_SET_GATEWAY__MAX_QUEUE_MIB": "0"})
        for part in (path + ":1: hostnam: unknown key, did you mean `hostname`?", path + ":3: gateway.mqtt_port: 70000 is not between 0 and 65535",
                     folder / "config.d/10.toml:3: edge_ca.method: no EST server is configured", "10.toml:4: edge_ca.expiry_days: expected a whole number, found true or false",
                     "ROOTEDGE_SET_GATEWAY__MAX_QUEUE_MIB: gateway.max_queue_mib: 0 is not between"):
            assert part in done.stdout, (part, done.stdout)
        assert "the files that it names are looked at when it is right itself" in done.stdout


def test_05_files():
    """pairs that don't belong together, an Edge CA that is none, keys that others may read or replace, encrypted and missing files"""
    with Folder() as folder:
        pki = Pki(folder)
        device, key = pki.make("device", "EdgeGateway")
        ca, ca_key = pki.make("edge-ca", "Contoso Edge CA")
        path = folder / "config.toml"

        def found(identity_pk=key, edge_cert=ca, edge_pk=ca_key, more="", bundle=pki.root):
            write(path, 'hostname = "edge.local"\ntrust_bundle_cert = "file://%s"\n%s\n[provisioning]\nsource = "manual"\niothub_hostname = "h.local"\ndevice_id = "EdgeGateway"\n'
                  '[provisioning.authentication]\nmethod = "x509"\nidentity_cert = "file://%s"\nidentity_pk = "file://%s"\n[edge_ca]\ncert = "file://%s"\npk = "file://%s"\n' %
                  (bundle, more, device, identity_pk, edge_cert, edge_pk))
            return check(path)

        status, all = found()
        assert status == 0 and not [f for f in all if f[0] == "error"], all
        says(found(identity_pk=ca_key)[1], "error", "provisioning.authentication.identity_pk", "does not belong to the certificate")
        says(found(edge_cert=device, edge_pk=key)[1], "error", "edge_ca.cert", "is no CA's")
        says(found(edge_cert=device, edge_pk=key)[1], "warning", "edge_ca.cert", "is the device's id too")
        says(found(edge_cert=folder / "nothing.pem")[1], "error", "edge_ca.cert", "nothing.pem: No such file")
        says(found(bundle=device)[1], "warning", "trust_bundle_cert", "is no CA's")
        says(found(bundle=device)[1], "warning", "edge_ca.cert", "trust_bundle_cert doesn't have")
        os.chmod(key, 0o644)
        says(found()[1], "warning", "provisioning.authentication.identity_pk", "others may read this key (mode 0644)")
        os.chmod(key, 0o620)
        says(found()[1], "error", "provisioning.authentication.identity_pk", "others may replace this key")
        os.chmod(key, 0o600)
        openssl("pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", folder / "encrypted.key")
        os.chmod(folder / "encrypted.key", 0o600)
        says(found(identity_pk=folder / "encrypted.key")[1], "error", "provisioning.authentication.identity_pk", "encrypted")
        openssl("genrsa", "-out", folder / "weak.key", "1024")
        os.chmod(folder / "weak.key", 0o600)
        says(found(identity_pk=folder / "weak.key")[1], "error", "provisioning.authentication.identity_pk", "not accepted")
        write(folder / "empty.pem", "")
        says(found(edge_cert=folder / "empty.pem")[1], "error", "edge_ca.cert", "empty.pem")
        write(folder / "info.toml", "a = 1\n")
        says(found(more='additional_info = "file://%s"' % (folder / "info.toml"))[1], "error", "additional_info", "info.toml:1: a: a text is expected")
        if os.getuid() == 0:
            write(folder / "pin", "1234")
            write(path, SAS + '[preloaded_keys]\nx = "pkcs11:token=t;object=x?pin-source=file:%s"\n' % (folder / "pin"))
            says(check(path)[1], "error", "preloaded_keys.x", "keyd, which runs as user 61840 or, by systemd, as aziotks, may not read it")


def test_06_dates():
    """an identity that has expired or is not good yet is an error, one that ends within a week a warning"""
    with Folder() as folder:
        pki = Pki(folder)
        device, key = pki.make("device", "EdgeGateway", "--days", "30")
        clock = folder / "clock"
        path = write(folder / "config.toml", 'hostname = "edge.local"\n[provisioning]\nsource = "manual"\niothub_hostname = "h.local"\ndevice_id = "EdgeGateway"\n[provisioning.authentication]\n'
                     'method = "x509"\nidentity_cert = "file://%s"\nidentity_pk = "file://%s"\n' % (device, key))
        for days, level, part in ((0, None, None), (25, "warning", "in less than 7 days"), (31, "error", "has expired on"), (-300, "error", "is this machine's clock right?")):
            write(clock, str(days * 86400))
            found = check(path, env={"ROOTEDGE_CLOCK_FILE": clock})[1]
            if level:
                says(found, level, "provisioning.authentication.identity_cert", part)
            else:
                assert not [f for f in found if f[2] == "provisioning.authentication.identity_cert"], found


def test_07_modes():
    """a configuration with a secret that others may read is a warning; one that everybody may write to is refused, by a start as well"""
    with Folder() as folder:
        path = write(folder / "config.toml", 'hostname = "edge.local"\n' + SAS, 0o644)
        says(check(path)[1], "warning", None, "others may read it, and there are secrets")
        assert config("check", path, "--warnings-as-errors").returncode == 1
        write(folder / "config.d/1.toml", 'hostname = "other.local"\n', 0o666)
        assert any("everybody may write to it" in f[3] for f in check(path)[1])
        done = run("rootedge", "edge", "--config", path, "--state", folder / "state", check=False)
        assert done.returncode != 0 and "everybody may write to it" in done.stderr + done.stdout, done
        assert not os.path.exists(folder / "state")


# -- show ---------------------------------------------------------------------------------------------------------------------------

def test_08_show():
    """what is in effect, given or default, with its origin; no secret; and as TOML it says the same again"""
    with Folder() as folder:
        path = write(folder / "config.toml", 'hostname = "edge.local"\n' + SAS + '[edge_ca]\ncert = "/c"\npk = "pkcs11:token=t;object=o?module-path=/m&pin-value=9f31c0de"\n'
                     '[cert_issuance.est.auth]\nusername = "u"\npassword = "9f31c0de"\n[tpm]\nhierarchy_authorization = { owner = "9f31c0de" }\n[[principal]]\nname = "p"\nuid = 7\nkeys = ["k"]\n')
        write(folder / "config.d/1.toml", "\n[gateway]\nmqtt_port = 1234\n")
        env = {"ROOTEDGE_SET_UPSTREAM__ADDRESS": "127.0.0.9"}
        values = {(v["table"], v["key"]): (v["value"], v["origin"]) for v in json.loads(config("show", path, "--json", env=env).stdout)}
        assert values["", "hostname"] == ("edge.local", path + ":1"), values
        assert values["gateway", "mqtt_port"] == (1234, folder / "config.d/1.toml:3")
        assert values["gateway", "enabled"] == (True, "default")
        assert values["upstream", "address"] == ("127.0.0.9", "ROOTEDGE_SET_UPSTREAM__ADDRESS")
        assert values["provisioning.authentication.device_id_pk", "value"][0] == "(hidden)"
        assert values["edge_ca", "pk"][0] == "pkcs11:token=t;object=o?module-path=/m&pin-value=(hidden)"
        assert values["principal[0]", "name"][0] == "p"
        text = config("show", path, env=env).stdout
        for role in ("keyd", "certd"):
            text += config("show", path, "--role", role, env=env).stdout
        for secret in ("9f31c0de", KEY):
            assert secret not in text, text
        again = write(folder / "again.toml", config("show", path, env=env).stdout)
        assert config("show", again, env={"ROOTEDGE_CONFIG_DIR": folder / "none"}).returncode == 0


# -- import -------------------------------------------------------------------------------------------------------------------------

def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def iot_edge(folder):
    """A folder as IoT Edge has it."""
    write(folder / "aziot/config.toml", 'hostname = "edge.local"\nlocal_gateway_hostname = "parent.local"\n[provisioning]\nsource = "manual"\n'
          'connection_string = "HostName=contoso.local;DeviceId=EdgeGateway;SharedAccessKey=%s"\n[agent]\nname = "edgeAgent"\n[agent.config]\nimage = "mcr.example/agent"\n[connect]\n'
          'workload_uri = "unix:///run/w.sock"\n[edge_ca]\ncert = "file:///etc/ca.pem"\npk = "pkcs11:token=t;object=ca?pin-value=1234"\n' % KEY)
    write(folder / "aziot/config.d/10.toml", "[aziot_keys]\npkcs11_lib_path = \"/m.so\"\n")
    write(folder / "aziot/keyd/config.d/00-super.toml", "max_requests = 7\n[aziot_keys]\nhomedir_path = \"/x\"\n")
    write(folder / "aziot/keyd/config.d/20-vpn.toml", "[[principal]]\nuid = 1001\nkeys = [\"vpn\"]\n")
    write(folder / "elsewhere/vpn.toml", "[[principal]]\nuid = 1001\ncerts = [\"vpn\"]\n[cert_issuance.vpn]\nmethod = \"self_signed\"\n")
    return folder / "aziot"


def tree(folder):
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as f:
                found[os.path.join(place, name)] = f.read()
    return found


def test_09_import():
    """secrets become files of 0600, services' tables move, containers are left out, all of it is said; IoT Edge's files stay as they are"""
    with Folder() as folder:
        source, path = iot_edge(folder), folder / "new/config.toml"
        os.mkdir(folder / "new")
        before = tree(source)
        env = dict(os.environ, AZIOT_CERTD_CONFIG_DIR=folder / "elsewhere")
        dry = run("rootedge", "config", "import", "--from", source, "--config", path, "--dry-run", check=False, env=env)
        assert os.listdir(folder / "new") == [] and "changed" in dry.stdout, dry
        done = run("rootedge", "config", "import", "--from", source, "--config", path, check=False, env=env)
        assert tree(source) == before
        assert mode(path) == 0o600 and mode(folder / "new/secrets") == 0o700
        for name, content in (("device-id", b"0123456789abcdef0123456789abcdef"), ("pin-2", b"1234")):
            with open(os.path.join(folder / "new/secrets", name), "rb") as f:
                assert f.read() == content and mode(f.name) == 0o600, name
        with open(path) as f:
            text = f.read()
        assert KEY not in text + done.stdout and "pin-value" not in text and "agent" not in text, text
        for line in ("changed   provisioning.connection_string: is iothub_hostname", "changed   local_gateway_hostname: is called parent_hostname", "left out  agent: modules are processes",
                     "changed   keyd: principal: uid 1001", "changed   certd: cert_issuance: stands in config.toml", "kept      edge_ca"):
            assert line in done.stdout, (line, done.stdout)
        values = {(v["table"], v["key"]): v["value"] for v in json.loads(config("show", path, "--json").stdout)}
        assert values["", "parent_hostname"] == "parent.local" and values["provisioning", "device_id"] == "EdgeGateway", values
        assert values["principal[0]", "keys"] == ["vpn"] and values["principal[0]", "certs"] == ["vpn"]
        assert values["cert_issuance.vpn", "method"] == "self_signed"
        assert values["aziot_keys", "pkcs11_lib_path"] == "/m.so" and ("aziot_keys", "homedir_path") not in values


def test_10_import_replaces_nothing():
    """without --force nothing that is there is replaced, config.toml or a secret; with it the old configuration is kept, each time"""
    with Folder() as folder:
        source, path = iot_edge(folder), folder / "new/config.toml"
        write(path, "hostname = \"mine\"\n")
        done = run("rootedge", "config", "import", "--from", source, "--config", path, check=False)
        assert done.returncode == 1 and "is there already; --force" in done.stderr and os.listdir(folder / "new") == ["config.toml"], done
        os.remove(path)
        write(folder / "new/secrets/device-id", "mine")
        done = run("rootedge", "config", "import", "--from", source, "--config", path, check=False)
        assert done.returncode == 1 and "secrets/device-id is there already" in done.stderr and not os.path.exists(path), done
        write(folder / "new/secrets/device-id", "0123456789abcdef0123456789abcdef")  # of an import that was broken off before its config.toml
        run("rootedge", "config", "import", "--from", source, "--config", path, check=False)
        assert os.path.exists(path)
        write(path, "hostname = \"mine\"\n", 0o644)
        for n in range(3):
            run("rootedge", "config", "import", "--from", source, "--config", path, "--force", check=False)
        with open(path + ".old") as f:
            assert f.read() == "hostname = \"mine\"\n" and mode(path + ".old") == 0o600
        assert sorted(n for n in os.listdir(folder / "new") if "old" in n) == ["config.toml.old", "config.toml.old.1", "config.toml.old.2"]
        # In place, as for somebody who goes over to rootedge on the same box.
        done = run("rootedge", "config", "import", "--from", source, "--config", os.path.join(source, "config.toml"), "--force", check=False)
        assert os.path.exists(os.path.join(source, "config.toml.old")), done


def test_11_damaged():
    """a configuration with changed, cut or foreign bytes is told what is wrong by every verb, and nothing is written"""
    rng = random.Random(7)
    with Folder() as folder:
        source = folder / "aziot"
        path = write(folder / "aziot/config.toml", "")
        for n in range(60):
            with open(os.path.join(CONFIGS, NAMES[n % len(NAMES)], "config.toml"), "rb") as f:
                text = bytearray(f.read())
            for _ in range(1 + n % 4):
                text[rng.randrange(len(text))] = rng.randrange(256)
            with open(path, "wb") as f:
                f.write(text[:rng.randrange(len(text))] if n % 5 == 0 else text)
            for verb, args in (("check", []), ("show", []), ("show", ["--role", "certd"])):
                done = config(verb, path, *args)
                said = done.stdout + done.stderr
                assert done.returncode in (0, 1) and "Sanitizer" not in said and "\x1b" not in said, (verb, text, done)
                assert done.returncode == 0 or path in said or "error" in said, (verb, text, done)
            done = run("rootedge", "config", "import", "--from", source, "--config", folder / "out.toml", check=False)
            assert done.returncode in (0, 1) and "Sanitizer" not in done.stderr, (text, done)
            if os.path.exists(folder / "out.toml"):
                os.remove(folder / "out.toml")
                shutil.rmtree(folder / "secrets", ignore_errors=True)
        with open(path, "wb") as f:
            f.write(b"[" * 100000)
        assert config("check", path).returncode == 1
        os.remove(path)
        os.mkfifo(path)  # it is not waited for
        assert config("check", path).returncode == 1


def test_12_mp():
    """manual provisioning: a connection string becomes a good configuration, its key a file; what is there is not replaced, and no secret is said"""
    with Folder() as folder:
        path = folder / "new/config.toml"
        string = "HostName=contoso.local;DeviceId=EdgeGateway;SharedAccessKey=%s" % KEY
        done = run("rootedge", "config", "mp", "--connection-string", "-", "--config", path, input=string + "\n")
        assert KEY not in done.stdout + done.stderr and mode(path) == 0o600 and mode(folder / "new/secrets/device-id") == 0o600
        assert not [f for f in check(path)[1] if f[0] == "error"]
        with open(path) as f:
            assert KEY not in f.read()
        for args in (["--connection-string", string], ["--connection-string", "HostName=x"], ["--connection-string", "planted"], ["--connection-string", "-"]):
            before = tree(folder.path)
            done = run("rootedge", "config", "mp", *args, "--config", path, check=False, input="")
            assert done.returncode == 1 and KEY not in done.stderr and "planted" not in done.stderr and tree(folder.path) == before, done
        run("rootedge", "config", "mp", "--connection-string", string.replace("Gateway", "Other"), "--config", path, "--force")
        assert os.path.exists(path + ".old")


def test_13_called_wrongly():
    """verbs, roles and options that don't exist end with 2 and name the nearest"""
    for args, part in ((["chek"], "did you mean 'check'?"), (["show", "--rol", "keyd"], "--role"), (["check", "x"], "takes options only"), ([], "usage")):
        done = run("rootedge", "config", *args, check=False)
        assert done.returncode == 2 and part in done.stderr, (args, done)
    with Folder() as folder:
        done = config("show", write(folder / "c.toml", SAS), "--role", "tpmd")
        assert done.returncode == 2 and "none of keyd, certd, identityd and edged" in done.stderr


def write_roles():
    """What the roles are told now becomes what is expected; whoever runs this reads the difference."""
    for name in NAMES:
        for role in ("keyd", "certd", "identityd", "edged"):
            done = config("show", os.path.join(CONFIGS, name, "config.toml"), "--role", role)
            assert done.returncode == 0, done
            with open(os.path.join(CONFIGS, name, role + ".json"), "w") as f:
                f.write(done.stdout)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        sys.exit(write_roles())
    run_all(globals())
