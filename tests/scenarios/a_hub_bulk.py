#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many devices in one request, and new keys for old ones (hub 4.4, clients-observed 6): what is done, what is refused item by item, and what is refused as a whole."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = None


def bulk(*items):
    return hub.rest("POST", "/devices", list(items))


def item(mode, id, **fields):
    return dict({"id": id, "importMode": mode}, **fields)


def done(answer):
    status, _, body = answer
    assert status == 200 and body == {"isSuccessful": True, "errors": [], "warnings": []}, answer


def errors_of(answer):
    """{(device, module): code} of an answer that tells of refused items."""
    status, headers, body = answer
    assert status == 400 and body["isSuccessful"] is False and headers["iothub-errorcode"] == "BulkRegistryOperationFailure", answer
    assert body["Message"].startswith("ErrorCode:BulkRegistryOperationFailure;") and body["errorCode"] == 400013, body
    for error in body["errors"]:
        assert error["errorStatus"] and error["operation"], error
    return {(e["deviceId"], e["moduleId"]): e["errorCode"] for e in body["errors"]}


def fails(answer, status, name):
    assert answer[0] == status and answer[1]["iothub-errorcode"] == name, answer


def get(path):
    status, _, body = hub.rest("GET", path)
    return body if status == 200 else status


def test_00_start():
    """a hub starts"""
    global hub, folder, pki
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)


def test_01_create():
    """a hundred devices are created by one request, as they would be one by one"""
    done(bulk(*[item("create", "b-%03d" % i, status="disabled" if i == 5 else "enabled", authentication={"type": "sas", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}}) for i in range(100)]))
    assert len(get("/devices?top=1000")) == 100 and len(get("/devices?top=7")) == 7
    d = get("/devices/b-005")
    assert d["status"] == "disabled" and len(base64.b64decode(d["authentication"]["symmetricKey"]["primaryKey"])) == 32, d
    assert get("/statistics/devices") == {"totalDeviceCount": 100, "enabledDeviceCount": 99, "disabledDeviceCount": 1}
    key = get("/devices/b-000")["authentication"]["symmetricKey"]["primaryKey"]
    hub.mqtt("b-000", password=hub.device_token("b-000", key)).close()


def test_02_together():
    """a gateway with its modules and a module of a device that the same request creates"""
    done(bulk(item("Create", "gw", capabilities={"iotEdge": True}), item("CREATE", "gw", moduleId="mod1"), item("create", "x", authentication={"x509Thumbprint": {"primaryThumbprint": "ab" * 32}}),
              item("create", "x", moduleId="m")))
    assert [m["moduleId"] for m in get("/devices/gw/modules")] == ["$edgeAgent", "$edgeHub", "mod1"]
    assert get("/devices/x")["authentication"]["type"] == "selfSigned" and get("/devices/x/modules/m")["deviceId"] == "x"
    done(bulk(item("create", "child", deviceScope=get("/devices/gw")["deviceScope"])))


def test_02_twins():
    """a device comes with the tags and properties that it is created with; one whose tags are none is refused as a whole"""
    done(bulk(item("create", "t1", tags={"floor": 3}, properties={"desired": {"rate": 5}})))
    twin = get("/twins/t1")
    assert twin["tags"] == {"floor": 3} and twin["properties"]["desired"]["rate"] == 5 and twin["properties"]["desired"]["$version"] == 2, twin
    assert bulk(item("create", "t2", tags={"a.b": 1}))[0] == 400 and hub.rest("GET", "/devices/t2")[0] == 404


def test_03_some_refused():
    """what is refused of a request is told with its reason, and the rest of it is done"""
    answer = bulk(item("create", "b-000"), item("create", "new"), item("update", "nobody"), item("delete", "gw", moduleId="$edgeHub"), item("create", "nobody", moduleId="m"),
                  item("create", "bad1", authentication={"symmetricKey": {"primaryKey": "c2hvcnQ="}}), item("create", "bad2", status=5), item("fetch", "bad3"), item("updateIfMatchETag", "b-001"),
                  item("updateIfMatchETag", "b-002", eTag="AAAAAAAAAAA="), item("create", "bad4", deviceScope="ms-azure-iot-edge://b-001-1"), item("create", "bad5", tags=[]), item(7, "bad6"))
    assert errors_of(answer) == {
        ("b-000", None): "DeviceAlreadyExists", ("nobody", None): "DeviceNotFound", ("gw", "$edgeHub"): "SystemModuleModifyUnauthorizedAccess", ("nobody", "m"): "DeviceNotFound",
        ("bad1", None): "ArgumentInvalid", ("bad2", None): "ArgumentInvalid", ("bad3", None): "ArgumentInvalid", ("b-001", None): "ArgumentInvalid", ("b-002", None): "PreconditionFailed",
        ("bad4", None): "InvalidDeviceScope", ("bad5", None): "ArgumentInvalid", ("bad6", None): "ArgumentInvalid"}, answer
    assert get("/devices/new")["deviceId"] == "new"
    for bad in ("bad1", "bad2", "bad3", "bad4", "bad5", "bad6"):
        assert get("/devices/" + bad) == 404, bad


def test_04_update():
    """updates go by any etag or by the one that is given; keys that are not sent stay"""
    before = get("/devices/b-001")
    done(bulk(item("Update", "b-001", status="disabled", statusReason="stock"), item("UpdateIfMatchETag", "b-002", eTag=get("/devices/b-002")["etag"], status="disabled")))
    after = get("/devices/b-001")
    assert (after["status"], after["statusReason"]) == ("disabled", "stock") and after["authentication"] == before["authentication"] and after["etag"] != before["etag"], after
    assert get("/devices/b-002")["status"] == "disabled"


def test_05_trust():
    """a device that a request disables, or deletes, is disconnected"""
    key = get("/devices/b-010")["authentication"]["symmetricKey"]["primaryKey"]
    with hub.mqtt("b-010", password=hub.device_token("b-010", key)) as m:
        done(bulk(item("update", "b-010", status="disabled")))
        assert m.closed()


def test_06_delete():
    """deletes go by any etag or by the one that is given, and take the modules with them"""
    assert errors_of(bulk(item("deleteIfMatchETag", "x", eTag="AAAAAAAAAAA="), item("DeleteIfMatchETag", "b-003", eTag=get("/devices/b-003")["etag"]))) == {("x", None): "PreconditionFailed"}
    assert get("/devices/b-003") == 404 and get("/devices/x")["deviceId"] == "x"
    done(bulk(item("Delete", "x")))
    assert get("/devices/x") == 404 and get("/devices/x/modules/m") == 404


def test_07_whole():
    """a request that is no list of items with ids, names something twice, or is too long, is refused as a whole"""
    n = get("/statistics/devices")["totalDeviceCount"]
    fails(bulk(item("create", "t1"), item("delete", "t1")), 400, "DeviceDefinedMultipleTimes")
    fails(bulk(item("create", "t1"), item("create", "t1", moduleId="")), 400, "DeviceDefinedMultipleTimes")
    fails(bulk(*[item("create", "t%d" % i) for i in range(101)]), 413, "TooManyDevices")
    for bad in ({}, "x", 5, [[]], ["x"], [{}], [None], [{"id": 5}], [{"id": ""}], [{"id": "a b"}], [{"id": "a", "moduleId": "../x"}], [{"id": "x" * 129}], []):
        answer = hub.rest("POST", "/devices", bad)
        assert answer[0] == 400 and answer[1]["iothub-errorcode"] in ("ArgumentInvalid", "DeserializationError"), (bad, answer)
    assert get("/statistics/devices")["totalDeviceCount"] == n


def test_08_module_cap():
    """the fifty-first module is refused, within a request as well"""
    answer = bulk(*[item("create", "b-020", moduleId="m%02d" % i) for i in range(52)])
    assert errors_of(answer) == {("b-020", "m50"): "TooManyModulesOnDevice", ("b-020", "m51"): "TooManyModulesOnDevice"}, answer
    fails(hub.rest("PUT", "/devices/b-020/modules/more", {"deviceId": "b-020", "moduleId": "more"}), 413, "TooManyModulesOnDevice")


def test_09_rights():
    """who may only read changes nothing here"""
    for path in ("/devices", "/devices/keys/regenerate"):
        for policy in ("registryRead", "service", "device"):
            token = sas(hub.hostname, hub.policy(policy), policy=policy, encode=False)
            answer = https(hub.https_port, "POST", path + "?api-version=2021-04-12", [item("create", "no")], {"Authorization": token}, ca=pki.root)
            assert answer[0] == 401, (path, policy, answer)


def regenerate(which, *devices):
    return hub.rest("POST", "/devices/keys/regenerate", {"policyKey": which, "devices": list(devices)})


def test_10_regenerate():
    """the first, the second or both keys are made anew; the old one is refused at once, the other one goes on"""
    def keys():
        k = get("/devices/b-030")["authentication"]["symmetricKey"]
        return k["primaryKey"], k["secondaryKey"]
    old = keys()
    status, _, body = regenerate("primaryKey", {"id": "b-030"})
    assert status == 200 and body["policyKey"] == "primaryKey" and body["errors"] == [], body
    new = keys()
    assert new[0] != old[0] and new[1] == old[1]
    assert body["rotatedKeys"] == [{"id": "b-030", "moduleId": None, "primaryKey": new[0], "secondaryKey": new[1]}], body
    try:
        hub.mqtt("b-030", password=hub.device_token("b-030", old[0]))
        raise AssertionError("the old key lets in")
    except Refused as refused:
        assert refused.code == 5
    hub.mqtt("b-030", password=hub.device_token("b-030", old[1])).close()
    assert regenerate("secondaryKey", {"id": "b-030"})[0] == 200 and keys()[0] == new[0] and keys()[1] != new[1]
    before = keys()
    assert regenerate("both", {"id": "b-030", "moduleId": ""}, {"id": "b-020", "moduleId": "m00"})[0] == 200 and not set(before) & set(keys())


def test_11_regenerate_refused():
    """207 when some can't be, 400 when none can or the request is wrong"""
    hub.rest("PUT", "/devices/thumb", {"deviceId": "thumb", "authentication": {"x509Thumbprint": {"primaryThumbprint": "cd" * 32}}})
    status, _, body = regenerate("both", {"id": "b-031"}, {"id": "nobody"}, {"id": "thumb"}, {"id": "b-031", "moduleId": "nothing"})
    assert status == 207 and [r["id"] for r in body["rotatedKeys"]] == ["b-031"], body
    assert [(e["id"], e["moduleId"], e["errorCode"]) for e in body["errors"]] == [("nobody", None, "DeviceNotFound"), ("thumb", None, "ArgumentInvalid"), ("b-031", "nothing", "ModuleNotFound")], body
    answer = regenerate("both", {"id": "nobody"})
    fails(answer, 400, "BulkRegenerateDeviceKeyOperationFailure")
    assert answer[2]["rotatedKeys"] == [] and answer[2]["errors"][0]["errorCode"] == "DeviceNotFound", answer
    fails(regenerate("all", {"id": "b-031"}), 400, "InvalidPolicyKey")
    fails(regenerate("both", {"id": "b-031"}, {"id": "b-031"}), 400, "DeviceDefinedMultipleTimes")
    fails(regenerate("both", *[{"id": "r%d" % i} for i in range(101)]), 413, "TooManyDevices")
    for bad in ([], {}, {"policyKey": 5}, {"policyKey": "both"}, {"policyKey": "both", "devices": {}}, {"policyKey": "both", "devices": [5]}, {"policyKey": "both", "devices": []}):
        answer = hub.rest("POST", "/devices/keys/regenerate", bad)
        assert answer[0] == 400, (bad, answer)


def test_12_kill():
    """what was answered is there after kill -9"""
    done(bulk(*[item("create", "k-%d" % i) for i in range(50)]))
    keys = regenerate("both", {"id": "k-1"})[2]["rotatedKeys"][0]
    hub.kill9()
    hub.start()
    assert sum(d["deviceId"].startswith("k-") for d in get("/devices?top=1000")) == 50
    assert get("/devices/k-1")["authentication"]["symmetricKey"]["primaryKey"] == keys["primaryKey"]


def test_99_stop():
    """the hub stops in order"""
    assert hub.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
