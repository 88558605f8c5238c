#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""identityd with our provisioning service and two hubs: a device that is told who it is, by a key, a certificate and a TPM; the modes of registering anew, which differ; what is kept for a
start without a network, for whom it is kept, and what a kill, a full disk or a damaged file leave of it."""
import os, random, re, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_provisioning import *
from identity_box import *
from tokens import SoftHsm, Swtpm

site = folder = None
boxes = []


def endpoint():
    return "https://localhost:%d" % site.hub.ready["provisioning_port"]


def dps(registration=None, **more):
    return {"global_endpoint": endpoint(), "id_scope": site.hub.ready["id_scope"], **({"registration_id": registration} if registration else {}), **more}


def key_file(name, key=None):
    path = folder / (name + ".bin")
    with open(path, "wb") as f:
        f.write(base64.b64decode(key or site.group))
    return path


def box(name, **config):
    b = Box(folder, name, [site.pki.root], keys=config.pop("keys", None) or {"device-id": key_file(name)}, source="dps", hub_port=site.hub.https_port,
            **dict({"auth": "symmetric_key", "dps": dps(name)}, **config))
    boxes.append(b)
    return b


def hub_restart():
    """The hub with provisioning, on the ports that it had."""
    at = site.hub.args.index("--provisioning-port") + 1
    site.hub.args[at] = str(site.hub.ready["provisioning_port"])
    site.hub.start()


def same(b, answer, identity):
    """The same identity; handles of one key differ, but not what it signs."""
    status, got = answer
    handles = [i["spec"]["auth"].pop("keyHandle") for i in (got, json.loads(json.dumps(identity)))] if status == 200 else []
    rest = json.loads(json.dumps(identity))
    rest["spec"]["auth"].pop("keyHandle")
    return status == 200 and got == rest and len({b.device_token(h, "x").split("&")[1] for h in handles}) == 1


def knows(hub, device):
    return hub.rest("GET", "/devices/" + device)[0] == 200


def test_00_start():
    """two hubs start, one of them with provisioning"""
    global site, folder
    site, folder = Site(), Folder()


def test_01_key():
    """a symmetric key: the device is registered and assigned, answers say so, its modules have keys in the hub that identityd derives, and nothing of the key is in a log"""
    site.enroll("dev-1", deviceId="device-1", iotHubs=[HOME], capabilities={"iotEdge": True})
    b = box("dev-1")
    spec = b.is_device("device-1", HOME)
    assert spec["gatewayHost"] == HOME and spec["auth"]["type"] == "sas", spec
    assert b.ask("GET", "/identities/provisioning") == (200, {"source": "dps", "auth": "symmetric_key", "endpoint": endpoint(), "scope_id": site.hub.ready["id_scope"],
                                                              "registration_id": "dev-1"})
    # What the handle signs, the hub takes.
    status, _, _ = https(site.hub.https_port, "POST", "/devices/device-1/messages/events?api-version=2020-03-13", "hello",
                         {"Authorization": b.device_token(spec["auth"]["keyHandle"], HOME + "/devices/device-1")}, ca=site.pki.root)
    assert status == 204, status
    status, made = b.module("POST")
    assert status == 200 and made["spec"]["moduleId"] == "pump" and made["spec"]["auth"]["type"] == "sas", made
    record = site.hub.rest("GET", "/devices/device-1/modules/pump")[2]
    assert record["generationId"] == made["spec"]["genId"] and record["authentication"]["type"] == "sas"
    signed = b.device_token(made["spec"]["auth"]["keyHandle"], HOME + "/devices/device-1/modules/pump")
    connection = Mqtt(site.hub.mqtt_port, ca=site.pki.root, client_id="device-1/pump", user=username(HOME, "device-1", "pump"), password=signed)
    connection.publish("devices/device-1/modules/pump/messages/events/", b"by a module's key")
    connection.close()
    assert same(b, b.module("GET"), made) and same(b, b.module("PUT"), made)
    assert [m["spec"]["moduleId"] for m in b.ask("GET", "/identities/modules?type=aziot")[1]["identities"]].count("pump") == 1
    assert all("auth" not in m["spec"] for m in b.ask("GET", "/identities/modules")[1]["identities"])
    assert b.module("DELETE")[0] == 204 and b.module("GET")[0] == 404
    keys = site.hub.rest("GET", "/devices/device-1")[2]["authentication"]["symmetricKey"]
    for secret in (keys["primaryKey"], site.group, record["authentication"]["symmetricKey"]["primaryKey"]):
        assert secret not in b.log()
    assert b.kept()["hubName"] == HOME and "Key" not in json.dumps(b.kept())


def test_02_offline():
    """with hub and provisioning away the device starts from what was kept, and a module that was asked for before has its identity; making one is answered with why not"""
    b = boxes[0]
    made = b.module("POST")[1]
    site.hub.stop()
    b.restart()
    assert b.device()[1]["spec"]["deviceId"] == "device-1"
    assert same(b, b.module("GET"), made)
    status, answer = b.module("POST", "another")
    assert status == 404 and answer["message"].startswith("Hub client error\ncaused by: "), (status, answer)
    assert b.module("GET", "never")[0] == 404
    hub_restart()
    wait_for(lambda: b.module("POST", "another")[0] == 200, "the hub is back")
    assert "device-1 of %s, as was kept" % HOME in b.log()


def test_03_somebody_elses():
    """what was kept is used by nobody else: another registration, scope, endpoint or key in the configuration registers anew, and says why; while that can't be, the answer is why not"""
    b = boxes[0]
    site.enroll("dev-2", deviceId="device-2", iotHubs=[HOME])
    site.hub.stop()
    b.restart(dps=dps("dev-2"))
    b.said("it is for another registration id than is configured now")
    wait_for(lambda: "can't" in str(b.device()) or b.device()[1]["message"].count(":") > 2, "a reason")
    status, answer = b.device()
    assert status == 404 and answer["message"].startswith("DPS client error\ncaused by: this device is not provisioned yet: PUT https://localhost"), answer
    for path in ("GET", "/identities/modules"), ("GET", "/identities/modules/pump"), ("GET", "/identities/identity"):
        assert b.ask(*path)[0] == 404, path
    assert b.ask("GET", "/identities/provisioning")[1]["registration_id"] == "dev-2"
    hub_restart()
    b.is_device("device-2", HOME, 60)
    assert b.kept()["deviceId"] == "device-2"
    b.restart(dps=dict(dps("dev-2"), id_scope="0ne00000000"))
    b.said("it is for another ID scope than is configured now")
    b.said("look at registration_id, id_scope, attestation")
    b.restart(dps=dps("dev-2"))
    assert b.device()[1]["spec"]["deviceId"] == "device-2", "what is right again is used again"
    other = new_key()
    with open(folder / "dev-1.bin", "wb") as f:
        f.write(base64.b64decode(other))
    b.stop()
    b.keyd, b.certd = b.service("keyd"), b.service("certd")
    b.start()
    b.said("it is for another credential than is configured now")
    b.said("401")
    b.stop()


def moved(name, to, mode):
    """A device that is at home, whose enrollment now says another hub."""
    site.enroll(name, iotHubs=[HOME])
    b = box(name, auto_reprovisioning_mode=mode)
    b.is_device(name, HOME)
    assert b.module("POST")[0] == 200
    site.enroll(name, iotHubs=[to])
    return b


def gone(name, hub):
    status, _, answer = hub.rest("DELETE", "/devices/" + name, headers={"If-Match": "*"})
    assert status == 204, answer


def test_04_always_on_startup():
    """AlwaysOnStartup: each start asks provisioning, and so finds out that the device belongs elsewhere, though its hub still takes it; while it runs a refusal changes nothing"""
    b = moved("always", site.far, "AlwaysOnStartup")
    b.restart()
    b.is_device("always", site.far)
    assert b.module("GET")[0] == 404 and b.module("POST")[0] == 200 and knows(site.other, "always")
    site.enroll("always", iotHubs=[HOME])
    gone("always", site.other)
    status, answer = b.module("PUT")
    assert status == 404 and "401" in answer["message"], answer
    assert b.device()[1]["spec"]["hubName"] == site.far
    b.restart()
    b.is_device("always", HOME)
    b.stop()


def test_05_dynamic():
    """Dynamic: a start asks nobody, and so stays where the hub still takes it; refused by its hub while it runs, the device is where it belongs with the same request; and unasked"""
    b = moved("dynamic", site.far, "Dynamic")
    b.restart()
    assert b.is_device("dynamic", HOME) and b.module("GET")[0] == 200
    gone("dynamic", site.hub)
    status, answer = b.module("PUT")
    assert status == 200 and answer["spec"]["hubName"] == site.far, (status, answer, b.log()[-2000:])
    assert knows(site.other, "dynamic") and b.kept()["hubName"] == site.far
    assert len(os.listdir(os.path.join(b.state, "modules"))) == 1, "what was kept of the other hub's modules is gone"
    # Nobody asks for anything, and it finds out as well.
    b.restart(look_every_sec=1)
    site.enroll("dynamic", iotHubs=[HOME])
    gone("dynamic", site.other)
    wait_for(lambda: (b.kept() or {})["hubName"] == HOME, "it has moved unasked", 30)
    b.is_device("dynamic", HOME)
    b.stop()


def test_06_on_error_only():
    """OnErrorOnly: neither a start nor a refusal while it runs; a start at which the hub refuses the device does"""
    b = moved("on-error", site.far, "OnErrorOnly")
    b.restart()
    assert b.is_device("on-error", HOME) and b.module("GET")[0] == 200
    gone("on-error", site.hub)
    status, answer = b.module("PUT")
    assert status == 404 and b.device()[1]["spec"]["hubName"] == HOME, (status, answer)
    b.restart()
    b.is_device("on-error", site.far)
    b.stop()


def test_07_asked_for():
    """POST /identities/device/reprovision does it in every mode, and tells what became of it; while provisioning is away the device goes on as it is, and a start then asks first"""
    b = moved("asked", site.far, "OnErrorOnly")
    assert b.ask("POST", "/identities/device/reprovision", {"type": "aziot"}) == (204, b"")
    assert b.device()[1]["spec"]["hubName"] == site.far
    site.enroll("asked", iotHubs=[HOME])
    site.hub.stop()
    status, answer = b.ask("POST", "/identities/device/reprovision", {"type": "aziot"})
    assert status == 404 and answer["message"].startswith("DPS client error\ncaused by: "), answer
    assert b.device()[1]["spec"]["hubName"] == site.far and b.kept()["again"] is True
    b.identityd.kill9()
    b.start()
    assert b.device()[1]["spec"]["hubName"] == site.far
    hub_restart()
    b.is_device("asked", HOME, 90)
    assert b.kept()["again"] is False
    b.stop()


def test_08_refused_for_good():
    """a device whose hub and provisioning both refuse it asks provisioning once for many requests, says why, and is there again when it may be"""
    site.enroll("stolen", iotHubs=[HOME])
    b = box("stolen")
    b.is_device("stolen", HOME)
    record = site.hub.rest("GET", "/devices/stolen")[2]
    site.enroll("stolen", iotHubs=[HOME], provisioningStatus="disabled")
    assert site.hub.rest("PUT", "/devices/stolen", dict(record, status="disabled"), {"If-Match": "*"})[0] == 200
    before = len(b.log())
    for _ in range(5):
        assert b.module("PUT")[0] == 404
    assert b.log()[before:].count("provisioning is asked where it belongs") == 1
    b.said("provisioning refuses with 401", before)
    site.enroll("stolen", iotHubs=[HOME], provisioningStatus="enabled")
    record = site.hub.rest("GET", "/devices/stolen")[2]
    assert site.hub.rest("PUT", "/devices/stolen", dict(record, status="enabled"), {"If-Match": "*"})[0] == 200
    assert b.module("PUT")[0] == 200
    b.stop()


def test_09_certificate():
    """a certificate of a group: its common name is the registration id, and the hub knows the device by it"""
    cert, key = site.pki.make("device", "by-cert")
    with open(site.pki.root) as f:
        body = {"attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": f.read()}}}}, "iotHubs": [HOME], "capabilities": {"iotEdge": True}}
    status, _, answer = site.service("PUT", "/enrollmentGroups/line-1", body)
    assert status == 200, answer
    b = box("by-cert", auth="x509", dps=dps(), keys={"device-id": key}, certs={"device-id": cert})
    spec = b.is_device("by-cert", HOME)
    assert spec["auth"]["type"] == "x509" and spec["auth"]["certId"] == "device-id", spec
    assert b.ask("GET", "/identities/provisioning")[1]["registration_id"] == "by-cert"
    assert b.module("POST")[0] == 200
    assert site.hub.rest("GET", "/devices/by-cert")[2]["authentication"]["x509Thumbprint"]["primaryThumbprint"] == thumbprint(cert)
    b.stop()


def test_09_token():
    """the certificate's key in a PKCS #11 token: pulled out, the device can't prove who it is, and what was kept serves; put back, all goes on without a restart"""
    with SubFolder(folder, "card") as card:
        hsm = SoftHsm(card)
        cert, key = site.pki.make("device", "by-token")
        hsm.take_key(key, "identity")
        b = box("by-token", auth="x509", dps=dps(), keys={"device-id": hsm.uri("identity") + "&module-path=" + hsm.module}, certs={"device-id": cert}, env=hsm.env)
        b.is_device("by-token", HOME)
        assert b.module("POST")[0] == 200
        hsm.pull()
        wait_for(lambda: b.module("PUT")[0] == 404, "the token is away")
        assert b.module("GET")[0] == 200
        hsm.put_back()
        wait_for(lambda: b.module("PUT")[0] == 200, "the token is back\n" + b.log()[-1500:], 30)
        b.stop()


def test_09_issued():
    """a certificate that is issued here, by a CA of this site that the enrollment group has: it is made before the device registers, and again for nobody"""
    ca = site.pki.make("intermediate", "line 2 CA", file="line2")
    with open(ca[0]) as f:
        body = {"attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": f.read()}}}}, "iotHubs": [HOME]}
    status, _, answer = site.service("PUT", "/enrollmentGroups/line-2", body)
    assert status == 200, answer
    b = box("issued", auth="x509", dps=dps("made-here"), keys={"local-ca": ca[1]}, certs={"local-ca": ca[0]}, issuance={"device-id": {"method": "local_ca", "expiry_days": 90}},
            make_device_certificate=True)
    spec = b.is_device("made-here", HOME)
    assert spec["auth"]["certId"] == "device-id" and b.module("POST")[0] == 200
    known = site.hub.rest("GET", "/devices/made-here")[2]["authentication"]["x509Thumbprint"]["primaryThumbprint"]
    b.restart()
    assert b.device()[1]["spec"]["deviceId"] == "made-here" and "as was kept" in b.log() and b.module("PUT")[0] == 200
    assert site.hub.rest("GET", "/devices/made-here")[2]["authentication"]["x509Thumbprint"]["primaryThumbprint"] == known
    b.stop()


def test_10_tpm():
    """a TPM: challenged, assigned, and the hub's key is in it, by which modules are made; over a restart of all, and with the TPM away for a while"""
    with SubFolder(folder, "chip") as chip, Swtpm(chip) as tpm:
        b = box("by-tpm", auth="tpm", tpm=tpm.tcti, keys={}, dps=dps("by-tpm"))
        status, _, keys = unix_http(b.tpmd, "GET", "/get_tpm_keys?api-version=2020-09-01")
        assert status == 200, keys
        b.said("401000 Unauthorized: the enrollment is not there")
        status, _, e = site.service("PUT", "/enrollments/by-tpm", {"attestation": {"type": "tpm", "tpm": {"endorsementKey": keys["endorsement_key"]}}, "iotHubs": [HOME]})
        assert status == 200, e
        spec = b.is_device("by-tpm", HOME, 60)
        assert spec["auth"] == {"type": "tpm"}, spec
        assert b.module("POST")[0] == 200
        # What it signs is what the hub's key signs.
        key = site.hub.rest("GET", "/devices/by-tpm")[2]["authentication"]["symmetricKey"]["primaryKey"]
        status, _, answer = unix_http(b.tpmd, "POST", "/sign_with_auth_key?api-version=2020-09-01", {"data": base64.b64encode(b"text").decode()})
        assert status == 200 and base64.b64decode(answer["digest"]) == hmac.new(base64.b64decode(key), b"text", hashlib.sha256).digest(), answer
        tpm.off()
        assert unix_http(b.tpmd, "GET", "/get_tpm_keys?api-version=2020-09-01")[0] == 500
        assert b.module("PUT")[0] == 404
        b.identityd.kill9()
        b.start()
        assert b.device()[0] == 404, "without its TPM nobody knows whose identity was kept"
        tpm.on()
        b.is_device("by-tpm", HOME, 60)
        assert "as was kept" in b.log() and b.module("PUT")[0] == 200
        for secret in key, answer["digest"]:
            assert secret not in b.log() + b.keyd.log_text()
        b.stop()


def test_11_tpmd_requests():
    """the TPM service answers what is none of its requests as the others do, refuses keys that are not for this TPM, and no stranger is answered"""
    v = "?api-version=2020-09-01"
    with SubFolder(folder, "chip2") as chip, Swtpm(chip) as tpm:
        b = box("tpmd", auth="tpm", tpm=tpm.tcti, keys={}, dps=dps("tpmd"))

        def tpmd(method, path, body=None):
            status, _, answer = unix_http(b.tpmd, method, path, body)
            return status, answer
        assert tpmd("GET", "/get_tpm_keys")[0] == 400 and tpmd("GET", "/get_tpm_keys?api-version=2018-06-28")[0] == 400
        assert tpmd("GET", "/none" + v) == (404, {"message": "not found"})
        assert tpmd("DELETE", "/get_tpm_keys" + v) == (400, {"message": "method not allowed"})
        assert tpmd("POST", "/sign_with_auth_key" + v, {"data": base64.b64encode(b"x").decode()}) == (500, {"message": "internal error"}), "no key yet"
        for path, name in (("/import_auth_key", "key"), ("/sign_with_auth_key", "data")):
            assert tpmd("POST", path + v) == (400, {"message": "missing request body"})
            assert tpmd("POST", path + v, {})[0] == 422
            assert tpmd("POST", path + v, {name: 7})[0] == 422
            assert tpmd("POST", path + v, {name: "no base64!"})[0] == 400
        for blob in b"", b"x", os.urandom(900), b"\0" * 900, b"\xff" * 900:
            assert tpmd("POST", "/import_auth_key" + v, {"key": base64.b64encode(blob).decode()}) == (500, {"message": "internal error"})
        assert tpmd("POST", "/import_auth_key" + v, {"key": base64.b64encode(b"x" * 5000).decode()})[0] == 400
        assert tpmd("GET", "/get_tpm_keys" + v)[0] == 200
        if ME == 0:
            sock, b.sock = b.sock, b.tpmd
            assert b.ask_as(12345, "GET", "/get_tpm_keys")[0] in (400, 401)
            b.sock = sock
        b.stop()


def test_12_kills():
    """killed at any moment of registering, or of taking a new assignment, the next start comes to the same end"""
    site.enroll("killed", iotHubs=[HOME])
    b = box("killed", auto_reprovisioning_mode="AlwaysOnStartup")
    rounds = random.Random(1)
    for n in range(12):
        site.enroll("killed", iotHubs=[(HOME, site.far)[n % 2]])
        b.identityd.kill9()
        b.start()
        end = time.monotonic() + rounds.random() * 1.5 * SLOW
        wait_for(lambda: time.monotonic() > end or b.device()[0] == 200 and b.device()[1]["spec"]["hubName"] == (HOME, site.far)[n % 2], "a moment", 10)
    b.restart()
    b.is_device("killed", site.far, 60)
    assert b.module("PUT")[0] == 200
    site.is_only_in("killed", site.far)
    assert not [n for n in os.listdir(b.state) if n not in ("device_info", "modules", "prev_state")], os.listdir(b.state)
    b.stop()


def test_13_damaged():
    """a kept identity that is damaged, empty, a folder's or somebody's joke is said and not used: provisioning is asked, and what it says is kept anew"""
    b = box("damaged")
    site.enroll("damaged", iotHubs=[HOME])
    b.is_device("damaged", HOME, 60)
    path = os.path.join(b.state, "device_info")
    with open(path) as f:
        good = f.read()
    for text in "", good[:len(good) // 2], "{}", "hub_name = \"x\"\n", good.replace(HOME, "../../x"), good.replace('"damaged"', '"a/b"', 1), "\0" * 400, "[" * 5000:
        b.identityd.stop()
        with open(path, "w") as f:
            f.write(text)
        before = len(b.log())
        b.start()
        b.is_device("damaged", HOME)
        assert "what was kept of this device's identity is not used" in b.log()[before:], text[:40]
        assert b.kept()["hubName"] == HOME
    modules = os.path.join(b.state, "modules")
    assert b.module("POST")[0] == 200
    site.hub.stop()
    for name in os.listdir(os.path.join(modules, os.listdir(modules)[0])):
        with open(os.path.join(modules, os.listdir(modules)[0], name), "w") as f:
            f.write('{"moduleId": "../x"}')
    assert b.module("GET")[0] == 404
    b.said("the kept identity of module pump can't be used")
    hub_restart()
    assert wait_for(lambda: b.module("GET")[0] == 200, "the hub is back")
    b.stop()


def test_14_disk_full():
    """with the disk full a device is who it is and its modules are made, only a start without a network would not know; with room again that is kept too"""
    site.enroll("full", iotHubs=[HOME])
    small = folder / "full"
    os.makedirs(os.path.join(small, "state"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", os.path.join(small, "state")], capture_output=True).returncode != 0:
        os.rmdir(os.path.join(small, "state"))
        os.rmdir(small)
        raise Skip("no mount allowed")
    try:
        with open(os.path.join(small, "state", "filler"), "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        b = box("full")
        b.is_device("full", HOME)
        b.said("can't be kept for a start without a network")
        assert b.kept() is None and b.module("POST")[0] == 200
        b.said("could not be kept for offline use")
        os.unlink(os.path.join(small, "state", "filler"))
        b.restart()
        b.is_device("full", HOME)
        assert b.kept()["deviceId"] == "full" and b.module("PUT")[0] == 200
        b.stop()
    finally:
        subprocess.run(["umount", os.path.join(small, "state")])


def test_99_end():
    """everything stops in order"""
    for b in boxes:
        b.stop()
    site.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all()
