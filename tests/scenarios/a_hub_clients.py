#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The packets of the Python, C, C# and embedded C clients, in the forms that they have on the wire (hub 1.2, 1.5 to 1.10): each connects, shares a twin, carries out a method,
receives a command and sends, and what it is told is in the form that it can read.  Node's client is driven itself (tests/interop)."""
import os, re, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

HOST = "contosoiothub.local"
hub = folder = None


class Client:
    """How one of them writes what all of them say.  d: the device; filters: a list for each SUBSCRIBE."""

    def __init__(self, name, user, keep_alive, filters, twin_qos, rids, get_payload, bag, properties, clean=False):
        self.name, self.user, self.keep_alive, self.filters, self.twin_qos, self.rids = name, user, keep_alive, filters, twin_qos, rids
        self.get_payload, self.bag, self.properties, self.clean = get_payload, bag, properties, clean


RES, DESIRED, METHODS = "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#"
UUID = "a5f5f5f0-2c2d-4f29-9d2e-6d3a3a1b2c3d"
CLIENTS = (
    # paho: a SUBSCRIBE for each, all at QoS 1, system properties first and quoted, the user's sorted.
    Client("python", "{h}/{d}/?api-version=2019-10-01&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0%283.11.2%3BLinux%3B6.1.0%3Bx86_64%3BLinux-6.1%29", 60,
           ([("devices/{d}/messages/devicebound/#", 1)], [(RES, 1)], [(DESIRED, 1)], [(METHODS, 1)]), 1, (UUID, UUID.upper()), b" ",
           "%24.mid=m%201&%24.ct=application%2Fjson&%24.ce=utf-8&alpha=1&beta=a%26b", {"alpha": "1", "beta": "a&b"}),
    # One SUBSCRIBE for several filters, numbers as request ids, the user's properties first and as they are.
    Client("c", "{h}/{d}/?api-version=2020-09-30&DeviceClientType=iothubclient%2F1.11.0%20(native%3B%20Linux%3B%20x86_64)", 240,
           ([("devices/{d}/messages/devicebound/#", 1), (RES, 0), (METHODS, 0)], [(DESIRED, 0)]), 0, ("2", "3"), b"",
           "alpha=1&beta=two words&%24.mid=m%201&%24.ct=application%2Fjson&%24.ce=utf-8", {"alpha": "1", "beta": "two words"}),
    # Subscribes at QoS 1 and asks at 0; a slash behind the properties.
    Client("csharp", "{h}/{d}/?api-version=2020-09-30&DeviceClientType=.NET%2F1.42.0%20(.NET%208.0.0%3B%20Linux%3B%20X64)&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1", 300,
           ([(RES, 1)], [(DESIRED, 1)], [(METHODS, 1)], [("devices/{d}/messages/devicebound/#", 1)]), 0, (UUID, UUID.upper()), b"",
           "alpha=1&beta=a%26b&%24.mid=m%201&%24.ct=application%2Fjson&%24.ce=utf-8/", {"alpha": "1", "beta": "a&b"}),
    # Embedded C, with the least that there can be.
    Client("embedded", "{h}/{d}/?api-version=2020-09-30", 240, ([("devices/{d}/messages/devicebound/#", 1)], [(METHODS, 0)], [(RES, 0)], [(DESIRED, 0)]), 0, ("get_twin", "reported-1"), b"",
           "alpha=1&beta=a%26b&$.mid=m%201&$.ct=application%2Fjson&$.ce=utf-8", {"alpha": "1", "beta": "a&b"}),
    # The old spelling without a question mark.
    Client("old", "{h}/{d}/api-version=2016-11-14&DeviceClientType=old", 1177, ([("devices/{d}/messages/devicebound/#", 1)], [(RES, 0)], [(DESIRED, 0)], [(METHODS, 0)]), 0, ("1", "2"), b"",
           "alpha=1&beta=a%26b&%24.mid=m%201&%24.ct=application%2Fjson&%24.ce=utf-8", {"alpha": "1", "beta": "a&b"}),
)


def connect(client, key):
    """CONNECT as the client writes it: not clean, its keep alive, its user name."""
    m = Mqtt(hub.mqtt_port, ca=hub.pki.root, connect=False)
    m.send(connect_packet(client.name, client.user.format(h=HOST, d=client.name), hub.device_token(client.name, key), client.clean, client.keep_alive))
    assert m.receive() == (0x20, b"\0\0")
    return m


def subscribe(m, client):
    for i, filters in enumerate(client.filters):
        m.send(subscribe_packet([(f.format(d=client.name), qos) for f, qos in filters], i + 1))
        kind, body = m.receive()
        assert (kind, body[:2]) == (0x90, bytes((0, i + 1))) and list(body[2:]) == [qos for _, qos in filters], (kind, body)


def message(m, wanted_qos=0):
    """Topic and payload of the next PUBLISH, acknowledged where that is wanted."""
    kind, body = m.receive()
    assert kind == 0x30 | wanted_qos << 1, kind
    n = struct.unpack("!H", body[:2])[0]
    rest = body[2 + n:]
    if wanted_qos:
        m.send(packet(0x40, rest[:2]))
        rest = rest[2:]
    return body[2:2 + n].decode(), rest


def ask(m, client, topic, payload):
    m.send(publish_packet(topic, payload, client.twin_qos, 21))
    if client.twin_qos:
        assert m.receive() == (0x40, b"\0\x15")
    return message(m)


def check_twin(m, client):
    topic, payload = ask(m, client, "$iothub/twin/GET/?$rid=" + client.rids[0], client.get_payload)
    assert topic == "$iothub/twin/res/200/?$rid=" + client.rids[0], topic
    assert set(json.loads(payload)) == {"desired", "reported"}, payload
    topic, payload = ask(m, client, "$iothub/twin/PATCH/properties/reported/?$rid=" + client.rids[1], b'{"firmware":"1.0"}')
    assert re.fullmatch(r"\$iothub/twin/res/204/\?\$rid=%s&\$version=\d+" % client.rids[1], topic) and payload == b"", (topic, payload)
    status, _, twin = hub.rest("PATCH", "/twins/" + client.name, {"properties": {"desired": {"interval": 5}}})
    topic, payload = message(m)
    assert topic == "$iothub/twin/PATCH/properties/desired/?$version=%d" % twin["properties"]["desired"]["$version"], topic
    assert json.loads(payload) == {"interval": 5, "$version": twin["properties"]["desired"]["$version"]}, payload


def check_method(m, client):
    got = []
    call = threading.Thread(target=lambda: got.append(hub.rest("POST", "/twins/%s/methods" % client.name, {"methodName": "reboot", "payload": {"delay": 1}, "responseTimeoutInSeconds": 30})))
    call.start()
    topic, payload = message(m)
    name, rid = re.fullmatch(r"\$iothub/methods/POST/([^/]+)/\?\$rid=([A-Za-z0-9]+)", topic).groups()
    assert (name, json.loads(payload)) == ("reboot", {"delay": 1}), (name, payload)
    m.send(publish_packet("$iothub/methods/res/200/?$rid=" + rid, b'{"done":true}', client.twin_qos, 22))
    if client.twin_qos:
        assert m.receive() == (0x40, b"\0\x16")
    call.join(40 * SLOW)
    assert got[0][2] == {"status": 200, "payload": {"done": True}}, got


def check_command(m, client):
    status, _, told = hub.rest("POST", "/devices/%s/messages/devicebound" % client.name, "turn on", {"iothub-messageid": "c1", "iothub-app-room": "a/b", "iothub-ack": "full"})
    assert status == 201, told
    topic, payload = message(m, 1)
    prefix = "devices/%s/messages/devicebound/" % client.name
    assert topic.startswith(prefix) and "/" not in topic[len(prefix):] and payload == b"turn on", topic
    bag = dict(pair.split("=") for pair in topic[len(prefix):].split("&"))
    assert bag["%24.mid"] == "c1" and bag["room"] == "a%2Fb" and bag["%24.to"] == "%2Fdevices%2F" + client.name + "%2Fmessages%2Fdevicebound" and bag["iothub-ack"] == "full", bag
    wait_for(lambda: hub.rest("GET", "/devices/" + client.name)[2]["cloudToDeviceMessageCount"] == 0, "the command to be completed")


def check_telemetry(m, client):
    m.publish("devices/%s/messages/events/%s" % (client.name, client.bag), b'{"t":21}')
    event, = [e for e in hub.events() if e["annotations"]["iothub-connection-device-id"] == client.name]
    assert event["properties"] == client.properties and event["body"] == {"t": 21}, event
    assert event["systemProperties"] == {"message-id": "m 1", "content-type": "application/json", "content-encoding": "utf-8"}, event


def test_00_start():
    """a hub starts"""
    global hub, folder
    folder = Folder()
    hub = Hub(folder, Pki(folder), HOST)


def story(name):
    client = next(c for c in CLIENTS if c.name == name)
    key = hub.create_device(name)["authentication"]["symmetricKey"]["primaryKey"]
    with connect(client, key) as m:
        subscribe(m, client)
        check_twin(m, client)
        check_method(m, client)
        check_command(m, client)
        check_telemetry(m, client)
    # A renewed token: the same again without a SUBSCRIBE, by what was kept.
    with connect(client, key) as m:
        check_twin(m, client)
        check_method(m, client)


def test_01_python():
    """Python's: QoS 1 for all, a blank as the question for the twin"""
    story("python")


def test_02_c():
    """C's: several filters in one SUBSCRIBE, numbers as request ids, properties that are not encoded"""
    story("c")


def test_03_csharp():
    """C#'s: a model, QoS 1 to listen and 0 to ask, a slash behind the properties"""
    story("csharp")
    assert hub.rest("GET", "/twins/csharp")[2]["modelId"] == "dtmi:com:example:Thermostat;1"


def test_04_embedded():
    """embedded C's: a bare user name, and a dollar that is not encoded"""
    story("embedded")


def test_05_old():
    """the oldest: no question mark in the user name"""
    story("old")


def test_06_c_module():
    """C's module listens to all of its topics with one filter, and has its own twin and methods"""
    key = hub.rest("PUT", "/devices/c/modules/m1", {})[2]["authentication"]["symmetricKey"]["primaryKey"]
    m = Mqtt(hub.mqtt_port, ca=hub.pki.root, connect=False)
    user = "%s/c/m1/?api-version=2020-09-30&DeviceClientType=iothubclient%%2F1.11.0" % HOST
    m.send(connect_packet("c/m1", user, sas("%s/devices/c/modules/m1" % HOST, key), False, 240))
    assert m.receive() == (0x20, b"\0\0")
    m.send(subscribe_packet([("devices/c/modules/m1/#", 1), (RES, 0), (METHODS, 0)], 7))
    assert m.receive() == (0x90, b"\0\7\1\0\0")
    status, _, told = hub.rest("POST", "/devices/c/modules/m1/messages/devicebound", "x")
    topic, payload = message(m, 1)
    assert topic.startswith("devices/c/modules/m1/messages/devicebound/") and payload == b"x", topic
    m.send(publish_packet("$iothub/twin/GET/?$rid=2", b"", 0))
    assert message(m)[0] == "$iothub/twin/res/200/?$rid=2"
    m.publish("devices/c/modules/m1/messages/events/k=v&%24.on=out1", b"1")
    m.close()


def test_99_stop():
    """the hub stops"""
    hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
