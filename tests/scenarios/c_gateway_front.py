#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway's HTTPS port: MQTT over WebSocket at any path, events over HTTPS each request for itself, and what is refused there and with which words."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *
from websocket_client import *

it = None
EVENTS = "/devices/%s/messages/events?api-version=2021-04-12"


def door(cert=None):
    return dial(it.edge.https_port, it.edge.trust_bundle(), cert, it.edge.hostname)


def test_00_start():
    """a gateway starts, and has the certificate of its MQTT port on the HTTPS port, too"""
    global it
    it = Site()
    it.sas = it.key("sas1")
    it.x509 = it.x509("dev1")
    it.known(3)
    door().close()


def test_01_websocket():
    """a device by token and one by certificate send over WebSocket, at the usual path and at any other; the subprotocol comes back as it was spelled"""
    for path, spelling in ((PATH, "mqtt"), ("/", "MQTT"), ("/somewhere%20else?iothub-no-client-cert=true", "x, Mqtt")):
        s = door()
        status, headers, _ = upgrade(s, path, Sec_WebSocket_Protocol=spelling)
        assert status == 101 and headers["sec-websocket-protocol"] == spelling.split(", ")[-1], (status, headers)
        assert headers["x-content-type-options"] == "nosniff", headers
        s.close()
    user = lambda device: username(it.hub.hostname, device)
    with WsMqtt(door(), "sas1", user("sas1"), it.token("sas1", it.sas)) as c:
        c.publish("devices/sas1/messages/events/", b"by token")
    with WsMqtt(door((it.x509["cert"], it.x509["key"])), "dev1", user("dev1"), path="/x") as c:
        c.publish("devices/dev1/messages/events/", b"by certificate")
    for device, body in (("sas1", "by token"), ("dev1", "by certificate")):
        assert it.arrived(body)["annotations"]["iothub-connection-device-id"] == device


def test_02_websocket_refused():
    """AMQP is not spoken: 400 says what is; a wrong key is CONNACK 5; a newer session of MQTT ends the one over WebSocket, and the other way round"""
    for offered in ("AMQPWSB10", None, "", "mqtt5"):
        s = door()
        status, headers, body = upgrade(s, Sec_WebSocket_Protocol=offered)
        assert status == 400 and "mqtt" in json.loads(body)["message"] and headers["x-content-type-options"] == "nosniff", (status, headers, body)
        s.close()
    user = username(it.hub.hostname, "sas1")
    try:
        WsMqtt(door(), "sas1", user, it.token("sas1", new_key()))
    except Refused as e:
        assert e.code == 5
    else:
        raise AssertionError("was let in")
    with WsMqtt(door(), "sas1", user, it.token("sas1", it.sas)) as old, it.edge.mqtt("sas1", password=it.token("sas1", it.sas)) as new:
        assert old.closed()
        with WsMqtt(door(), "sas1", user, it.token("sas1", it.sas)):
            assert new.closed()


def test_03_events():
    """a device by token, one by certificate, and a module send over HTTPS, one by one and as a batch"""
    token = {"Authorization": it.token("sas1", it.sas), "iothub-app-n": "1"}
    status, headers, _ = it.edge.https("POST", EVENTS % "sas1", b"over https", token)
    assert status == 204 and headers["X-Content-Type-Options"] == "nosniff", (status, headers)
    assert it.arrived("over https")["properties"] == {"n": "1"}
    batch = json.dumps([{"body": base64.b64encode(b"batched %d" % i).decode()} for i in range(3)])
    assert it.edge.https("POST", EVENTS % "dev1", batch, {"Content-Type": "application/vnd.microsoft.iothub.json"}, **it.x509)[0] == 204
    for i in range(3):
        assert it.arrived("batched %d" % i)["annotations"]["iothub-connection-device-id"] == "dev1"
    key = it.module("sas1", "mod1")
    assert it.edge.https("POST", "/devices/sas1/modules/mod1/messages/events?api-version=2021-04-12", b"of a module", {"Authorization": it.token("sas1", key, "mod1")})[0] == 204
    assert it.arrived("of a module")["annotations"]["iothub-connection-module-id"] == "mod1"
    assert it.edge.https("GET", "/devices/sas1/messages/devicebound?api-version=2021-04-12", None, {"Authorization": it.token("sas1", it.sas)})[0] == 204


def test_04_refused():
    """over HTTPS a wrong key, somebody else's token and no credential are 401, an unknown path 404, another method 405 or 404, an impossible id 400, a message too large 413"""
    good = {"Authorization": it.token("sas1", it.sas)}
    for path, headers, status, body in (
            (EVENTS % "sas1", {"Authorization": it.token("sas1", new_key())}, 401, b""), (EVENTS % "dev1", good, 401, b""), (EVENTS % "sas1", {}, 401, b""),
            (EVENTS % "nobody", good, 401, b""), (EVENTS % "sas1", {"Authorization": "SharedAccessSignature sr=a"}, 401, b""), ("/", good, 404, b""),
            ("/twins", good, 404, b""), (EVENTS % "a%2Fb", good, 400, b""), (EVENTS % "sas1", good, 413, b"x" * 262145)):
        answer = it.edge.https("POST", path, body, headers)
        assert answer[0] == status and answer[2]["message"], (path, answer)
    assert ("sas1", "SAS_BAD_SIGNATURE") in it.decisions()


def test_05_disabled():
    """a device that is disabled is refused on the connection on which it was let in a moment ago"""
    key = it.key("short")
    headers = {"Authorization": it.token("short", key)}
    context = ssl.create_default_context(cafile=it.edge.trust_bundle())
    context.check_hostname = False
    line = http.client.HTTPSConnection("127.0.0.1", it.edge.https_port, context=context, timeout=20 * SLOW)

    def send():
        line.request("POST", EVENTS % "short", b"x", headers)
        answer = line.getresponse()
        answer.read()
        return answer.status
    assert send() == 204
    it.change("short", status="disabled")
    with it.edge.mqtt("sas1", password=it.token("sas1", it.sas)) as c:
        c.publish("devices/sas1/messages/events/")
    wait_for(lambda: send() == 401, "the end of its trust", 60)
    line.close()


def test_99_end():
    """everything stops in order"""
    assert it.edge.stop() == 0
    it.stop()


if __name__ == "__main__":
    run_all(globals())
