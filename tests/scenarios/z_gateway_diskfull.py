#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A full disk at the gateway: it acknowledges nothing that it can't keep, goes on letting devices in and passing on what needs no disk, and recovers without a restart; what it acknowledged before
is delivered.  The edge's state lies on a small tmpfs in a mount namespace of the test's own; where that is denied it skips."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from listener_of_gateway import *

LEAF = "devices/leaf/messages/events/"
SIZE = 24 << 20
DROPS = os.environ.get("HOW") == "drops"  # the oldest, where otherwise it refuses
it = twin_device = None


def reported():
    return {k: v for k, v in it.hub.rest("GET", "/twins/twin")[2]["properties"]["reported"].items() if k[0] != "$"}


def state_of_gateway():
    return json.loads(run("rootedge", "gateway", "status", "--state", it.edge.state, "--json", check=False).stdout)


def filler():
    return os.path.join(it.edge.state, "filler")


def fill():
    with open(filler(), "wb", buffering=0) as f:
        for size in (65536, 4096, 512):
            try:
                while True:
                    f.write(b"x" * size)
            except OSError:
                pass


def leaf():
    return it.edge.mqtt("leaf", password=it.token("leaf", it.leaf))


def gets_in(device, key):
    """CONNACK's code; None: there is nobody, as when the gateway starts."""
    try:
        it.edge.mqtt(device, password=it.token(device, key)).close()
        return 0
    except Refused as e:
        return e.code
    except (OSError, EOFError):
        return None


def speaks():
    return gets_in("leaf", it.leaf) == 0


def kept_scope():
    """Which file it is: it is never changed in place."""
    return os.stat(os.path.join(it.edge.state, "gateway", "scope")).st_ino


def is_refused(m, body):
    """No acknowledgement: the connection ends instead."""
    m.send(publish_packet(LEAF, body, id=7))
    try:
        kind, _ = m.receive()
    except (EOFError, OSError):
        return True
    assert kind == 0x40, kind
    return False


def test_1_start():
    """a gateway with its state on a small disk takes and keeps messages while the hub is away"""
    global it, twin_device
    folder = Folder()
    state = folder / "edge-EdgeGateway"
    os.mkdir(state)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d,mode=0755" % SIZE, "tmpfs", state], check=True)
    it = Site(proxy=True, folder=folder, gateway='when_full = "drop_oldest"\nmax_queue_mib = 64' if DROPS else "")
    it.leaf = it.key("leaf")
    with leaf() as m:
        m.publish(LEAF, b"before")
    it.arrived("before")
    twin_device = Device(it, "twin", it.key("twin")).connect(RESULTS)
    it.fresh = [Device(it, "fresh%d" % i, it.key("fresh%d" % i)) for i in range(3)]
    for one in it.fresh:  # known, and nothing of its twin was ever asked for
        one.connect().leave()
        assert it.hub.rest("PATCH", "/twins/" + one.path, {"properties": {"desired": {"at": "hub"}}})[0] == 200
    assert twin_device.report({"before": 1}) == (204, None)
    wait_for(lambda: reported() == {"before": 1}, "it at the hub")
    it.cut_off()
    assert twin_device.report({"kept": 1}) == (204, None)
    with leaf() as m:
        m.publish(LEAF, b"kept")


def test_2_full():
    """with the disk full no message is acknowledged, which is said, while devices are let in and asked for by the operator as before"""
    fill()
    pid = it.edge.role("gateway")
    for i in range(200):  # a segment that was made ahead has room of its own
        with leaf() as m:
            if is_refused(m, b"r%d" % i + b"x" * 100000):
                break
    assert i < 199
    it.kept = ["r%d" % n for n in range(i)]
    for _ in range(3):
        with leaf() as m:
            assert is_refused(m, b"refused" + b"x" * 100000)
    assert "No space left" in it.edge.log_text()
    checks = state_of_gateway()["checks"]
    assert "can't be stored" in checks["queue"]["says"] and checks["certificate"]["ok"], checks
    for one in it.fresh:
        got = one.connect(RESULTS, DESIRED, clean=True).twin()
        assert "at" not in got["desired"], got
    it.answers = [twin_device.report({"full": i})[0] for i in range(3)]
    assert set(it.answers) <= {204, 500, 503}, it.answers
    assert it.edge.role("gateway") == pid


def test_3_room():
    """with room again messages are taken at once, and all that was acknowledged arrives, in order, and nothing else"""
    os.unlink(filler())
    with leaf() as m:
        m.publish(LEAF, b"after")
    it.reconnect()
    it.arrived("after", 60)
    assert twin_device.report({"room": 1}) == (204, None)
    wait_for(lambda: {"kept": 1, "room": 1}.items() <= reported().items(), "what was reported, at the hub", 30)
    for one in it.fresh:
        assert one.desired()["at"] == "hub"
    yes = [i for i, status in enumerate(it.answers) if status == 204]
    assert reported().get("full") == (yes[-1] if yes else None), (it.answers, reported())
    assert state_of_gateway()["checks"]["queue"]["ok"]
    got = [e["body"][:5].rstrip("x") for e in it.events("leaf", None)]
    assert got == ["befor", "kept"] + it.kept + ["after"], got


def test_4_scope():
    """with the disk full and the hub there, who is disabled is shut out at once and who is new gets in; with room again that is on the disk, and holds without the hub after a kill -9"""
    off = it.key("off")
    with it.edge.mqtt("off", password=it.token("off", off)) as m:
        fill()
        before = kept_scope()
        it.change("off", status="disabled")
        assert m.closed(30)
    assert gets_in("off", off) == 5
    new = it.key("new")
    wait_for(lambda: gets_in("new", new) == 0, "the device that is new", 30)
    assert kept_scope() == before, "it was saved: the disk was not full"
    os.unlink(filler())
    wait_for(lambda: kept_scope() != before, "the scope on the disk", 60)
    it.kill_edge()
    it.cut_off()
    it.edge.start()
    wait_for(speaks, "the gateway", 60)
    assert (gets_in("off", off), gets_in("new", new)) == (5, 0)
    it.reconnect()


def test_5_restart():
    """a gateway that is killed while the disk is full is back with what it had, once there is room if not before"""
    it.cut_off()
    with leaf() as m:
        m.publish(LEAF, b"in the dark")
    fill()
    at = len(it.edge.log_text())
    os.kill(it.edge.role("gateway"), signal.SIGKILL)
    wait_for(lambda: speaks() or "No space left" in it.edge.log_text()[at:], "the next gateway, or why there is none", 60)
    os.unlink(filler())
    wait_for(speaks, "the gateway to let the device in", 60)
    it.reconnect()
    it.arrived("in the dark", 60)


def n_dropped():
    page = run("rootedge", "gateway", "metrics", "--state", it.edge.state).stdout
    return sum(int(float(l.rsplit(" ", 1)[1])) for l in page.splitlines() if l.startswith("edgehub_messages_dropped_total{"))


def take(body):
    """Acknowledged: a moment before it may have been refused."""
    def is_taken():
        with leaf() as m:
            return not is_refused(m, body)
    wait_for(is_taken, "room for %s" % body[:5], 30)


def test_2_drops():
    """who drops the oldest does so for a disk that is full, too: new messages are taken after a moment; what is missing at the end is counted, and the newest are there, all in order"""
    sent = ["kept"] + ["m%d" % i for i in range(210)] + ["end"]
    for i in range(60):
        take(b"m%d" % i + b"x" * 100000)
    fill()
    for i in range(60, 210):
        take(b"m%d" % i + b"x" * 100000)
    assert "No space left" in it.edge.log_text() and "the disk of the queue is full: " in it.edge.log_text()
    os.unlink(filler())
    take(b"end")
    it.reconnect()
    it.arrived("end", 60)
    got = [e["body"][:5].rstrip("x") for e in it.events("leaf", None)][1:]
    assert got == [m for m in sent if m in set(got)] and got[-10:] == sent[-10:], got
    assert len(got) < len(sent) and n_dropped() == len(sent) - len(got), (n_dropped(), len(sent), len(got))


def test_6_end():
    """everything stops in order"""
    assert it.edge.stop() == 0
    it.hub.stop()
    subprocess.run(["umount", it.edge.state], check=True)
    it.stop()


if __name__ == "__main__":
    own = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    if os.environ.get("RE_INSIDE") != "1":
        probe = subprocess.run([*own, "true"], capture_output=True, text=True)
        if probe.returncode != 0:
            print("1..1\nok 1 - a full disk # SKIP namespaces are denied here: " + probe.stderr.strip().replace("\n", " "))
            sys.exit(0)
        os.environ["RE_INSIDE"] = "1"
        os.execvp("unshare", [*own, sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    run_all({n: f for n, f in globals().items() if n in ("test_1_start", "test_2_drops", "test_6_end")} if DROPS else
            {n: f for n, f in globals().items() if n != "test_2_drops"})
