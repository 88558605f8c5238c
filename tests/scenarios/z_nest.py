#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Five whole edge devices one below the other, and devices below the last: what they send arrives at the hub as theirs, through kills, a hub that is away and a gateway in the middle that is
disabled; and a leaf of the last is let in by each of those above."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

LEVELS = 5
it, edges = None, []


def enter(edge, *args, **how):
    """None: those above could not say in time who that is, and it is to try again."""
    try:
        return edge.mqtt(*args, **how)
    except Refused as e:
        if e.code != 3:
            raise
        return None


def send(edge, device, module=None, body="", **how):
    with wait_for(lambda: enter(edge, device, module, **how), "%s to be let in" % device, 120) as c:
        c.publish("devices/%s/%smessages/events/" % (device, "modules/%s/" % module if module else ""), body.encode())


def came(body, device, module=None, seconds=120):
    event = it.arrived(body, seconds)["annotations"]
    assert (event["iothub-connection-device-id"], event.get("iothub-connection-module-id")) == (device, module), event


def test_00_start():
    """a hub, and five edge devices below each other"""
    global it
    it = Site(proxy=True)
    edges.append(it.edge)
    for level in range(2, LEVELS + 1):
        edges.append(Edge(SubFolder(it.folder, "level%d" % level), it.hub, device="edge%d" % level, hostname="edge%d.local" % level, parent=edges[-1]))


def test_01_leaves():
    """devices of the fifth level by key, by certificate and by a registered CA, a module of one, and a module of the edge device itself"""
    last = edges[-1]
    it.pki.make("intermediate", "Factory", file="factory")
    with open(it.folder / "factory.pem") as f:
        ca = f.read()
    assert it.hub.rest("PUT", "/certificates/factory", {"properties": {"certificate": ca, "isVerified": True}})[0] == 200
    key = it.sas = it.hub.create_device("deep-sas", deviceScope=last.scope)["authentication"]["symmetricKey"]["primaryKey"]
    send(last, "deep-sas", body="by key", password=it.token("deep-sas", key))
    came("by key", "deep-sas")
    cert, cert_key = it.pki.make("device", "deep-x509")
    it.hub.create_x509_device("deep-x509", thumbprint(cert), deviceScope=last.scope)
    it.x509 = {"cert": cert, "key": cert_key}
    send(last, "deep-x509", body="by certificate", **it.x509)
    came("by certificate", "deep-x509")
    it.hub.create_device("deep-ca", {"type": "certificateAuthority"}, deviceScope=last.scope)
    cert, cert_key = it.pki.make("device", "deep-ca", issuer="factory")
    wait_for(lambda: lets_in(last, "deep-ca", cert=cert, key=cert_key), "the CA on the fifth level", 120)
    send(last, "deep-ca", body="by CA", cert=cert, key=cert_key)
    came("by CA", "deep-ca")
    module = it.module("deep-sas", "m1")
    send(last, "deep-sas", "m1", "of a module", password=it.token("deep-sas", module, "m1"))
    came("of a module", "deep-sas", "m1")
    module = it.module(last.device, "tool")
    send(last, last.device, "tool", "of the edge device", password=it.token(last.device, module, "tool"))
    came("of the edge device", last.device, "tool")


def lets_in(edge, *args, **how):
    try:
        edge.mqtt(*args, **how).close()
        return True
    except Refused:
        return False


def test_02_each_level():
    """a device of the fifth level is let in by every gateway above, and by none beside"""
    for level, edge in enumerate(edges, 1):
        send(edge, "deep-sas", body="at level %d" % level, password=it.token("deep-sas", it.sas))
        came("at level %d" % level, "deep-sas")
        send(edge, "deep-x509", body="x509 at level %d" % level, **it.x509)
        came("x509 at level %d" % level, "deep-x509")
    upper = it.hub.create_device("upper", deviceScope=edges[1].scope)["authentication"]["symmetricKey"]["primaryKey"]
    assert lets_in(edges[0], "upper", password=it.token("upper", upper)) and lets_in(edges[1], "upper", password=it.token("upper", upper))
    assert not any(lets_in(edge, "upper", password=it.token("upper", upper)) for edge in edges[2:])


def test_03_hub_away():
    """while the hub is out of reach all five say so, and by whom it was lost, and the fifth level takes messages, which arrive in their order when it is back"""
    it.cut_off()
    for edge in edges[1:]:  # each hears it from the one above, and whose loss it is
        says_lost(edge, "away", edges[0].device)
    with edges[-1].mqtt("deep-sas", password=it.token("deep-sas", it.sas)) as c:
        for i in range(50):
            c.publish("devices/deep-sas/messages/events/n=%d" % i, b"while away")
    it.reconnect()
    for edge in edges[1:]:
        says_well(edge)

    def all_there():
        found = [int(e["properties"]["n"]) for e in it.events("deep-sas") if e["body"] == "while away"]
        return found if len(set(found)) == 50 else None
    order = wait_for(all_there, "50 messages", 240)
    first = [n for i, n in enumerate(order) if n not in order[:i]]
    assert first == list(range(50)), order


def test_04_killed():
    """the third is killed with -9 and started again: those below it come back, and nothing is missing"""
    third = edges[2]
    third.kill9()
    with edges[-1].mqtt("deep-x509", **it.x509) as c:
        for i in range(20):
            c.publish("devices/deep-x509/messages/events/n=%d" % i, b"through a kill")
    third.start()
    wait_for(lambda: len({e["properties"]["n"] for e in it.events("deep-x509") if e["body"] == "through a kill"}) == 20, "20 messages", 300)


def waiting_at(edge):
    return json.loads(run("rootedge", "gateway", "status", "--json", "--state", edge.state).stdout)["queue"]["messages"]


def test_05_disabled():
    """the second is disabled in the hub: those below say that it is refused, and what comes from there waits, until it is enabled again"""
    it.change(edges[1].device, status="disabled")
    wait_for(lambda: reach_of_hub(edges[1])[0] == "refuses", "the second to hear that it is refused", 60)
    for edge in edges[2:]:
        says_lost(edge, "refuses", edges[1].device)
    assert beyond(edges[1])[0] == "unknown"
    send(edges[-1], "deep-sas", body="in the end", password=it.token("deep-sas", it.sas))
    wait_for(lambda: waiting_at(edges[1]) > 0, "the message to wait at the second", 120)
    assert not [e for e in it.events("deep-sas") if e["body"] == "in the end"]
    it.change(edges[1].device, status="enabled")
    came("in the end", "deep-sas", seconds=300)
    for edge in edges[1:]:
        says_well(edge)


def new_gateway(device, parent):
    return it.hub.rest("PUT", "/devices/" + device, {"deviceId": device, "status": "enabled", "capabilities": {"iotEdge": True}, "parentScopes": [parent] if parent else [],
                                                     "authentication": {"type": "sas", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}}})


def test_06_sixth():
    """the hub takes no sixth gateway below the fifth; and one that comes to be there with the gateway above it is not let in by the uppermost"""
    status, _, body = new_gateway("edge6", edges[-1].scope)
    assert status == 400 and "at most 5 gateways" in json.dumps(body), (status, body)
    status, _, aside = new_gateway("aside", None)
    assert status == 200, aside
    status, _, body = new_gateway("edge6", aside["deviceScope"])
    assert status == 200, body
    key = body["authentication"]["symmetricKey"]["primaryKey"]
    it.change("aside", parentScopes=[edges[3].scope])

    def refused():
        """For good: 3 is for whom those above were asked about in vain."""
        try:
            edges[0].mqtt("edge6", password=it.token("edge6", key)).close()
        except Refused as e:
            return e.code == 5
        raise AssertionError("was let in")
    wait_for(refused, "the last word", 60)


def test_99_end():
    """everything stops in order"""
    for edge in reversed(edges[1:]):
        assert edge.stop() == 0, edge.log_text()[-6000:]
    it.stop()


if __name__ == "__main__":
    run_all(globals())
