#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the operator of a gateway sees and does: the audit log of who came and who was refused."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = None
TOPIC = "devices/dev1/messages/events/"


def path(*names):
    return os.path.join(it.edge.state, "gateway", *names)


def audit(**wanted):
    """The lines of the audit log with these members, oldest first."""
    found = []
    for name in ("audit.log.1", "audit.log"):
        if os.path.exists(path(name)):
            with open(path(name)) as f:
                found += [json.loads(line) for line in f]
    return [l for l in found if all(l.get(k) == v for k, v in wanted.items())]


def audited(**wanted):
    return wait_for(lambda: audit(**wanted), "a line in the audit log with %r" % wanted)[-1]


def refused(device, **how):
    try:
        it.edge.mqtt(device, **how).close()
    except Refused as e:
        return e.code
    raise AssertionError("was let in")


def test_00_start():
    """a gateway starts and lets two devices in"""
    global it
    it = Site(proxy=True, gateway="max_queue_mib = 8")
    it.dev1 = it.x509("dev1")
    it.sas1 = it.key("sas1")
    it.known(2)
    it.edge.mqtt("dev1", **it.dev1).close()
    it.edge.mqtt("sas1", password=it.token("sas1", it.sas1)).close()


def test_01_accepted():
    """who came in is in the audit log: when, from where, by what, by which slot of the record"""
    line = audited(who="dev1")
    assert line["event"] == "decision" and line["answer"] == "accepted" and line["reason"] == "OK" and line["shown"] == "certificate", line
    assert line["certificate"] == thumbprint(it.dev1["cert"]).lower() and line["slot"] == "primary" and line["peer"].startswith("127.0.0.1:"), line
    line = audited(who="sas1")
    assert line["shown"] == "sas" and line["slot"] == "primary" and "certificate" not in line, line


def test_02_refused():
    """who was refused is, with the reason; a rule of the protocol that was broken is, too"""
    assert refused("sas1", password=it.token("sas1", it.sas1, expires=int(time.time()) - 100)) == 5
    line = audited(who="sas1", answer="refused")
    assert line["reason"] == "SAS_EXPIRED" and line["shown"] == "sas", line
    assert refused("nobody", password=it.token("nobody", it.sas1)) == 5
    assert audited(who="nobody")["reason"] == "DEVICE_UNKNOWN"
    with it.edge.mqtt("dev1", **it.dev1) as m:
        m.send(publish_packet("devices/other/messages/events/", b"x", 1, 1))
        assert m.closed()
    assert audited(event="ended", who="dev1")["reason"] == "MQTT_FOREIGN_TOPIC"


def test_03_secrets():
    """no key and no signature stands in it, and nobody else may read it"""
    assert os.stat(path("audit.log")).st_mode & 0o777 == 0o600
    text = open(path("audit.log")).read()
    assert it.sas1 not in text and "SharedAccessSignature" not in text and "sig=" not in text


def test_04_flood():
    """a flood of one refusal costs no more than some lines, and the device itself is still written down"""
    for _ in range(100):
        assert refused("sas1", password="SharedAccessSignature sr=x&sig=y&se=1") == 5
    it.edge.mqtt("sas1", password=it.token("sas1", it.sas1)).close()
    before = len(audit(who="sas1", answer="accepted"))
    wait_for(lambda: len(audit(who="sas1", answer="accepted")) > 1, "the device itself")
    assert 20 < len(audit(who="sas1", answer="refused")) < 100, (before, len(audit(who="sas1", answer="refused")))


def test_05_killed():
    """kill -9 leaves a log that the next start goes on with, and every line of it is whole"""
    n = len(audit())
    it.edge.kill9()
    it.edge.start()
    it.edge.mqtt("dev1", **it.dev1).close()
    wait_for(lambda: len(audit()) > n, "more lines")


def test_99_stop():
    """all of it stops"""
    it.stop()


if __name__ == "__main__":
    run_all(globals())
