#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Storms at the gateway: many at once, two devices with one id, more devices than there may be."""
import os, subprocess, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = None
TOPIC = "devices/%s/messages/events/"
RATE = 40


def metric(name, **labels):
    return gateway_metric(it.edge, name, **labels)


def comes(device, key):
    return it.edge.mqtt(device, password=it.token(device, key))


def refused(device, key):
    try:
        comes(device, key).close()
    except Refused as e:
        return e.code
    raise AssertionError("was let in")


def test_00_start():
    """a gateway for six devices, which takes forty connections a second"""
    global it
    it = Site(gateway="max_clients = 6\naccepts_per_second = %d" % RATE)
    it.keys = {"dev%d" % i: it.key("dev%d" % i) for i in range(9)}
    it.known(9)


def test_01_storm():
    """two hundred connections at once all come in, at the rate and none of them lost; most say nothing, and a device among them is served"""
    begin = time.monotonic()
    strangers = [socket.create_connection(("127.0.0.1", it.edge.mqtt_port), timeout=60) for _ in range(160)]
    done = []

    def one():
        with comes("dev0", it.keys["dev0"]) as m:
            m.publish(TOPIC % "dev0", b"in the storm")
            done.append(True)
    device = threading.Thread(target=one)
    device.start()
    device.join(60 * SLOW)
    assert done
    assert time.monotonic() - begin > (160 - 2 * RATE) / RATE / 2, time.monotonic() - begin
    it.arrived("in the storm")
    assert metric("rootedge_gateway_accept_delayed_total", listener="mqtt") > 0 and metric("rootedge_gateway_accept_refused_total", listener="mqtt") == 0
    wait_for(lambda: metric("rootedge_gateway_accepted_total", listener="mqtt") >= 161, "all of them")
    before = metric("rootedge_gateway_tls_handshake_failures_total", listener="mqtt")
    for s in strangers:
        s.close()
    wait_for(lambda: metric("rootedge_gateway_tls_handshake_failures_total", listener="mqtt") >= before + 160, "their end to be counted")


def test_02_limit():
    """as many devices as there may be are connected: a further one is told to come later, with a reason; one of them who comes back gets in, and so does the next when one has left"""
    inside = [comes("dev%d" % i, it.keys["dev%d" % i]) for i in range(6)]
    assert refused("dev6", it.keys["dev6"]) == 3
    wait_for(lambda: it.decisions()[-1] == ("dev6", "TOO_MANY_CLIENTS"), "the reason")
    again = comes("dev2", it.keys["dev2"])
    assert inside[2].closed()
    assert refused("dev7", it.keys["dev7"]) == 3
    assert metric("rootedge_gateway_verdicts_total", reason="TOO_MANY_CLIENTS", method="sas") == 2
    inside[0].close()

    def gets_in():
        try:
            return comes("dev6", it.keys["dev6"])
        except Refused:
            return None
    last = wait_for(gets_in, "its place")
    assert refused("dev0", it.keys["dev0"]) == 3  # who has left has no claim to it
    for m in inside[1:] + [again, last]:
        m.close()
    wait_for(lambda: metric("edgehub_connected_clients") == 0, "all to have left")


def test_03_rivals():
    """two devices with one id: at first the newer wins, as ever; when they fight, who is there stays and works on, the other is told to come later, and the operator finds the reason"""
    key = it.keys["dev8"]
    live = comes("dev8", key)
    for i in range(6):
        newer = comes("dev8", key)
        assert live.closed()
        live.close()
        live = newer
    for _ in range(3):
        assert refused("dev8", key) == 3
        live.publish(TOPIC % "dev8", b"works on")
    wait_for(lambda: it.decisions()[-1] == ("dev8", "SESSION_RIVALS"), "the reason")
    assert metric("rootedge_gateway_duplicate_ids_total", id="dev8") == 3
    shown = subprocess.run([ROOTEDGE, "gateway", "device", "show", "dev8", "--state", str(it.edge.state)], capture_output=True, text=True, check=True).stdout
    assert "SESSION_RIVALS" in shown and "second device with this id" in shown and "connected" in shown, shown
    with comes("dev1", it.keys["dev1"]) as other:
        other.publish(TOPIC % "dev1", b"not its affair")
    live.close()

    def gets_in():
        try:
            return comes("dev8", key)
        except Refused:
            return None
    wait_for(gets_in, "its place, free again before the time is over", 4).close()


def test_04_patience():
    """the wait ends by itself, and who fights on waits longer"""
    key = it.keys["dev7"]
    live = comes("dev7", key)
    for i in range(6):
        newer = comes("dev7", key)
        live.close()
        live = newer
    assert refused("dev7", key) == 3

    def gets_in():
        try:
            return comes("dev7", key)
        except Refused:
            return None
    newer = wait_for(gets_in, "the end of the wait", 15)
    assert live.closed()
    newest = comes("dev7", key)
    assert newer.closed()
    assert refused("dev7", key) == 3
    for m in (live, newer, newest):
        m.close()


def test_99_stop():
    """all of it stops"""
    it.stop()


if __name__ == "__main__":
    run_all(globals())
