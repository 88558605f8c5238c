#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Configurations over REST (hub 4.5): kept, applied to twins as they come to meet the condition, and to a connected device at once; applied also after kill -9; and the content that
is given to one gateway."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = None


def rest(method, path, body=None, status=200, **headers):
    got, head, answer = hub.rest(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    assert got == status, (method, path, got, answer)
    return head, answer


def desired(device, module=None):
    found = rest("GET", "/twins/" + device + ("/modules/" + urllib.parse.quote(module) if module else ""))[1]["properties"]["desired"]
    return {k: v for k, v in found.items() if not k.startswith("$")}


def tag(device, **tags):
    rest("PATCH", "/twins/" + device, {"tags": tags})


def test_00_start():
    """a hub starts"""
    global hub, folder, pki
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    for id in ("dev1", "dev2"):
        hub.create_device(id)
    hub.create_device("gw", capabilities={"iotEdge": True})


def test_01_crud():
    """a configuration is created, read, listed, changed by its etag and deleted; its content stays what it was"""
    body = {"id": "c1", "content": {"deviceContent": {"properties.desired.a": 1}}, "targetCondition": "tags.none = 1", "labels": {"l": "x"}, "priority": 3,
            "metrics": {"queries": {"all": "SELECT * FROM devices"}}}
    head, made = rest("PUT", "/configurations/c1", body)
    assert made["schemaVersion"] == "1.0" and made["createdTimeUtc"] and head["ETag"] == '"%s"' % made["etag"]
    rest("PUT", "/configurations/c1", body, status=409)
    assert rest("GET", "/configurations/c1")[1]["metrics"]["results"] == {"all": 3}
    body["priority"] = 4
    rest("PUT", "/configurations/c1", body, status=412, If_Match='"AAAAAAAAAAA="')
    _, changed = rest("PUT", "/configurations/c1", body, If_Match=head["ETag"])
    assert changed["priority"] == 4 and changed["etag"] != made["etag"] and changed["createdTimeUtc"] == made["createdTimeUtc"]
    body["content"] = {"deviceContent": {"properties.desired.a": 2}}
    assert rest("PUT", "/configurations/c1", body, status=400, If_Match="*")[1]["errorCode"] == 400403
    assert [c["id"] for c in rest("GET", "/configurations?top=5")[1]] == ["c1"]
    rest("DELETE", "/configurations/c1", status=204, If_Match="*")
    assert rest("GET", "/configurations/c1", status=404)[1]["errorCode"] == 404301
    rest("DELETE", "/configurations/c1", status=404)


def test_02_refused():
    """wrong contents, conditions and metrics are refused by their codes; testQueries tells what is wrong with them"""
    good = {"content": {"deviceContent": {"properties.desired.a": 1}}}
    for extra, code in (({"content": {}}, 400402), ({"content": {"deviceContent": {"tags.a": 1}}}, 400402), ({"targetCondition": "a = = 1"}, 400401),
                        ({"targetCondition": "properties.desired.a != 1"}, 400401), ({"targetCondition": "FROM devices WHERE NOT (tags.x = 1 OR is_defined(properties.desired.a))"}, 400401),
                        ({"metrics": {"queries": {"q": "x"}}}, 400404), ({"priority": "high"}, 400004), ({"id": "other"}, 400004)):
        assert rest("PUT", "/configurations/bad", dict(good, **extra), status=400)[1]["errorCode"] == code, extra
    _, tested = rest("POST", "/configurations/testQueries", {"targetCondition": "tags.a = ", "customMetricQueries": {"good": "SELECT * FROM devices", "bad": "SELECT"}})
    assert "at character" in tested["targetConditionError"] and list(tested["customMetricQueryErrors"]) == ["bad"]
    _, tested = rest("POST", "/configurations/testQueries", {"targetCondition": "from devices.modules where moduleId = 'm'"})
    assert tested == {"targetConditionError": "", "customMetricQueryErrors": {}}


def test_02b_scope():
    """a token for a device is none for a configuration or a job of its name"""
    for resource, status in (("/devices/c1", 401), ("", 404)):
        token = sas(hub.hostname + resource, hub.policy(), policy="iothubowner", encode=False)
        for path in ("/configurations/c1", "/jobs/v2/c1"):
            assert hub.rest("GET", path, headers={"Authorization": token})[0] == status, (resource, path)


def test_03_applied():
    """what meets the condition gets the content, a connected device hears of it, and what no longer does loses it"""
    tag("dev1", site="north")
    key = hub.rest("GET", "/devices/dev1")[2]["authentication"]["symmetricKey"]["primaryKey"]
    with hub.mqtt("dev1", password=hub.device_token("dev1", key)) as device:
        device.send(subscribe_packet([("$iothub/twin/PATCH/properties/desired/#", 0)]))
        assert device.receive()[0] == 0x90
        rest("PUT", "/configurations/north", {"content": {"deviceContent": {"properties.desired.rate": {"ms": 10}}}, "targetCondition": "tags.site = 'north'"})
        kind, told = device.receive()
        assert kind == 0x30 and json.loads(told[told.index(b"{"):])["rate"] == {"ms": 10}, told
    wait_for(lambda: rest("GET", "/configurations/north")[1]["systemMetrics"]["results"] == {"targetedCount": 1, "appliedCount": 1}, "the counts")
    assert [t["deviceId"] for t in rest("POST", "/devices/query", {"query": "SELECT * FROM devices WHERE configurations.[[north]].status = 'Applied'"})[1]] == ["dev1"]
    tag("dev2", site="north")
    wait_for(lambda: desired("dev2") == {"rate": {"ms": 10}}, "dev2 to get the content")
    tag("dev1", site=None)
    wait_for(lambda: desired("dev1") == {}, "dev1 to lose it")


def test_04_kill():
    """a configuration that was acknowledged is applied, also when the hub is killed at once"""
    rest("PUT", "/configurations/all", {"content": {"deviceContent": {"properties.desired.all": True}}, "targetCondition": "*", "priority": 1})
    hub.process.kill()
    hub.process.wait()
    hub.start()
    wait_for(lambda: all(desired(d).get("all") for d in ("dev1", "dev2", "gw")), "all to get it")
    rest("DELETE", "/configurations/all", status=204)
    wait_for(lambda: not any(desired(d).get("all") for d in ("dev1", "dev2", "gw")) and desired("dev2") == {"rate": {"ms": 10}}, "all to lose it")


def test_05_one_gateway():
    """applyConfigurationContent sets all modules of one gateway, or none"""
    path = "/devices/gw/applyConfigurationContent"
    content = {"$edgeAgent": {"properties.desired": {"schemaVersion": "1.1"}}, "$edgeHub": {"properties.desired": {"routes": {}}}, "sim": {"properties.desired.rate": 5}}
    rest("POST", path, {"modulesContent": content}, status=204)
    assert desired("gw", "$edgeAgent") == {"schemaVersion": "1.1"} and desired("gw", "$edgeHub") == {"routes": {}} and desired("gw", "sim") == {"rate": 5}
    too_much = dict(content, sim={"properties.desired.rate": 6}, other={"properties.desired.x": ["x" * 4000] * 9})
    assert rest("POST", path, {"modulesContent": too_much}, status=413)[1]["errorCode"] == 413001
    assert desired("gw", "sim") == {"rate": 5} and [m["moduleId"] for m in rest("GET", "/devices/gw/modules")[1]] == ["$edgeAgent", "$edgeHub", "sim"]
    for n in range(46):  # 49 of the 50 that there may be
        rest("PUT", "/devices/gw/modules/m%02d" % n, {"deviceId": "gw", "moduleId": "m%02d" % n})
    two_more = dict(content, sim={"properties.desired.rate": 7}, n1={"properties.desired.x": 1}, n2={"properties.desired.x": 1})
    rest("POST", path, {"modulesContent": two_more}, status=413)
    assert desired("gw", "sim") == {"rate": 5} and rest("GET", "/devices/gw/modules/n1", status=404), "the fiftieth was made, and left when the next one could not be"
    for bad in ({}, {"modulesContent": {}}, {"modulesContent": {"m": 1}}, {"modulesContent": {"m": {"tags": {}}}}, {"modulesContent": {"a b": {}}},
                {"modulesContent": {"$own": {"properties.desired": {}}}}, []):
        assert hub.rest("POST", path, bad)[0] == 400, bad
    assert rest("POST", "/devices/nobody/applyConfigurationContent", {"modulesContent": content}, status=404)[1]["errorCode"] == 404001


if __name__ == "__main__":
    run_all(globals())
