#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Queries over REST (hub 4.5): rows, pages and their headers, what an indexed query looks at, what is refused and where it is wrong, askers that go, and that
nothing of it stands in the way of devices."""
import os, sqlite3, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = None
MANY = 20000


def ask(text, status=200, policy="service", **headers):
    got, head, body = hub.rest("POST", "/devices/query", {"query": text}, {k.replace("_", "-"): str(v) for k, v in headers.items()}, policy=policy)
    assert got == status, (text, got, body)
    return head, body


def ids(text, **headers):
    return [row["deviceId"] for row in ask(text, **headers)[1]]


def visited(text):
    head, rows = ask(text)
    return len(rows), int(head["x-rootedge-rows-visited"])


def test_00_start():
    """a hub that was given another list of indexed properties builds its index from the twins that are there"""
    global hub, folder, pki
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    for id in ("dev1", "dev2", "dev3"):
        hub.create_device(id)
    hub.create_device("gw", capabilities={"iotEdge": True})
    hub.stop()
    with sqlite3.connect(os.path.join(hub.state, "hub.sqlite")) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(identity)")]
        for i in range(MANY):  # many more, of which no query below should take notice
            db.execute("INSERT INTO identity SELECT 'many-' || ?, %s FROM identity WHERE device_id = 'dev1'" % ", ".join(columns[1:]), ("%05d" % i,))
        twin = "INSERT INTO twin VALUES (?, '', 2, 'AAAAAAAAAAI=', NULL, ?, '{}', '{}', 1, ?, '{}', 2)"
        db.execute(twin, ("dev1", '{"site":{"name":"north","floor":1}}', '{"battery":10}'))
        db.execute(twin, ("dev2", '{"site":{"name":"north","floor":2}}', '{"battery":20.5,"heat":7}'))
        for i in range(100):
            db.execute(twin, ("many-%05d" % (MANY - 100 + i), '{"kind":"large"}', json.dumps({"text": "x" * 100000})))
        db.execute(twin, ("dev3", '{"site":{"name":"süd \'3\'"}}', '{}'))
    db.close()
    hub.env["ROOTEDGE_LOG"] = "debug,json"
    hub.args += ["--index", "properties.reported.battery"]
    hub.start()


def test_01_rows():
    """a condition finds its twins, whole, with the type of the rows in a header"""
    head, rows = ask("SELECT * FROM devices WHERE tags.site.name = 'north' AND tags.site.floor = 2")
    assert head["x-ms-item-type"] == "Twin" and head["x-ms-continuation"] is None
    twin, = rows
    assert twin["deviceId"] == "dev2" and twin["properties"]["reported"]["heat"] == 7 and twin["properties"]["reported"]["$version"] == 2
    assert twin["connectionState"] == "Disconnected" and twin["authenticationType"] == "sas" and twin["version"] == 2 and "symmetricKey" not in str(twin)
    assert ids("SELECT * FROM devices WHERE tags.site.name = \"s\\u00fcd '3'\"") == ["dev3"]
    assert ids("select * from devices where capabilities.iotEdge = true") == ["gw"]
    head, rows = ask("SELECT COUNT() AS n FROM devices")
    assert head["x-ms-item-type"] == "Raw" and rows == [{"n": MANY + 4}], rows
    assert ask("SELECT tags.site.floor AS floor FROM devices WHERE deviceId = 'dev1'")[1] == [{"floor": 1}]
    assert [row["moduleId"] for row in ask("SELECT * FROM devices.modules WHERE deviceId = 'gw'")[1]] == ["$edgeAgent", "$edgeHub"]


def test_02_connection_state():
    """connectionState is that of this moment"""
    key = hub.rest("GET", "/devices/dev1")[2]["authentication"]["symmetricKey"]["primaryKey"]
    with hub.mqtt("dev1", password=hub.device_token("dev1", key)):
        assert ids("SELECT * FROM devices WHERE connectionState = 'Connected'") == ["dev1"]
    wait_for(lambda: ids("SELECT * FROM devices WHERE deviceId = 'dev1' AND connectionState = 'Connected'") == [], "dev1 to be seen as gone")


def test_03_indexed():
    """a query that an index knows looks at nothing but the rows that it gives, among many"""
    for condition, n in (("tags.site.name = 'north'", 2), ("tags.site.floor > 1", 1), ("STARTSWITH(tags.site.name, 'nor')", 2), ("tags.site.floor IN [1, 2, 9]", 2),
                         ("properties.reported.battery >= 10", 2), ("deviceId = 'dev2'", 1), ("deviceId IN ['dev1', 'nobody']", 1), ("capabilities.iotEdge = true", 1),
                         ("status = 'disabled'", 0), ("tags.site.name = 'north' AND tags.site.floor = 2", 1)):
        assert visited("SELECT * FROM devices WHERE " + condition) == (n, n), (condition, visited("SELECT * FROM devices WHERE " + condition))


def test_04_pages():
    """pages go on behind their continuation, and the last one has none"""
    text, seen, token = "SELECT deviceId FROM devices WHERE NOT STARTSWITH(deviceId, 'many-0')", [], None
    while True:
        head, rows = ask(text, x_ms_max_item_count=1000, **({"x_ms_continuation": token} if token else {}))
        seen += [row["deviceId"] for row in rows]
        assert len(rows) <= 1000
        token = head["x-ms-continuation"]
        if not token:
            break
    assert seen == ["dev1", "dev2", "dev3", "gw"] + ["many-%05d" % i for i in range(10000, MANY)]
    assert len(ids("SELECT * FROM devices")) == 100 and len(ids("SELECT TOP 7 * FROM devices", x_ms_max_item_count=100)) == 7
    for count in ("0", "x", "-2", "1.5"):
        head, body = ask("SELECT * FROM devices", status=400, x_ms_max_item_count=count)
        assert head["iothub-errorcode"] == "DeviceInvalidResultCount"
    for forged in ("x", "e30=", "A" * 3000):
        assert ask("SELECT * FROM devices", status=400, x_ms_continuation=forged)[0]["iothub-errorcode"] == "ArgumentInvalid"


def test_05_refused():
    """what is no query is refused with the place and the reason; who may not ask hears nothing"""
    for text, place, reason in (("SELECT * FROM twins", 15, "devices.jobs"), ("SELECT * FROM devices WHERE a = = 1", 33, "value"), ("", 1, "SELECT"),
                                ("SELECT * FROM devices WHERE nonsense(a)", 29, "no function nonsense"), ("SELECT * FROM devices WHERE " + "(" * 4000, 93, "nested")):
        body = ask(text, status=400)[1]
        assert body["errorCode"] == 400004 and "at character %d: " % place in body["Message"] and reason in body["Message"], body
    assert "8192" in ask("SELECT * FROM devices WHERE a = '%s'" % ("x" * 8192), status=400)[1]["Message"]
    for body in ([], {}, {"query": 1}, {"query": None}, {"query": ["SELECT * FROM devices"]}, "SELECT * FROM devices"):
        assert hub.rest("POST", "/devices/query", body)[0] == 400, body
    assert ask("SELECT * FROM devices", status=401, policy="registryRead")[0]["iothub-errorcode"]


def test_06_askers():
    """a scan of all twins holds up neither the registry nor other queries, and ends when its asker has gone"""
    slow = "SELECT COUNT() AS n FROM devices WHERE " + " AND ".join("NOT CONTAINS(CONCAT(deviceId, 'x'), '%d')" % i for i in range(10000, 10150))
    body = json.dumps({"query": slow}).encode()
    token = sas(hub.hostname, hub.policy("service"), policy="service", encode=False)
    context = ssl.create_default_context(cafile=pki.root)
    context.check_hostname = False
    gone = []
    for _ in range(4):
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", hub.https_port)))
        s.sendall(("POST /devices/query?api-version=2021-04-12 HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n"
                   % (token, len(body))).encode() + body)
        gone.append(s)
    hub.create_device("meanwhile")
    assert visited("SELECT * FROM devices WHERE tags.site.name = 'north'") == (2, 2)
    for s in gone:
        s.close()
    wait_for(lambda: hub.log_text().count("query given up") == 4, "the four queries to be given up")
    assert ids("SELECT * FROM devices WHERE deviceId = 'meanwhile'") == ["meanwhile"]


def test_07_gone():
    """a device that is deleted is in no answer any more, nor in the index"""
    assert hub.rest("DELETE", "/devices/dev2", headers={"If-Match": "*"})[0] == 204
    assert visited("SELECT * FROM devices WHERE tags.site.name = 'north'") == (1, 1)


def test_08_large():
    """a page of large twins ends before it is too large to be an answer, and the next one goes on"""
    seen, sizes, cursor = [], [], None
    while not sizes or cursor:
        head, rows = ask("SELECT * FROM devices WHERE tags.kind = 'large'", x_ms_max_item_count=1000, **({"x_ms_continuation": cursor} if cursor else {}))
        seen += [row["deviceId"] for row in rows]
        sizes.append(len(json.dumps(rows)))
        cursor = head["x-ms-continuation"]
    assert seen == ["many-%05d" % (MANY - 100 + i) for i in range(100)] and max(sizes) < 5 << 20, (len(seen), sizes)


def test_09_metrics():
    """however many slow metrics a configuration has, who reads it keeps the registry for a moment only"""
    slow = "SELECT * FROM devices WHERE " + " AND ".join("NOT CONTAINS(CONCAT(deviceId, 'x'), '%d')" % i for i in range(10000, 10100))
    body = {"content": {"deviceContent": {"properties.desired.a": 1}}, "targetCondition": "tags.none = 1",
            "metrics": {"queries": {"m%d" % i: slow for i in range(120)}}}
    assert hub.rest("PUT", "/configurations/many", body)[0] == 200
    begin = time.monotonic()
    status, _, shown = hub.rest("GET", "/configurations/many")
    assert status == 200 and len(shown["metrics"]["queries"]) == 120 and time.monotonic() - begin < 6, (status, time.monotonic() - begin)


if __name__ == "__main__":
    run_all(globals())
