#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the hub at random moments while devices report and a service makes devices: what was answered is kept, and each change that was kept has its event.  ROUNDS=50 for the long form."""
import os, random, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

ROUNDS = int(os.environ.get("ROUNDS", "5"))
WINDOW = 64


class Reporter(threading.Thread):
    """Reports {"n": 1}, {"n": 2}, ... with WINDOW of them on their way; `answered` is the last one whose answer came, `version` the one that it named."""

    def __init__(self, hub, device, key):
        super().__init__(daemon=True)
        self.hub, self.device, self.key, self.n, self.answered, self.version, self.ending = hub, device, key, 0, 0, 0, False

    def run(self):
        while not self.ending:
            try:
                with self.hub.mqtt(self.device, password=self.hub.device_token(self.device, self.key)) as m:
                    m.send(subscribe_packet([("$iothub/twin/res/#", 0)]))
                    self.report(m)
            except (OSError, EOFError, Refused, AssertionError, TypeError):
                time.sleep(0.02)  # the hub is being killed: try again

    def report(self, m):
        waiting = set()
        while not self.ending or waiting:
            while len(waiting) < WINDOW and not self.ending:
                self.n += 1
                waiting.add(self.n)
                m.send(publish_packet("$iothub/twin/PATCH/properties/reported/?$rid=%d" % self.n, b'{"n":%d}' % self.n, qos=0))
            kind, body = m.receive()
            if kind & 0xf0 == 0x30:
                topic = body[2:2 + struct.unpack("!H", body[:2])[0]].decode()
                assert topic.startswith("$iothub/twin/res/204/"), topic
                query = urllib.parse.parse_qs(topic.split("?")[1])
                waiting.discard(int(query["$rid"][0]))
                self.answered, self.version = int(query["$rid"][0]), int(query["$version"][0])


class Maker(threading.Thread):
    """A service that makes one device after the other."""

    def __init__(self, hub):
        super().__init__(daemon=True)
        self.hub, self.made, self.ending, self.token = hub, [], False, hub.service_token()

    def run(self):
        n = 0
        while not self.ending:
            n += 1
            id = "made-%05d" % n
            try:
                status, _, _ = self.hub.rest("PUT", "/devices/" + id, {"deviceId": id}, {"Authorization": self.token})
                assert status == 200, status
                self.made.append(id)
            except (OSError, http.client.HTTPException, TypeError, ssl.SSLError):
                time.sleep(0.02)


def of(events, source, device):
    return [e for e in events if e["annotations"]["iothub-message-source"] == source and e["properties"]["deviceId"] == device]


def once(events):
    """Without those that were written again after a crash: a correlation-id stands for one event."""
    return list({e["systemProperties"]["correlation-id"]: e for e in events}.values())


def check_reporter(hub, reporter, events):
    twin = hub.rest("GET", "/twins/" + reporter.device)[2]
    reported = twin["properties"]["reported"]
    assert reported["$version"] >= reporter.version and reported["n"] >= reporter.answered, (reported, reporter.version, reporter.answered)
    own = of(events, "twinChangeEvents", reporter.device)
    versions = [e["body"]["properties"]["reported"]["$version"] for e in once(own)]
    assert versions == list(range(2, reported["$version"] + 1)), "%s: %d events for %d versions" % (reporter.device, len(versions), reported["$version"] - 1)
    print("# %s: %d versions, each with its event, %d of them twice" % (reporter.device, len(versions), len(own) - len(versions)))


def test_kill9():
    """kill -9 of the hub at random: no answered report is lost, each version of a twin and each device that was made has its event, and twice only word for word"""
    with Folder() as folder:
        hub = Hub(folder, Pki(folder), "contosoiothub.local", "--event-sources", "lifecycle,twin")
        keys = {d: hub.create_device(d)["authentication"]["symmetricKey"]["primaryKey"] for d in ("dev1", "dev2", "dev3")}
        reporters, maker = [Reporter(hub, d, k) for d, k in keys.items()], Maker(hub)
        for t in reporters + [maker]:
            t.start()
        rng = random.Random(int(os.environ.get("SEED", "1")))
        for round in range(ROUNDS):
            goals, n_made = [r.answered + rng.randrange(100, 2000) for r in reporters], len(maker.made) + 3
            wait_for(lambda: all(r.answered >= g for r, g in zip(reporters, goals)) and len(maker.made) >= n_made, "reports in round %d" % round, 60)
            hub.kill9()
            hub.start()
        for t in reporters + [maker]:
            t.ending = True
        for t in reporters + [maker]:
            t.join(30)
        wait_for(lambda: len(of(hub.events(), "twinChangeEvents", "dev1")) > 0, "events")
        hub.stop()  # what is on its way to the log is there now
        hub.start()
        events = hub.events()
        for r in reporters:
            check_reporter(hub, r, events)
        for id in maker.made:
            assert [e["properties"]["opType"] for e in once(of(events, "deviceLifecycleEvents", id))] == ["createDeviceIdentity"], id
        print("# %d devices made" % len(maker.made))
        n = len(events)
        hub.stop()
        hub.start()
        assert len(hub.events()) == n, "a hub that was stopped in order has nothing to say again"
        hub.stop()


if __name__ == "__main__":
    run_all(globals())
