#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The provisioning service over HTTPS: services enroll, devices register, and what they get is a device of the hub they can connect with (hub 6, 7)."""
import base64, hashlib, hmac, os, re, sqlite3, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = None
V = "?api-version=2021-10-01"
OWNER = "provisioningserviceowner"
KEYS = {"attestation": {"type": "symmetricKey"}}


def ask(method, path, body=None, headers=None, **kw):
    return https(hub.ready["provisioning_port"], method, path + V, body, headers, ca=pki.root, **kw)


def service(method, path, body=None, policy=OWNER, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return ask(method, path, body, dict(headers, Authorization=sas(hub.hostname, hub.policy(policy), policy=policy, encode=False)))


def scope():
    return hub.ready["id_scope"]


def token(registration, key, of=None):
    return {"Authorization": sas("%s/registrations/%s" % (scope(), of or registration), key, policy="registration", encode=False)}


def register(registration, headers=None, body=None, **kw):
    """The final answer of a registration, or what refused it."""
    path = "/%s/registrations/%s" % (scope(), registration)
    status, head, answer = ask("PUT", path + "/register", {"registrationId": registration} if body is None else body, headers, **kw)
    if status != 202:
        return status, answer
    assert answer["status"] == "assigning" and int(head["Retry-After"]) > 0, (head, answer)
    operation = path + "/operations/" + answer["operationId"]
    status, head, answer = ask("GET", operation, "{}", headers, **kw)  # Node sends a body with it
    assert status == 200 and answer["status"] == "assigned", (status, answer)
    return status, answer["registrationState"]


def derive(key, registration):
    return base64.b64encode(hmac.new(base64.b64decode(key), registration.encode(), hashlib.sha256).digest()).decode()


def pem(path):
    with open(path) as f:
        return f.read()


def certs(kind, *paths):
    pair = dict(zip(("primary", "secondary"), ({"certificate": pem(p)} for p in paths)))
    return {"attestation": {"type": "x509", "x509": {kind: pair}}}


def refused(answer):
    status, body = answer
    assert status == 401 and body["errorCode"] == 401000 and body["message"].startswith("Unauthorized"), answer
    assert "trackingId" in body and "timestampUtc" in body, body


def start():
    global hub
    hub = Hub(folder, pki, "contosoiothub.local", "--provisioning", "--provisioning-port", 0, "--provisioning-mqtt-port", 0)


def connects(device, key=None, cert=None):
    kw = {"password": sas("%s/devices/%s" % (hub.hostname, device), key)} if key else {"cert": cert[0], "key": cert[1]}
    Mqtt(hub.mqtt_port, ca=pki.root, client_id=device, user=username(hub.hostname, device), **kw).close()


def test_00_start():
    """a hub with provisioning starts, and its id scope is one of its own and stays over a restart"""
    global folder, pki
    folder = Folder()
    pki = Pki(folder)
    start()
    first = scope()
    assert re.fullmatch("0ne[0-9A-F]{8}", first), first
    hub.stop()
    start()
    assert scope() == first


def test_01_individual_key():
    """an individual enrollment by key: keys are made and told only when asked for, and the device connects to the hub with them"""
    status, _, e = service("PUT", "/enrollments/dev-sym", dict(KEYS, deviceId="renamed", capabilities={"iotEdge": True},
                                                             initialTwin={"tags": {"line": 3}, "properties": {"desired": {"rate": 5}}}))
    assert status == 200 and e["registrationId"] == "dev-sym" and "symmetricKey" not in e["attestation"], e
    assert e["provisioningStatus"] == "enabled" and e["etag"], e
    for path in "/enrollments/dev-sym/attestationmechanism", "/Enrollments/DEV-SYM/attestationMechanism":
        status, _, m = service("POST", path)
        assert status == 200 and m["type"] == "symmetricKey", m
    key = m["symmetricKey"]["primaryKey"]
    status, state = register("dev-sym", token("dev-sym", key))
    assert (state["assignedHub"], state["deviceId"], state["status"], state["substatus"]) == (hub.hostname, "renamed", "assigned", "initialAssignment"), state
    record = hub.rest("GET", "/devices/renamed")[2]
    assert record["authentication"]["type"] == "sas" and record["authentication"]["symmetricKey"] == m["symmetricKey"], record
    assert record["capabilities"]["iotEdge"] is True, record
    twin = hub.rest("GET", "/twins/renamed")[2]
    assert twin["tags"] == {"line": 3} and twin["properties"]["desired"]["rate"] == 5, twin
    connects("renamed", key)
    hub.rest("PATCH", "/twins/renamed", {"tags": {"line": 4}})
    assert register("dev-sym", token("dev-sym", key))[0] == 200
    assert hub.rest("GET", "/twins/renamed")[2]["tags"] == {"line": 4}  # the first time only


def test_02_group_key():
    """a group by key: the derived key registers, is the key of the hub's device, and is no other device's"""
    group = new_key()
    status, _, g = service("PUT", "/enrollmentGroups/plant", {"enrollmentGroupId": "plant", "attestation": {
        "type": "symmetricKey", "symmetricKey": {"primaryKey": group, "secondaryKey": new_key()}}})
    assert status == 200 and g["enrollmentGroupId"] == "plant", g
    key = derive(group, "leaf-1")
    status, state = register("leaf-1", token("leaf-1", key))
    assert state["deviceId"] == "leaf-1" and state["symmetricKey"] == {"enrollmentGroupId": "plant"}, state
    connects("leaf-1", key)
    refused(register("leaf-2", token("leaf-2", key)))
    refused(register("leaf-1", token("leaf-1", group)))
    refused(register("leaf-2", token("leaf-1", key)))
    status, answer = register("LEAF-1", token("LEAF-1", derive(group, "LEAF-1")))
    assert status == 409, answer


def test_03_individual_cert():
    """an individual enrollment by certificate: both slots of the hub have its SHA-256, and it connects"""
    pair = pki.make("device", "dev-cert")
    status, _, e = service("PUT", "/enrollments/dev-cert", certs("clientCertificates", pair[0]))
    assert status == 200, e
    info = e["attestation"]["x509"]["clientCertificates"]["primary"]
    assert "certificate" not in info and info["info"]["sha256Thumbprint"] == thumbprint(pair[0]) and len(info["info"]["sha1Thumbprint"]) == 40, e
    assert info["info"]["subjectName"] == "CN=dev-cert" and info["info"]["version"] == 3, e
    status, state = register("dev-cert", cert=pair[0], key=pair[1])
    assert state["deviceId"] == "dev-cert", state
    auth = hub.rest("GET", "/devices/dev-cert")[2]["authentication"]
    assert auth["type"] == "selfSigned", auth
    assert auth["x509Thumbprint"] == {"primaryThumbprint": thumbprint(pair[0]), "secondaryThumbprint": thumbprint(pair[0])}, auth
    connects("dev-cert", cert=pair)
    other = pki.make("device", "dev-cert", file="impostor")
    refused(register("dev-cert", cert=other[0], key=other[1]))


def test_04_group_cert():
    """a group by CA: the leaf's SHA-256 is in the hub, a renewed leaf that registers again takes its place, and another CN is refused"""
    run("rootedge", "cert", "root", "--name", "plant CA", "--out", folder / "plant.pem", "--key-out", folder / "plant.key")
    status, _, g = service("PUT", "/enrollmentGroups/line", certs("signingCertificates", folder / "plant.pem"))
    assert status == 200, g
    old = pki.make("device", "line-1", issuer="plant", file="line-1-old")
    status, state = register("line-1", cert=old[0], key=old[1])
    assert state["x509"]["enrollmentGroupId"] == "line", state
    connects("line-1", cert=old)
    renewed = pki.make("device", "line-1", issuer="plant", file="line-1-new")
    status, state = register("line-1", cert=renewed[0], key=renewed[1])
    assert status == 200 and state["substatus"] == "initialAssignment", state
    connects("line-1", cert=renewed)
    try:
        connects("line-1", cert=old)
        raise AssertionError("the replaced certificate still connects")
    except Refused as why:
        assert why.code == 5, why
    refused(register("line-2", cert=renewed[0], key=renewed[1]))
    run("rootedge", "cert", "root", "--name", "other CA", "--out", folder / "other.pem", "--key-out", folder / "other.key")
    assert service("PUT", "/enrollmentGroups/other", certs("signingCertificates", folder / "other.pem"))[0] == 200
    foreign = pki.make("device", "line-1", issuer="other", file="foreign")
    assert register("line-1", cert=foreign[0], key=foreign[1])[0] == 409  # another group vouches for the name
    status, _, answer = ask("POST", "/%s/registrations/line-1" % scope(), {"registrationId": "line-1"}, cert=foreign[0], key=foreign[1])
    assert (status, answer["errorCode"]) == (404, 404202), answer  # and is told nothing of it
    path = "/%s/registrations/line-1" % scope()
    operation = path + "/operations/" + ask("PUT", path + "/register", {"registrationId": "line-1"}, cert=renewed[0], key=renewed[1])[2]["operationId"]
    assert ask("GET", operation, cert=foreign[0], key=foreign[1])[2]["errorCode"] == 404203
    assert ask("POST", path, {"registrationId": "line-1"}, cert=renewed[0], key=renewed[1])[2]["deviceId"] == "line-1"
    connects("line-1", cert=renewed)
    stranger = pki.make("device", "line-1", file="stranger")
    refused(register("line-1", cert=stranger[0], key=stranger[1]))


def test_05_disabled():
    """a disabled enrollment refuses, in the middle of a registration too, and the reason stands in the log"""
    _, _, e = service("GET", "/enrollments/dev-cert")
    status, _, e = service("PUT", "/enrollments/dev-cert", dict(e, provisioningStatus="disabled"), If_Match=e["etag"])
    assert status == 200 and e["provisioningStatus"] == "disabled", e
    refused(register("dev-cert", cert=folder / "dev-cert.pem", key=folder / "dev-cert.key"))
    assert "ENROLLMENT_DISABLED" in hub.reasons()
    service("PUT", "/enrollments/dev-cert", dict(e, provisioningStatus="enabled"), If_Match="*")
    assert register("dev-cert", cert=folder / "dev-cert.pem", key=folder / "dev-cert.key")[0] == 200


def test_05_b_groups_change():
    """a group counts as it is now: made, disabled, enabled again with other keys, removed, each from the next question on"""
    def ask_with(key):
        return register("changing-1", token("changing-1", derive(key, "changing-1")))

    def put(**more):
        assert service("PUT", "/enrollmentGroups/changing", dict(KEYS, **more), **({"If_Match": "*"} if more else {}))[0] == 200
        return service("POST", "/enrollmentGroups/changing/attestationmechanism")[2]["symmetricKey"]["primaryKey"]

    refused(ask_with(new_key()))
    key = put()
    assert ask_with(key)[0] == 200
    put(provisioningStatus="disabled")
    refused(ask_with(key))
    other = new_key()
    put(provisioningStatus="enabled", attestation={"type": "symmetricKey", "symmetricKey": {"primaryKey": other, "secondaryKey": new_key()}})
    refused(ask_with(key))
    assert ask_with(other)[0] == 200
    assert service("DELETE", "/enrollmentGroups/changing", If_Match="*")[0] == 204
    refused(ask_with(other))


def test_06_not_taken_over():
    """a device of the hub that was not provisioned is never given to who registers under its id"""
    status, _, mine = hub.rest("PUT", "/devices/by-hand", {"deviceId": "by-hand"})
    service("PUT", "/enrollments/by-hand", KEYS)
    key = service("POST", "/enrollments/by-hand/attestationmechanism")[2]["symmetricKey"]["primaryKey"]
    status, answer = register("by-hand", token("by-hand", key))
    assert status == 409, answer
    assert hub.rest("GET", "/devices/by-hand")[2]["authentication"] == mine["authentication"]
    status, _, answer = service("GET", "/registrations/by-hand")
    assert status == 404, answer


def test_07_wrong():
    """another id scope, a malformed id, an id in the body that is another, no credential, junk, and a missing version are refused"""
    key = service("POST", "/enrollments/dev-sym/attestationmechanism")[2]["symmetricKey"]["primaryKey"]
    status, _, answer = ask("PUT", "/0neFFFFFFFF/registrations/dev-sym/register", {}, token("dev-sym", key))
    assert status == 401, answer
    refused(register("dev-sym"))
    refused(register("dev%2Fsym", token("dev-sym", key)))
    refused(register("dev-sym.", token("dev-sym.", key)))
    refused(register("a" * 129, token("dev-sym", key)))
    assert register("dev-sym", token("dev-sym", key), {"registrationId": "other"})[0] == 400
    assert register("dev-sym", token("dev-sym", key), "[1]")[0] == 400
    assert register("dev-sym", token("dev-sym", key), "{")[0] == 400
    assert register("dev-sym", token("dev-sym", key), {"registrationId": "dev-sym", "csr": "MII="})[0] == 400
    assert https(hub.ready["provisioning_port"], "PUT", "/%s/registrations/dev-sym/register" % scope(), {}, token("dev-sym", key), ca=pki.root)[0] == 400
    status, _, answer = ask("GET", "/%s/registrations/dev-sym/operations/5.0.none" % scope(), None, token("dev-sym", key))
    assert status == 404, answer
    for reason in "ID_SCOPE_UNKNOWN", "REGISTRATION_ID_INVALID", "DEVICE_NO_CREDENTIAL":
        assert reason in hub.reasons(), reason


def test_08_service_rights():
    """a policy of the hub opens nothing of provisioning, and the owner of provisioning nothing of the hub"""
    assert service("GET", "/enrollments/dev-sym", policy="iothubowner")[0] == 401
    assert hub.rest("GET", "/devices/renamed", policy=OWNER)[0] == 401
    assert ask("GET", "/enrollments/dev-sym")[0] == 401


def test_09_etags():
    """creating again is a conflict, an old etag a failed precondition, and a missing one is not found"""
    assert service("PUT", "/enrollments/dev-sym", KEYS)[0] == 409
    assert service("PUT", "/enrollments/dev-sym", KEYS, If_Match="AAAA")[0] == 412
    assert service("PUT", "/enrollments/none", KEYS, If_Match="*")[0] == 404
    assert service("DELETE", "/enrollments/dev-sym", If_Match="AAAA")[0] == 412
    assert service("GET", "/enrollmentGroups/dev-sym")[0] == 404
    assert service("PUT", "/enrollments/bad", {"attestation": 7})[0] == 400
    assert service("PUT", "/enrollments/bad", dict(KEYS, initialTwin=[]))[0] == 400
    assert service("PUT", "/enrollments/bad", dict(KEYS, iotHubs=["other.hub"]))[0] == 400
    assert service("GET", "/enrollments/bad")[0] == 404


def test_10_bulk_and_pages():
    """up to ten at once in four modes, and lists in pages"""
    ids = ["bulk-%02d" % i for i in range(10)]
    items = [dict(KEYS, registrationId=i) for i in ids]
    status, _, answer = service("POST", "/enrollments/", {"mode": "create", "enrollments": items})
    assert status == 200 and answer == {"isSuccessful": True, "errors": []}, answer
    status, _, answer = service("POST", "/enrollments", {"mode": "create", "enrollments": items[:1]})
    assert not answer["isSuccessful"] and answer["errors"][0]["registrationId"] == "bulk-00" and answer["errors"][0]["errorCode"] == 409201, answer
    status, _, answer = service("POST", "/enrollments", {"mode": "updateIfMatchETag", "enrollments": [dict(items[0], etag="AAAA")]})
    assert answer["errors"][0]["errorCode"] == 412001, answer
    assert service("POST", "/enrollments", {"mode": "update", "enrollments": items})[2]["isSuccessful"]
    assert service("POST", "/enrollments", {"mode": "create", "enrollments": items + items[:1]})[0] == 400
    assert service("POST", "/enrollments", {"mode": "explode", "enrollments": items})[0] == 400
    found, more = [], {}
    while True:
        status, head, page = service("POST", "/enrollments/query", {"query": "SELECT *"}, x_ms_max_item_count="4", **more)
        assert status == 200 and head["x-ms-item-type"] == "enrollment" and len(page) <= 4, (head, page)
        found += [e["registrationId"] for e in page]
        if not head["x-ms-continuation"]:
            break
        more = {"x_ms_continuation": head["x-ms-continuation"]}
    assert found == sorted(set(found)) and set(ids) < set(found), found
    assert service("POST", "/enrollments/query", {"query": "SELECT x"})[0] == 400
    assert service("POST", "/enrollments/query", {"query": "*"}, x_ms_continuation="!!")[0] == 400
    assert service("POST", "/enrollments", {"mode": "delete", "enrollments": items})[2]["isSuccessful"]
    assert service("GET", "/enrollments/bulk-03")[0] == 404


def test_11_registrations():
    """what became of a device is told to services and to the device, until it is deleted"""
    assert service("GET", "/registrations/leaf-1")[2]["deviceId"] == "leaf-1"
    key = service("POST", "/enrollments/dev-sym/attestationmechanism")[2]["symmetricKey"]["primaryKey"]
    status, _, state = ask("POST", "/%s/registrations/dev-sym" % scope(), {}, token("dev-sym", key))
    assert status == 200 and state["deviceId"] == "renamed", state
    assert service("DELETE", "/registrations/dev-sym")[0] == 204
    assert service("DELETE", "/registrations/dev-sym")[0] == 404
    assert ask("POST", "/%s/registrations/dev-sym" % scope(), {}, token("dev-sym", key))[0] == 404
    assert register("dev-sym", token("dev-sym", key))[0] == 200  # the hub's device has the same keys


def test_11_b_payload():
    """what a device sends along is shown to services, to it never, over a restart too, until it registers again without"""
    key = service("POST", "/enrollments/dev-sym/attestationmechanism")[2]["symmetricKey"]["primaryKey"]
    shown = lambda: service("GET", "/registrations/dev-sym")[2].get("devicePayload", "nothing")
    sends = lambda payload: register("dev-sym", token("dev-sym", key), {"registrationId": "dev-sym", "payload": payload})
    for payload in {"model": "dtmi:x;1", "n": [1, None, {"ü": False}]}, "text", 0, False, [], {}, "x" * 65534:
        status, state = sends(payload)
        assert status == 200 and "payload" not in state and "devicePayload" not in state, state
        assert shown() == payload, payload
    assert sends("x" * 65535)[0] == 400 and shown() == "x" * 65534
    sends({"kept": True})
    hub.stop()
    start()
    assert shown() == {"kept": True}
    sends(None)
    assert shown() == "nothing"
    sends(1)
    assert register("dev-sym", token("dev-sym", key))[0] == 200 and shown() == "nothing"


def test_12_race():
    """of registrations of one id at once by two certificates of a group, each is answered and the hub has one device with one of them"""
    pairs = [pki.make("device", "racer", issuer="plant", file="racer%d" % i) for i in range(4)]
    answers = []
    threads = [threading.Thread(target=lambda p=p: answers.append(ask("PUT", "/%s/registrations/racer/register" % scope(), {}, cert=p[0], key=p[1])[0]))
               for p in pairs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [202] * 4, answers
    auth = hub.rest("GET", "/devices/racer")[2]["authentication"]["x509Thumbprint"]
    assert auth["primaryThumbprint"] == auth["secondaryThumbprint"] and auth["primaryThumbprint"] in [thumbprint(p[0]) for p in pairs], auth


def test_13_kill():
    """after kill -9 in the midst of registrations, registering again gives each the same hub and its keys"""
    group = service("POST", "/enrollmentgroups/plant/attestationmechanism")[2]["symmetricKey"]["primaryKey"]
    ids = ["killed-%d" % i for i in range(30)]
    told = []

    def many():
        try:
            for i in ids:
                told.append((i, register(i, token(i, derive(group, i)))))
        except OSError:
            pass
        except Exception as why:
            if "http" not in type(why).__module__:
                raise
    worker = threading.Thread(target=many)
    worker.start()
    wait_for(lambda: len(told) >= 5, "five registrations")
    hub.kill9()
    worker.join()
    start()
    for i, _ in told:
        assert hub.rest("GET", "/devices/" + i)[0] == 200, i
    for i in ids:
        status, state = register(i, token(i, derive(group, i)))
        assert status == 200 and state["assignedHub"] == hub.hostname and state["deviceId"] == i, state
        assert hub.rest("GET", "/devices/" + i)[2]["authentication"]["symmetricKey"]["primaryKey"] == derive(group, i)


def test_13_b_damaged():
    """registrations that can't be gone on with, because their enrollments can't be read, keep no others waiting"""
    for name in ("a-first", "z-last"):
        service("PUT", "/enrollments/" + name, KEYS)
        key = service("POST", "/enrollments/%s/attestationmechanism" % name)[2]["symmetricKey"]["primaryKey"]
        assert register(name, token(name, key))[0] == 200
    hub.kill9()
    with sqlite3.connect(os.path.join(hub.state, "hub.sqlite"), isolation_level=None) as db:
        for table, extra in (("enrollment", {"cert1": "junk"}), ("registration", {})):
            columns = [c[1] for c in db.execute("PRAGMA table_info(%s)" % table)]
            row = dict(zip(columns, db.execute("SELECT * FROM %s WHERE id = 'a-first'" % table).fetchone()))
            for i in range(100):
                copy = dict(row, id="a-%03d" % i, name="a-%03d" % i, **extra)
                db.execute("INSERT INTO %s (%s) VALUES (%s)" % (table, ",".join(copy), ",".join("?" * len(copy))), tuple(copy.values()))
        db.execute("UPDATE registration SET assigned = 0, due = 1 WHERE id GLOB 'a-[0-9]*' OR id = 'z-last'")
    db.close()
    start()
    wait_for(lambda: service("GET", "/registrations/z-last")[2]["status"] == "assigned", "z-last", 20)


def pages(group, size, policy=OWNER):
    """All pages of a group's registrations."""
    found, more = [], {}
    while True:
        status, head, page = service("POST", "/registrations/%s/query" % group, {"query": "SELECT *"}, policy, x_ms_max_item_count=str(size), **more)
        assert status == 200 and head["x-ms-item-type"] == "deviceRegistration" and len(page) <= size, (status, head, page)
        found.append(page)
        if not head.get("x-ms-continuation"):
            return found
        more = {"x_ms_continuation": head["x-ms-continuation"]}


def test_14_of_a_group():
    """the registrations of a group are listed page by page, each as a look gives it, for whoever may read registrations and in any case of the group's name"""
    found = pages("PLANT", 7)
    ids = [r["registrationId"] for page in found for r in page]
    assert all(len(page) == 7 for page in found[:-1]) and ids == sorted(set(ids)) and {"killed-%d" % i for i in range(30)} <= set(ids), found
    assert "dev-sym" not in ids and "racer" not in ids and "leaf-1" in ids, ids
    assert found[0][0] == service("GET", "/registrations/" + ids[0])[2]
    assert service("POST", "/registrations/plant/query", "")[2][0]["registrationId"] == ids[0]
    status, _, error = service("POST", "/registrations/nobody/query", {})
    assert status == 404 and error["errorCode"] == 404204, error
    for header in {"x_ms_max_item_count": "0"}, {"x_ms_max_item_count": "x"}, {"x_ms_continuation": "x"}, {"x_ms_continuation": "a" * 700}:
        assert service("POST", "/registrations/plant/query", {}, **header)[0] == 400, header
    assert service("POST", "/registrations/plant/query", {}, policy="iothubowner")[0] == 401
    assert ask("POST", "/registrations/plant/query", {})[0] == 401


def test_15_forgotten():
    """a registration is forgotten by its etag, and the device stays in the hub"""
    _, head, state = service("GET", "/registrations/killed-0")
    assert head["ETag"].strip('"') == state["etag"] and base64.b64decode(state["etag"])[:1] == b'"', state
    assert service("DELETE", "/registrations/killed-0", If_Match='"AAAA"')[0] == 412
    assert service("DELETE", "/registrations/killed-0", If_Match=state["etag"])[0] == 204
    status, _, error = service("GET", "/registrations/killed-0")
    assert status == 404 and error["errorCode"] == 404202, error
    assert service("DELETE", "/registrations/killed-0")[0] == 404
    assert service("DELETE", "/registrations/killed-1")[0] == 204
    assert hub.rest("GET", "/devices/killed-0")[0] == 200


def test_16_end():
    """no key is in the log, and the hub stops in order"""
    key = service("POST", "/enrollments/dev-sym/attestationmechanism")[2]["symmetricKey"]["primaryKey"]
    assert key not in hub.log_text()
    hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
