#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway's certificate is about to end while who issues it does not answer."""
import os, re, signal, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from renewal_story import *


def status():
    done = subprocess.run([ROOTEDGE, "gateway", "status", "--json", "--state", str(it.edge.state)], capture_output=True, text=True, timeout=60 * SLOW)
    return json.loads(done.stdout)


def sends(device, body, **how):
    with it.edge.mqtt(device, **how) as m:
        m.publish("devices/%s/messages/events/" % device, body)


def test_1_start():
    """a gateway starts, and a device comes"""
    global it
    it = Story()
    secret = it.edge.create_child("sas1")["authentication"]["symmetricKey"]["primaryKey"]
    it.sas1 = {"password": sas("%s/devices/sas1" % it.hub.hostname, secret, expires=int(time.time() + 1000 * DAY))}
    sends("sas1", b"before", **it.sas1)


def test_2_issuer_away():
    """who issues the certificate is away when its end comes near: status names that as what stops first, and why; devices come in until then; when the issuer is back it is renewed"""
    edged = it.edge.role("edged")
    os.kill(edged, signal.SIGSTOP)
    try:
        it.set_clock(28)
        s = wait_for(lambda: (lambda s: s if s["certificate"]["failed_renewals"] > 0 else None)(status()), "an attempt that fails", 120)
        limits = {l["what"]: l for l in s["offline_budget"]["limits"]}
        assert s["ready"] and 0 < limits["certificate"]["in_s"] < 3 * DAY and "have failed" in limits["certificate"]["why"], s
        text = subprocess.run([ROOTEDGE, "gateway", "metrics", "--state", str(it.edge.state)], capture_output=True, text=True).stdout
        assert re.search(r'rootedge_certificate_renewals_total\{.*outcome="failed"\} [1-9]', text), text
        sends("sas1", b"its end is near", **it.sas1)
    finally:
        os.kill(edged, signal.SIGCONT)
    s = wait_for(lambda: (lambda s: s if s["certificate"]["failed_renewals"] == 0 else None)(status()), "a new one", 150)
    assert parse_time(s["certificate"]["not_after"]) > it.now() + 20 * DAY, s
    it.set_clock(0)


def test_3_stop():
    """all of it stops"""
    it.edge.stop()
    it.hub.stop()
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
