#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A certificate is revoked, and the hub lets nobody in by it from then on and ends who is online by it, without a restart: by lists in files, by the EST server inside it, and by its own issuing CA."""
import base64, os, re, ssl, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_client import *

CONFIG = """
[issuer.plant]
certificate = "plant.pem"
key = "plant.key"
root = "root.pem"

[[label]]
profile = "device"
passwords = true
"""


class Plant:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.pki.make("intermediate", "plant CA", file="plant")
        for name in "factory", "between":
            run("rootedge", "cert", "root", "--name", name + " CA", "--out", self.folder / (name + ".pem"), "--key-out", self.folder / (name + ".key"))
        run("rootedge", "cert", "intermediate", "line CA", "--issuer", self.folder / "factory.pem", "--issuer-key", self.folder / "factory.key", "--out", self.folder / "line.pem", "--key-out",
            self.folder / "line.key")
        self.factory = ForeignCa(self.folder, "factory")
        self.lists = self.folder / "factory.crl.pem"
        self.factory.list(self.lists)
        with open(self.folder / "est.toml", "w") as f:
            f.write(CONFIG)
        self.hub = Hub(self.folder, self.pki, "contosoiothub.local", "--device-ca", self.folder / "factory.pem", "--crl", self.lists, "--est", self.folder / "est.toml", "--provisioning",
                       "--provisioning-port", 0, "--provisioning-mqtt-port", 0, "--issuing-ca-new", "--http-port", 0, "--issuing-ca-crl-url", "http://pki.hub.test/crl/issuing.crl", "--issuing-ca-ocsp-url", "http://pki.hub.test/ocsp-issuing")

    def device(self, id, issuer="factory"):
        cert = self.pki.make("device", id, issuer=issuer, file=id)
        self.hub.create_device(id, {"type": "certificateAuthority"})
        return cert

    def connect(self, id, cert):
        return self.hub.mqtt(id, cert=cert[0], key=cert[1])

    def refused(self, id, cert):
        try:
            self.connect(id, cert).close()
        except Refused as e:
            return e.code == 5
        return False

    def send(self, id, cert):
        """Over HTTPS: the status."""
        return https(self.hub.https_port, "POST", "/devices/%s/messages/events?api-version=2021-04-12" % id, b"x", ca=self.pki.root, cert=cert[0], key=cert[1])[0]


it = None


def test_00_list():
    """a device of a registered CA that stands in that CA's list is cut off within seconds and not let in again, over MQTT and HTTPS; another one of the same CA notices nothing"""
    global it
    it = Plant()
    bad, good = it.device("bad-1"), it.device("good-1")
    with it.connect("bad-1", bad) as online, it.connect("good-1", good) as other:
        assert it.send("bad-1", bad) == 204
        it.factory.list(it.lists, bad[0])
        began = time.monotonic()
        assert online.closed(15 * SLOW)
        assert time.monotonic() - began < 5 * SLOW
        other.publish("devices/good-1/messages/events/")
    assert it.refused("bad-1", bad)
    assert "CERT_REVOKED" in it.hub.reasons()
    assert it.send("bad-1", bad) == 401 and it.send("good-1", good) == 204


def test_01_thumbprint():
    """a certificate that is registered by its thumbprint is refused too, when its CA has revoked it"""
    cert = it.pki.make("device", "bad-2", issuer="factory", file="bad-2")
    it.hub.create_x509_device("bad-2", thumbprint(cert[0]))
    with it.connect("bad-2", cert) as online:
        it.factory.list(it.lists, cert[0])
        assert online.closed(15 * SLOW)
    assert it.refused("bad-2", cert)


def test_02_intermediate():
    """who is below a CA that was revoked is cut off with it and refused, and one that the root itself has issued is not"""
    cert = it.device("bad-3", issuer="line")
    with open(cert[0], "a") as out, open(it.folder / "line.pem") as more:
        out.write(more.read())
    good = it.folder / "good-1.pem", it.folder / "good-1.key"
    with it.connect("bad-3", cert) as online, it.connect("good-1", good) as other:
        it.factory.list(it.lists, it.folder / "line.pem")
        assert online.closed(15 * SLOW)
        other.publish("devices/good-1/messages/events/")
    assert it.refused("bad-3", cert)


def register(id, cert):
    status, _, answer = https(it.hub.ready["provisioning_port"], "PUT", "/%s/registrations/%s/register?api-version=2021-10-01" % (it.hub.ready["id_scope"], id), {"registrationId": id}, ca=it.pki.root,
                              cert=cert[0], key=cert[1])
    return status


def test_02_provisioning():
    """a certificate that was revoked registers no device, nor does one below a CA that was"""
    with open(it.folder / "factory.pem") as f:
        group = {"attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": f.read()}}}}}
    owner = sas(it.hub.hostname, it.hub.policy("provisioningserviceowner"), policy="provisioningserviceowner", encode=False)
    status, _, answer = https(it.hub.ready["provisioning_port"], "PUT", "/enrollmentGroups/factory?api-version=2021-10-01", group, {"Authorization": owner}, ca=it.pki.root)
    assert status == 200, answer
    good, bad = (it.pki.make("device", id, issuer="factory", file=id) for id in ("new-1", "new-2"))
    it.factory.list(it.lists, bad[0])
    wait_for(lambda: register("new-2", bad) == 401, "the refusal")
    assert register("bad-3", (it.folder / "bad-3.pem", it.folder / "bad-3.key")) == 401
    assert register("new-1", good) == 202
    assert it.hub.reasons().count("CERT_REVOKED") >= 2


def test_03_what_is_no_list():
    """a list that can't be read, or that nobody known has signed, is said and changes nothing; at the start it is a failure"""
    good = it.folder / "good-1.pem", it.folder / "good-1.key"
    forger = ForeignCa(it.folder, "between")
    with it.connect("good-1", good) as online:
        for n, make in enumerate([lambda: forger.list(it.lists, good[0]), lambda: write(it.lists, "rubbish"), lambda: os.remove(it.lists)]):
            make()
            wait_for(lambda: it.hub.log_text().count("what was known stays") == n + 1, "a word about it")
        assert it.refused("bad-1", (it.folder / "bad-1.pem", it.folder / "bad-1.key"))
        online.publish("devices/good-1/messages/events/")
    args = list(it.hub.args)
    args[args.index("--state") + 1] = it.folder / "other"
    done = run("rootedge", "hub", *args, check=False)
    assert done.returncode == 1 and "factory.crl.pem" in done.stderr, done
    before = it.hub.log_text().count("are known as revoked")
    it.factory.list(it.lists)
    wait_for(lambda: it.hub.log_text().count("are known as revoked") > before, "the list again")


def test_04_est():
    """what the EST server in the hub has issued and its operator revokes: cut off, and not renewed"""
    ask = EstClient(it.folder, it.pki.root, it.hub.https_port, "contosoiothub.local")
    state = os.path.join(it.hub.state, "est")
    run("rootedge", "est", "user", "line", "--may", "dev-*", "--state", state, input="correct horse\n")
    factory = it.pki.make("device", "dev-1", issuer="between", file="dev-1-factory")
    it.hub.create_x509_device("dev-1", thumbprint(factory[0]))
    cert = ask.keep(ask.enroll("dev-1", user="line:correct horse"), "dev-1")
    with it.connect("dev-1", cert) as online:
        run("rootedge", "ca", "revoke", "dev-1", "--journal", os.path.join(state, "issued.db"))
        assert online.closed(15 * SLOW)
    assert it.refused("dev-1", cert)
    refused(ask.enroll("dev-1", "", "simplereenroll", key=ask.make_key("dev-1-x"), cert=cert), 403, "CERT_REVOKED")


def fetch(path, *args):
    """From the port without TLS: the status and the body."""
    done = subprocess.run(["curl", "-sS", "-o", it.folder / "fetched", "-w", "%{http_code}", *args, "http://127.0.0.1:%d%s" % (it.hub.ready["http_port"], path)], capture_output=True, text=True)
    with open(it.folder / "fetched", "rb") as f:
        return int(done.stdout), f.read()


def listed(path="/crl/issuing.crl"):
    """The serial numbers of a list that this CA has signed."""
    status, body = fetch(path)
    assert status == 200, (path, status)
    with open(it.folder / "fetched.crl", "wb") as f:
        f.write(body)
    said = openssl("crl", "-inform", "DER", "-in", it.folder / "fetched.crl", "-noout", "-text").decode()
    done = subprocess.run(["openssl", "crl", "-inform", "DER", "-in", it.folder / "fetched.crl", "-CAfile", it.issuing if path.endswith("issuing.crl") else it.folder / "plant.pem", "-noout"], capture_output=True, text=True)
    assert "verify OK" in done.stderr, done
    return re.findall(r"Serial Number: ([0-9A-F]+)", said)


def ocsp(cert):
    words = ["ocsp", "-url", "http://127.0.0.1:%d/ocsp-issuing" % it.hub.ready["http_port"], "-issuer", it.issuing, "-CAfile", it.issuing, "-cert", cert, "-nonce"]
    return openssl(*words).decode()


def own_cert(id, key):
    """What the hub's own CA gives a device that registers by a key, PEM."""
    secret = base64.b64encode(b"k" * 64).decode()
    owner = sas(it.hub.hostname, it.hub.policy("provisioningserviceowner"), policy="provisioningserviceowner", encode=False)
    version, port = "?api-version=2025-07-01-preview", it.hub.ready["provisioning_port"]
    enrollment = {"registrationId": id, "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": secret, "secondaryKey": secret}}, "credentialPolicyName": "default"}
    status, _, answer = https(port, "PUT", "/enrollments/" + id + version, enrollment, {"Authorization": owner}, ca=it.pki.root)
    assert status == 200, answer
    csr = base64.b64encode(openssl("req", "-new", "-key", key, "-subj", "/CN=" + id, "-outform", "DER")).decode()
    token = {"Authorization": sas("%s/registrations/%s" % (it.hub.ready["id_scope"], id), secret, policy="registration", encode=False)}
    path = "/%s/registrations/%s" % (it.hub.ready["id_scope"], id)
    status, _, answer = https(port, "PUT", path + "/register" + version, {"registrationId": id, "csr": csr}, token, ca=it.pki.root)
    assert status == 202, answer

    def ended():
        status, _, said = https(port, "GET", path + "/operations/" + answer["operationId"] + version, None, token, ca=it.pki.root)
        return status == 200 and said["registrationState"]
    return ssl.DER_cert_to_PEM_cert(base64.b64decode(wait_for(ended, "the registration")["issuedCertificateChain"][0]))


def test_05_issuing():
    """the hub's own CA publishes its list and answers OCSP, with TLS and without, beside the EST server's, and its certificates say where"""
    it.issuing = os.path.join(it.hub.state, "ca", "issuing-ca.cert.pem")
    wait_for(lambda: fetch("/crl/issuing.crl")[0] == 200, "the first list")
    assert listed() == [] and listed("/crl/plant.crl") != []
    key = it.folder / "own-1.key"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    cert = it.folder / "own-1.pem"
    made = own_cert("own-1", key)
    with open(cert, "w") as f:
        f.write(made)
    text = openssl("x509", "-in", cert, "-noout", "-text").decode()
    assert "URI:http://pki.hub.test/crl/issuing.crl" in text and "OCSP - URI:http://pki.hub.test/ocsp-issuing" in text, text
    assert ": good" in ocsp(cert)
    run("rootedge", "ca", "revoke", "own-1", "--state", it.hub.state, "--reason", "keyCompromise")
    number = openssl("x509", "-in", cert, "-noout", "-serial").decode().strip().split("=")[1]
    wait_for(lambda: listed() == [number], "the list to have it")
    said = ocsp(cert)
    assert ": revoked" in said and "Reason: keyCompromise" in said, said
    assert https(it.hub.https_port, "GET", "/crl/issuing.crl", ca=it.pki.root)[0] == 200
    assert fetch("/crl/other.crl")[0] == 404 and fetch("/devices/own-1")[0] == 404 and fetch("/")[0] == 404, "nothing else is there without TLS"
    assert fetch("/crl/issuing.crl", "-X", "POST")[0] == 405 and fetch("/ocsp-issuing", "-X", "PUT")[0] == 405
    status, body = fetch("/ocsp-issuing", "--data-binary", "rubbish")
    assert status == 200 and body == bytes.fromhex("30030a0101"), "what is no question gets OCSP's own word for that"


def test_06_restart():
    """after kill -9 all of them are refused as before"""
    it.hub.kill9()
    it.hub.start()
    for id in "bad-1", "bad-2", "bad-3", "dev-1":
        assert it.refused(id, (it.folder / (id + ".pem"), it.folder / (id + ".key"))), id
    assert not it.refused("good-1", (it.folder / "good-1.pem", it.folder / "good-1.key"))
    assert it.hub.stop() == 0
    it.folder.__exit__()


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


run_all()
