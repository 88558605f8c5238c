#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A device that provisioning told who it is renews its certificate: the next one registers before it takes over, so that the hub knows it; while provisioning is away it waits."""
import os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_provisioning import *
from identity_box import *

DAY = 86400
folder = Folder()
clock = folder / "clock"


def set_clock(days):
    fd = os.open(clock, os.O_WRONLY | os.O_CREAT, 0o644)
    os.truncate(fd, os.write(fd, b"%d\n" % int(days * DAY)))
    os.close(fd)


set_clock(0)
os.environ["ROOTEDGE_CLOCK_FILE"] = clock
site = box = None


def thumbprints():
    """What the hub knows the device by."""
    token = sas(site.hub.hostname, site.hub.policy(), policy="iothubowner", encode=False, expires=int(time.time()) + 1000 * DAY)
    status, _, device = site.hub.rest("GET", "/devices/made-here", headers={"Authorization": token})
    assert status == 200, device
    return set(filter(None, device["authentication"]["x509Thumbprint"].values()))


def renewal():
    status, answer = box.ask("GET", "/renewals")
    assert status == 200, answer
    return answer["renewals"][0]


def move(days):
    set_clock(days)
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * DAY))
    wait_for(lambda: (renewal()["checked"] or "").startswith(day), "a look at the certificate", 30)
    return renewal()


def test_1_registered():
    """a certificate that a CA of this site has issued lets the device register, and the hub knows it by that"""
    global site, box
    site = Site()
    cert, key = site.pki.make("intermediate", "line 2 CA", file="line2")
    with open(cert) as f:
        body = {"attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": f.read()}}}}, "iotHubs": [HOME]}
    status, _, answer = site.service("PUT", "/enrollmentGroups/line-2", body)
    assert status == 200, answer
    box = Box(folder, "issued", [site.pki.root], keys={"local-ca": key}, certs={"local-ca": cert}, source="dps", hub_port=site.hub.https_port, auth="x509", make_device_certificate=True,
              issuance={"device-id": {"method": "local_ca", "expiry_days": 90}},
              dps={"global_endpoint": "https://localhost:%d" % site.hub.ready["provisioning_port"], "id_scope": site.hub.ready["id_scope"], "registration_id": "made-here"})
    box.is_device("made-here", HOME)
    assert renewal()["sha256"] in thumbprints()


def test_2_renewed():
    """four fifths into its life the next one registers, the hub knows it, and it takes over"""
    before = renewal()["sha256"]
    after = move(73)
    assert after["sha256"] != before and after["attempts"] == 0 and after["last_error"] is None, (after, box.log()[-2000:])
    assert after["sha256"] in thumbprints()
    assert box.module("POST")[0] == 200


def test_3_away():
    """while provisioning is away the next one waits and what is in force goes on; it registers and takes over once provisioning is back"""
    before = renewal()["sha256"]
    site.hub.stop()
    waits = move(73 + 73)
    assert waits["sha256"] == before and waits["attempts"] == 1 and "could not be tried yet" in waits["last_error"], waits
    at = site.hub.args.index("--provisioning-port") + 1
    site.hub.args[at] = str(site.hub.ready["provisioning_port"])
    site.hub.start()
    after = move(73 + 78)
    assert after["sha256"] != before and after["attempts"] == 0, after
    assert after["sha256"] in thumbprints() and box.module("PUT")[0] == 200


def test_9_stop():
    """everything stops in order"""
    box.stop()
    site.hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
