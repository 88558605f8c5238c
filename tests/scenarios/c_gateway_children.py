#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Gateways below this one speak for devices below them, over MQTT, and ask about them, over HTTPS: for whom they may, and for whom not, whatever they say (gateway 3.8, 6, atk-26).  The children are the test's own, byte for byte:
"line" and "side" below EdgeGateway, "cell" below "line"."""
import os, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from listener_of_gateway import *

it = None
keys, scopes = {}, {}


def gateway(id, above):
    """An edge device below that one; its $edgeHub's key is in keys."""
    it.hub.create_device(id, capabilities={"iotEdge": True}, parentScopes=[scopes[above]])
    scopes[id] = it.hub.rest("GET", "/devices/" + id)[2]["deviceScope"]
    set_key(id)


def set_key(id):
    """As the identity service of that device does."""
    keys[id] = new_key()
    body = {"moduleId": "$edgeHub", "deviceId": id, "authentication": {"type": "sas", "symmetricKey": {"primaryKey": keys[id], "secondaryKey": new_key()}}}
    assert it.hub.rest("PUT", "/devices/%s/modules/$edgeHub" % id, body, {"If-Match": "*"})[0] == 200


def leaf(id, above, **kw):
    return it.hub.create_device(id, deviceScope=scopes[above], **kw)


def speak(actor, chain, id=None, key=None, token=None, **kw):
    """A session that this gateway opens for the first of the chain, or for that id."""
    target = id or chain.split(";")[0]
    device, _, module = target.partition("/")
    return it.edge.mqtt(device, module or None, user=username(it.hub.hostname, device, module or None, "&auth-chain=" + urllib.parse.quote(chain, safe="")),
                        password=token or it.token(actor, key or keys[actor], "$edgeHub"), **kw)


def refused(*args, reason=None, **kw):
    try:
        speak(*args, **kw).close()
    except Refused as e:
        assert e.code == 5, e.code
    else:
        raise AssertionError("was let in: %s" % (args,))
    if reason:
        wait_for(lambda: it.decisions()[-1][1] == reason, "%s as the reason, last was %s" % (reason, it.decisions()[-1]))


def send(mqtt, target, body):
    device, _, module = target.partition("/")
    mqtt.publish("devices/%s/%smessages/events/" % (device, "modules/%s/" % module if module else ""), body)


def test_00_start():
    """a gateway starts, with gateways below it"""
    global it
    it = Site(proxy=True)
    scopes[it.edge.device] = it.edge.scope
    gateway("line", it.edge.device)
    gateway("side", it.edge.device)
    gateway("cell", "line")
    cert, _ = it.pki.make("device", "line-leaf")
    leaf("line-leaf", "line", authentication={"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint(cert), "secondaryThumbprint": thumbprint(cert)}})
    it.cell_leaf = leaf("cell-leaf", "cell")["authentication"]["symmetricKey"]["primaryKey"]
    leaf("side-leaf", "side")
    it.own_leaf = leaf("own-leaf", it.edge.device)["authentication"]["symmetricKey"]["primaryKey"]
    it.module("line-leaf", "m1")
    it.module("line", "filter")


def test_01_may():
    """a gateway speaks for a device below it, for one two levels below, for modules of both and of its own, and what it sends arrives as theirs; its $edgeHub also speaks for itself"""
    for actor, chain in (("line", "line-leaf;line"), ("line", "line-leaf/m1;line-leaf;line"), ("line", "cell-leaf;cell;line"), ("line", "line/filter;line"), ("line", "cell/$edgeHub;cell;line"),
                         ("line", "line/$edgeHub;line"), ("side", "side-leaf;side")):
        target = chain.split(";")[0]
        with speak(actor, chain) as c:
            send(c, target, ("for " + target).encode())
        event = it.arrived("for " + target)
        assert "/".join(filter(None, (event["annotations"]["iothub-connection-device-id"], event["annotations"].get("iothub-connection-module-id")))) == target, event
    it.edge.mqtt("line", "$edgeHub", password=it.token("line", keys["line"], "$edgeHub")).close()


def test_02_may_not():
    """the chain's first is not who connects; the device is not below; the chain leaves one out, goes round, or is too long; the last is no gateway below, or another than whose token it is"""
    for actor, chain, id in (
            ("line", "line-leaf;line", "side-leaf"), ("line", "line-leaf;line", "own-leaf"), ("line", "line-leaf;line", it.edge.device + "/$edgeHub"), ("line", "line-leaf;line", "line-leaf/m1"),
            ("line", "side-leaf;line", None), ("line", "own-leaf;line", None), ("line", "side-leaf;side;line", None), ("line", "cell-leaf;line", None), ("side", "line-leaf;side", None),
            ("side", "line-leaf;line", None), ("side", "line-leaf;line;side", None), ("cell", "line-leaf;cell", None), ("cell", "cell-leaf;cell;line", None), ("line", "cell-leaf;cell", None),
            ("line", it.edge.device + ";line", None), ("line", it.edge.device + "/$edgeHub;" + it.edge.device + ";line", None), ("line", "line-leaf;" + it.edge.device, None),
            ("line", "line-leaf;line;" + it.edge.device, None), ("line", "cell-leaf;cell;line;cell;line", None), ("line", "line-leaf;line;line", None), ("line", "line-leaf", None),
            ("line", "line-leaf;", None), ("line", ";line", "line-leaf"), ("line", ";;;", "line-leaf"), ("line", "line-leaf;line-leaf", None), ("line", "line-leaf/m1;line", None),
            ("line", "line-leaf;" + "x;" * 20 + "line", None), ("line", "line-leaf;%s;line" % ("x" * 200), None), ("line", "line-leaf;a/b;line", None)):
        refused(actor, chain, id)


def test_03_tokens():
    """only a good token of the gateway's own $edgeHub counts: not its device's, not another's, not the device's own, not an ended one, and no certificate"""
    chain = "line-leaf;line"
    device_key = it.hub.rest("GET", "/devices/line")[2]["authentication"]["symmetricKey"]["primaryKey"]
    refused("line", chain, key=new_key(), reason="SAS_BAD_SIGNATURE")
    refused("line", chain, token=it.token("line", device_key), reason="SAS_WRONG_RESOURCE")
    refused("line", chain, token=it.token("side", keys["side"], "$edgeHub"), reason="SAS_WRONG_RESOURCE")
    refused("line", chain, token=it.token("line", keys["line"], "$edgeHub", expires=1), reason="SAS_EXPIRED")
    refused("line", "cell-leaf;cell;line", token=it.token("cell-leaf", it.cell_leaf), reason="SAS_WRONG_RESOURCE")
    refused("line", chain, token=it.hub.service_token(), reason="SAS_WRONG_RESOURCE")
    try:
        it.edge.mqtt("line-leaf", user=username(it.hub.hostname, "line-leaf", None, "&auth-chain=line-leaf%3Bline"), cert=it.folder / "line-leaf.pem", key=it.folder / "line-leaf.key").close()
    except Refused as e:
        assert e.code == 5
    else:
        raise AssertionError("was let in by a certificate")


def test_04_topics():
    """the session is that device's: on another's topic it ends"""
    with speak("line", "line-leaf;line") as c:
        c.send(publish_packet("devices/cell-leaf/messages/events/", b"as somebody else"))
        assert c.closed()
    assert not [e for e in it.hub.events() if e["body"] == "as somebody else"]


def test_05_hub_away():
    """all that holds while the hub is out of reach"""
    it.cut_off()
    try:
        with speak("line", "cell-leaf;cell;line") as c:
            send(c, "cell-leaf", b"kept meanwhile")
        refused("line", "side-leaf;line")
    finally:
        it.reconnect()
    assert it.arrived("kept meanwhile", 60)["annotations"]["iothub-connection-device-id"] == "cell-leaf"


def test_06_unknown():
    """a device, a gateway and its key that are new in the hub are let in at once; what a stranger names is not asked about"""
    gateway("later", it.edge.device)
    leaf("later-leaf", "later")
    speak("later", "later-leaf;later").close()
    leaf("line-new", "line")
    speak("line", "line-new;line").close()
    leaf("line-newer", "line")
    refused("line", "line-newer;line", key=new_key())
    speak("line", "line-newer;line").close()


LIST, GET = "devicesAndModulesInTargetDeviceScope", "getDeviceAndModuleOnBehalfOf"


def ask(actor, operation, body=None, module="$edgeHub", method="POST", token=None, headers=None):
    """What the gateway answers to this operation of that gateway's $edgeHub."""
    path = "/devices/%s/modules/%s/%s" % (actor, urllib.parse.quote(module), operation)
    return it.edge.https(method, path + ("&" if "?" in path else "?") + "api-version=2020-06-30-preview", body,
                         dict({"Authorization": token or it.token(actor, keys[actor], "$edgeHub")}, **(headers or {})))


def found(answer):
    assert answer[0] == 200 and answer[1]["X-Content-Type-Options"] == "nosniff", answer
    return sorted(d["deviceId"] for d in answer[2]["devices"]), sorted(m["moduleId"] for m in answer[2]["modules"] if m["moduleId"] != "$edgeAgent")


def test_06a_scope():
    """a gateway is told its scope: itself and who is right below, with their modules, keys and CAs; that of a gateway below it it asks for in turn; the flat form is the same"""
    answer = ask("line", LIST, {"pageSize": 10, "authChain": "line"})
    assert found(answer) == (["cell", "line", "line-leaf", "line-new", "line-newer"], ["$edgeHub", "$edgeHub", "filter", "m1"]), found(answer)
    keyed = {d["deviceId"]: d for d in answer[2]["devices"]}["line-new"]["authentication"]
    assert keyed == it.hub.rest("GET", "/devices/line-new")[2]["authentication"] and answer[2]["continuationLink"] is None and not answer[2].get("certificateAuthorities")
    assert found(ask("line", LIST, {"authChain": "cell;line"})) == (["cell", "cell-leaf"], ["$edgeHub"])
    flat = "devicesAndModulesInDeviceScope?deviceCount=%d&continuationToken=%s"
    assert found(ask("line", flat % (10, ""), method="GET")) == found(answer)
    page = ask("line", flat % (2, ""), method="GET")
    assert found(page) == (["cell", "line", "line-leaf"], ["$edgeHub", "$edgeHub", "filter", "m1"])
    link = page[2]["continuationLink"]
    page = it.edge.https("GET", link, None, {"Authorization": it.token("line", keys["line"], "$edgeHub")})
    assert link.startswith("/devices/line/modules/%24edgeHub/") and found(page) == (["line-new", "line-newer"], []) and page[2]["continuationLink"] is None, (link, page)


def test_06b_one():
    """one device, or module, of its scope a gateway gets as the hub has it now, also one that is new; nested and flat"""
    assert found(ask("line", GET, {"authChain": "line-leaf;line", "targetDeviceId": "line-leaf"})) == (["line-leaf"], [])
    assert found(ask("line", GET, {"authChain": "cell-leaf;cell;line", "targetDeviceId": "cell-leaf"})) == (["cell-leaf"], [])
    assert found(ask("line", GET, {"authChain": "line-leaf/m1;line-leaf;line", "targetDeviceId": "line-leaf", "targetModuleId": "m1"})) == (["line-leaf"], ["m1"])
    leaf("line-fresh", "line")
    assert found(ask("line", GET, {"authChain": "line-fresh;line", "targetDeviceId": "line-fresh"})) == (["line-fresh"], [])
    it.delete("line-fresh")
    assert ask("line", GET, {"authChain": "line-fresh;line", "targetDeviceId": "line-fresh"})[0] == 404
    assert found(ask("line", "deviceAndModuleInDeviceScope?targetDeviceId=line-leaf&targetModuleId=m1", method="GET")) == (["line-leaf"], ["m1"])
    assert ask("line", "deviceAndModuleInDeviceScope?targetDeviceId=side-leaf&targetModuleId=", method="GET")[0] == 403


def test_06c_scope_refused():
    """another module than $edgeHub, a wrong token and a chain of another are 401 and nothing else happens; who is not below is 403, what is no question 400"""
    good = {"authChain": "line-leaf;line", "targetDeviceId": "line-leaf"}
    filter_key = it.hub.rest("GET", "/devices/line/modules/filter")[2]["authentication"]["symmetricKey"]["primaryKey"]
    for status, actor, operation, body, how in (
            (401, "line", GET, good, {"module": "filter", "token": it.token("line", filter_key, "filter")}), (401, "line", GET, good, {"token": it.token("line", new_key(), "$edgeHub")}),
            (401, "line", GET, good, {"token": it.token("side", keys["side"], "$edgeHub")}), (401, "side", GET, good, {}), (401, "line", LIST, {"authChain": "cell"}, {}),
            (401, "line", LIST, {"authChain": ""}, {}), (401, "line", LIST, {"authChain": "line;"}, {}),
            (403, "line", LIST, {"authChain": "side;line"}, {}), (403, "line", LIST, {"authChain": it.edge.device + ";line"}, {}), (403, "cell", LIST, {"authChain": "line;cell"}, {}),
            (403, "line", GET, {"authChain": "side-leaf;line", "targetDeviceId": "side-leaf"}, {}), (403, "line", GET, {"authChain": "own-leaf;line", "targetDeviceId": "own-leaf"}, {}),
            (403, "line", GET, {"authChain": "%s;line" % it.edge.device, "targetDeviceId": it.edge.device, "targetModuleId": "$edgeHub"}, {}),
            (400, "line", GET, {"authChain": "line-leaf;line", "targetDeviceId": "side-leaf"}, {}), (400, "line", GET, {"authChain": "line-leaf;line"}, {}),
            (400, "line", GET, dict(good, targetModuleId="a/b"), {}), (400, "line", GET, dict(good, targetModuleId=7), {}), (400, "line", GET, b"{", {}), (400, "line", GET, b"[]", {}),
            (400, "line", GET, b"", {}), (400, "line", LIST, {}, {}), (400, "line", LIST, {"authChain": 5}, {}), (400, "line", LIST, {"authChain": "line", "pageSize": 0}, {}),
            (400, "line", LIST, {"authChain": "line", "pageSize": "many"}, {}), (400, "line", LIST, {"authChain": "a b;line"}, {}), (404, "line", GET, {"authChain": "nobody;line", "targetDeviceId": "nobody"}, {})):
        answer = ask(actor, operation, body, **how)
        assert answer[0] == status and answer[2]["errorMessage"] and "devices" not in answer[2], (actor, operation, body, how, answer)


def test_06d_hub_away():
    """while the hub is away scopes and devices that are known are told from memory; with their age; about what is not known, and in the registry, there is no answer, and no refusal"""
    it.cut_off()
    try:
        assert "line-leaf" in found(ask("line", LIST, {"authChain": "line"}))[0]
        assert found(ask("line", GET, {"authChain": "line-leaf;line", "targetDeviceId": "line-leaf"})) == (["line-leaf"], [])
        age = lambda: ask("line", GET, {"authChain": "line-leaf;line", "targetDeviceId": "line-leaf"})[2]["confirmedSecondsAgo"]
        wait_for(lambda: age() >= 2, "its growing old", 20)
        assert ask("line", GET, {"authChain": "whoever;line", "targetDeviceId": "whoever"})[0] == 503
        assert ask("line", "getModulesOnTargetDevice", {"authChain": "line"})[0] == 500
    finally:
        it.reconnect()
    wait_for(lambda: ask("line", GET, {"authChain": "whoever;line", "targetDeviceId": "whoever"})[0] == 404, "the hub", 60)


def as_device(method, path, body=None, device="line", version="?api-version=2017-11-08-preview", headers=None, key=None):
    key = key or it.hub.rest("GET", "/devices/" + device)[2]["authentication"]["symmetricKey"]["primaryKey"]
    return it.edge.https(method, path + version, body, dict({"Authorization": it.token(device, key)}, **(headers or {})))


def test_06e_registry_of_a_device():
    """an edge device below makes, changes, reads, lists and deletes its modules with its own credential, as at the hub, preconditions included"""
    status, headers, made = as_device("PUT", "/devices/line/modules/tool", {"moduleId": "tool", "deviceId": "line"})
    assert status in (200, 201) and made["generationId"] and headers["ETag"], (status, made)
    body = {"moduleId": "tool", "deviceId": "line", "authentication": {"type": "sas", "symmetricKey": {"primaryKey": new_key(), "secondaryKey": new_key()}}}
    assert as_device("PUT", "/devices/line/modules/tool", body)[0] == 409
    assert as_device("PUT", "/devices/line/modules/tool", body, headers={"If-Match": '"AAAA"'})[0] == 412
    status, _, changed = as_device("PUT", "/devices/line/modules/tool", body, headers={"If-Match": "*"})
    assert status == 200 and changed["authentication"]["symmetricKey"] == body["authentication"]["symmetricKey"], changed
    assert as_device("GET", "/devices/line/modules/tool")[2]["generationId"] == made["generationId"]
    assert "tool" in [m["moduleId"] for m in as_device("GET", "/devices/line/modules")[2]]
    it.edge.mqtt("line", "tool", password=it.token("line", changed["authentication"]["symmetricKey"]["primaryKey"], "tool")).close()
    status, headers, _ = as_device("GET", "/devices/line/modules", version="")
    assert status == 400 and headers["iothub-errorcode"] == "InvalidProtocolVersion", status
    assert as_device("DELETE", "/devices/line/modules/tool", headers={"If-Match": "*"})[0] == 204
    status, headers, _ = as_device("GET", "/devices/line/modules/tool")
    assert status == 404 and headers["iothub-errorcode"] == "ModuleNotFound"


def test_06f_registry_refused():
    """another device's modules, a device that is no gateway, a wrong key and a module that is not the path's are refused, and nothing is made"""
    body = {"moduleId": "tool", "deviceId": "line"}
    for answer, status in ((as_device("PUT", "/devices/line/modules/tool", body, key=new_key()), 401), (as_device("PUT", "/devices/line/modules/tool", body, "side"), 401),
                           (as_device("PUT", "/devices/own-leaf/modules/tool", {"moduleId": "tool", "deviceId": "own-leaf"}, "own-leaf"), 403),
                           (as_device("PUT", "/devices/line/modules/tool", dict(body, deviceId="side")), 400), (as_device("PUT", "/devices/line/modules/tool", dict(body, moduleId="other")), 400),
                           (as_device("PUT", "/devices/line/modules/tool", b"["), 400), (as_device("PUT", "/devices/line/modules/tool", b'"x"'), 400),
                           (as_device("PUT", "/devices/line/modules/a%2Fb", body), 400), (as_device("PATCH", "/devices/line/modules/tool", body), 405)):
        assert answer[0] == status, (answer, status)
    assert it.hub.rest("GET", "/devices/line/modules/tool")[0] == 404 and it.hub.rest("GET", "/devices/own-leaf/modules/tool")[0] == 404


def test_06g_registry_on_behalf():
    """a gateway makes, reads, lists and deletes modules of a device below it; of its parent, a sibling, and by a chain of another it does not"""
    chain = "cell;line"
    for method in ("PUT", "POST"):
        status, _, made = ask("line", "putModuleOnBehalfOf", {"authChain": chain, "module": {"moduleId": "new-" + method, "deviceId": "cell"}}, method=method)
        assert status in (200, 201) and made["deviceId"] == "cell", (status, made)
    assert ask("line", "getModuleOnBehalfOf", {"authChain": chain, "targetModuleId": "new-PUT"})[2]["moduleId"] == "new-PUT"
    assert {"new-PUT", "new-POST"} <= {m["moduleId"] for m in ask("line", "getModulesOnTargetDevice", {"authChain": chain})[2]}
    assert ask("line", "deleteModuleOnBehalfOf", {"authChain": chain, "moduleId": "new-PUT"}, headers={"If-Match": '"AAAA"'})[0] == 412
    for name in ("new-PUT", "new-POST"):
        assert ask("line", "deleteModuleOnBehalfOf", {"authChain": chain, "moduleId": name})[0] == 204
    for status, actor, chain, device in ((403, "line", it.edge.device + ";line", it.edge.device), (403, "line", "side;line", "side"), (401, "line", "cell;side", "cell"), (403, "cell", "line;cell", "line"),
                                         (401, "side", "cell;line", "cell"), (400, "line", "cell;line", "side"), (403, "line", "own-leaf;line", "own-leaf")):
        module = {"moduleId": "bad", "deviceId": device}
        for operation, body in (("putModuleOnBehalfOf", {"module": module}), ("deleteModuleOnBehalfOf", {"moduleId": "$edgeHub"}), ("getModuleOnBehalfOf", {"targetModuleId": "$edgeHub"})):
            if status == 400 and operation != "putModuleOnBehalfOf":
                continue
            answer = ask(actor, operation, dict(body, authChain=chain))
            assert answer[0] == status, (actor, operation, chain, answer)
    assert ask("line", "putModuleOnBehalfOf", {"authChain": "cell;line", "module": {"moduleId": "x"}}, module="filter")[0] == 401
    for body in ({"authChain": "cell;line"}, {"authChain": "cell;line", "module": []}, {"authChain": "cell;line", "module": {"moduleId": "a/b"}}, b"{"):
        assert ask("line", "putModuleOnBehalfOf", body)[0] == 400, body
    assert it.hub.rest("GET", "/devices/%s/modules/bad" % it.edge.device)[0] == 404 and it.hub.rest("GET", "/devices/%s/modules/$edgeHub" % it.edge.device)[0] == 200


def test_06h_registry_is_kept():
    """questions about modules go over connections to the hub that are kept, a device's own and those on its behalf"""
    before = len(it.proxies[0].pairs)
    for _ in range(15):
        assert as_device("GET", "/devices/line/modules")[0] == 200
        assert ask("line", "getModuleOnBehalfOf", {"authChain": "cell;line", "targetModuleId": "$edgeHub"})[0] == 200
    assert len(it.proxies[0].pairs) - before <= 10, len(it.proxies[0].pairs) - before


def test_07_disabled():
    """a gateway that is disabled speaks for nobody any more, its own sessions end, and those through it; enabled again it is let in; a direct child is not touched"""
    with speak("line", "line-leaf;line") as one, it.edge.mqtt("cell-leaf", password=it.token("cell-leaf", it.cell_leaf)) as direct, \
            it.edge.mqtt("own-leaf", password=it.token("own-leaf", it.own_leaf)) as near:
        it.change("line", status="disabled")
        try:
            send(one, "line-leaf", b"which the hub does not take from there any more")
        except (EOFError, OSError):
            pass  # the hub's word was there before
        assert one.closed() and direct.closed()
        send(near, "own-leaf", b"still here")
    refused("line", "line-new;line")
    refused("line", "cell-leaf;cell;line")
    it.change("line", status="enabled")
    wait_for(lambda: lets_in("line", "line-leaf;line"), "the enabled gateway", 60)
    speak("line", "cell-leaf;cell;line").close()
    it.arrived("still here")


def lets_in(*args):
    try:
        speak(*args).close()
        return True
    except Refused:
        return False


def test_08_other_key():
    """the gateway's key is another: its sessions end, and the new one is good at once"""
    with speak("side", "side-leaf;side") as c:
        old = keys["side"]
        set_key("side")
        it.edge.mqtt("side", "$edgeHub", password=it.token("side", keys["side"], "$edgeHub")).close()
        assert c.closed()
    refused("side", "side-leaf;side", key=old)
    speak("side", "side-leaf;side").close()


def test_09_moved():
    """a device that is moved to another gateway is no longer spoken for by the old one, and what it sends through the new one arrives"""
    record = it.hub.rest("GET", "/devices/line-new")[2]
    with speak("line", "line-new;line") as c:
        send(c, "line-new", b"before it moved")
        it.arrived("before it moved")
        record.update(deviceScope=scopes["side"], parentScopes=[])
        assert it.hub.rest("PUT", "/devices/line-new", record, {"If-Match": "*"})[0] == 200
        speak("side", "line-new;side").close()
        assert c.closed()
    it.cut_off()
    it.reconnect()  # so that a connection is opened with the new chain
    with speak("side", "line-new;side") as c:
        send(c, "line-new", b"after it moved")
    it.arrived("after it moved", 60)
    refused("line", "line-new;line")


def test_09_unchanged():
    """a scope that has not changed since it was told is not told again; with an etag of another, or after a change, it is; nothing that is told from memory counts as new"""
    def ask_list(etag=None):
        return ask("line", LIST, {"authChain": "line", "pageSize": 10}, headers={"If-None-Match": etag} if etag else None)
    status, headers, body = ask_list()
    assert status == 200 and headers["ETag"] and "line-leaf" in found((status, headers, body))[0], (status, body)
    etag = wait_for(lambda: (lambda tag: tag if ask_list(tag)[0] == 304 else None)(ask_list()[1]["ETag"]), "the same answer twice")
    assert ask_list('"1-2"')[0] == 200
    leaf("line-later", "line")
    wait_for(lambda: ask_list(etag)[0] == 200 and "line-later" in found(ask_list(etag))[0], "the change")
    etag = ask_list()[1]["ETag"]
    it.cut_off()
    try:
        wait_for(lambda: ask_list(etag)[0] == 200 and ask_list(etag)[2]["confirmedSecondsAgo"] > 0, "its age", 30)
    finally:
        it.reconnect()
    wait_for(lambda: ask_list()[2]["confirmedSecondsAgo"] == 0, "the hub", 60)


def hub_word(child, **headers):
    return ask(child, LIST, {"authChain": child}, headers=headers)[1]["x-rootedge-hub"]


def said_of_hub(child):
    """What it is told next by its method, which it answers; the test's own children are gateways of any make."""
    said = Said(*child.receive(60))
    name, rid = said.topic[len("$iothub/methods/POST/"):].split("/?$rid=")
    child.send(publish_packet("$iothub/methods/res/200/?$rid=" + rid, b"null", 0))
    assert name == "HubPresence", said.topic
    word = json.loads(said.payload)["hub"]
    return dict(urllib.parse.parse_qsl(word)) if word else None


def test_09_told_of_hub():
    """a gateway that has asked for it is told with its answers, and by its method at once, when the hub is lost and when it is back; one that has not hears nothing of it"""
    children = {id: it.edge.mqtt(id, "$edgeHub", password=it.token(id, keys[id], "$edgeHub")) for id in ("line", "side")}
    try:
        for child in children.values():
            child.send(subscribe_packet([("$iothub/methods/POST/#", 0)]))
            assert child.receive()[0] == 0x90
        assert hub_word("side") is None and hub_word("line", **{"x-rootedge-hub": "tell"}) == "reach=reachable"
        it.cut_off()
        said = said_of_hub(children["line"])
        assert (said["reach"], said["gateway"]) == ("away", it.edge.device) and int(said["seconds"]) <= 20 * SLOW, said
        wait_for(lambda: int(dict(urllib.parse.parse_qsl(hub_word("line", **{"x-rootedge-hub": "tell"})))["seconds"]) > 1, "its age in the answer")
        it.reconnect()
        assert said_of_hub(children["line"]) == {"reach": "reachable"}
        children["side"].send(packet(0xc0))
        assert children["side"].receive() == (0xd0, b"")
    finally:
        it.reconnect()
        for child in children.values():
            child.close()


def test_09_silent_hub():
    """a hub that is known to be away and takes connections without a word is not waited for: a gateway below is told its scope at once, or it would take this one for away"""
    it.cut_off()
    try:
        wait_for(lambda: reach_of_hub(it.edge)[0] == "away", "the loss to be noticed", 60)
        it.fall_silent()
        for _ in range(2):
            wait_for(lambda: it.proxies[0].pairs or it.proxies[1].pairs, "a connection that gets no answer", 90)
            begin = time.monotonic()
            assert "line-leaf" in found(ask("line", LIST, {"authChain": "line"}))[0] and time.monotonic() - begin < 5 * SLOW, time.monotonic() - begin
            wait_for(lambda: time.monotonic() > begin + 6, "the last question of this gateway to be old")
    finally:
        it.reconnect()
    wait_for(lambda: ask("line", LIST, {"authChain": "line"})[2]["confirmedSecondsAgo"] == 0, "the hub", 90)


def test_10_turns():
    """a gateway that asks and asks waits for its own questions, is told to come later when they are too many, and holds up no other"""
    it.hub.args += ["--fault", "delay=300ms"]
    it.hub.stop()
    it.hub.start()
    wait_for(lambda: ask("line", GET, {"authChain": "nobody0;line", "targetDeviceId": "nobody0"})[0] == 404, "the hub", 60)
    answers = []

    def one(i):
        answers.append(ask("line", GET, {"authChain": "nobody%d;line" % i, "targetDeviceId": "nobody%d" % i}))
    crowd = [threading.Thread(target=one, args=(i,)) for i in range(1, 25)]
    for t in crowd:
        t.start()
    wait_for(lambda: any(a[0] == 429 for a in answers), "one to be told to come later")
    begin = time.monotonic()
    assert ask("side", GET, {"authChain": "nobody;side", "targetDeviceId": "nobody"})[0] == 404
    assert sum(t.is_alive() for t in crowd) >= 5, "%d left after %.1f s" % (sum(t.is_alive() for t in crowd), time.monotonic() - begin)
    for t in crowd:
        t.join()
    late = [a for a in answers if a[0] == 429]
    assert 1 <= len(late) <= 10 and all(int(a[1]["Retry-After"]) >= 1 for a in late), [a[0] for a in answers]
    assert sorted({a[0] for a in answers}) == [404, 429], [a[0] for a in answers]


def test_99_end():
    """everything stops in order"""
    assert it.edge.stop() == 0
    it.stop()


if __name__ == "__main__":
    run_all(globals())
