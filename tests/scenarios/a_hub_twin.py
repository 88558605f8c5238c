#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Twins as devices and services use them, byte for byte (hub 1.9, 4.5; clients-observed 3)."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = None
keys = {}
GET, REPORT, DESIRED = "$iothub/twin/GET/?$rid=", "$iothub/twin/PATCH/properties/reported/?$rid=", "$iothub/twin/PATCH/properties/desired/#"


def connect(device="dev1", module=None, subscribe=("$iothub/twin/res/#", DESIRED), **kw):
    name = device if module is None else device + "/modules/" + module
    m = hub.mqtt(device, module, password=hub.device_token(name, keys[device if module is None else device + "/" + module]), **kw)
    if subscribe:
        m.send(subscribe_packet([(f, 0) for f in subscribe], 9))
        assert m.receive() == (0x90, b"\0\x09" + bytes(len(subscribe)))
    return m


def message(m):
    """Topic and payload of the next PUBLISH, which has QoS 0."""
    kind, body = m.receive()
    assert kind == 0x30, (kind, body)
    n = struct.unpack("!H", body[:2])[0]
    return body[2:2 + n].decode(), body[2 + n:]


def ask(m, topic, payload=b"", qos=0):
    """What a device asks, and the answer: topic and payload."""
    m.send(publish_packet(topic, payload, qos, 77))
    if qos:
        assert m.receive() == (0x40, b"\0\x4d")
    return message(m)


def get(m, rid="1"):
    topic, payload = ask(m, GET + rid, b" ")
    assert topic == "$iothub/twin/res/200/?$rid=" + rid, topic
    return json.loads(payload)


def twin(id="dev1"):
    status, headers, body = hub.rest("GET", "/twins/" + id)
    assert status == 200 and headers["ETag"] == '"%s"' % body["etag"], (status, body)
    return body


def patch(body, id="dev1", method="PATCH", want=200, **headers):
    status, got_headers, answer = hub.rest(method, "/twins/" + id, body, {k.replace("_", "-"): v for k, v in headers.items()})
    assert status == want, (status, answer)
    return answer if want == 200 else got_headers["iothub-errorcode"]


def test_00_start():
    """a hub with devices and a module starts"""
    global hub, folder
    folder = Folder()
    hub = Hub(folder, Pki(folder), "contosoiothub.local", "--event-sources", "twin")
    for id in ("dev1", "dev2"):
        keys[id] = hub.create_device(id)["authentication"]["symmetricKey"]["primaryKey"]
    status, _, module = hub.rest("PUT", "/devices/dev1/modules/m1", {"deviceId": "dev1", "moduleId": "m1"})
    assert status in (200, 201)
    keys["dev1/m1"] = module["authentication"]["symmetricKey"]["primaryKey"]


def test_01_empty():
    """a twin that nobody has written to is empty, and has version 1"""
    with connect() as m:
        assert ask(m, GET + "0", b" ") == ("$iothub/twin/res/200/?$rid=0", b'{"desired":{"$version":1},"reported":{"$version":1}}')


def test_02_forms():
    """each SDK's form of asking is answered: a uuid, a number, an empty payload, QoS 1 with its PUBACK first"""
    with connect() as m:
        for rid, payload, qos in (("0b0f4b5c-8a8e-4d3c-9a3e-6f1d2c3b4a59", b" ", 0), ("4294967295", b"", 0), ("7", b" ", 1), ("x", b"anything", 1)):
            topic, body = ask(m, GET + rid, payload, qos)
            assert topic == "$iothub/twin/res/200/?$rid=" + rid and json.loads(body)["desired"]["$version"] == 1


def test_03_report():
    """a report is merged and answered with 204, the new version and no body, and the service reads it"""
    with connect() as m:
        assert ask(m, REPORT + "a", b'{"fw":"1.0","net":{"ip":"10.0.0.1","if":"eth0"}}') == ("$iothub/twin/res/204/?$rid=a&$version=2", b"")
        assert ask(m, REPORT + "b", b'{"net":{"ip":null,"up":true}}', qos=1) == ("$iothub/twin/res/204/?$rid=b&$version=3", b"")
        assert get(m)["reported"] == {"fw": "1.0", "net": {"if": "eth0", "up": True}, "$version": 3}
    reported = twin()["properties"]["reported"]
    assert reported["net"] == {"if": "eth0", "up": True} and reported["$version"] == 3
    meta = reported["$metadata"]
    assert meta["net"]["up"]["$lastUpdatedVersion"] == 3 and meta["fw"]["$lastUpdatedVersion"] == 2 and "ip" not in meta["net"], meta


def test_04_precondition():
    """a report that names the version is taken when that is the present one, and refused with 412 otherwise"""
    with connect() as m:
        version = get(m)["reported"]["$version"]
        topic, _ = ask(m, REPORT + "p&$version=%d" % version, b'{"p":1}')
        assert topic == "$iothub/twin/res/204/?$rid=p&$version=%d" % (version + 1), topic
        topic, body = ask(m, REPORT + "p&$version=%d" % version, b'{"p":2}')
        assert topic == "$iothub/twin/res/412/?$rid=p" and json.loads(body)["errorCode"] == 412001, (topic, body)
        for bad in ("x", "0", "-1", "99999999999999999999"):
            assert ask(m, REPORT + "p&$version=" + bad, b'{"p":2}')[0] == "$iothub/twin/res/400/?$rid=p"
        assert get(m)["reported"]["p"] == 1


def test_05_bad_reports():
    """what is no report is answered with an error that every SDK understands, and changes nothing"""
    with connect() as m:
        before = get(m)
        for payload in (b"", b" ", b"{", b"null", b"5", b"[1]", b'"x"', b'{"a.b":1}', b'{"a":{"$b":1}}', b'{"a b":1}', b'{"a":1,"a":2}', b'{"a":"\xff"}', b'{"a":"\\u0000"}',
                        b'{"n":4503599627370497}', b'{"n":1e999}', b'{"a":' * 5000, b'{"a":' * 12 + b"1" + b"}" * 12, b'{"a":"%s"}' % (b"x" * 4097), b'{"%s":1}' % (b"k" * 1025)):
            topic, body = ask(m, REPORT + "bad", payload)
            error = json.loads(body)
            assert topic == "$iothub/twin/res/400/?$rid=bad" and error["errorCode"] == 400004 and error["message"] and error["trackingId"] and error["timestampUtc"], (payload[:40], error)
        big = json.dumps({"k%d" % i: "x" * 4000 for i in range(9)}).encode()
        topic, body = ask(m, REPORT + "big", big)
        assert topic == "$iothub/twin/res/413/?$rid=big" and json.loads(body)["errorCode"] == 413001, body
        assert get(m) == before


def test_06_desired():
    """a desired change reaches the connected device: what was written, null for what is gone, the version; in order"""
    with connect() as m:
        answer = patch({"properties": {"desired": {"interval": 5, "led": {"on": True}}}})
        v = answer["properties"]["desired"]["$version"]
        assert message(m) == ("$iothub/twin/PATCH/properties/desired/?$version=%d" % v, b'{"interval":5,"led":{"on":true},"$version":%d}' % v)
        patch({"properties": {"desired": {"interval": None, "led": {"on": False}}}})
        assert message(m) == ("$iothub/twin/PATCH/properties/desired/?$version=%d" % (v + 1), b'{"interval":null,"led":{"on":false},"$version":%d}' % (v + 1))
        patch({"tags": {"only": "tags"}})  # of which no device hears
        for i in range(20):
            patch({"properties": {"desired": {"n": i}}})
        for i in range(20):
            assert message(m) == ("$iothub/twin/PATCH/properties/desired/?$version=%d" % (v + 2 + i), b'{"n":%d,"$version":%d}' % (i, v + 2 + i))
        assert get(m)["desired"] == {"led": {"on": False}, "n": 19, "$version": v + 21}


def test_07_replace():
    """PUT leaves only what it has; the device hears null for what is gone"""
    patch({"tags": {"a": 1, "b": 2}, "properties": {"desired": {"keep": 1, "drop": 2, "o": {"x": 1, "y": 2}}}})
    with connect() as m:
        whole = twin()
        whole["tags"], desired = {"c": 3}, whole["properties"]["desired"]
        for name in [k for k in desired if not k.startswith("$")]:
            del desired[name]
        desired.update({"keep": 1, "o": {"y": 3}})
        answer = patch(whole, method="PUT")
        v = answer["properties"]["desired"]["$version"]
        assert answer["tags"] == {"c": 3} and answer["properties"]["desired"]["o"] == {"y": 3} and answer["properties"]["reported"]["fw"] == "1.0", answer
        topic, payload = message(m)
        news = json.loads(payload)
        assert topic.endswith("$version=%d" % v) and news["drop"] is None and news["o"] == {"x": None, "y": 3} and "keep" not in news and news["$version"] == v, news


def test_08_etags():
    """a service's change with an etag of before is refused with 412001; * and no If-Match are unconditional; reports leave the etag alone"""
    old = twin()["etag"]
    new = patch({"tags": {"x": 1}}, If_Match='"%s"' % old)["etag"]
    assert new != old
    assert patch({"tags": {"x": 2}}, want=412, If_Match='"%s"' % old) == "PreconditionFailed"
    assert patch({"tags": {"x": 2}}, want=412, method="PUT", If_Match=old) == "PreconditionFailed"
    with connect() as m:
        assert ask(m, REPORT + "e", b'{"e":1}')[0].startswith("$iothub/twin/res/204/")
    assert patch({"tags": {"x": 3}}, If_Match=new)["tags"]["x"] == 3
    assert patch({"tags": {"x": 4}}, If_Match='"*"')["tags"]["x"] == 4
    assert patch({"tags": {"x": 5}}, If_Match="*")["tags"]["x"] == 5
    assert patch({"tags": None})["tags"] == {}


def test_09_whole_twin():
    """the service's twin has all fields of the contract, and no key"""
    t = twin()
    for name in ("deviceId", "etag", "deviceEtag", "status", "statusReason", "statusUpdateTime", "connectionState", "lastActivityTime", "cloudToDeviceMessageCount",
                 "authenticationType", "x509Thumbprint", "modelId", "version", "tags", "properties", "capabilities", "parentScopes"):
        assert name in t, name
    assert (t["deviceId"], t["authenticationType"], t["status"], t["connectionState"], t["capabilities"]) == ("dev1", "sas", "enabled", "Disconnected", {"iotEdge": False})
    assert keys["dev1"] not in json.dumps(t) and t["deviceEtag"] == hub.rest("GET", "/devices/dev1")[2]["etag"]
    module = twin("dev1/modules/m1")
    assert (module["deviceId"], module["moduleId"], module["version"]) == ("dev1", "m1", 1), module
    with connect():
        assert twin()["connectionState"] == "Connected"


def test_10_rest_refusals():
    """what can't be is refused with its code, and the twin stays as it is"""
    before = twin()
    for body, want in (("{", 400), ("[]", 400), ("5", 400), ({"tags": 5}, 400), ({"tags": []}, 400), ({"properties": []}, 400), ({"properties": {"desired": "x"}}, 400),
                       ({"tags": {"a.b": 1}}, 400), ({"tags": {"a": {"$x": 1}}}, 400), ({"properties": {"desired": {"n": 2 ** 52 + 1}}}, 400), ({"tags": {"big": ["x" * 1000] * 9}}, 413),
                       ({"properties": {"desired": {"k%d" % i: "x" * 4000 for i in range(9)}}}, 413), ({"tags": {"ok": 1}, "properties": {"desired": {"a b": 1}}}, 400)):
        patch(body, want=want)
        patch(body, want=want, method="PUT")
    assert patch({}, id="nobody", want=404) == "DeviceNotFound"
    assert patch({}, id="dev1/modules/nobody", want=404) == "ModuleNotFound"
    assert hub.rest("GET", "/twins/nobody")[0] == 404
    assert hub.rest("DELETE", "/twins/dev1")[0] == 405
    for policy in ("device", "registryRead", "registryReadWrite"):
        assert hub.rest("GET", "/twins/dev1", policy=policy)[0] == 401 and hub.rest("PATCH", "/twins/dev1", {}, policy=policy)[0] == 401
    assert hub.rest("GET", "/twins/dev1", policy="service")[0] == 200
    device = {"Authorization": hub.device_token("dev1", keys["dev1"])}
    assert hub.rest("GET", "/twins/dev1", headers=device)[0] == 401
    assert twin() == before


def test_11_others():
    """a device and its module have twins of their own, and nobody hears of another's"""
    with connect() as device, connect(module="m1") as module, connect("dev2") as other:
        patch({"properties": {"desired": {"for": "m1"}}}, id="dev1/modules/m1")
        assert message(module) == ("$iothub/twin/PATCH/properties/desired/?$version=2", b'{"for":"m1","$version":2}')
        assert ask(module, REPORT + "1", b'{"me":"m1"}') == ("$iothub/twin/res/204/?$rid=1&$version=2", b"")
        assert "for" not in get(device)["desired"] and get(other) == {"desired": {"$version": 1}, "reported": {"$version": 1}}
    assert twin("dev1/modules/m1")["properties"]["reported"]["me"] == "m1"


def test_12_kept_subscriptions():
    """after a reconnect without SUBSCRIBE, as at a token's renewal, questions are answered and changes told"""
    connect().close()
    with connect(subscribe=()) as m:
        v = get(m)["desired"]["$version"]
        patch({"properties": {"desired": {"again": v}}})
        assert message(m) == ("$iothub/twin/PATCH/properties/desired/?$version=%d" % (v + 1), b'{"again":%d,"$version":%d}' % (v, v + 1))
        assert get(m, "2")["desired"]["again"] == v
    with connect(subscribe=(), clean=True) as m:  # and a clean session hears nothing
        m.send(publish_packet(GET + "1", b" ", 0))
        patch({"properties": {"desired": {"again": 0}}})
        m.send(packet(0xc0))
        assert m.receive() == (0xd0, b"")


def test_13_model():
    """the model that a device names when it connects stands in its twin, also after it connects without one"""
    user = username(hub.hostname, "dev2", extra="&model-id=dtmi:com:example:Sensor;1")
    connect("dev2", user=user).close()
    wait_for(lambda: twin("dev2")["modelId"] == "dtmi:com:example:Sensor;1", "the model")
    connect("dev2").close()
    assert twin("dev2")["modelId"] == "dtmi:com:example:Sensor;1"


def test_14_withdrawn():
    """a device whose trust is withdrawn gets no answer and no change: its connection is closed, and the report is not taken"""
    with connect("dev2") as m:
        record = hub.rest("GET", "/devices/dev2")[2]
        record["status"] = "disabled"
        assert hub.rest("PUT", "/devices/dev2", record, {"If-Match": "*"})[0] == 200
        try:
            m.send(publish_packet(REPORT + "1", b'{"late":1}', 0))
            while True:
                kind, body = m.receive()
                assert kind != 0x30, body
        except OSError:
            pass
        except EOFError:
            pass
    assert "late" not in twin("dev2")["properties"]["reported"]


def test_15_deleted():
    """the twin goes with its device: one that is made again begins anew"""
    assert hub.rest("DELETE", "/devices/dev2")[0] == 204
    assert hub.rest("GET", "/twins/dev2")[0] == 404
    hub.create_device("dev2")
    t = twin("dev2")
    assert (t["version"], t["modelId"], t["tags"], t["properties"]["desired"]["$version"]) == (1, "", {}, 1), t


def test_16_kill9():
    """what was answered is there after kill -9"""
    with connect() as m:
        for i in range(5):
            assert ask(m, REPORT + "k", b'{"count":%d}' % i)[0].startswith("$iothub/twin/res/204/")
        want = patch({"tags": {"kept": True}, "properties": {"desired": {"kept": [1, 2]}}})
        hub.kill9()
    hub.start()
    got = twin()
    assert got["properties"] == want["properties"] and got["tags"] == want["tags"] and got["etag"] == want["etag"] and got["properties"]["reported"]["count"] == 4


def test_17_many():
    """many questions at once are all answered, each by its rid"""
    with connect() as m:
        m.send(b"".join(publish_packet(GET + str(i), b" ", 0) if i % 2 else publish_packet(REPORT + str(i), b'{"i":%d}' % i, 0) for i in range(400)))
        rids = {message(m)[0].split("$rid=")[1].split("&")[0] for _ in range(400)}
        assert rids == {str(i) for i in range(400)}


def test_18_events():
    """each change is an event with what was written, its metadata and the versions, in order"""
    with connect() as m:
        ask(m, REPORT + "ev", b'{"ev":{"r":1}}')
    patch({"tags": {"ev": 1}, "properties": {"desired": {"ev": {"d": 1}, "n": None}}})
    after = patch({"tags": {"last": 2}}, method="PUT")
    told = [e for e in hub.events("--device", "dev1") if e["annotations"]["iothub-message-source"] == "twinChangeEvents" and "connection-module-id" not in str(e["annotations"])][-3:]
    assert [e["properties"]["opType"] for e in told] == ["updateTwin", "updateTwin", "replaceTwin"], told
    reported, desired, whole = [e["body"] for e in told]
    assert reported["properties"]["reported"]["ev"] == {"r": 1} and list(reported["properties"]) == ["reported"] and "tags" not in reported, reported
    assert set(reported["properties"]["reported"]["$metadata"]) == {"$lastUpdated", "$lastUpdatedVersion", "ev"}, reported
    assert desired["tags"] == {"ev": 1} and desired["properties"]["desired"]["ev"] == {"d": 1} and desired["properties"]["desired"]["n"] is None, desired
    assert whole["tags"] == {"last": 2} and [k for k in whole["properties"]["desired"] if k[0] != "$"] == [], whole
    assert [b["version"] for b in (reported, desired, whole)] == list(range(after["version"] - 2, after["version"] + 1))


def test_99_stop():
    """the hub stops cleanly"""
    hub.stop()
    folder.__exit__()


run_all(globals())
