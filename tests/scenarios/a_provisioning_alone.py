#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Provisioning without a hub of its own, and the verbs of `rootedge provisioning` for its operator: two hubs are linked, devices are enrolled, register, and connect to the hub
that became theirs."""
import base64, hashlib, hmac, os, signal, ssl, subprocess, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_client import ForeignCa

alone = folder = pki = None
hubs, folders = [], []
NAME = "provisioning.test"


class Alone(Service):
    """`rootedge provisioning`, and its verbs."""

    def __init__(self, folder, pki, *args):
        cert, key = pki.make("server", NAME, "--san", "127.0.0.1", "--san", "localhost", file="provisioning")
        self.pki, self.state = pki, folder / "provisioning-state"
        super().__init__(folder, "provisioning", "--state", self.state, "--hostname", NAME, "--address", "127.0.0.1", "--port", 0, "--mqtt-port", 0, "--cert", cert, "--key", key,
                         "--hubs-ca", pki.root, *args)

    def string(self, *args):
        return run("rootedge", "provisioning", "connection-string", "--state", self.state, *args).stdout.strip()

    def run(self, *words, check=True, login=None):
        return run("rootedge", "provisioning", *words, "--login", login or self.string(), "--ca", self.pki.root, "--connect-to", "127.0.0.1", check=check)

    def tool(self, *words, **kw):
        out = self.run(*words, "--json", **kw).stdout
        return json.loads(out) if out else None

    def wrong(self, *words, **kw):
        done = self.run(*words, check=False, **kw)
        assert done.returncode == 1 and not done.stdout, done
        return done.stderr

    def ask(self, method, path, body=None, headers=None, **kw):
        return https(self.ready["provisioning_port"], method, path + "?api-version=2021-10-01", body, headers, ca=self.pki.root, **kw)


def far(i):
    return "localhost:%d" % hubs[i].https_port


def hub_string(i):
    return "HostName=%s;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (far(i), hubs[i].policy())


def derive(key, registration):
    return base64.b64encode(hmac.new(base64.b64decode(key), registration.encode(), hashlib.sha256).digest()).decode()


def register(registration, key=None, cert=None):
    """What became of it: the registration's last answer."""
    headers = key and {"Authorization": sas("%s/registrations/%s" % (alone.ready["id_scope"], registration), key, policy="registration", encode=False)}
    kw = {"cert": cert[0], "key": cert[1]} if cert else {}
    path, answers = "/%s/registrations/%s" % (alone.ready["id_scope"], registration), []
    status, _, answer = alone.ask("PUT", path + "/register", {"registrationId": registration}, headers, **kw)
    if status != 202:
        return status, answer

    def ended():
        answers.append(alone.ask("GET", path + "/operations/" + answer["operationId"], None, headers, **kw))
        return answers[-1][0] != 202
    wait_for(ended, "the end of " + registration, 30)
    return answers[-1][0], answers[-1][2]


def connects(state, key=None, cert=None):
    hub = hubs[[far(i) for i in range(2)].index(state["assignedHub"])]
    device = state["deviceId"]
    kw = {"password": sas("localhost/devices/" + device, key)} if key else {"cert": cert[0], "key": cert[1]}
    Mqtt(hub.mqtt_port, ca=pki.root, client_id=device, user=username("localhost", device), **kw).close()


def test_00_start():
    """it starts without a hub, says how it is reached, keeps its id scope, and a second one is kept out of its folder"""
    global alone, folder, pki
    folder = Folder()
    pki = Pki(folder)
    alone = Alone(folder, pki)
    assert set(alone.ready) >= {"hostname", "provisioning_port", "provisioning_mqtt_port", "id_scope"} and alone.ready["hostname"] == NAME, alone.ready
    scope = alone.ready["id_scope"]
    second = run("rootedge", "provisioning", *[str(a) for a in alone.args[alone.args.index("--state"):]], check=False)
    assert second.returncode == 1 and "in use by another process" in second.stderr, second
    alone.stop()
    run("rootedge", "cert", "root", "--name", "plant CA", "--out", folder / "plant.pem", "--key-out", folder / "plant.key")
    ForeignCa(folder, "plant").list(folder / "plant.crl.pem")
    alone = Alone(folder, pki, "--crl", folder / "plant.crl.pem", "--crl-ca", folder / "plant.pem", "--issuing-ca-new", "--http-port", 0, "--issuing-ca-crl-url", "http://pki.test/crl/issuing.crl", "--issuing-ca-ocsp-url",
                  "http://pki.test/ocsp-issuing")
    assert alone.ready["id_scope"] == scope
    assert json.loads(run("rootedge", "provisioning", "show", "--state", alone.state, "--json").stdout) == {
        "idScope": scope, "serviceOperationsHostName": "%s:%d" % (NAME, alone.ready["provisioning_port"])}
    for i in range(2):
        folders.append(Folder())
        hubs.append(Hub(folders[i], pki, "localhost"))


def test_01_options():
    """what is missing or wrong on its command line is said in one line"""
    whole = ["--state", folder / "none", "--hostname", NAME, "--cert", folder / "provisioning.pem", "--key", folder / "provisioning.key", "--hubs-ca", pki.root]
    for left_out in "--hostname", "--cert", "--key", "--hubs-ca":
        at = whole.index(left_out)
        done = run("rootedge", "provisioning", *whole[:at], *whole[at + 2:], check=False)
        assert done.returncode == 2 and left_out in done.stderr and done.stderr.count("\n") == 1, done
    assert run("rootedge", "provisioning", *whole, "--id-scope", "0n e", check=False).returncode == 2
    assert run("rootedge", "provisioning", "nothing", check=False).returncode == 2
    done = run("rootedge", "provisioning", *whole, "--port", 0, "--mqtt-port", 0, "--issuing-ca-new", "--issuing-ca-crl-url", "https://pki.test/crl/issuing.crl", check=False)
    assert done.returncode == 1 and "http://" in done.stderr, done
    done = run("rootedge", "provisioning", *whole[:-1], folder / "none.pem", check=False)
    assert done.returncode == 1 and "none.pem" in done.stderr, done


def test_02_no_hub():
    """before a hub is linked nobody can be assigned, and it says so; nothing of a hub is there"""
    key = alone.tool("enrollment", "create", "--enrollment-id", "early")["attestation"]["symmetricKey"]["primaryKey"]
    status, answer = register("early", key)
    assert status == 409 and "linked" in answer["message"], answer
    assert [p["keyName"] for p in alone.tool("policy", "list")] == ["provisioningserviceowner"]
    alone.tool("enrollment", "delete", "--enrollment-id", "early")


def test_03_link():
    """hubs are linked by a connection string of theirs, listed, changed without it, taken away and linked again; the key is never told"""
    assert alone.tool("linked-hub", "list") == []
    for i in range(2):
        shown = alone.tool("linked-hub", "create", "--connection-string", hub_string(i))
        assert shown == {"name": far(i), "allocationWeight": 1, "sharedAccessKeyName": "iothubowner"}, shown
    assert alone.tool("linked-hub", "update", "--linked-hub", far(0), "--allocation-weight", "3")["allocationWeight"] == 3
    assert alone.tool("linked-hub", "show", "--linked-hub", far(0))["allocationWeight"] == 3
    assert sorted(h["name"] for h in alone.tool("linked-hub", "list")) == sorted([far(0), far(1)])
    lines = alone.run("linked-hub", "list").stdout.splitlines()
    assert lines[0].split() == ["HUB", "WEIGHT", "POLICY"] and len(lines) == 3, lines
    assert "no linked hub" in alone.wrong("linked-hub", "update", "--linked-hub", "x.test", "--allocation-weight", "1")
    assert "no linked hub" in alone.wrong("linked-hub", "delete", "--linked-hub", "x.test")
    assert "0 to 1000" in alone.wrong("linked-hub", "update", "--linked-hub", far(0), "--allocation-weight", "1001")
    assert "--connection-string" in alone.wrong("linked-hub", "create")
    alone.tool("linked-hub", "delete", "--linked-hub", far(1))
    assert [h["name"] for h in alone.tool("linked-hub", "list")] == [far(0)]
    alone.tool("linked-hub", "create", "--connection-string", hub_string(1).replace(far(1), "localhost"), "--linked-hub", far(1), "--allocation-weight", "3")
    assert not any(hubs[i].policy() in alone.log_text() for i in range(2))


def test_04_individual_key():
    """an enrollment by key, with all that az can say of it: the device is made in the hub that it names, and connects there"""
    made = alone.tool("enrollment", "create", "--enrollment-id", "pump-1", "--attestation-type", "symmetrickey", "--device-id", "pump", "--edge-enabled", "true",
                      "--initial-twin-tags", '{"line": 3}', "--initial-twin-properties", '{"rate": 5}', "--iot-hubs", far(1), "--allocation-policy", "static",
                      "--reprovision-policy", "never", "--device-information", '{"model": 7}')
    assert made["allocationPolicy"] == "static" and made["iotHubs"] == [far(1)] and made["capabilities"]["iotEdge"] is True, made
    assert made["reprovisionPolicy"] == {"updateHubAssignment": False, "migrateDeviceData": False} and made["optionalDeviceInformation"] == {"model": 7}, made
    key = made["attestation"]["symmetricKey"]["primaryKey"]
    assert "symmetricKey" not in alone.tool("enrollment", "show", "--enrollment-id", "pump-1")["attestation"]
    assert alone.tool("enrollment", "show", "--enrollment-id", "pump-1", "--show-keys")["attestation"] == made["attestation"]
    status, answer = register("pump-1", key)
    assert status == 200 and answer["status"] == "assigned" and answer["registrationState"]["assignedHub"] == far(1), answer
    assert hubs[1].rest("GET", "/devices/pump")[2]["capabilities"]["iotEdge"] is True and hubs[0].rest("GET", "/devices/pump")[0] == 404
    twin = hubs[1].rest("GET", "/twins/pump")[2]
    assert twin["tags"] == {"line": 3} and twin["properties"]["desired"]["rate"] == 5, twin
    connects(answer["registrationState"], key)
    assert alone.tool("registration", "show", "--registration-id", "PUMP-1")["deviceId"] == "pump"


def test_05_update():
    """an update changes what was given and leaves the rest, keys too; an old etag is refused"""
    before = alone.tool("enrollment", "show", "--enrollment-id", "pump-1", "--show-keys")
    after = alone.tool("enrollment", "update", "--enrollment-id", "pump-1", "--initial-twin-tags", '{"line": 4}', "--provisioning-status", "disabled")
    assert after["initialTwin"] == {"tags": {"line": 4}, "properties": {"desired": {"rate": 5}}} and after["provisioningStatus"] == "disabled" and after["deviceId"] == "pump", after
    assert alone.tool("enrollment", "show", "--enrollment-id", "pump-1", "--show-keys")["attestation"] == before["attestation"]
    assert register("pump-1", before["attestation"]["symmetricKey"]["primaryKey"])[0] == 401
    assert "etag" in alone.wrong("enrollment", "update", "--enrollment-id", "pump-1", "--etag", before["etag"], "--edge-enabled", "false")
    other = new_key()
    alone.tool("enrollment", "update", "--enrollment-id", "pump-1", "--primary-key", other, "--provisioning-status", "enabled", "--etag", after["etag"])
    keys = alone.tool("enrollment", "show", "--enrollment-id", "pump-1", "--show-keys")["attestation"]["symmetricKey"]
    assert keys == {"primaryKey": other, "secondaryKey": before["attestation"]["symmetricKey"]["secondaryKey"]}, keys
    assert register("pump-1", other)[0] == 200
    assert "etag" in alone.wrong("enrollment", "delete", "--enrollment-id", "pump-1", "--etag", before["etag"])


def test_06_group_key():
    """a group by key: the key of a device is computed here or there, and its devices spread over both hubs"""
    made = alone.tool("enrollment-group", "create", "--group-id", "plant", "--iot-hubs", "%s %s" % (far(0), far(1)))
    assert made["iotHubs"] == [far(0), far(1)], made
    group = made["attestation"]["symmetricKey"]["primaryKey"]
    for more in ("--group-id", "plant"), ("--key", group):
        assert alone.tool("enrollment-group", "compute-device-key", "--registration-id", "leaf-0", *more) == derive(group, "leaf-0")
    assert alone.run("enrollment-group", "compute-device-key", "-r", "leaf-0", "-g", "plant").stdout == derive(group, "leaf-0") + "\n"
    ids = ["leaf-%d" % i for i in range(16)]
    where = {}
    for i in ids:
        status, answer = register(i, derive(group, i))
        assert status == 200 and answer["status"] == "assigned", answer
        where[i] = answer["registrationState"]["assignedHub"]
        connects(answer["registrationState"], derive(group, i))
    assert set(where.values()) == {far(0), far(1)}, where
    assert [r["registrationId"] for r in alone.tool("registration", "list", "--group-id", "PLANT")] == sorted(ids)
    assert [r["registrationId"] for r in alone.tool("registration", "list", "--group-id", "plant", "--top", "3")] == sorted(ids)[:3]
    assert "there is no enrollment group none" in alone.wrong("registration", "list", "--group-id", "none")
    lines = alone.run("registration", "list", "--group-id", "plant").stdout.splitlines()
    assert lines[0].split() == ["ID", "STATUS", "HUB", "DEVICE", "UPDATED", "WHY"] and len(lines) == 17, lines
    assert [g["enrollmentGroupId"] for g in alone.tool("enrollment-group", "list")] == ["plant"]
    assert alone.run("enrollment-group", "list").stdout.splitlines()[1].split()[:3] == ["plant", "enabled", "symmetricKey"]


def test_07_certificates():
    """enrollments by certificate: one device's own, and a CA's for a group; a second one is added and the first removed, and one that was revoked registers nobody"""
    own, other = pki.make("device", "cert-1"), pki.make("device", "cert-1", file="cert-1-new")
    made = alone.tool("enrollment", "create", "--enrollment-id", "cert-1", "--certificate-path", own[0], "--iot-hub-host-name", far(0))
    assert made["attestation"]["type"] == "x509" and made["attestation"]["x509"]["clientCertificates"]["primary"]["info"]["sha256Thumbprint"] == thumbprint(own[0]), made
    connects(register("cert-1", cert=own)[1]["registrationState"], cert=own)
    alone.tool("enrollment", "update", "--enrollment-id", "cert-1", "--secondary-certificate-path", other[0])
    pair = alone.tool("enrollment", "update", "--enrollment-id", "cert-1", "--remove-certificate")["attestation"]["x509"]["clientCertificates"]
    assert pair["primary"] is None and pair["secondary"]["info"]["sha256Thumbprint"] == thumbprint(other[0]), pair
    assert register("cert-1", cert=own)[0] == 401
    connects(register("cert-1", cert=other)[1]["registrationState"], cert=other)
    made = alone.tool("enrollment-group", "create", "--group-id", "line", "--certificate-path", folder / "plant.pem")
    assert made["attestation"]["x509"]["signingCertificates"]["primary"]["info"]["subjectName"] == "CN=plant CA", made
    assert alone.tool("enrollment-group", "update", "--group-id", "line", "--edge-enabled", "true")["attestation"] == made["attestation"]
    assert "not both" in alone.wrong("enrollment-group", "create", "--group-id", "x", "--ca-name", "plant", "--certificate-path", folder / "plant.pem")
    alone.tool("certificate", "create", "-n", "plant", "--path", folder / "plant.pem")
    etag = alone.tool("certificate", "show", "-n", "plant")["etag"]
    code = alone.tool("certificate", "generate-verification-code", "-n", "plant", "--etag", etag)["properties"]["verificationCode"]
    proof, _ = pki.make("device", code, issuer="plant", file="proof")
    assert alone.tool("certificate", "verify", "-n", "plant", "--path", proof)["properties"]["isVerified"] is True
    lines = alone.run("certificate", "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "SUBJECT", "VERIFIED", "EXPIRY"] and lines[1].startswith("plant "), lines
    assert "-n" in alone.wrong("certificate", "show")
    named = alone.tool("enrollment-group", "update", "--group-id", "line", "--ca-name", "plant")["attestation"]["x509"]
    assert list(named) == ["caReferences"] and named["caReferences"]["primary"] == "plant", named
    assert alone.tool("enrollment-group", "update", "--group-id", "line", "--edge-enabled", "false")["attestation"]["x509"] == named
    leaf = pki.make("device", "line-1", issuer="plant")
    connects(register("line-1", cert=leaf)[1]["registrationState"], cert=leaf)
    ForeignCa(folder, "plant").list(folder / "plant.crl.pem", leaf[0])
    wait_for(lambda: register("line-1", cert=leaf)[0] == 401, "the one that was revoked to be refused")
    assert "CERT_REVOKED" in alone.reasons()
    again = pki.make("device", "line-1", issuer="plant", file="line-1-again")
    assert register("line-1", cert=again)[0] == 200, "another certificate of it is none of that list"
    assert "no key" in alone.wrong("enrollment-group", "compute-device-key", "--group-id", "line", "--registration-id", "x")


def issue(registration):
    """What a device with a key of its own is given when it registers with a CSR: a file."""
    key, cert = folder / (registration + ".key"), folder / (registration + ".pem")
    secret, owner = base64.b64encode(b"k" * 64).decode(), parse_connection_string(alone.string())
    owner = {"Authorization": sas(owner["HostName"], owner["SharedAccessKey"], policy=owner["SharedAccessKeyName"], encode=False)}
    device = {"Authorization": sas("%s/registrations/%s" % (alone.ready["id_scope"], registration), secret, policy="registration", encode=False)}
    ask = lambda method, path, body=None, headers=device: https(alone.ready["provisioning_port"], method, path + "?api-version=2025-07-01-preview", body, headers, ca=pki.root)
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key], check=True, capture_output=True)
    csr = subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=" + registration, "-outform", "DER"], check=True, capture_output=True).stdout
    status, _, answer = ask("PUT", "/enrollments/" + registration, {"registrationId": registration, "credentialPolicyName": "default", "attestation": {
        "type": "symmetricKey", "symmetricKey": {"primaryKey": secret, "secondaryKey": secret}}}, owner)
    assert status == 200, answer
    path = "/%s/registrations/%s" % (alone.ready["id_scope"], registration)
    status, _, answer = ask("PUT", path + "/register", {"registrationId": registration, "csr": base64.b64encode(csr).decode()})
    assert status == 202, answer

    def ended():
        status, _, said = ask("GET", path + "/operations/" + answer["operationId"])
        return status == 200 and said["registrationState"]
    with open(cert, "w") as f:
        f.write(ssl.DER_cert_to_PEM_cert(base64.b64decode(wait_for(ended, "the registration", 30)["issuedCertificateChain"][0])))
    return cert


def test_07_b_status():
    """its own CA publishes its revocation list and answers OCSP, with TLS and without, and its certificates say where; nothing else is there without TLS"""
    cert, issuer = issue("issued-1"), os.path.join(alone.state, "ca", "issuing-ca.cert.pem")
    openssl = lambda *words: subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=60 * SLOW)
    plain = lambda method, path: subprocess.run(["curl", "-sS", "-o", folder / "fetched", "-w", "%{http_code}", "-X", method, "http://127.0.0.1:%d%s" % (alone.ready["http_port"], path)], capture_output=True, text=True).stdout
    ocsp = lambda: openssl("ocsp", "-url", "http://127.0.0.1:%d/ocsp-issuing" % alone.ready["http_port"], "-issuer", issuer, "-CAfile", issuer, "-cert", cert, "-nonce").stdout

    def listed():
        assert plain("GET", "/crl/issuing.crl") == "200"
        said = openssl("crl", "-inform", "DER", "-in", folder / "fetched", "-CAfile", issuer, "-noout", "-text")
        assert "verify OK" in said.stderr, said
        return said.stdout
    text = openssl("x509", "-in", cert, "-noout", "-text").stdout
    assert "URI:http://pki.test/crl/issuing.crl" in text and "OCSP - URI:http://pki.test/ocsp-issuing" in text, text
    assert ": good" in ocsp() and "No Revoked Certificates" in listed()
    run("rootedge", "ca", "revoke", "issued-1", "--state", alone.state, "--reason", "keyCompromise")
    number = openssl("x509", "-in", cert, "-noout", "-serial").stdout.strip().split("=")[1]
    wait_for(lambda: number in listed(), "the list to have it")
    assert ": revoked" in ocsp() and "Reason: keyCompromise" in ocsp()
    assert https(alone.ready["provisioning_port"], "GET", "/crl/issuing.crl", ca=pki.root)[0] == 200
    assert [plain("GET", path) for path in ("/crl/other.crl", "/enrollments/issued-1", "/", "/%s/registrations/issued-1" % alone.ready["id_scope"])] == ["404"] * 4
    assert plain("POST", "/crl/issuing.crl") == plain("PUT", "/ocsp-issuing") == "405"
    assert alone.tool("enrollment", "delete", "--enrollment-id", "issued-1") is None


def test_08_wrong():
    """what the service refuses, and what can't be asked, is said in plain words"""
    for words, said in ((("enrollment", "create", "--enrollment-id", "pump-1"), "it is there already"), (("enrollment", "show", "--enrollment-id", "none"), "there is no enrollment none"),
                        (("enrollment", "create"), "--enrollment-id is missing"), (("enrollment-group", "show"), "--group-id is missing"),
                        (("enrollment", "create", "--enrollment-id", "a b"), "an id has"), (("enrollment", "create", "--enrollment-id", "x", "--initial-twin-tags", "{"), "--initial-twin-tags"),
                        (("enrollment", "create", "--enrollment-id", "x", "--initial-twin-tags", "[]"), "initialTwin"),
                        (("enrollment", "create", "--enrollment-id", "x", "--edge-enabled", "yes"), "true or false"),
                        (("enrollment", "create", "--enrollment-id", "x", "--reprovision-policy", "yes"), "never"),
                        (("enrollment", "create", "--enrollment-id", "x", "--iot-hubs", "x.test"), "not a linked hub"),
                        (("enrollment", "create", "--enrollment-id", "x", "--attestation-type", "faith"), "faith"),
                        (("enrollment", "create", "--enrollment-id", "x", "--certificate-path", folder / "none.pem"), "none.pem"),
                        (("enrollment", "create", "--enrollment-id", "x", "--certificate-path", pki.root), "CA certificate"),
                        (("enrollment-group", "compute-device-key", "--key", "?", "--registration-id", "x"), "base64"),
                        (("registration", "list"), "--group-id is missing"), (("registration", "show", "--registration-id", "none"), "there is no registration none")):
        assert said in alone.wrong(*words), (words, alone.wrong(*words))
    assert alone.tool("enrollment", "list") and "x" not in [e["registrationId"] for e in alone.tool("enrollment", "list")]
    done = run("rootedge", "provisioning", "enrolment", check=False)
    assert done.returncode == 2 and "did you mean 'enrollment'" in done.stderr, done


def test_09_policies():
    """policies of provisioning: made, used, changed and deleted; what one may not do is refused; the last owner stays"""
    made = alone.tool("policy", "create", "--policy-name", "reader", "--rights", "EnrollmentRead")
    assert made["rights"] == "EnrollmentRead" and made["primaryKey"] != made["secondaryKey"], made
    reader = alone.string("--policy-name", "reader")
    assert alone.tool("enrollment", "list", login=reader) and "may not do this" in alone.wrong("enrollment", "delete", "--enrollment-id", "pump-1", login=reader)
    assert "may not do this" in alone.wrong("registration", "show", "--registration-id", "pump-1", login=reader)
    assert "may not do this" in alone.wrong("policy", "list", login=reader)
    alone.tool("policy", "update", "--policy-name", "reader", "--rights", "EnrollmentRead,RegistrationStatusRead")
    assert alone.tool("registration", "show", "--registration-id", "pump-1", login=reader)["deviceId"] == "pump"
    alone.tool("policy", "renew-key", "-n", "reader", "--renew-key", "primary")
    assert "may not do this" in alone.wrong("enrollment", "list", login=reader)
    for words, said in (("create", "--policy-name", "reader", "--rights", "EnrollmentRead"), "there already"), (("create", "--policy-name", "x", "--rights", "RegistryRead"), "rights are some of"), \
                       (("update", "--policy-name", "none", "--rights", "EnrollmentRead"), "no such policy"), (("delete", "--policy-name", "provisioningserviceowner"), "last policy"), \
                       (("update", "--policy-name", "provisioningserviceowner", "--rights", "EnrollmentRead"), "last policy"), (("show", "--policy-name", "none"), "no policy none"), \
                       (("create", "--policy-name", "a b", "--rights", "EnrollmentRead"), "characters"):
        assert said in alone.wrong("policy", *words), (words, alone.wrong("policy", *words))
    assert [p["keyName"] for p in alone.tool("policy", "list")] == ["provisioningserviceowner", "reader"]
    alone.tool("policy", "delete", "--policy-name", "reader")
    assert "may not do this" in alone.wrong("enrollment", "list", login=reader)


def test_10_kill():
    """after kill -9 in the midst of registrations, what was told is there, and registering again ends with the same hub and key"""
    group = alone.tool("enrollment-group", "show", "--group-id", "plant", "--show-keys")["attestation"]["symmetricKey"]["primaryKey"]
    ids, told = ["killed-%d" % i for i in range(30)], {}

    def many():
        try:
            for i in ids:
                told[i] = register(i, derive(group, i))[1]["registrationState"]["assignedHub"]
        except OSError:
            pass
        except Exception as why:
            if "http" not in type(why).__module__:
                raise
    worker = threading.Thread(target=many)
    worker.start()
    wait_for(lambda: len(told) >= 5, "five registrations")
    alone.kill9()
    worker.join()
    restart()
    for i, where in dict(told).items():
        assert alone.tool("registration", "show", "--registration-id", i)["assignedHub"] == where, i
    for i in ids[:12]:
        status, answer = register(i, derive(group, i))
        assert status == 200 and answer["status"] == "assigned" and answer["registrationState"]["assignedHub"] == told.get(i, answer["registrationState"]["assignedHub"]), answer
        connects(answer["registrationState"], derive(group, i))


def restart():
    global alone
    alone = Alone(folder, pki)


def test_11_reload():
    """SIGHUP loads the certificate again; one that can't be loaded leaves the old one in use"""
    with open(folder / "provisioning.pem", "w") as f:
        f.write("no certificate\n")
    alone.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "stays" in alone.log_text(), "what is wrong with it")
    assert alone.tool("linked-hub", "list")
    pki.make("server", NAME, "--san", "127.0.0.1", file="provisioning")
    alone.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "loaded again" in alone.log_text(), "the new certificate")
    assert alone.tool("linked-hub", "list")


def test_12_forget():
    """a registration that is deleted is gone, the device in the hub stays"""
    etag = alone.tool("registration", "show", "--registration-id", "leaf-0")["etag"]
    assert "etag" in alone.wrong("registration", "delete", "--registration-id", "leaf-0", "--etag", etag[:-1])
    alone.tool("registration", "delete", "--registration-id", "leaf-0", "--etag", etag)
    assert "no registration" in alone.wrong("registration", "delete", "--registration-id", "leaf-0")
    assert any(h.rest("GET", "/devices/leaf-0")[0] == 200 for h in hubs)


def test_13_in_a_hub():
    """the verbs do the same with provisioning in a hub, and neither sees or changes a policy of the other"""
    with Folder() as one:
        hub = Hub(one, Pki(one), "localhost", "--provisioning", "--provisioning-port", 0, "--provisioning-mqtt-port", 0)
        string = run("rootedge", "provisioning", "connection-string", "--state", hub.state).stdout.strip()
        assert "HostName=localhost:%d;" % hub.ready["provisioning_port"] in string, string

        def tool(*words, check=True):
            return run("rootedge", "provisioning", *words, "--login", string, "--ca", hub.pki.root, "--connect-to", "127.0.0.1", "--json", check=check)
        assert [p["keyName"] for p in json.loads(tool("policy", "list").stdout)] == ["provisioningserviceowner"]
        assert "policy of the hub" in tool("policy", "create", "-n", "iothubowner", "--rights", "EnrollmentRead", check=False).stderr
        assert "no policy" in tool("policy", "show", "-n", "iothubowner", check=False).stderr
        assert json.loads(tool("enrollment-group", "create", "-g", "plant").stdout)["provisioningStatus"] == "enabled"
        assert "--provisioning-hubs-ca" in tool("linked-hub", "create", "--connection-string", "HostName=x.test;SharedAccessKeyName=p;SharedAccessKey=" + new_key(), check=False).stderr
        assert hub.rest("PUT", "/policies/x", {"rights": "EnrollmentRead"})[0] == 400
        assert "provisioningserviceowner" not in [p["keyName"] for p in hub.rest("GET", "/policies")[2]["value"]]
        assert hub.rest("GET", "/policies/provisioningserviceowner")[0] == 404
        json.loads(tool("policy", "create", "-n", "second", "--rights", "EnrollmentRead, EnrollmentWrite, RegistrationStatusRead, RegistrationStatusWrite").stdout)
        assert hub.rest("PUT", "/policies/second", {"rights": "RegistryRead"}, {"If-Match": "*"})[0] == 409
        assert hub.rest("POST", "/policies/second/regenerate", {"key": "both"})[0] == hub.rest("DELETE", "/policies/second")[0] == 409
        assert [p["keyName"] for p in json.loads(tool("policy", "list").stdout)] == ["provisioningserviceowner", "second"]
        hub.stop()


def test_14_end():
    """no key is in its log, and it stops in order"""
    key = alone.tool("enrollment", "show", "--enrollment-id", "pump-1", "--show-keys")["attestation"]["symmetricKey"]["primaryKey"]
    assert key not in alone.log_text() and hubs[0].policy() not in alone.log_text()
    alone.stop()
    for hub in hubs:
        hub.stop()
    for f in folders + [folder]:
        f.__exit__()


if __name__ == "__main__":
    run_all(globals())
