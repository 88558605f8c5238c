#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the operator of a gateway sees and does: the audit log of who came and who was refused, status with the offline budget, devices, methods without the hub."""
import os, re, struct, subprocess, sys, threading
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
    assert line["certificate"] == thumbprint(it.dev1["cert"]) and line["slot"] == "primary" and line["peer"].startswith("127.0.0.1:"), line
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


def ask(*words, status=0, json_out=True):
    """What `rootedge gateway WORDS` prints; as JSON, one object a line, the last of them."""
    done = subprocess.run([ROOTEDGE, "gateway", *words, "--state", str(it.edge.state)] + (["--json"] if json_out else []), capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
    if status:
        return done.stderr
    return [json.loads(l) for l in done.stdout.splitlines()] if json_out else done.stdout


def budget(what):
    limits = {l["what"]: l for l in ask("status")[0]["offline_budget"]["limits"]}
    return limits[what]


def test_04_b_ended():
    """whose session was ended finds why, also after it was let in again"""
    with it.edge.mqtt("sas1", password=it.token("sas1", it.sas1)) as c:
        assert ask("device", "show", "sas1")[0]["last_end"] is None
        it.change("sas1", status="disabled")
        assert c.closed()
    it.change("sas1", status="enabled")
    wait_for(lambda: ask("device", "show", "sas1")[0]["status"] == "enabled", "it to be enabled again")
    it.edge.mqtt("sas1", password=it.token("sas1", it.sas1)).close()
    one = ask("device", "show", "sas1")[0]
    assert one["last_end"]["reason"] == "SESSION_DISABLED" and one["last_decision"]["reason"] == "OK", one
    text = ask("device", "show", "sas1", json_out=False)
    assert "last ended" in text and "SESSION_DISABLED" in text and "let in" in text, text


def test_05_status():
    """status says in numbers and in words how the gateway is, and names what stops first"""
    with it.edge.mqtt("dev1", **it.dev1) as m:
        s = wait_for(lambda: [s for s in ask("status") if s["devices"]["connected"] == 1], "one that is connected")[0]
        assert s["ready"] and s["hub"]["name"] == it.hub.hostname and s["hub"]["reach"] == "reachable", s
        assert s["devices"]["known"] >= 2 and s["queue"]["max_bytes"] == 8 << 20, s
        text = ask("status", json_out=False)
        assert "reachable for" in text and "1 connected" in text and "If the hub went away now" in text, text
        it.cut_off()
        for i in range(30):
            m.publish(TOPIC, b"z" * 10000)
        s = wait_for(lambda: [s for s in ask("status") if s["hub"]["reach"] == "away"], "the hub to be missed")[0]
        assert s["queue"]["messages"] >= 29 and s["queue"]["endpoints"][0]["endpoint"] == "iothub", s["queue"]
        first = s["offline_budget"]["limits"][0]
        assert s["offline_budget"]["stops_first"] == "queue" and first["what"] == "queue" and 0 < first["in_s"] < 8000, first
        text = ask("status", json_out=False)
        assert "away for" in text and "If the hub stays away, this stops first" in text and "max_queue_mib" in text, text
    assert budget("records")["at"] is None and budget("tokens")["at"] is None


def test_06_devices():
    """each device with its record, its age and the last decision about it; who is refused finds the reason there; never a key"""
    listed = {d["device"] if not d["module"] else d["device"] + "/" + d["module"]: d for d in ask("device", "list")}
    assert listed["dev1"]["auth"] == "selfSigned" and listed["dev1"]["status"] == "enabled" and listed["dev1"]["confirmed_for_s"] < 600, listed["dev1"]
    assert listed["dev1"]["last_decision"]["reason"] == "OK" and "EdgeGateway/$edgeHub" in listed, sorted(listed)
    assert refused("sas1", password=it.token("sas1", it.sas1, expires=5)) == 5
    one = ask("device", "show", "sas1")[0]
    assert one["last_decision"]["reason"] == "SAS_EXPIRED" and one["last_decision"]["refused"] >= 1 and not one["connected"], one
    assert it.sas1 not in json.dumps(one) and it.sas1 not in json.dumps(list(listed.values()))
    text = ask("device", "show", "sas1", json_out=False)
    assert "SAS_EXPIRED" in text and "has expired" in text, text
    assert refused("sas1", password=re.sub("sr=[^&]*", "sr=x%C2%9B31m", it.token("sas1", it.sas1))) == 5  # what a stranger says is no order to a terminal
    text = ask("device", "show", "sas1", json_out=False)
    assert "x\\xc2\\x9b31m" in text and "\x9b" not in text, text
    assert ask("device", "show", "EdgeGateway/$edgeHub")[0]["module"] == "$edgeHub"
    assert "nothing is known of it" in ask("device", "show", "never-seen", status=1)
    answer = refused("stranger", password=it.token("stranger", it.sas1))  # 3: the hub was asked in vain
    assert ask("device", "show", "stranger")[0]["last_decision"]["reason"] == {3: "RECORD_MISSING", 5: "DEVICE_UNKNOWN"}[answer]


def test_07_pages():
    """a list in pages has each of them once, in order"""
    name = lambda d: d["device"] + ("/" + d["module"] if d["module"] else "")
    whole = [name(d) for d in ask("device", "list")]
    assert len(whole) >= 5 and whole == sorted(whole), whole
    for size in (1, 2, len(whole) - 1, len(whole), 500):
        assert [name(d) for d in ask("device", "list", "--page", str(size))] == whole, size
    ask("device", "list", "--page", "0", status=2)


def test_08_method():
    """a method is called while the hub is away, and what is not there or wrong says so"""
    it.cut_off()
    with it.edge.mqtt("dev1", **it.dev1) as m:
        m.send(subscribe_packet([("$iothub/methods/POST/#", 0)]))
        assert m.receive()[0] == 0x90

        def answer():
            head, body = m.receive(30)
            length = struct.unpack("!H", body[:2])[0]
            topic, payload = body[2:2 + length].decode(), body[2 + length:]
            assert head & 0xf0 == 0x30 and topic.startswith("$iothub/methods/POST/reboot/?$rid="), (head, topic)
            m.send(publish_packet("$iothub/methods/res/200/?$rid=" + topic.split("$rid=")[1], b'{"heard":' + payload + b"}", 0))
        device = threading.Thread(target=answer)
        device.start()
        done = ask("method", "call", "dev1", "reboot", "--payload", '{"in": 5}')[0]
        device.join()
        assert done == {"status": 200, "payload": {"heard": {"in": 5}}}, done
    assert gateway_metric(it.edge, "edgehub_direct_methods_total", **{"from": "operator", "to": "dev1"}) == 1
    assert "not connected here" in ask("method", "call", "sas1", "reboot", status=1)
    assert "not below this gateway" in ask("method", "call", "never-seen", "reboot", status=1)
    assert "not JSON" in ask("method", "call", "dev1", "reboot", "--payload", "{", status=1)
    assert "neither DEVICE nor DEVICE/MODULE" in ask("device", "show", "a/b/c", status=1)
    ask("device", status=2), ask("device", "show", status=2), ask("method", "call", status=2), ask("status", "x", status=2)
    it.reconnect()


def test_09_metrics():
    """metrics are printed for who collects them from files; without a gateway it is said where one was looked for"""
    assert "edgehub_connected_clients" in ask("metrics", json_out=False)
    done = subprocess.run([ROOTEDGE, "gateway", "status", "--state", str(it.folder / "nowhere")], capture_output=True, text=True)
    assert done.returncode == 1 and "no gateway runs with this state folder" in done.stderr, done


def test_10_killed():
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
