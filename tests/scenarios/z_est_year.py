#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A year of an edge device that is given a factory certificate and nothing else, at a hub that knows it by thumbprint: certd gets its identities and its Edge CA from the EST server in the hub and
renews them, the hub follows each thumbprint, and messages arrive all the time."""
import json, os, ssl, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_server import openssl

DAY, LIFE, STEP = 86400, 30, 25
folder = Folder()
os.chmod(folder.path, 0o711)
clock = folder / "clock"
edge = hub = None


def set_clock(days):
    with open(clock, "w") as f:  # the same file: roles in their sandbox see no other
        f.write("%d\n" % (days * DAY))
    os.chmod(clock, 0o644)


class HubWithEst(HubOfLater):
    """Registers the gateway without any credential: its first certificate is to be the one."""

    def create_device(self, id, authentication=None, **more):
        return super().create_device(id, {"type": "none"} if id == "EdgeGateway" else authentication, **more)


def stored(prefix):
    certs = os.path.join(edge.state, "certd", "certs")
    with open(os.path.join(certs, next(n for n in os.listdir(certs) if n.startswith(prefix + "-") and n.endswith(".cer")))) as f:
        return f.read()


def ends(pem):
    """Days from the beginning of the story."""
    return (ssl.cert_time_to_seconds(openssl("x509", "-noout", "-enddate", input=pem.encode()).decode().strip().split("=")[1]) - began) / DAY


def print_of(pem):
    return openssl("x509", "-noout", "-fingerprint", "-sha256", input=pem.encode()).decode().strip().split("=")[1].replace(":", "")


def slots():
    return hub.rest("GET", "/devices/EdgeGateway")[2]["authentication"]["x509Thumbprint"]


def journal():
    return [json.loads(line) for line in run("rootedge", "ca", "issued", "--journal", os.path.join(hub.state, "est", "issued.db"), "--json").stdout.splitlines()]


def send(body):
    """Of a device below the gateway, to the hub and past it."""
    wait_for(lambda: try_send(body), body + " being taken", 60)
    wait_for(lambda: body in [e["body"] for e in hub.events()], body + " arriving", 60)


def at_any_time():
    """Python judges by the real clock."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def try_send(body):
    token = edge.hub.device_token("leaf", leaf_key, expires=int(time.time()) + 3000 * DAY)
    try:
        with edge.mqtt("leaf", password=token, name=None, context=at_any_time()) as m:
            m.publish("devices/leaf/messages/events/", body.encode())
        return True
    except (OSError, EOFError, Refused):
        return False


def test_1_first():
    """from the factory certificate alone: the device, which had no credential in the hub, is known there by the thumbprint of its first one, and is connected by it"""
    global edge, hub, began, leaf_key
    set_clock(0)
    began = time.time()
    os.environ["ROOTEDGE_CLOCK_FILE"] = clock
    pki = Pki(folder)
    pki.make("intermediate", "plant CA", "--days", 3000, file="plant")
    run("rootedge", "cert", "root", "--name", "factory CA", "--days", 3000, "--out", folder / "factory.pem", "--key-out", folder / "factory.key")
    factory_cert, factory_key = pki.make("device", "serial 4711", "--days", 3000, issuer="factory", file="bootstrap")
    if os.getuid() == 0:
        os.chown(factory_key, 61840, 61840)
    with open(folder / "est.toml", "w") as f:
        f.write("""
[issuer.plant]
certificate = "plant.pem"
key = "plant.key"
root = "root.pem"
[[label]]
name = "identities"
profile = "bootstrap"
days = %(life)d
bootstrap = "factory.pem"
bootstrap_may = ["EdgeGateway", "aziot-edge CA EdgeGateway"]
linking = "required"
[[label]]
name = "devices"
profile = "device"
days = %(life)d
first_thumbprint = true
may = ["EdgeGateway"]
[[label]]
name = "edge-ca"
profile = "edge-ca"
days = %(life)d
path_length = 0
may = ["aziot-edge CA EdgeGateway"]
""" % {"life": LIFE})
    hub = HubWithEst(folder, pki, "contosoiothub.local", "--est", folder / "est.toml", "--thumbprint-grace", 3600)
    hub.stop()
    pki.make("server", hub.hostname, "--san", "127.0.0.1", "--san", "localhost", "--days", 2000, file="hub")
    hub.start()
    url = "https://127.0.0.1:%d/.well-known/est" % hub.https_port
    edge = Edge(folder, hub, identity='identity_cert = { method = "est" }', config="""
[edge_ca]
method = "est"
url = "%s/edge-ca"
[cert_issuance.est]
trusted_certs = ["file://%s"]
[cert_issuance.est.urls]
default = "%s/devices"
est-id = "%s/identities"
[cert_issuance.est.auth]
bootstrap_identity_cert = "file://%s"
bootstrap_identity_pk = "file://%s"
""" % (url, pki.root, url, url, factory_cert, factory_key))
    assert slots() == {"primaryThumbprint": print_of(stored("deviceid")), "secondaryThumbprint": None}, slots()
    leaf_key = edge.create_child("leaf")["authentication"]["symmetricKey"]["primaryKey"]
    send("day 0")


def test_2_a_year():
    """fourteen times, always when four fifths of their lives are over: all three are renewed by themselves, the thumbprint in the hub is the new one as soon as it was used, and nothing that is sent
    is lost; a restart and a kill on the way change nothing"""
    for n in range(1, 15):
        day, before = n * STEP, stored("deviceid")
        set_clock(day)
        wait_for(lambda: min(ends(stored(i)) for i in ("estid", "deviceid", "aziotedgedca")) > day + LIFE - 5, "all three being renewed on day %d" % day, 120)
        assert stored("deviceid") != before
        if n == 5:
            assert edge.stop() == 0
            edge.start()
        if n == 9:
            hub.kill9()
            hub.start()
        wait_for(lambda: slots()["primaryThumbprint"] == print_of(stored("deviceid")), "the hub following on day %d" % day, 120)
        send("day %d" % day)
    issued = journal()
    assert len({e["certificate"]["serial"] for e in issued}) == len(issued)
    by = [sum(e["profile"] == p for e in issued) for p in ("identities", "devices", "edge-ca")]
    assert all(n == 15 for n in by), by
    run("rootedge", "ca", "audit", "--journal", os.path.join(hub.state, "est", "issued.db"))
    assert [e["body"] for e in hub.events() if e["body"].startswith("day")].count("day 350") == 1


def test_3_revoked():
    """revoked at the end: the hub takes that certificate no more"""
    assert edge.stop() == 0
    run("rootedge", "ca", "revoke", "EdgeGateway", "--all", "--journal", os.path.join(hub.state, "est", "issued.db"))
    wait_for(lambda: "certificates are known as revoked" in hub.log_text(), "it being known", 30)
    edge.start(wait=False)
    wait_for(lambda: "CERT_REVOKED" in hub.reasons(), "the refusal", 60)


def test_9_stop():
    """they end in order"""
    edge.stop()
    assert hub.stop() == 0
    folder.__exit__()


run_all()
