#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The device's own certificate over time: its successor is tried at the hub and takes over only when the hub takes it, waits where it doesn't, and takes over untried when there is no other
left that is valid."""
import os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from renewal_story import *

ID = {"id": "device-id", "role": "identityd"}


class Device(Story):
    """Its certificate is issued on this box, by a CA that the hub knows."""

    def __init__(self, auto_renew="{}"):
        self.made = Folder()
        ca, key = self.made / "local.pem", self.made / "local.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 3650, "-subj", "/CN=CA of this box", "-addext",
                "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", key, "-out", ca)
        if os.getuid() == 0:
            os.chown(key, 61840, 61840)
        self.local_ca = ca
        super().__init__('[cert_issuance.local_ca]\ncert = "file://%s"\npk = "file://%s"\n' % (ca, key),
                         identity='identity_cert = { method = "local_ca", expiry_days = 100, auto_renew = %s }' % auto_renew, before=self.register)

    def register(self):
        with open(self.local_ca) as f:
            status, _, answer = self.hub.rest("PUT", "/certificates/box", {"properties": {"certificate": f.read(), "isVerified": True}})
        assert status == 200, (status, answer)

    def certificate(self):
        return self.renewal(**ID)

    def rest(self, method, path, body=None, **headers):
        """As the hub's owner, whose clock is this one."""
        token = sas(self.hub.hostname, self.hub.policy(), policy="iothubowner", encode=False, expires=int(time.time()) + 2000 * DAY)
        return self.hub.rest(method, path, body, dict(headers, Authorization=token))

    def by_thumbprints(self, *prints):
        status, _, answer = self.rest("PUT", "/devices/EdgeGateway", {"deviceId": "EdgeGateway", "status": "enabled", "capabilities": {"iotEdge": True}, "authentication": {
            "type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": prints[0], "secondaryThumbprint": prints[1] if len(prints) > 1 else None}}}, **{"If-Match": "*"})
        assert status == 200, (status, answer)

    def hub_takes_it(self):
        """identityd puts a module into the hub by its certificate."""
        status, _, body = unix_http(self.role_socket("identityd"), "PUT", "/identities/modules/tool?api-version=2020-09-01", {"type": "aziot", "moduleId": "tool"})
        return status == 200, body

    def __exit__(self, kind, *rest):
        super().__exit__(kind, *rest)
        self.made.__exit__()


def test_1_tried_first():
    """at its threshold the device's certificate is followed by one for another key, which the hub has taken before it is in force"""
    if os.getuid() != 0:
        raise Skip("identityd's socket is for root here")
    with Device() as it:
        first = it.certificate()
        assert first["status"] == "good" and first["renews"] and abs(parse_time(first["next_attempt"]) - it.now() - 80 * DAY) < DAY, first
        assert it.move(79, **ID)["sha256"] == first["sha256"]
        next = it.move(81, **ID)
        assert next["sha256"] != first["sha256"] and next["attempts"] == 0 and next["last_error"] is None, next
        assert it.hub_takes_it()[0]
        keys = sorted(n.split("-")[0] for n in os.listdir(os.path.join(it.edge.state, "keyd", "keys")) if n.startswith("deviceid"))
        assert keys == ["deviceid", "deviceidprevious"], keys


def test_2_refused():
    """a successor that the hub does not know stays aside with its thumbprint in the status, and takes over, the same one, when somebody has entered that"""
    if os.getuid() != 0:
        raise Skip("identityd's socket is for root here")
    with Device() as it:
        first = it.certificate()["sha256"]
        it.by_thumbprints(first)
        waits = it.move(81, **ID)
        assert waits["sha256"] == first and waits["attempts"] == 1 and "is not taken yet" in waits["last_error"], waits
        thumb = re.search(r"SHA-256 ([0-9A-F:]+)", waits["last_error"])[1].replace(":", "")
        assert it.hub_takes_it()[0], "the one in force works on"
        again = it.move(86, **ID)
        assert again["attempts"] == 2 and thumb in again["last_error"].replace(":", "") and again["sha256"] == first, again
        it.by_thumbprints(first, thumb)
        assert it.move(91, **ID)["sha256"] == thumb
        assert it.hub_takes_it()[0]


def test_3_hub_away():
    """while the hub is away the successor waits, for weeks and over a restart; when the one in force has ended it takes over untried, and the hub that comes back takes it"""
    if os.getuid() != 0:
        raise Skip("identityd's socket is for root here")
    with Device("{ rotate_key = false }") as it:
        first = it.certificate()["sha256"]
        assert it.hub.stop() == 0
        waits = it.move(81, **ID)
        assert waits["sha256"] == first and waits["status"] == "due" and waits["attempts"] == 1, waits
        assert it.edge.stop() == 0
        it.edge.start()
        assert it.settle(**ID)["attempts"] == 1, "the wait goes on"
        late = it.move(98, **ID)
        assert late["sha256"] == first and late["status"] == "urgent" and late["attempts"] == 2, late
        assert parse_time(late["next_attempt"]) - it.now() < 1.2 * DAY, "the end is near: %s" % late
        last = it.move(101, **ID)
        assert last["sha256"] != first and last["status"] == "good", last
        assert "takes over untried" in it.edge.log_text()
        it.hub.start()
        taken = it.hub_takes_it()
        assert taken[0], taken


if __name__ == "__main__":
    run_all(globals())
