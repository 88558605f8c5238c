#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Provisioning by TPM: TPMs in software are enrolled, challenged, sign with what only they can read, and use the hub with keys that never leave them (hub 6.5)."""
import base64, os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
import soft_tpm

hub = other = folder = other_folder = pki = None
tpms, calls = {}, {}
OWNER = "provisioningserviceowner"
HOME = "contosoiothub.local"
WINDOW = 300  # docs/provisioning.md


def later(seconds):
    path = folder / "clock"
    with open(path + ".new", "w") as f:
        f.write(str(seconds))
    os.rename(path + ".new", path)


def tpm(name, kind="rsa"):
    """Started with its first use."""
    if soft_tpm.why_not():
        raise Skip(soft_tpm.why_not())
    if name not in tpms:
        path = folder / name
        os.mkdir(path)
        tpms[name] = soft_tpm.SoftTpm(path, kind)
        wait_for(tpms[name].is_up, "the TPM " + name)
        tpms[name].make_keys(kind)
    return tpms[name]


def start():
    global hub
    hub = Hub(folder, pki, HOME, "--provisioning", "--provisioning-port", 0, "--provisioning-mqtt-port", 0, "--provisioning-hubs-ca", pki.root,
              env={"ROOTEDGE_CLOCK_FILE": folder / "clock"})


def ask(method, path, body=None, headers=None):
    return https(hub.ready["provisioning_port"], method, path + "?api-version=2021-06-01", body, headers, ca=pki.root)


def service(method, path, body=None, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return ask(method, path, body, dict(headers, Authorization=sas(hub.hostname, hub.policy(OWNER), policy=OWNER, encode=False)))


def attestation(ek, srk=None):
    return {"attestation": {"type": "tpm", "tpm": dict({"endorsementKey": ek}, **({"storageRootKey": srk} if srk else {}))}}


def enroll(id, device, srk=None, **more):
    status, _, e = service("PUT", "/enrollments/" + id, dict(attestation(device.ek(), srk), registrationId=id, **more))
    assert status == 200, e
    return e


def path_of(id):
    return "/%s/registrations/%s" % (hub.ready["id_scope"], id)


def said(id, ek, srk):
    return {"registrationId": id, "tpm": {"endorsementKey": ek, "storageRootKey": srk}}


def challenge(id, device, ek=None, srk=None):
    """authenticationKey, or None."""
    status, _, answer = ask("PUT", path_of(id) + "/register", said(id, ek or device.ek(), srk or device.srk()))
    assert status == 401, (status, answer)
    if "authenticationKey" not in answer:
        assert answer["errorCode"] == 401000 and answer["message"] == "Unauthorized", answer
        return None
    assert answer["keyName"] == "registration" and set(answer) == {"authenticationKey", "keyName"}, answer
    return answer["authenticationKey"]


def signed(device, resource, policy=None, life=7 * 86400):
    """A token whose signature the TPM makes."""
    sr, se = urllib.parse.quote(resource, safe=""), int(time.time()) + life
    signature = base64.b64encode(device.sign(("%s\n%d" % (sr, se)).encode())).decode()
    return "SharedAccessSignature sr=%s&sig=%s&se=%d%s" % (sr, urllib.parse.quote(signature, safe=""), se, "&skn=" + policy if policy else "")


def token(id, device, of=None):
    return {"Authorization": signed(device, "%s/registrations/%s" % (hub.ready["id_scope"], of or id), "registration")}


def answered(id, device, headers, **kw):
    """The registration after a challenge was answered, or what refused it."""
    status, _, answer = ask("PUT", path_of(id) + "/register", said(id, kw.get("ek") or device.ek(), kw.get("srk") or device.srk()), headers)
    if status != 202:
        return status, answer
    found = []

    def poll():
        status, _, state = ask("GET", path_of(id) + "/operations/" + answer["operationId"], "{}", headers)
        assert status in (200, 202), (status, state)
        found.append(state)
        return status == 200

    wait_for(poll, "the end of " + id, 30)
    return 200, found[-1]["registrationState"]


def register(id, device):
    """As a device does it, to the key at the hub in its TPM."""
    blob = challenge(id, device)
    assert blob, hub.reasons()[-1:]
    device.import_key(blob)
    status, state = answered(id, device, token(id, device))
    assert status == 200 and state["status"] == "assigned", (status, state)
    device.import_key(state["tpm"]["authenticationKey"])
    return state


def connects(device, id, hub=None, name=HOME):
    hub = hub or globals()["hub"]
    Mqtt(hub.mqtt_port, ca=pki.root, client_id=id, user=username(name, id), password=signed(device, "%s/devices/%s" % (name, id))).close()


def refused(answer, reason):
    status, body = answer
    assert status == 401 and body["errorCode"] == 401000 and body["message"] == "Unauthorized" and "authenticationKey" not in body, answer
    assert hub.reasons()[-1] == reason, hub.reasons()[-3:]


def not_challenged(reason, *args, **kw):
    assert challenge(*args, **kw) is None
    assert hub.reasons()[-1] == reason, hub.reasons()[-3:]


def test_00_start():
    """a hub with provisioning starts"""
    global folder, pki
    folder = Folder()
    pki = Pki(folder)
    later(0)
    start()


def test_01_enrollment():
    """an enrollment has the endorsement key of a TPM and tells it, in every way of looking; an update of what was seen keeps it"""
    a = tpm("a")
    e = enroll("dev-a", a)
    assert e["attestation"] == attestation(a.ek())["attestation"], e
    assert service("POST", "/enrollments/dev-a/attestationmechanism")[2] == attestation(a.ek())["attestation"]
    status, _, again = service("PUT", "/enrollments/dev-a", dict(e, deviceId="device-a"), If_Match=e["etag"])
    assert status == 200 and again["attestation"] == e["attestation"] and again["deviceId"] == "device-a", again
    status, _, done = service("POST", "/enrollments", {"mode": "create", "enrollments": [
        dict(attestation(a.ek(), a.srk()), registrationId="dev-both"), dict(attestation(tpm("b").ek()), registrationId="dev-b"),
        dict(attestation("AAAA"), registrationId="dev-bad")]})
    assert status == 200 and not done["isSuccessful"] and [x["registrationId"] for x in done["errors"]] == ["dev-bad"], done
    found = {x["registrationId"]: x["attestation"] for x in service("POST", "/enrollments/query", {"query": "SELECT *"})[2]}
    assert set(found) == {"dev-a", "dev-b", "dev-both"} and found["dev-both"]["tpm"]["storageRootKey"] == a.srk(), found


def test_02_enrollment_refused():
    """what is no key of a TPM, and a group, are refused when they are enrolled"""
    a = tpm("a")
    ek, srk = a.ek(), a.srk()
    signing = bytearray(base64.b64decode(ek))
    signing[7] |= 4
    for tpm_ in ({}, {"endorsementKey": 7}, {"endorsementKey": ""}, {"endorsementKey": "?"}, {"endorsementKey": ek[:-4]}, {"endorsementKey": "A" * 100000}, [], "x",
                 {"endorsementKey": base64.b64encode(bytes(signing)).decode()}, {"endorsementKey": ek, "storageRootKey": "AAAA"}, {"endorsementKey": ek, "storageRootKey": 1},
                 {"endorsementKey": ek, "storageRootKey": ek}):  # used by a policy: no parent
        status, _, answer = service("PUT", "/enrollments/bad", {"attestation": {"type": "tpm", "tpm": tpm_}})
        assert status == 400 and answer["errorCode"] == 400004, (tpm_, status, answer)
    assert service("PUT", "/enrollments/bad", {"attestation": {"type": "tpm"}})[0] == 400
    assert service("PUT", "/enrollmentGroups/bad", attestation(ek, srk))[0] == 400
    assert service("GET", "/enrollments/bad")[0] == 404


def test_03_registers():
    """a TPM activates its challenge, signs with what it imported, is assigned, and uses the hub over MQTT and HTTPS with a key that never left it"""
    a = tpm("a")
    state = register("dev-a", a)
    assert (state["assignedHub"], state["deviceId"], state["substatus"]) == (HOME, "device-a", "initialAssignment"), state
    record = hub.rest("GET", "/devices/device-a")[2]["authentication"]
    key = record["symmetricKey"]["primaryKey"]
    assert record["type"] == "sas" and len(base64.b64decode(key)) == 32 and key != record["symmetricKey"]["secondaryKey"], record["type"]
    assert a.sign(b"text") == hmac.new(base64.b64decode(key), b"text", hashlib.sha256).digest()
    connects(a, "device-a")
    status, _, _ = https(hub.https_port, "POST", "/devices/device-a/messages/events?api-version=2020-03-13", "from a TPM",
                         {"Authorization": signed(a, HOME + "/devices/device-a")}, ca=pki.root)
    assert status == 204, status
    assert [e["body"] for e in hub.events("--device", "device-a")] == ["from a TPM"]
    seen = service("GET", "/registrations/dev-a")[2]
    assert seen["status"] == "assigned" and "tpm" not in seen, seen
    for secret in key, record["symmetricKey"]["secondaryKey"], state["tpm"]["authenticationKey"]:
        assert secret not in hub.log_text()


def test_04_again():
    """registering again gives the same key at the hub in another wrapping, and what is connected stays; the id may be written in another case"""
    a = tpm("a")
    first = hub.rest("GET", "/devices/device-a")[2]
    with_key = Mqtt(hub.mqtt_port, ca=pki.root, client_id="device-a", user=username(HOME, "device-a"), password=signed(a, HOME + "/devices/device-a"))
    one, two = register("dev-a", a), register("DEV-A", a)
    assert one["tpm"] != two["tpm"] and two["deviceId"] == "device-a", two
    assert hub.rest("GET", "/devices/device-a")[2]["authentication"] == first["authentication"]
    with_key.send(packet(0xC0))
    assert with_key.receive()[0] == 0xD0
    with_key.close()


def test_05_lookup():
    """a device that looks its registration up signs that, too"""
    a = tpm("a")
    a.import_key(challenge("dev-a", a))
    status, _, state = ask("POST", path_of("dev-a"), {"registrationId": "dev-a"}, token("dev-a", a))
    assert status == 200 and state["status"] == "assigned" and state["tpm"]["authenticationKey"], state
    refused(ask("POST", path_of("dev-a"), {"registrationId": "dev-a"})[::2], "DEVICE_NO_CREDENTIAL")


def test_06_p256():
    """keys of NIST P-256 do the same"""
    c = tpm("c", "ecc")
    enroll("dev-c", c, c.srk())
    register("dev-c", c)
    connects(c, "dev-c")


def test_07_other_tpm():
    """another TPM is not challenged; one that says it has the enrolled keys can't read the challenge, nor can the right one with another's storage root key"""
    a, b = tpm("a"), tpm("b")
    not_challenged("TPM_ENDORSEMENT_KEY_DIFFERS", "dev-a", b)
    for srk in a.srk(), b.srk():
        blob = challenge("dev-a", b, a.ek(), srk)
        for device in (b,) if srk == a.srk() else (a, b):
            try:
                device.import_key(blob)
                raise AssertionError("a TPM activated what is not for it")
            except soft_tpm.Refused:
                pass
    # Signed with a key that it has: that of its own registration.
    register("dev-b", b)
    b.import_key(challenge("dev-b", b))
    refused(answered("dev-a", b, token("dev-a", b), ek=a.ek(), srk=a.srk()), "TPM_CHALLENGE_UNANSWERED")
    refused(answered("dev-a", b, token("dev-a", b)), "TPM_ENDORSEMENT_KEY_DIFFERS")
    # A stranger's questions take nothing from the device.
    register("dev-a", a)


def test_08_other_registration():
    """what answers the challenge of one registration answers no other one, of the same TPM neither, and a token is for one id"""
    a = tpm("a")
    a.import_key(challenge("dev-a", a))
    refused(answered("dev-both", a, token("dev-both", a)), "TPM_CHALLENGE_UNANSWERED")
    refused(answered("dev-both", a, token("dev-both", a, of="dev-a")), "SAS_WRONG_RESOURCE")
    a.import_key(state_key("dev-a", a))
    refused(answered("dev-a", a, token("dev-a", a)), "TPM_CHALLENGE_UNANSWERED")  # the key at the hub is none of a challenge


def state_key(id, device):
    return answered(id, device, token(id, device))[1]["tpm"]["authenticationKey"]


def test_09_expiry():
    """a challenge is answered minutes later, and over a restart; it is none any more after two windows, and what was signed for it is refused then"""
    a = tpm("a")
    begin = WINDOW - int(time.time()) % WINDOW + 5  # soon after a window begins

    def restart(seconds):
        hub.stop()
        later(seconds)
        start()

    restart(begin)
    a.import_key(challenge("dev-a", a))
    captured = token("dev-a", a)
    restart(begin + WINDOW)
    assert answered("dev-a", a, captured)[0] == 200
    restart(begin + 2 * WINDOW)
    refused(answered("dev-a", a, captured), "TPM_CHALLENGE_UNANSWERED")
    refused(ask("GET", path_of("dev-a") + "/operations/x", None, captured)[::2], "TPM_CHALLENGE_UNANSWERED")
    register("dev-a", a)
    restart(0)


def test_10_kill():
    """after a kill between registering and asking how it went, asking goes on with the same token"""
    a = tpm("a")
    a.import_key(challenge("dev-a", a))
    headers = token("dev-a", a)
    status, _, answer = ask("PUT", path_of("dev-a") + "/register", said("dev-a", a.ek(), a.srk()), headers)
    assert status == 202, answer
    hub.kill9()
    start()
    status, _, state = ask("GET", path_of("dev-a") + "/operations/" + answer["operationId"], None, headers)
    assert status == 200 and state["status"] == "assigned", state
    a.import_key(state["registrationState"]["tpm"]["authenticationKey"])
    connects(a, "device-a")


def test_11_storage_root_key():
    """a cleared TPM has another storage root key: where that is enrolled it is refused, else it registers and gets another key, and the old one is none"""
    b = tpm("b")
    enroll("dev-pinned", b, b.srk())
    register("dev-pinned", b)
    register("dev-b", b)
    before = hub.rest("GET", "/devices/dev-b")[2]["authentication"]["symmetricKey"]["primaryKey"]
    old, old_srk = signed(b, HOME + "/devices/dev-b"), b.srk()
    ek = b.ek()
    b.clear()
    assert b.ek() == ek and b.srk() != old_srk
    not_challenged("TPM_STORAGE_ROOT_KEY_DIFFERS", "dev-pinned", b)
    register("dev-b", b)
    connects(b, "dev-b")
    assert hub.rest("GET", "/devices/dev-b")[2]["authentication"]["symmetricKey"]["primaryKey"] != before
    try:
        Mqtt(hub.mqtt_port, ca=pki.root, client_id="dev-b", user=username(HOME, "dev-b"), password=old)
        raise AssertionError("the key of the cleared TPM is still one")
    except Refused as why:
        assert why.code == 5, why.code


def test_12_unfit():
    """a storage root key that another could have made up is refused before anything is encrypted for it"""
    a = tpm("a")
    area = bytearray(base64.b64decode(a.srk()))
    by_policy, exportable, other_kind = bytearray(area), bytearray(area), bytearray(area)
    by_policy[9] = 0xb2
    exportable[9] = 0x60
    other_kind[3] = 8
    for srk in (base64.b64encode(bytes(x)).decode() for x in (by_policy, exportable, other_kind, area[:-1], b"\0" * 300, b"")):
        not_challenged("TPM_STORAGE_ROOT_KEY_UNFIT", "dev-a", a, srk=srk or "AA==")
    off = bytearray(base64.b64decode(tpm("c", "ecc").srk()))
    off[-1] ^= 1
    assert challenge("dev-a", a, srk=base64.b64encode(bytes(off)).decode()) is None  # no point of the curve
    status, _, answer = ask("PUT", path_of("dev-a") + "/register", {"tpm": {"endorsementKey": a.ek()}})
    refused((status, answer), "TPM_STORAGE_ROOT_KEY_UNFIT")


def test_13_garbage():
    """bodies that are none, and fields of other types or sizes, are refused, and the service goes on"""
    a = tpm("a")
    ek, srk = a.ek(), a.srk()
    for body in ("{", "[]", "7", '"x"', {"tpm": []}, {"tpm": 7}, {"tpm": {"endorsementKey": 7}}, {"tpm": {"endorsementKey": ek, "storageRootKey": []}}):
        status, _, answer = ask("PUT", path_of("dev-a") + "/register", body)
        assert status == 400 and answer["errorCode"] == 400004, (body, status, answer)
    for body in ("", "{}", {"tpm": None}, {"tpm": {}}, {"tpm": {"endorsementKey": None}}, {"tpm": {"endorsementKey": "", "storageRootKey": ""}},
                 {"tpm": {"endorsementKey": "A" * 200000, "storageRootKey": srk}}, {"tpm": {"endorsementKey": ek, "storageRootKey": "A" * 200000}},
                 {"tpm": {"endorsementKey": ek + "\n", "storageRootKey": srk}}, {"tpm": {"endorsementKey": "é" * 400, "storageRootKey": srk}}):
        status, _, answer = ask("PUT", path_of("dev-a") + "/register", body)
        assert status == 401 and "authenticationKey" not in answer, (str(body)[:80], status, answer)
    status, _, _ = ask("PUT", path_of("dev-a") + "/register", {"tpm": {"endorsementKey": "A" * (8 << 20)}})
    assert status in (400, 413), status
    for header in ("SharedAccessSignature", "SharedAccessSignature sr=x", "Bearer x", "SharedAccessSignature " + "a=b&" * 2000):
        refused(ask("PUT", path_of("dev-a") + "/register", said("dev-a", ek, srk), {"Authorization": header})[::2], "SAS_MALFORMED")
    a.import_key(challenge("dev-a", a))
    status, _, answer = ask("PUT", path_of("dev-a") + "/register", said("other", ek, srk), token("dev-a", a))
    assert status == 400, answer
    register("dev-a", a)


def test_14_other_proofs():
    """a key or a certificate does not stand in for a TPM, nor a TPM for a key; what is disabled or not enrolled is not challenged"""
    a = tpm("a")
    key = new_key()
    plain = {"Authorization": sas("%s/registrations/dev-a" % hub.ready["id_scope"], key, policy="registration", encode=False)}
    refused(answered("dev-a", a, plain), "TPM_CHALLENGE_UNANSWERED")
    cert = pki.make("device", "dev-a")
    status, _, answer = https(hub.ready["provisioning_port"], "PUT", path_of("dev-a") + "/register?api-version=2021-06-01", {"registrationId": "dev-a"}, ca=pki.root,
                              cert=cert[0], key=cert[1])
    refused((status, answer), "ENROLLMENT_WRONG_PROOF")
    assert service("PUT", "/enrollments/dev-key", {"attestation": {"type": "symmetricKey"}})[0] == 200
    not_challenged("DEVICE_NO_CREDENTIAL", "dev-key", a)
    not_challenged("DEVICE_NO_CREDENTIAL", "dev-nobody", a)
    enroll("dev-off", a, provisioningStatus="disabled")
    not_challenged("ENROLLMENT_DISABLED", "dev-off", a)
    assert ask("PUT", "/0ne00000000/registrations/dev-a/register", said("dev-a", a.ek(), a.srk()))[2]["message"] == "Unauthorized"
    assert hub.reasons()[-1] == "ID_SCOPE_UNKNOWN", hub.reasons()[-1]


def test_15_mqtt():
    """over MQTT no TPM registers, not with a token either that HTTPS would take"""
    a = tpm("a")
    a.import_key(challenge("dev-a", a))
    password = token("dev-a", a)["Authorization"]
    for password in password, None:
        try:
            Mqtt(hub.ready["provisioning_mqtt_port"], ca=pki.root, client_id="dev-a", clean=True, password=password,
                 user="%s/registrations/dev-a/api-version=2019-03-31" % hub.ready["id_scope"])
            raise AssertionError("a TPM was let in over MQTT")
        except Refused as why:
            assert why.code == 5, why.code
        assert hub.reasons()[-1] == ("TPM_NEEDS_HTTPS" if password else "DEVICE_NO_CREDENTIAL"), hub.reasons()[-1]


def test_16_linked_hub():
    """in a linked hub the device is made with the TPM's key, which it keeps when it moves home"""
    global other, other_folder
    c = tpm("c", "ecc")
    other_folder = Folder()
    other = Hub(other_folder, pki, "localhost")
    far = "localhost:%d" % other.https_port
    text = "HostName=%s;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (far, other.policy())
    assert service("PUT", "/linkedHubs/" + far, {"connectionString": text})[0] == 200
    enroll("dev-far", c, iotHubs=[far])
    state = register("dev-far", c)
    assert state["assignedHub"] == far and hub.rest("GET", "/devices/dev-far")[0] == 404, state
    connects(c, "dev-far", other, "localhost")
    status, _, e = service("PUT", "/enrollments/dev-far", dict(attestation(c.ek()), iotHubs=[HOME]), If_Match="*")
    assert status == 200, e
    assert register("dev-far", c)["assignedHub"] == HOME
    connects(c, "dev-far")


def test_17_new_enrollment():
    """an enrollment that was deleted and made again, and one that got another TPM, give another key at the hub"""
    a, c = tpm("a"), tpm("c", "ecc")
    key = lambda: hub.rest("GET", "/devices/dev-moved")[2]["authentication"]["symmetricKey"]["primaryKey"]
    enroll("dev-moved", a)
    register("dev-moved", a)
    first = key()
    assert service("DELETE", "/enrollments/dev-moved")[0] == 204
    refused(answered("dev-moved", a, token("dev-moved", a)), "ENROLLMENT_UNKNOWN")
    enroll("dev-moved", a)
    register("dev-moved", a)
    second = key()
    assert service("PUT", "/enrollments/dev-moved", attestation(c.ek()), If_Match="*")[0] == 200
    not_challenged("TPM_ENDORSEMENT_KEY_DIFFERS", "dev-moved", a)
    register("dev-moved", c)
    connects(c, "dev-moved")
    assert len({first, second, key()}) == 3


def test_18_tool():
    """rootedge provisioning enrolls a TPM, shows its keys, and updates it without them"""
    a = tpm("a")
    string = run("rootedge", "provisioning", "connection-string", "--state", hub.state).stdout.strip()

    def tool(*words, check=True):
        return run("rootedge", "provisioning", "enrollment", *words, "-e", "dev-tool", "--login", string, "--ca", pki.root, "--connect-to", "127.0.0.1", "--json", check=check)
    made = json.loads(tool("create", "--endorsement-key", a.ek(), "--storage-root-key", a.srk()).stdout)
    assert made["attestation"] == attestation(a.ek(), a.srk())["attestation"], made
    first = register("dev-tool", a)
    changed = json.loads(tool("update", "--edge-enabled", "true").stdout)
    assert changed["attestation"] == made["attestation"] and changed["capabilities"]["iotEdge"] is True, changed
    changed = json.loads(tool("update", "--storage-root-key", "").stdout)
    assert changed["attestation"] == attestation(a.ek())["attestation"], changed
    assert "endorsementKey" in tool("update", "--endorsement-key", "AAAA", check=False).stderr
    register("dev-tool", a)
    connects(a, first["deviceId"])


def test_99_end():
    """everything stops in order"""
    for device in tpms.values():
        device.close()
    hub.stop()
    if other:
        other.stop()
        other_folder.__exit__()
    folder.__exit__()


if __name__ == "__main__":
    run_all()
