#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A gateway whose clock falls back to 1970 and comes forward again, as that of a box without a battery does: what it says of itself, whom it lets in, and what becomes of messages."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from renewal_story import *

it = None
TOPIC = "devices/%s/messages/events/"


def status(code=None):
    done = subprocess.run([ROOTEDGE, "gateway", "status", "--json", "--state", str(it.edge.state)], capture_output=True, text=True, timeout=60 * SLOW)
    assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def sends(device, body, **how):
    with it.edge.mqtt(device, **how) as m:
        m.publish(TOPIC % device, body)


def arrived(body):
    return wait_for(lambda: [e for e in it.hub.events() if e["body"] == body], "%r at the hub" % body, 60)


def test_00_start():
    """a gateway starts, and its devices come"""
    global it
    it = Story()
    cert, key = it.pki.make("device", "dev1")
    it.edge.create_x509_child("dev1", thumbprint(cert))
    it.dev1 = {"cert": cert, "key": key}
    secret = it.edge.create_child("sas1")["authentication"]["symmetricKey"]["primaryKey"]
    it.sas1 = {"password": sas("%s/devices/sas1" % it.hub.hostname, secret, expires=int(time.time() + 1000 * DAY))}
    sends("dev1", b"before", **it.dev1)
    sends("sas1", b"from sas1", **it.sas1)
    arrived("before")
    assert status(0)["ready"]


def test_01_back():
    """in 1970 it says that its certificate is to come, a certificate of a device is refused with that reason, and what a device with a key sends is taken"""
    it.set_clock(-time.time() / DAY + 3)
    s = wait_for(lambda: (lambda s: s if not s["ready"] else None)(status()), "the clock to be noticed")
    assert s["time"].startswith("1970-01-04"), s
    assert "is to come" in s["checks"]["certificate"]["says"], s
    assert s["devices"]["told_at"].startswith("1970-01-04"), "the hub told before the clock fell back, a moment ago by either clock"
    try:
        it.edge.mqtt("dev1", **it.dev1).close()
        raise AssertionError("was let in")
    except Refused as e:
        assert e.code == 5
    sends("sas1", b"in 1970", **it.sas1)
    shown = json.loads(subprocess.run([ROOTEDGE, "gateway", "device", "show", "dev1", "--json", "--state", str(it.edge.state)], capture_output=True, text=True).stdout)
    assert shown["last_decision"]["reason"] == "CERT_NOT_YET_VALID", shown


def test_02_forward():
    """when the clock is right again all is as before, and nothing of it was lost"""
    it.set_clock(0)
    wait_for(lambda: status()["ready"], "to be ready", 60)
    sends("dev1", b"right again", **it.dev1)
    arrived("in 1970")
    arrived("right again")
    s = status(0)
    assert s["queue"]["oldest_s"] is None or s["queue"]["oldest_s"] >= 0, s


def test_03_ahead():
    """a year ahead, and back: certificates that have ended by it are renewed while it lasts, and the gateway is ready in the end"""
    it.set_clock(365)
    s = wait_for(lambda: (lambda s: s if s["ready"] else None)(status()), "a certificate for that year", 90)
    assert parse_time(s["certificate"]["not_after"]) > time.time() + 365 * DAY, s["certificate"]
    it.set_clock(0)
    wait_for(lambda: status()["ready"], "to be ready", 90)
    sends("sas1", b"and back", **it.sas1)
    arrived("and back")


def test_99_stop():
    """all of it stops"""
    it.edge.stop()
    it.hub.stop()
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
