#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Direct methods between a service and devices, byte for byte (hub 1.10, 4.5; clients-observed 3)."""
import collections, os, random, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = None
keys = {}
CEILING = 24  # of calls to one device
METHODS = "$iothub/methods/POST/#"


def connect(device="dev1", module=None, subscribe=True, **kw):
    name = device if module is None else device + "/modules/" + module
    m = hub.mqtt(device, module, password=hub.device_token(name, keys[device if module is None else device + "/" + module]), **kw)
    if subscribe:
        listen(m)
    return m


def listen(m):
    m.send(subscribe_packet([(METHODS, 0)], 9))
    assert m.receive() == (0x90, b"\0\x09\0")


class Call(threading.Thread):
    """A service's call, on a thread of its own: answer() is (status, error name, body)."""

    def __init__(self, body, id="dev1", policy="service"):
        super().__init__(daemon=True)
        self.body, self.id, self.policy = body, id, policy
        self.start()

    def run(self):
        try:
            status, headers, body = hub.rest("POST", "/twins/%s/methods" % self.id, self.body, policy=self.policy)
            self.got = status, headers["iothub-errorcode"], body
        except (OSError, http.client.HTTPException) as why:  # the hub has stopped
            self.got = 0, str(why), None

    def answer(self):
        self.join(60 * SLOW)
        assert not self.is_alive(), "no answer"
        return self.got


def invoke(name, id="dev1", **more):
    return Call(dict({"methodName": name}, **more), id)


def refused(body, id="dev1", policy="service"):
    return Call(body, id, policy).answer()[:2]


def fill(id):
    """As many calls as there may be wait for a device that is away: they are all there when one more is refused."""
    calls = [invoke("waits", id=id, connectTimeoutInSeconds=300) for _ in range(CEILING)]
    wait_for(lambda: refused({"methodName": "x"}, id) == (403, "DeviceMaximumInflightMethodExceeded"), "the ceiling")
    return calls


def request(m):
    """Method, rid and payload of the next request."""
    kind, body = m.receive()
    assert kind == 0x30, (kind, body)
    n = struct.unpack("!H", body[:2])[0]
    topic, payload = body[2:2 + n].decode(), body[2 + n:]
    assert topic.startswith("$iothub/methods/POST/") and "/?$rid=" in topic, topic
    name, rid = topic[len("$iothub/methods/POST/"):].split("/?$rid=")
    assert rid.isalnum() and len(rid) <= 16, rid
    return name, rid, payload


def reply(m, rid, status=200, payload=b"", qos=0):
    m.send(publish_packet("$iothub/methods/res/%d/?$rid=%s" % (status, rid), payload, qos, 5))
    if qos:
        assert m.receive() == (0x40, b"\0\5")


def ping(m):
    """What was sent before has been taken."""
    m.send(packet(0xc0))
    assert m.receive() == (0xd0, b"")


def test_00_start():
    """a hub with devices and a module starts"""
    global hub, folder
    folder = Folder()
    hub = Hub(folder, Pki(folder))
    for id in ("dev1", "dev2"):
        keys[id] = hub.create_device(id)["authentication"]["symmetricKey"]["primaryKey"]
    _, _, module = hub.rest("PUT", "/devices/dev1/modules/m1", {"deviceId": "dev1", "moduleId": "m1"})
    keys["dev1/m1"] = module["authentication"]["symmetricKey"]["primaryKey"]


def test_01_round_trip():
    """payload and status go there and back, at QoS 0 and 1, with any JSON and with none"""
    with connect() as m:
        for payload, qos, status, back, want in ((b'{"a":[1,{"b":null}]}', 0, 200, b'{"ok":true}', {"ok": True}), (b'"text"', 1, 500, b"[1]", [1]), (b"5", 0, -7, b"", None), (b"null", 1, 201, b"null", None)):
            call = invoke("reboot", payload=json.loads(payload))
            name, rid, got = request(m)
            assert (name, got) == ("reboot", payload), (name, got)
            reply(m, rid, status, back, qos)
            assert call.answer() == (200, None, {"status": status, "payload": want}), call.got
        call = invoke("bare")
        name, rid, got = request(m)
        assert got == b"null"  # clients can't read an empty payload
        reply(m, rid)
        assert call.answer()[2] == {"status": 200, "payload": None}


def test_02_names():
    """a method's name with any characters arrives percent-encoded"""
    with connect() as m:
        call = invoke("set/mode ?a=ü#+")
        name, rid, _ = request(m)
        assert name == "set%2Fmode%20%3Fa%3D%C3%BC%23%2B", name
        reply(m, rid)
        assert call.answer()[0] == 200


def test_03_offline():
    """who is not connected, or does not listen, is DeviceNotOnline at once"""
    assert refused({"methodName": "x"}) == (404, "DeviceNotOnline")
    with connect(subscribe=False, clean=True) as m:
        assert refused({"methodName": "x"}) == (404, "DeviceNotOnline")
        ping(m)  # and heard nothing
    assert refused({"methodName": "x"}, "nobody") == (404, "DeviceNotFound")
    assert refused({"methodName": "x"}, "dev1/modules/nobody") == (404, "ModuleNotFound")


def test_04_connect_timeout():
    """with connectTimeoutInSeconds the call waits until the device connects and subscribes, and no longer than that"""
    started = time.monotonic()
    late = invoke("late", connectTimeoutInSeconds=1)
    waiting = [invoke("w%d" % i, connectTimeoutInSeconds=60) for i in range(3)]
    assert late.answer()[:2] == (404, "DeviceNotOnline") and time.monotonic() - started >= 1
    with connect(subscribe=False, clean=True) as m:
        ping(m)
        listen(m)
        names = set()
        for _ in range(3):
            name, rid, _ = request(m)
            names.add(name)
            reply(m, rid, 200, b'"%s"' % name.encode())
        assert names == {"w0", "w1", "w2"}
    assert sorted(c.answer()[2]["payload"] for c in waiting) == ["w0", "w1", "w2"]


def test_05_kept_subscription():
    """a device that keeps its session is called without a new SUBSCRIBE, also by a call that waited for it"""
    connect().close()
    call = invoke("waits", connectTimeoutInSeconds=60)
    with connect(subscribe=False) as m:
        name, rid, _ = request(m)
        reply(m, rid)
        assert call.answer()[0] == 200
        call = invoke("again")
        reply(m, request(m)[1])
        assert call.answer()[0] == 200


def test_06_response_timeout():
    """no answer in time is GatewayTimeout, and one that comes after that goes nowhere"""
    with connect() as m:
        call = invoke("slow", responseTimeoutInSeconds=5)
        _, rid, _ = request(m)
        assert call.answer()[:2] == (504, "GatewayTimeout")
        reply(m, rid, 200, b'"late"')
        ping(m)
        call = invoke("next")
        _, other, _ = request(m)
        assert other != rid
        reply(m, rid, 200, b'"late"')
        reply(m, other, 200, b'"right"')
        assert call.answer()[2]["payload"] == "right"


def test_07_forged():
    """an answer of another device, or with a rid that was never given, is overlooked"""
    with connect() as m, connect("dev2") as other, connect(module="m1") as module:
        call = invoke("mine")
        _, rid, _ = request(m)
        for thief in (other, module):
            reply(thief, rid, 200, b'"stolen"', qos=1)
        for guess in ("1", "x" * 200, rid + "0", "%20"):
            reply(m, guess, 200, b'"guessed"', qos=1)
        reply(m, rid, 200, b'"right"')
        assert call.answer()[2]["payload"] == "right"
        for m in (m, other, module):
            ping(m)


def test_08_module():
    """a module is called at its own path, and its device hears nothing"""
    with connect() as device, connect(module="m1") as module:
        call = invoke("for-m1", id="dev1/modules/m1", payload={"x": 1})
        name, rid, payload = request(module)
        assert (name, payload) == ("for-m1", b'{"x":1}')
        reply(module, rid, 200, b"1")
        assert call.answer()[2] == {"status": 200, "payload": 1}
        ping(device)


def test_08_from_a_module():
    """a module, by its own token and without an api-version, calls other modules and devices at its device or below it, and nobody else"""
    top = hub.create_device("edge", capabilities={"iotEdge": True})
    caller = hub.rest("PUT", "/devices/edge/modules/caller", {})[2]["authentication"]["symmetricKey"]["primaryKey"]
    for id, at in (("edge/modules/other", "edge/other"), ("below", "below"), ("beside", "beside")):
        made = hub.rest("PUT", "/devices/" + id, {"deviceScope": top["deviceScope"]} if id == "below" else {})[2]
        keys[at] = made["authentication"]["symmetricKey"]["primaryKey"]
    token = sas("%s/devices/edge/modules/caller" % hub.hostname, caller)

    def ask(id, headers, body=None):
        return https(hub.https_port, "POST", "/twins/%s/methods" % id, body or {"methodName": "go", "payload": 1, "timeout": 30}, headers, ca=hub.pki.root)

    who = {"Authorization": token, "x-ms-edge-moduleId": "edge/caller"}
    with connect("edge", module="other") as other, connect("below") as below:
        for m, id in ((other, "edge/modules/other"), (below, "below")):
            got = []
            thread = threading.Thread(target=lambda: got.append(ask(id, who)))
            thread.start()
            name, rid, payload = request(m)
            assert (name, payload) == ("go", b"1"), (name, payload)
            reply(m, rid, 201, b'"back"')
            thread.join(20)
            assert got[0][0] == 200 and got[0][2] == {"status": 201, "payload": "back"}, got
    assert ask("edge/modules/other", who)[2]["errorCode"] == 404103
    for id, headers in (("beside", who), ("nobody", who), ("dev1/modules/m1", who), ("below", {"x-ms-edge-moduleId": "edge/caller"}),
                        ("below", dict(who, **{"x-ms-edge-moduleId": "edge/other"})), ("below", dict(who, **{"x-ms-edge-moduleId": "edge/nobody"})),
                        ("below", dict(who, Authorization=sas("%s/devices/edge/modules/caller" % hub.hostname, new_key())))):
        assert ask(id, headers)[0] == 401, (id, headers)
    for bad in ("edge", "", "edge/", "/caller", "edge/caller/x", "edge/%zz", "a%2Fb/c"):
        assert ask("below", dict(who, **{"x-ms-edge-moduleId": bad}))[0] == 400, bad
    assert ask("below", dict(who), {"methodName": "go", "timeout": 1})[0] == 400
    hub.rest("PUT", "/devices/edge", dict(top, status="disabled"), {"If-Match": "*"})
    assert ask("below", who)[0] == 401
    assert ask("dev1", {"Authorization": hub.service_token("iothubowner")})[0] == 400  # a service says which version it speaks


def test_09_session_end():
    """the end of the session that a call was sent to ends the call: by DISCONNECT, by a newer session, by deleting the device"""
    m = connect()
    call = invoke("x")
    request(m)
    m.send(packet(0xe0))
    assert call.answer()[:2] == (404, "DeviceConnectionClosedRemotely")
    m.close()
    with connect() as m:
        call = invoke("y")
        _, rid, _ = request(m)
        with connect() as newer:
            assert call.answer()[:2] == (404, "DeviceConnectionClosedRemotely")
            reply(newer, rid)
            ping(newer)
    with connect("dev2") as m:
        call = invoke("z", id="dev2")
        request(m)
        assert hub.rest("DELETE", "/devices/dev2")[0] == 204
        assert call.answer()[:2] == (404, "DeviceConnectionClosedRemotely")


def test_10_made_again():
    """a call that waits for a device reaches no other one of the same name"""
    keys["dev2"] = hub.create_device("dev2")["authentication"]["symmetricKey"]["primaryKey"]
    calls = fill("dev2")
    assert hub.rest("DELETE", "/devices/dev2")[0] == 204
    keys["dev2"] = hub.create_device("dev2")["authentication"]["symmetricKey"]["primaryKey"]
    with connect("dev2") as m:
        for call in calls:
            assert call.answer()[:2] == (404, "DeviceNotFound")
        ping(m)


def test_11_ceiling():
    """only so many calls to one device are on their way; the rest is refused, and there is room again afterwards"""
    with connect() as m:
        calls = [invoke("n", responseTimeoutInSeconds=60) for _ in range(CEILING)]
        rids = [request(m)[1] for _ in calls]
        assert len(set(rids)) == CEILING
        assert refused({"methodName": "n"}) == (403, "DeviceMaximumInflightMethodExceeded")
        for i, rid in enumerate(reversed(rids)):
            reply(m, rid, 200, str(i).encode())
        assert sorted(c.answer()[2]["payload"] for c in calls) == list(range(CEILING))
        call = invoke("n")
        reply(m, request(m)[1])
        assert call.answer()[0] == 200


def test_12_sizes():
    """128 KB go both ways, more are refused"""
    full = "x" * (128 * 1024 - 2)
    with connect() as m:
        call = invoke("big", payload=full)
        _, rid, payload = request(m)
        assert payload == json.dumps(full).encode()
        reply(m, rid, 200, payload)
        assert call.answer()[2]["payload"] == full
        assert refused({"methodName": "big", "payload": full + "x"}) == (413, "MessageTooLarge")
        call = invoke("big")
        reply(m, request(m)[1], 200, json.dumps(full + "x").encode())
        assert call.answer()[:2] == (413, "MessageTooLarge")


def test_13_bad_results():
    """what a device answers that is no JSON is a bad gateway; an answer at a topic that is none closes its connection"""
    with connect() as m:
        for payload in (b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 100000):
            call = invoke("x")
            reply(m, request(m)[1], 200, payload)
            assert call.answer()[:2] == (502, "GenericBadGateway"), payload[:20]
    for topic in ("$iothub/methods/res/abc/?$rid=1", "$iothub/methods/res/200/", "$iothub/methods/res/2147483648/?$rid=1", "$iothub/methods/res/200/?$rid=" + "x" * 300):
        with connect() as m:
            m.send(publish_packet(topic, b"", 0))
            assert m.closed(), topic


def test_14_bad_questions():
    """what is no question is refused, and needs the right to connect as a service"""
    good = {"methodName": "x"}
    for body in ("", "{", "[]", "5", {}, {"methodName": None}, {"methodName": 5}, {"methodName": ""}, {"methodName": "x" * 257}, {"methodName": "a\nb"}, dict(good, responseTimeoutInSeconds=4),
                 dict(good, responseTimeoutInSeconds=301), dict(good, connectTimeoutInSeconds=-1), dict(good, connectTimeoutInSeconds=301), dict(good, connectTimeoutInSeconds="5"),
                 dict(good, responseTimeoutInSeconds=1e300)):
        assert refused(body)[0] == 400, body
    for policy in ("device", "registryRead", "registryReadWrite"):
        assert refused(good, policy=policy)[0] == 401
    assert hub.rest("GET", "/twins/dev1/methods")[0] == 405


def test_15_impatient_callers():
    """a caller that hangs up leaves nothing behind"""
    with connect() as m:
        for _ in range(5):
            context = ssl.create_default_context(cafile=hub.pki.root)
            context.check_hostname = False
            caller = http.client.HTTPSConnection("127.0.0.1", hub.https_port, context=context)
            caller.request("POST", "/twins/dev1/methods?api-version=2021-04-12", json.dumps({"methodName": "x"}),
                           {"Authorization": sas(hub.hostname, hub.policy("service"), policy="service", encode=False)})
            _, rid, _ = request(m)
            caller.close()
            reply(m, rid)
        call = invoke("x")
        reply(m, request(m)[1])
        assert call.answer()[0] == 200


def test_16_storm():
    """while devices connect, lose their sessions and are deleted and made again, each call gets exactly one answer, its own, and desired properties come in order"""
    end, seen, wrong, token = time.monotonic() + 3, collections.Counter(), [], sas(hub.hostname, hub.policy(), policy="iothubowner", encode=False)

    def rest(method, path, body=None):
        return https(hub.https_port, method, path + "?api-version=2021-04-12", body, {"Authorization": token}, ca=hub.pki.root)

    def serve(m, chance):
        last, stop = 0, time.monotonic() + chance.random() / 2
        while time.monotonic() < stop:
            kind, body = m.receive(1)
            n = struct.unpack("!H", body[:2])[0]
            topic, payload = body[2:2 + n].decode(), body[2 + n:]
            if "/methods/" in topic and chance.random() < 0.8:
                reply(m, topic.split("$rid=")[1], 200, payload)
            elif "/desired/" in topic:
                version = json.loads(payload)["$version"]
                if version <= last:
                    wrong.append((last, version))
                last = version
                seen["told"] += 1

    def device(seed):
        chance = random.Random(seed)
        while time.monotonic() < end:
            try:
                with connect(chance.choice(("dev1", "dev2"))) as m:
                    m.send(subscribe_packet([("$iothub/twin/PATCH/properties/desired/#", 0)], 8))
                    assert m.receive()[0] in (0x90, 0x30)
                    serve(m, chance)
            except (Refused, EOFError, OSError, AssertionError):
                seen["ended"] += 1  # by a newer session, or because the device is gone

    def service(seed):
        chance = random.Random(seed)
        while time.monotonic() < end:
            id, n = chance.choice(("dev1", "dev2")), chance.randrange(10 ** 6)
            rest("PATCH", "/twins/" + id, {"properties": {"desired": {"n": n}}})
            status, headers, body = rest("POST", "/twins/%s/methods" % id, {"methodName": "x", "payload": n, "responseTimeoutInSeconds": 5, "connectTimeoutInSeconds": chance.choice((0, 1))})
            seen[status] += 1
            if status not in (200, 404, 504) or (status == 200 and body != {"status": 200, "payload": n}):
                wrong.append((status, body))

    def fate():
        while time.monotonic() < end:
            rest("DELETE", "/devices/dev2")
            keys["dev2"] = hub.create_device("dev2")["authentication"]["symmetricKey"]["primaryKey"]
            rest("POST", "/twins/dev2/methods", {"methodName": "x", "connectTimeoutInSeconds": 1, "responseTimeoutInSeconds": 5})

    threads = [threading.Thread(target=device, args=(i,)) for i in range(4)] + [threading.Thread(target=service, args=(10 + i,)) for i in range(6)] + [threading.Thread(target=fate)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and seen[200] > 0 and seen["told"] > 0, (wrong, seen)


def test_99_stop():
    """the hub stops cleanly while calls wait"""
    m = connect()
    call = invoke("open", responseTimeoutInSeconds=300)
    request(m)
    calls = fill("dev2")
    hub.stop()
    for call in [call, *calls]:
        call.answer()
    m.close()
    folder.__exit__()


run_all(globals())
