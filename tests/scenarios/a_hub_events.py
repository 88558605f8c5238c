#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hub's events for back-ends: partitions, streams that are resumed, filtered and slow, consumer groups with their checkpoints, the hub's own events, and everything
that is asked for wrongly."""
import os, re, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from sse import Stream, Refusal

hub = folder = pki = None
keys = {}


def send(device, n, size=10, start=0):
    with hub.mqtt(device, password=hub.device_token(device, keys[device])) as m:
        for i in range(start, start + n):
            m.publish("devices/%s/messages/events/n=%d" % (device, i), b"%s %d" % (b"x" * size, i))


def numbers(events):
    return [int(e["properties"]["n"]) for e in events]


def partitions():
    status, _, body = hub.rest("GET", "/events/partitions")
    assert status == 200, (status, body)
    return body["partitions"]


def test_00_start():
    """a hub has four partitions, all empty"""
    global hub, folder, pki
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    for d in ("dev1", "dev2", "dev3", "dev4", "dev5"):
        keys[d] = hub.create_device(d)["authentication"]["symmetricKey"]["primaryKey"]
    got = partitions()
    assert [p["partition"] for p in got] == [0, 1, 2, 3]
    assert all(p["isEmpty"] and p["lastSequenceNumber"] == -1 and p["beginSequenceNumber"] == 0 and p["lastOffset"] is None for p in got), got


def test_01_numbers():
    """a device's events are all in one partition, in order, and the numbers of a partition have no hole"""
    for d in keys:
        send(d, 20)
    with Stream(hub, "from=earliest") as s:
        got = s.take(100)
    of_device, of_partition = {}, {}
    for e in got:
        of_device.setdefault(e["annotations"]["iothub-connection-device-id"], []).append(e)
        of_partition.setdefault(e["partition"], []).append(e["sequenceNumber"])
    for device, events in of_device.items():
        assert len({e["partition"] for e in events}) == 1, device
        assert numbers(events) == list(range(20)), device
    for p, seen in of_partition.items():
        assert seen == list(range(len(seen))), (p, seen)
    assert [e["offset"] for e in got] == list(range(100))
    assert len(of_partition) > 1, "all devices in one partition"
    for p in partitions():
        n = len(of_partition.get(p["partition"], []))
        assert p["lastSequenceNumber"] == n - 1 and p["isEmpty"] == (n == 0), p
        if n:
            last = [e for e in got if e["partition"] == p["partition"]][-1]
            assert p["lastOffset"] == last["offset"] and p["lastEnqueuedTime"] == last["enqueuedTime"], (p, last)


def test_02_restart():
    """the numbers go on after a restart and after kill -9, and a device stays in its partition"""
    before = {p["partition"]: p for p in partitions()}
    hub.stop()
    hub.start()
    send("dev1", 5, start=20)
    hub.kill9()
    hub.start()
    send("dev1", 5, start=25)
    with Stream(hub, "from=earliest&device=dev1") as s:
        got = s.take(30)
    assert numbers(got) == list(range(30))
    assert len({e["partition"] for e in got}) == 1
    p = got[0]["partition"]
    assert partitions()[p]["lastSequenceNumber"] == before[p]["lastSequenceNumber"] + 10


def test_03_live():
    """a stream that waits gets an event as it comes, and one from `latest` nothing that was before"""
    with Stream(hub, "from=latest&device=dev2") as live:
        send("dev1", 1, start=30)
        send("dev2", 3, start=20)
        assert numbers(live.take(3)) == [20, 21, 22]


def test_04_resume():
    """a client that comes again with Last-Event-ID goes on behind it, in all partitions, nothing twice and nothing left out"""
    with Stream(hub, "from=earliest") as s:
        first = s.take(37)
        last = s.last
    with Stream(hub, "from=earliest", last=last) as s:
        rest = s.take(77)
    assert [e["offset"] for e in first + rest] == list(range(114))


def test_05_one_partition():
    """of one partition, from a sequence number, an offset or a time on"""
    p = partitions()
    one = max(p, key=lambda x: x["lastSequenceNumber"])
    with Stream(hub, "from=sequence:7&partition=%d" % one["partition"]) as s:
        got = s.take(one["lastSequenceNumber"] - 6)
    assert [e["sequenceNumber"] for e in got] == list(range(7, one["lastSequenceNumber"] + 1))
    with Stream(hub, "from=offset:50") as s:
        assert s.next()["offset"] == 50
    at = got[-1]["enqueuedTime"][:19] + "Z"
    with Stream(hub, "from=time:%s" % at) as s:
        assert s.next()["enqueuedTime"][:19] >= at[:19]
    with Stream(hub, "from=time:2000-01-01T00:00:00Z") as s:
        assert s.next()["offset"] == 0


def test_06_bad_requests():
    """what is asked for wrongly is refused, and so is who may not ask"""
    for query in ("partition=4", "partition=-1", "partition=x", "from=yesterday", "from=offset:99999999", "from=sequence:1", "from=sequence:99999999&partition=0", "from=time:noon",
                  "consumerGroup=..", "consumerGroup=", "consumerGroup=" + "x" * 65, "source=Smoke", "device=" + "d" * 129, "device=%2f", "heartbeat=0", "heartbeat=999",
                  "from=sequence:99999999999999999999&partition=0"):
        try:
            Stream(hub, query).close()
            assert False, "accepted: " + query
        except Refusal as r:
            assert r.status == 400 and r.body["errorCode"] == 400004, (query, r)
    for last in ("x", "1", "9:1", "1:99999999", "1:-1", "0:18446744073709551616"):
        try:
            Stream(hub, last=last).close()
            assert False, "accepted: " + last
        except Refusal as r:
            assert r.status == 400, (last, r)
    for policy in ("device", "registryRead", "registryReadWrite"):
        for method, path in (("GET", "/events/partitions"), ("GET", "/events/stream"), ("GET", "/events/consumerGroups"), ("POST", "/events/consumerGroups/g/checkpoint")):
            assert hub.rest(method, path, {} if method == "POST" else None, policy=policy)[0] == 401, (policy, path)
    for path in ("/events/partitions", "/events/stream"):
        assert hub.rest("GET", path, policy=None)[0] == 401
    # a token for a device of that name opens no group
    narrow = sas(hub.hostname + "/devices/dev1", hub.policy("service"), policy="service")
    assert hub.rest("GET", "/events/consumerGroups/dev1", headers={"Authorization": narrow})[0] == 401
    assert hub.rest("POST", "/events/stream", {})[0] == 405
    assert hub.rest("HEAD", "/events/partitions")[0] in (404, 405)


def test_07_curl():
    """curl reads the stream with a token in a header and no api-version"""
    token = hub.service_token("service")
    p = subprocess.Popen(["curl", "-sN", "--cacert", pki.root, "--resolve", "contosoiothub.local:%d:127.0.0.1" % hub.https_port, "-H", "Authorization: " + token,
                          "https://contosoiothub.local:%d/events/stream?from=earliest&device=dev1" % hub.https_port], stdout=subprocess.PIPE, text=True)
    try:
        lines = [p.stdout.readline().rstrip("\n") for _ in range(8)]
    finally:
        p.kill()
        p.wait()
    assert lines[0] == "retry: 2000" and lines[2].startswith("id: ") and lines[3].startswith('data: {"offset":'), lines
    assert json.loads(lines[3][6:])["properties"] == {"n": "0"}


def test_08_groups():
    """a consumer group goes on where its checkpoint is, partition by partition, also after kill -9; groups are listed and removed"""
    with Stream(hub, "from=earliest&device=dev1") as s:
        got = s.take(10)
    place = {"partition": got[9]["partition"], "sequenceNumber": got[9]["sequenceNumber"]}
    status, _, body = hub.rest("POST", "/events/consumerGroups/alarms/checkpoint", place)
    assert status == 200 and body == dict(place, consumerGroup="alarms"), body
    hub.kill9()
    hub.start()
    with Stream(hub, "consumerGroup=alarms&partition=%d&device=dev1" % place["partition"]) as s:
        assert numbers(s.take(21)) == list(range(10, 31))
    assert hub.rest("POST", "/events/consumerGroups/$Default/checkpoint", dict(place, sequenceNumber=0))[0] == 200
    status, _, body = hub.rest("GET", "/events/consumerGroups")
    assert [g["consumerGroup"] for g in body["consumerGroups"]] == ["$Default", "alarms"], body
    assert hub.rest("GET", "/events/consumerGroups/alarms")[2] == {"consumerGroup": "alarms", "checkpoints": [place]}
    assert hub.rest("DELETE", "/events/consumerGroups/$Default")[0] == 204
    assert hub.rest("DELETE", "/events/consumerGroups/$Default")[0] == 404
    for bad in ({}, {"partition": 0}, {"partition": 0, "sequenceNumber": -1}, {"partition": 0, "sequenceNumber": 10**9}, {"partition": 4, "sequenceNumber": 0},
                {"partition": "0", "sequenceNumber": 0}, {"partition": 0, "sequenceNumber": 1.5}, [], "x", {"partition": -1, "sequenceNumber": 0}):
        assert hub.rest("POST", "/events/consumerGroups/bad/checkpoint", bad if isinstance(bad, dict) else json.dumps(bad))[0] == 400, bad
    assert hub.rest("POST", "/events/consumerGroups/bad/checkpoint", b"\x00{")[0] == 400
    assert hub.rest("POST", "/events/consumerGroups/..%2f..%2fx/checkpoint", place)[0] == 400
    assert hub.rest("GET", "/events/consumerGroups/bad")[2]["checkpoints"] == []


def test_09_too_many_groups():
    """there are no more than 50 consumer groups"""
    place = {"partition": partitions()[0]["partition"], "sequenceNumber": 0}
    place["partition"] = next(p["partition"] for p in partitions() if p["lastSequenceNumber"] >= 0)
    for i in range(49):
        assert hub.rest("POST", "/events/consumerGroups/g%d/checkpoint" % i, place)[0] == 200
    assert hub.rest("POST", "/events/consumerGroups/one-more/checkpoint", place)[0] == 403
    assert hub.rest("POST", "/events/consumerGroups/g7/checkpoint", place)[0] == 200
    for i in range(49):
        assert hub.rest("DELETE", "/events/consumerGroups/g%d" % i)[0] == 204


def test_10_many_streams():
    """64 streams get every event; one more is refused until another has gone"""
    streams = [Stream(hub, "from=latest") for _ in range(64)]
    try:
        Stream(hub, "from=latest").close()
        assert False, "a 65th stream"
    except Refusal as r:
        assert r.status == 429, r
    send("dev3", 2, start=100)
    for s in streams:
        assert numbers(s.take(2)) == [100, 101]
    streams.pop().close()
    again = wait_for(try_stream, "the place of one that has gone")
    again.close()
    for s in streams:
        s.close()


def try_stream():
    try:
        return Stream(hub, "from=latest")
    except Refusal:
        return None


def rss_kb():
    with open("/proc/%d/status" % hub.process.pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def test_11_slow_reader():
    """a reader that does not read holds up nobody and no memory, and gets everything once it reads"""
    slow = Stream(hub, "from=latest&device=dev4")
    before = rss_kb()
    sender = threading.Thread(target=send, args=("dev4", 1000, 20000, 1000))
    with Stream(hub, "from=latest&device=dev4") as fast:
        sender.start()
        assert numbers(fast.take(1000)) == list(range(1000, 2000))
    sender.join()
    grown = rss_kb() - before
    assert SLOW > 1 or grown < 8 * 1024, "%d KB more" % grown  # 20 MB were sent; a sanitizer keeps what was freed
    assert numbers(slow.take(1000)) == list(range(1000, 2000))
    slow.close()


def test_12_heartbeat():
    """a quiet stream shows that it lives, and how far it is when it wants little of what there is"""
    with Stream(hub, "from=latest&device=dev5&heartbeat=1") as s:
        s.line(), s.line()
        assert s.line() == ":"
        assert s.line() == ""
        send("dev1", 1, start=31)
        line = s.line()
        while line in (":", ""):
            line = s.line()
    assert re.fullmatch(r"id: \d+:\d+", line), line
    with Stream(hub, "device=dev5", last=line[4:]) as s:
        send("dev5", 1, start=20)
        assert numbers([s.next()]) == [20]


def test_12_b_heartbeat_of_another():
    """of one partition, too: a client that comes again with the place it was told of meanwhile, which is another partition's, is let in and goes on"""
    def partition_of(device):
        with Stream(hub, "from=earliest&device=" + device) as s:
            return s.next()["partition"]
    one, other = next((a, b) for a in sorted(keys) for b in sorted(keys) if partition_of(a) != partition_of(b))
    query = "from=latest&heartbeat=1&partition=%d" % partition_of(one)
    with Stream(hub, query) as s:
        send(other, 1, start=7000)
        line = s.line()
        while not line.startswith("id: "):
            line = s.line()
    send(one, 1, start=7001)
    send(other, 1, start=7002)
    send(one, 1, start=7003)
    with Stream(hub, query, last=line[4:]) as s:
        assert numbers(s.take(2)) == [7001, 7003]


def test_13_token_ends():
    """a stream ends when the token does that it was opened with; with a new one it goes on"""
    token = sas(hub.hostname, hub.policy("service"), int(time.time()) + 3, policy="service", encode=False)
    with Stream(hub, "from=earliest&heartbeat=1", token=token) as s:
        s.next()
        last = s.last
        assert s.ended()
    with Stream(hub, last=last) as s:
        assert s.next()["offset"] > 0


def test_13_b_key_withdrawn():
    """a stream ends when the key is withdrawn that its token was signed with, and what comes after that is not sent on it; one by the other key goes on"""
    def signed(key):
        return sas(hub.hostname, key, policy="leaked", encode=False)
    keys_of = hub.rest("PUT", "/policies/leaked", {"rights": "ServiceConnect"})[2]
    with Stream(hub, "from=latest&heartbeat=60", token=signed(keys_of["primaryKey"])) as leaked, \
            Stream(hub, "from=latest&heartbeat=1", token=signed(keys_of["secondaryKey"])) as good, \
            Stream(hub, "from=latest&heartbeat=1", token=signed(keys_of["primaryKey"])) as idle:
        assert hub.rest("POST", "/policies/leaked/regenerate", {"key": "primary"})[0] == 200
        send("dev1", 1, start=9000)
        assert numbers(good.take(1)) == [9000]
        try:
            raise AssertionError("it was sent %r" % leaked.next())
        except (EOFError, http.client.IncompleteRead):
            pass
        assert idle.ended()
        assert hub.rest("DELETE", "/policies/leaked", headers={"If-Match": "*"})[0] == 204
        assert good.ended()


def test_14_stop():
    """a hub with streams stops at once, and they end"""
    s = Stream(hub, "from=earliest")
    s.take(3)
    waiting = Stream(hub, "from=latest")
    hub.stop()
    assert s.ended() and waiting.ended()


def test_15_partitions_are_fixed():
    """a hub that is told another number of partitions than it has refuses to start, and leaves all as it was"""
    hub.args += ["--partitions", "8"]
    hub.start(wait=False)
    assert hub.process.wait(20 * SLOW) == 1
    hub.log.close()
    assert "4 partitions" in hub.log_text()
    hub.args[-1] = "4"
    hub.start()
    with Stream(hub, "from=earliest") as s:
        assert s.next()["offset"] == 0
    hub.stop()


def own_hub(name, *args):
    f = Folder()
    p = Pki(f)
    return Hub(f, p, "contosoiothub.local", *args)


def properties(event):
    return {k: v for k, v in event["properties"].items() if k != "operationTimestamp"}


def test_16_own_events():
    """the hub's own events: lives with the twin, connections with a number that grows, each with the original's properties; a take-over is none"""
    h = own_hub("own", "--event-sources", "all", "--partitions", "2")
    key = h.create_device("dev1")["authentication"]["symmetricKey"]["primaryKey"]
    h.rest("PUT", "/devices/dev1/modules/m1", {"deviceId": "dev1", "moduleId": "m1"})
    one = h.mqtt("dev1", password=h.device_token("dev1", key))
    two = h.mqtt("dev1", password=h.device_token("dev1", key))
    assert one.closed()
    two.publish("devices/dev1/messages/events/", b"hello")
    two.close()
    with Stream(h, "from=earliest") as s:
        got = s.take(5)
        h.rest("DELETE", "/devices/dev1", headers={"If-Match": "*"})
        got += s.take(2)
    common = {"hubName": "contosoiothub", "deviceId": "dev1"}
    kinds = [(e["annotations"]["iothub-message-source"], e["properties"].get("opType")) for e in got]
    assert kinds == [("deviceLifecycleEvents", "createDeviceIdentity"), ("deviceLifecycleEvents", "createModuleIdentity"), ("deviceConnectionStateEvents", "deviceConnected"),
                     ("Telemetry", None), ("deviceConnectionStateEvents", "deviceDisconnected"), ("deviceLifecycleEvents", "deleteModuleIdentity"),
                     ("deviceLifecycleEvents", "deleteDeviceIdentity")], kinds
    assert properties(got[0]) == dict(common, opType="createDeviceIdentity", **{"iothub-message-schema": "deviceLifecycleNotification"}), got[0]
    assert properties(got[1]) == dict(common, moduleId="m1", opType="createModuleIdentity", **{"iothub-message-schema": "moduleLifecycleNotification"}), got[1]
    assert got[0]["body"]["deviceId"] == "dev1" and got[0]["body"]["properties"]["desired"]["$version"] == 1 and got[0]["body"]["version"] == 2
    assert got[1]["body"]["moduleId"] == "m1" and got[1]["annotations"]["iothub-connection-module-id"] == "m1"
    for e in (got[0], got[2]):
        assert e["systemProperties"]["content-type"] == "application/json" and e["systemProperties"]["user-id"] == "contosoiothub" and e["systemProperties"]["correlation-id"]
    a, b = got[2]["body"]["sequenceNumber"], got[4]["body"]["sequenceNumber"]
    assert re.fullmatch("[0-9A-F]{64}", a) and a < b, (a, b)
    with Stream(h, "from=earliest&source=deviceLifecycleEvents") as s:
        assert [e["properties"]["opType"] for e in s.take(4)][-1] == "deleteDeviceIdentity"
    assert len(h.rest("GET", "/events/partitions")[2]["partitions"]) == 2
    h.stop()


def test_17_only_telemetry():
    """without being told to, a hub writes telemetry alone, enriched with what the device says of its model; who a message is from nobody but the hub says"""
    h = own_hub("plain")
    key = h.create_device("dev1")["authentication"]["symmetricKey"]["primaryKey"]
    with h.mqtt("dev1", password=h.device_token("dev1", key), user=username(h.hostname, "dev1", extra="&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1")) as m:
        m.publish("devices/dev1/messages/events/%24.sub=thermostat1&%24.ifid=urn%3Aa&%24.ctime=2026-01-01T00%3A00%3A00Z&%24.cdid=dev2&%24.cmid=m", b"{}")
    with Stream(h, "from=earliest") as s:
        e = s.next()
    a = e["annotations"]
    assert e["offset"] == 0 and a["dt-dataschema"] == "dtmi:com:example:Thermostat;1" and a["dt-subject"] == "thermostat1" and a["iothub-interface-id"] == "urn:a", e
    assert a["iothub-connection-device-id"] == "dev1" and "iothub-connection-module-id" not in a and e["systemProperties"] == {"iothub-creation-time-utc": "2026-01-01T00:00:00Z"}, e
    h.stop()


if __name__ == "__main__":
    run_all(globals())
