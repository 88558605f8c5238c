#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The CAs of provisioning: registered, verified by a proof of possession, referred to by enrollments, and taken away; and who registers by them, and who does not."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_provisioning import *

site = None
NAMES = {"type": "x509", "x509": {"caReferences": {"primary": "plant", "secondary": None}}}


def ca(name):
    run("rootedge", "cert", "root", "--name", name + " CA", "--out", site.folder / (name + ".pem"), "--key-out", site.folder / (name + ".key"), "--force")


def text(name):
    with open(site.folder / (name + ".pem")) as f:
        return f.read()


def certificate(method, path, body=None, match=None, **kw):
    return site.service(method, "/certificates" + path, body, **({"If-Match": match} if match else {}))


def register(id, cert, key):
    """(status, state or error)"""
    path = site.path(id)
    status, _, answer = site.ask("PUT", path + "/register", {}, cert=cert, key=key)
    if status != 202:
        return status, answer
    status, _, answer = site.ask("GET", path + "/operations/" + answer["operationId"], cert=cert, key=key)
    return status, answer.get("registrationState", answer)


def prove(name, issuer=None):
    status, head, body = certificate("POST", "/%s/generateVerificationCode" % name, match=certificate("GET", "/" + name)[2]["etag"])
    assert status == 200, body
    code = body["properties"]["verificationCode"]
    leaf, _ = site.pki.make("device", code, issuer=issuer or name, file="proof")
    with open(leaf) as f:
        return certificate("POST", "/%s/verify" % name, {"certificate": f.read()}, match=body["etag"])


def test_00_start():
    """a hub with provisioning starts, without any CA"""
    global site
    site = Site()
    for name in "plant", "other":
        ca(name)
    assert certificate("GET", "")[2] == {"value": []}


def test_01_objects():
    """a CA is registered, read, listed, changed only by its etag, and taken away"""
    status, head, made = certificate("PUT", "/plant", {"properties": {"certificate": text("plant")}})
    assert status == 200 and made["name"] == "plant" and made["type"] == "Microsoft.Devices/ProvisioningServices/Certificates", made
    assert made["properties"]["isVerified"] is False and made["properties"]["subject"] == "plant CA" and "scope" not in made["properties"], made
    assert head["ETag"].strip('"') == made["etag"] and "verificationCode" not in made["properties"], made
    assert certificate("GET", "/plant")[2] == made and certificate("GET", "")[2]["value"] == [made]
    assert certificate("PUT", "/plant", {"properties": {"certificate": text("other")}})[0] == 412
    assert certificate("PUT", "/plant", {"properties": {"certificate": text("other")}}, match="AAAA")[0] == 412
    assert certificate("PUT", "/again", {"properties": {"certificate": text("plant")}})[0] == 409
    assert certificate("PUT", "/other", {"properties": {"certificate": text("other")}})[0] == 200
    assert certificate("DELETE", "/other")[0] == 412
    assert certificate("DELETE", "/other", match="*")[0] == 204
    status, _, error = certificate("GET", "/other")
    assert status == 404 and error["errorCode"] == 404206, error
    assert site.hub.rest("GET", "/certificates")[2] == {"value": []}  # the hub's own are others


def test_02_bad():
    """what is no certificate, no CA's, or no name is refused, and so is whoever may not"""
    cert, _ = site.pki.make("device", "leaf", issuer="plant")
    with open(cert) as f:
        leaf = f.read()
    for body in {}, {"properties": {}}, {"properties": {"certificate": 7}}, {"properties": {"certificate": "x"}}, {"properties": {"certificate": leaf}}, [], "x", {"properties": []}, \
            {"properties": {"certificate": "A" * 100000}}:
        assert certificate("PUT", "/bad", body)[0] == 400, body
    for name in "a%20b", "a" * 65, "%2e%2f":
        assert certificate("PUT", "/" + name, {"properties": {"certificate": text("other")}})[0] in (400, 404), name
    for method, path in ("GET", "/certificates"), ("PUT", "/certificates/x"), ("POST", "/certificates/plant/verify"):
        assert site.ask(method, path, {})[0] == 401
        assert site.ask(method, path, {}, {"Authorization": site.hub.service_token()})[0] == 401
    assert certificate("POST", "/plant/verify", {"certificate": leaf}, match="*")[0] == 400  # no code was asked for


def test_03_unverified():
    """an enrollment may refer to a CA that is not verified, which lets nobody in, alone or in a group, and to none that is not there"""
    assert site.service("PUT", "/enrollmentGroups/line", {"attestation": NAMES, "iotHubs": [HOME]})[0] == 200
    status, _, shown = site.service("GET", "/enrollmentGroups/line")
    assert shown["attestation"] == NAMES, shown
    assert site.service("PUT", "/enrollments/solo", {"attestation": NAMES, "iotHubs": [HOME]})[0] == 200
    unknown = {"type": "x509", "x509": {"caReferences": {"primary": "nobody"}}}
    assert site.service("PUT", "/enrollmentGroups/unknown", {"attestation": unknown})[0] == 400
    for id in "dev-1", "solo":
        status, error = register(id, *site.pki.make("device", id, issuer="plant"))
        assert status == 401 and error["errorCode"] == 401000, error


def test_04_verified():
    """once its owner has proved to hold the key, and not before, devices of this CA register by the name, alone and in the group"""
    assert prove("plant", issuer="other")[0] == 400
    assert register("dev-1", *site.pki.make("device", "dev-1", issuer="plant"))[0] == 401
    status, _, body = prove("plant")
    assert status == 200 and body["properties"]["isVerified"] is True, body
    for id in "dev-1", "solo":
        pair = site.pki.make("device", id, issuer="plant")
        status, state = register(id, *pair)
        assert status == 200 and state["status"] == "assigned", state
        assert site.hub.rest("GET", "/devices/" + id)[2]["authentication"]["x509Thumbprint"]["primaryThumbprint"] == thumbprint(pair[0])
    assert state["x509"] == {} and site.shown("dev-1")["status"] == "assigned"
    assert register("dev-2", *site.pki.make("device", "dev-2", issuer="other"))[0] == 401
    assert register("dev-3", *site.pki.make("device", "dev-2", issuer="plant"))[0] == 401


def test_05_intermediate():
    """a device under an intermediate of that CA registers when it sends it along"""
    run("rootedge", "cert", "intermediate", "--name", "line CA", "--issuer", site.folder / "plant.pem", "--issuer-key", site.folder / "plant.key", "--out", site.folder / "line.pem",
        "--key-out", site.folder / "line.key")
    cert, key = site.pki.make("device", "dev-4", issuer="line")
    with open(cert) as f:
        leaf = f.read()
    chain = site.folder / "dev-4-chain.pem"
    with open(chain, "w") as f:
        f.write(leaf if text("line") in leaf else leaf + text("line"))
    assert register("dev-4", chain, key)[0] == 200


def test_06_changed():
    """a CA that gets another certificate is unverified until it is proved anew, over a restart too, and then the old one's devices are out"""
    status, _, body = certificate("PUT", "/plant", {"properties": {"certificate": text("other")}}, match=certificate("GET", "/plant")[2]["etag"])
    assert status == 200 and body["properties"]["isVerified"] is False, body
    old, new = site.pki.make("device", "dev-5", issuer="plant", file="old"), site.pki.make("device", "dev-5", issuer="other", file="new")
    site.hub.kill9()
    site.start()
    assert register("dev-5", *old)[0] == register("dev-5", *new)[0] == 401
    assert prove("plant", issuer="other")[0] == 200
    assert register("dev-5", *old)[0] == 401
    assert register("dev-5", *new)[0] == 200


def test_07_owner():
    """the owner of provisioning vouches for a CA without a proof"""
    ca("trusted")
    assert certificate("PUT", "/trusted", {"properties": {"certificate": text("trusted"), "isVerified": True}})[2]["properties"]["isVerified"] is True
    x509 = {"type": "x509", "x509": {"caReferences": {"primary": "plant", "secondary": "trusted"}}}
    etag = site.service("GET", "/enrollmentGroups/line")[2]["etag"]
    assert site.service("PUT", "/enrollmentGroups/line", {"attestation": x509, "iotHubs": [HOME]}, **{"If-Match": etag})[0] == 200
    assert register("dev-6", *site.pki.make("device", "dev-6", issuer="trusted"))[0] == 200
    assert register("dev-7", *site.pki.make("device", "dev-7", issuer="other"))[0] == 200


def test_08_removed():
    """a CA that is taken away lets nobody in any more, and its name is no longer taken by enrollments"""
    assert certificate("DELETE", "/trusted", match="*")[0] == 204
    assert register("dev-8", *site.pki.make("device", "dev-8", issuer="trusted"))[0] == 401
    assert register("dev-9", *site.pki.make("device", "dev-9", issuer="other"))[0] == 200
    assert site.service("PUT", "/enrollmentGroups/late", {"attestation": {"type": "x509", "x509": {"caReferences": {"primary": "trusted"}}}})[0] == 400


def test_09_end():
    """both stop in order"""
    site.stop()


if __name__ == "__main__":
    run_all(globals())
