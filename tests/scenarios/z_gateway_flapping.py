#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A network that comes and goes every second, for ten minutes (SECONDS), on both sides of the gateway: what was acknowledged arrives, in order for each device, nobody is taken for a rival, and
the gateway neither grows nor gives up.  Connections are broken each time; with HOW=link it is the link of a network namespace of its own that goes down, packets are lost without a word, some also
while it is up, and late where the kernel has netem, and connections live or not as TCP has it."""
import os, subprocess, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

IS_LINK = os.environ.get("HOW") == "link"
SECONDS = float(os.environ.get("SECONDS", "600"))
DEVICES = 3
it = None


class Device(threading.Thread):
    """Sends numbers, each again until it is acknowledged, as a real client does."""

    def __init__(self, name, key, port):
        super().__init__(daemon=True)
        self.device, self.key, self.port = name, key, port
        self.acked, self.connects, self.stopping, self.refusals = 0, 0, threading.Event(), 0

    def connect(self):
        self.connects += 1
        return Mqtt(self.port, ca=it.edge.trust_bundle(), name=it.edge.hostname, client_id=self.device, user=username(it.hub.hostname, self.device),
                    password=it.token(self.device, self.key))

    def run(self):
        while not self.stopping.is_set():
            try:
                with self.connect() as m:
                    while not self.stopping.is_set():
                        m.publish("devices/%s/messages/events/" % self.device, b"%s-%d" % (self.device.encode(), self.acked))
                        self.acked += 1
                        self.stopping.wait(0.02)
            except Refused:
                self.refusals += 1
            except (OSError, EOFError, AssertionError):
                pass
            self.stopping.wait(0.05)


class Link:
    """The only one that there is in here."""

    def __init__(self):
        self.mend()
        for name, *how in (("netem: packets are late, one in a hundred lost", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "20ms", "10ms", "loss", "1%"),
                           ("nftables: one packet in a hundred is lost", "nft", "table inet lossy { chain input { type filter hook input priority 0; numgen random mod 100 < 1 drop; }; }")):
            done = subprocess.run(how, capture_output=True, text=True)
            print("# " + (name if done.returncode == 0 else "not by " + name + ": " + done.stderr.strip().replace("\n", " ")))
            if done.returncode == 0:
                break

    @staticmethod
    def cut():
        subprocess.run(["ip", "link", "set", "lo", "down"], check=True)

    @staticmethod
    def mend():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def rss_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return int([l for l in f if l.startswith("VmRSS")][0].split()[1])


def test_00_start():
    """a gateway between two proxies starts, and its devices come"""
    global it
    link = Link() if IS_LINK else None
    it = Site(proxy=True, gateway="max_queue_mib = 64")
    it.front = Proxy(lambda: it.edge.mqtt_port)
    it.links = [link] if IS_LINK else it.proxies + [it.front]
    it.devices = [Device("dev%d" % i, it.key("dev%d" % i), it.front.port) for i in range(DEVICES)]
    it.known(DEVICES)
    for d in it.devices:
        d.start()
    wait_for(lambda: all(d.acked > 3 for d in it.devices), "all to send")


def test_01_flap():
    """both sides are cut and mended every second"""
    gateway, before = it.edge.role("gateway"), rss_kib(it.edge.role("gateway"))
    end, up = time.monotonic() + SECONDS, True
    turn = threading.Event()
    while time.monotonic() < end:
        up = not up
        for link in it.links:
            link.mend() if up else link.cut()
        turn.wait(1)
    for link in it.links:
        link.mend()
    assert it.edge.role("gateway") == gateway, "it was started again"
    print("# %s connects, %s acknowledged; %d KiB before, %d after" % ([d.connects for d in it.devices], [d.acked for d in it.devices], before, rss_kib(gateway)))
    assert rss_kib(gateway) < before + 20000 * SLOW, (before, rss_kib(gateway))


def test_02_all_there():
    """all that was acknowledged is at the hub, in order, and nobody was refused for coming back so often"""
    for d in it.devices:
        d.stopping.set()
    for d in it.devices:
        d.join(60 * SLOW)
    for d in it.devices:
        assert d.refusals == 0 and (d.acked > SECONDS / 4 if IS_LINK else d.connects > SECONDS / 4), (d.device, d.refusals, d.connects, d.acked)
        wait_for(lambda: sum(e["body"] == "%s-%d" % (d.device, d.acked - 1) for e in it.events(d.device)), "the last of " + d.device, 120)
        numbers = [int(e["body"].split("-")[1]) for e in it.events(d.device)]
        first = list(dict.fromkeys(numbers))
        assert set(range(d.acked)) <= set(first) and first == sorted(first), (d.device, d.acked, len(numbers))
    assert not [x for x in it.decisions() if x[1] == "SESSION_RIVALS"]


def test_03_counted():
    """the gateway has counted the hub's comings and goings, and is ready"""
    status = json.loads(subprocess.run([ROOTEDGE, "gateway", "status", "--json", "--state", str(it.edge.state)], capture_output=True, text=True).stdout)
    assert status["ready"] and status["queue"]["messages"] == 0, status
    if not IS_LINK:  # where a connection may outlive a second without packets
        assert status["hub"]["times_away"] >= 1, status


def test_99_stop():
    """all of it stops"""
    it.front.close()
    it.stop()


if __name__ == "__main__":
    own = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    if IS_LINK and os.environ.get("RE_INSIDE") != "1":
        probe = subprocess.run([*own, "ip", "link", "set", "lo", "up"], capture_output=True, text=True)
        if probe.returncode != 0:
            print("1..1\nok 1 - a link that comes and goes # SKIP namespaces are denied here: " + probe.stderr.strip().replace("\n", " "))
            sys.exit(0)
        os.environ["RE_INSIDE"] = "1"
        os.execvp("unshare", [*own, sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    run_all(globals())
