#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A message that the hub has and whose acknowledgement was lost: sent again by the gateway, it is stored once by a hub of ours, whoever was killed meanwhile; a hub without the extension has it twice."""
import os, signal, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = None
ROUNDS = int(os.environ.get("ROUNDS", "2"))
EACH = 5
sent = {"dev0": 0, "dev1": 0}


def comes(device):
    def gets_in():
        try:
            return it.edge.mqtt(device, password=it.token(device, it.keys[device]))
        except (Refused, OSError, EOFError):
            return None
    return wait_for(gets_in, "%s to be let in" % device, 30)


def send(n):
    """From each device so many, which the gateway has acknowledged."""
    for device in sent:
        with comes(device) as m:
            for _ in range(n):
                m.publish("devices/%s/messages/events/n=%d" % (device, sent[device]), b"%d" % sent[device])
                sent[device] += 1


def counts(device):
    found = {}
    for e in it.events(device):
        found[int(e["body"])] = found.get(int(e["body"]), 0) + 1
    return found


def wait_for_all():
    def there():
        return all(set(counts(d)) == set(range(n)) for d, n in sent.items())
    wait_for(there, "all of %s at the hub" % sent, 60)


def lose_acknowledgements():
    """What is sent now is at the hub, and the gateway does not hear of it."""
    send(1)
    wait_for_all()
    for p in it.proxies:  # its lines are on one connection to the first, or on one each to the other
        p.deaf = True
    send(EACH)
    wait_for_all()


def check_once():
    """After one more of each, behind which nothing is on its way any more."""
    send(1)
    wait_for_all()
    for d in sent:
        assert set(counts(d).values()) == {1}, (d, {k: v for k, v in counts(d).items() if v > 1})
        order = [int(e["body"]) for e in it.events(d)]
        assert order == sorted(order), (d, order)


def test_00_start():
    """a gateway, two devices and their first messages"""
    global it
    it = Site(proxy=True)
    it.keys = {d: it.key(d) for d in sent}
    it.known(2)
    send(2)
    wait_for_all()


def test_01_link():
    """the link is cut before the acknowledgements come, again and again"""
    for _ in range(ROUNDS):
        lose_acknowledgements()
        it.reconnect()
    check_once()
    assert gateway_metric(it.edge, "edgehub_operation_retry_total", operation="SendMessage") >= ROUNDS


def test_02_gateway():
    """kill -9 of the gateway"""
    for _ in range(ROUNDS):
        lose_acknowledgements()
        gateway = it.edge.role("gateway")
        os.kill(gateway, signal.SIGKILL)
        wait_for(lambda: it.edge.role("gateway") not in (None, gateway), "another gateway")
        it.reconnect()
    check_once()


def test_03_hub():
    """kill -9 of the hub, which finds in its events what is there"""
    for _ in range(ROUNDS):
        lose_acknowledgements()
        it.hub.kill9()
        it.hub.start()
        it.reconnect()
    check_once()


def test_04_both():
    """kill -9 of both"""
    lose_acknowledgements()
    gateway = it.edge.role("gateway")
    os.kill(gateway, signal.SIGKILL)
    it.hub.kill9()
    it.hub.start()
    it.reconnect()
    check_once()


def test_05_unseen():
    """readers of the events see what the device sent, and not how the hub knows it again; a device's own mark is none"""
    with comes("dev0") as m:
        m.publish("devices/dev0/messages/events/$.gseq=ffffffffffffffff.%d.0.1&n=%d" % (1 << 40, sent["dev0"]), b"%d" % sent["dev0"])
        sent["dev0"] += 1
    check_once()
    for d in sent:
        for e in it.events(d):
            assert e["properties"] == {"n": str(e["body"])} and "gseq" not in json.dumps(e), e


def two_priorities():
    """By routes of the upper gateway, from now on."""
    routes = {"most": "FROM /* INTO $upstream", "odd": {"route": "FROM /* WHERE odd = '1' INTO $upstream", "priority": 0}}
    status = it.hub.rest("PATCH", "/twins/%s/modules/%%24edgeHub" % it.edge.device, {"properties": {"desired": {"schemaVersion": "1.1", "routes": routes}}}, {"If-Match": "*"})[0]
    assert status == 200, status
    it.said("2 routes of", 30)


def test_05b_nested():
    """acknowledgements between a gateway and the one above it are lost: the hub has each message once, in order; also where routes of the upper one give them two priorities, in the order of each"""
    between = Proxy(lambda: it.edge.https_port)
    line = Edge(SubFolder(it.folder, "below"), it.hub, device="line", hostname="line.local", parent=it.edge, upstream=[between.port, it.edge.mqtt_port])
    key = it.hub.create_device("leaf", deviceScope=line.scope)["authentication"]["symmetricKey"]["primaryKey"]
    n = 0

    def send_up(count):
        nonlocal n
        with wait_for(lambda: gets_in(), "leaf to be let in", 30) as m:
            for _ in range(count):
                m.publish("devices/leaf/messages/events/odd=%d" % (n % 2), b"%d" % n)
                n += 1
        wait_for(lambda: set(counts("leaf")) == set(range(n)), "%d of leaf at the hub" % n, 60)

    def gets_in():
        try:
            return line.mqtt("leaf", password=it.token("leaf", key))
        except Refused:
            return None

    def lose_some():
        for _ in range(ROUNDS):
            send_up(1)
            between.deaf = True
            send_up(EACH)
            between.mend()
        send_up(1)
        assert set(counts("leaf").values()) == {1}, counts("leaf")
        return [int(e["body"]) for e in it.events("leaf")]
    order = lose_some()
    assert order == sorted(order), order
    two_priorities()
    first = n
    order = [i for i in lose_some() if i >= first]
    for odd in (0, 1):
        mine = [i for i in order if i % 2 == odd]
        assert mine == sorted(mine), order
    line.stop()
    between.close()


def test_06_plain():
    """a hub without the extension gets no mark, and has each message at least once"""
    it.hub.args.append("--plain-scopes")
    it.hub.stop()
    it.hub.start()
    it.reconnect()
    lose_acknowledgements()
    it.reconnect()
    send(1)
    wait_for_all()
    wait_for(lambda: connections(it.hub.mqtt_port) > len(sent), "a connection for each line, the gateway's own too, where our own hub has one for all", 60)
    doubled = [k for d in sent for k, v in counts(d).items() if v > 1]
    assert len(doubled) >= EACH, doubled
    assert not any("gseq" in json.dumps(e) for e in it.events())


def test_99_stop():
    """all of it stops"""
    it.stop()


if __name__ == "__main__":
    run_all(globals())
