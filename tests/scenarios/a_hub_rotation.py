#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A device changes its certificate without a gap: it offers the new thumbprint by its present certificate, connects with the new one, and the old one is retired;
over restarts, kill -9 and jumps of the clock."""
import os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

LONG = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 3000 * 86400))


class Rotation:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.clock = self.folder / "clock"
        self.hub = HubOfLater(self.folder, self.pki, "contosoiothub.local", "--thumbprint-grace", 86400, env={"ROOTEDGE_CLOCK_FILE": self.clock})

    def device(self, id, n=3):
        """Certificates of one device, the first of them registered."""
        certs = [self.pki.make("device", id, "--not-after", LONG, file="%s-%d" % (id, i)) for i in range(n)]
        self.hub.create_x509_device(id, thumbprint(certs[0][0]))
        return certs

    def offer(self, id, cert, by=None, body=None, **kw):
        """By the device itself, with its certificate `by`, or by a service."""
        how = dict(policy=None, cert=by[0], key=by[1]) if by else {}
        return self.hub.rest("POST", "/devices/%s/thumbprints/offer" % id, body if body is not None else {"thumbprint": thumbprint(cert[0])}, **dict(how, **kw))

    def state(self, id):
        status, _, body = self.hub.rest("GET", "/devices/%s/thumbprints" % id)
        assert status == 200, body
        return body

    def connect(self, id, cert):
        return self.hub.mqtt(id, cert=cert[0], key=cert[1])

    def refused(self, id, cert):
        try:
            self.connect(id, cert)
        except Refused as e:
            return e.code == 5
        return False

    def wait_state(self, id, state):
        return wait_for(lambda: (lambda r: (r and r["state"]) == state)(self.state(id)["rotation"]), "the rotation of %s: %s" % (id, state), 20)

    def jump(self, days):
        with open(self.clock, "w") as f:
            f.write(str(days * 86400))


it = None


def test_00_rotation():
    """a device offers its next thumbprint, is promoted by its first connection with it, and the old one is retired after the grace"""
    global it
    it = Rotation()
    old, new, other = it.device("dev1")
    etag = it.hub.rest("GET", "/devices/dev1")[2]["etag"]
    with it.connect("dev1", old) as living:
        status, _, body = it.offer("dev1", new, by=old)
        assert status == 200, body
        assert body["primaryThumbprint"] == thumbprint(old[0]) and body["secondaryThumbprint"] == thumbprint(new[0]), body
        assert body["rotation"]["state"] == "offered" and body["rotation"]["promoted"] is None, body
        living.publish("devices/dev1/messages/events/")  # a slot that was filled disturbs nobody
        assert it.hub.rest("GET", "/devices/dev1")[2]["etag"] != etag
    with it.connect("dev1", new) as living:
        it.wait_state("dev1", "promoted")
        record = it.hub.rest("GET", "/devices/dev1")[2]["authentication"]["x509Thumbprint"]
        assert record == {"primaryThumbprint": thumbprint(new[0]), "secondaryThumbprint": thumbprint(old[0])}, record
        living.publish("devices/dev1/messages/events/")
    it.connect("dev1", old).close()  # within the grace
    assert it.offer("dev1", other, by=new)[0] == 409
    with it.connect("dev1", new) as living:
        it.jump(2)
        it.wait_state("dev1", None)
        living.publish("devices/dev1/messages/events/")  # who came with the new one stays
    assert it.refused("dev1", old)
    record = it.hub.rest("GET", "/devices/dev1")[2]["authentication"]["x509Thumbprint"]
    assert record == {"primaryThumbprint": thumbprint(new[0]), "secondaryThumbprint": None}, record


def test_01_old_session():
    """a session that was opened with the old certificate lives through the grace, and ends with it"""
    old, new, _ = it.device("dev2")
    assert it.offer("dev2", new)[0] == 200  # by a service
    it.connect("dev2", new).close()
    it.wait_state("dev2", "promoted")
    with it.connect("dev2", old) as living:
        living.publish("devices/dev2/messages/events/")
        it.jump(4)
        assert living.closed(30)


def test_01_over_rest():
    """who uses the new certificate for nothing but requests of the service API is promoted all the same"""
    old, new, _ = it.device("dev18")
    assert it.offer("dev18", new, by=old)[0] == 200
    assert it.state("dev18")["rotation"]["state"] == "offered"  # its present one promotes nothing
    assert it.offer("dev18", new, by=new)[0] == 409
    it.wait_state("dev18", "promoted")


def test_02_crash():
    """offered and promoted survive kill -9, and what became due while the hub was off 400 days is retired at the next look"""
    old, new, _ = it.device("dev3")
    before, after, _ = it.device("dev4")
    assert it.offer("dev3", new, by=old)[0] == 200 and it.offer("dev4", after, by=before)[0] == 200
    it.connect("dev4", after).close()
    it.wait_state("dev4", "promoted")
    it.hub.kill9()
    it.jump(404)
    it.hub.start()
    it.wait_state("dev4", None)
    assert it.refused("dev4", before)
    it.connect("dev4", after).close()
    assert it.state("dev3")["rotation"]["state"] == "offered"
    it.connect("dev3", old).close()
    it.connect("dev3", new).close()
    it.wait_state("dev3", "promoted")


def test_03_who_may():
    """only the device itself by a certificate that lets it in, or a service with RegistryWrite, may offer; nobody for another device"""
    a, b, c = it.device("dev5")
    x, y, z = it.device("dev6")
    assert it.offer("dev5", b, by=x)[0] == 401
    assert it.offer("dev5", b, by=b)[0] == 401
    assert it.offer("dev5", b, policy=None)[0] == 401
    for policy in ("service", "device", "registryRead"):
        assert it.offer("dev5", b, policy=policy)[0] == 401, policy
    assert it.offer("nobody", b)[0] == 404
    assert it.offer("dev5", a, by=a)[0] == 409  # it is there
    it.hub.create_device("dev7")
    assert it.offer("dev7", b)[2]["errorCode"] == 400003
    assert it.state("dev5")["rotation"] is None
    assert it.hub.rest("GET", "/devices/dev5/thumbprints", policy=None, cert=a[0], key=a[1])[0] == 200


def test_04_bad_input():
    """an offer that can't be meant is answered with 400, and changes nothing"""
    a, b, c = it.device("dev8")
    good = thumbprint(b[0])
    with open(b[0]) as f:
        pem = f.read()
    for body in ({}, {"thumbprint": 1}, {"thumbprint": ""}, {"thumbprint": good[:40]}, {"thumbprint": good[:-1]}, {"thumbprint": "0" * 64}, {"thumbprint": good, "certificate": pem},
                 {"certificate": "x"}, {"certificate": pem * 9}, b"[]", b"{", b"\0"):
        status, _, answer = it.offer("dev8", b, by=a, body=body)
        assert status == 400, (body, status, answer)
    assert it.state("dev8") == {"primaryThumbprint": thumbprint(a[0]), "secondaryThumbprint": None, "rotation": None}
    status, _, body = it.offer("dev8", b, by=a, body={"certificate": pem})
    assert status == 200 and body["rotation"]["thumbprint"] == good, body


def test_05_audit():
    """the log has each step with its reason"""
    steps = [e["reason"] for e in Service.events(it.hub, "rotation") if e["who"] == "dev4"]
    assert steps == ["THUMBPRINT_OFFERED", "THUMBPRINT_PROMOTED", "THUMBPRINT_RETIRED"], steps


def test_99_stop():
    """the hub stops in order"""
    it.hub.stop()
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
