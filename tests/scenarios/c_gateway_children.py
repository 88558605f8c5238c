#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Gateways below this one speak for devices below them, over MQTT: for whom they may, and for whom not, whatever they say (gateway 3.8, atk-26).  The children are the test's own, byte for byte:
"line" and "side" below EdgeGateway, "cell" below "line"."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

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


def test_07_disabled():
    """a gateway that is disabled speaks for nobody any more, its own sessions end, and those through it; enabled again it is let in; a direct child is not touched"""
    with speak("line", "line-leaf;line") as one, it.edge.mqtt("cell-leaf", password=it.token("cell-leaf", it.cell_leaf)) as direct, \
            it.edge.mqtt("own-leaf", password=it.token("own-leaf", it.own_leaf)) as near:
        it.change("line", status="disabled")
        send(one, "line-leaf", b"which the hub does not take from there any more")
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
    """a device that is moved to another gateway is no longer spoken for by the old one"""
    record = it.hub.rest("GET", "/devices/line-new")[2]
    with speak("line", "line-new;line") as c:
        record.update(deviceScope=scopes["side"], parentScopes=[])
        assert it.hub.rest("PUT", "/devices/line-new", record, {"If-Match": "*"})[0] == 200
        speak("side", "line-new;side").close()
        assert c.closed()
    refused("line", "line-new;line")


def test_99_end():
    """everything stops in order"""
    assert it.edge.stop() == 0
    it.stop()


if __name__ == "__main__":
    run_all(globals())
