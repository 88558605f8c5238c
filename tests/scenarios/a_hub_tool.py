#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs of `rootedge hub` for its operator: devices over REST, events from the log, connection strings."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = None


def device(verb, *args, check=True):
    """`rootedge hub device VERB ...` with the hub's connection string, on its free port."""
    text = run("rootedge", "hub", "connection-string", "--state", hub.state).stdout.strip()
    text = text.replace("HostName=" + hub.hostname, "HostName=%s:%d" % (hub.hostname, hub.https_port))
    done = run("rootedge", "hub", "device", verb, "--hub", text, "--ca", pki.root, "--connect-to", "127.0.0.1", "--json", *args, check=check)
    return json.loads(done.stdout) if check and done.stdout else done


def test_00_start():
    """a hub starts"""
    global hub, folder, pki
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)


def test_01_devices():
    """devices are created, shown, changed, listed and deleted in the words of az iot hub device-identity"""
    cert, _ = pki.make("device", "leaf")
    gateway = device("create", "--device-id", "gw", "--edge-enabled")
    assert gateway["capabilities"]["iotEdge"] and gateway["authentication"]["type"] == "sas", gateway
    leaf = device("create", "--device-id", "leaf", "--parent", "gw", "--primary-thumbprint", thumbprint(cert))
    assert leaf["authentication"]["x509Thumbprint"]["primaryThumbprint"] == thumbprint(cert) and leaf["deviceScope"] == gateway["deviceScope"], leaf
    assert device("update", "--device-id", "leaf", "--status", "disabled")["status"] == "disabled"
    shown = device("show", "--device-id", "leaf")
    assert shown["status"] == "disabled" and shown["deviceScope"] == gateway["deviceScope"], shown
    assert [d["deviceId"] for d in device("list")] == ["gw", "leaf"]
    device("delete", "--device-id", "leaf")
    assert [d["deviceId"] for d in device("list")] == ["gw"]


def test_02_device_errors():
    """what goes wrong is said in a sentence, with status 1; a wrong call with status 2"""
    done = device("show", "--device-id", "nobody", check=False)
    assert done.returncode == 1 and "DeviceNotFound" in done.stderr, done
    assert device("create", check=False).returncode == 1
    assert device("destroy", check=False).returncode == 2
    assert run("rootedge", "hub", "evnts", check=False).returncode == 2


def test_03_connection_strings():
    """a device's and a policy's connection string work; one of nobody is an error"""
    parts = parse_connection_string(run("rootedge", "hub", "connection-string", "--state", hub.state, "--device", "gw").stdout)
    assert parts["HostName"] == hub.hostname and parts["DeviceId"] == "gw", parts
    hub.mqtt("gw", password=hub.device_token("gw", parts["SharedAccessKey"])).close()
    for args in (("--device", "nobody"), ("--policy", "nobody")):
        done = run("rootedge", "hub", "connection-string", "--state", hub.state, *args, check=False)
        assert done.returncode == 1 and "nobody" in done.stderr, done


def test_04_events():
    """events are printed as a table or as JSON, from an offset, of one device, while the hub runs and after it stopped"""
    keys = {d: hub.create_device(d)["authentication"]["symmetricKey"]["primaryKey"] for d in ("one", "two")}
    for d, k in keys.items():
        with hub.mqtt(d, password=hub.device_token(d, k)) as m:
            m.publish("devices/%s/messages/events/level=high" % d, b"from %s \x1b[31m" % d.encode())
            m.publish("devices/%s/messages/events/" % d, b"\xff\xfe\x00")
    with hub.mqtt("one", password=hub.device_token("one", keys["one"])) as m:
        m.publish("devices/one/messages/events/$.ct=application%2Fjson&$.ce=utf-8", b'{"temperature":22.1, "on":true}')
    for _ in ("while it runs", "after it stopped"):
        events = hub.events()
        assert [e["offset"] for e in events] == [0, 1, 2, 3, 4], events
        assert events[4]["body"] == {"temperature": 22.1, "on": True}, events[4]
        assert events[1]["bodyEncoding"] == "base64" and base64.b64decode(events[1]["body"]) == b"\xff\xfe\x00", events[1]
        assert [e["offset"] for e in hub.events("--from", 3)] == [3, 4]
        assert [e["offset"] for e in hub.events("--device", "two")] == [2, 3]
        table = run("rootedge", "hub", "events", "--state", hub.state).stdout
        assert len(table.splitlines()) == 5 and "from one .[31m  level=high" in table and "\x1b" not in table, table
        assert table.splitlines()[4].endswith('  {"temperature":22.1, "on":true}'), table  # not 22.100000000000001
        hub.stop()
    hub.start()
    done = run("rootedge", "hub", "events", "--state", folder / "nothing", check=False)
    assert done.returncode == 1 and folder / "nothing" in done.stderr, done


def test_05_follow():
    """--follow prints an event as soon as it is acknowledged"""
    key = hub.rest("GET", "/devices/one")[2]["authentication"]["symmetricKey"]["primaryKey"]
    with subprocess.Popen([ROOTEDGE, "hub", "events", "--state", hub.state, "--follow", "--json", "--from", "5"], stdout=subprocess.PIPE, text=True, preexec_fn=parent_death) as tail:
        with hub.mqtt("one", password=hub.device_token("one", key)) as m:
            for i in range(3):
                m.publish("devices/one/messages/events/", b"live %d" % i)
                assert select.select([tail.stdout], [], [], 10 * SLOW)[0], "nothing was printed"
                assert json.loads(tail.stdout.readline())["body"] == "live %d" % i
        tail.kill()


def remote(*args, check=True):
    """`rootedge hub events` over REST."""
    text = run("rootedge", "hub", "connection-string", "--state", hub.state, "--policy", "service").stdout.strip()
    text = text.replace("HostName=" + hub.hostname, "HostName=%s:%d" % (hub.hostname, hub.https_port))
    return ["rootedge", "hub", "events", "--hub", text, "--ca", pki.root, "--connect-to", "127.0.0.1", *map(str, args)]


def offsets(*args):
    return [json.loads(line)["offset"] for line in run(*args).stdout.splitlines()]


def test_06_from_a_running_hub():
    """over REST come the same events as from the folder, to the end of what there is"""
    assert run(*remote("--json")).stdout == run("rootedge", "hub", "events", "--state", hub.state, "--json").stdout
    assert offsets(*remote("--json", "--from", 6)) == [6, 7]
    assert offsets(*remote("--json", "--device", "two")) == [2, 3]
    assert offsets(*remote("--json", "--from", "latest")) == []
    assert offsets(*remote("--json", "--source", "deviceLifecycleEvents")) == []
    assert "from one .[31m  level=high" in run(*remote()).stdout
    e = hub.events()[3]
    same = ["--json", "--partition", e["partition"], "--from", "sequence:%d" % e["sequenceNumber"]]
    got = offsets(*remote(*same))
    assert got[0] == 3 and got == [x["offset"] for x in hub.events(*same[1:])], got
    done = run(*remote("--from", "sequence:99", "--partition", 0), check=False)
    assert done.returncode == 1 and "no sequence number 99" in done.stderr, done
    assert run(*remote("--from", "yesterday"), check=False).returncode == 1
    assert run(*remote("--checkpoint"), check=False).returncode == 2
    assert run("rootedge", "hub", "events", "--state", hub.state, "--from", "yesterday", check=False).returncode == 1


def test_07_groups():
    """a group goes on behind what it printed, from the folder and from the hub alike"""
    folder_way = ["rootedge", "hub", "events", "--state", hub.state]
    group = ["--json", "--consumer-group", "tool", "--checkpoint"]
    assert offsets(*folder_way, *group, "--partition", 0) + offsets(*folder_way, *group, "--partition", 0) == [e["offset"] for e in hub.events() if e["partition"] == 0]
    rest = offsets(*folder_way, *group)
    assert rest == [e["offset"] for e in hub.events() if e["partition"] != 0]
    assert offsets(*folder_way, *group) == []
    key = hub.rest("GET", "/devices/one")[2]["authentication"]["symmetricKey"]["primaryKey"]
    with hub.mqtt("one", password=hub.device_token("one", key)) as m:
        m.publish("devices/one/messages/events/", b"new")
    assert offsets(*remote(*group)) == [8]
    assert offsets(*remote(*group)) == [] and offsets(*folder_way, *group) == []


def test_08_follow_a_hub():
    """--follow over REST survives the hub's restart, and loses and repeats nothing"""
    hub.stop()
    hub.keep_ports()
    hub.start()
    key = hub.rest("GET", "/devices/one")[2]["authentication"]["symmetricKey"]["primaryKey"]
    args = remote("--json", "--follow", "--from", 9)
    with subprocess.Popen([ROOTEDGE, *args[1:]], stdout=subprocess.PIPE, text=True, preexec_fn=parent_death) as tail:
        for i in range(3):
            with hub.mqtt("one", password=hub.device_token("one", key)) as m:
                m.publish("devices/one/messages/events/", b"live %d" % i)
                m.publish("devices/one/messages/events/", b"again %d" % i)
            assert json.loads(tail.stdout.readline())["body"] == "live %d" % i
            assert json.loads(tail.stdout.readline())["body"] == "again %d" % i
            hub.kill9()
            hub.start()
        tail.kill()


def test_99_stop():
    """the hub stops in order"""
    code = hub.stop()
    assert code == 0, code
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
