#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One root follows another while devices are away: announced, active, retired when everybody holds it.  Each device is a key, a certificate from the hub's EST server, and the roots that it holds, by
which it judges the hub in TLS like any client.  DEVICES=1000 OFFLINE=100 for the long form."""
import base64, http.client, json, os, random, re, shutil, signal, socket, ssl, stat, sys, time
from concurrent.futures import ThreadPoolExecutor
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_client import lines64, make_csr, openssl

DEVICES, OFFLINE = int(os.environ.get("DEVICES", "20")), int(os.environ.get("OFFLINE", "2"))
HOST, NEW = "contosoiothub.local", "plant root 2"
CONFIG = """
[issuer.line]
certificate = "line.pem"
key = "line.key"
trust = "trust"

[issuer.else]
certificate = "else.pem"
key = "else.key"

[[label]]
profile = "device"
issuer = "line"
passwords = true

[[label]]
name = "else"
profile = "device"
issuer = "else"
passwords = true
"""


class Device:
    """What a device has: files, and nothing that it was not given over a connection whose server it had judged."""

    def __init__(self, site, id):
        self.site, self.id = site, id
        self.key, self.cert, self.roots = (site.folder / ("devices/%s.%s" % (id, end)) for end in ("key", "pem", "roots"))

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.roots)
        if os.path.exists(self.cert):
            context.load_cert_chain(self.cert, self.key)
        return context

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPSConnection(HOST, self.site.hub.https_port, context=self.context(), timeout=60 * SLOW)
        raw = socket.create_connection(("127.0.0.1", self.site.hub.https_port), timeout=60 * SLOW)
        connection.sock = connection._context.wrap_socket(raw, server_hostname=HOST)
        connection.request(method, "/.well-known/est/" + path, body, headers or {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, (self.id, path, answer.status, body)
        return openssl("pkcs7", "-inform", "DER", "-print_certs", input=base64.b64decode(body)).decode()

    def begin(self, label=""):
        """Made at the factory: the root of its time, a key, and a first certificate."""
        shutil.copy(self.site.first_root, self.roots)
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.key)
        authorization = {"Authorization": "Basic " + base64.b64encode(b"line:correct horse").decode(), "Content-Type": "application/pkcs10"}
        said = self.ask("POST", label + "simpleenroll", lines64(make_csr(self.id, self.key)), authorization)
        with open(self.cert, "w") as f:
            f.write(blocks(said)[0][1])

    def fetch(self):
        """RFC 7030 4.1: what signed itself among the CA certificates is trusted from now on, and nothing else."""
        roots = [pem for (subject, issuer), pem in blocks(self.ask("GET", "cacerts")) if subject == issuer]
        assert roots
        with open(self.roots, "w") as f:
            f.write("".join(roots))

    def fetch_by_tool(self):
        """The same for who has a shell."""
        run("rootedge", "est", "cacerts", "https://%s:%d/.well-known/est" % (HOST, self.site.hub.https_port), "--connect-to", "127.0.0.1", "--ca", self.roots, "--cert", self.cert, "--key", self.key, "--roots",
            "--out", self.roots)

    def connects(self):
        """Does it trust the hub, and does the hub let it in?"""
        try:
            Mqtt(self.site.hub.mqtt_port, context=self.context(), name=HOST, client_id=self.id, user=username(HOST, self.id)).close()
            return True
        except ssl.SSLCertVerificationError:
            return False

    def holds(self):
        with open(self.roots) as f:
            return f.read().count("BEGIN")


def blocks(text):
    return [((subject, issuer), pem) for subject, issuer, pem in re.findall(r"subject=([^\n]*)\n+issuer=([^\n]*)\n+(-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n)", text, re.S)]


class Site:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.trust = self.folder / "trust"
        self.first_root = self.folder / "first-root.pem"
        shutil.copy(self.pki.root, self.first_root)
        os.mkdir(self.folder / "devices")
        self.pki.make("intermediate", "line CA", file="line")
        shutil.copy(self.folder / "line.pem", self.folder / "known.pem")
        self.verb("init", self.pki.root)
        run("rootedge", "cert", "root", "--name", "somebody else", "--out", self.folder / "else.pem", "--key-out", self.folder / "else.key")
        with open(self.folder / "est.toml", "w") as f:
            f.write(CONFIG)
        self.hub = Hub(self.folder, self.pki, HOST, "--est", self.folder / "est.toml", "--device-ca", self.folder / "known.pem")
        run("rootedge", "est", "user", "line", "--may", "pump-*", "--state", self.est, input="correct horse\n")
        with open(self.folder / "hub.string", "w") as f:
            f.write(run("rootedge", "hub", "connection-string", "--state", self.hub.state).stdout.strip())
        self.devices = [Device(self, "pump-%04d" % n) for n in range(DEVICES)]
        self.away = random.Random(7).sample(self.devices, OFFLINE)

    @property
    def est(self):
        return os.path.join(self.hub.state, "est")

    def verb(self, verb, *args, check=True, hub=False):
        env = dict(os.environ)
        if hub:
            with open(self.folder / "hub.string") as f:
                string = f.read().replace(HOST, "%s:%d" % (HOST, self.hub.https_port), 1)
            env.update(ROOTEDGE_HUB=string, ROOTEDGE_CA=self.pki.root, ROOTEDGE_CONNECT_TO="127.0.0.1")
        return run("rootedge", "trust", verb, *args, "--dir", self.trust, check=check, env=env)

    def status(self, *args, hub=True):
        done = self.verb("status", "--est", self.est, "--json", *args, check=False, hub=hub)
        said = json.loads(done.stdout)
        assert done.returncode == (1 if said["missing"] else 0), done
        return said

    def missing(self, *args):
        return self.status(*args)["missing"]

    def each(self, devices, what):
        """All of them at the same time, as they would be."""
        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(what, devices))

    def present(self):
        return [d for d in self.devices if d not in self.away]

    def serve(self, issuer, issuer_key, *chain):
        """The hub's certificate under another root, with what stands between, and no restart."""
        run("rootedge", "cert", "server", HOST, "--san", "127.0.0.1", "--san", "localhost", "--issuer", issuer, "--issuer-key", issuer_key, "--key", self.folder / "hub.key", "--out",
            self.folder / "hub.pem", "--force")
        with open(self.folder / "hub.pem", "a") as f:
            f.write("".join(chain))
        self.hub.process.send_signal(signal.SIGHUP)
        wait_for(self.shows_it, "the hub to show its new certificate")

    def shows_it(self):
        shown = run("rootedge", "cert", "fingerprint", "mqtts://%s:%d" % (HOST, self.hub.mqtt_port), "--connect-to", "127.0.0.1").stdout
        return shown == run("rootedge", "cert", "fingerprint", self.folder / "hub.pem").stdout

    def report(self, device, roots, key=None, **kw):
        """A plain device that knows no EST says in its twin what it holds."""
        if key:
            kw.update(password=self.hub.device_token(device, key))
        with Mqtt(self.hub.mqtt_port, **dict({"ca": self.pki.root, "client_id": device, "user": username(HOST, device)}, **kw)) as m:
            m.send(subscribe_packet([("$iothub/twin/res/#", 0)]))
            m.receive()
            m.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", json.dumps({"trust": {"roots": roots}}).encode(), qos=0)
            while b"$iothub/twin/res/204" not in m.receive()[1]:
                pass


it = None


def test_01_begin():
    """devices get their certificates and trust the hub by the root of their time; the folder has one root, and all hold it once they have fetched it"""
    global it
    it = Site()
    began = time.monotonic()
    it.each(it.devices, Device.begin)
    for at in range(0, DEVICES, 100):
        some = [{"id": d.id, "importMode": "create", "status": "enabled", "authentication": {"type": "certificateAuthority"}} for d in it.devices[at:at + 100]]
        status, _, body = it.hub.rest("POST", "/devices", some)
        assert status == 200, (status, body)
    it.told = {id: it.hub.create_device(id)["authentication"]["symmetricKey"]["primaryKey"] for id in ("told-1", "told-2")}
    it.hub.create_device("broken-1", status="disabled")
    assert all(it.each(it.devices, Device.connects))
    print("# %d devices have begun after %.0f s" % (DEVICES, time.monotonic() - began))
    Device(it, "pump-of-else").begin("else/")
    assert len(it.missing()) == DEVICES + 2, "nobody has said anything yet; who is disabled, or has a certificate under another root, is not waited for"
    it.each(it.devices[:1], Device.fetch)
    wait_for(lambda: it.devices[0].id not in it.missing(), "the first to be known")
    assert run("rootedge", "trust", "export", "--dir", it.trust).stdout == open(it.pki.root).read()


def test_02_announced():
    """another root is announced: it is in /cacerts, signed crosswise, without a restart; those that are there fetch it and are known to hold it, those that are away are named"""
    taken = os.path.join(it.trust, "plant-root-2.cert.pem")
    shutil.copy(it.first_root, taken)
    done = it.verb("rotate", NEW, "--key", it.folder / "root.key", check=False)
    assert done.returncode == 1 and "is there already, of another CA, CN=my_private_root_CA" in done.stderr and open(taken).read() == open(it.first_root).read(), done
    os.remove(taken)
    done = it.verb("rotate", NEW, "--key", it.folder / "root.key", "--key-out", it.folder / "root.key", check=False)
    assert done.returncode == 1 and "is the key of CN=my_private_root_CA" in done.stderr and not os.path.exists(taken), done
    said = it.verb("rotate", NEW, "--key", it.folder / "root.key").stdout
    assert "CN=%s is announced beside CN=my_private_root_CA" % NEW in said, said
    assert "is announced already" in it.verb("rotate", "third", "--key", it.folder / "root.key", check=False).stderr
    probe = it.present()[0]
    wait_for(lambda: probe.ask("GET", "cacerts").count("BEGIN") == 5, "/cacerts to have both roots, and each signed by the other")
    names = [pair for pair, _ in blocks(probe.ask("GET", "cacerts"))]
    assert names.count(("CN = " + NEW, "CN = my_private_root_CA")) == 1 and names.count(("CN = my_private_root_CA", "CN = " + NEW)) == 1, names
    probe.ask("GET", "cacerts", headers={"x-rootedge-roots": "none"})
    for rubbish in ("", "zz", "00" * 31, ",".join(["00" * 32] * 65), it.first_root):
        it.away[0].ask("GET", "cacerts", headers={"x-rootedge-roots": rubbish})  # says nothing, and does not keep them either
    probe.fetch_by_tool()
    it.each(it.present()[1:], Device.fetch)
    assert all(d.holds() == 2 for d in it.present()) and all(d.holds() == 1 for d in it.away)
    away = sorted(d.id for d in it.away)
    wait_for(lambda: it.missing() == sorted(away + ["told-1", "told-2"]), "all that were there to be known", 60)
    new = json.loads(run("rootedge", "cert", "show", "--json", os.path.join(it.trust, "plant-root-2.cert.pem")).stdout)
    it.new = run("rootedge", "cert", "fingerprint", os.path.join(it.trust, "plant-root-2.cert.pem")).stdout.strip()
    assert new["subject"] == "CN=" + NEW
    it.report("told-1", ["00" * 32, it.new.lower()], key=it.told["told-1"])
    it.report("told-2", ["rubbish", 7, {"a": it.new}, it.new[:-2]], key=it.told["told-2"])
    wait_for(lambda: it.missing() == sorted(away + ["told-2"]), "the twin to be looked into")
    assert it.missing("--except", "told-*") == away
    said = it.verb("status", "--est", it.est, "--all", check=False).stdout
    assert "%d of %d hold CN=%s; not yet:" % (DEVICES - OFFLINE, DEVICES, NEW) in said and all("  " + id + "\n" in said for id in away), said


def test_03_active():
    """the new root issues from now on; who is still away trusts the hub all the same when he comes, by the new root signed with the old"""
    it.verb("activate")
    key = os.path.join(it.trust, "plant-root-2.key.pem")
    root = os.path.join(it.trust, "plant-root-2.cert.pem")
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    run("rootedge", "cert", "intermediate", "line CA", "--key", it.folder / "line.key", "--issuer", root, "--issuer-key", key, "--out", it.folder / "line.pem", "--force")
    it.serve(root, key, it.verb("export", "--cross").stdout)
    assert all(it.each(it.present(), Device.connects))
    behind = Device(it, "nobody")
    shutil.copy(it.first_root, behind.roots)
    it.serve(root, key)
    assert not it.each(it.away[:1], Device.connects)[0], "without the cross certificate it would not"
    it.serve(root, key, it.verb("export", "--cross").stdout)
    assert all(it.each(it.away[:1], Device.connects))


def test_04_refused():
    """the old root is not retired while somebody does not hold the new one: refused with the names, whoever is asked or nobody is"""
    away = sorted(d.id for d in it.away)
    before = it.verb("export").stdout
    done = it.verb("retire", "--est", it.est, "--all", check=False)
    assert done.returncode == 1 and done.stdout.split() == away and "%d of %d don't hold CN=%s yet" % (OFFLINE, DEVICES, NEW) in done.stderr, done
    done = it.verb("retire", "--hub", "HostName=127.0.0.1:1;SharedAccessKeyName=x;SharedAccessKey=eA==", "--ca", it.pki.root, check=False)
    assert done.returncode == 1 and "127.0.0.1" in done.stderr, done
    for args, part in (((), "who relies on the roots? --est DIR and --hub STRING tell"), (("--est", it.folder / "absent"), "is not there: is "),
                       (("--est", it.est, "--except", "*"), "nobody was found who relies on the roots")):
        done = it.verb("retire", *args, check=False)
        assert done.returncode == 1 and part in done.stderr, done
    assert it.verb("export").stdout == before and it.status()["generation"] == 3


def test_05_come_back():
    """those that were away come back with the old root alone: they trust the hub, fetch the new one, and are waited for no longer"""
    assert all(d.holds() == 1 for d in it.away)
    assert all(it.each(it.away, Device.connects))
    it.each(it.away[1:], Device.fetch)
    wait_for(lambda: it.missing("--except", "told-2") == [it.away[0].id], "all but one to be known", 60)
    assert it.verb("retire", "--est", it.est, check=False).returncode == 1, "one is enough"
    it.away[0].fetch()
    wait_for(lambda: it.missing() == ["told-2"], "the last one")
    it.hub.kill9()
    it.hub.start()
    assert it.missing() == ["told-2"], "what devices have said outlives the hub"
    assert all(d.holds() == 2 for d in it.devices)


def test_06_retired():
    """the old root is retired and leaves every bundle; no device loses its trust, and what was issued under the old root alone is trusted by none of them any more"""
    behind = Device(it, "pump-behind")
    shutil.copy(it.first_root, behind.roots)
    assert it.verb("retire", "--est", it.est, check=False, hub=True).returncode == 1, "told-2 said nothing of worth"
    done = it.verb("retire", "--est", it.est, "--except", "told-2", "--issuer", it.folder / "line.pem", "--issuer", it.folder / "known.pem", check=False, hub=True)
    assert done.returncode == 1 and "known.pem: CN=line CA stands under CN=my_private_root_CA still" in done.stderr, done
    said = it.verb("retire", "--est", it.est, "--except", "told-2", "--issuer", it.folder / "line.pem", hub=True).stdout
    assert "CN=my_private_root_CA is retired" in said and "No --issuer" not in said, said
    key, root = (os.path.join(it.trust, "plant-root-2." + end) for end in ("key.pem", "cert.pem"))
    assert it.verb("export").stdout == open(root).read() == open(os.path.join(it.trust, "bundle.pem")).read() and it.verb("export", "--cross").stdout == ""
    it.serve(root, key)
    wait_for(lambda: it.devices[0].ask("GET", "cacerts").count("BEGIN") == 2, "/cacerts to have the line CA and its root alone")
    began = time.monotonic()
    assert all(it.each(it.devices, Device.connects)), "none is lost"
    it.each(it.devices, Device.fetch)
    assert all(d.holds() == 1 for d in it.devices) and all(it.each(it.devices, Device.connects))
    print("# %d devices connected, fetched and connected again in %.0f s: none was lost" % (DEVICES, time.monotonic() - began))
    it.serve(it.pki.root, it.folder / "root.key")
    assert not any(it.each(it.devices, Device.connects)), "who retires a root is not trusted by it"
    it.serve(root, key)
    assert not it.each([behind], lambda d: d.connects())[0], "who never came would have been lost: that is what was waited for"


def test_07_renewed():
    """a device renews its certificate under the new root, and the next rotation begins; one that is forced says whom it leaves behind"""
    device = it.devices[0]
    shutil.copy(os.path.join(it.trust, "bundle.pem"), it.pki.root)  # its operator's tools trust what is to be trusted now
    said = device.ask("POST", "simplereenroll", lines64(make_csr(device.id, device.key)), {"Content-Type": "application/pkcs10"})
    with open(device.cert, "w") as f:
        f.write(blocks(said)[0][1])
    assert device.connects()
    openssl("verify", "-CAfile", os.path.join(it.trust, "bundle.pem"), "-untrusted", it.folder / "line.pem", device.cert)
    it.verb("rotate", "plant root 3")
    wait_for(lambda: device.ask("GET", "cacerts", headers={"x-rootedge-roots": "none"}).count("BEGIN") == 5, "/cacerts to have the third root")
    assert device.id in it.missing(), "who says that he keeps none of them does not hold them"
    edge = Device(it, "pump-edge")
    it.first_root = it.pki.root
    edge.begin()
    edge.fetch()
    wait_for(lambda: edge.id not in it.status(hub=False)["missing"], "the edge device to be known to the EST server")
    it.hub.create_device(edge.id, {"type": "certificateAuthority"}, capabilities={"iotEdge": True})
    assert edge.id in it.missing(), "what an edge device has fetched says nothing"
    third = run("rootedge", "cert", "fingerprint", os.path.join(it.trust, "plant-root-3.cert.pem")).stdout.strip()
    it.report(edge.id, [third], context=edge.context())
    wait_for(lambda: edge.id not in it.missing(), "what it says itself")
    it.verb("activate")
    done = it.verb("retire", "--force", "--est", it.est)
    assert "No --issuer was named" in done.stdout and "%d of %d did not hold CN=plant root 3" % (DEVICES, DEVICES + 1) in done.stdout and it.devices[0].id in done.stdout, done
    wait_for(lambda: "stands under CN=plant root 2, which is retired" in it.hub.log_text(), "the hub to say that its CA has no root any more")
    assert all(it.each(it.devices, Device.connects)), "it goes on with what it has"
    assert it.hub.stop() == 0
    it.hub.start()
    names = [pair for pair, _ in blocks(device.ask("GET", "cacerts", headers={"x-rootedge-roots": "none"}))]
    assert names == [("CN = line CA", "CN = plant root 2"), ("CN = plant root 3", "CN = plant root 3")], names
    assert it.hub.stop() == 0
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
