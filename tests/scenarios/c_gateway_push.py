#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What changes at the hub holds at the gateway within a second or two, because the hub says so: no device has to send anything, and none is asked about.  Also what changed while the hub could not
say it; and what a hub without our extensions is made to say by the portal."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = None


def connect(device, module=None, **how):
    """A session; who is refused says why."""
    try:
        return enter(device, module, **how)
    except Refused as e:
        e.args = (*e.args, it.decisions()[-1])
        raise


def enter(device, module=None, **how):
    return it.edge.mqtt(device, module, **(how or {"password": it.token(device, it.keys[device if module is None else device + "/" + module], module)}))


def let_in(device):
    """The session, once the gateway knows the device; or None."""
    try:
        return connect(device)
    except Refused:
        return None


def ends(session, reason):
    """Closed soon, without anything from the device, for this reason."""
    start = time.monotonic()
    assert session.closed(), "still open\n" + it.edge.log_text()[-3000:]
    assert time.monotonic() - start < 5 * SLOW, "it took %.1f s" % (time.monotonic() - start)
    wait_for(lambda: reason in [r for _, r in it.decisions()[-3:]], reason)


def refused(device, reason, module=None, **how):
    try:
        connect(device, module, **how).close()
    except Refused as e:
        assert e.code == 5 and it.decisions()[-1][1] == reason, (e.code, it.decisions()[-1])
    else:
        raise AssertionError("was let in")


def make(*devices):
    for d in devices:
        it.keys[d] = it.key(d)


def linked():
    """The hub can call methods of $edgeHub."""
    answer = it.hub.rest("POST", "/twins/%s/modules/$edgeHub/methods" % it.edge.device, {"methodName": "RefreshDeviceScopeIdentityCache", "payload": {"deviceIds": []}})
    return answer[0] == 200 and answer[2]["status"] == 200


def put_ca(name, file):
    with open(it.folder / (file + ".pem")) as f:
        pem = f.read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    assert it.hub.rest("PUT", "/certificates/" + name, {"properties": {"certificate": pem, "isVerified": True}})[0] == 200


def test_00_start():
    """a gateway is connected to the hub as $edgeHub"""
    global it
    it = Site(proxy=True)
    it.keys = {}
    make("sas1", "sas2", "sas3")
    it.keys["sas1/mod1"] = it.module("sas1", "mod1")
    wait_for(linked, "the gateway to listen", 60)


def test_01_made():
    """a device that was made a moment ago is known before it comes: it gets in though the hub is gone by then"""
    make("early")
    it.known(8)  # with itself, its two modules, three devices and one of their modules
    it.cut_off()
    connect("early").close()
    it.reconnect()
    wait_for(linked, "the gateway to listen again", 60)


def test_02_disabled():
    """a device that is disabled is thrown out with its modules; another stays"""
    with connect("sas1") as s, connect("sas1", "mod1") as m, connect("sas2") as other:
        it.change("sas1", status="disabled")
        ends(s, "SESSION_DISABLED")
        assert m.closed(), "the module's session is still open"
        other.publish("devices/sas2/messages/events/")
    refused("sas1", "DEVICE_DISABLED")
    it.change("sas1", status="enabled")


def test_03_deleted_and_moved():
    """a device that is deleted, or put below nobody, is thrown out; so is a module that is deleted"""
    it.keys["sas3/gone"] = it.module("sas3", "gone")
    with connect("sas2") as moved, connect("sas3", "gone") as module:
        it.change("sas2", deviceScope="", parentScopes=[])
        ends(moved, "SESSION_REMOVED")
        assert it.hub.rest("DELETE", "/devices/sas3/modules/gone", headers={"If-Match": "*"})[0] == 204
        ends(module, "SESSION_REMOVED")
    with connect("sas3") as gone:
        it.delete("sas3")
        ends(gone, "SESSION_REMOVED")


def test_04_new_credentials():
    """a new thumbprint is good at once, and the old one's session ends; so it is with keys"""
    old = it.x509("dev1")
    with connect("dev1", **old) as session:
        cert, key = it.pki.make("device", "dev1", file="dev1-new")
        it.change("dev1", authentication={"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint(cert), "secondaryThumbprint": None}})
        connect("dev1", cert=cert, key=key).close()
        assert session.closed()
    refused("dev1", "THUMBPRINT_MISMATCH", **old)
    make("keyed")
    with connect("keyed") as session:
        it.change("keyed", authentication={"type": "sas", "symmetricKey": {"primaryKey": new_key(), "secondaryKey": new_key()}})
        ends(session, "SESSION_WITHDRAWN")


def test_05_ca():
    """a CA that is deleted ends the sessions of its devices"""
    it.pki.make("intermediate", "Factory", file="factory")
    put_ca("factory", "factory")
    it.edge.create_child("leaf1", {"type": "certificateAuthority"})
    cert, key = it.pki.make("device", "leaf1", issuer="factory")
    with connect("leaf1", cert=cert, key=key) as session, connect("sas1") as other:
        assert it.hub.rest("DELETE", "/certificates/factory", None, {"If-Match": "*"})[0] == 204
        ends(session, "CA_WITHDRAWN")
        other.publish("devices/sas1/messages/events/")
    refused("leaf1", "TRUST_UNKNOWN_ISSUER", cert=cert, key=key)


def test_06_while_it_could_not_be_told():
    """what changed while the gateway was cut off holds when it is back; a device below it that was made then gets in though the hub is gone again"""
    make("cut1")
    with connect("cut1") as session:
        it.cut_off()
        make("cut2")
        it.change("cut1", status="disabled")
        assert not session.closed(1 / SLOW)
        it.reconnect()
        assert session.closed(60), "still open"
    wait_for(linked, "the gateway to listen again", 60)
    it.cut_off()
    connect("cut2").close()
    it.reconnect()


def test_07_crowd():
    """five hundred devices that are made and disabled at once are known in a moment"""
    one = new_key()
    for at in range(0, 500, 100):
        devices = [{"id": "crowd%d" % i, "deviceScope": it.edge.scope, "importMode": "create", "authentication": {"type": "sas", "symmetricKey": {"primaryKey": one, "secondaryKey": one}}}
                   for i in range(at, at + 100)]
        assert it.hub.rest("POST", "/devices", devices)[0] == 200
    it.keys["crowd499"] = one
    wait_for(linked, "the gateway to listen", 60)
    with wait_for(lambda: let_in("crowd499"), "the last of the crowd") as session:
        it.change("crowd499", status="disabled")
        ends(session, "SESSION_DISABLED")


def test_08_stop():
    """all end in order"""
    it.stop()


def test_09_original_hub():
    """a hub without our extensions tells nothing, but what the portal makes it say is heeded: a device that it names is looked up"""
    global it
    it = PlainSite(proxy=True)
    it.keys = {}
    make("sas1")
    wait_for(linked, "the gateway to listen", 60)
    with connect("sas1") as session:
        it.change("sas1", status="disabled")
        answer = it.hub.rest("POST", "/twins/%s/modules/$edgeHub/methods" % it.edge.device, {"methodName": "RefreshDeviceScopeIdentityCache", "payload": {"deviceIds": ["sas1", "", "no/such/name", "unknown"]}})
        assert answer[0] == 200 and answer[2]["status"] == 200, answer
        ends(session, "SESSION_DISABLED")
    it.stop()


class PlainSite(Site):
    hub_args = ("--plain-scopes",)


if __name__ == "__main__":
    run_all(globals())
