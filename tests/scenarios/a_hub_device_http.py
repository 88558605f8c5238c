#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Devices over HTTPS: events one by one and as a batch, by key, thumbprint and CA; who is refused and how that is told; a connection that goes on while its device changes; and what is
no request of a device."""
import os, socket, ssl, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

V = "?api-version=2021-04-12"
BATCH = {"Content-Type": "application/vnd.microsoft.iothub.json"}


class Site:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.hub = Hub(self.folder, self.pki)
        self.keys = {d: self.hub.create_device(d)["authentication"]["symmetricKey"]["primaryKey"] for d in ("dev1", "dev2", "doomed", "busy")}
        self.cert, self.cert_key = self.pki.make("device", "x509")
        self.hub.create_x509_device("x509", thumbprint(self.cert), thumbprint(self.cert))
        status, _, module = self.hub.rest("PUT", "/devices/dev1/modules/m1", {"deviceId": "dev1", "moduleId": "m1"})
        assert status == 200, module
        self.module_key = module["authentication"]["symmetricKey"]["primaryKey"]
        self.seen = set()

    def token(self, device="dev1", **kw):
        return self.hub.device_token(device, self.keys[device], **kw)

    def send(self, body=b"x", device="dev1", headers=None, token="own", path=None, method="POST", query=V, **kw):
        headers = dict(headers or {})
        token = self.token(device) if token == "own" else token
        if token:
            headers["Authorization"] = token
        return https(self.hub.https_port, method, (path or "/devices/%s/messages/events" % device) + query, body, headers, ca=self.pki.root, **kw)

    def sent(self, *args, **kw):
        status, headers, body = self.send(*args, **kw)
        assert status == 204 and not body, (status, body)

    def refused(self, status, code, *args, reason=None, **kw):
        """With this error in all its forms, with this reason for the operator, and nothing is stored."""
        before = len(self.hub.reasons())
        got, headers, body = self.send(*args, **kw)
        assert (got, headers.get("iothub-errorcode")) == (status, code), (got, dict(headers), body)
        assert body["Message"].startswith("ErrorCode:%s;" % code) and body["errorCode"] // 1000 == status, body
        if reason:
            reasons = wait_for(lambda: self.hub.reasons()[before:], "a reason in the hub's log")
            assert reasons == [reason], reasons
        assert not self.news()

    def news(self):
        """What has been stored since the last time.  It was before its answer: there is nothing to wait for."""
        where = lambda e: (e["partition"], e["sequenceNumber"])
        new = [e for e in self.hub.events() if where(e) not in self.seen]
        self.seen.update(map(where, new))
        return new

    def dial(self, cert=None, key=None):
        context = ssl.create_default_context(cafile=self.pki.root)
        context.check_hostname = False
        if cert:
            context.load_cert_chain(cert, key)
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.hub.https_port), timeout=20 * SLOW))


it = None


def exchange(s, line, *fields, body=b""):
    """One request on a connection that goes on."""
    s.sendall(("\r\n".join([line + " HTTP/1.1", "Host: hub", *fields]) + "\r\n\r\n").encode("latin-1") + body)
    response = http.client.HTTPResponse(s)
    response.begin()
    response.read()
    return response.status


def test_00_start():
    """a hub with devices by key and by certificate, and a module, starts"""
    global it
    it = Site()


def test_01_event():
    """an event is stored before its 204, with its properties, its generation and how the device was let in"""
    it.sent(b'{"t":21}', headers={"iothub-to": "/devices/dev1/messages/events", "iothub-app-Where": "roof & wall", "iothub-app-empty": "", "IoTHub-MessageId": "m1", "IoTHub-CorrelationId": "c1", "IoTHub-UserId": "u1",
                                  "iothub-contenttype": "application/json", "iothub-contentencoding": "utf-8", "iothub-interface-id": "urn:x", "dt-subject": "part"})
    [event] = it.news()
    assert event["body"] == {"t": 21} and event["properties"] == {"Where": "roof & wall", "empty": ""}, event
    system = event["systemProperties"]
    assert {k: system[k] for k in ("message-id", "correlation-id", "user-id", "content-type", "content-encoding")} == {
        "message-id": "m1", "correlation-id": "c1", "user-id": "u1", "content-type": "application/json", "content-encoding": "utf-8"}, event
    text = json.dumps(event)
    assert "to" not in system and "urn:x" in text and '\\"type\\":\\"sas\\"' in text and '\\"scope\\":\\"device\\"' in text, event


def test_02_spellings():
    """words of the path in any case, a slash before the question mark, any api-version and none"""
    for path, query in (("/devices/dev1/messages/events/", V), ("/DEVICES/dev1/Messages/EVENTS", "?api-version=2016-11-14"), ("/devices/d%65v1/messages/events", ""), ("/devices/dev1/messages/events", "?x=y")):
        it.sent(b"spelt", path=path, query=query)
    assert len(it.news()) == 4


def test_03_chunks():
    """Node's way: no content type, the body in chunks, several on one connection, pipelined too"""
    with it.dial() as s:
        head = "Transfer-Encoding: chunked", "Authorization: " + it.token()
        for body, chunks in ((b"", b"0\r\n\r\n"), (b"one", b"3\r\none\r\n0\r\n\r\n"), (b"two", b"1\r\nt\r\n2\r\nwo\r\n0\r\n\r\n")):
            assert exchange(s, "POST /devices/dev1/messages/events" + V, *head, body=chunks) == 204
        request = ("\r\n".join(["POST /devices/dev1/messages/events HTTP/1.1", "Host: h", *head]) + "\r\n\r\n").encode()
        s.sendall(b"".join(request + b"1\r\n%c\r\n0\r\n\r\n" % c for c in b"abcdefgh"))
        answers = b""
        while answers.count(b"\r\n\r\n") < 8:
            data = s.recv(65536)
            assert data, answers
            answers += data
        assert answers.count(b"HTTP/1.1 204 No Content") == 8, answers
    assert [e["body"] for e in it.news()] == ["", "one", "two", *"abcdefgh"]


def test_04_curl():
    """curl sends an event and a batch, and asks for a command with a body that means nothing"""
    curl = lambda *args: run("curl", "-sS", "--cacert", it.pki.root, "-o", "/dev/null", "-w", "%{http_code}", "-H", "Authorization: " + it.token(), *args).stdout
    url = "https://localhost:%d/devices/dev1/messages/" % it.hub.https_port
    assert curl("-d", "by curl", url + "events" + V) == "204"
    assert curl("-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", "-d", "in chunks", url + "events") == "204"
    assert curl("-H", "Content-Type: application/vnd.microsoft.iothub.json", "-d", '[{"body": "Mg=="}]', url + "events" + V) == "204"
    assert curl("-X", "GET", "-d", "nothing", url + "deviceBound" + V) == "204"
    bodies = [e["body"] for e in it.news()]
    assert bodies == ["by curl", "in chunks", "2"], bodies


def test_05_batch():
    """all messages of a batch are stored, in order, with their properties; base64 and text"""
    it.sent(b'[{"body": "b25l","properties":{"iothub-app-k":"v w"}},{"body":"two","base64Encoded":false,"properties":{"iothub-messageid":"m"}},{"body":""}]', headers=BATCH)
    events = it.news()
    assert [e["body"] for e in events] == ["one", "two", ""], events
    assert events[0]["properties"] == {"k": "v w"} and events[1]["systemProperties"]["message-id"] == "m", events
    it.sent(json.dumps([{"body": str(i), "base64Encoded": False} for i in range(1000)]), headers=BATCH)
    bodies = [e["body"] for e in it.news()]
    assert bodies == [str(i) for i in range(1000)], bodies[:10]


def test_06_bad_batch():
    """a batch with one wrong message, of another shape or too large is refused, and nothing of it is stored"""
    for body in (b"", b"[]", b"{}", b"null", b"[1]", b'[{"body":"Mg=="},{"body":"?"}]', b'[{"body":"Mg=="},{}]', b'[{"body":"Mg==","properties":{"iothub-app-k":1}}]', b'[{"body":"Mg==","properties":[]}]', b'[{"body":"Mg==","body":"Mg=="}]',
                 b'[{"body":"Mg==","base64Encoded":1}]', b'[{"body":"\xff"}]', b'[{"body":"\\u0000","base64Encoded":false}]', b'[{"body":"Mg=="}'):
        it.refused(400, "DeserializationError", body, headers=BATCH)
    for body in (json.dumps([{"body": ""}] * 1001), json.dumps([{"body": "x" * 131072, "base64Encoded": False}] * 2 + [{"body": "AA=="}]), b'[{"body":""' + b" " * 600000 + b"}]", b"[" * 100000):
        it.refused(413, "MessageTooLarge", body, headers=BATCH)


def test_07_size():
    """a message has 256 KiB with its properties; a byte more is MessageTooLarge"""
    it.sent(b"x" * 262144)
    assert len(it.news()) == 1
    it.refused(413, "MessageTooLarge", b"x" * 262145)
    it.refused(413, "MessageTooLarge", b"x" * 262144, headers={"iothub-app-k": "v"})
    assert it.send(b"x" * 1100000)[0] == 413
    assert it.send(headers={"X-%d" % i: "y" for i in range(100)})[0] == 431
    assert it.send(headers={"iothub-app-k": "v" * 40000})[0] == 431
    assert not it.news()


def test_08_tokens():
    """no token, a broken one, one that has expired, by a wrong key, for another device or a module, by a service's policy: 401 and the reason in the log"""
    it.refused(401, "IotHubUnauthorizedAccess", token=None, reason="DEVICE_NO_CREDENTIAL")
    it.refused(401, "IotHubUnauthorizedAccess", token="Bearer x", reason="SAS_MALFORMED")
    it.refused(401, "IotHubUnauthorizedAccess", token=it.token(expires=1000), reason="SAS_EXPIRED")
    it.refused(401, "IotHubUnauthorizedAccess", token=it.hub.device_token("dev1", new_key()), reason="SAS_BAD_SIGNATURE")
    it.refused(401, "IotHubUnauthorizedAccess", token=it.token("dev2"))
    it.refused(401, "IotHubUnauthorizedAccess", token=sas("%s/devices/dev1/modules/m1" % it.hub.hostname, it.module_key))
    it.refused(401, "IotHubUnauthorizedAccess", token=sas("elsewhere.local/devices/dev1", it.keys["dev1"]))
    it.refused(401, "IotHubUnauthorizedAccess", path="/devices/nobody/messages/events", reason="DEVICE_UNKNOWN")
    it.refused(401, "IotHubUnauthorizedAccess", token="SharedAccessSignature " + "x" * 20000)
    secret = urllib.parse.quote(it.token().split("sig=")[1].split("&")[0])
    assert it.keys["dev1"] not in it.hub.log_text() and secret not in it.hub.log_text()


def test_09_module():
    """a module sends by its own key, and its device's key does not open its path"""
    path = "/devices/dev1/modules/m1/messages/events"
    it.sent(b"of m1", path=path, token=sas("%s/devices/dev1/modules/m1" % it.hub.hostname, it.module_key))
    [event] = it.news()
    assert event["body"] == "of m1" and "m1" in json.dumps({k: v for k, v in event.items() if k != "body"}), event
    it.refused(401, "IotHubUnauthorizedAccess", path=path)
    it.refused(401, "IotHubUnauthorizedAccess", path="/devices/dev1/modules/m2/messages/events", token=sas("%s/devices/dev1/modules/m2" % it.hub.hostname, it.module_key))


def test_10_thumbprint():
    """a device by thumbprint sends with its certificate; another's certificate, and none, are refused; a token wins over a certificate"""
    it.sent(b"by thumbprint", "x509", token=None, cert=it.cert, key=it.cert_key)
    [event] = it.news()
    assert '\\"type\\":\\"x509\\"' in json.dumps(event), event
    other, other_key = it.pki.make("device", "x509", file="x509-other")
    it.refused(401, "IotHubUnauthorizedAccess", device="x509", token=None, cert=other, key=other_key, reason="THUMBPRINT_MISMATCH")
    it.refused(401, "IotHubUnauthorizedAccess", device="x509", token=None)
    it.sent(b"by token", token=it.token(), cert=it.cert, key=it.cert_key)
    assert '\\"type\\":\\"sas\\"' in json.dumps(it.news())
    it.refused(401, "IotHubUnauthorizedAccess", device="x509", token=it.hub.device_token("x509", new_key()), cert=it.cert, key=it.cert_key)


def test_11_ca():
    """a device below a registered CA sends with its chain, and no longer when the CA leaves, on the connection that is open too"""
    run("rootedge", "cert", "root", "--name", "Factory", "--out", it.folder / "factory.pem", "--key-out", it.folder / "factory.key")
    cert, key = it.pki.make("device", "made", issuer="factory")
    with open(it.folder / "factory.pem") as f:
        status, _, ca = it.hub.rest("PUT", "/certificates/factory", {"properties": {"certificate": f.read(), "isVerified": True}})
    assert status == 200, ca
    it.hub.create_device("made", {"type": "certificateAuthority"})
    with it.dial(cert, key) as s:
        assert exchange(s, "POST /devices/made/messages/events", "Content-Length: 1", body=b"1") == 204
        assert it.hub.rest("DELETE", "/certificates/factory", headers={"If-Match": ca["etag"]})[0] == 204
        assert exchange(s, "POST /devices/made/messages/events", "Content-Length: 1", body=b"2") == 401
    assert [e["body"] for e in it.news()] == ["1"]
    it.refused(401, "IotHubUnauthorizedAccess", device="made", token=None, cert=cert, key=key)


def change(device, **fields):
    record = it.hub.rest("GET", "/devices/" + device)[2]
    status, _, body = it.hub.rest("PUT", "/devices/" + device, dict(record, **fields), {"If-Match": "*"})
    assert status == 200, body


def test_12_change():
    """an open connection sends until its device is disabled, again when it is enabled, and no longer by a key that was changed, nor when it is gone"""
    post = "POST /devices/doomed/messages/events", "Content-Length: 1", "Authorization: " + it.token("doomed")
    with it.dial() as s:
        for n in range(3):
            assert exchange(s, *post, body=b"%d" % n) == 204
        change("doomed", status="disabled")
        assert exchange(s, *post, body=b"3") == 401
        change("doomed", status="enabled")
        assert exchange(s, *post, body=b"4") == 204
        change("doomed", authentication={"type": "sas", "symmetricKey": {"primaryKey": new_key(), "secondaryKey": new_key()}})
        assert exchange(s, *post, body=b"5") == 401
        change("doomed", authentication={"type": "sas", "symmetricKey": {"primaryKey": it.keys["doomed"], "secondaryKey": it.keys["doomed"]}})
        assert exchange(s, *post, body=b"6") == 204
        change("dev2", statusReason="another device's change is none of its own")
        assert exchange(s, *post, body=b"7") == 204
        assert it.hub.rest("DELETE", "/devices/doomed", headers={"If-Match": "*"})[0] == 204
        assert exchange(s, *post, body=b"8") == 401
    assert [str(e["body"]) for e in it.news()] == list("012467")


def test_13_one_decision():
    """a connection with many requests is judged once; another token on it is judged again"""
    verdicts = lambda: len(Service.events(it.hub, "verdict"))
    before = verdicts()
    post = "POST /devices/busy/messages/events", "Content-Length: 1"
    token, other = it.token("busy"), it.token("busy", expires=int(time.time()) + 7200)
    with it.dial() as s:
        for _ in range(50):
            assert exchange(s, *post, "Authorization: " + token, body=b"x") == 204
        wait_for(lambda: verdicts() == before + 1, "one verdict")
        assert exchange(s, *post, "Authorization: " + other, body=b"x") == 204
        assert exchange(s, *post, "Authorization: " + other[:-1], body=b"x") == 401
        assert exchange(s, *post, body=b"x") == 401
        wait_for(lambda: verdicts() == before + 4, "four verdicts")
    assert len(it.news()) == 51


def test_14_expiry():
    """a token that ends while its connection is open is refused from then on"""
    with it.dial() as s:
        token = it.token("busy", expires=int(time.time()) + 3)
        send = lambda: exchange(s, "POST /devices/busy/messages/events", "Content-Length: 1", "Authorization: " + token, body=b"x")
        assert send() == 204
        wait_for(lambda: send() == 401, "the end of the token", 20)
    wait_for(lambda: it.hub.reasons()[-1] == "SAS_EXPIRED", "its reason in the log")
    it.news()


def test_15_no_session():
    """what is sent over HTTPS ends no MQTT session of the device, and takes none of its kept subscriptions"""
    with it.hub.mqtt("dev1", password=it.token()) as m:
        m.send(subscribe_packet([("$iothub/methods/POST/#", 0)]))
        assert m.receive()[0] == 0x90
        it.sent(b"beside it")
        m.publish("devices/dev1/messages/events/", b"goes on")
        m.send(packet(0xe0))
        assert m.closed()
    it.sent(b"while it is away")
    assert it.hub.rest("GET", "/devices/dev1")[2]["connectionState"] == "Disconnected"
    with it.hub.mqtt("dev1", password=it.token()) as m:
        call = threading.Thread(target=lambda: it.hub.rest("POST", "/twins/dev1/methods", {"methodName": "ping"}))
        call.start()
        kind, request = m.receive()
        topic = request[2:2 + request[1]].decode()
        assert kind == 0x30 and topic.startswith("$iothub/methods/POST/ping/?$rid="), topic
        m.publish("$iothub/methods/res/200/?$rid=" + topic.split("=")[1], b"{}", qos=0)
        call.join()
    assert [e["body"] for e in it.news()] == ["beside it", "goes on", "while it is away"]


def test_16_nothing_waits():
    """no command is 204, a lock of nobody is 412, both only for who may"""
    bound = "/devices/dev1/messages/devicebound"
    it.sent(None, method="GET", path=bound)
    it.sent(None, method="GET", path="/devices/dev1/messages/deviceBound/")
    it.refused(401, "IotHubUnauthorizedAccess", None, method="GET", path=bound, token=None)
    for method, path in (("DELETE", bound + "/x"), ("POST", bound + "/x/abandon"), ("DELETE", bound + "/%2e%2e"), ("DELETE", bound + "/" + "x" * 4000)):
        it.refused(412, "DeviceMessageLockLost", None, method=method, path=path)
        it.refused(401, "IotHubUnauthorizedAccess", None, method=method, path=path, token=it.token("dev2"))


def test_17_paths():
    """paths that only look like a device's are answered by nobody, ids that none can have are refused, and nothing is stored"""
    for method, path in (("POST", "/devices/dev1/messages"), ("POST", "/devices/dev1/messages/events/x"), ("PUT", "/devices/dev1/messages/events"), ("POST", "/devices/dev2/../dev1/messages/events"), ("POST", "//devices/dev1/messages/events"),
                         ("POST", "/devices/dev1%2Fmessages%2Fevents"), ("POST", "/devices/dev1/modules//messages/events/"), ("POST", "/devices/%zz/messages/events"), ("POST", "/devices/dev1%00/messages/events"),
                         ("POST", "/devices/dev1/messages/events" + "/" * 20), ("GET", "/devices/dev1/messages/devicebound/x/y/z")):
        status = it.send(method=method, path=path)[0]
        assert status in (400, 404, 405), (method, path, status)
    for id in ("a%20b", "%2e%2e%2fdev1", "dev1%0d%0aX:y", "x" * 129, "%C3%BC"):
        it.refused(400, "ArgumentInvalid", path="/devices/%s/messages/events" % id)
    with it.dial() as s:
        assert exchange(s, "POST /devices/dev1/messages/events", "Content-Length: 1", "Content-Length: 1", "Authorization: " + it.token(), body=b"x") == 400
    assert not it.news()


def test_18_kill():
    """what was answered with 204 is there after a kill -9, each message of a batch too"""
    answered, started = [], threading.Event()
    token = it.token("busy")

    def pump(name):
        for n in range(100000):
            bodies = ["%s.%d.%d" % (name, n, i) for i in range(1 + n % 3)]
            batch = json.dumps([{"body": b, "base64Encoded": False} for b in bodies])
            try:
                if exchange(s[name], "POST /devices/busy/messages/events", "Authorization: " + token, "Content-Type: " + BATCH["Content-Type"], "Content-Length: %d" % len(batch), body=batch.encode()) == 204:
                    answered.extend(bodies)
            except (OSError, http.client.HTTPException):
                return
            if n == 20:
                started.set()

    s = {name: it.dial() for name in "abc"}
    pumps = [threading.Thread(target=pump, args=(name,)) for name in s]
    for p in pumps:
        p.start()
    assert started.wait(30 * SLOW)
    it.hub.kill9()
    for p in pumps:
        p.join()
    it.hub.start()
    stored = [e["body"] for e in it.news()]
    assert len(answered) > 20 and not set(answered) - set(stored), set(answered) - set(stored)


def test_19_end():
    """the hub stops in order, with a connection open"""
    s = it.dial()
    assert exchange(s, "POST /devices/dev1/messages/events", "Content-Length: 1", "Authorization: " + it.token(), body=b"x") == 204
    it.hub.stop()
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
