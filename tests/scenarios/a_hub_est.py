#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The EST server inside the hub: a device that is known by thumbprint gets its certificates over the hub's own port, and the hub knows each of them before the device does."""
import calendar, os, re, signal, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_client import *

DAY = 86400
CONFIG = """
[issuer.plant]
certificate = "plant.pem"
key = "plant.key"
root = "root.pem"

[[label]]
profile = "device"
days = 30
bootstrap = "factory.pem"
bootstrap_may = ["dev-*"]

[[label]]
name = "first"
profile = "device"
bootstrap = "factory.pem"
bootstrap_may = ["dev-*"]
first_thumbprint = true

[[label]]
name = "servers"
profile = "server"
bootstrap = "factory.pem"
bootstrap_may = ["dev-*"]

[[label]]
name = "boot"
profile = "bootstrap"
bootstrap = "factory.pem"
bootstrap_may = ["dev-*"]
"""


class Plant:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.pki.make("intermediate", "plant CA", file="plant")
        run("rootedge", "cert", "root", "--name", "factory CA", "--days", 7300, "--out", self.folder / "factory.pem", "--key-out", self.folder / "factory.key")
        self.clock = self.folder / "clock"
        self.write(CONFIG)
        self.hub = HubOfLater(self.folder, self.pki, "contosoiothub.local", "--thumbprint-grace", 3600, "--est", self.folder / "est.toml", env={"ROOTEDGE_CLOCK_FILE": self.clock})
        self.ask = EstClient(self.folder, self.pki.root, self.hub.https_port, "contosoiothub.local")

    def write(self, config):
        with open(self.folder / "est.toml", "w") as f:
            f.write(config)

    def jump(self, seconds):
        before = int(time.time())
        with open(self.clock, "w") as f:
            f.write(str(int(seconds)))
        wait_for(lambda: self.hub_time() >= before + seconds, "the hub to see the clock")

    def hub_time(self):
        body = self.hub.rest("GET", "/devices/nobody")[2]
        return calendar.timegm(time.strptime(re.search(r"TimeStamp:([0-9T:-]+)Z", body["ExceptionMessage"])[1], "%Y-%m-%dT%H:%M:%S"))

    def factory(self, id):
        return self.pki.make("device", id, "--days", 3650, issuer="factory", file="factory-" + id)

    def slots(self, id):
        found = self.hub.rest("GET", "/devices/" + id)[2]
        return found["authentication"]["x509Thumbprint"]

    def connect(self, id, cert):
        return self.hub.mqtt(id, cert=cert[0], key=cert[1])

    def refused(self, id, cert):
        try:
            self.connect(id, cert).close()
        except Refused as e:
            return e.code == 5
        return False

    def issued(self):
        done = run("rootedge", "ca", "issued", "--journal", os.path.join(self.hub.state, "est", "issued.db"), "--json", check=False)
        return [json.loads(line) for line in done.stdout.splitlines()]


it = None


def test_00_bootstrap():
    """a device that is registered by its factory certificate enrolls at the hub, and connects with what it gets at once; after the grace the factory's is none any more"""
    global it
    it = Plant()
    factory = it.factory("dev-1")
    it.hub.create_x509_device("dev-1", thumbprint(factory[0]))
    it.connect("dev-1", factory).close()
    cert = it.ask.keep(it.ask.enroll("dev-1", cert=factory), "dev-1")
    assert it.slots("dev-1") == {"primaryThumbprint": thumbprint(factory[0]), "secondaryThumbprint": thumbprint(cert[0])}, it.slots("dev-1")
    it.connect("dev-1", cert).close()
    wait_for(lambda: it.slots("dev-1")["primaryThumbprint"] == thumbprint(cert[0]), "the new one to be promoted")
    it.connect("dev-1", factory).close()  # in its grace
    it.jump(3700)
    wait_for(lambda: it.slots("dev-1")["secondaryThumbprint"] is None, "the factory's to be retired", 20)
    assert it.refused("dev-1", factory)


def test_01_a_year():
    """a year of renewals under a moved clock: the hub follows each thumbprint, the device is never without one that lets it in, and of all of them two at most do"""
    current, old = (it.folder / "dev-1.pem", it.folder / "dev-1.key"), []
    for n in range(1, 19):  # every 20 days, of 30
        it.jump(n * 20 * DAY)
        key = it.ask.make_key("dev-1-%d" % n)
        fresh = it.ask.keep(it.ask.enroll("dev-1", "", "simplereenroll", key=key, cert=current), "dev-1-%d" % n, key)
        if n == 9:
            it.hub.kill9()  # between the offer and the first use
            it.hub.start()
        it.connect("dev-1", fresh).close()
        wait_for(lambda: it.slots("dev-1")["primaryThumbprint"] == thumbprint(fresh[0]), "the promotion of %d" % n)
        old.append(current)
        current = fresh
    assert thumbprint(current[0]) == it.slots("dev-1")["primaryThumbprint"]
    for cert in old[:-1]:
        assert it.refused("dev-1", cert)
    assert len([e for e in it.issued() if e["requester"] == "dev-1"]) == 19


def test_02_the_same_again():
    """a request whose answer was lost gets the same certificate again, and the slots are as they were"""
    factory = it.factory("dev-2")
    it.hub.create_x509_device("dev-2", thumbprint(factory[0]))
    csr = make_csr("dev-2", it.ask.make_key("dev-2"))
    first = it.ask.enroll("", csr=csr, cert=factory)
    before = it.slots("dev-2")
    assert it.ask.enroll("", csr=csr, cert=factory).body == first.body and it.slots("dev-2") == before
    # another request takes the place of the one that was never used
    other = it.ask.keep(it.ask.enroll("dev-2", cert=factory, key=it.ask.make_key("dev-2-b")), "dev-2-b")
    assert it.slots("dev-2") == {"primaryThumbprint": thumbprint(factory[0]), "secondaryThumbprint": thumbprint(other[0])}
    assert it.refused("dev-2", it.ask.keep(first, "dev-2"))
    it.connect("dev-2", other).close()


def test_03_others():
    """of a device that is known by keys or by a CA nothing changes, and one that the hub doesn't know is let in by no certificate of EST; servers and bootstrap certificates are no devices"""
    key = it.hub.create_device("dev-3")["authentication"]
    cert = it.ask.keep(it.ask.enroll("dev-3", cert=it.factory("dev-3")), "dev-3")
    assert it.hub.rest("GET", "/devices/dev-3")[2]["authentication"] == key and it.refused("dev-3", cert)
    cert = it.ask.keep(it.ask.enroll("dev-4", cert=it.factory("dev-4")), "dev-4")
    assert it.refused("dev-4", cert)
    factory = it.factory("dev-5")
    it.hub.create_x509_device("dev-5", thumbprint(factory[0]))
    for label in "servers", "boot":
        it.ask.keep(it.ask.enroll("dev-5", label, cert=factory, key=it.ask.make_key("dev-5-" + label)), "dev-5-" + label)
    assert it.slots("dev-5")["secondaryThumbprint"] is None


def test_03_first():
    """a device that is registered without authentication is known by its first certificate where the label says so, and by none elsewhere; a second one rotates as ever"""
    it.hub.create_device("dev-7", {"type": "none"})
    cert = it.ask.keep(it.ask.enroll("dev-7", cert=it.factory("dev-7")), "dev-7")
    assert it.hub.rest("GET", "/devices/dev-7")[2]["authentication"]["type"] == "none" and it.refused("dev-7", cert)
    factory = it.folder / "factory-dev-7.pem", it.folder / "factory-dev-7.key"
    first = it.ask.keep(it.ask.enroll("dev-7", "first", cert=factory, key=it.ask.make_key("dev-7-first")), "dev-7-first")
    assert it.slots("dev-7") == {"primaryThumbprint": thumbprint(first[0]), "secondaryThumbprint": None}
    it.connect("dev-7", first).close()
    next = it.ask.keep(it.ask.enroll("dev-7", "first", "simplereenroll", cert=first, key=it.ask.make_key("dev-7-next")), "dev-7-next")
    assert it.slots("dev-7") == {"primaryThumbprint": thumbprint(first[0]), "secondaryThumbprint": thumbprint(next[0])}
    key = it.hub.create_device("dev-8")["authentication"]
    it.ask.keep(it.ask.enroll("dev-8", "first", cert=it.factory("dev-8")), "dev-8")
    assert it.hub.rest("GET", "/devices/dev-8")[2]["authentication"] == key


def test_04_beside_the_hub():
    """the hub's own requests go on beside it, and EST has its ceilings there too"""
    assert it.hub.rest("GET", "/devices/dev-1")[0] == 200
    assert len(it.ask.curl("/cacerts").certs()) == 2
    assert it.ask.curl("/simpleenroll", body=b"A" * 70000, cert=it.factory("dev-6")).status == 413
    refused(it.ask.curl("/nothing"), 404)
    refused(it.ask.enroll("pump", cert=it.factory("pump")), 403, "pump")
    refused(it.ask.enroll("dev-6"), 403, "EST_NO_CREDENTIALS")


def test_05_reload():
    """SIGHUP takes the changed configuration of EST; one that is wrong ends no hub that runs, and starts none"""
    it.write(CONFIG + '\n[[label]]\nname = "late"\nprofile = "device"\n')
    os.kill(it.hub.process.pid, signal.SIGHUP)
    wait_for(lambda: it.ask.curl("/late/cacerts").status == 200, "the new label")
    it.write("rubbish")
    os.kill(it.hub.process.pid, signal.SIGHUP)
    wait_for(lambda: "the configuration of EST that was in use stays" in it.hub.log_text(), "a word about it")
    assert it.ask.curl("/late/cacerts").status == 200
    assert it.hub.stop() == 0
    done = run("rootedge", "hub", *it.hub.args, check=False)
    assert done.returncode == 1 and "EST" in done.stderr, done
    it.folder.__exit__()


run_all()
