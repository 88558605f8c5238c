#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway's server certificate is renewed again and again while many devices send: nobody is disconnected, nothing is lost.  How long that keeps the loops is bench/gateway's to say."""
import ctypes, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

CLONE_NEWNET = 0x40000000
SENDERS = 40
it = None
folder = Folder()
clock = folder / "clock"


def ip(*args):
    subprocess.run(["ip"] + list(args), check=True, capture_output=True)


def own_network():
    """A network that nobody else is in, with an interface whose addresses are ours to change."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) < 0:
        raise Skip("no network namespace: " + os.strerror(ctypes.get_errno()))
    ip("link", "set", "lo", "up")
    ip("link", "add", "re0", "type", "veth", "peer", "name", "re1")
    ip("link", "set", "re0", "up")


def need_network():
    if it is None:
        raise Skip("no network of our own")


class Sender(threading.Thread):
    """One connection, and one message after the other, each with its number."""

    def __init__(self, id):
        super().__init__(daemon=True)
        self.id, self.n, self.is_over, self.problem = id, 0, False, None
        self.session = it.edge.mqtt(id, password=it.token(id, it.keys[id]))

    def run(self):
        try:
            while not self.is_over:
                self.session.publish("devices/%s/messages/events/n=%d" % (self.id, self.n), b"under load")
                self.n += 1
        except Exception as e:
            self.problem = e

    def end(self):
        self.is_over = True
        self.join(60 * SLOW)
        self.session.close()


def serial():
    """Of the certificate that somebody who comes now is shown."""
    context = ssl.create_default_context(cafile=it.edge.trust_bundle())
    with socket.create_connection(("127.0.0.1", it.edge.mqtt_port), timeout=60 * SLOW) as s, context.wrap_socket(s, server_hostname=it.edge.hostname) as t:
        return t.getpeercert()["serialNumber"]


def test_00_start():
    """a gateway whose certificate stands for the addresses of the box"""
    global it
    own_network()
    with open(clock, "w") as f:
        f.write("0\n")
    os.chmod(clock, 0o644)
    os.environ["ROOTEDGE_CLOCK_FILE"] = clock  # who looks at the clock of a story looks often, at the addresses too
    it = Site(gateway='names = ["auto"]')
    it.keys = {"dev%d" % i: it.key("dev%d" % i) for i in range(SENDERS)}
    it.known(SENDERS)


def test_01_renewals_under_load():
    """with forty devices sending, five certificates follow one another: who comes is shown the new one and proves the gateway by it, no session ends, and the hub gets every message once and in its order"""
    need_network()
    senders = [Sender(id) for id in it.keys]
    for s in senders:
        s.start()
    seen = {serial()}
    for i in range(5):
        sent = [s.n for s in senders]
        ip("addr", "add", "10.55.%d.1/32" % i, "dev", "re0")
        seen.add(wait_for(lambda: (lambda n: n if n not in seen else None)(serial()), "certificate %d" % (i + 2), 60))
        wait_for(lambda: all(s.n > n for s, n in zip(senders, sent)), "a message of each after it", 60)
    for s in senders:
        s.end()
    assert len(seen) == 6, seen
    assert [s.problem for s in senders] == [None] * SENDERS
    n = sum(s.n for s in senders)
    events = wait_for(lambda: (lambda found: found if len(found) >= n else None)(it.hub.events()), "%d messages at the hub" % n, 120)
    arrived = {s.id: [] for s in senders}
    for e in events:
        arrived[e["annotations"]["iothub-connection-device-id"]].append(int(e["properties"]["n"]))
    for s in senders:
        assert arrived[s.id] == list(range(s.n)), s.id


def test_02_stop():
    """all of it stops"""
    need_network()
    it.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
