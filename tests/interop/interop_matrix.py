#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The matrix of the original's end-to-end tests (gateway 8.1) with unmodified SDK clients as the devices: every kind of credential, over MQTT and MQTT in a WebSocket, at a gateway, at one below
it, and at the upper one for devices of the lower one; each sends a message and answers a direct method that a service calls at the hub."""
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from interop import GATEWAY, HUB, Story, enter_namespaces
from rootedge_test import *

LOWER = "loweredge.local"
story = lower = None
n_devices = 0


def start_lower(scope):
    """An edge device below EdgeGateway, on an address of its own; what is trusted is the root of all."""
    cert, key = story.pki.make("device", "LowerEdge", file="loweredge")
    status, _, record = story.rest("PUT", "/devices/LowerEdge", {"deviceId": "LowerEdge", "capabilities": {"iotEdge": True}, "parentScopes": [scope], "authentication": {
        "type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint(cert), "secondaryThumbprint": thumbprint(cert)}}})
    assert status == 200, record
    story.pki.make("edge-ca", "iotedged workload ca loweredge", file="loweredgeca")
    config = story.folder / "lower.toml"
    with open(config, "w") as f:
        f.write('hostname = "%s"\nparent_hostname = "%s"\ntrust_bundle_cert = "file://%s"\n[provisioning]\nsource = "manual"\niothub_hostname = "%s"\ndevice_id = "LowerEdge"\n'
                '[provisioning.authentication]\nmethod = "x509"\nidentity_cert = "file://%s"\nidentity_pk = "file://%s"\n[edge_ca]\ncert = "file://%s"\npk = "file://%s"\n'
                '[gateway]\naddress = "127.0.0.5"\nmetrics_port = 0\n' % (LOWER, GATEWAY, story.pki.root, HUB, cert, key, story.folder / "loweredgeca.pem", story.folder / "loweredgeca.key"))
    return record["deviceScope"], Service(SubFolder(story.folder, "lower"), "edge", "--config", config, "--state", story.folder / "lower-state")


def test_1_start():
    """a hub, an edge device, and one below it"""
    global story, lower
    story = Story()
    with open(story.folder / "hosts", "a") as f:
        f.write("127.0.0.5 %s\n" % LOWER)
    story.scope = story.start_edge()
    story.lower_scope, lower = start_lower(story.scope)
    story.pki.make("intermediate", "Factory", file="factory")
    with open(story.folder / "factory.pem") as f:
        assert story.rest("PUT", "/certificates/factory", {"properties": {"certificate": f.read(), "isVerified": True}})[0] == 200


def device(kind, scope):
    """A device of this kind in the hub; what matrix.js needs to be it."""
    global n_devices
    n_devices += 1
    id, other = "leaf%d" % n_devices, "A" * 64
    if kind.startswith("Sas"):
        record = story.rest("PUT", "/devices/" + id, dict({"deviceId": id}, **({"deviceScope": scope} if kind == "SasInScope" else {})))[2]
        return {"device": id, "key": record["authentication"]["symmetricKey"]["primaryKey"], "refused": kind == "SasOutOfScope"}
    cert, key = story.pki.make("device", id, issuer="factory" if kind == "CertificateAuthority" else "root")
    authentication = {"CertificateAuthority": {"type": "certificateAuthority"}, "SelfSignedPrimary": {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint(cert), "secondaryThumbprint": other}},
                      "SelfSignedSecondary": {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": other, "secondaryThumbprint": thumbprint(cert)}}}[kind]
    assert story.rest("PUT", "/devices/" + id, {"deviceId": id, "deviceScope": scope, "authentication": authentication})[0] == 200
    return {"device": id, "cert": cert, "certKey": key}


def run_matrix(where, gateway, scope, kinds):
    cases = [dict(device(kind, scope), name="%s %s %s" % (where, kind, "WebSocket" if websocket else "MQTT"), gateway=gateway, ca=str(story.pki.root), websocket=websocket)
             for kind in kinds for websocket in (False, True)]
    assert story.node("matrix.js", CASES=json.dumps(cases), CONNECTION_STRING=story.connection_string) == {"done": len(cases)}
    for case in cases:
        bodies = lambda: [e["body"] for e in story.events_of(case["device"])]
        if case.get("refused"):
            assert not bodies(), case
        else:
            wait_for(lambda: bodies() == ["from " + case["name"]], "the message from " + case["name"], 60)


ALL = ["SasInScope", "SasOutOfScope", "CertificateAuthority", "SelfSignedPrimary", "SelfSignedSecondary"]


def test_2_transparent_gateway():
    """TransparentGateway: by key in scope and out of it, CA, and self-signed in either slot"""
    run_matrix("gateway", GATEWAY, story.scope, ALL)


def test_3_lower_gateway():
    """the same at the gateway below"""
    run_matrix("lower", LOWER, story.lower_scope, ALL)


def test_4_grandparent_scope():
    """GrandparentScopeDevice: devices of the lower gateway connect to the upper one"""
    run_matrix("grandparent", GATEWAY, story.lower_scope, ["SasInScope", "SelfSignedPrimary", "SelfSignedSecondary"])


def test_5_change_sas_key():
    """QuickstartChangeSasKey: a device is deleted and made again under its id with other keys, and sends and answers again"""
    before = device("SasInScope", story.scope)
    case = dict(before, name="first", gateway=GATEWAY, ca=str(story.pki.root))
    story.node("matrix.js", CASES=json.dumps([case]), CONNECTION_STRING=story.connection_string)
    assert story.rest("DELETE", "/devices/" + before["device"], headers={"If-Match": "*"})[0] == 204
    key = story.rest("PUT", "/devices/" + before["device"], {"deviceId": before["device"], "deviceScope": story.scope})[2]["authentication"]["symmetricKey"]["primaryKey"]
    story.node("matrix.js", CASES=json.dumps([dict(case, key=key, name="second")]), CONNECTION_STRING=story.connection_string)
    story.node("matrix.js", CASES=json.dumps([dict(case, refused=True)]), CONNECTION_STRING=story.connection_string)


def test_99_end():
    """everything stops in order"""
    assert lower.stop() == 0 and story.edge.stop() == 0
    story.hub.stop()
    story.folder.__exit__()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "inside":
        sys.argv.pop(1)
        run_all(globals())
    enter_namespaces(os.path.abspath(__file__))
