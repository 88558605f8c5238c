#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Custom allocation: a web hook says to which hub a device belongs, what its twin begins with and what the device is told; and what becomes of one that says no, says nonsense, or says nothing."""
import http.server, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_provisioning import *

site = hook = None
FIRST = {"tags": {"line": 1}, "properties": {"desired": {"rate": 5}}}


class Hook:
    """An HTTPS server that answers with what it was told to, and keeps what it was asked."""

    def __init__(self, cert, key):
        self.asked, self.answer, self.status, self.wait = [], {}, 200, threading.Event()
        self.wait.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, self.headers["Content-Type"], body))
                outer.wait.wait(60)
                answer = outer.answer(body) if callable(outer.answer) else outer.answer
                text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                try:
                    self.send_response(outer.status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, answer, status=200):
        self.answer, self.status, self.asked = answer, status, []

    def url(self, path="/api/allocate?code=HOOKSECRET"):
        return "https://localhost:%d%s" % (self.port, path)


def custom(url=None, **more):
    return dict({"allocationPolicy": "custom", "customAllocationDefinition": {"webhookUrl": url or hook.url(), "apiVersion": "2021-10-01"}}, **more)


def test_00_start():
    """two hubs and a web hook start"""
    global site, hook
    site = Site()
    cert, key = site.pki.make("server", "localhost", file="hook")
    hook = Hook(cert, key)


def test_01_asked():
    """the hook is asked with the enrollment, the device and the hubs, and its hub, twin and payload are the device's"""
    hook.says({"iotHubHostName": site.far, "initialTwin": {"tags": {"by": "hook"}, "properties": {"desired": {"state": "ready"}}}, "payload": {"menu": [1, 2]}})
    site.enroll("asks", initialTwin=FIRST, **custom())
    state = site.register("asks", payload={"model": "toaster"})
    assert (state["assignedHub"], state["substatus"], state["payload"]) == (site.far, "initialAssignment", {"menu": [1, 2]}), state
    (path, kind, body), = hook.asked
    assert path == "/api/allocate?code=HOOKSECRET" and kind.startswith("application/json"), (path, kind)
    assert body["deviceRuntimeContext"] == {"registrationId": "asks", "symmetricKey": {}, "payload": {"model": "toaster"}}, body
    assert sorted(body["linkedHubs"]) == sorted([HOME, site.far]), body
    enrollment = body["individualEnrollment"]
    assert enrollment["registrationId"] == "asks" and enrollment["allocationPolicy"] == "custom" and "enrollmentGroup" not in body, body
    assert site.group not in json.dumps(body) and "HOOKSECRET" not in json.dumps(body) and enrollment["customAllocationDefinition"]["webhookUrl"].endswith("?****"), body
    twin = site.other.rest("GET", "/twins/asks")[2]
    assert twin["tags"] == {"by": "hook"} and twin["properties"]["desired"]["state"] == "ready" and "rate" not in twin["properties"]["desired"], twin
    assert site.shown("asks")["payload"] == {"menu": [1, 2]} and site.shown("asks")["devicePayload"] == {"model": "toaster"}


def test_02_again():
    """when it registers again the hook hears where it is, and may move it; a twin from the hook goes before the one that it had"""
    hook.says({"iotHubHostName": HOME})
    state = site.register("asks")
    assert (state["assignedHub"], state["substatus"]) == (HOME, "deviceDataMigrated") and "payload" not in state, state
    context = hook.asked[0][2]["deviceRuntimeContext"]
    assert (context["currentIotHubHostName"], context["currentDeviceId"]) == (site.far, "asks") and "payload" not in context, context
    assert site.hub.rest("GET", "/twins/asks")[2]["tags"] == {"by": "hook"}
    site.is_only_in("asks", HOME)
    hook.says({"iotHubHostName": site.far, "initialTwin": {"tags": {"anew": True}}})
    assert site.register("asks")["substatus"] == "deviceDataReset"
    status, _, twin = site.other.rest("GET", "/twins/asks")
    assert status == 200 and twin["tags"] == {"anew": True}, (status, twin, site.shown("asks"))
    site.is_only_in("asks", site.far)


def test_03_group_by_certificate():
    """of a group by CA the hook sees the certificate that the device has shown"""
    run("rootedge", "cert", "root", "--name", "line CA", "--out", site.folder / "line.pem", "--key-out", site.folder / "line.key")
    with open(site.folder / "line.pem") as f:
        x509 = {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": f.read()}}}}
    assert site.service("PUT", "/enrollmentGroups/line", dict({"attestation": x509}, **custom()))[0] == 200
    hook.says(lambda body: {"iotHubHostName": site.far})
    cert, key = site.pki.make("device", "line-1", issuer="line")
    status, _, answer = site.ask("PUT", site.path("line-1") + "/register", {}, cert=cert, key=key)
    assert status == 202, answer
    wait_for(lambda: site.shown("line-1")["status"] == "assigned", "line-1", 30)
    body = hook.asked[0][2]
    assert body["enrollmentGroup"]["enrollmentGroupId"] == "line", body
    shown = body["deviceRuntimeContext"]["x509"]["clientCertificates"]["primary"]
    with open(cert) as f:
        assert shown["certificate"].strip() in f.read()
    assert shown["info"]["sha256Thumbprint"] == thumbprint(cert) and shown["info"]["subjectName"], shown
    assert site.other.rest("GET", "/devices/line-1")[2]["authentication"]["x509Thumbprint"]["primaryThumbprint"] == thumbprint(cert)


def test_04_no():
    """no hub, a strange one, a refusal and nonsense make it failed with the number and the words, and the next registration asks again"""
    site.enroll("unlucky", **custom(iotHubs=[HOME, site.far]))
    for answer, status, number in (({}, 200, 400208), ({"iotHubHostName": "evil.test"}, 200, 400208), ({}, 401, 400209), ({}, 403, 400209), ({}, 400, 400207),
                                   ({}, 500, 400207), ([1], 200, 400207), (b"{\"iotHubHostName", 200, 400207), (b"", 200, 400207), (b"x" * 300000, 200, 400207),
                                   ({"iotHubHostName": HOME, "payload": "text"}, 200, 400207), ({"iotHubHostName": HOME, "initialTwin": {"tags": 7}}, 200, 409203)):
        hook.says(answer, status)
        status, _, first = site.ask("PUT", site.path("unlucky") + "/register", {}, site.headers("unlucky"))
        assert status == 202, first
        wait_for(lambda: site.shown("unlucky")["status"] == "failed", "the failure %d" % number, 30)
        state = site.poll(site.path("unlucky") + "/operations/" + first["operationId"], "unlucky")["registrationState"]
        assert state["status"] == "failed" and state["errorCode"] == number and state["errorMessage"] and "assignedHub" not in state, (answer, state)
        assert not site.where("unlucky"), answer
    hook.says({"iotHubHostName": HOME})
    assert site.register("unlucky")["assignedHub"] == HOME
    assert "HOOKSECRET" not in site.hub.log_text()


def test_05_outside():
    """a hook that may not name every hub gets only those of the enrollment to choose from"""
    site.enroll("narrow", **custom(iotHubs=[HOME]))
    hook.says({"iotHubHostName": site.far})
    site.begin("narrow")
    wait_for(lambda: site.shown("narrow")["status"] == "failed", "narrow", 30)
    assert hook.asked[0][2]["linkedHubs"] == [HOME] and site.shown("narrow")["errorCode"] == 400208


def test_05a_more_than_a_twin():
    """whatever else stands in a twin, from a hook or of an enrollment, it reaches no other device of a linked hub, and gives the device no other key"""
    key = new_key()
    assert site.other.rest("PUT", "/devices/victim", {"deviceId": "victim", "authentication": {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}})[0] == 200
    evil = {"type": "sas", "symmetricKey": {"primaryKey": new_key(), "secondaryKey": new_key()}}
    twins = [dict(more, tags={"by": "hook"}) for more in ({"id": "victim", "importMode": "delete"}, {"id": "victim", "importMode": "update", "authentication": evil}, {"authentication": evil, "status": "disabled"})]
    for i, twin in enumerate(twins):
        hook.says({"iotHubHostName": site.far, "initialTwin": twin})
        site.enroll("more-%d" % i, **custom())
        site.enroll("plain-%d" % i, iotHubs=[site.far], initialTwin=twin)
        for name in ("more-%d" % i, "plain-%d" % i):
            assert site.register(name)["assignedHub"] == site.far
            status, _, record = site.other.rest("GET", "/devices/" + name)
            assert status == 200 and record["status"] == "enabled", (status, record)
            assert record["authentication"]["symmetricKey"]["primaryKey"] not in (evil["symmetricKey"]["primaryKey"], key), record
            assert site.other.rest("GET", "/twins/" + name)[2]["tags"] == {"by": "hook"}
        status, _, record = site.other.rest("GET", "/devices/victim")
        assert status == 200 and record["authentication"]["symmetricKey"]["primaryKey"] == key, (i, status, record)


def test_05b_no_success():
    """a linked hub that answers 200, and in it that the device was not made, has no device of ours"""
    host = "localhost:%d" % hook.port
    assert site.service("PUT", "/linkedHubs/" + host, {"connectionString": "HostName=%s;SharedAccessKeyName=p;SharedAccessKey=%s" % (host, new_key())})[0] == 200
    hook.says({"isSuccessful": False, "errors": [{"deviceId": "unmade", "errorCode": 403002, "errorStatus": "the quota is used up"}], "warnings": []})
    site.enroll("unmade", iotHubs=[host], initialTwin=FIRST)
    site.begin("unmade")
    wait_for(lambda: site.shown("unmade")["status"] != "assigning", "the end of unmade", 30)
    state = site.shown("unmade")
    assert state["status"] == "failed" and "the quota is used up" in state["errorMessage"], state
    assert site.service("DELETE", "/linkedHubs/" + host)[0] == 204


def test_06_slow():
    """a hook that does not answer keeps nobody waiting but those who are for it, and what it was asked is asked again after kill -9"""
    hook.says({"iotHubHostName": site.far})
    hook.wait.clear()
    for i in range(20):
        site.enroll("slow-%d" % i, **custom())
        site.begin("slow-%d" % i)
    wait_for(lambda: len(hook.asked) >= 4, "the first ones")
    site.enroll("here", iotHubs=[HOME])
    site.enroll("there", iotHubs=[site.far])
    assert site.register("here")["assignedHub"] == HOME and site.register("there")["assignedHub"] == site.far
    assert len(hook.asked) == 4 and site.shown("slow-0")["status"] == "assigning", len(hook.asked)
    site.hub.kill9()
    site.start()
    hook.wait.set()
    for i in range(20):
        wait_for(lambda: site.shown("slow-%d" % i)["status"] == "assigned", "slow-%d" % i, 30)
        assert site.shown("slow-%d" % i)["assignedHub"] == site.far


def test_07_busy_or_away():
    """a hook that is busy, or not there, is asked again by a timer"""
    hook.says({}, 503)
    site.enroll("later", **custom())
    operation = site.begin("later")
    wait_for(lambda: len(hook.asked) >= 2, "a second time", 20)
    assert site.poll(operation, "later") is None
    hook.says({"iotHubHostName": HOME})
    wait_for(lambda: site.shown("later")["status"] == "assigned", "later", 30)
    site.enroll("nobody", **custom("https://localhost:1/x"))
    operation = site.begin("nobody")
    wait_for(lambda: "nobody" in site.hub.log_text(), "the log's word")
    assert site.poll(operation, "nobody") is None


def test_08_strange_server():
    """a server whose certificate is of no root that hubs are trusted by hears nothing"""
    run("rootedge", "cert", "root", "--name", "other CA", "--out", site.folder / "strange.pem", "--key-out", site.folder / "strange.key")
    cert, key = site.pki.make("server", "localhost", issuer="strange", file="strange-hook")
    strange = Hook(cert, key)
    site.enroll("fooled", **custom("https://localhost:%d/" % strange.port))
    strange.says({"iotHubHostName": HOME})
    site.begin("fooled")
    wait_for(lambda: site.shown("fooled")["status"] == "failed" or "UNKNOWN_ISSUER" in site.hub.log_text(), "the refusal", 20)
    assert not strange.asked and not site.where("fooled")


def test_09_bad_enrollments():
    """an enrollment whose hook is none is refused when it is made"""
    keys = {"attestation": {"type": "symmetricKey"}}
    for url in "http://localhost:%d/" % hook.port, "x", "https://", "https://u:p@localhost/", "https://a b/", "https://" + "a" * 3000, "file:///etc/passwd":
        assert site.service("PUT", "/enrollments/bad", dict(keys, **custom(url)))[0] == 400, url
    for definition in None, {}, {"webhookUrl": 7}, [], {"apiVersion": "x"}:
        assert site.service("PUT", "/enrollments/bad", dict(keys, allocationPolicy="custom", customAllocationDefinition=definition))[0] == 400, definition


def test_10_end():
    """both stop in order, in the midst of a question too, and neither the key nor the hook's address is in the log"""
    hook.says({})
    hook.wait.clear()
    site.enroll("last", **custom())
    site.begin("last")
    wait_for(lambda: hook.asked, "the question")
    assert site.group not in site.hub.log_text() and "HOOKSECRET" not in site.hub.log_text()
    site.stop()


if __name__ == "__main__":
    run_all(globals())
