#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Renewals of the device's certificate and of an EST identity, cut at every step: identityd is killed before and after each change that it asks keyd and certd for, certd around each that it asks
keyd and the EST server for.  Whatever is left, the next start has a certificate and a key that belong together, goes on with what there is, and the hub or the server knows who it is."""
import os, shutil, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from site_of_provisioning import *
from est_server import EstServer, openssl
from identity_box import *
from z_kill9_renewal import Between

DAY, LIFE, STEP = 86400, 10, 8.5
folder = Folder()
clock = folder / "clock"


class Story:
    """One device that walks from renewal to renewal; what identityd asks keyd and certd for passes by here."""

    def __init__(self, site):
        self.site, self.days, self.log, self.plan, self.box = site, 0, [], None, None
        cert, key = site.pki.make("intermediate", "line 2 CA", "--days", "900", file="line2")
        with open(cert) as f:
            body = {"attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": f.read()}}}}, "iotHubs": [HOME]}
        assert site.service("PUT", "/enrollmentGroups/line-2", body)[0] == 200
        os.makedirs(folder / "box", exist_ok=True)
        for name, behind in (("keyd", "keyd-identityd.sock"), ("certd", "certd.sock")):
            Between(folder / ("between-%s.sock" % name), folder / ("box/" + behind), self.on_change)
        self.box = Box(folder, "box", [site.pki.root], keys={"local-ca": key}, certs={"local-ca": cert}, source="dps", hub_port=site.hub.https_port, auth="x509", make_device_certificate=True,
                       keyd=folder / "between-keyd.sock", certd=folder / "between-certd.sock", issuance={"device-id": {"method": "local_ca", "expiry_days": LIFE}},
                       dps={"global_endpoint": "https://localhost:%d" % site.hub.ready["provisioning_port"], "id_scope": site.hub.ready["id_scope"], "registration_id": "made-here"})
        self.box.is_device("made-here", HOME)

    def on_change(self, method, path, forward):
        if "device-id" not in path and not path.startswith(("/certificates", "/keypair")):
            return forward()
        step = len(self.log)
        self.log.append("%s %s" % (method, path.split("?")[0]))
        how, at = self.plan or ("", -1)
        if step != at:
            return forward()
        if how == "after":
            forward()
        self.box.identityd.process.kill()
        return None

    def walk(self):
        self.days += STEP
        fd = os.open(clock, os.O_WRONLY | os.O_CREAT, 0o644)
        os.truncate(fd, os.write(fd, b"%d\n" % int(self.days * DAY)))
        os.close(fd)

    def renewal(self):
        return self.box.ask("GET", "/renewals")[1]["renewals"][0]

    def thumbprints(self):
        token = sas(self.site.hub.hostname, self.site.hub.policy(), policy="iothubowner", encode=False, expires=int(time.time()) + 1000 * DAY)
        return set(self.site.hub.rest("GET", "/devices/made-here", headers={"Authorization": token})[2]["authentication"]["x509Thumbprint"].values())

    def renewed(self, before):
        def look():
            found = self.renewal()
            return found if found["sha256"] != before and found["status"] == "good" else None
        after = wait_for(look, "the renewal\n" + self.box.log()[-3000:], 60)
        assert after["sha256"] in self.thumbprints() and self.box.module("PUT")[0] == 200, after

    def cut(self, how, step):
        before = self.renewal()["sha256"]
        self.log.clear()
        self.plan = (how, step)
        self.walk()
        wait_for(lambda: self.box.identityd.process.poll() is not None, "identityd being killed at step %d: %s" % (step, self.log), 60)
        self.plan = None
        self.box.identityd.log.close()
        self.box.start()
        self.renewed(before)


def test_1_kill9():
    """identityd is killed before and after every change of a renewal: the next start goes on, the hub takes the device's certificate, and nothing is lost"""
    with open(clock, "w") as f:
        f.write("0\n")
    os.environ["ROOTEDGE_CLOCK_FILE"] = clock
    site = Site()
    story = Story(site)
    before = story.renewal()["sha256"]
    story.log.clear()
    story.walk()
    story.renewed(before)
    wait_for(lambda: any(line.startswith("DELETE") for line in story.log), "its last step", 20)
    log = list(story.log)
    assert len(log) >= 6 and log[0].startswith("POST /keypair"), log
    for step in range(len(log)):
        for how in ("before", "after"):
            try:
                story.cut(how, step)
            except BaseException as e:
                raise AssertionError("%s step %d of %s: %s" % (how, step, log, e))
    story.box.stop()
    site.hub.stop()


class EstStory:
    """keyd and certd with an EST identity that is due; certd is killed around each change that it asks keyd for, and each request to the EST server."""

    def __init__(self):
        self.folder, self.log, self.plan, self.certd = SubFolder(folder, "est"), [], None, None
        f = self.folder
        self.est = EstServer(f)
        self.est.days = LIFE
        answer = self.est.handle
        self.est.handle = lambda handler: self.around(lambda: answer(handler), "EST " + handler.path.rsplit("/", 1)[1]) if "simple" in handler.path else answer(handler)
        boot, key = self.est.bootstrap_ca.leaf("bootstrap", "/CN=bootstrap", ["extendedKeyUsage=clientAuth"])
        ids = {"identity_cert": "est-id", "identity_pk": "est-id", "bootstrap_identity_cert": "est-bootstrap-id", "bootstrap_identity_pk": "est-bootstrap-id"}
        for name, config in (
                ("keyd", {"dir": f / "state/keys", "preloaded_keys": {"est-bootstrap-id": key}, "principals": [{"name": "certd", "uid": os.getuid(), "ids": ["est-*"]}],
                          "sockets": [{"path": f / "keyd.sock", "principal": "certd"}]}),
                ("certd", {"dir": f / "state/certs", "socket": f / "certd.sock", "keyd": f / "between.sock", "preloaded_certs": {"est-bootstrap-id": boot, "est-server-ca-1": self.est.tls_root.pem},
                           "cert_issuance": {"est": {"urls": {"default": self.est.url}, "auth": ids, "trusted_certs": ["est-server-ca-1"]}, "device-id": {"method": "est"}},
                           "principals": [{"name": "me", "uid": os.getuid(), "ids": ["*"]}]})):
            with open(f / (name + ".json"), "w") as out:
                json.dump(config, out)
        os.makedirs(f / "state")
        Between(f / "between.sock", f / "keyd.sock", lambda method, path, forward: self.around(forward, "%s %s" % (method, path.split("?")[0])))

    def around(self, go_on, what):
        step = len(self.log)
        self.log.append(what)
        how, at = self.plan or ("", -1)
        if step != at:
            return go_on()
        if how == "after":
            go_on()
        self.certd.process.kill()
        return None

    def clock(self, days):
        fd = os.open(clock, os.O_WRONLY | os.O_CREAT, 0o644)
        os.truncate(fd, os.write(fd, b"%d\n" % int(days * DAY)))
        os.close(fd)

    def start(self):
        self.keyd = Service(self.folder, "keyd", "--config", self.folder / "keyd.json")
        self.certd = Service(self.folder, "certd", "--config", self.folder / "certd.json")

    def stop(self):
        for s in (self.certd, self.keyd):
            s.stop()

    def enroll(self):
        """The device's certificate, as whoever the EST server takes certd for."""
        self.est.requests = []
        status, _, answer = unix_http(self.folder / "certd.sock", "POST", "/certificates?api-version=2020-09-01", {"certId": "device-id", "csr": self.csr})
        assert status == 201, (status, answer, self.certd.log_text()[-2000:])
        return [r.cn and r.cn[0] for r in self.est.requests if r.operation.startswith("simple")]

    def renewed(self):
        def look():
            found = unix_http(self.folder / "certd.sock", "GET", "/renewals?api-version=2020-09-01")[2]["renewals"]
            return all(r["status"] == "good" and r["not_after"] > time.strftime("%Y-%m-%d", time.gmtime(time.time() + 50 * DAY)) for r in found) and found
        wait_for(look, "the renewal of the EST identity\n" + self.certd.log_text()[-2000:], 60)
        asked = self.enroll()
        assert asked and "bootstrap" not in asked, asked

    def due(self):
        """As it was after the first enrolment, and four fifths of the identity's life are over."""
        shutil.rmtree(self.folder / "state")
        shutil.copytree(self.folder / "kept", self.folder / "state")
        self.est.days = 100
        self.log.clear()
        self.clock(STEP)


def test_2_kill9_est():
    """certd is killed before and after every change of a renewal of its EST identity: the next start has one that the server knows, and asks nobody for a bootstrap"""
    s = EstStory()
    with s.folder:
        key = s.folder / "d.key"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        s.csr = openssl("req", "-new", "-key", key, "-subj", "/CN=EdgeGateway").decode()
        s.clock(0)
        s.start()
        s.enroll()
        s.stop()
        shutil.copytree(s.folder / "state", s.folder / "kept")
        s.due()
        s.start()
        wait_for(lambda: any("EST" in line for line in s.log), "the renewal", 30)
        s.renewed()
        s.stop()
        log = list(s.log)[:-1]  # the last one is the test's own
        assert len(log) >= 3 and any(line.startswith("EST simple") for line in log), log
        for step in range(len(log)):
            for how in ("before", "after"):
                s.due()
                s.plan = (how, step)
                s.keyd = Service(s.folder, "keyd", "--config", s.folder / "keyd.json")
                s.certd = Service(s.folder, "certd", "--config", s.folder / "certd.json", wait=False)
                wait_for(lambda: s.certd.process.poll() is not None, "certd being killed at step %d of %s" % (step, log), 60)
                s.plan = None
                s.certd.log.close()
                s.certd = Service(s.folder, "certd", "--config", s.folder / "certd.json")
                try:
                    s.renewed()
                except BaseException as e:
                    raise AssertionError("%s step %d of %s: %s" % (how, step, log, e))
                s.stop()
        s.est.stop()


def test_9_end():
    """nothing is left"""
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
