#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the hub, of the gateway and of the whole edge at random moments while devices send: nothing that was acknowledged to a device is missing at the hub afterwards,
and each device's messages keep their order apart from repeats.  ROUNDS=50 for the long form, SEED for another course."""
import os, random, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *
from pump import Pump, arrived, missing

ROUNDS = int(os.environ.get("ROUNDS", "6" if SLOW == 1 else "2"))  # a sanitizer takes half a minute for each


class Sensor:
    """`rootedge device`, which sends again what was not acknowledged."""

    def __init__(self, it, id):
        how, self.device, self.acked_file, self.log_file = it.x509(id), id, it.folder / (id + ".acked"), it.folder / (id + ".log")
        self.process = subprocess.Popen([ROOTEDGE, "device", "--hub", it.hub.hostname, "--gateway", "%s:%d" % (it.edge.hostname, it.edge.mqtt_port), "--connect-to", "127.0.0.1",
                                         "--device-id", id, "--cert", how["cert"], "--key", how["key"], "--ca", it.edge.trust_bundle(), "--retry", "--in-flight", "128",
                                         "--interval", "0", "--count", "0", "--acked-file", self.acked_file],
                                        stdout=subprocess.DEVNULL, stderr=open(self.log_file, "wb"), preexec_fn=parent_death)

    @property
    def acked(self):
        try:
            with open(self.acked_file) as f:
                return [int(line) for line in f.read().split("\n")[:-1]]
        except FileNotFoundError:
            return []

    def said(self):
        with open(self.log_file) as f:
            return f.read()[-3000:]

    def finish(self):
        self.process.terminate()
        self.process.wait(30 * SLOW)


def kill_hub(it, _):
    it.hub.kill9()
    it.hub.start()


def kill_gateway(it, _):
    os.kill(wait_for(lambda: it.edge.role("gateway"), "a gateway"), signal.SIGKILL)


def kill_edge(it, _):
    it.edge.kill9()
    it.edge.start()


def kill_hub_and_edge(it, rng):
    """The edge is back before the hub is, and is killed once more."""
    it.hub.kill9()
    it.edge.kill9()
    it.edge.start()
    if rng.random() < 0.5:
        kill_gateway(it, rng)
    it.hub.start()


def wait_for_messages(it, d, goal, round):
    """A device that was refused for a while waits for up to a minute."""
    try:
        wait_for(lambda: len(d.acked) >= goal, "messages of %s in round %d" % (d.device, round), 180)
    except AssertionError as e:
        raise AssertionError("%s: %d of %d\n%s\n%s" % (e, len(d.acked), goal, d.said(), it.edge.log_text()[-6000:]))


def wait_for_all(it, devices):
    """What arrived, once nothing is missing of what was acknowledged."""
    last = {}

    def look():
        last.update(arrived(it.hub.each_event()))
        return not any(missing(d, last) for d in devices)

    try:
        wait_for(look, "all that was acknowledged, at the hub", 240)
    except AssertionError as e:
        raise AssertionError("%s\n%s" % (e, {d.device: (len(d.acked), missing(d, last)[:10]) for d in devices}))
    return last


def test_kill9():
    """kill -9 at random, 128 messages in flight a device: each acknowledged message arrives at the hub, in the device's order"""
    it = Site()
    pumps = []
    for d in ("dev1", "dev2"):
        key = it.key(d)
        pumps.append(Pump(d, lambda d=d, key=key: it.edge.mqtt(d, password=it.token(d, key))))
        pumps[-1].start()
    devices = pumps + [Sensor(it, "sensor1")]
    rng = random.Random(int(os.environ.get("SEED", "1")))
    for round in range(ROUNDS):
        goals = [(d, len(d.acked) + rng.randrange(1, 1500)) for d in devices]
        for d, goal in goals:
            wait_for_messages(it, d, goal, round)
        wait_for(lambda: all(p.in_flight >= 100 for p in pumps), "a hundred messages in flight", 20)
        it.key("more%d" % round)  # so that what is kept of devices and twins is being written
        it.hub.rest("PATCH", "/twins/%s/modules/$edgeHub" % it.edge.device, {"properties": {"desired": {"round": round}}})
        time.sleep(rng.random())  # where in that the kill comes
        rng.choice((kill_hub, kill_gateway, kill_edge, kill_hub_and_edge))(it, rng)
    for d in devices:
        d.finish()
    assert all(p.connections > 1 for p in pumps), [p.connections for p in pumps]
    found = wait_for_all(it, devices)
    for d in devices:
        got = found[d.device]
        order = list(dict.fromkeys(got))  # the first of each
        assert order == sorted(order), "%s: out of order: %s" % (d.device, [(a, b) for a, b in zip(order, order[1:]) if a > b][:10])
        print("# %s: %d acknowledged, none missing, %d arrived and %d of them again" % (d.device, len(d.acked), len(order), len(got) - len(order)))
    assert "STATE_ROLLED_BACK" not in it.edge.log_text() and "set aside" not in it.edge.log_text(), "a crash was taken for a rollback"
    assert "given up" not in it.edge.log_text() and "damaged" not in it.edge.log_text(), it.edge.log_text()[-4000:]
    it.stop()


if __name__ == "__main__":
    run_all(globals())
