#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An edge device and `rootedge est`, both ours, over all of EST: bootstrap linked to its TLS session, enrolment of the device's certificate and the Edge CA, approval by a person,
re-enrolment, and 400 days off."""
import json, os, signal, ssl, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_server import openssl

DAY = 86400
folder = Folder()
os.chmod(folder.path, 0o711)
clock = folder / "clock"


def set_clock(days):
    with open(clock, "w") as f:  # the same file: roles in their sandbox see no other
        f.write("%d\n" % (days * DAY))
    os.chmod(clock, 0o644)


set_clock(0)
os.environ["ROOTEDGE_CLOCK_FILE"] = clock
pki = Pki(folder)
pki.make("intermediate", "plant CA", "--days", "3000", file="plant")
run("rootedge", "cert", "root", "--name", "factory CA", "--out", folder / "factory.pem", "--key-out", folder / "factory.key")
factory_cert, factory_key = pki.make("device", "serial 4711", "--days", "3000", issuer="factory", file="bootstrap")
if os.getuid() == 0:
    os.chown(factory_key, 61840, 61840)
pki.make("server", "est.test", "--san", "127.0.0.1", "--days", "2000", file="est-server")
with open(folder / "est.toml", "w") as f:
    f.write("""
[issuer.plant]
certificate = "plant.pem"
key = "plant.key"
root = "root.pem"
[[label]]
name = "identities"
profile = "device"
days = 100
bootstrap = "factory.pem"
bootstrap_may = ["EdgeGateway", "aziot-edge CA EdgeGateway"]
linking = "required"
[[label]]
name = "devices"
profile = "device"
days = 100
[[label]]
name = "edge-ca"
profile = "edge-ca"
days = 100
path_length = 0
approval = "manual"
""")
hub = Hub(folder, pki)
hub.stop()
pki.make("server", hub.hostname, "--san", "127.0.0.1", "--san", "localhost", "--days", "2000", file="hub")
hub.start()
with open(pki.root) as f:
    answer = hub.rest("PUT", "/certificates/plant", {"properties": {"certificate": f.read(), "isVerified": True}})
assert answer[0] == 200, answer
est = Service(folder, "est", "--config", folder / "est.toml", "--state", folder / "est-state", "--address", "127.0.0.1", "--port", 0, "--cert", folder / "est-server.pem", "--key",
              folder / "est-server.key", program=[ROOTEDGE, "est"])
est.args[est.args.index("--port") + 1] = str(est.ready["port"])
url = "https://127.0.0.1:%d/.well-known/est" % est.ready["port"]
edge = None


def verb(*words):
    return run("rootedge", "est", words[0], "--state", folder / "est-state", *words[1:]).stdout


def stored(prefix):
    certs = os.path.join(edge.state, "certd", "certs")
    with open(os.path.join(certs, next(n for n in os.listdir(certs) if n.startswith(prefix + "-") and n.endswith(".cer")))) as f:
        return f.read()


def ends(prefix):
    """Days from the real today."""
    return (ssl.cert_time_to_seconds(openssl("x509", "-noout", "-enddate", input=stored(prefix).encode()).decode().strip().split("=")[1]) - time.time()) / DAY


IDENTITIES = ("estidaziotedgedca", "estiddeviceid")
ALL = IDENTITIES + ("deviceid", "aziotedgedca")


def module_in_hub(method):
    token = sas(hub.hostname, hub.policy(), policy="iothubowner", encode=False, expires=int(time.time()) + 1000 * DAY)
    return hub.rest(method, "/devices/EdgeGateway/modules/tool", headers={"Authorization": token, "If-Match": "*"})


def round_trip():
    """The device makes its module anew in the hub, and the gateway shows a chain to the root."""
    assert edge.stop() == 0
    assert module_in_hub("DELETE")[0] == 204
    edge.start()
    wait_for(lambda: module_in_hub("GET")[0] == 200, "the module in the hub")
    shown = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % edge.mqtt_port, "-CAfile", pki.root, "-no_check_time"], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                           timeout=60 * SLOW).stdout
    assert "Verify return code: 0 (ok)" in shown, shown


def test_1_approval():
    """an Edge CA that a person has to approve: 202, the device asks again with the same request, and starts once it is approved"""
    global edge
    bootstrap = 'bootstrap_identity_cert = "file://%s"\nbootstrap_identity_pk = "file://%s"' % (factory_cert, factory_key)
    edge = Edge(folder, hub, identity='identity_cert = { method = "est", url = "%s/devices", %s }' % (url, bootstrap.replace("\n", ", ")), wait=False, config="""
[modules.tool]
uid = %d
[edge_ca]
method = "est"
url = "%s/edge-ca"
%s
[cert_issuance.est]
trusted_certs = ["file://%s"]
[cert_issuance.est.urls]
est-id-aziot-edged-ca = "%s/identities"
est-id-device-id = "%s/identities"
""" % (os.getuid(), url, bootstrap, pki.root, url, url))
    wait_for(lambda: verb("pending", "--json"), "a request that waits", 30)
    waiting = [json.loads(line) for line in verb("pending", "--json").splitlines()]
    assert [(w["label"], w["for"]) for w in waiting] == [("edge-ca", "aziot-edge CA EdgeGateway")], waiting
    wait_for(lambda: "has not decided yet and asks to come back in" in edge.log_text(), "the device hearing of it", 30)
    verb("approve", waiting[0]["number"])
    set_clock(1)
    edge.ready = edge.wait_ready(60)
    assert len(verb("pending", "--all", "--json").splitlines()) == 1, "it was asked again with the same request"


def test_2_all_there():
    """two identities that were bootstrapped in linked requests, the device's certificate, the Edge CA: each from its label, and in use"""
    text = est.log_text()
    assert text.count("bootstrap certificate serial 4711 at") >= 2 and "OK" in text
    subjects = [openssl("x509", "-noout", "-subject", "-nameopt", "RFC2253", input=stored(n).encode()).decode().strip() for n in ALL]
    assert subjects == ["subject=CN=aziot-edge CA EdgeGateway", "subject=CN=EdgeGateway", "subject=CN=EdgeGateway", "subject=CN=aziot-edge CA EdgeGateway"], subjects
    round_trip()


def test_3_renewed():
    """they are renewed ahead of their ends, the identities by themselves (simplereenroll)"""
    with open(folder / "est.toml") as f:
        text = f.read()
    with open(folder / "est.toml", "w") as f:
        f.write(text.replace('approval = "manual"\n', ""))
    est.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "was loaded again" in est.log_text(), "the new configuration")
    set_clock(85)
    n = est.log_text().count("bootstrap certificate")
    wait_for(lambda: min(map(ends, ALL)) > 180, "all four being renewed", 90)
    round_trip()
    assert est.log_text().count("bootstrap certificate") == n, "nothing was bootstrapped"


def test_4_400_days_off():
    """400 days off, and back by itself"""
    assert edge.stop() == 0
    est.stop()
    set_clock(485)
    est.start()
    edge.start()
    assert min(map(ends, ALL)) > 580, [ends(n) for n in ALL]
    round_trip()


def test_9_stop():
    """everything stops in order"""
    assert edge.stop() == 0 and hub.stop() == 0 and est.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
