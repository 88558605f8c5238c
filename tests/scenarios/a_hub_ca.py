#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Registered CAs: proof of possession, who is let in by which CA and who is not, and what happens to the living when one leaves.  The chains are OpenSSL's, not
ours."""
import os, re, socket, ssl, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *


class OpenSsl:
    """Keys and certificates as people make them by hand."""

    def __init__(self, folder):
        self.folder, self.serial = folder, 0

    def path(self, name, kind):
        return self.folder / ("o-%s.%s" % (name, kind))

    def make(self, name, cn, issuer=None, ca=False, days=30, eku=None, extra=()):
        """(certificate, key) files called `name`, CN=cn, by `issuer` or by itself."""
        cert, key, csr, ext = (self.path(name, k) for k in ("pem", "key", "csr", "ext"))
        if not os.path.exists(key):
            run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        lines = ["basicConstraints=critical,CA:TRUE"] if ca else ["basicConstraints=CA:FALSE"]
        lines += ["extendedKeyUsage=" + eku] if eku else []
        with open(ext, "w") as f:
            f.write("\n".join([*lines, *extra]) + "\n")
        run("openssl", "req", "-new", "-key", key, "-subj", "/CN=" + cn, "-out", csr)
        self.serial += 1
        by = ["-signkey", key] if issuer is None else ["-CA", self.path(issuer, "pem"), "-CAkey", self.path(issuer, "key")]
        run("openssl", "x509", "-req", "-in", csr, *by, "-set_serial", self.serial, "-days", days, "-sha256", "-extfile", ext, "-out", cert)
        return cert, key

    def text(self, name):
        with open(self.path(name, "pem")) as f:
            return f.read()

    def chain(self, *names):
        """One PEM of these, in this order, for the first one's key."""
        path = self.folder / ("chain-%s.pem" % "-".join(names))
        with open(path, "w") as f:
            f.write("".join(map(self.text, names)))
        return path, self.path(names[0], "key")


class Cas:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.hub = Hub(self.folder, self.pki)
        self.ssl = OpenSsl(self.folder)
        self.n_closed = {}

    def certificate(self, method, name, body=None, match=None, path="", **kw):
        status, headers, answer = self.hub.rest(method, "/certificates/" + name + path, body, {"If-Match": match} if match else None, **kw)
        return status, answer

    def register(self, name, cert, **properties):
        """Registered and vouched for by the owner."""
        status, answer = self.certificate("PUT", name, {"properties": dict({"certificate": self.ssl.text(cert), "isVerified": True}, **properties)})
        assert status == 200, (status, answer)
        return answer

    def device(self, id, **more):
        return self.hub.create_device(id, {"type": "certificateAuthority"}, **more)

    def connect(self, device, *names, **kw):
        cert, key = self.ssl.chain(*names)
        return self.hub.mqtt(device, cert=cert, key=key, **kw)

    def refused(self, device, reason, *names, **kw):
        before = len(self.hub.reasons())
        try:
            self.connect(device, *names, **kw)
        except Refused as e:
            assert e.code == 5, e.code
        else:
            raise AssertionError("was let in")
        reasons = wait_for(lambda: self.hub.reasons()[before:], "a reason in the hub's log")
        assert reasons[0] == reason, reasons

    def log(self, kind):
        """The hub's log (its events are another thing)."""
        return Service.events(self.hub, kind)

    def vouched(self):
        """The CA that the last verdict names."""
        return [c["subject"] for c in self.log("verdict")[-1]["checks"] if c["what"] == "certificate authority" and c["passed"]][-1]

    def closed_for(self, reason, *sessions):
        """These are closed, each for this reason, which nobody else had since the last time."""
        for session in sessions:
            assert session.closed(), "still open"
        self.n_closed[reason] = self.n_closed.get(reason, 0) + len(sessions)
        wait_for(lambda: self.hub.reasons().count(reason) == self.n_closed[reason], reason)


it = None


def test_00_proof():
    """a CA is registered, refuses its devices while unverified, is verified by a leaf whose CN is the code, and lets them in"""
    global it
    it = Cas()
    it.ssl.make("root", "Contoso Root", ca=True)
    it.ssl.make("dev1", "dev1", "root")
    it.device("dev1")
    status, ca = it.certificate("PUT", "contoso", {"properties": {"certificate": it.ssl.text("root")}})
    assert status == 200 and ca["name"] == "contoso", ca
    p = ca["properties"]
    assert p["isVerified"] is False and p["subject"] == "Contoso Root" and re.fullmatch("[0-9A-F]{40}", p["thumbprint"]), p
    for date in (p["expiry"], p["created"], p["updated"]):
        assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT", date), date
    it.refused("dev1", "CA_NOT_VERIFIED", "dev1")
    status, coded = it.certificate("POST", "contoso", match=ca["etag"], path="/generateVerificationCode")
    code = coded["properties"]["verificationCode"]
    assert status == 200 and re.fullmatch("[0-9A-F]{48}", code), coded
    assert "verificationCode" not in it.certificate("GET", "contoso")[1]["properties"]
    it.ssl.make("wrong", "X" + code[1:], "root")
    it.ssl.make("stranger", "Contoso Root", ca=True)
    it.ssl.make("forged", code, "stranger")
    for proof in ("wrong", "forged"):
        status, answer = it.certificate("POST", "contoso", {"certificate": it.ssl.text(proof)}, coded["etag"], "/verify")
        assert status == 400, (proof, answer)
    it.refused("dev1", "CA_NOT_VERIFIED", "dev1")
    it.ssl.make("proof", code, "root", eku="serverAuth")
    status, done = it.certificate("POST", "contoso", {"certificate": it.ssl.text("proof")}, coded["etag"], "/verify")
    assert status == 200 and done["properties"]["isVerified"] is True, done
    it.connect("dev1", "dev1").close()
    assert it.vouched() == "contoso"


def test_01_shape():
    """lists, etags and errors are those of the original's certificate objects"""
    status, _, listed = it.hub.rest("GET", "/certificates")
    assert status == 200 and [c["name"] for c in listed["value"]] == ["contoso"]
    assert it.certificate("GET", "nothing")[1]["errorCode"] == 404008
    status, headers, got = it.hub.rest("GET", "/certificates/contoso")
    assert headers["ETag"] == '"%s"' % got["etag"]
    text = it.ssl.text("root")
    for match, status in ((None, 412), ("wrong", 412)):
        assert it.certificate("PUT", "contoso", {"properties": {"certificate": text}}, match)[0] == status
        assert it.certificate("DELETE", "contoso", match=match)[0] == status
        assert it.certificate("POST", "contoso", match=match, path="/generateVerificationCode")[0] == status
    assert it.certificate("PUT", "twice", {"properties": {"certificate": text}})[0] == 409
    assert it.certificate("PUT", "contoso", {"properties": {"certificate": text}}, got["etag"])[1]["properties"]["isVerified"] is True


def test_02_bad_input():
    """a name, a body, a certificate or a scope that can't be meant is answered with 400, and nothing is changed"""
    text = it.ssl.text("root")
    it.ssl.make("leaf", "no CA", "root")
    bodies = [{}, {"properties": 1}, {"properties": {"certificate": 7}}, {"properties": {"certificate": "hello"}}, {"properties": {"certificate": "A" * 70000}},
              {"properties": {"certificate": it.ssl.text("leaf")}}, {"properties": {"certificate": text + text}},
              {"properties": {"certificate": text, "isVerified": "yes"}}, {"properties": {"certificate": text, "scope": []}},
              {"properties": {"certificate": text, "scope": {"devices": []}}}, {"properties": {"certificate": text, "scope": {"device": ["a*"]}}},
              {"properties": {"certificate": text, "scope": {"devices": ["a b"]}}}, {"properties": {"certificate": text, "scope": {"devices": ["a*"] * 65}}},
              b"[]", b"{", b"\xff\xfe"]
    for body in bodies:
        status, answer = it.certificate("PUT", "bad", body)
        assert status == 400, (body, status, answer)
    for name in ("a%20b", "x" * 65, "a%2Fb", "%2e%2e", "a:b"):
        assert it.certificate("PUT", name, {"properties": {"certificate": text}})[0] == 400, name
    for body in ({}, {"certificate": 1}, {"certificate": "x"}, b"no"):
        assert it.certificate("POST", "contoso", body, "*", "/verify")[0] == 400, body
    it.ssl.make("proof2", "hello", "root")
    assert it.certificate("POST", "contoso", {"certificate": it.ssl.text("proof2")}, "*", "/verify")[1]["errorCode"] == 400003
    assert [c["name"] for c in it.hub.rest("GET", "/certificates")[2]["value"]] == ["contoso"]


def test_03_rights():
    """reading needs RegistryRead, writing RegistryWrite, and to vouch without a proof is the owner's alone"""
    it.ssl.make("other", "Other Root", ca=True)
    body = {"properties": {"certificate": it.ssl.text("other")}}
    for policy in ("service", "device"):
        assert it.hub.rest("GET", "/certificates", policy=policy)[0] == 401
    assert it.hub.rest("GET", "/certificates", policy="registryRead")[0] == 200
    assert it.hub.rest("GET", "/certificates", policy=None)[0] == 401
    assert it.certificate("PUT", "other", body, policy="registryRead")[0] == 401
    assert it.certificate("PUT", "other", {"properties": dict(body["properties"], isVerified=True)}, policy="registryReadWrite")[0] == 401
    assert it.certificate("PUT", "other", body, policy="registryReadWrite")[0] == 200
    # A token that was handed out for one device is none for a CA of its name.
    token = sas(it.hub.hostname + "/devices/other", it.hub.policy(), policy="iothubowner", encode=False)
    assert it.hub.rest("DELETE", "/certificates/other", None, {"If-Match": "*", "Authorization": token})[0] == 401
    assert it.certificate("DELETE", "other", match="*", policy="registryReadWrite")[0] == 204


def test_04_chains():
    """leaf and intermediates, in order and not, with and without the root, are let in; a gap is not"""
    it.ssl.make("upper", "Upper", "root", ca=True)
    it.ssl.make("lower", "Lower", "upper", ca=True)
    it.ssl.make("dev2", "dev2", "lower", eku="clientAuth")
    it.device("dev2")
    it.refused("dev2", "TRUST_UNKNOWN_ISSUER", "dev2")
    it.refused("dev2", "TRUST_UNKNOWN_ISSUER", "dev2", "upper")
    it.refused("dev2", "TRUST_UNKNOWN_ISSUER", "dev2", "lower")
    for chain in (("dev2", "lower", "upper"), ("dev2", "root", "upper", "lower"), ("dev2", "upper", "lower")):
        it.connect("dev2", *chain).close()
        it.connect("dev2", *chain, tls12=True).close()


def test_05_leafs():
    """a wrong CN, an expired leaf, a server's certificate and a CA as device are refused, each for its reason"""
    it.ssl.make("dev1-upper", "DEV1", "root")
    it.refused("dev1", "NAME_CN_MISMATCH", "dev1-upper")
    it.refused("dev1", "NAME_CN_MISMATCH", "dev2", "lower", "upper")
    it.ssl.make("server", "dev1", "root", eku="serverAuth")
    it.refused("dev1", "CERT_NO_CLIENT_AUTH", "server")
    it.ssl.make("ca-leaf", "dev1", "root", ca=True)
    it.refused("dev1", "CERT_LEAF_IS_CA", "ca-leaf")
    it.ssl.make("below", "dev1", "dev1")
    it.refused("dev1", "CERT_NOT_CA", "below", "dev1")
    old, key = it.pki.make("device", "dev1", "--not-before", "2020-01-01", "--not-after", "2021-01-01", file="dev1-old")
    status, _ = it.certificate("PUT", "private", {"properties": {"certificate": open(it.pki.root).read(), "isVerified": True}})
    assert status == 200
    before = len(it.hub.reasons())
    try:
        it.hub.mqtt("dev1", cert=old, key=key)
        raise AssertionError("was let in")
    except Refused as e:
        assert e.code == 5
    assert wait_for(lambda: it.hub.reasons()[before:], "a reason")[0] == "CERT_EXPIRED"


def test_06_same_subject():
    """two CAs with the same subject and different keys each vouch for their own, and the verdict names which"""
    for n in ("1", "2"):
        it.ssl.make("twin" + n, "Twin Root", ca=True)
        it.register("twin" + n, "twin" + n)
        it.ssl.make("t" + n, "t" + n, "twin" + n)
        it.device("t" + n)
    for n in ("1", "2"):
        it.connect("t" + n, "t" + n).close()
        assert it.vouched() == "twin" + n
    it.ssl.make("twin3", "Twin Root", ca=True)
    it.ssl.make("t3", "t1", "twin3")
    try:
        it.connect("t1", "t3", "twin3")
        raise AssertionError("was let in")
    except Refused as e:
        assert e.code == 5


def test_07_intermediate_alone():
    """an intermediate is registered without its root, and vouches for what it issued and for nothing else"""
    it.ssl.make("xroot", "X Root", ca=True)
    it.ssl.make("xint", "X Intermediate", "xroot", ca=True)
    it.ssl.make("x1", "x1", "xint")
    it.ssl.make("x2", "x2", "xroot")
    it.register("xint", "xint")
    it.device("x1")
    it.device("x2")
    it.connect("x1", "x1").close()
    it.connect("x1", "x1", "xint", "xroot").close()
    it.refused("x2", "TRUST_UNKNOWN_ISSUER", "x2", "xroot")


def test_08_scope():
    """a CA speaks for the devices of its scope only: by pattern, for gateways, for others; the nearest one decides"""
    it.ssl.make("sroot", "Scoped Root", ca=True)
    it.ssl.make("sint", "Scoped Intermediate", "sroot", ca=True)
    it.register("scoped", "sroot", scope={"devices": ["sensor-*", "pump-?"]})
    for id in ("sensor-1", "pump-1", "pump-10", "valve"):
        it.ssl.make(id, id, "sroot")
        it.device(id)
    it.connect("sensor-1", "sensor-1").close()
    assert it.vouched() == "scoped"
    it.connect("pump-1", "pump-1").close()
    it.refused("pump-10", "CA_OUT_OF_SCOPE", "pump-10")
    it.refused("valve", "CA_OUT_OF_SCOPE", "valve")
    it.register("scoped-int", "sint", scope={"kind": "edge"})
    it.ssl.make("sensor-2", "sensor-2", "sint")
    it.device("sensor-2")
    it.refused("sensor-2", "CA_OUT_OF_SCOPE", "sensor-2", "sint", "sroot")
    it.ssl.make("gw", "gw", "sint")
    it.device("gw", capabilities={"iotEdge": True})
    it.connect("gw", "gw", "sint").close()
    assert it.certificate("GET", "scoped")[1]["properties"]["scope"] == {"kind": "all", "devices": ["sensor-*", "pump-?"]}


def test_09_narrowed():
    """a scope that is narrowed cuts off who is outside of it now, at once, and nobody else"""
    etag = it.certificate("GET", "scoped")[1]["etag"]
    with it.connect("sensor-1", "sensor-1") as inside, it.connect("pump-1", "pump-1") as outside:
        status, _ = it.certificate("PUT", "scoped", {"properties": {"scope": {"devices": ["sensor-*"]}}}, etag)
        assert status == 200
        it.closed_for("CA_WITHDRAWN", outside)
        inside.publish("devices/sensor-1/messages/events/")
    it.refused("pump-1", "CA_OUT_OF_SCOPE", "pump-1")


def test_10_withdrawn():
    """a CA that is deleted, or no longer verified, cuts its devices off at once with CA_WITHDRAWN, and nobody else; none resumes"""
    cert, key = it.pki.make("device", "by-thumb")
    it.hub.create_x509_device("by-thumb", thumbprint(cert))
    with it.connect("x1", "x1") as mine, it.connect("t1", "t1") as other, it.hub.mqtt("by-thumb", cert=cert, key=key) as third:
        mine.publish("devices/x1/messages/events/")  # what was sent before it is read: the session to resume has come
        session = mine.sock.session
        assert it.certificate("DELETE", "xint", match="*")[0] == 204
        it.closed_for("CA_WITHDRAWN", mine)
        other.publish("devices/t1/messages/events/")
        third.publish("devices/by-thumb/messages/events/")
        assert it.certificate("PUT", "twin1", {"properties": {"isVerified": False}}, "*")[0] == 200
        it.closed_for("CA_WITHDRAWN", other)
        third.publish("devices/by-thumb/messages/events/")
    it.refused("x1", "TRUST_UNKNOWN_ISSUER", "x1")
    it.refused("t1", "CA_NOT_VERIFIED", "t1")
    it.connect("t2", "t2").close()
    # A CA that comes back lets its devices in again, and a new one disturbs nobody.
    with it.connect("t2", "t2") as living:
        it.register("xint", "xint")
        it.connect("x1", "x1").close()
        living.publish("devices/t2/messages/events/")


def resume(device, chain, key, session=None, context=None):
    """(context, connection, its CONNACK's code) with this TLS session."""
    if not context:
        context = ssl.create_default_context(cafile=it.pki.root)
        context.check_hostname = False
        context.load_cert_chain(chain, key)
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", it.hub.mqtt_port), timeout=20 * SLOW), session=session)
    s.sendall(connect_packet(device, username(it.hub.hostname, device)) + packet(0xc0))
    answer = b""
    while len(answer) < 6:
        piece = s.recv(64)
        if not piece:
            break
        answer += piece
    return context, s, answer[3]


def test_11_resumption():
    """atk-09: a device below an intermediate resumes its TLS session while its CA stays, and not once trust was taken away"""
    chain, key = it.ssl.chain("dev2", "lower", "upper")
    context, first, code = resume("dev2", chain, key)
    assert code == 0
    session = first.session
    first.close()
    _, second, code = resume("dev2", chain, key, session, context)
    assert (code, second.session_reused) == (0, True)
    session = second.session
    second.close()
    it.ssl.make("fresh", "Fresh Root", ca=True)
    it.register("fresh", "fresh")  # the hub begins to remember anew: the device is told to try again, and gets in
    _, third, code = resume("dev2", chain, key, session, context)
    assert (code, third.session_reused) in ((0, True), (3, True)), (code, third.session_reused)
    third.close()
    _, fourth, code = resume("dev2", chain, key, None, context)
    assert code == 0
    session = fourth.session
    fourth.close()
    assert it.certificate("PUT", "contoso", {"properties": {"isVerified": False}}, "*")[0] == 200
    _, last, code = resume("dev2", chain, key, session, context)
    assert (code, last.session_reused) == (5, False), (code, last.session_reused)
    last.close()
    assert it.certificate("PUT", "contoso", {"properties": {"isVerified": True}}, "*")[0] == 200
    assert it.certificate("DELETE", "fresh", match="*")[0] == 204


def test_12_edge_and_module():
    """an edge device and a module are let in by a CA: CN deviceId, and deviceId/moduleId"""
    it.ssl.make("edge-ca-signed", "edge9", "root")
    it.device("edge9", capabilities={"iotEdge": True})
    it.connect("edge9", "edge-ca-signed").close()
    status, _, answer = it.hub.rest("PUT", "/devices/edge9/modules/m1", {"deviceId": "edge9", "moduleId": "m1", "authentication": {"type": "certificateAuthority"}})
    assert status == 200, answer
    # A slash separates fields in openssl's -subj.
    it.ssl.make("module", "edge9\\/m1", "root")
    it.connect("edge9", "module", module="m1").close()
    it.refused("edge9", "NAME_CN_MISMATCH", "edge-ca-signed", module="m1")
    it.refused("edge9", "NAME_CN_MISMATCH", "module")


def test_13_restart():
    """after kill -9 the CAs, their scopes and what is not verified are what they were"""
    before = it.hub.rest("GET", "/certificates")[2]
    it.hub.kill9()
    it.hub.start()
    assert it.hub.rest("GET", "/certificates")[2] == before
    it.connect("x1", "x1").close()
    it.refused("t1", "CA_NOT_VERIFIED", "t1")
    it.refused("valve", "CA_OUT_OF_SCOPE", "valve")


def test_14_audit():
    """the log has a line for each change of a CA"""
    changes = [(e["name"], e["change"]) for e in it.log("ca")]
    assert changes[:3] == [("contoso", "registered"), ("contoso", "verification code made"), ("contoso", "verified")], changes
    assert ("xint", "deleted") in changes and ("twin1", "changed") in changes


def test_15_sha1():
    """a SHA-1 thumbprint is accepted with a note, and refused for a reason of its own where the hub is told so"""
    import hashlib, base64
    cert, key = it.pki.make("device", "sha1")
    with open(cert) as f:
        der = base64.b64decode(f.read().split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0])
    it.hub.create_x509_device("sha1", hashlib.sha1(der).hexdigest())
    it.hub.mqtt("sha1", cert=cert, key=key).close()
    assert "THUMBPRINT_SHA1" in [c["reason"] for c in it.log("verdict")[-1]["checks"]]
    it.hub.stop()
    it.hub.args.append("--refuse-sha1-thumbprints")
    it.hub.start()
    before = len(it.hub.reasons())
    try:
        it.hub.mqtt("sha1", cert=cert, key=key)
        raise AssertionError("was let in")
    except Refused as e:
        assert e.code == 5
    assert wait_for(lambda: it.hub.reasons()[before:], "a reason")[0] == "THUMBPRINT_SHA1_REFUSED"


def test_99_stop():
    """the hub stops in order"""
    it.hub.stop()
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
