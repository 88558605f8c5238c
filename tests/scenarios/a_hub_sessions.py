#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sessions and telemetry as the SDKs need them (clients-observed 3, hub 1.4 to 1.6)."""
import os, re, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = key = None


def connect(**kw):
    return hub.mqtt("dev1", password=hub.device_token("dev1", key), **kw)


def test_00_start():
    """a hub with one device starts"""
    global hub, folder, key
    folder = Folder()
    hub = Hub(folder, Pki(folder), "contosoiothub.local", "--watch-turns")
    key = hub.create_device("dev1")["authentication"]["symmetricKey"]["primaryKey"]


def test_01_newest_wins():
    """a second connection of an identity ends the first"""
    first = connect()
    second = connect()
    assert first.closed()
    second.publish("devices/dev1/messages/events/", b"newest")
    second.close()


def test_02_bags():
    """properties arrive as they were sent: encoded names, empty and missing values, plus signs, a slash at the end"""
    cases = [("", {}, {}), ("a=1", {"a": "1"}, {}), ("a=1/", {"a": "1"}, {}), ("%24.mid=id%2D7&$.ct=application%2Fjson&k=", {"k": ""}, {"message-id": "id-7", "content-type": "application/json"}),
             ("a+b=c+d&e%20f=%2B", {"a+b": "c+d", "e f": "+"}, {}), ("flag", {"flag": None}, {}), ("%24.cid=c&%24.uid=u&x=%C3%BC", {"x": "ü"}, {"correlation-id": "c", "user-id": "u"})]
    with connect() as m:
        for bag, _, _ in cases:
            m.publish("devices/dev1/messages/events/" + bag, b"bag:" + bag.encode())
        m.publish("devices/dev1/messages/events", b"bag:none")
    found = {e["body"]: e for e in hub.events() if str(e["body"]).startswith("bag:")}
    assert "bag:none" in found
    for bag, properties, system in cases:
        event = found["bag:" + bag]
        assert event["properties"] == properties, (bag, event)
        for name, value in system.items():
            assert event["systemProperties"][name] == value, (bag, event)


def test_03_stamps():
    """an event says whose it is, how it was authenticated and when it came"""
    with connect() as m:
        m.publish("devices/dev1/messages/events/", b'{"t":1}')
    event = hub.events()[-1]
    a = event["annotations"]
    assert a["iothub-connection-device-id"] == "dev1" and a["iothub-message-source"] == "Telemetry", event
    assert json.loads(a["iothub-connection-auth-method"])["type"] == "sas", event
    assert a["iothub-connection-auth-generation-id"] and a["iothub-enqueuedtime"], event


def test_04_retain():
    """a retained message is stored with mqtt-retain, and not delivered again"""
    with connect() as m:
        m.send(publish_packet("devices/dev1/messages/events/", b"retained", id=9, retain=True))
        assert m.receive()[0] == 0x40
    event = [e for e in hub.events() if e["body"] == "retained"][0]
    assert event["properties"].get("mqtt-retain") == "true", event


def test_05_will():
    """a will is stored as telemetry when the connection breaks, and not after DISCONNECT"""
    will = ("devices/dev1/messages/events/w=1", b"last words", 1)
    m = connect(will=will)
    m.send(packet(0xe0))
    assert m.closed()
    assert not [e for e in hub.events() if e["body"] == "last words"]
    connect(will=will).close()
    event = wait_for(lambda: [e for e in hub.events() if e["body"] == "last words"], "the will")[0]
    assert event["properties"]["iothub-MessageType"] == "Will" and event["properties"]["w"] == "1", event


def test_05_last_words():
    """what a device sent before it reset the connection is stored, and its DISCONNECT behind more than is taken at a time holds: no will"""
    will = ("devices/dev1/messages/events/", b"nobody dies", 1)
    for round in range(6):
        m = connect(will=will)
        m.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        m.send(b"".join(publish_packet("devices/dev1/messages/events/", b"before the reset", id=i) for i in range(1, 401)) + packet(0xe0))
        m.close()
        wait_for(lambda: len([e for e in hub.events() if e["body"] == "before the reset"]) == 400 * (round + 1), "all of it")
    connect().close()
    assert not [e for e in hub.events() if e["body"] == "nobody dies"]


def test_06_order():
    """a thousand messages in flight are acknowledged and stored in their order"""
    with connect() as m:
        m.send(b"".join(publish_packet("devices/dev1/messages/events/n=%d" % i, b"order", id=i) for i in range(1, 1001)))
        acks = [struct.unpack("!H", m.receive()[1])[0] for _ in range(1000)]
    assert acks == list(range(1, 1001))
    stored = [int(e["properties"]["n"]) for e in hub.events() if e["body"] == "order"]
    assert stored == list(range(1, 1001))


def test_07_restart():
    """after a restart the registry, the events and the sessions are there again"""
    before = len(hub.events())
    assert hub.stop() == 0
    hub.start()
    assert len(hub.events()) == before
    with connect() as m:
        m.publish("devices/dev1/messages/events/", b"after the restart")
    assert hub.events()[-1]["body"] == "after the restart"


def test_08_modules():
    """a module connects with its own key and publishes to its own topic; the device's key is no good for it"""
    status, _, module = hub.rest("PUT", "/devices/dev1/modules/mod1", {"moduleId": "mod1", "deviceId": "dev1"})
    assert status in (200, 201), module
    module_key = module["authentication"]["symmetricKey"]["primaryKey"]
    with hub.mqtt("dev1", "mod1", password=sas("%s/devices/dev1/modules/mod1" % hub.hostname, module_key)) as m:
        m.publish("devices/dev1/modules/mod1/messages/events/%24.on=out1/", b"from a module")
    event = hub.events()[-1]
    assert event["annotations"]["iothub-connection-module-id"] == "mod1", event
    try:
        hub.mqtt("dev1", "mod1", password=hub.device_token("dev1", key))
        raise AssertionError("the device's key was taken for the module")
    except Refused as e:
        assert e.code == 5


def test_99_stop():
    """the hub stops in order, and says how long the longest turn of each of its loops was"""
    hub.stop()
    turns = re.findall(r"loop-(\d+): (\d+) turns, the longest ([\d.]+) ms of CPU time, (\d+) ms in all", hub.log_text())
    assert turns, hub.log_text()[-500:]
    assert any(int(n) > 10 and 0 < float(longest) <= float(total) + 1 for _, n, longest, total in turns), turns
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
