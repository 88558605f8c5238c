#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A root follows another below a gateway: it tells the hub which roots it trusts, takes a new bundle over, and its devices' messages go on arriving while the hub's certificate changes its root."""
import json, os, shutil, signal, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

HOST = "contosoiothub.local"


class Site:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.bundle, self.trust = self.folder / "edge-roots.pem", self.folder / "trust"
        shutil.copy(self.pki.root, self.bundle)
        self.verb("init", self.pki.root)
        self.hub = Hub(self.folder, self.pki, HOST)
        self.edge = Edge(self.folder, self.hub, changes={"trust_bundle_cert": '"file://%s"' % self.bundle})
        cert = self.pki.make("device", "leaf1")
        self.edge.create_x509_child("leaf1", thumbprint(cert[0]))
        self.leaf = dict(zip(("cert", "key"), cert))
        cert = self.pki.make("device", "leaf2")
        self.edge.create_x509_child("leaf2", thumbprint(cert[0]))
        self.leaf2 = dict(zip(("cert", "key"), cert))
        self.string = run("rootedge", "hub", "connection-string", "--state", self.hub.state).stdout.strip().replace(HOST, "%s:%d" % (HOST, self.hub.https_port), 1)

    def verb(self, verb, *args, check=True, hub=False):
        env = dict(os.environ)
        if hub:
            env.update(ROOTEDGE_HUB=self.string, ROOTEDGE_CA=self.pki.root, ROOTEDGE_CONNECT_TO="127.0.0.1")
        return run("rootedge", "trust", verb, *args, "--dir", self.trust, check=check, env=env)

    def missing(self):
        return json.loads(self.verb("status", "--json", "--except", "leaf*", check=False, hub=True).stdout)["missing"]

    def told(self):
        """What stands in the twin of $edgeHub."""
        return self.hub.rest("GET", "/twins/EdgeGateway/modules/$edgeHub")[2]["properties"]["reported"].get("trust", {}).get("roots")

    def modules_trust(self, *roots):
        """Does the workload API give these, and the Edge CA, and nothing else?"""
        path = next(os.path.join(where, "edgeHub.sock") for where, _, names in os.walk(self.edge.state) if "edgeHub.sock" in names)
        bundle = unix_http(path, "GET", "/trust-bundle?api-version=2019-01-30")[2]["certificate"]
        return bundle.count("BEGIN") == len(roots) + 1 and all(open(root).read().strip() in bundle for root in roots)

    def give(self):
        """The operator puts the bundle where trust_bundle_cert points to, and has the configuration read again."""
        run("rootedge", "trust", "export", "--dir", self.trust, "--out", self.bundle)
        self.take_over()

    def take_over(self):
        """The configuration is read again: the gateway goes on, and takes another bundle over while it does."""
        gateway, at = self.edge.role("gateway"), len(self.edge.log_text())
        self.edge.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "the hub is trusted by other roots from now on" in self.edge.log_text()[at:], "the gateway with the new roots", 30)
        assert self.edge.role("gateway") == gateway

    def lines(self):
        """How often the hub let the gateway in on behalf of leaf2, since it was started."""
        self.hub.sync_log()
        return sum(v["accepted"] and v["peer"] == "leaf2" for v in Service.events(self.hub))

    def serve(self, root, chain=""):
        """The hub's certificate under this root; the hub goes on."""
        run("rootedge", "cert", "server", HOST, "--san", "127.0.0.1", "--san", "localhost", "--issuer", root + ".pem" if os.path.exists(root + ".pem") else root + ".cert.pem", "--issuer-key",
            root + ".key" if os.path.exists(root + ".key") else root + ".key.pem", "--key", self.folder / "hub.key", "--out", self.folder / "hub.pem", "--force")
        with open(self.folder / "hub.pem", "a") as f:
            f.write(chain)
        self.hub.kill9()
        self.hub.start()

    def has(self, word):
        return any(e.get("body") == word or word in json.dumps(e) for e in self.hub.events())

    def says(self, word):
        """On the connection that leaf2 has had all the time."""
        self.stays.publish("devices/leaf2/messages/events/", word.encode())
        wait_for(lambda: self.has(word), "'%s' to arrive" % word, 60)

    def arrives(self, word):
        def connect():
            try:
                return self.edge.mqtt("leaf1", **self.leaf)
            except (OSError, Refused):
                return None
        with wait_for(connect, "the gateway to let leaf1 in", 30) as m:
            m.publish("devices/leaf1/messages/events/", word.encode())
        wait_for(lambda: self.has(word), "'%s' to arrive" % word, 60)


it = None


def test_01_told():
    """the gateway reports which roots it trusts in the twin of its $edgeHub"""
    global it
    it = Site()
    first = run("rootedge", "cert", "fingerprint", "--plain", it.pki.root).stdout.strip()
    wait_for(lambda: it.told() == [first], "the gateway to say what it holds", 30)
    assert it.missing() == []


def test_02_rollover():
    """a root is announced, given to the edge device, activated and retired: the gateway is waited for until it holds the new one, modules get it, and messages arrive through all of it"""
    it.arrives("before")
    it.stays = it.edge.mqtt("leaf2", **it.leaf2)
    it.verb("rotate", "plant root 2", "--key", it.folder / "root.key")
    assert it.missing() == ["EdgeGateway"]
    it.says("leaf2 before")
    n = it.lines()
    assert n > 0
    it.give()
    wait_for(lambda: it.missing() == [], "the gateway to hold the new root", 30)
    it.says("leaf2 announced")
    assert it.lines() == n, "lines to a hub that is trusted as before were made again"
    assert len(it.told()) == 2 and it.modules_trust(it.pki.root, os.path.join(it.trust, "plant-root-2.cert.pem"))
    it.arrives("announced")
    it.verb("activate")
    new = os.path.join(it.trust, "plant-root-2")
    it.serve(new, it.verb("export", "--cross").stdout)
    it.arrives("active")
    done = it.verb("retire", check=False, hub=True)
    assert done.returncode == 1 and done.stdout.split() == ["leaf1", "leaf2"], done
    it.verb("retire", "--except", "leaf*", hub=True)
    it.give()
    it.serve(new)
    assert it.modules_trust(new + ".cert.pem")
    it.arrives("retired")
    shutil.copy(new + ".cert.pem", it.pki.root)
    second = run("rootedge", "cert", "fingerprint", "--plain", new + ".cert.pem").stdout.strip()
    wait_for(lambda: it.told() == [second], "the gateway to hold the new root alone", 30)
    it.says("leaf2 retired")


def test_03_root_leaves():
    """the hub's root leaves the bundle: lines to it end at once, sessions of devices live on and their messages wait; it comes back, and they arrive"""
    run("rootedge", "cert", "root", "--name", "stranger", "--out", it.folder / "stranger.pem", "--key-out", it.folder / "stranger.key")
    shutil.copy(it.bundle, it.folder / "kept.pem")
    shutil.copy(it.folder / "stranger.pem", it.bundle)
    at = len(it.edge.log_text())
    it.take_over()
    wait_for(lambda: "the server is not trusted any more" in it.edge.log_text()[at:], "the end of lines", 30)
    it.stays.publish("devices/leaf2/messages/events/", b"leaf2 while it is gone")
    wait_for(lambda: "CHAIN_" in it.edge.log_text()[at:] or "TRUST_" in it.edge.log_text()[at:], "the verdict about the hub", 30)
    assert not it.has("leaf2 while it is gone")
    shutil.copy(it.folder / "kept.pem", it.bundle)
    it.take_over()
    wait_for(lambda: it.has("leaf2 while it is gone"), "the message", 60)
    it.says("leaf2 at the end")
    it.stays.close()
    assert it.edge.stop() == 0 and it.hub.stop() == 0
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
