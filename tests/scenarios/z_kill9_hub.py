#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the hub at random moments while devices send: nothing acknowledged is lost, and the numbers of each partition have no hole.  ROUNDS=50 for the long form."""
import os, random, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from pump import Pump, arrived, missing

ROUNDS = int(os.environ.get("ROUNDS", "5"))


def test_kill9():
    """kill -9 of the hub at random, 128 messages in flight a device: each acknowledged message is there afterwards"""
    with Folder() as folder:
        hub = Hub(folder, Pki(folder))
        devices = {d: hub.create_device(d)["authentication"]["symmetricKey"]["primaryKey"] for d in ("dev1", "dev2")}
        pumps = [Pump(d, lambda d=d, k=k: hub.mqtt(d, password=hub.device_token(d, k))) for d, k in devices.items()]
        for p in pumps:
            p.start()
        rng = random.Random(int(os.environ.get("SEED", "1")))
        for round in range(ROUNDS):
            goal = [len(p.acked) + rng.randrange(1, 3000) for p in pumps]
            wait_for(lambda: all(len(p.acked) >= g for p, g in zip(pumps, goal)), "messages in round %d" % round, 60)
            in_flight = [p.in_flight for p in pumps]
            hub.kill9()
            assert min(in_flight) >= 100, in_flight
            hub.start()
        for p in pumps:
            p.finish()
        events = hub.events()
        numbers = {}
        for e in events:
            numbers.setdefault(e["partition"], []).append(e["sequenceNumber"])
        for partition, seen in numbers.items():
            assert seen == list(range(len(seen))), "partition %d has a hole or a number twice" % partition
        found = arrived(events)
        for p in pumps:
            assert p.connections >= ROUNDS, p.connections
            lost = missing(p, found)
            assert not lost, "%s: %d of %d acknowledged messages are missing: %s" % (p.device, len(lost), len(p.acked), lost[:10])
            print("# %s: %d acknowledged, none missing" % (p.device, len(p.acked)))
        hub.stop()


if __name__ == "__main__":
    run_all(globals())
