#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Four hundred days without the hub: an edge device that makes its own Edge CA, and whose certificate comes from a CA of this box, walks through them in steps of hours.  No certificate ends on
the way, devices are let in all the time, and when the hub is back the device is online by itself, with all that was sent and reported meanwhile.  Another one has both from an EST server, which is away for
weeks, when nothing ends, and then for so long that all does: a device that has kept the root of the first day, and nothing else, trusts what it shows."""
import os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from peers import refused_port
from renewal_story import *

DAYS, STEP_H, VISIT_EVERY = 400, 12, 10
DEVICE_ID = {"id": "device-id", "role": "identityd"}


def test_1_walk():
    """after 400 days without the hub every certificate is valid, and the device comes back online by itself"""
    if os.getuid() != 0:
        raise Skip("identityd's socket is for root here")
    with Folder() as made:
        ca, key = made / "local.pem", made / "local.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 3650, "-subj", "/CN=CA of this box", "-addext",
                "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", key, "-out", ca)
        os.chown(key, 61840, 61840)

        def register():
            with open(ca) as f:
                status, _, answer = it.hub.rest("PUT", "/certificates/box", {"properties": {"certificate": f.read(), "isVerified": True}})
            assert status == 200, (status, answer)

        it = Story.__new__(Story)
        it.__init__('[cert_issuance.local_ca]\ncert = "file://%s"\npk = "file://%s"\n' % (ca, key), identity='identity_cert = { method = "local_ca", expiry_days = 60 }', before=register)
        with it:
            walk(it)


EST = """
[issuer.plant]
certificate = "plant.pem"
key = "plant.key"
root = "root.pem"
[[label]]
name = "identities"
profile = "device"
days = 60
bootstrap = "factory.pem"
bootstrap_may = ["EdgeGateway", "aziot-edge CA EdgeGateway"]
[[label]]
name = "devices"
profile = "device"
days = 60
[[label]]
name = "edge-ca"
profile = "edge-ca"
days = 60
path_length = 0
"""
BY_EST = (("aziot-edged-ca", "edged"), ("device-id", "identityd"), ("est-id-aziot-edged-ca", "certd"), ("est-id-device-id", "certd"))


def test_2_est():
    """400 days with an EST server that is away for two weeks, in which no certificate ends, and for a hundred days, in which all do: it takes days, and no person, until all are valid again"""
    if os.getuid() != 0:
        raise Skip("identityd's socket is for root here")
    with Folder() as made:
        os.chmod(made.path, 0o711)
        pki = Pki(made)
        pki.make("intermediate", "plant CA", "--days", "3000", file="plant")
        run("rootedge", "cert", "root", "--name", "factory CA", "--out", made / "factory.pem", "--key-out", made / "factory.key")
        boot_cert, boot_key = pki.make("device", "serial 4711", "--days", "3000", issuer="factory", file="bootstrap")
        os.chown(boot_key, 61840, 61840)
        cert, key = pki.make("server", "est.test", "--san", "127.0.0.1", "--days", "2000", file="est-server")
        with open(made / "est.toml", "w") as f:
            f.write(EST)
        port, found = refused_port(), {}
        url = "https://127.0.0.1:%d/.well-known/est" % port

        def begin():
            found["est"] = Service(made, "est", "--config", made / "est.toml", "--state", made / "est-state", "--address", "127.0.0.1", "--port", port, "--cert", cert, "--key", key, program=[ROOTEDGE, "est"])
            with open(pki.root) as f:
                status, _, answer = it.hub.rest("PUT", "/certificates/plant", {"properties": {"certificate": f.read(), "isVerified": True}})
            assert status == 200, (status, answer)
        bootstrap = 'bootstrap_identity_cert = "file://%s"\nbootstrap_identity_pk = "file://%s"' % (boot_cert, boot_key)
        it = Story.__new__(Story)
        it.__init__("""[edge_ca]
method = "est"
url = "%s/edge-ca"
%s
[cert_issuance.est]
trusted_certs = ["file://%s"]
[cert_issuance.est.urls]
est-id-aziot-edged-ca = "%s/identities"
est-id-device-id = "%s/identities"
""" % (url, bootstrap, pki.root, url, url), identity='identity_cert = { method = "est", url = "%s/devices", %s }' % (url, bootstrap.replace("\n", ", ")), before=begin)
        with it:
            walk_with_est(it, found["est"], pki.root)


def walk_with_est(it, est, root):
    key = new_key()
    it.edge.create_child("sensor", {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}})
    token = sas("%s/devices/sensor" % it.hub.hostname, key, expires=int(time.time()) + 1000 * DAY)
    wait_for(lambda: try_to_send(it, token), "the gateway knowing the device", 30)
    assert it.hub.stop() == 0
    seen, sent, ended = set(), [], 0
    for day in range(2, DAYS + 1, 2):
        if day in (40, 200):
            est.stop()
        if day in (56, 300):
            est.start()
        it.set_clock(day)
        for id, role in BY_EST:
            it.settle(id, role)
        if day == 300:
            wait_for(lambda: all(is_valid(it, id, role) for id, role in BY_EST), "all of them, by the bootstrap certificate", 120)
        valid = [id for id, role in BY_EST if is_valid(it, id, role)]
        if 200 <= day < 300:
            ended += len(valid) < len(BY_EST)
            continue
        assert len(valid) == len(BY_EST), (day, valid, it.renewals("certd"))
        seen.add(it.renewal()["sha256"])
        if day % 20 == 0:
            it.wait_leaf(it.ca())
            assert it.is_trusted_by(root), day
            send(it, token, b"day %d" % day)
            sent.append("day %d" % day)
    assert ended > 15 and len(seen) >= 6, (ended, len(seen))
    it.pki.make("server", it.hub.hostname, "--san", "127.0.0.1", "--san", "localhost", file="hub")
    it.hub.start()
    wait_for(lambda: [e["body"] for e in it.hub.events()] == ["first", *sent], "all that was sent meanwhile", 90)
    status, _, body = unix_http(it.role_socket("identityd"), "PUT", "/identities/modules/tool?api-version=2020-09-01", {"type": "aziot", "moduleId": "tool"})
    assert status == 200, (status, body)
    assert est.stop() == 0


def is_valid(it, id, role):
    found = it.renewal(id, role)
    return bool(found["not_after"]) and parse_time(found["not_after"]) > it.now()


def send(it, token, text):
    with it.edge.mqtt("sensor", password=token, name=None, context=at_any_time()) as device:
        device.publish("devices/sensor/messages/events/", text)
        device.send(subscribe_packet([("$iothub/twin/res/#", 0)]) + publish_packet("$iothub/twin/PATCH/properties/reported/?$rid=1", b'{"last":"%s"}' % text, 0))
        assert device.receive()[0] == 0x90 and b"$iothub/twin/res/204/" in device.receive()[1]


def at_any_time():
    """Python judges dates by the real clock: whether what the gateway shows is valid is checked beside this."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def check(it, day):
    for id, role in (("aziot-edged-ca", "edged"), ("device-id", "identityd")):
        found = it.renewal(id, role)
        assert found["status"] in ("good", "due", "late", "urgent") and parse_time(found["not_after"]) > it.now(), (day, found)


def walk(it):
    key = new_key()
    it.edge.create_child("sensor", {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}})
    token = sas("%s/devices/sensor" % it.hub.hostname, key, expires=int(time.time()) + 1000 * DAY)
    wait_for(lambda: try_to_send(it, token), "the gateway knowing the device", 30)
    pids = {n: it.edge.role(n) for n in ("keyd", "certd", "identityd", "edged", "gateway")}
    assert it.hub.stop() == 0
    seen, sent = set(), 0
    for step in range(1, DAYS * 24 // STEP_H + 1):
        day = step * STEP_H / 24
        it.set_clock(day)
        seen.add(it.settle()["sha256"])
        it.settle(**DEVICE_ID)
        check(it, day)
        if step % (VISIT_EVERY * 24 // STEP_H) == 0:
            it.wait_leaf(it.ca())
            send(it, token, b"day %d" % day)
            sent += 1
    assert len(seen) >= 5, "Edge CAs: %d" % len(seen)
    assert {n: it.edge.role(n) for n in pids} == pids, "nothing was restarted"
    assert it.is_under(it.leaf(), it.ca())
    come_back(it, sent)
    assert {n: it.edge.role(n) for n in pids} == pids, "nothing was restarted"


def try_to_send(it, token):
    try:
        send(it, token, b"first")
        return True
    except (Refused, OSError, EOFError):
        return False


def last_reported(it):
    connection = http.client.HTTPSConnection("127.0.0.1", it.hub.https_port, context=at_any_time(), timeout=20 * SLOW)
    token = sas(it.hub.hostname, it.hub.policy("iothubowner"), expires=int(time.time()) + 1000 * DAY, policy="iothubowner", encode=False)
    connection.request("GET", "/twins/sensor?api-version=2021-04-12", headers={"Authorization": token})
    with connection.getresponse() as answer:
        return json.loads(answer.read())["properties"]["reported"].get("last")


def come_back(it, sent):
    """The hub has a new server certificate, and what is sent to it arrives."""
    it.pki.make("server", it.hub.hostname, "--san", "127.0.0.1", "--san", "localhost", file="hub")
    it.hub.start()
    wanted = ["first"] + ["day %d" % ((i + 1) * VISIT_EVERY) for i in range(sent)]
    wait_for(lambda: [e["body"] for e in it.hub.events()] == wanted, "all that was sent meanwhile", 90)
    wait_for(lambda: last_reported(it) == wanted[-1], "what was reported last", 90)
    status, _, body = unix_http(it.role_socket("identityd"), "PUT", "/identities/modules/tool?api-version=2020-09-01", {"type": "aziot", "moduleId": "tool"})
    assert status == 200, (status, body)
    it.settle(**DEVICE_ID)
    check(it, DAYS)


if __name__ == "__main__":
    run_all(globals())
