#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway while the hub is away: what it knows, what it keeps on its disk and for how long, and what it says when that is damaged."""
import os, sqlite3, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = None
TOPIC = "devices/dev1/messages/events/"


ALL = os.environ.get("CASES") == "all"  # each case begins an edge device that doesn't find its hub, which takes its time


def path(*names):
    return os.path.join(it.edge.state, "gateway", *names)


def gets_in(device="sas1", **how):
    if not how:
        how = {"password": it.token(device, it.sas1)} if device == "sas1" else it.dev1
    it.edge.mqtt(device, **how).close()


def comes_in(device):
    try:
        gets_in(device)
        return True
    except OSError:
        return False


def knock(device):
    try:
        gets_in(device)
    except Refused as e:
        return e.code
    raise AssertionError("was let in")


def refused(reason, device="sas1"):
    """Whom nobody knows while the hub is away is to come again."""
    code = knock(device)
    assert code == (3 if reason == "RECORD_MISSING" else 5) and it.decisions()[-1] == (device, reason), (code, it.decisions()[-1])


def restart(change=lambda: None):
    it.edge.stop()
    change()
    it.edge.start()


def with_log(what, text, seconds=20):
    """What this writes into the log must hold the text."""
    at = len(it.edge.log_text())
    what()
    return wait_for(lambda: [l for l in it.edge.log_text()[at:].splitlines() if text in l], "%r in the log" % text, seconds)[0]


def flip(file, at, mask=1):
    with open(file, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ mask]))


def test_00_start():
    """a gateway starts and lets devices in, one of which is disabled then; the hub goes away"""
    global it
    it = Site(gateway="max_queue_mib = 8")
    it.dev1 = it.x509("dev1")
    it.sas1 = it.key("sas1")
    gets_in("dev1")
    gets_in("sas1")
    it.off = it.key("off")
    with it.edge.mqtt("off", password=it.token("off", it.off)) as m:
        m.publish("devices/off/messages/events/", b"while it may")
        it.arrived("while it may")
        it.change("off", status="disabled")
        assert m.closed()
    it.late = it.key("late")
    gets_in("late", password=it.token("late", it.late))
    it.posts = it.key("posts")
    gets_in("posts", password=it.token("posts", it.posts))
    it.hub.stop()


def test_01_kept():
    """whom the gateway met a moment before it was stopped still gets in, and whom the hub disabled a moment before a kill -9 does not, when the gateway is started without the hub"""
    restart()
    gets_in("late", password=it.token("late", it.late))
    it.hub.start()
    it.change("off", status="enabled")

    def connect():
        try:
            return it.edge.mqtt("off", password=it.token("off", it.off, expires=int(time.time() * 10) % 1000 + int(time.time()) + 1800))
        except Refused:
            return None  # the gateway does not know yet that the hub is back
    with wait_for(connect, "the device, enabled again", 30) as m:
        m.publish("devices/off/messages/events/", b"enabled again")
        it.arrived("enabled again")
        # While the part of the edge that encrypts what is kept hangs, nothing can be kept.
        edged, before = it.edge.role("edged"), os.stat(path("scope")).st_ino
        os.kill(edged, signal.SIGSTOP)
        slow = threading.Timer(1, os.kill, (edged, signal.SIGCONT))
        slow.start()
        it.change("off", status="disabled")
        assert m.closed()
        assert os.stat(path("scope")).st_ino != before, "a session was closed before that was on the disk"
        slow.join()
    it.kill_edge()
    it.hub.stop()
    it.edge.start()
    try:
        gets_in("off", password=it.token("off", it.off))
    except Refused:
        assert it.decisions()[-1] == ("off", "DEVICE_DISABLED"), it.decisions()[-1]
    else:
        raise AssertionError("was let in")


def test_01_known_known_devices():
    """a device known before gets in, its messages are acknowledged, and arrive when the hub is back, also when the edge was killed with -9 meanwhile"""
    with it.edge.mqtt("dev1", **it.dev1) as m:
        for i in range(200):
            m.publish(TOPIC + "n=%d" % i, b"offline")
    it.kill_edge()
    it.edge.start()
    with it.edge.mqtt("dev1", **it.dev1) as m:
        for i in range(200, 300):
            m.publish(TOPIC + "n=%d" % i, b"offline")
    with it.edge.mqtt("sas1", password=it.token("sas1", it.sas1)) as m:
        m.publish("devices/sas1/messages/events/", b"of another")
    assert it.edge.stop() == 0
    it.edge.start()
    it.hub.start()
    it.arrived("of another", 60)
    wait_for(lambda: len(it.events("dev1")) >= 300, "all messages", 60)
    assert [int(e["properties"]["n"]) for e in it.events("dev1")] == list(range(300))
    it.hub.stop()


def test_02_unknown_device():
    """a device or module that nobody knew is told to come again, without delay, while the hub refuses connections, for a reason that is not that it is unknown"""
    for module in (None, "nobody"):
        device, start = "sas1" if module else "nobody", time.monotonic()
        try:
            it.edge.mqtt(device, module, password=it.token(device, it.sas1, module)).close()
            raise AssertionError("was let in")
        except Refused as e:
            assert e.code == 3
        assert time.monotonic() - start < 5 * SLOW
        assert it.decisions()[-1] == ("sas1/nobody" if module else "nobody", "RECORD_MISSING"), it.decisions()[-1]
    status, _, _ = it.edge.https("GET", "/devices/nobody/messages/devicebound?api-version=2020-03-13", headers={"Authorization": it.token("nobody", it.sas1)})
    assert status == 503 and it.decisions()[-1] == ("nobody", "RECORD_MISSING"), (status, it.decisions()[-1])
    shown = run("rootedge", "gateway", "device", "show", "nobody", "--state", it.edge.state).stdout
    assert "RECORD_MISSING" in shown and "Connect the gateway to the hub" in shown, shown


def test_03_scope_is_secret():
    """the kept scope is readable by its owner alone, and has no name, key or thumbprint in it"""
    with open(path("scope"), "rb") as f:
        data = f.read()
    assert os.stat(path("scope")).st_mode & 0o777 == 0o600
    for word in (b"dev1", b"sas1", b"EdgeGateway", it.sas1.encode(), base64.b64decode(it.sas1), thumbprint(it.dev1["cert"]).encode(), b"enabled", b"deviceId"):
        assert word not in data, word


def test_04_scope_is_damaged():
    """atk-27: a kept scope with one bit changed, cut off, with parts of another or of no known form is set aside and said so; the gateway goes on, and learns it again from the hub"""
    with open(path("scope"), "rb") as f:
        good = f.read()
    at = 0
    cases = (good[:-1], good[:len(good) // 2] + bytes([good[len(good) // 2] ^ 4]) + good[len(good) // 2 + 1:], b"RESCOPE3" + good[8:],
             good[:40], b"", good + b"\0", good[:8] + b"\0" * 12 + good[20:], good[:24] + b"\xff" * 4 + good[28:])
    for data in cases if ALL else cases[:3]:
        def put():
            for name in os.listdir(path()):
                if name.startswith("scope"):
                    os.unlink(path(name))
            with open(path("scope"), "wb") as f:
                f.write(data)
            os.chown(path("scope"), os.stat(path()).st_uid, os.stat(path()).st_gid)
            os.chmod(path("scope"), 0o600)
        line = with_log(lambda: restart(put), "set aside")
        assert '"level":"warn"' in line, line
        with open(path("scope.unreadable"), "rb") as f:
            assert f.read() == data
        refused("RECORD_MISSING")
    it.hub.start()
    restart()
    wait_for(lambda: os.path.exists(path("scope")), "the scope on the disk again")
    it.hub.stop()
    restart()
    gets_in("sas1")
    gets_in("dev1")


def put_back(name, data):
    with open(path(name), "wb") as f:
        f.write(data)
    os.chown(path(name), os.stat(path()).st_uid, os.stat(path()).st_gid)
    os.chmod(path(name), 0o600)


def content(name):
    with open(path(name), "rb") as f:
        return f.read()


def scope_saved(*devices):
    """The hub tells of another device, and another one, and each time the scope is written."""
    for device in devices:
        before = os.stat(path("scope")).st_ino
        it.key(device)
        wait_for(lambda: os.stat(path("scope")).st_ino != before, "the scope with %s on the disk" % device)


def test_04_scope_is_rolled_back():
    """atk-27: an older copy of the kept scope, whole and readable, is not used: it is set aside with its reason, nobody is let in by it, and the hub is asked anew; so is one of a version that had no seal"""
    it.hub.start()
    restart()
    scope_saved("more1")
    old = content("scope")
    scope_saved("more2")  # the one before the last is as old as any
    it.hub.stop()
    for data in (old, b"RESCOPE1" + content("scope")[8:-33]):
        now = content("scope")
        line = with_log(lambda: restart(lambda: put_back("scope", data)), "STATE_ROLLED_BACK")
        assert '"level":"error"' in line and "scope.rolled-back" in line, line
        assert content("scope.rolled-back") == data
        refused("RECORD_MISSING")
        restart(lambda: put_back("scope", now))  # what was written last is good, also after that
        gets_in("sas1")


def sqlite_rows():
    db = sqlite3.connect(path("kept.sqlite"))
    rows = dict(db.execute("SELECT name, blob FROM kept").fetchall())
    db.close()
    return rows


def test_04_twins_are_rolled_back():
    """atk-27: an older copy of the kept twins, or one row of it in the place of a newer one, is set aside with its reason; what was written last is good after a kill -9"""
    it.hub.start()
    restart()
    gateway = "%s/$edgeHub" % it.edge.device

    def next_version(n):
        before = sqlite_rows().get(gateway)
        assert it.hub.rest("PATCH", "/twins/%s/modules/$edgeHub" % it.edge.device, {"properties": {"desired": {"n": n}}})[0] == 200
        wait_for(lambda: sqlite_rows().get(gateway) not in (None, before), "the twin of $edgeHub on the disk")
    next_version(1)
    row = sqlite_rows()[gateway]
    it.edge.stop()
    old = content("kept.sqlite")
    it.edge.start()
    next_version(2)
    it.kill_edge()
    at = len(it.edge.log_text())
    it.edge.start()
    next_version(3)
    it.edge.stop()
    it.hub.stop()
    assert "STATE_ROLLED_BACK" not in it.edge.log_text()[at:]
    now = content("kept.sqlite")

    def exchange():
        put_back("kept.sqlite", now)
        db = sqlite3.connect(path("kept.sqlite"))
        assert db.execute("UPDATE kept SET blob = ? WHERE name = ?", (row, gateway)).rowcount == 1
        db.commit()
        db.close()
    for change in (lambda: put_back("kept.sqlite", old), exchange):
        for name in os.listdir(path()):
            if name.startswith("kept.sqlite"):
                os.unlink(path(name))
        change()
        line = with_log(it.edge.start, "STATE_ROLLED_BACK")
        assert "kept.sqlite.rolled-back" in line and os.path.exists(path("kept.sqlite.rolled-back")), line
        gets_in("sas1")
        it.edge.stop()
    it.edge.start()


def test_05_workload_is_late():
    """a kept scope is not given up when edged does not answer at once at the gateway's start"""
    if os.path.exists(path("scope.unreadable")):
        os.unlink(path("scope.unreadable"))
    for signals in ((signal.SIGKILL,), (signal.SIGSTOP, signal.SIGCONT)):
        edged, gateway = it.edge.role("edged"), it.edge.role("gateway")
        os.kill(edged, signals[0])
        os.kill(gateway, signal.SIGKILL)
        if len(signals) > 1:
            wait_for(lambda: it.edge.role("gateway") not in (None, gateway), "another gateway", 20)
            time.sleep(1)  # the fault lasts this long
            os.kill(edged, signals[1])

        def try_it():
            try:
                gets_in("sas1")
                return True
            except OSError:
                return False
        wait_for(try_it, "the gateway", 60)
    assert not os.path.exists(path("scope.unreadable"))


def test_06_hub_is_silent():
    """with a hub that takes connections and says nothing, known devices get in at once, unknown ones get an answer in time, and nobody waits for the others"""
    global it
    site, it = it, Site(proxy=True)
    try:
        it.dev1, it.sas1 = it.x509("dev1"), it.key("sas1")
        gets_in("dev1")
        gets_in("sas1")
        it.fall_silent()
        answers, bundle = [], it.edge.trust_bundle()

        def stranger(i):
            try:
                it.edge.mqtt("nobody%d" % i, password=it.token("nobody%d" % i, it.sas1), ca=bundle)
            except Refused as e:
                answers.append(e.code)
            except EOFError:
                answers.append("no answer")
        threads = [threading.Thread(target=stranger, args=(i,)) for i in range(20)]
        for t in threads:
            t.start()
        start = time.monotonic()
        with it.edge.mqtt("dev1", **it.dev1) as m:
            m.publish(TOPIC, b"while it is silent")
        assert time.monotonic() - start < 5 * SLOW, "a known device waited"
        for t in threads:
            t.join(60)
        assert len(answers) == 20 and set(answers) <= {3, 5}, answers  # 3: the hub was asked, and may answer the next time
        it.reconnect()
        it.arrived("while it is silent", 90)
        it.stop()
    finally:
        it = site


def test_06_module_made_anew():
    """edged that began without the hub asks about the identities that it kept as soon as the gateway has reached it, and not at its next look half an hour later"""
    global it
    site, it = it, Site(proxy=True, config="[modules.tool]\nuid = 4711\n")
    try:
        uri = "/devices/%s/modules/tool" % it.edge.device
        wait_for(lambda: it.hub.rest("GET", uri)[0] == 200, "the module in the hub")
        it.edge.stop()
        it.cut_off()
        it.edge.start()
        assert it.hub.rest("DELETE", uri, headers={"If-Match": "*"})[0] == 204
        it.module(it.edge.device, "tool")
        at = len(it.edge.log_text())
        it.reconnect()
        wait_for(lambda: "module tool: it was made anew in the hub" in it.edge.log_text()[at:], "edged to hear of it", 60)
        it.stop()
    finally:
        it = site


def flood(n, text):
    """How many of so many it takes."""
    with it.edge.mqtt("dev1", **it.dev1) as m:
        for sent in range(n):
            try:
                m.publish(TOPIC + text % sent, b"%d " % sent + b"f" * 100000)
            except EOFError:
                return sent
    return n


def refused_over_https():
    """As over MQTT, but for the connection, which goes on: counted, in the audit log, though not each of a flood, and told of the device."""
    violations = lambda: gateway_metric(it.edge, "rootedge_gateway_violations_total", reason="QUEUE_FULL")
    before, answers = violations(), posts(300)
    n = [status for status, _ in answers].count(503)
    assert n > 200 and answers[0][0] == 204 and answers[-1][0] == 503 and "has no room for the message" in answers[-1][1], (n, answers[-1])
    assert violations() == before + n
    assert gateway_metric(it.edge, "edgehub_messages_unack_total", **{"from": "posts"}) == n
    last = json.loads(run("rootedge", "gateway", "device", "show", "posts", "--json", "--state", it.edge.state).stdout)["last_end"]
    assert last["reason"] == "QUEUE_FULL", last

    def lines():
        with open(path("audit.log")) as f:
            return [l for l in map(json.loads, f) if l["who"] == "posts" and l["event"] == "refused"]
    wait_for(lambda: len(lines()) >= 60, "the audit log's lines")
    assert len(lines()) < 60 + n / 5 and lines()[0]["reason"] == "QUEUE_FULL", (n, len(lines()))


def posts(n):
    """What each of so many requests is answered, on one connection."""
    line, answers = http.client.HTTPSConnection("127.0.0.1", it.edge.https_port, context=ssl._create_unverified_context(), timeout=20 * SLOW), []
    for _ in range(n):
        line.request("POST", "/devices/posts/messages/events?api-version=2020-03-13", b"p" * 100000, {"Authorization": it.token("posts", it.posts, expires=2000000000)})
        answer = line.getresponse()
        answers.append((answer.status, answer.read().decode()))
    line.close()
    return answers


def test_07_queue_is_full():
    """who has filled the queue is not acknowledged, his connection is closed and the log says why, while another still has room; what was acknowledged arrives, and then there is room for him again"""
    sent = flood(200, "full=%d")
    assert 20 < sent < 100, sent
    assert it.said("the queue is nearly full: messages of dev1 are refused")
    with it.edge.mqtt("sas1", password=it.token("sas1", it.sas1)) as m:
        for i in range(20):
            m.publish("devices/sas1/messages/events/", b"beside the flood %d" % i)
    assert flood(1, "more=%d") == 0
    reasons = [r for _, r in it.decisions()]
    assert "QUEUE_FULL" in reasons and "UNAVAILABLE" not in reasons, reasons
    shown = run("rootedge", "gateway", "device", "show", "dev1", "--state", it.edge.state).stdout
    assert "QUEUE_FULL" in shown and "max_queue_mib" in shown, shown
    status = run("rootedge", "gateway", "status", "--state", it.edge.state).stdout
    assert "2 were refused since the start for want of room" in status and "who has most in it is refused" in status, status
    refused_over_https()
    used = sum(os.path.getsize(path("queue", f)) for f in os.listdir(path("queue")))
    assert used <= 9 << 20, used
    it.hub.start()
    wait_for(lambda: len([e for e in it.events("dev1") if "full" in e["properties"]]) >= sent, "what was acknowledged", 90)
    wait_for(lambda: len([e for e in it.events("sas1") if e["body"].startswith("beside the flood")]) == 20, "what another had sent beside it")
    arrived = [int(e["properties"]["full"]) for e in it.events("dev1") if "full" in e["properties"]]
    assert sorted(set(arrived) - {sent}) == list(range(sent)), arrived

    def room():
        try:
            with it.edge.mqtt("dev1", **it.dev1) as m:
                m.publish(TOPIC, b"there is room " + b"r" * 200000)
            return True
        except EOFError:
            return False
    wait_for(room, "room in the queue", 30)
    it.arrived("there is room " + "r" * 200000)
    it.hub.stop()


def test_08_queue_is_damaged():
    """a queue that was damaged on the disk is said so with its file and set aside; the gateway goes on, and what can be read of the queue arrives, as does what follows"""
    with it.edge.mqtt("dev1", **it.dev1) as m:
        for i in range(100):
            m.publish(TOPIC + "damaged=%d" % i, b"d" * 1000)

    def damage():
        files = sorted(f for f in os.listdir(path("queue")) if f.endswith(".log"))
        with open(path("queue", files[-1]), "rb") as f:
            at = f.read().index(b"damaged=50")
        flip(path("queue", files[-1]), at + 20)
    line = with_log(lambda: restart(damage), "damaged")
    assert ".log" in line, line
    it.hub.start()
    with it.edge.mqtt("dev1", **it.dev1) as m:
        m.publish(TOPIC, b"after the damage")
    it.arrived("after the damage", 60)
    assert {int(e["properties"]["damaged"]) for e in it.events("dev1") if "damaged" in e["properties"]} == set(range(50))
    aside = [f for f in os.listdir(path()) if f.startswith("queue.damaged-")]
    assert len(aside) == 1 and aside[0] in it.said("messages were saved from it"), aside
    it.hub.stop()


def test_09_own_token_refused():
    """gateway 3.3: when the hub refuses the gateway itself, because $edgeHub has other keys or its device was deleted, no device is removed and no message given up"""
    it.hub.start()
    restart()
    it.known(4)
    uri = "/devices/%s/modules/%%24edgeHub" % it.edge.device
    record = it.hub.rest("GET", uri)[2]
    record["authentication"]["symmetricKey"] = {"primaryKey": new_key(), "secondaryKey": new_key()}
    assert it.hub.rest("PUT", uri, record, {"If-Match": "*"})[0] == 200
    for i in range(2):
        at = len(it.edge.log_text())
        with it.edge.mqtt("dev1", **it.dev1) as m:
            m.publish(TOPIC, b"while it is refused %d" % i)
        try:
            it.edge.mqtt("sas1", password=it.token("sas1", new_key())).close()  # a question to the hub
        except Refused:
            pass
        wait_for(lambda: "dev1: its messages wait" in it.edge.log_text()[at:] or i > 0, "a refusal by the hub")
        gets_in("sas1")
        gets_in("dev1")
        if i == 0:
            it.delete(it.edge.device)
            before = len(it.hub.reasons())
    gone = {"DEVICE_UNKNOWN", "MODULE_UNKNOWN", "CHAIN_OF_GATEWAYS"}  # asked as whom
    wait_for(lambda: gone & set(it.hub.reasons()[before:]), "the gateway to be refused once more", 60)
    gets_in("sas1")
    assert "messages of dev1 are given up" not in it.edge.log_text()


def test_10_another_generation():
    """a scope that was kept for another generation of $edgeHub is set aside and said so, and what waited in the queue still arrives"""
    cert = it.folder / (it.edge.device + ".pem")
    it.hub.create_x509_device(it.edge.device, thumbprint(cert), capabilities={"iotEdge": True})
    it.edge.scope = it.hub.rest("GET", "/devices/" + it.edge.device)[2]["deviceScope"]
    for d in ("dev1", "sas1"):
        it.change(d, deviceScope=it.edge.scope)
    line = with_log(restart, "set aside", 30)
    assert "scope.unreadable" in line, line
    wait_for(lambda: comes_in("sas1"), "the gateway of the new generation", 30)
    for i in range(2):
        it.arrived("while it is refused %d" % i, 90)
    with it.edge.mqtt("dev1", **it.dev1) as m:
        m.publish(TOPIC, b"in the new generation")
    it.arrived("in the new generation")


def test_99_stop():
    """all end in order"""
    it.stop()


if __name__ == "__main__":
    if not ALL:
        del test_04_scope_is_rolled_back, test_04_twins_are_rolled_back
    run_all(globals())
