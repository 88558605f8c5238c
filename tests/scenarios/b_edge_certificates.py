#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the certificates that an edge device issues are good for, where the hub trusts the same private root for its devices: for modules, and for nothing else
(atk-05, atk-06, atk-07).  The Edge CA is a configured one, under the chain of the seeds."""
import json, os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

NAME = "contosoiothub.local"
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # which traces its own process: the roles' sandbox forbids that
folder = Folder()
pki = Pki(folder)
pki.make("intermediate", "my_optional_intermediate_CA", file="middle")
edge_ca = pki.make("edge-ca", "iotedged workload ca edgegateway", issuer="middle", file="edge-ca")
hub = Hub(folder, pki, NAME, "--device-ca", pki.root)
key = hub.create_device("EdgeGateway", capabilities={"iotEdge": True})["authentication"]["symmetricKey"]["primaryKey"]
for id in ("tool", "TempSensor"):
    hub.create_device(id, {"type": "certificateAuthority"})
with open(folder / "config.toml", "w") as f:
    f.write("""hostname = "edgegateway.local"
trust_bundle_cert = "file://%s"
[provisioning]
source = "manual"
connection_string = "HostName=%s;DeviceId=EdgeGateway;SharedAccessKey=%s"
[upstream]
address = "127.0.0.1"
https_port = %d
[edge_ca]
cert = "file://%s"
pk = "file://%s"
[gateway]
enabled = false
[modules."$edgeHub"]
uid = %d
[modules.tool]
uid = %d
""" % (pki.root, NAME, key, hub.https_port, *edge_ca, os.getuid(), os.getuid()))
edge = Service(folder, "edge", "--config", folder / "config.toml", "--state", folder / "edge")


def issued(module, operation, body, file):
    """The certificate and key that the workload API gives the module, as files."""
    generation = hub.rest("GET", "/devices/EdgeGateway/modules/" + module.replace("$", "%24"))[2]["generationId"]
    target = "/modules/%s/%scertificate/%s?api-version=2022-08-03" % (module.replace("$", "%24"), "genid/%s/" % generation if operation == "server" else "", operation)
    status, _, answer = unix_http("%s/%s.sock" % (edge.ready["mnt"], module.lstrip("$")), "POST", target, body)
    assert status == 201, (status, answer)
    for end, text in ((".pem", answer["certificate"]), (".key", answer["privateKey"]["bytes"])):
        with open(folder / (file + end), "w") as f:
            f.write(text)
    return folder / (file + ".pem"), folder / (file + ".key")


def refused(cert, key, reason, device="tool"):
    before = len(hub.reasons())
    try:
        hub.mqtt(device, cert=cert, key=key).close()
        raise AssertionError("let in, not refused for " + reason)
    except Refused as why:
        assert why.code == 5, why
    assert reason in wait_for(lambda: hub.reasons()[before:], "the verdict"), hub.reasons()[before:]


def openssl(*args):
    done = subprocess.run(["openssl", *args], capture_output=True, text=True, cwd=folder.path)
    assert done.returncode == 0, done
    return done.stdout


def test_01_control():
    """a certificate that the root issued for the device is let in"""
    hub.mqtt("tool", **dict(zip(("cert", "key"), pki.make("device", "tool")))).close()


def test_02_chain():
    """the server certificate has the chain that the seeds print, depth 3 to 0, and openssl trusts it for the hostname"""
    cert, _ = issued("$edgeHub", "server", {"commonName": "edgegateway.local"}, "server")
    said = openssl("verify", "-show_chain", "-CAfile", pki.root, "-untrusted", cert, "-purpose", "sslserver", "-verify_hostname", "edgegateway.local", cert)
    assert [l.split("CN = ")[1].split(" (")[0] for l in said.splitlines() if l.startswith("depth=")] == ["edgegateway.local", "iotedged workload ca edgegateway", "my_optional_intermediate_CA",
                                                                                                         "my_private_root_CA"], said


def test_03_atk05_server():
    """atk-05: a module's server certificate with the CN of a device does not let it in as the device"""
    refused(*issued("tool", "server", {"commonName": "tool"}, "tool-server"), "CERT_NO_CLIENT_AUTH")


def test_04_atk05_identity():
    """atk-05: nor does the identity certificate of a module that is named like the device"""
    refused(*issued("tool", "identity", {}, "tool-identity"), "NAME_OF_MODULE")


def test_05_atk06_leaf_as_ca():
    """atk-06: nor does one for another device that the module signed with the key of either"""
    for issuer in ("tool-server", "tool-identity"):
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "forged.key", "-out", "forged.csr", "-subj", "/CN=TempSensor")
        openssl("x509", "-req", "-in", "forged.csr", "-CA", issuer + ".pem", "-CAkey", issuer + ".key", "-CAcreateserial", "-days", "1", "-out", "forged.crt")
        with open(folder / "forged.pem", "w") as out:
            for part in ("forged.crt", issuer + ".pem"):
                with open(folder / part) as f:
                    out.write(f.read())
        refused(folder / "forged.pem", folder / "forged.key", "CERT_NOT_CA", "TempSensor")


def test_06_atk07_edge_ca():
    """atk-07: the Edge CA shown as a device's certificate is refused, and so is one of a quickstart Edge CA that the root never issued"""
    run("rootedge", "cert", "edge-ca", "tool", "--issuer", pki.root, "--issuer-key", folder / "root.key", "--out", folder / "ca.pem", "--key-out", folder / "ca.key")
    refused(folder / "ca.pem", folder / "ca.key", "CERT_LEAF_IS_CA")
    run("rootedge", "cert", "edge-ca", "quickstart", "--out", folder / "quick.pem", "--key-out", folder / "quick.key")
    refused(*pki.make("device", "tool", issuer="quick", file="tool-quick"), "TRUST_UNKNOWN_ISSUER")


def test_99_stop():
    """all end in order"""
    assert edge.stop() == 0
    hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
