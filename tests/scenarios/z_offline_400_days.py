#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Four hundred days without the hub: an edge device that makes its own Edge CA, and whose certificate comes from a CA of this box, walks through them in steps of hours.  No certificate ends on
the way, devices are let in all the time, and when the hub is back the device is online by itself, with all that was sent meanwhile."""
import os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from renewal_story import *

DAYS, STEP_H, VISIT_EVERY = 400, 12, 10
DEVICE_ID = {"id": "device-id", "role": "identityd"}


def test_1_walk():
    """after 400 days without the hub every certificate is valid, and the device comes back online by itself"""
    if os.getuid() != 0:
        raise Skip("identityd's socket is for root here")
    with Folder() as made:
        ca, key = made / "local.pem", made / "local.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 3650, "-subj", "/CN=CA of this box", "-addext",
                "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", key, "-out", ca)
        os.chown(key, 61840, 61840)

        def register():
            with open(ca) as f:
                status, _, answer = it.hub.rest("PUT", "/certificates/box", {"properties": {"certificate": f.read(), "isVerified": True}})
            assert status == 200, (status, answer)

        it = Story.__new__(Story)
        it.__init__('[cert_issuance.local_ca]\ncert = "file://%s"\npk = "file://%s"\n' % (ca, key), identity='identity_cert = { method = "local_ca", expiry_days = 60 }', before=register)
        with it:
            walk(it)


def send(it, token, text):
    with it.edge.mqtt("sensor", password=token, name=None, context=at_any_time()) as device:
        device.publish("devices/sensor/messages/events/", text)


def at_any_time():
    """Python judges dates by the real clock: whether what the gateway shows is valid is checked beside this."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def check(it, day):
    for id, role in (("aziot-edged-ca", "edged"), ("device-id", "identityd")):
        found = it.renewal(id, role)
        assert found["status"] in ("good", "due", "late", "urgent") and parse_time(found["not_after"]) > it.now(), (day, found)


def walk(it):
    key = new_key()
    it.edge.create_child("sensor", {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}})
    token = sas("%s/devices/sensor" % it.hub.hostname, key, expires=int(time.time()) + 1000 * DAY)
    wait_for(lambda: try_to_send(it, token), "the gateway knowing the device", 30)
    pids = {n: it.edge.role(n) for n in ("keyd", "certd", "identityd", "edged", "gateway")}
    assert it.hub.stop() == 0
    seen, sent = set(), 0
    for step in range(1, DAYS * 24 // STEP_H + 1):
        day = step * STEP_H / 24
        it.set_clock(day)
        seen.add(it.settle()["sha256"])
        it.settle(**DEVICE_ID)
        check(it, day)
        if step % (VISIT_EVERY * 24 // STEP_H) == 0:
            it.wait_leaf(it.ca())
            send(it, token, b"day %d" % day)
            sent += 1
    assert len(seen) >= 5, "Edge CAs: %d" % len(seen)
    assert {n: it.edge.role(n) for n in pids} == pids, "nothing was restarted"
    assert it.is_under(it.leaf(), it.ca())
    come_back(it, sent)
    assert {n: it.edge.role(n) for n in pids} == pids, "nothing was restarted"


def try_to_send(it, token):
    try:
        send(it, token, b"first")
        return True
    except (Refused, OSError, EOFError):
        return False


def come_back(it, sent):
    """The hub has a new server certificate, and what is sent to it arrives."""
    it.pki.make("server", it.hub.hostname, "--san", "127.0.0.1", "--san", "localhost", file="hub")
    it.hub.start()
    wanted = ["first"] + ["day %d" % ((i + 1) * VISIT_EVERY) for i in range(sent)]
    wait_for(lambda: [e["body"] for e in it.hub.events()] == wanted, "all that was sent meanwhile", 90)
    status, _, body = unix_http(it.role_socket("identityd"), "PUT", "/identities/modules/tool?api-version=2020-09-01", {"type": "aziot", "moduleId": "tool"})
    assert status == 200, (status, body)
    it.settle(**DEVICE_ID)
    check(it, DAYS)


if __name__ == "__main__":
    run_all(globals())
