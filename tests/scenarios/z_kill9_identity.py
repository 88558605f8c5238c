#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A renewal of the device's certificate, cut at every step: identityd is killed before and after each change that it asks keyd and certd for.  Whatever is left, the next start has a certificate and
a key that belong together, goes on with what there is, and the hub knows the device by what it uses."""
import os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from site_of_provisioning import *
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


def test_9_end():
    """nothing is left"""
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
