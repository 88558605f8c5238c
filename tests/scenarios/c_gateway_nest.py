#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A nest: a hub, EdgeGateway, "line" below it and devices below that; every edge device is a whole one, with its own identity service, Edge CA and gateway, and knows nobody but its parent."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from listener_of_gateway import *

it = line = None


def leaf(id, **more):
    """A key device of line's: its key."""
    return it.hub.create_device(id, deviceScope=line.scope, **more)["authentication"]["symmetricKey"]["primaryKey"]


def leaf_x509(id, slot=0):
    """A certificate device of line's, known by this slot: what mqtt() takes."""
    cert, key = it.pki.make("device", id)
    prints = ["A" * 64, "B" * 64]
    prints[slot] = thumbprint(cert)
    it.hub.create_x509_device(id, *prints, deviceScope=line.scope)
    return {"cert": cert, "key": key}


def sends(edge, id, body, **how):
    with edge.mqtt(id, **how) as c:
        c.publish("devices/%s/messages/events/" % id, body.encode())
    return it.arrived(body, 60)["annotations"]["iothub-connection-device-id"] == id


def test_00_start():
    """an edge device below another one starts: its identity service and its gateway ask the parent alone"""
    global it, line
    it = Site(proxy=True)
    line = Edge(SubFolder(it.folder, "below"), it.hub, device="line", hostname="line.local", parent=it.edge)
    assert it.hub.rest("GET", "/devices/line/modules/$edgeHub")[2]["authentication"]["type"] == "sas"
    assert "edgegateway.local" in line.log_text()


def test_01_leaves():
    """devices of the lower gateway by key, by a certificate in either slot, and by a registered CA: what they send arrives at the hub as theirs"""
    key = leaf("leaf-sas")
    assert sends(line, "leaf-sas", "by key", password=it.token("leaf-sas", key))
    assert sends(line, "leaf-x509", "by primary", **leaf_x509("leaf-x509"))
    assert sends(line, "leaf-second", "by secondary", **leaf_x509("leaf-second", 1))
    it.pki.make("intermediate", "Factory", file="factory")
    with open(it.folder / "factory.pem") as f:
        ca = f.read()
    assert it.hub.rest("PUT", "/certificates/factory", {"properties": {"certificate": ca, "isVerified": True, "scope": {"devices": ["leaf-*"]}}})[0] == 200
    it.hub.create_device("leaf-ca", {"type": "certificateAuthority"}, deviceScope=line.scope)
    cert, cert_key = it.pki.make("device", "leaf-ca", issuer="factory")
    wait_for(lambda: lets_in(line, "leaf-ca", cert=cert, key=cert_key), "the CA", 60)
    assert sends(line, "leaf-ca", "by CA", cert=cert, key=cert_key)


def test_01_a_carried():
    """each gateway has one connection to the one above it, whoever it speaks for"""
    one_each = lambda: [(gateway_metric(below, "rootedge_gateway_carriers"), connections(above.mqtt_port)) for below, above in ((it.edge, it.hub), (line, it.edge))] == [(1, 0), (1, 0)]
    wait_for(one_each, "one connection of each", 40)


def lets_in(edge, *args, **how):
    try:
        edge.mqtt(*args, **how).close()
        return True
    except Refused:
        return False


def test_01_b_both_ways():
    """a method, the twin and a message of a device of the lower gateway go through both, there and back"""
    device = Device(it, "leaf-both", leaf("leaf-both"), edge=line)
    device.connect(METHODS, RESULTS, DESIRED, device.commands())
    call = invoke_soon(it, "leaf-both", "deep", {"n": 1})
    name, rid, payload = device.request()
    assert (name, json.loads(payload)) == ("deep", {"n": 1})
    device.reply(rid, 200, b'{"from":"below"}')
    assert call.answer() == (200, {"status": 200, "payload": {"from": "below"}})
    twin = lambda: it.hub.rest("GET", "/twins/leaf-both")[2]["properties"]
    assert device.report({"deep": True}) == (204, None)
    wait_for(lambda: twin()["reported"].get("deep"), "the report at the hub", 60)
    it.hub.rest("PATCH", "/twins/leaf-both", {"properties": {"desired": {"rate": 7}}})
    assert device.desired()["rate"] == 7 and device.twin()["desired"]["rate"] == 7
    seen = [device.twin()["desired"]["$version"]]
    for edge, rate in ((it.edge, 8), (line, 9)):  # what is desired at the upper one is the lower one's hub's
        subprocess.run([ROOTEDGE, "gateway", "twin", "set", "leaf-both", '{"rate": %d}' % rate, "--state", str(edge.state)], check=True, capture_output=True, timeout=60 * SLOW)
        patch = device.desired()
        assert patch["rate"] == rate, patch
        seen.append(patch["$version"])
    it.hub.rest("PATCH", "/twins/leaf-both", {"properties": {"desired": {"rate": 10}}})
    patch = device.desired()
    assert patch["rate"] == 10 and seen + [patch["$version"]] == sorted({*seen, patch["$version"]}), (seen, patch)
    send_command(it, "leaf-both", b"down there")
    assert device.take().payload == b"down there"
    wait_for(lambda: pending(it, "leaf-both") == 0, "its completion")
    device.leave()


def test_02_grandparent():
    """GrandparentScopeDevice: a device of the lower gateway connects to the upper's name, by key and by a certificate in either slot"""
    key = leaf("visitor-sas")
    assert sends(it.edge, "visitor-sas", "upstairs by key", password=it.token("visitor-sas", key))
    assert sends(it.edge, "visitor-x509", "upstairs by primary", **leaf_x509("visitor-x509"))
    assert sends(it.edge, "visitor-second", "upstairs by secondary", **leaf_x509("visitor-second", 1))
    assert not lets_in(it.edge, "visitor-sas", password=it.token("visitor-sas", new_key()))


def test_03_refused():
    """a device of the upper gateway is not let in by the lower one, nor one that is in no scope"""
    key = it.key("upper")
    assert sends(it.edge, "upper", "from upstairs", password=it.token("upper", key))
    assert not lets_in(line, "upper", password=it.token("upper", key))
    stray = it.hub.create_device("stray")["authentication"]["symmetricKey"]["primaryKey"]
    assert not lets_in(line, "stray", password=it.token("stray", stray)) and not lets_in(it.edge, "stray", password=it.token("stray", stray))


def test_04_modules():
    """a module of the lower device and one of its leaf send through both"""
    key = it.module("line", "filter")
    with line.mqtt("line", "filter", password=it.token("line", key, "filter")) as c:
        c.publish("devices/line/modules/filter/messages/events/", b"of the lower device")
    assert it.arrived("of the lower device", 60)["annotations"]["iothub-connection-module-id"] == "filter"
    key = it.module("leaf-sas", "m1")
    with line.mqtt("leaf-sas", "m1", password=it.token("leaf-sas", key, "m1")) as c:
        c.publish("devices/leaf-sas/modules/m1/messages/events/", b"of a leaf's")
    event = it.arrived("of a leaf's", 60)
    assert (event["annotations"]["iothub-connection-device-id"], event["annotations"]["iothub-connection-module-id"]) == ("leaf-sas", "m1")


def test_04_models():
    """PlugAndPlay: the model that a device or a module names when it connects, to the upper gateway or to the lower one, stands in its twin at the hub and by its messages, also when it names another"""
    for edge, id, module in ((it.edge, "pnp-up", None), (line, "pnp-low", None), (it.edge, "pnp-up", "m")):
        key = it.module(id, module) if module else it.hub.create_device(id, deviceScope=edge.scope)["authentication"]["symmetricKey"]["primaryKey"]
        path = id if module is None else "%s/modules/%s" % (id, module)
        for model in ("dtmi:com:example:Sensor;1", "dtmi:com:example:Sensor;2"):
            body = "%s of %s" % (path, model)
            with edge.mqtt(id, module, password=it.token(id, key, module), user=username(it.hub.hostname, id, module, "&model-id=" + urllib.parse.quote(model))) as c:
                c.publish("devices/%s/messages/events/" % path, body.encode())
                event = it.arrived(body, 60)
                assert event["annotations"]["iothub-connection-device-id"] == id and event["annotations"].get("dt-dataschema") == model, event
            assert it.hub.rest("GET", "/twins/" + path)[2]["modelId"] == model


def test_04_to_module_above():
    """RouteMessageL3LeafToL4Module: what a device of the lower gateway sends comes to a module of the upper one, by a route there"""
    key, leaf_key = it.module(it.edge.device, "watch"), it.hub.rest("GET", "/devices/leaf-sas")[2]["authentication"]["symmetricKey"]["primaryKey"]
    routes = {"up": "FROM /* INTO $upstream", "watch": "FROM /messages/* WHERE $connectionDeviceId = 'leaf-sas' INTO BrokeredEndpoint(\"/modules/watch/inputs/in\")"}
    uri = "/twins/%s/modules/%%24edgeHub" % it.edge.device
    assert it.hub.rest("PATCH", uri, {"properties": {"desired": {"schemaVersion": "1.1", "routes": routes}}}, {"If-Match": "*"})[0] == 200
    it.said("2 routes of the hub hold", 30)
    with it.edge.mqtt(it.edge.device, "watch", password=it.token(it.edge.device, key, "watch")) as c:
        c.send(subscribe_packet([("devices/%s/modules/watch/inputs/#" % it.edge.device, 1)]))
        assert c.receive()[1][2:] == b"\1"
        assert sends(line, "leaf-sas", "for the module above", password=it.token("leaf-sas", leaf_key))
        said = Said(*c.receive(30))
    assert said.topic.startswith("devices/%s/modules/watch/inputs/in/" % it.edge.device) and "%24.cdid=leaf-sas" in said.topic and said.payload == b"for the module above", said.topic


def confirmed(id):
    """When the hub confirmed it, as the lower gateway's last verdict about it says."""
    checks = [v for v in line.events() if v["peer"] == id and v["who"] == "gateway"][-1]["checks"]
    return next(c["found"] for c in checks if c["wanted"] == "confirmed by the hub")


def test_05_hub_away():
    """while the hub is out of reach the upper gateway answers for it: known devices get in below, no younger than they are there, and what they send arrives later"""
    key, late = it.hub.rest("GET", "/devices/leaf-sas")[2]["authentication"]["symmetricKey"]["primaryKey"], leaf("leaf-late")
    assert sends(it.edge, "leaf-late", "known upstairs", password=it.token("leaf-late", late))
    it.cut_off()
    away_since = time.time()
    try:
        wait_for(lambda: time.time() > away_since + 3, "a while")
        line.mqtt("leaf-late", password=it.token("leaf-late", late)).close()
        assert confirmed("leaf-late") <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(away_since + 1)), confirmed("leaf-late")
        with line.mqtt("leaf-sas", password=it.token("leaf-sas", key)) as c:
            c.publish("devices/leaf-sas/messages/events/", b"meanwhile")
    finally:
        it.reconnect()
    it.arrived("meanwhile", 90)


def refusal_by_line(id, **how):
    """5 for good; 3, it is to come again."""
    try:
        line.mqtt(id, **how).close()
    except Refused as e:
        return e.code
    raise AssertionError("was let in")


def test_06_hub_lost_above():
    """the upper gateway loses the hub: the lower one says so, by which gateway and since when, and is ready; a device that nobody here has heard of is told to come again, also where the hub said a moment before that there is none, and gets in when the hub is back, of which the lower one hears, too"""
    says_well(line)
    n_asked = gateway_metric(line, "rootedge_gateway_scope_refreshes_total", outcome="done")
    early = new_key()
    token = it.token("leaf-early", early)
    assert refusal_by_line("leaf-early", password=token) == 5  # nobody, the hub says
    it.cut_off()
    try:
        since = time.time()
        it.hub.create_device("leaf-early", {"type": "sas", "symmetricKey": {"primaryKey": early, "secondaryKey": new_key()}}, deviceScope=line.scope)
        wait_for(lambda: beyond(line)[0] == "away", "the loss to be heard of")
        assert refusal_by_line("leaf-early", password=token) == 3
        says_lost(line, "away", it.edge.device)
        wait_for(lambda: beyond(line)[2] >= 2, "two seconds without the hub")
        assert beyond(line)[2] <= time.time() - since + 3, beyond(line)
        key = leaf("leaf-unheard")
        for _ in range(3):
            assert refusal_by_line("leaf-unheard", password=it.token("leaf-unheard", key)) == 3
    finally:
        it.reconnect()
    says_well(line)
    wait_for(lambda: gateway_metric(line, "rootedge_gateway_scope_refreshes_total", outcome="done") > n_asked, "it to ask what has changed meanwhile")
    wait_for(lambda: lets_in(line, "leaf-unheard", password=it.token("leaf-unheard", key)), "the device that was made meanwhile", 60)
    wait_for(lambda: lets_in(line, "leaf-early", password=token), "the one that came early", 60)


def test_06_bad_word():
    """what is no word of the hub changes nothing at the lower gateway, and never gets to its page; at the upper one there is nobody who could say it"""
    def said(device, payload):
        status, _, body = it.hub.rest("POST", "/twins/%s/modules/%%24edgeHub/methods" % device, {"methodName": "HubPresence", "payload": payload, "responseTimeoutInSeconds": 30, "connectTimeoutInSeconds": 30})
        assert status == 200, (status, body)
        return body["status"]
    for payload in (None, 7, {}, {"hub": 7}, {"hub": ["reach=reachable"]}, {"hub": ""}, {"hub": "reach=away&seconds=1&gateway=%1b%5b2J"}, {"hub": "reach=away&seconds=-1&gateway=x"},
                    {"hub": "reach=away&seconds=1&gateway=" + "x" * 129}, {"hub": "reach=away&seconds=1&gateway=x&y=" + "y" * 100000}):
        assert said("line", payload) == 400, payload
    assert beyond(line)[:2] == ("reachable", None)
    assert said(it.edge.device, {"hub": "reach=away&seconds=1&gateway=x"}) == 404


def test_06_parent_disabled():
    """the upper gateway is disabled: the lower one says who is refused, until it is enabled"""
    it.change(it.edge.device, status="disabled")
    try:
        says_lost(line, "refuses", it.edge.device)
    finally:
        it.change(it.edge.device, status="enabled")
    says_well(line)


def test_07_disabled():
    """the lower gateway is disabled: it says that it is refused, and its devices' messages wait there until it is enabled"""
    key = it.hub.rest("GET", "/devices/leaf-sas")[2]["authentication"]["symmetricKey"]["primaryKey"]
    it.change("line", status="disabled")
    with line.mqtt("leaf-sas", password=it.token("leaf-sas", key)) as c:
        c.publish("devices/leaf-sas/messages/events/", b"after all")
    reach, code, page = wait_for(lambda: [r for r in [reach_of_hub(line)] if r[0] == "refuses"], "the refusal to be noticed", 60)[0]
    assert code == 1 and it.edge.hostname + " refuses it, since" in page and "parentScopes" in page, page
    it.change("line", status="enabled")
    it.arrived("after all", 120)
    wait_for(lambda: reach_of_hub(line)[:2] == ("reachable", 0), "all to be well again", 60)


def test_99_end():
    """everything stops in order"""
    assert line.stop() == 0
    it.stop()


if __name__ == "__main__":
    run_all(globals())
