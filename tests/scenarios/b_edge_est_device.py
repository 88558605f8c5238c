#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An edge device that is given nothing but a bootstrap certificate: its EST identity, its identity for the hub and its Edge CA come from an EST server that is not ours, are renewed while
it runs, go on while the server is away, and come back after they have all ended while it was off."""
import os, re, ssl, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_server import EstServer, openssl

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
est = EstServer(folder)
est.days = 100
boot_pem, boot_key = est.bootstrap_ca.leaf("bootstrap", "/CN=bootstrap of EdgeGateway", ["extendedKeyUsage=clientAuth"])
pki = Pki(folder)
hub = Hub(folder, pki)
with open(est.ca.pem) as f:
    status, _, answer = hub.rest("PUT", "/certificates/est", {"properties": {"certificate": f.read(), "isVerified": True}})
assert status == 200, (status, answer)
edge = None


def asked():
    """[(operation, label, who)] since the last time, without what everybody may read."""
    seen, est.requests = est.requests, []
    return [(r.operation, r.label, r.cn and r.cn[0]) for r in seen if r.operation.startswith("simple")]


def stored(prefix):
    certs = os.path.join(edge.state, "certd", "certs")
    with open(os.path.join(certs, next(n for n in os.listdir(certs) if n.startswith(prefix + "-") and n.endswith(".cer")))) as f:
        return f.read()


def ends(pem):
    """Days from today."""
    return (ssl.cert_time_to_seconds(openssl("x509", "-noout", "-enddate", input=pem.encode()).decode().strip().split("=")[1]) - time.time()) / DAY


def subject(pem):
    return openssl("x509", "-noout", "-subject", "-nameopt", "RFC2253", input=pem.encode()).decode().strip()


def server_chain():
    shown = subprocess.run(["openssl", "s_client", "-showcerts", "-connect", "127.0.0.1:%d" % edge.mqtt_port], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60 * SLOW).stdout
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", shown, re.S)


def module(method, **headers):
    """A module in the hub, whose clock is ahead."""
    token = sas(hub.hostname, hub.policy(), policy="iothubowner", encode=False, expires=int(time.time()) + 1000 * DAY)
    return hub.rest(method, "/devices/EdgeGateway/modules/tool", headers=dict(headers, Authorization=token))


def restart():
    """The device makes its module anew in the hub, which it can only with a certificate that the hub takes."""
    assert edge.stop() == 0
    gone = module("DELETE", **{"If-Match": "*"})
    assert gone[0] == 204, gone
    edge.start()
    wait_for(lambda: module("GET")[0] == 200, "the module in the hub")


def test_1_first_start():
    """from the bootstrap certificate alone: an EST identity, the device's certificate that the hub takes, an Edge CA under the EST root, and a gateway that shows a chain to it"""
    global edge
    edge = Edge(folder, hub, identity='identity_cert = { method = "est" }', config="""
[modules.tool]
uid = %d
[edge_ca]
method = "est"
url = "%s/edgeca"
[cert_issuance.est]
trusted_certs = ["file://%s"]
urls.default = "%s"
[cert_issuance.est.auth]
bootstrap_identity_cert = "file://%s"
bootstrap_identity_pk = "file://%s"
""" % (os.getuid(), est.url, est.tls_root.pem, est.url, boot_pem, boot_key))
    made = asked()
    assert made[0][2] == "bootstrap of EdgeGateway" and all(m[2] != "bootstrap of EdgeGateway" for m in made[1:]), made
    assert [m[1] for m in made].count("edgeca") >= 1 and all(m[0] == "simpleenroll" for m in made), made
    assert subject(stored("deviceid")) == "subject=CN=EdgeGateway"
    chain = server_chain()
    assert subject(chain[1]) == "subject=CN=aziot-edge CA EdgeGateway", chain
    with open(folder / "chain.pem", "w") as f:
        f.write("".join(chain[1:]))
    leaf = folder / "shown.pem"
    with open(leaf, "w") as f:
        f.write(chain[0])
    openssl("verify", "-x509_strict", "-CAfile", est.ca.pem, "-untrusted", folder / "chain.pem", "-purpose", "sslserver", leaf)
    assert module("GET")[0] == 200


def test_2_server_away():
    """while the EST server is away, what is there goes on, over a restart too"""
    est.stop()
    before = stored("aziotedgedca"), stored("deviceid")
    restart()
    assert (stored("aziotedgedca"), stored("deviceid")) == before
    est.start()


def test_3_renewed():
    """with four fifths of their lives over, all three are renewed by themselves"""
    est.days = 200
    est.requests = []
    set_clock(85)
    wait_for(lambda: min(ends(stored(n)) for n in ("estid", "deviceid", "aziotedgedca")) > 190, "all three being renewed", 60)
    restart()
    assert all(m[2] not in (None, "bootstrap of EdgeGateway") for m in asked())


def test_4_off_too_long():
    """a device that was off until all had ended comes back by its bootstrap certificate, without a person"""
    assert edge.stop() == 0
    set_clock(250)
    est.days = 300
    asked()
    edge.start()
    assert asked()[0][2] == "bootstrap of EdgeGateway"
    assert min(ends(stored(n)) for n in ("estid", "deviceid", "aziotedgedca")) > 290
    restart()
    assert len(server_chain()) >= 2


def test_5_local_ca():
    """an Edge CA under a CA on this box that an EST server issues: the chain that the gateway shows goes from one to the other to the EST root"""
    assert edge.stop() == 0
    path = edge.args[edge.args.index("--config") + 1]
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(re.sub(r'\[edge_ca\]\nmethod = "est"\nurl = .*\n', '[edge_ca]\nmethod = "local_ca"\n[cert_issuance.local_ca]\nmethod = "est"\ncommon_name = "local CA of line 1"\n', text))
    certs = os.path.join(edge.state, "certd", "certs")
    for name in os.listdir(certs):
        if name.startswith("aziotedgedca"):
            os.unlink(os.path.join(certs, name))
    edge.start()
    chain = server_chain()
    assert [subject(c) for c in chain[1:3]] == ["subject=CN=aziot-edge CA EdgeGateway", "subject=CN=local CA of line 1"], [subject(c) for c in chain]
    with open(folder / "chain.pem", "w") as f:
        f.write("".join(chain[1:]))
    with open(folder / "shown.pem", "w") as f:
        f.write(chain[0])
    openssl("verify", "-no_check_time", "-x509_strict", "-CAfile", est.ca.pem, "-untrusted", folder / "chain.pem", folder / "shown.pem")


def test_9_stop():
    """everything stops in order"""
    assert edge.stop() == 0 and hub.stop() == 0
    est.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
