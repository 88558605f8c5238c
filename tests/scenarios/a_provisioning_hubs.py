#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Provisioning for other hubs: they are linked, devices are spread over them and made there, and what the other hub is not there for goes on later."""
import base64, hashlib, hmac, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = other = folder = other_folder = pki = None
HOME, OWNER = "contosoiothub.local", "provisioningserviceowner"
group, far_group = new_key(), new_key()


def start():
    global hub
    hub = Hub(folder, pki, HOME, "--provisioning", "--provisioning-port", 0, "--provisioning-mqtt-port", 0, "--provisioning-hubs-ca", pki.root)


def far():
    return "localhost:%d" % other.https_port


def ask(method, path, body=None, headers=None, **kw):
    return https(hub.ready["provisioning_port"], method, path + "?api-version=2021-10-01", body, headers, ca=pki.root, **kw)


def service(method, path, body=None, policy=OWNER, **headers):
    return ask(method, path, body, dict({"Authorization": sas(hub.hostname, hub.policy(policy), policy=policy, encode=False)}, **headers))


def link(**changes):
    text = "HostName=%s;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (far(), other.policy())
    return service("PUT", "/linkedHubs/" + far(), dict({"connectionString": text}, **changes))


def derive(registration, key=None):
    return base64.b64encode(hmac.new(base64.b64decode(key or group), registration.encode(), hashlib.sha256).digest()).decode()


def enroll(name, key=None, **more):
    kind = "/enrollments/" if key is None else "/enrollmentGroups/"
    keys = {"type": "symmetricKey", "symmetricKey": {"primaryKey": key or group, "secondaryKey": key or group}}
    return service("PUT", kind + name, dict({"attestation": keys}, **more))


def headers(registration, key):
    return {"Authorization": sas("%s/registrations/%s" % (hub.ready["id_scope"], registration), key, policy="registration", encode=False)}


def begin(registration, key):
    path = "/%s/registrations/%s" % (hub.ready["id_scope"], registration)
    status, _, answer = ask("PUT", path + "/register", {"registrationId": registration}, headers(registration, key))
    assert status == 202 and answer["status"] == "assigning", (status, answer)
    return path + "/operations/" + answer["operationId"]


def poll(operation, registration, key):
    status, _, answer = ask("GET", operation, None, headers(registration, key))
    assert status in (200, 202), (status, answer)
    return answer if status == 200 else None


def register(registration, key):
    operation, answer = begin(registration, key), []
    wait_for(lambda: answer.append(poll(operation, registration, key)) or answer[-1], "the end of " + registration, 30)
    return answer[-1]


def test_00_start():
    """two hubs start, one of them with provisioning"""
    global folder, other_folder, pki, other
    folder = Folder()
    pki = Pki(folder)
    start()
    other_folder = Folder()
    other = Hub(other_folder, pki, "localhost")


def test_01_link():
    """a hub is linked with its policy's key, which is never told, changed, and refused when something is wrong with it"""
    assert service("GET", "/linkedHubs")[2] == []
    status, _, shown = link()
    assert status == 200 and shown == {"name": far(), "allocationWeight": 1, "sharedAccessKeyName": "iothubowner"}, shown
    assert link(allocationWeight=3)[2]["allocationWeight"] == 3
    assert service("GET", "/linkedHubs/" + far())[2] == service("GET", "/linkedHubs")[2][0]
    good = "HostName=x.test;SharedAccessKeyName=p;SharedAccessKey=" + new_key()
    for host, body in (("y.test", {"connectionString": good}), ("x.test", {}), ("x.test", {"connectionString": 7}), ("x.test", {"connectionString": "x"}),
                       ("x.test", {"connectionString": good, "allocationWeight": -1}), ("x.test", {"connectionString": good, "allocationWeight": 1001}),
                       ("x.test", {"connectionString": good, "allocationWeight": "1"}), ("x.test", []), ("x.test", {"connectionString": "HostName=x.test;DeviceId=d;SharedAccessKey=" + new_key()}),
                       ("x%40y.test", {"connectionString": good.replace("x.test", "x@y.test")}), (HOME, {"connectionString": good.replace("x.test", HOME)})):
        assert service("PUT", "/linkedHubs/" + host, body)[0] == 400, (host, body)
    assert service("DELETE", "/linkedHubs/x.test")[0] == 404
    assert service("GET", "/linkedHubs", policy="iothubowner")[0] == 401
    assert ask("GET", "/linkedHubs")[0] == 401


def test_02_named():
    """an enrollment that names the other hub makes the device there, with its key and its twin, and not here"""
    assert enroll("nowhere", iotHubs=["unknown.test"])[0] == 400
    assert enroll("there", iotHubs=[far()], capabilities={"iotEdge": True}, initialTwin={"tags": {"line": 3}, "properties": {"desired": {"rate": 5}}})[0] == 200
    answer = register("there", group)
    assert answer["status"] == "assigned" and answer["registrationState"]["assignedHub"] == far(), answer
    record = other.rest("GET", "/devices/there")[2]
    assert record["authentication"]["symmetricKey"]["primaryKey"] == group and record["capabilities"]["iotEdge"] is True and record["status"] == "enabled", record
    twin = other.rest("GET", "/twins/there")[2]
    assert twin["tags"] == {"line": 3} and twin["properties"]["desired"]["rate"] == 5, twin
    assert hub.rest("GET", "/devices/there")[0] == 404
    other.rest("PATCH", "/twins/there", {"tags": {"line": 4}})
    assert register("there", group)["status"] == "assigned"
    assert other.rest("GET", "/twins/there")[2]["tags"] == {"line": 4}  # the first time only
    Mqtt(other.mqtt_port, ca=pki.root, client_id="there", user=username("localhost", "there"), password=sas("localhost/devices/there", group)).close()


def test_03_spread():
    """a group spreads its devices over both hubs by weight, and with updateHubAssignment false each keeps its hub whatever the weights become"""
    assert enroll("plant", group, reprovisionPolicy={"updateHubAssignment": False, "migrateDeviceData": False})[0] == 200
    ids = ["spread-%d" % i for i in range(24)]
    where = {i: register(i, derive(i))["registrationState"]["assignedHub"] for i in ids}
    assert set(where.values()) == {HOME, far()} and list(where.values()).count(far()) > 12, where
    for i in ids:
        assert (hub.rest("GET", "/devices/" + i)[0], other.rest("GET", "/devices/" + i)[0]) == ((200, 404) if where[i] == HOME else (404, 200)), i
    link(allocationWeight=0)
    assert {i: register(i, derive(i))["registrationState"]["assignedHub"] for i in ids} == where
    assert register("late", derive("late"))["registrationState"]["assignedHub"] == HOME
    link(allocationWeight=3)


def test_04_static():
    """static takes the hub that is named first"""
    for name, hubs in (("first", [far(), HOME]), ("second", [HOME, far()])):
        assert enroll(name, iotHubs=hubs, allocationPolicy="static")[0] == 200
        assert register(name, group)["registrationState"]["assignedHub"] == hubs[0]


def test_05_not_taken_over():
    """a device of the other hub that no registration made is not given away, now and when it is tried again"""
    mine = other.create_device("by-hand")
    assert enroll("by-hand", iotHubs=[far()])[0] == 200
    for _ in range(2):
        answer = register("by-hand", group)
        assert answer["status"] == answer["registrationState"]["status"] == "failed" and answer["registrationState"]["errorMessage"], answer
        assert "assignedHub" not in answer["registrationState"]
    assert other.rest("GET", "/devices/by-hand")[2]["authentication"] == mine["authentication"]
    assert other.rest("DELETE", "/devices/by-hand", headers={"If-Match": "*"})[0] == 204
    assert register("by-hand", group)["status"] == "assigned"


def test_06_renewed_certificate():
    """a renewed certificate that registers takes the place of the old one in the other hub"""
    run("rootedge", "cert", "root", "--name", "line CA", "--out", folder / "line.pem", "--key-out", folder / "line.key")
    with open(folder / "line.pem") as f:
        x509 = {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": f.read()}}}}
    assert service("PUT", "/enrollmentGroups/line", {"attestation": x509, "iotHubs": [far()]})[0] == 200
    for file in "old", "new":
        pair = pki.make("device", "line-1", issuer="line", file="line-1-" + file)
        path = "/%s/registrations/line-1" % hub.ready["id_scope"]
        status, _, answer = ask("PUT", path + "/register", {}, cert=pair[0], key=pair[1])
        assert status == 202, answer
        look = lambda: ask("GET", path + "/operations/" + answer["operationId"], cert=pair[0], key=pair[1])
        wait_for(lambda: look()[0] == 200, "the end", 30)
        assert look()[2]["status"] == "assigned", look()
        assert other.rest("GET", "/devices/line-1")[2]["authentication"]["x509Thumbprint"]["primaryThumbprint"] == thumbprint(pair[0])


def test_07_denied():
    """a key that the other hub does not know fails the registration, and the log says it without the key"""
    wrong = new_key()
    assert service("PUT", "/linkedHubs/" + far(), {"connectionString": "HostName=%s;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (far(), wrong)})[0] == 200
    assert enroll("denied", iotHubs=[far()])[0] == 200
    assert register("denied", group)["status"] == "failed"
    assert wrong not in hub.log_text() and "sig=" not in hub.log_text()
    link()
    assert register("denied", group)["status"] == "assigned"


def test_08_away():
    """while the other hub is away a registration is being assigned, over kill -9 of ours too, and others go on; once it is back the device's next question ends it"""
    other.stop()
    assert enroll("patient", iotHubs=[far()])[0] == 200
    operation = begin("patient", group)
    for _ in range(3):
        assert poll(operation, "patient", group) is None
    assert enroll("meanwhile", iotHubs=[HOME])[0] == 200
    assert register("meanwhile", group)["status"] == "assigned"
    hub.kill9()
    start()
    assert service("GET", "/registrations/patient")[2]["status"] == "assigning"
    other.start()
    wait_for(lambda: poll(operation, "patient", group), "the assignment", 30)
    assert other.rest("GET", "/devices/patient")[0] == 200


def test_08_b_kill():
    """after kill -9 in the midst of registrations each goes on by its operation, and whoever was told has its device in that hub"""
    assert enroll("far", far_group, iotHubs=[far()])[0] == 200
    ids = ["killed-%d" % i for i in range(12)]
    operations = {i: begin(i, derive(i, far_group)) for i in ids}
    hub.kill9()
    start()
    for i in ids:
        ends = []
        wait_for(lambda: ends.append(poll(operations[i], i, derive(i, far_group))) or ends[-1], i, 30)
        assert ends[-1]["status"] == "assigned", ends[-1]
        assert other.rest("GET", "/devices/" + i)[2]["authentication"]["symmetricKey"]["primaryKey"] == derive(i, far_group)


def test_08_c_hammer():
    """who registers again and again at once holds up nobody, and ends up with one device and its key"""
    key = derive("hammer", far_group)
    for _ in range(40):
        operation = begin("hammer", key)
    wait_for(lambda: poll(operation, "hammer", key), "the last one", 30)
    assert other.rest("GET", "/devices/hammer")[2]["authentication"]["symmetricKey"]["primaryKey"] == key


def test_09_unlinked():
    """a hub that is no longer linked gets nobody, and who is there already is told so"""
    assert service("DELETE", "/linkedHubs/" + far())[0] == 204
    path = "/%s/registrations/there/register" % hub.ready["id_scope"]
    assert ask("PUT", path, {}, headers("there", group))[0] == 409
    assert register("nearby", derive("nearby"))["registrationState"]["assignedHub"] == HOME
    assert other.rest("GET", "/devices/there")[0] == 200


def test_10_end():
    """both stop in order, ours in the midst of an assignment"""
    link()
    other.stop()
    assert enroll("last", iotHubs=[far()])[0] == 200
    begin("last", group)
    hub.stop()
    folder.__exit__()
    other_folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
