#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The names of the gateway's server certificate: addresses that come and go while devices are connected, and names that somebody asks for in vain."""
import ctypes, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

CLONE_NEWNET = 0x40000000
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
    try:
        ip("link", "add", "re0", "type", "dummy")
    except subprocess.CalledProcessError:
        ip("link", "add", "re0", "type", "veth", "peer", "name", "re1")
    ip("link", "set", "re0", "up")


def need_network():
    if it is None:
        raise Skip("no network of our own")


def proves(name):
    try:
        it.edge.mqtt("dev1", name=name, **it.dev1).close()
        return True
    except ssl.SSLCertVerificationError:
        return False


class Sender(threading.Thread):
    """Publishes over one connection until it is told to end."""

    def __init__(self):
        super().__init__(daemon=True)
        self.key, self.n, self.is_over, self.problem = it.key("sender"), 0, False, None
        self.session = it.edge.mqtt("sender", password=it.token("sender", self.key))
        self.start()

    def run(self):
        try:
            while not self.is_over:
                self.session.publish("devices/sender/messages/events/n=%d" % self.n, b"under load")
                self.n += 1
        except Exception as e:
            self.problem = e

    def end(self):
        self.is_over = True
        self.join(30)
        self.session.close()


def test_00_start():
    """with "auto" the addresses of the box are in the certificate, beside the other names"""
    global it
    own_network()
    ip("addr", "add", "10.55.0.1/32", "dev", "re0")
    with open(clock, "w") as f:
        f.write("0\n")
    os.environ["ROOTEDGE_CLOCK_FILE"] = clock  # so that looks come soon
    it = Site(gateway='names = ["auto", "gw2.local"]')
    it.dev1 = it.x509("dev1")
    wait_for(lambda: it.edge.mqtt("dev1", **it.dev1).close() is None, "the gateway")
    for name in ("edgegateway.local", "10.55.0.1", "gw2.local"):
        assert proves(name), name
    assert not proves("10.55.0.2") and not proves("auto")


def test_01_address_changes():
    """an address that comes is in the certificate soon, one that goes is not; meanwhile nobody is disconnected, and no message is lost"""
    need_network()
    sender = Sender()
    wait_for(lambda: sender.n > 20, "messages")
    for new, old in (("10.55.0.2", "10.55.0.1"), ("2001:db8::7", "10.55.0.2"), ("10.55.0.1", "2001:db8::7")):
        before = sender.n
        ip("addr", "add", new + ("/64" if ":" in new else "/32"), "dev", "re0", *(("nodad",) if ":" in new else ()))
        ip("addr", "del", old + ("/64" if ":" in old else "/32"), "dev", "re0")
        wait_for(lambda: proves(new), "a certificate for " + new, 20)
        wait_for(lambda: not proves(old), "a certificate without " + old, 20)
        wait_for(lambda: sender.n > before + 20, "messages after it")
    sender.end()
    assert sender.problem is None, sender.problem
    wait_for(lambda: len(it.events("sender")) >= sender.n, "%d messages at the hub" % sender.n, 60)
    assert [int(e["properties"]["n"]) for e in it.events("sender")] == list(range(sender.n))
    assert proves("gw2.local")


def test_02_asked_in_vain():
    """a name that a client asks for and the certificate lacks is told once, with what to do; names that it has are not"""
    need_network()
    before = len(it.edge.log_text())
    for _ in range(3):
        assert not proves("plant7.local")
    assert proves("GW2.local")
    it.edge.sync_log()
    lines = [l for l in it.edge.log_text()[before:].splitlines() if "NAME_MISMATCH" in l]
    assert len(lines) == 1 and "plant7.local" in lines[0] and "[gateway] names" in lines[0] and '"level":"warn"' in lines[0], lines


def test_99_stop():
    """all end in order"""
    need_network()
    it.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
