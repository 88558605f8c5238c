#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CA-signed devices below a gateway: the hub hands its CAs down with their scope, so the gateway answers as the hub would, and while it is away."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *


class Site:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.hub = Hub(self.folder, self.pki)
        self.pki.make("intermediate", "Factory", file="factory")
        self.pki.make("intermediate", "Line", issuer="factory", file="line")
        self.edge = Edge(self.folder, self.hub)

    def put_ca(self, name, file, match=None, **properties):
        with open(self.folder / (file + ".pem")) as f:
            pem = f.read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
        body = {"properties": dict({"certificate": pem, "isVerified": True}, **properties)}
        status, _, answer = self.hub.rest("PUT", "/certificates/" + name, body, {"If-Match": match} if match else None)
        assert status == 200, answer

    def device(self, id, issuer="line"):
        self.edge.create_child(id, {"type": "certificateAuthority"})
        return self.pki.make("device", id, issuer=issuer)

    def connect(self, id, cert, **kw):
        return self.edge.mqtt(id, cert=cert[0], key=cert[1], **kw)

    def refused(self, id, reason, cert):
        before = len(self.edge.reasons())
        try:
            self.connect(id, cert)
        except Refused as e:
            assert e.code == 5, e.code
        else:
            raise AssertionError("was let in")
        reasons = wait_for(lambda: self.edge.reasons()[before:], "a reason in the gateway's log")
        assert reason in reasons, reasons


it = None


def test_00_unknown():
    """a device of a CA that nobody has registered is refused with TRUST_UNKNOWN_ISSUER, and the operator is sent to the hub: no bundle lets a device in"""
    global it
    it = Site()
    it.leaf = it.device("leaf1")
    it.refused("leaf1", "TRUST_UNKNOWN_ISSUER", it.leaf)
    said = run("rootedge", "gateway", "device", "show", "leaf1", "--state", it.edge.state).stdout
    assert "TRUST_UNKNOWN_ISSUER" in said and "rootedge hub ca create" in said, said


def test_01_registered():
    """a CA that is registered at the hub is known at the gateway with the next question, and its device's messages reach the hub"""
    it.put_ca("factory", "factory", scope={"kind": "leaf", "devices": ["leaf*"]})
    it.other = it.device("leaf2")
    with it.connect("leaf2", it.other) as m:
        m.publish("devices/leaf2/messages/events/", b'"by CA"')
    wait_for(lambda: it.hub.events("--device", "leaf2"), "the message at the hub", 30)
    it.connect("leaf1", it.leaf).close()


def test_02_scope():
    """the CA's scope holds at the gateway as at the hub"""
    out = it.device("valve")
    it.key = it.edge.create_child("sas1")["authentication"]["symmetricKey"]["primaryKey"]
    it.edge.mqtt("sas1", password=it.hub.device_token("sas1", it.key)).close()
    it.refused("valve", "CA_OUT_OF_SCOPE", out)
    stranger = it.pki.make("device", "leaf2", file="stranger")
    it.refused("leaf2", "TRUST_UNKNOWN_ISSUER", stranger)
    it.refused("leaf2", "NAME_CN_MISMATCH", it.leaf)


def below_expired(id, old):
    """A leaf that is in date below an intermediate of which only a certificate that ended is shown."""
    it.pki.make("intermediate", "Old line", issuer="factory", file="oldline")
    cert, key = it.pki.make("device", id, issuer="oldline", file="chain-" + id)
    ended = it.folder / "oldline-ended.pem"
    run("rootedge", "cert", "intermediate", "--name", "Old line", "--issuer", it.folder / "factory.pem", "--issuer-key", it.folder / "factory.key", "--key", it.folder / "oldline.key", "--out", ended, *old)
    with open(cert) as f, open(ended) as e:
        pem = f.read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n" + e.read()
    with open(cert, "w") as f:
        f.write(pem)
    return cert, key


def test_03_chains():
    """what is wrong with a chain is wrong at the gateway: an expired intermediate, leaf or one of the future, a CA in a leaf's place, a server's certificate; a device that shows its own
    renewed one a moment after the last gets in"""
    old = ("--not-before", "2020-01-01", "--not-after", "2021-01-01")
    soon, later = (time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * 86400)) for days in (2, 4))
    rows = []
    for id, reason, kind, args, issuer in (("leaf-b", "CERT_EXPIRED", "device", old, "line"),
                                           ("leaf-c", "CERT_NOT_YET_VALID", "device", ("--not-before", soon, "--not-after", later), "line"),
                                           ("leaf-d", "CERT_LEAF_IS_CA", "intermediate", (), "factory"), ("leaf-e", "CERT_NO_CLIENT_AUTH", "server", (), "line")):
        it.edge.create_child(id, {"type": "certificateAuthority"})
        rows.append((id, reason, it.pki.make(kind, id, *args, issuer=issuer, file="chain-" + id)))
    it.edge.create_child("leaf-a", {"type": "certificateAuthority"})
    rows.append(("leaf-a", "CERT_EXPIRED", below_expired("leaf-a", old)))
    it.wrong = rows
    for id, reason, cert in rows:
        it.refused(id, reason, cert)
    leaf, link = (run("rootedge", "gateway", "device", "show", id, "--state", it.edge.state).stdout for id in ("leaf-b", "leaf-a"))
    assert "at             CN=leaf-b; " in leaf, leaf
    assert "CERT_EXPIRED" in link and "\nat             CN=" in link and "at             CN=leaf-a" not in link, link  # the intermediate, which the leaf is not
    for n in range(3):
        it.connect("leaf1", it.pki.make("device", "leaf1", issuer="line", file="renewed%d" % n)).close()


def test_04_away():
    """while the hub is away the verdicts are the same, from memory and, after a restart, from what was kept"""
    it.hub.stop()
    for restart in (False, True):
        if restart:
            it.edge.stop()
            it.edge.start()
        it.connect("leaf1", it.leaf).close()
        it.refused("leaf2", "NAME_CN_MISMATCH", it.leaf)
        it.refused("valve", "CA_OUT_OF_SCOPE", it.pki.make("device", "valve", issuer="line"))
        for id, reason, cert in it.wrong:
            it.refused(id, reason, cert)
    budget = json.loads(run("rootedge", "gateway", "status", "--json", "--state", it.edge.state).stdout)["offline_budget"]
    ends = run("rootedge", "cert", "show", it.folder / "factory.pem").stdout
    limit = next(l for l in budget["limits"] if l["what"] == "device CAs")
    assert 'the CA "factory" ends' in limit["why"] and limit["at"][:10] in ends, (limit, ends)
    it.hub.start()


def test_05_withdrawn():
    """a CA that is deleted at the hub ends its devices' sessions at the gateway, and lets nobody in"""
    with it.connect("leaf1", it.leaf) as mine, it.edge.mqtt("sas1", password=it.hub.device_token("sas1", it.key)) as other:
        mine.publish("devices/leaf1/messages/events/")
        wait_for(lambda: it.hub.events("--device", "leaf1"), "the message at the hub", 60)
        assert it.hub.rest("DELETE", "/certificates/factory", None, {"If-Match": "*"})[0] == 204
        try:
            mine.send(publish_packet("devices/leaf1/messages/events/", b"x", 1, 99))
        except OSError:
            pass  # it may be closed by now: the line upstream was opened again for what was sent before
        assert mine.closed(30), "still open"
        other.publish("devices/sas1/messages/events/")
    assert "CA_WITHDRAWN" in it.edge.reasons()
    it.refused("leaf1", "TRUST_UNKNOWN_ISSUER", it.leaf)


def test_99_stop():
    """everything stops in order"""
    it.edge.stop()
    it.hub.stop()
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
