#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Commands (cloud-to-device messages) from services to devices over MQTT, byte for byte (hub 1.7, 4.6; clients-observed 3)."""
import datetime, itertools, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = None
keys = {}
shift = 0
GRACE = 1.9  # of 2 s, for a kept subscription
METHODS = "$iothub/methods/POST/#"


def later(seconds):
    """The wall clock of the hub goes on."""
    global shift
    shift += seconds
    (open(folder / "clock.new", "w")).write(str(shift))
    os.rename(folder / "clock.new", folder / "clock")


def hub_time(seconds):
    """RFC 3339, so many seconds from now."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=shift + seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def filter_of(device="dev1", module=None):
    return "devices/%s/messages/devicebound/#" % (device if module is None else device + "/modules/" + module)


def connect(device="dev1", module=None, subscribe=True, qos=1, **kw):
    name = device if module is None else device + "/modules/" + module
    m = hub.mqtt(device, module, password=hub.device_token(name, keys[device if module is None else device + "/" + module]), **kw)
    if subscribe:
        listen(m, filter_of(device, module), qos)
    return m


def listen(m, filter=None, qos=1):
    m.send(subscribe_packet([(filter or filter_of(), qos)], 9))
    kind, body = m.receive()
    assert (kind, body) == (0x90, b"\0\x09" + bytes([qos])), (kind, body)


def post(body=b"x", to="dev1", policy="service", **headers):
    """status, error name, answer"""
    lines = {("iothub-" + name.replace("_", "-")): value for name, value in headers.items()}
    status, back, answer = hub.rest("POST", "/devices/%s/messages/devicebound" % to, body, lines, policy=policy)
    return status, back["iothub-errorcode"], answer


def send(body=b"x", to="dev1", **headers):
    status, error, answer = post(body, to, **headers)
    assert status == 201, (status, error, answer)
    return answer


class Got:
    def __init__(self, first, body):
        assert first & 0xf0 == 0x30, (first, body)
        n = struct.unpack("!H", body[:2])[0]
        self.first, self.topic, rest = first, body[2:2 + n].decode(), body[2 + n:]
        self.id = None
        if first & 6:
            self.id, rest = struct.unpack("!H", rest[:2])[0], rest[2:]
        self.payload = rest


def take(m, ack=True, seconds=15):
    got = Got(*m.receive(seconds))
    if ack:
        puback(m, got)
    return got


def puback(m, got):
    m.send(packet(0x40, struct.pack("!H", got.id)))


def ping(m):
    """What was sent before has been taken, and nothing else was on its way to us."""
    m.send(packet(0xc0))
    assert m.receive() == (0xd0, b"")


def ping_through(m, seen):
    """The same, and what came before the answer is in `seen`."""
    m.send(packet(0xc0))
    for first, body in iter(m.receive, (0xd0, b"")):
        got = Got(first, body)
        puback(m, got)
        seen.add(got.payload)


def count(to="dev1"):
    status, _, body = hub.rest("GET", "/devices/%s" % to)
    assert status == 200
    return body["cloudToDeviceMessageCount"]


def settled(to="dev1", n=0):
    wait_for(lambda: count(to) == n, "%d commands pending" % n)


def purge(to="dev1"):
    status, _, body = hub.rest("DELETE", "/devices/%s/commands" % to, policy="service")
    assert status == 200
    return body


def feedback(settle=True):
    """(records, lock token, headers), or None."""
    status, headers, records = hub.rest("GET", "/messages/serviceBound/feedback", policy="service")
    if status == 204:
        return None
    assert status == 200, (status, records)
    token = headers["ETag"].strip('"')
    if settle:
        assert hub.rest("DELETE", "/messages/serviceBound/feedback/" + token, policy="service")[0] == 204
    return records, token, headers


def expect(outcomes):
    """{message id: outcome} is what there is, after the time that a record waits for others."""
    all = {}

    def collect():
        for records, _, _ in iter(feedback, None):
            all.update({r["originalMessageId"]: r["statusCode"] for r in records})
        return len(all) >= len(outcomes)

    later(16)
    wait_for(collect, "%d records" % len(outcomes))
    assert all == outcomes, all


def test_00_start():
    """a hub with devices and a module starts"""
    global hub, folder
    folder = Folder()
    later(0)
    hub = Hub(folder, Pki(folder), "contosoiothub.local", env={"ROOTEDGE_CLOCK_FILE": folder / "clock"})
    for id in ("dev1", "dev2", "dev3"):
        keys[id] = hub.create_device(id)["authentication"]["symmetricKey"]["primaryKey"]
    _, _, module = hub.rest("PUT", "/devices/dev1/modules/m1", {"deviceId": "dev1", "moduleId": "m1"})
    keys["dev1/m1"] = module["authentication"]["symmetricKey"]["primaryKey"]


def test_01_topic():
    """topic and payload are exactly what SDKs read; what its sender did not say is not there"""
    with connect() as m:
        send(b"\0\xff body", messageid="m1")
        got = take(m)
        assert (got.first, got.payload) == (0x32, b"\0\xff body"), got.__dict__
        assert got.topic == "devices/dev1/messages/devicebound/%24.mid=m1&%24.to=%2Fdevices%2Fdev1%2Fmessages%2Fdevicebound", got.topic
        expiry = hub_time(600)
        answer = send(b"", messageid="m/2", correlationid="c 2", userid="u", contenttype="application/json", contentencoding="utf-8", expiry=expiry, ack="full", app_k1="v 1", app_empty="")
        assert answer["messageId"] == "m/2" and answer["sequenceNumber"] > 0
        got = take(m)
        assert got.topic == ("devices/dev1/messages/devicebound/%24.mid=m%2F2&%24.to=%2Fdevices%2Fdev1%2Fmessages%2Fdevicebound&%24.exp=" + expiry[:-1].replace(":", "%3A") + ".000Z"
                             "&%24.cid=c%202&%24.uid=u&%24.ct=application%2Fjson&%24.ce=utf-8&iothub-ack=full&k1=v%201&empty="), got.topic
        assert got.payload == b""
        nameless = send()["messageId"]
        assert "%24.mid=" + nameless + "&" in take(m).topic
        settled()
    with connect("dev1", "m1") as m:
        send(b"to a module", "dev1/modules/m1", messageid="m3")
        got = take(m)
        assert got.topic == "devices/dev1/modules/m1/messages/devicebound/%24.mid=m3&%24.to=%2Fdevices%2Fdev1%2Fmodules%2Fm1%2Fmessages%2Fdevicebound", got.topic
    expect({"m/2": "Success"})


def test_02_order():
    """commands come in order, sixteen at most on their way, each acknowledged one makes room"""
    for i in range(20):
        send(b"%d" % i)
    assert count() == 20
    with connect() as m:
        got = [take(m, ack=False) for _ in range(16)]
        assert len({g.id for g in got}) == 16
        ping(m)
        puback(m, got[5])
        got.append(take(m, ack=False))
        ping(m)
        for g in got[:5] + got[6:]:
            puback(m, g)
        got += [take(m) for _ in range(3)]
        assert [int(g.payload) for g in got] == list(range(20))
        settled()
        ping(m)


def test_03_listens_first():
    """who does not listen gets nothing; who listens at QoS 0 gets it at QoS 0, which settles it"""
    send(b"waits", "dev2", messageid="q0", ack="positive")
    with connect("dev2", subscribe=False, clean=True) as m:
        m.send(subscribe_packet([(METHODS, 0)], 9))
        assert m.receive()[0] == 0x90
        ping(m)
        assert count("dev2") == 1
        m.send(subscribe_packet([(filter_of("dev2"), 0)], 9))
        assert m.receive()[0] == 0x90
        got = take(m, ack=False)
        assert (got.first, got.payload) == (0x30, b"waits")
        settled("dev2")
        m.send(packet(0xa2, b"\0\x0a" + struct.pack("!H", len(filter_of("dev2"))) + filter_of("dev2").encode()))
        assert m.receive()[0] == 0xb0
        send(b"again", "dev2")
        ping(m)
        assert count("dev2") == 1
    purge("dev2")
    expect({"q0": "Success"})


def test_04_kept_subscription():
    """a kept subscription gets commands without a SUBSCRIBE, after a grace of 2 s, also when other topics were asked for; a SUBSCRIBE ends the grace"""
    connect().close()
    send(b"one")
    start = time.monotonic()
    with connect(subscribe=False) as m:
        m.send(subscribe_packet([(METHODS, 0)], 9))
        assert m.receive()[0] == 0x90
        assert take(m).payload == b"one"
        assert time.monotonic() - start > GRACE
        settled()
        send(b"two")  # the grace is over
        assert take(m).payload == b"two"
        settled()
    start = time.monotonic()
    with connect(subscribe=False) as m:
        send(b"three")  # while it lasts
        assert take(m).payload == b"three"
        assert time.monotonic() - start > GRACE
        settled()

    def asked():
        send(b"four")
        start = time.monotonic()
        with connect() as m:
            assert take(m).payload == b"four"
            settled()
            return time.monotonic() - start

    assert min(asked() for _ in range(3)) < GRACE


def test_05_again_after_reconnect():
    """what was not acknowledged comes again after a new connection, in order; what was, does not"""
    for i in range(3):
        send(b"%d" % i, messageid="r%d" % i, ack="full")
    with connect() as m:
        got = [take(m, ack=False) for _ in range(3)]
        puback(m, got[1])
        settled(n=2)
    with connect() as m:
        got = [take(m, ack=False) for _ in range(2)]
        assert [(g.first, g.payload) for g in got] == [(0x32, b"0"), (0x32, b"2")]
        with connect() as newer:  # takes over while the older one has them
            assert [take(newer).payload for _ in range(2)] == [b"0", b"2"]
            assert m.closed()
            settled()
    expect({"r0": "Success", "r1": "Success", "r2": "Success"})


def test_06_lock():
    """a command that is not acknowledged within 60 s comes again on the same connection, as a new one under a new packet id; the late PUBACK of the old one harms nothing"""
    with connect() as m:
        for i in range(16):
            send(b"%d" % i)
        first = [take(m, ack=False) for _ in range(16)]
        later(61)
        again = [take(m, ack=False) for _ in range(16)]
        assert [g.payload for g in again] == [g.payload for g in first]
        assert {g.first for g in again} == {0x32}
        for g in first:
            if g.id not in {a.id for a in again}:
                puback(m, g)
        ping(m)
        for g in again:
            puback(m, g)
        settled()
        ping(m)


def test_07_ten_deliveries():
    """after ten deliveries in vain a command is no longer sent"""
    send(b"poison", messageid="poison", ack="negative")
    send(b"fine", messageid="fine", ack="negative")
    for i in range(10):
        with connect() as m:
            assert take(m, ack=False).payload == b"poison"
            if i == 0:
                take(m)
    with connect() as m:
        settled()
        ping(m)
    expect({"poison": "DeliveryCountExceeded"})


def test_08_expiry():
    """an expired command is not delivered, also where nobody is connected its sender hears of it; one that the device has may still be completed"""
    send(b"late", "dev2", messageid="late", ack="full", expiry=hub_time(20))
    send(b"silent", "dev2", messageid="silent", ack="positive", expiry=hub_time(20))
    with connect() as m:
        send(b"held", messageid="held", ack="full", expiry=hub_time(20))
        got = take(m, ack=False)
        later(30)
        wait_for(lambda: count("dev2") == 0, "the end of what expired", 30)
        puback(m, got)
        settled()
    with connect("dev2") as m:
        ping(m)
    expect({"late": "Expired", "held": "Success"})


def test_09_full():
    """fifty wait for a device, and not one more, until there is room"""
    for i in range(50):
        send(b"%d" % i)
    assert post()[:2] == (403, "DeviceMaximumQueueDepthExceeded")
    send(to="dev1/modules/m1")
    assert hub.rest("GET", "/devices/dev1/modules/m1")[2]["cloudToDeviceMessageCount"] == 1
    assert hub.rest("GET", "/twins/dev1")[2]["cloudToDeviceMessageCount"] == 50
    for where, n in (("deviceId = 'dev1'", 50), ("cloudToDeviceMessageCount > 40", 50), ("deviceId = 'dev2'", 0)):
        rows = hub.rest("POST", "/devices/query", {"query": "SELECT * FROM devices WHERE " + where}, policy="service")[2]
        assert [r["cloudToDeviceMessageCount"] for r in rows] == [n], (where, rows)
    with connect() as m:
        take(m)
        wait_for(lambda: count() < 50, "room")
        send()
    assert purge("dev1/modules/m1") == {"totalMessagesPurged": 1, "deviceId": "dev1", "moduleId": "m1"}
    assert purge() == {"totalMessagesPurged": 50, "deviceId": "dev1", "moduleId": None}
    assert purge()["totalMessagesPurged"] == 0
    assert count() == 0


def test_09_b_purged_on_its_way():
    """a purge takes what a device has not acknowledged as well; what is sent next comes at once"""
    with connect() as m:
        send(b"gone")
        gone = take(m, ack=False)
        assert purge()["totalMessagesPurged"] == 1
        send(b"next")
        assert take(m).payload == b"next"
        settled()
        puback(m, gone)
        ping(m)


def test_10_feedback():
    """feedback is an array of records with a lock: completed once, abandoned it comes again"""
    send(messageid="p", ack="full")
    purge()
    send(messageid="mute")
    purge()
    assert feedback() is None  # others might follow
    later(16)
    records, token, headers = wait_for(lambda: feedback(settle=False), "feedback")
    generation = hub.rest("GET", "/devices/dev1")[2]["generationId"]
    assert headers["Content-Type"] == "application/vnd.microsoft.iothub.feedback.json" and headers["iothub-userid"] == "contosoiothub"
    assert len(records) == 1 and records[0].pop("enqueuedTimeUtc").endswith("Z")
    assert records == [{"originalMessageId": "p", "statusCode": "Purged", "description": "Message purged", "deviceId": "dev1", "deviceGenerationId": generation}], records
    assert feedback() is None  # it is locked
    path = "/messages/serviceBound/feedback/"
    assert hub.rest("POST", path + token + "/abandon", policy="service")[0] == 204
    status, headers, _ = hub.rest("DELETE", path + token, policy="service")
    assert (status, headers["iothub-errorcode"]) == (412, "DeviceMessageLockLost")
    records, again, _ = feedback(settle=False)
    assert again != token and records[0]["originalMessageId"] == "p"
    later(61)
    records, last, _ = wait_for(feedback, "feedback again")
    assert last not in (token, again) and records[0]["originalMessageId"] == "p"
    assert feedback() is None
    for token in (last, "nothing", "%24"):
        assert hub.rest("POST", path + token + "/abandon", policy="service")[0] == 412


def device_https(method, path="", id="dev1", headers=None):
    token = hub.device_token(id, keys[id.replace("/modules/", "/")])
    return https(hub.https_port, method, "/devices/%s/messages/devicebound%s" % (id, path) + ("&" if "?" in path else "?") + "api-version=2021-04-12", None,
                 dict({"Authorization": token}, **(headers or {})), ca=hub.pki.root)


def receive(id="dev1"):
    """(payload, headers, lock token), or None."""
    status, headers, body = device_https("GET", id=id)
    if status == 204:
        return None
    assert status == 200, (status, body)
    return body, headers, headers["ETag"].strip('"')


def test_10_b_https():
    """a device that asks over HTTPS gets one command at a time, and completes, rejects or abandons it by its lock"""
    assert receive() is None
    for name in ("one", "two", "three"):
        send(name.encode(), messageid=name, ack="full", app_k="v 1", contenttype="text/plain", expiry=hub_time(600))
    payload, headers, one = receive()
    assert payload == b"one" and headers["iothub-messageid"] == "one" and headers["iothub-app-k"] == "v 1" and headers["iothub-ack"] == "full", headers.items()
    assert headers["iothub-deliverycount"] == "1" and int(headers["iothub-sequencenumber"]) > 0 and headers["iothub-enqueuedtime"].endswith("Z") and headers["iothub-expiry"].endswith("Z")
    assert headers["Content-Type"] == "text/plain" and headers["iothub-to"] == "/devices/dev1/messages/devicebound", headers.items()
    payload, _, two = receive()
    assert payload == b"two"
    assert device_https("POST", "/%s/abandon" % two)[0] == 204
    payload, headers, again = receive()
    assert payload == b"two" and headers["iothub-deliverycount"] == "2" and again != two
    assert device_https("DELETE", "/" + two)[0] == 412
    assert device_https("DELETE", "/%s?reject=true" % again)[0] == 204
    assert device_https("DELETE", "/" + one, headers={"If-Match": one})[0] == 204
    status, headers, _ = device_https("DELETE", "/" + one)
    assert (status, headers["iothub-errorcode"]) == (412, "DeviceMessageLockLost")
    _, _, three = receive()
    assert device_https("DELETE", "/" + three, id="dev2")[0] == 412  # somebody else's lock
    later(61)
    payload, _, again = wait_for(receive, "the end of a lock")
    assert payload == b"three" and device_https("DELETE", "/" + three)[0] == 412
    assert device_https("DELETE", "/" + again)[0] == 204
    send(b"m", "dev1/modules/m1")
    payload, headers, token = receive("dev1/modules/m1")
    assert payload == b"m" and "iothub-expiry" not in headers and "iothub-ack" not in headers, headers.items()
    assert device_https("DELETE", "/" + token, id="dev1/modules/m1")[0] == 204
    assert (count(), receive()) == (0, None)
    expect({"one": "Success", "two": "Rejected", "three": "Success"})


def test_10_c_both():
    """what was given to one is not given to the other; what is abandoned over HTTPS is pushed to the session that listens"""
    with connect() as m:
        send(b"pushed")
        got = take(m, ack=False)
        assert receive() is None
        puback(m, got)
        settled()
    send(b"polled")
    _, _, token = receive()
    with connect() as m:
        ping(m)
        assert device_https("POST", "/%s/abandon" % token)[0] == 204
        assert take(m).payload == b"polled"
        settled()


def test_11_tool():
    """rootedge hub c2d sends, purges and fetches feedback"""
    login = "HostName=contosoiothub.local:%d;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (hub.https_port, hub.policy())

    def tool(*args):
        out = run("rootedge", "hub", "c2d", *args, "--hub", login, "--ca", hub.pki.root, "--connect-to", "127.0.0.1", "--json", env=dict(os.environ, ROOTEDGE_CLOCK_FILE=folder / "clock")).stdout
        return json.loads(out)

    answer = tool("send", "-d", "dev1", "--data", "from the tool", "-p", "k=v", "--ack", "full", "--message-id", "t1")
    assert answer["messageId"] == "t1"
    with connect() as m:
        got = take(m, ack=False)
        assert got.payload == b"from the tool" and got.topic.endswith("&iothub-ack=full&k=v")
    assert tool("purge", "-d", "dev1")["totalMessagesPurged"] == 1
    later(16)
    records = wait_for(lambda: tool("feedback"), "feedback")
    assert [(r["originalMessageId"], r["statusCode"]) for r in records] == [("t1", "Purged")], records
    assert tool("feedback") == []


def test_12_refusals():
    """what is no command is refused with the error that says so, and nothing of it waits"""
    for want, kw in (((400, "ArgumentInvalid"), dict(expiry="tomorrow")), ((400, "ArgumentInvalid"), dict(ack="maybe")), ((400, "ArgumentInvalid"), dict(messageid="m" * 129)),
                     ((400, "ArgumentInvalid"), {"app_": "v"}), ((400, "ArgumentInvalid"), {"app_$.to": "v"}), ((400, "ArgumentInvalid"), dict(app_k=b"\xff\xfe")),
                     ((403, "InvalidMessageExpiryTime"), dict(expiry=hub_time(-1))), ((403, "InvalidMessageExpiryTime"), dict(expiry=hub_time(3 * 86400))),
                     ((403, "InvalidMessageExpiryTime"), dict(expiry="1969-01-01T00:00:00Z")), ((413, "MessageTooLarge"), dict(body=b"x" * 65537)),
                     ((413, "MessageTooLarge"), dict(body=b"x" * 65536, messageid="m")), ((413, "MessageTooLarge"), dict(body=b"x" * (4 << 20))),
                     ((404, "DeviceNotFound"), dict(to="nobody")), ((404, "ModuleNotFound"), dict(to="dev1/modules/none")), ((401, "IotHubUnauthorizedAccess"), dict(policy="registryReadWrite")),
                     ((401, "IotHubUnauthorizedAccess"), dict(policy="device"))):
        got = post(**kw)[:2]
        if want[0] == 413 and len(kw["body"]) > 65536 and got[0] == 413:
            continue  # the server's own ceiling may come first
        assert got == want, (kw, got)
    for method, path in (("DELETE", "/devices/nobody/commands"), ("DELETE", "/devices/dev1/modules/none/commands")):
        assert hub.rest(method, path)[0] == 404
    for method, path in (("DELETE", "/devices/dev1/commands"), ("GET", "/messages/serviceBound/feedback"), ("DELETE", "/messages/serviceBound/feedback/x")):
        assert hub.rest(method, path, policy="registryRead")[0] == 401
    assert count() == 0
    large = send(b"x" * 65000, messageid="large")
    with connect() as m:
        assert len(take(m).payload) == 65000 and large
        settled()


def test_13_deleted():
    """a deleted device takes its commands with it: the next one of its name finds none"""
    send(to="dev3")
    assert hub.rest("DELETE", "/devices/dev3", headers={"If-Match": "*"})[0] == 204
    keys["dev3"] = hub.create_device("dev3")["authentication"]["symmetricKey"]["primaryKey"]
    assert count("dev3") == 0
    with connect("dev3") as m:
        ping(m)


def test_14_kill9():
    """an accepted command is delivered by the next hub process, also when the last one had sent it already; a settled one is not"""
    send(b"done")
    with connect() as m:
        take(m)
        settled()
        send(b"sent")
        assert take(m, ack=False).payload == b"sent"
    send(b"waits", messageid="w", ack="full")
    hub.kill9()
    hub.start()
    assert count() == 2
    with connect() as m:
        assert [take(m).payload for _ in range(2)] == [b"sent", b"waits"]
        settled()
    expect({"w": "Success"})


def test_14_b_kill9_rounds():
    """what a service was told is accepted arrives, whenever the hub dies"""
    accepted, seen, number = set(), set(), itertools.count()

    def pour():
        try:
            while True:
                body = b"k%d" % next(number)
                if post(body, "dev2")[0] == 201:
                    accepted.add(body)
        except (OSError, http.client.HTTPException):
            pass  # the hub died

    def fetch():
        try:
            with connect("dev2") as m:
                while True:
                    seen.add(take(m).payload)
        except (OSError, EOFError):
            pass

    for i in range(6):
        threads = [threading.Thread(target=f, daemon=True) for f in (pour, fetch)]
        for t in threads:
            t.start()
        want = len(accepted) + 5 * i  # each time at another point
        wait_for(lambda: len(accepted) > want, "accepted commands", 30)
        hub.kill9()
        for t in threads:
            t.join(30 * SLOW)
            assert not t.is_alive()
        hub.start()
    with connect("dev2") as m:
        def is_all_settled():  # a moment after it was acknowledged
            ping_through(m, seen)
            return count("dev2") == 0
        wait_for(is_all_settled, "the end of the queue", 60)
    assert accepted <= seen, accepted - seen


def test_14_c_kill9_subscription():
    """a subscription that was acknowledged is kept, also when the hub dies the next moment, for its client does not ask for it again"""
    for i in range(3):
        with connect("dev3", subscribe=False, clean=True):
            pass  # nothing is kept
        with connect("dev3", clean=False):
            hub.kill9()
        hub.start()
        send(b"kept %d" % i, "dev3")
        with connect("dev3", subscribe=False, clean=False) as m:
            assert take(m).payload == b"kept %d" % i
            settled("dev3")


def test_15_storm():
    """while services send and a device keeps losing its connection, each command arrives, and none is left"""
    seen, sent, failed = set(), set(), []

    def pour(n):
        try:
            for i in range(40):
                body = b"%d-%d" % (n, i)
                wait_for(lambda: post(body, "dev2")[0] == 201, "room for a command", 60)
                sent.add(body)
        except Exception as why:  # told by the test
            failed.append(why)

    threads = [threading.Thread(target=pour, args=(n,), daemon=True) for n in range(3)]
    for t in threads:
        t.start()
    end = time.monotonic() + 120 * SLOW
    while (any(t.is_alive() for t in threads) or count("dev2")) and not failed:
        assert time.monotonic() < end, (len(sent), len(seen), count("dev2"))
        with connect("dev2") as m:
            try:
                for _ in range(7):
                    seen.add(take(m, seconds=0.5).payload)
                take(m, ack=False, seconds=0.2)
            except (socket.timeout, TimeoutError):
                pass
    assert not failed, failed
    assert seen == sent and len(sent) == 120, (sent - seen, seen - sent)


def test_99_stop():
    """the hub stops in order"""
    hub.stop()


if __name__ == "__main__":
    run_all()
