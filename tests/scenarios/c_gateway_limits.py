#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Limits of [gateway] at small values: how many lines connect in a second after an outage, how much disk the audit log takes, and when sessions end by time alone."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from renewal_story import *
from site_of_gateway import *

it = None
TOPIC = "devices/%s/messages/events/"
RATE, MIB, MINUTE = 5, 1 << 20, 60


class SiteOfStory(Site):
    """Whose common clock the scenario moves."""
    set_clock = Story.set_clock

    def __init__(self, **kw):
        folder = Folder()
        self.clock = folder / "clock"
        self.set_clock(0)
        os.environ["ROOTEDGE_CLOCK_FILE"] = self.clock
        super().__init__(folder=folder, **kw)


def token(device, key=None):
    return it.token(device, key or it.keys[device], expires=int(time.time()) + 10 * DAY)


def comes(device):
    return it.edge.mqtt(device, password=token(device))


def test_00_start():
    """a gateway with small limits starts, and a session begins that nothing but its age will end"""
    global it
    it = SiteOfStory(proxy=True, gateway='connects_per_second = %d\naudit_mib = 1\nmax_session_age = "1min"' % RATE)
    it.keys = {"dev%d" % i: it.key("dev%d" % i) for i in range(6 * RATE)}
    it.keys["aged"] = it.key("aged")
    for device in it.keys:
        comes(device).close()  # known from now on
    it.since, it.aged = time.monotonic(), comes("aged")


def test_01_connects_per_second():
    """after an outage no more lines connect in a second than connects_per_second says, the others wait for their turn, and what all had sent arrives"""
    senders = [d for d in it.keys if d != "aged"]
    it.cut_off()
    for device in senders:
        with comes(device) as m:
            m.publish(TOPIC % device, b"in the outage")
    it.reconnect()
    wait_for(lambda: gateway_metric(it.edge, "rootedge_gateway_lines_waiting") > 0, "lines to wait", 60)
    first = wait_for(lambda: it.events() and time.monotonic(), "the first message", 60)
    wait_for(lambda: len([e for e in it.events() if e["body"] == "in the outage"]) == len(senders), "the others", 60)
    assert time.monotonic() - first > (len(senders) - 2 * RATE) / RATE / 2, time.monotonic() - first


def refused_with(cert):
    """The code; None: it is let in."""
    try:
        it.edge.mqtt("leaf", **cert).close()
    except Refused as e:
        return e.code


def leaf_for_ten_minutes():
    """A certificate of leaf's that ends in ten minutes of the story, and is known here."""
    end = time.gmtime(time.time() + it.offset + 10 * MINUTE)
    cert, key = it.pki.make("device", "leaf", "--not-after", time.strftime("%Y-%m-%dT%H:%M:%SZ", end))
    it.edge.create_x509_child("leaf", thumbprint(cert))
    how = {"cert": cert, "key": key}
    wait_for(lambda: refused_with(how) is None, "leaf to be let in", 30)
    return how


def twenty_minutes_go_by():
    it.set_clock((it.offset + 20 * MINUTE) / DAY)


def test_02_end_expired():
    """a session ends when its certificate has, for that reason, and with it there is no other one"""
    how = leaf_for_ten_minutes()
    with it.edge.mqtt("leaf", **how) as m:
        m.publish(TOPIC % "leaf", b"in time")
        twenty_minutes_go_by()
        assert m.closed()
    assert it.decisions()[-1] == ("leaf", "CERT_EXPIRED")
    assert refused_with(how) == 5 and it.decisions()[-1] == ("leaf", "CERT_EXPIRED")


def audit_files():
    folder = os.path.join(it.edge.state, "gateway")
    return [p for p in (os.path.join(folder, "audit.log.1"), os.path.join(folder, "audit.log")) if os.path.exists(p)]


def audit_lines():
    lines = []
    for p in audit_files():
        with open(p) as f:
            lines += [json.loads(l) for l in f]
    return lines


def test_03_audit_mib():
    """the audit log has two files which together take no more than audit_mib, every line of them whole and the newest always there"""
    line = http.client.HTTPSConnection("127.0.0.1", it.edge.https_port, context=ssl._create_unverified_context(), timeout=20 * SLOW)

    def ask(device, key=None):
        line.request("GET", "/devices/%s/messages/devicebound?api-version=2020-03-13" % device, headers={"Authorization": token(device, key)})
        answer = line.getresponse()
        answer.read()
        return answer.status
    wrong = new_key()
    for _ in range(65):  # of each identity sixty of either kind are written down
        for device in it.keys:
            assert ask(device) == 204 and ask(device, wrong) == 401
        assert sum(os.path.getsize(p) for p in audit_files()) <= MIB
    wait_for(lambda: len(audit_files()) == 2, "the log to be turned over")
    assert ask("last", wrong) == 401
    wait_for(lambda: audit_lines()[-1]["who"] == "last", "the newest line")
    line.close()
    lines, sizes = audit_lines(), [os.path.getsize(p) for p in audit_files()]
    assert sum(sizes) <= MIB and sizes[0] > MIB * 2 / 5 and len(lines) > 1500, (sizes, len(lines))
    assert {l["event"] for l in lines} <= {"decision", "ended"} and all(os.stat(p).st_mode & 0o777 == 0o600 for p in audit_files())


def test_04_max_session_age():
    """a session ends at max_session_age or a tenth earlier, for that reason, though it has done nothing wrong, and the device comes again at once"""
    assert it.aged.closed(90 * SLOW)
    age = time.monotonic() - it.since
    assert age > 53, age
    assert ("aged", "SESSION_TOO_OLD") in it.decisions()
    with comes("aged") as m:
        m.publish(TOPIC % "aged", b"young again")
    it.arrived("young again")


def test_05_not_end_expired():
    """with end_expired = false the session goes on, and the certificate that has ended opens no other one"""
    it.edge.stop()
    it.set_clock(0)  # what the gateway's certificate begins by is to be now for us, too
    path = it.edge.args[it.edge.args.index("--config") + 1]
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(text.replace("audit_mib = 1\n", "audit_mib = 0\nend_expired = false\n"))
    it.edge.start()
    it.delete("leaf")
    how = leaf_for_ten_minutes()
    with it.edge.mqtt("leaf", **how) as m:
        twenty_minutes_go_by()
        wait_for(lambda: refused_with(how) == 5, "another session to be refused")
        m.publish(TOPIC % "leaf", b"with a certificate that has ended")
        it.arrived("with a certificate that has ended")


def test_99_stop():
    """all of it stops"""
    it.stop()


if __name__ == "__main__":
    run_all(globals())
