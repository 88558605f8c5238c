#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hub's REST API as service clients, devices and gateways use it (hub 4.2 to 4.8, 5; clients-observed 6)."""
import os, re, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = None


def fails(answer, status, name, number):
    """The answer is this error in each of the ways that clients look for it."""
    got, headers, body = answer
    assert got == status, answer
    assert headers["iothub-errorcode"] == name, headers["iothub-errorcode"]
    assert body["Message"].startswith("ErrorCode:%s;" % name) and body["ExceptionMessage"].startswith("Tracking ID:") and body["errorCode"] == number, body


def raw(method, path, authorization=None, body=None, headers=None, **kw):
    headers = dict(headers or {})
    if authorization:
        headers["Authorization"] = authorization
    return https(hub.https_port, method, path, body, headers, ca=pki.root, **kw)


V = "?api-version=2021-04-12"


def test_00_start():
    """a hub starts"""
    global hub, folder, pki
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)


def test_01_create():
    """a device that is created has all the fields of a device, keys of its own, and an etag in header and body"""
    status, headers, d = hub.rest("PUT", "/devices/dev1", {"deviceId": "dev1"})
    assert status == 200 and headers["Content-Type"].startswith("application/json"), (status, headers)
    assert headers["ETag"] == '"%s"' % d["etag"], headers["ETag"]
    for field in ("generationId", "connectionState", "status", "statusReason", "connectionStateUpdatedTime", "statusUpdatedTime", "lastActivityTime",
                  "cloudToDeviceMessageCount", "authentication", "capabilities"):
        assert field in d, (field, d)
    assert d["status"] == "enabled" and d["connectionState"] == "Disconnected" and d["capabilities"] == {"iotEdge": False}, d
    keys = d["authentication"]["symmetricKey"]
    assert d["authentication"]["type"] == "sas" and len(base64.b64decode(keys["primaryKey"])) == 32 and keys["primaryKey"] != keys["secondaryKey"], d
    assert hub.rest("GET", "/devices/dev1")[2] == d


def test_02_errors():
    """each error has its status, its name and its number"""
    fails(hub.rest("PUT", "/devices/dev1", {"deviceId": "dev1"}), 409, "DeviceAlreadyExists", 409001)
    fails(hub.rest("GET", "/devices/nobody"), 404, "DeviceNotFound", 404001)
    fails(hub.rest("DELETE", "/devices/nobody", headers={"If-Match": '"*"'}), 404, "DeviceNotFound", 404001)
    fails(hub.rest("PUT", "/devices/nobody", {"deviceId": "nobody"}, {"If-Match": "*"}), 404, "DeviceNotFound", 404001)
    fails(hub.rest("PUT", "/devices/dev1", {"deviceId": "dev1"}, {"If-Match": '"AAAAAAAAAGM="'}), 412, "PreconditionFailed", 412001)
    fails(hub.rest("GET", "/devices/dev1/modules/nothing"), 404, "ModuleNotFound", 404010)
    fails(hub.rest("GET", "/devices/nobody/modules"), 404, "DeviceNotFound", 404001)
    fails(hub.rest("PUT", "/devices/dev1", {"deviceId": "dev2"}, {"If-Match": "*"}), 400, "ArgumentInvalid", 400004)
    fails(hub.rest("PUT", "/devices/a%20b", {"deviceId": "a b"}), 400, "ArgumentInvalid", 400004)
    fails(hub.rest("PUT", "/devices/" + "d" * 129, {}), 400, "ArgumentInvalid", 400004)
    fails(hub.rest("PUT", "/devices/dev3", "{nonsense"), 400, "DeserializationError", 400012)
    fails(hub.rest("PUT", "/devices/dev3", []), 400, "DeserializationError", 400012)
    fails(hub.rest("PUT", "/devices/dev3", {"authentication": {"type": "selfSigned"}}), 400, "ArgumentInvalid", 400004)
    fails(hub.rest("PUT", "/devices/dev3", {"authentication": {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": "12"}}}), 400, "ArgumentInvalid", 400004)
    fails(hub.rest("PUT", "/devices/dev3", {"status": "sleepy"}), 400, "ArgumentInvalid", 400004)
    fails(hub.rest("GET", "/devices?top=0"), 400, "DeviceInvalidResultCount", 400002)
    fails(hub.rest("GET", "/nothing/here"), 404, "GenericNotFound", 404000)
    fails(hub.rest("PATCH", "/devices/dev1"), 405, "GenericMethodNotAllowed", 405000)


def test_03_api_version():
    """an api-version of any date is taken, none or nonsense is not"""
    token = sas(hub.hostname, hub.policy(), policy="iothubowner", encode=False)
    for good in ("2021-04-12", "2024-03-31", "2018-08-30-preview", "2017-11-08-preview"):
        assert raw("GET", "/devices/dev1?api-version=" + good, token)[0] == 200, good
    for bad in ("", "?api-version=", "?api-version=latest", "?api-version=2021-4-12", "?api-version=2021-04-12-beta"):
        fails(raw("GET", "/devices/dev1" + bad, token), 400, "InvalidProtocolVersion", 400001)


def test_04_rights():
    """what a policy may is what it can; without a token, or with a bad one, nothing"""
    fails(raw("GET", "/devices/dev1" + V), 401, "IotHubUnauthorizedAccess", 401002)
    fails(raw("GET", "/devices/dev1" + V, "Bearer abc"), 401, "IotHubUnauthorizedAccess", 401002)
    fails(raw("GET", "/devices/dev1" + V, sas(hub.hostname, new_key(), policy="iothubowner")), 401, "IotHubUnauthorizedAccess", 401002)
    fails(raw("GET", "/devices/dev1" + V, sas(hub.hostname, hub.policy(), policy="nobody")), 401, "IotHubUnauthorizedAccess", 401002)
    fails(raw("GET", "/devices/dev1" + V, sas("other.hub", hub.policy(), policy="iothubowner")), 401, "IotHubUnauthorizedAccess", 401002)
    fails(raw("GET", "/devices/dev1" + V, sas(hub.hostname, hub.policy(), expires=1, policy="iothubowner")), 401, "IotHubUnauthorizedAccess", 401002)
    assert hub.rest("GET", "/devices/dev1", policy="registryRead")[0] == 200
    fails(hub.rest("DELETE", "/devices/dev1", policy="registryRead"), 401, "IotHubUnauthorizedAccess", 401002)
    for policy in ("service", "device"):
        fails(hub.rest("GET", "/devices/dev1", policy=policy), 401, "IotHubUnauthorizedAccess", 401002)
    reasons = hub.reasons()
    for reason in ("DEVICE_NO_CREDENTIAL", "SAS_MALFORMED", "SAS_BAD_SIGNATURE", "SAS_UNKNOWN_POLICY", "SAS_WRONG_RESOURCE", "SAS_EXPIRED", "SAS_NO_PERMISSION"):
        assert reason in reasons, reason


def test_05_token_spellings():
    """atk-11: a token's resource may be written in any encoding and with a port, and covers what is below it by whole segments"""
    for encode in (True, False):
        for resource in (hub.hostname, hub.hostname.upper(), hub.hostname + ":8443", hub.hostname + "/devices", hub.hostname + "/devices/dev1"):
            assert raw("GET", "/devices/dev1" + V, sas(resource, hub.policy(), policy="iothubowner", encode=encode))[0] == 200, (resource, encode)
    fails(raw("GET", "/devices/dev1" + V, sas(hub.hostname + "/devices/dev", hub.policy(), policy="iothubowner")), 401, "IotHubUnauthorizedAccess", 401002)


def test_06_update():
    """an update takes quoted and unquoted etags, keeps keys that are not sent, and gives a new etag"""
    d = hub.rest("GET", "/devices/dev1")[2]
    first = dict(d)
    for if_match in ("*", '"*"', None):
        d["status"], d["statusReason"] = "disabled", "maintenance"
        status, _, after = hub.rest("PUT", "/devices/dev1", d, {"If-Match": if_match or d["etag"]})
        assert status == 200 and after["status"] == "disabled" and after["statusReason"] == "maintenance" and after["etag"] != d["etag"], after
        d = after
    status, _, after = hub.rest("PUT", "/devices/dev1", {"deviceId": "dev1", "status": "enabled", "authentication": {"type": "sas", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}}},
                                {"If-Match": '"%s"' % d["etag"]})
    assert status == 200 and after["authentication"] == first["authentication"] and after["generationId"] == first["generationId"], after


def test_07_thumbprints():
    """thumbprints are taken in any spelling and shown in one"""
    hex64 = "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:" * 2
    d = hub.create_x509_device("x1", hex64[:-1], " ".join([hex64.replace(":", "")]))
    assert d["authentication"]["type"] == "selfSigned"
    assert d["authentication"]["x509Thumbprint"]["primaryThumbprint"] == hex64.replace(":", "").upper(), d
    assert not d["authentication"]["symmetricKey"]["primaryKey"], d


def test_08_odd_ids():
    """every character that an id may have works"""
    odd = "odd-:.+%_#*?!(),=@;$'id"
    path = "/devices/" + urllib.parse.quote(odd, safe="!'()*")
    assert hub.rest("PUT", path, {"deviceId": odd})[0] == 200
    assert hub.rest("GET", path)[2]["deviceId"] == odd
    assert hub.rest("DELETE", path, headers={"If-Match": '"*"'})[0] == 204
    fails(hub.rest("GET", path), 404, "DeviceNotFound", 404001)


def test_09_list():
    """the list is an array, in order, limited by top, with or without a slash"""
    for id in ("l3", "l1", "l2"):
        hub.create_device(id)
    for path in ("/devices", "/devices/"):
        status, _, devices = hub.rest("GET", path)
        ids = [d["deviceId"] for d in devices]
        assert status == 200 and ids == sorted(ids) and {"l1", "l2", "l3", "dev1", "x1"} <= set(ids), ids
    assert len(hub.rest("GET", "/devices?top=2")[2]) == 2
    assert hub.rest("GET", "/statistics/devices")[2] == {"totalDeviceCount": len(ids), "enabledDeviceCount": len(ids), "disabledDeviceCount": 0}
    assert hub.rest("GET", "/DEVICES/dev1")[0] == 200


def test_10_modules():
    """modules are created with keys, listed, changed with their etag, and deleted with their device"""
    hub.create_device("m")
    status, _, mod = hub.rest("PUT", "/devices/m/modules/b", {"moduleId": "b", "deviceId": "m", "managedBy": "me"})
    assert status == 200 and mod["moduleId"] == "b" and mod["deviceId"] == "m" and mod["managedBy"] == "me" and mod["generationId"], mod
    assert len(base64.b64decode(mod["authentication"]["symmetricKey"]["primaryKey"])) == 32, mod
    fails(hub.rest("PUT", "/devices/m/modules/b", {}), 409, "ModuleAlreadyExistsOnDevice", 409301)
    assert hub.rest("PUT", "/devices/m/modules/a", {})[0] == 200
    assert [x["moduleId"] for x in hub.rest("GET", "/devices/m/modules")[2]] == ["a", "b"]
    fails(hub.rest("DELETE", "/devices/m/modules/b", headers={"If-Match": '"AAAAAAAAAGM="'}), 412, "PreconditionFailed", 412001)
    assert hub.rest("DELETE", "/devices/m/modules/b", headers={"If-Match": '"%s"' % mod["etag"]})[0] == 204
    assert hub.rest("DELETE", "/devices/m")[0] == 204
    fails(hub.rest("GET", "/devices/m/modules/a"), 404, "DeviceNotFound", 404001)


def test_11_device_and_its_modules():
    """a device manages its own modules, by its token or its certificate, and nobody else's (edge-services 7.2)"""
    v = "?api-version=2017-11-08-preview"
    cert, key = pki.make("device", "own-x509")
    hub.create_x509_device("own-x509", thumbprint(cert))
    sas_key = hub.create_device("own-sas")["authentication"]["symmetricKey"]["primaryKey"]
    token = sas(hub.hostname + "/devices/own-sas", sas_key)
    for device, how in (("own-x509", {"cert": cert, "key": key}), ("own-sas", {"authorization": token})):
        path = "/devices/%s/modules" % device
        status, _, mod = raw("PUT", path + "/m1" + v, body={"moduleId": "m1", "deviceId": device}, **how)
        assert status == 200 and mod["generationId"], mod
        mod["authentication"] = {"type": "sas", "symmetricKey": {"primaryKey": new_key(), "secondaryKey": new_key()}}
        status, _, after = raw("PUT", path + "/m1" + v, body=mod, headers={"If-Match": "*"}, **how)
        assert status == 200 and after["authentication"]["symmetricKey"] == mod["authentication"]["symmetricKey"] and after["generationId"] == mod["generationId"], after
        assert [x["moduleId"] for x in raw("GET", path + v, **how)[2]] == ["m1"]
        assert raw("GET", path + "/m1" + v, **how)[0] == 200
        assert raw("DELETE", path + "/m1" + v, headers={"If-Match": "*"}, **how)[0] == 204
        fails(raw("PUT", "/devices/dev1/modules/m1" + v, body={}, **how), 401, "IotHubUnauthorizedAccess", 401002)
        fails(raw("GET", "/devices/" + device + v, **how), 401, "IotHubUnauthorizedAccess", 401002)
        fails(raw("DELETE", "/devices/" + device + v, **how), 401, "IotHubUnauthorizedAccess", 401002)
    questions = [v["question"] for v in Service.events(hub)]
    assert "Is this really own-x509?" in questions and "Is this really own-sas?" in questions, questions


def edge_token(device, key):
    return sas("%s/devices/%s/modules/$edgeHub" % (hub.hostname, device), key)


def make_gateway(id, **more):
    """A gateway with a key for its $edgeHub, as identityd registers it."""
    device = hub.create_device(id, capabilities={"iotEdge": True}, **more)
    key = new_key()
    status, _, module = hub.rest("PUT", "/devices/%s/modules/$edgeHub" % id, {"authentication": {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": new_key()}}}, {"If-Match": "*"})
    assert status == 200, module
    return device, key


def test_12_gateway():
    """a gateway has a scope and the modules of a runtime, without credentials until it registers them"""
    device = hub.create_device("gw0", capabilities={"iotEdge": True})
    assert re.fullmatch(r"ms-azure-iot-edge://gw0-\d{18}", device["deviceScope"]), device
    modules = hub.rest("GET", "/devices/gw0/modules")[2]
    assert [m["moduleId"] for m in modules] == ["$edgeAgent", "$edgeHub"] and all(m["authentication"]["type"] == "none" for m in modules), modules
    fails(hub.rest("DELETE", "/devices/gw0/modules/$edgeHub", headers={"If-Match": "*"}), 401, "SystemModuleModifyUnauthorizedAccess", 401100)
    fails(hub.rest("PUT", "/devices/leaf0", {"deviceScope": "ms-azure-iot-edge://gw0-123456789012345678"}), 400, "InvalidDeviceScope", 400028)
    assert hub.rest("DELETE", "/devices/gw0")[0] == 204


def test_13_scope():
    """a gateway pages through its scope, flat and nested: itself, its children with their credentials, its modules"""
    gw, key = make_gateway("gw1")
    for i in range(5):
        hub.create_device("leaf%d" % i, deviceScope=gw["deviceScope"])
    token, base = edge_token("gw1", key), "/devices/gw1/modules/$edgeHub/"
    for nested in (True, False):
        devices, modules, link, pages = [], [], None, 0
        while True:
            if nested:
                answer = raw("POST", base + "devicesAndModulesInTargetDeviceScope?api-version=2020-06-30-preview", token,
                             {"pageSize": 2, "authChain": "gw1", **({"continuationLink": link} if link else {})})
            else:
                answer = raw("GET", link or base + "devicesAndModulesInDeviceScope?deviceCount=2&continuationToken=&api-version=2018-08-30-preview", token)
            assert answer[0] == 200, answer
            devices += answer[2]["devices"]
            modules += answer[2]["modules"]
            link, pages = answer[2]["continuationLink"], pages + 1
            if link is None:
                break
        assert [d["deviceId"] for d in devices] == ["gw1"] + ["leaf%d" % i for i in range(5)] and pages == 3, (pages, devices)
        assert [m["moduleId"] for m in modules] == ["$edgeAgent", "$edgeHub"], modules
        assert all(d["authentication"]["symmetricKey"]["primaryKey"] for d in devices), devices
        assert devices[1]["deviceScope"] == gw["deviceScope"] and devices[1]["parentScopes"] == [gw["deviceScope"]], devices[1]


def test_14_one_of_the_scope():
    """a gateway asks for one device or module below it, and is told what is not there and what is not its own"""
    hub.create_device("stranger")
    key = new_key()
    hub.rest("PUT", "/devices/gw1/modules/$edgeHub", {"authentication": {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}}, {"If-Match": "*"})
    hub.rest("PUT", "/devices/leaf1/modules/m1", {})
    token, base = edge_token("gw1", key), "/devices/gw1/modules/$edgeHub/"

    def ask(device, module=None, chain="gw1"):
        nested = raw("POST", base + "getDeviceAndModuleOnBehalfOf?api-version=2020-06-30-preview", token, {"authChain": chain, "targetDeviceId": device, "targetModuleId": module})
        flat = raw("GET", base + "deviceAndModuleInDeviceScope?targetDeviceId=%s&targetModuleId=%s&api-version=2018-08-30-preview" % (device, module or ""), token)
        assert nested[0] == flat[0] or chain != "gw1", (nested, flat)
        return nested

    status, _, body = ask("leaf1")
    assert status == 200 and [d["deviceId"] for d in body["devices"]] == ["leaf1"] and body["modules"] == [], body
    status, _, body = ask("leaf1", "m1", "leaf1;gw1")
    assert status == 200 and [m["moduleId"] for m in body["modules"]] == ["m1"], body
    assert ask("gw1", "$edgeHub")[0] == 200
    fails(ask("nobody"), 404, "DeviceNotFound", 404001)
    fails(ask("leaf1", "m2"), 404, "ModuleNotFound", 404010)
    fails(ask("stranger"), 403, "GenericForbidden", 403000)
    fails(ask("leaf1", None, "leaf1;gw2"), 401, "IotHubUnauthorizedAccess", 401002)


def test_15_scope_is_for_edge_hub():
    """atk-26: only $edgeHub with its own token asks for a scope, and only for what the registry has below it"""
    gw2, key2 = make_gateway("gw2")
    body = {"pageSize": 10, "authChain": "gw2"}
    path = "/devices/%s/modules/%s/devicesAndModulesInTargetDeviceScope?api-version=2020-06-30-preview"
    fails(raw("POST", path % ("gw2", "$edgeHub"), None, body), 401, "IotHubUnauthorizedAccess", 401002)
    fails(raw("POST", path % ("gw2", "$edgeHub"), edge_token("gw1", key2), body), 401, "IotHubUnauthorizedAccess", 401002)
    fails(raw("POST", path % ("gw1", "$edgeHub"), edge_token("gw2", key2), body), 401, "IotHubUnauthorizedAccess", 401002)
    module_key = hub.rest("PUT", "/devices/gw2/modules/mine", {})[2]["authentication"]["symmetricKey"]["primaryKey"]
    fails(raw("POST", path % ("gw2", "mine"), sas(hub.hostname + "/devices/gw2/modules/mine", module_key), body), 401, "IotHubUnauthorizedAccess", 401002)
    device_key = gw2["authentication"]["symmetricKey"]["primaryKey"]
    fails(raw("POST", path % ("gw2", "$edgeHub"), sas(hub.hostname + "/devices/gw2", device_key), body), 401, "IotHubUnauthorizedAccess", 401002)
    for chain, status, name, number in (("gw1;gw2", 403, "GenericForbidden", 403000), ("gw2;gw1", 401, "IotHubUnauthorizedAccess", 401002), ("nobody;gw2", 404, "DeviceNotFound", 404001)):
        fails(raw("POST", path % ("gw2", "$edgeHub"), edge_token("gw2", key2), {"pageSize": 10, "authChain": chain}), status, name, number)


def test_16_nested():
    """a gateway under a gateway: the upper one sees the lower one's scope, not the other way round"""
    top, top_key = make_gateway("top")
    low, low_key = make_gateway("low", parentScopes=[top["deviceScope"]])
    assert low["parentScopes"] == [top["deviceScope"]] and low["deviceScope"] != top["deviceScope"], low
    hub.create_device("deep", deviceScope=low["deviceScope"])
    path = "/devices/%s/modules/$edgeHub/devicesAndModulesInTargetDeviceScope?api-version=2020-06-30-preview"
    status, _, body = raw("POST", path % "top", edge_token("top", top_key), {"pageSize": 10, "authChain": "low;top"})
    assert status == 200 and [d["deviceId"] for d in body["devices"]] == ["low", "deep"], body
    status, _, body = raw("POST", path % "top", edge_token("top", top_key), {"pageSize": 10, "authChain": "top"})
    assert [d["deviceId"] for d in body["devices"]] == ["top", "low"], body
    fails(raw("POST", path % "low", edge_token("low", low_key), {"pageSize": 10, "authChain": "top;low"}), 403, "GenericForbidden", 403000)
    fails(hub.rest("PUT", "/devices/top", dict(top, parentScopes=[low["deviceScope"]]), {"If-Match": "*"}), 400, "InvalidDeviceScope", 400028)


def test_17_modules_on_behalf():
    """atk-26: a gateway makes, reads, lists and deletes modules of a device below it, as the identity service there asks; of nobody else, and not through a gateway that is disabled"""
    top, top_key = make_gateway("nest-top")
    low, low_key = make_gateway("nest-low", parentScopes=[top["deviceScope"]])
    make_gateway("nest-side")

    def ask(what, body, actor="nest-top", key=top_key, method="POST", headers=None):
        return raw(method, "/devices/%s/modules/$edgeHub/%s?api-version=2020-06-30-preview" % (actor, what), edge_token(actor, key), body, headers)

    chain = {"authChain": "nest-low;nest-top"}
    module = {"moduleId": "m1", "deviceId": "nest-low", "managedBy": "IotEdge", "authentication": {"type": "none"}}
    status, _, body = ask("putModuleOnBehalfOf", dict(chain, module=module))
    assert status == 200 and (body["deviceId"], body["moduleId"], body["authentication"]["type"]) == ("nest-low", "m1", "none"), body
    fails(ask("putModuleOnBehalfOf", dict(chain, module=module)), 409, "ModuleAlreadyExistsOnDevice", 409301)
    key = new_key()
    keyed = dict(module, authentication={"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}})
    assert ask("putModuleOnBehalfOf", dict(chain, module=keyed), method="PUT", headers={"If-Match": "*"})[0] == 200
    assert ask("getModuleOnBehalfOf", dict(chain, targetModuleId="m1"))[2]["authentication"]["symmetricKey"]["primaryKey"] == key
    assert [m["moduleId"] for m in ask("getModulesOnTargetDevice", chain)[2]] == ["$edgeAgent", "$edgeHub", "m1"]
    own = ask("getModulesOnTargetDevice", {"authChain": "nest-low"}, "nest-low", low_key)
    assert own[0] == 200 and len(own[2]) == 3, own

    for what, body in (("getModuleOnBehalfOf", {"targetModuleId": "m1"}), ("getModulesOnTargetDevice", {}), ("putModuleOnBehalfOf", {"module": dict(module, moduleId="m2")}), ("deleteModuleOnBehalfOf", {"moduleId": "m1"})):
        fails(ask(what, dict(body, authChain="nest-side;nest-top")), 403, "GenericForbidden", 403000)
        fails(ask(what, dict(body, authChain="nest-top;nest-low"), "nest-low", low_key), 403, "GenericForbidden", 403000)
        fails(ask(what, dict(body, authChain="nest-low;nest-side")), 401, "IotHubUnauthorizedAccess", 401002)
        fails(ask(what, dict(body, authChain="nobody;nest-top")), 404, "DeviceNotFound", 404001)
        fails(ask(what, dict(body, authChain="nest-low;nest-top"), key=low_key), 401, "IotHubUnauthorizedAccess", 401002)
        fails(ask(what, body), 400, "ArgumentInvalid", 400004)
        fails(ask(what, dict(body, authChain=7)), 400, "ArgumentInvalid", 400004)
        assert ask(what, [])[0] == 400
    for bad in ({}, {"module": 1}, {"module": {}}, {"module": {"moduleId": "a/b"}}, {"module": {"moduleId": "m3", "deviceId": "nest-top"}}):
        fails(ask("putModuleOnBehalfOf", dict(chain, **bad)), 400, "ArgumentInvalid", 400004)
    fails(ask("getModuleOnBehalfOf", dict(chain, targetModuleId="..")), 400, "ArgumentInvalid", 400004)
    fails(ask("deleteModuleOnBehalfOf", dict(chain, moduleId="$edgeHub")), 401, "SystemModuleModifyUnauthorizedAccess", 401100)

    hub.rest("PUT", "/devices/nest-low", dict(low, status="disabled"), {"If-Match": "*"})
    fails(ask("getModulesOnTargetDevice", chain), 403, "GenericForbidden", 403000)
    hub.rest("PUT", "/devices/nest-low", dict(low, status="enabled"), {"If-Match": "*"})
    assert ask("deleteModuleOnBehalfOf", dict(chain, moduleId="m1"))[0] == 204
    fails(ask("getModuleOnBehalfOf", dict(chain, targetModuleId="..")), 400, "ArgumentInvalid", 400004)


def test_18_disabled_gateway():
    """a module of a disabled device is refused"""
    gw3, key3 = make_gateway("gw3")
    path = "/devices/gw3/modules/$edgeHub/devicesAndModulesInTargetDeviceScope?api-version=2020-06-30-preview"
    assert raw("POST", path, edge_token("gw3", key3), {"authChain": "gw3"})[0] == 200
    hub.rest("PUT", "/devices/gw3", dict(gw3, status="disabled"), {"If-Match": "*"})
    fails(raw("POST", path, edge_token("gw3", key3), {"authChain": "gw3"}), 401, "IotHubUnauthorizedAccess", 401002)
    assert "DEVICE_DISABLED" in hub.reasons()


def test_19_gateway_key():
    """a session that a gateway opened for its child ends when the gateway's key is another"""
    gw4, key4 = make_gateway("gw4")
    hub.create_device("leaf-key", deviceScope=gw4["deviceScope"])
    user = username(hub.hostname, "leaf-key", extra="&auth-chain=" + urllib.parse.quote("leaf-key;gw4", safe=""))
    topic = "devices/leaf-key/messages/events/"
    with hub.mqtt("leaf-key", user=user, password=edge_token("gw4", key4)) as m:
        m.publish(topic, b"under the old key")
        status, _, body = hub.rest("PUT", "/devices/gw4/modules/$edgeHub", {"authentication": {"type": "sas", "symmetricKey": {"primaryKey": new_key(), "secondaryKey": new_key()}}}, {"If-Match": "*"})
        assert status == 200, body
        m.send(publish_packet(topic, b"after it"))
        assert m.closed()
    assert "after it" not in [e["body"] for e in hub.events()]


def test_19_orphan():
    """a child whose gateway was deleted can still be disabled, and can't be put below that scope again"""
    gw5, _ = make_gateway("gw5")
    leaf = hub.create_device("leaf5", deviceScope=gw5["deviceScope"])
    assert hub.rest("DELETE", "/devices/gw5")[0] == 204
    status, _, body = hub.rest("PUT", "/devices/leaf5", dict(leaf, status="disabled"), {"If-Match": "*"})
    assert status == 200 and body["status"] == "disabled", body
    fails(hub.rest("PUT", "/devices/leaf6", {"deviceId": "leaf6", "deviceScope": gw5["deviceScope"]}), 400, "InvalidDeviceScope", 400028)


def test_18_restart():
    """after kill -9 everything that was answered is there"""
    before = hub.rest("GET", "/devices")[2]
    hub.rest("PUT", "/devices/last", {})
    hub.kill9()
    hub.start()
    after = hub.rest("GET", "/devices")[2]
    assert [d for d in after if d["deviceId"] != "last"] == before and len(after) == len(before) + 1


def test_19_one_hub_a_folder():
    """a second hub on the same state folder refuses to start"""
    done = run("rootedge", "hub", "--state", hub.state, "--hostname", "x", "--address", "127.0.0.1", "--mqtt-port", "0", "--https-port", "0", "--cert", folder / "hub.pem",
               "--key", folder / "hub.key", check=False)
    assert done.returncode == 1 and "in use by another process" in done.stderr, done


def test_20_broken_state():
    """a database or an event log that is damaged is named, refused and left untouched"""
    args = hub.args
    hub.stop()
    for path, part in ((os.path.join(hub.state, "hub.sqlite"), "not a database"), (os.path.join(hub.state, "events", "00000000000000000000.log"), "damaged")):
        with open(path, "rb") as f:
            good = f.read()
        bad = b"my diary, which is no database\n" * 40
        with open(path, "wb") as f:
            f.write(bad)
        done = run("rootedge", "hub", *args, check=False)
        assert done.returncode == 1 and path in done.stderr and part in done.stderr, done
        with open(path, "rb") as f:
            assert f.read() == bad
        with open(path, "wb") as f:
            f.write(good)
    hub.start()
    assert hub.rest("GET", "/devices/last")[0] == 200


def test_21_reload():
    """SIGHUP loads a new certificate; one that is broken leaves the old one in use"""
    def served():
        return ssl.get_server_certificate(("127.0.0.1", hub.https_port))
    first = served()
    pki.make("server", hub.hostname, "--san", "127.0.0.1", file="hub")
    hub.process.send_signal(signal.SIGHUP)
    wait_for(lambda: served() != first, "the new certificate")
    second = served()
    with open(folder / "hub.pem", "w") as f:
        f.write("nothing")
    hub.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "stays" in hub.log_text(), "the complaint in the log")
    assert served() == second


def test_error_text():
    """what a refusal quotes may be cut in the middle of a character, and the body still has its Message"""
    status, _, body = hub.rest("PUT", "/devices/cut", {"deviceId": "cut", "authentication": {"type": "a" + "\u00e9" * 60}})
    assert status == 400 and body["Message"].startswith("ErrorCode:"), (status, body)


def test_99_stop():
    """the hub stops in order"""
    assert hub.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
