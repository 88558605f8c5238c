#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A root follows another and nobody carries it: the hub and five edge devices follow what `rootedge trust` announces and retires, one of them after it was off, two without a gateway, one below another; what a server tells without right changes nothing."""
import json, os, shutil, signal, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_server import EstServer

HOST, NEW = "contosoiothub.local", "plant root 2"
EST = """
[issuer.line]
certificate = "line.pem"
key = "line.key"
trust = "trust"

[[label]]
profile = "device"
passwords = true
bootstrap = "factory.pem"
bootstrap_may = ["EstEdge"]
"""
EST_IDENTITY = """identity_cert = { method = "est", bootstrap_identity_cert = "file://%s", bootstrap_identity_pk = "file://%s" }"""


class Site:
    def __init__(self):
        self.folder = Folder()
        self.pki, self.trust = Pki(self.folder), self.folder / "trust"
        self.old = self.folder / "old-root.pem"
        shutil.copy(self.pki.root, self.old)
        shutil.copy(self.folder / "root.key", self.folder / "old-root.key")
        self.pki.make("intermediate", "line CA", file="line")
        self.verb("init", self.old)
        run("rootedge", "cert", "root", "--name", "factory CA", "--out", self.folder / "factory.pem", "--key-out", self.folder / "factory.key")
        with open(self.folder / "est.toml", "w") as f:
            f.write(EST)
        self.hub = Hub(self.folder, self.pki, HOST, "--est", self.folder / "est.toml")
        self.string = run("rootedge", "hub", "connection-string", "--state", self.hub.state).stdout.strip().replace(HOST, "%s:%d" % (HOST, self.hub.https_port), 1)
        self.tool("ca", "create", "--name", "plant", "--path", self.old, "--verified")
        self.source = "https://127.0.0.1:%d/.well-known/est" % self.hub.https_port
        self.edge, self.late = self.make_edge("EdgeGateway"), self.make_edge("LateGateway")
        self.plain = self.make_edge("PlainEdge", gateway="enabled = false")
        self.est_edge, self.lower = self.make_est_edge(), self.make_lower()
        for id, edge in (("leaf1", self.edge), ("leaf2", self.edge), ("leaf3", self.lower), ("leaf4", self.lower)):
            edge.create_child(id, {"type": "certificateAuthority"})

    def make_est_edge(self):
        """One that has its identity from our EST server, and no gateway; known to the hub by the CA."""
        factory = self.pki.make("device", "serial 4711", issuer="factory", file="bootstrap")
        if os.getuid() == 0:
            os.chown(factory[1], 61840, 61840)
        return self.make_edge("EstEdge", gateway="enabled = false", identity=EST_IDENTITY % factory, more='[cert_issuance.est]\ntrusted_certs = ["file://%s"]\n[cert_issuance.est.urls]\ndefault = "%s"\n' % (self.old, self.source))

    def make_lower(self):
        """An edge device below the first: it knows the hub through that one, and the EST server itself."""
        below = SubFolder(self.folder, "below")
        shutil.copy(self.edge.trust_bundle(), below / "trust.pem")
        return Edge(below, self.hub, "LowerGateway", hostname="lower.local", parent=self.edge, changes={"trust_bundle_cert": '"file://%s"' % (below / "trust.pem")}, config='[trust]\nsource = "%s"\ninterval_sec = 1\n' % self.source)

    def make_edge(self, id, source=None, gateway="", more="", **how):
        return Edge(self.folder, self.hub, id, gateway=gateway, changes={"trust_bundle_cert": '"file://%s"' % self.old}, config='[trust]\nsource = "%s"\ninterval_sec = 1\n' % (source or self.source) + more, **how)

    def env(self):
        return dict(os.environ, ROOTEDGE_HUB=self.string, ROOTEDGE_CA=self.pki.root, ROOTEDGE_CONNECT_TO="127.0.0.1")

    def tool(self, noun, verb, *args):
        return run("rootedge", "hub", noun, verb, *args, env=self.env())

    def verb(self, verb, *args, check=True, hub=False):
        return run("rootedge", "trust", verb, *args, "--dir", self.trust, check=check, env=self.env() if hub else None)

    def missing(self):
        return json.loads(self.verb("status", "--json", "--except", "leaf*", check=False, hub=True).stdout)["missing"]

    def missing_at_est(self):
        """Whom the EST server alone knows to have no other root yet."""
        return json.loads(self.verb("status", "--json", "--est", os.path.join(self.hub.state, "est"), check=False).stdout)["missing"]

    def cas(self):
        return sorted("CN=" + c["properties"]["subject"].replace("CN=", "") for c in self.hub.rest("GET", "/certificates")[2]["value"] if c["properties"]["isVerified"])

    def told(self, edge):
        """What stands in the twin of its $edgeHub."""
        return self.hub.rest("GET", "/twins/%s/modules/$edgeHub" % edge.device)[2]["properties"]["reported"].get("trust", {}).get("roots")

    def told_by_device(self):
        """What stands in the twin of the one without a gateway."""
        return self.hub.rest("GET", "/twins/PlainEdge")[2]["properties"]["reported"].get("trust", {}).get("roots")

    def lower_holds(self, *roots):
        """Does it say so at the hub, of these two?"""
        told = self.told(self.lower) or []
        return [root in told for root in (self.first, self.second)] == [root in roots for root in (self.first, self.second)]

    def modules_trust(self, edge, *roots):
        """Does the workload API give these, and the Edge CA, and nothing else?"""
        path = next(os.path.join(where, "edgeHub.sock") for where, _, names in os.walk(edge.state) if "edgeHub.sock" in names)
        bundle = unix_http(path, "GET", "/trust-bundle?api-version=2019-01-30")[2]["certificate"]
        return bundle.count("BEGIN") == len(roots) + 1 and all(open(root).read().strip() in bundle for root in roots)

    def serve(self, *chain, ends=True):
        """The hub's certificate under the new root; those who are connected have to come back, unless it goes on."""
        run("rootedge", "cert", "server", HOST, "--san", "127.0.0.1", "--san", "localhost", "--issuer", self.new + ".cert.pem", "--issuer-key", self.new + ".key.pem", "--key", self.folder / "hub.key",
            "--out", self.folder / "hub.pem", "--force")
        with open(self.folder / "hub.pem", "a") as f:
            f.write("".join(chain))
        if ends:
            self.hub.kill9()
            self.hub.start()
        else:
            self.hub.process.send_signal(signal.SIGHUP)
            shown = lambda: run("rootedge", "cert", "fingerprint", "mqtts://%s:%d" % (HOST, self.hub.mqtt_port), "--connect-to", "127.0.0.1").stdout
            wait_for(lambda: shown() == run("rootedge", "cert", "fingerprint", self.folder / "hub.pem").stdout, "the hub to show its new certificate")

    def leaf(self, id, root):
        """A certificate that this root itself has issued."""
        cert, key = self.pki.make("device", id, issuer=os.path.basename(root)[:-4], file="%s-%s" % (id, os.path.basename(root)[:-4]))
        return {"cert": cert, "key": key}

    def lets_in(self, connect, *args, **kw):
        try:
            connect(*args, **kw).close()
            return True
        except (OSError, Refused):
            return False

    def enters(self, id, edge=None, **kw):
        def connect():
            try:
                return (edge or self.edge).mqtt(id, **kw)
            except (OSError, Refused):
                return None
        return wait_for(connect, "the gateway to let %s in" % id, 30)

    def arrives(self, id, word, edge=None, **kw):
        with self.enters(id, edge, **kw) as m:
            self.sends(m, id, word)

    def sends(self, m, id, word):
        m.publish("devices/%s/messages/events/" % id, word.encode())
        wait_for(lambda: any(word in json.dumps(e) for e in self.hub.events()), "'%s' to arrive" % word, 30)


it = None


def digest(path):
    return run("rootedge", "cert", "fingerprint", "--plain", path).stdout.strip()


def test_01_begin():
    """all edge devices hold the one root, and leaves of it are let in, also two levels below the hub; then one of them is switched off"""
    global it
    it = Site()
    it.first = digest(it.old)
    wait_for(lambda: it.told(it.edge) == [it.first] == it.told(it.late), "both gateways to say what they hold", 30)
    wait_for(lambda: it.told_by_device() == [it.first], "the edge device without a gateway to say it itself", 30)
    it.old_leaf = it.leaf("leaf1", it.old)
    it.arrives("leaf1", "before", **it.old_leaf)
    wait_for(lambda: it.missing() == [], "the edge device without a gateway that enrols, too")
    assert it.cas() == ["CN=my_private_root_CA"]
    it.below = it.enters("leaf3", it.lower, **it.leaf("leaf3", it.old))
    it.sends(it.below, "leaf3", "before, two levels below")
    assert it.late.stop() == 0


def test_02_announced():
    """another root is announced: the hub registers it, the edge device takes it, tells that, and its modules get it, without a start of anything; a leaf that it has issued is let in at once, by hub and gateway"""
    pids = {role: it.edge.role(role) for role in ("certd", "identityd", "gateway", "edged")}
    os.kill(it.lower.role("certd"), signal.SIGSTOP)
    it.verb("rotate", NEW, "--key", it.folder / "old-root.key")
    it.new = os.path.join(it.trust, "plant-root-2")
    it.second = digest(it.new + ".cert.pem")
    for end, to in ((".cert.pem", ".pem"), (".key.pem", ".key")):
        shutil.copy(it.new + end, it.folder / ("new-root" + to))
    wait_for(lambda: it.told(it.edge) == [it.first, it.second], "the gateway to hold both", 30)
    wait_for(lambda: it.missing() == ["LateGateway", "LowerGateway"], "who is off, and the lower one that has not heard of it, to be all who are missing, also of those without a gateway")
    os.kill(it.lower.role("certd"), signal.SIGCONT)
    wait_for(lambda: it.missing() == ["LateGateway"] and it.lower_holds(it.first, it.second), "the lower one to follow, and to say so through the one above it")
    it.sends(it.below, "leaf3", "on the same session, two levels below")
    assert it.told_by_device() == [it.first, it.second]
    wait_for(lambda: it.missing_at_est() == [], "the edge device that enrols with the EST server to tell it what it holds, with the EST identity that it has")
    assert it.est_edge.stop() == 0
    assert it.modules_trust(it.edge, it.old, it.new + ".cert.pem")
    wait_for(lambda: it.cas() == ["CN=my_private_root_CA", "CN=" + NEW], "the hub to register the new root")
    it.new_leaf = it.leaf("leaf2", it.folder / "new-root.pem")
    assert it.lets_in(it.hub.mqtt, "leaf2", **it.new_leaf), "the hub lets in what the new root has issued"
    it.arrives("leaf2", "new below the gateway", **it.new_leaf)
    it.below_new = it.enters("leaf4", it.lower, **it.leaf("leaf4", it.folder / "new-root.pem"))
    it.sends(it.below_new, "leaf4", "new, two levels below")
    assert pids == {role: it.edge.role(role) for role in pids}, "nothing was started again"
    said = it.edge.log_text()
    assert "CN=%s" % NEW in said and "trusted from now on: a root that is trusted has signed it" in said


def test_03_active():
    """the hub's certificate is of the new root: who holds it goes on, and who was off comes back with the old one alone, follows, and is waited for no longer"""
    it.verb("activate")
    it.serve(it.verb("export", "--cross").stdout)
    it.arrives("leaf1", "active", **it.old_leaf)
    it.sends(it.below, "leaf3", "active, two levels below")
    assert it.verb("retire", "--except", "leaf*", check=False, hub=True).returncode == 1, "one is missing"
    it.late.start()
    wait_for(lambda: it.told(it.late) == [it.first, it.second], "the one that was off to hold both", 30)
    wait_for(lambda: it.missing() == [], "nobody to be missing")


def test_04_retired():
    """the old root retires: hub and edge devices let it go, nothing that it has issued is let in any more, and a start with the operator's old bundle does not bring it back"""
    with it.edge.mqtt("leaf1", **it.old_leaf):
        it.verb("retire", "--except", "leaf*", hub=True)
        wait_for(lambda: it.told(it.edge) == [it.second] == it.told(it.late), "both gateways to hold the new root alone", 30)
        wait_for(lambda: it.told_by_device() == [it.second], "the one without a gateway, too", 30)
        wait_for(lambda: it.lower_holds(it.second), "the lower one, too", 30)
    assert it.plain.stop() == 0
    assert it.cas() == ["CN=" + NEW] and it.modules_trust(it.edge, it.new + ".cert.pem")
    assert not it.lets_in(it.hub.mqtt, "leaf1", **it.old_leaf)
    wait_for(lambda: not it.lets_in(it.edge.mqtt, "leaf1", **it.old_leaf), "the gateway to let nothing in that the old root has issued", 30)
    wait_for(lambda: not it.lets_in(it.lower.mqtt, "leaf3", **it.leaf("leaf3", it.old)), "the lower one, too", 30)
    it.below.close()
    it.sends(it.below_new, "leaf4", "on the same session, with the new root alone, two levels below")
    it.below_new.close()
    assert it.lower.stop() == 0
    it.serve(ends=False)
    shutil.copy(it.new + ".cert.pem", it.pki.root)
    it.edge.kill9()
    it.edge.start()
    assert it.modules_trust(it.edge, it.new + ".cert.pem") and open(it.old).read() != open(it.pki.root).read()
    it.arrives("leaf2", "retired", **it.new_leaf)
    assert it.told(it.edge) == [it.second]
    assert it.late.stop() == 0


def test_05_lies():
    """a server that tells of a root that nobody signed, sends 10 MB, a page, rubbish or nothing, changes nothing, and the log says what is wrong"""
    server = EstServer(it.folder)
    with open(it.edge.args[it.edge.args.index("--config") + 1]) as f:
        text = f.read()
    roots = it.folder / "lie-roots.pem"
    with open(roots, "w") as f:
        f.write(open(it.old).read() + open(server.tls_root.pem).read())
    with open(it.edge.args[it.edge.args.index("--config") + 1], "w") as f:
        f.write(text.replace(it.source, "https://127.0.0.1:%d/.well-known/est" % server.port).replace("file://%s" % it.old, "file://%s" % roots))
    assert it.edge.stop() == 0
    it.edge.start()
    line = os.path.join(it.edge.state, "certd", "roots", "line.json")
    before = open(line).read()
    held = sorted((it.second, digest(server.tls_root.pem)))
    for lie, words in ((None, "CN=EST root (SHA-256 %s) is shown as a root, and no root that is trusted has signed it"), ("cas_huge", "the roots stay as they are"), ("cas_html", "text/html"),
                       ("cas_garbage", "what can't be read"), ("cas_busy", "503")):
        server.lie = lie
        at = len(it.edge.log_text())
        words = words % run("rootedge", "cert", "fingerprint", server.ca.pem).stdout.strip() if "%s" in words else words
        wait_for(lambda: "the roots stay as they are" in it.edge.log_text()[at if lie else 0:] and words in it.edge.log_text()[at if lie else 0:], "'%s' to be said (%s)" % (words, lie), 30)
        wait_for(lambda: sorted(it.told(it.edge)) == held, "the gateway to hold what it held", 30)
        assert open(line).read() == before
    server.stop()
    assert it.edge.stop() == 0 and it.hub.stop() == 0
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
