#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Digital twins over REST (hub 4.5): properties of a model and its components, read and patched; commands."""
import os, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = key = None
MODEL = "dtmi:com:example:TemperatureController;1"


def connect():
    return hub.mqtt("dev1", password=hub.device_token("dev1", key), user=username(hub.hostname, "dev1", extra="&model-id=" + urllib.parse.quote(MODEL)))


def test_00_start():
    """a hub with a device that says its model"""
    global hub, folder, key
    folder = Folder()
    hub = Hub(folder, Pki(folder))
    key = hub.create_device("dev1")["authentication"]["symmetricKey"]["primaryKey"]
    connect().close()


def test_01_patch():
    """a patch becomes desired properties, and the device hears of them in a component's form"""
    with connect() as m:
        m.send(subscribe_packet([("$iothub/twin/PATCH/properties/desired/#", 0)]))
        assert m.receive()[0] == 0x90
        status, headers, body = hub.rest("PATCH", "/digitaltwins/dev1", [{"op": "add", "path": "/thermostat1/target", "value": 20.5}, {"op": "add", "path": "/rate", "value": 5}])
        assert status == 202 and headers["ETag"] and headers["Location"].endswith("/digitaltwins/dev1") and not body, (status, body)
        kind, news = m.receive()
        n = struct.unpack("!H", news[:2])[0]
        assert json.loads(news[2 + n:]) == {"thermostat1": {"__t": "c", "target": 20.5}, "rate": 5, "$version": 2}, news
    status, headers, twin = hub.rest("GET", "/digitaltwins/dev1")
    assert status == 200 and twin["$dtId"] == "dev1" and wait_for(lambda: hub.rest("GET", "/digitaltwins/dev1")[2]["$metadata"].get("$model") == MODEL, "the model"), twin
    assert twin["$metadata"]["rate"]["desiredValue"] == 5 and twin["thermostat1"]["$metadata"]["target"]["desiredValue"] == 20.5, twin


def test_02_refused():
    """patches that can't be meant, an etag of another time, a device that is not there"""
    for patch in ([], {}, [{"op": "move", "path": "/a"}], [{"op": "add", "path": "/a/b/c", "value": 1}], [{"op": "add", "path": "/$bad", "value": 1}]):
        status, _, body = hub.rest("PATCH", "/digitaltwins/dev1", patch)
        assert status == 400, (patch, status, body)
    assert hub.rest("PATCH", "/digitaltwins/dev1", [{"op": "add", "path": "/a", "value": 1}], {"If-Match": '"AAAA"'})[0] == 412
    assert hub.rest("GET", "/digitaltwins/nobody")[0] == 404 and hub.rest("POST", "/digitaltwins/nobody/commands/x")[0] == 404
    assert hub.rest("POST", "/digitaltwins/dev1/commands/x?responseTimeoutInSeconds=soon")[0] == 400
    assert hub.rest("POST", "/digitaltwins/dev1/commands/x")[2]["errorCode"] == 404103


def test_03_commands():
    """commands of the model and of a component reach the device by their names, and its status and answer come back"""
    with connect() as m:
        m.send(subscribe_packet([("$iothub/methods/POST/#", 0)]))
        assert m.receive()[0] == 0x90
        for path, name, body, sent in (("commands/reboot", b"reboot", {"delay": 3}, b'{"delay":3}'), ("components/thermostat1/commands/report", b"thermostat1*report", None, b"null"),
                                       ("commands/reboot", b"reboot", 5, b"5")):
            answers = []
            asking = threading.Thread(target=lambda: answers.append(hub.rest("POST", "/digitaltwins/dev1/" + path, None if body is None else json.dumps(body).encode())))
            asking.start()
            kind, packet = m.receive()
            n = struct.unpack("!H", packet[:2])[0]
            topic = packet[2:2 + n]
            assert topic.startswith(b"$iothub/methods/POST/" + name + b"/?$rid=") and packet[2 + n:] == sent, packet
            m.send(publish_packet(b"$iothub/methods/res/207/?$rid=" + topic.split(b"$rid=")[1], b'{"done":true}', qos=0))
            asking.join(20 * SLOW)
            status, headers, answer = answers[0]
            assert status == 200 and answer == {"done": True} and headers["x-ms-command-statuscode"] == "207", answers


def test_99_stop():
    """the hub stops in order"""
    assert hub.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
