#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The provisioning service over MQTT, in the forms of the SDKs: devices register, hear of it by their request id, and are refused for the same reasons as over HTTPS (hub 6.2)."""
import base64, hashlib, hmac, http.client, os, re, ssl, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = None
OWNER = "provisioningserviceowner"
RES = "$dps/registrations/res/#"
REGISTER = "$dps/registrations/PUT/iotdps-register/?$rid=%s"
STATUS = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=%s&operationId=%s"


def service(method, path, body=None):
    token = sas(hub.hostname, hub.policy(OWNER), policy=OWNER, encode=False)
    return https(hub.ready["provisioning_port"], method, path + "?api-version=2021-10-01", body, {"Authorization": token}, ca=pki.root)


def start():
    global hub
    hub = Hub(folder, pki, "contosoiothub.local", "--provisioning", "--provisioning-port", 0, "--provisioning-mqtt-port", 0)


def user(registration, mark="", scope=None):
    return "%s/registrations/%s/%sapi-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%%2F1.9.1" % (scope or hub.ready["id_scope"], registration, mark)


def token(registration, key, **kw):
    return sas("%s/registrations/%s" % (hub.ready["id_scope"], registration), key, policy="registration", encode=False, **kw)


def derive(key, registration):
    return base64.b64encode(hmac.new(base64.b64decode(key), registration.encode(), hashlib.sha256).digest()).decode()


def connect(registration, key=None, cert=None, mark="", **kw):
    kw.setdefault("client_id", registration)
    kw.setdefault("user", user(registration, mark))
    kw.setdefault("clean", True)
    if key:
        kw.setdefault("password", token(registration, key))
    if cert:
        kw.update(cert=cert[0], key=cert[1])
    return Mqtt(hub.ready["provisioning_mqtt_port"], ca=pki.root, **kw)


def subscribe(c, filters=((RES, 1),)):
    c.send(subscribe_packet(filters))
    kind, body = c.receive()
    assert kind == 0x90, kind
    return list(body[2:])


def answer(c):
    """(status, rid, retry-after or None, body) of the next answer."""
    kind, body = c.receive()
    assert kind == 0x30, "%#x" % kind
    n = int.from_bytes(body[:2], "big")
    topic = body[2:2 + n].decode()
    m = re.fullmatch(r"\$dps/registrations/res/(\d+)/\?\$rid=([^&]+)(?:&retry-after=(\d+))?", topic)
    assert m, topic
    return int(m[1]), m[2], int(m[3]) if m[3] else None, json.loads(body[2 + n:])


def register(c, body, qos=1, status=b" "):
    """The registrationState, by the topics that every SDK uses."""
    assert subscribe(c) == [1]
    c.publish(REGISTER % "first", body, qos)
    code, rid, again, told = answer(c)
    assert (code, rid) == (202, "first") and again > 0 and told["status"] == "assigning", (code, rid, again, told)
    c.publish(STATUS % ("2-b", told["operationId"]), status, qos)
    code, rid, again, told = answer(c)
    assert (code, rid, again) == (200, "2-b", None) and told["status"] == "assigned", (code, rid, again, told)
    return told["registrationState"]


def refused(registration, *args, code=5, **kw):
    try:
        connect(registration, *args, **kw)
    except Refused as why:
        assert why.code == code, why
    else:
        raise AssertionError("let in")


def hub_takes(device, key=None, cert=None):
    kw = {"password": sas("%s/devices/%s" % (hub.hostname, device), key)} if key else {"cert": cert[0], "key": cert[1]}
    Mqtt(hub.mqtt_port, ca=pki.root, client_id=device, user=username(hub.hostname, device), **kw).close()


def pem(path):
    with open(path) as f:
        return f.read()


group = new_key()
own = new_key()


def test_00_start():
    """a hub with provisioning tells its MQTT port, and enrolls by key and certificate, alone and in groups"""
    global folder, pki
    folder = Folder()
    pki = Pki(folder)
    start()
    assert hub.ready["provisioning_mqtt_port"] > 0
    keys = lambda key: {"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": new_key()}}}
    assert service("PUT", "/enrollments/dev-sym", dict(keys(own), deviceId="renamed"))[0] == 200
    assert service("PUT", "/enrollmentGroups/plant", dict(keys(group), enrollmentGroupId="plant"))[0] == 200
    x509 = lambda kind, path: {"attestation": {"type": "x509", "x509": {kind: {"primary": {"certificate": pem(path)}}}}}
    assert service("PUT", "/enrollments/dev-cert", x509("clientCertificates", pki.make("device", "dev-cert")[0]))[0] == 200
    run("rootedge", "cert", "root", "--name", "plant CA", "--out", folder / "plant.pem", "--key-out", folder / "plant.key")
    assert service("PUT", "/enrollmentGroups/line", x509("signingCertificates", folder / "plant.pem"))[0] == 200


def test_01_node():
    """Node's form: keep alive 180, QoS 1, clean; an individual key, and a key of a group"""
    with connect("dev-sym", own, keep_alive=180) as c:
        state = register(c, json.dumps({"registrationId": "dev-sym", "payload": {"model": "m"}}).encode())
    assert (state["assignedHub"], state["deviceId"], state["substatus"]) == (hub.hostname, "renamed", "initialAssignment"), state
    assert service("GET", "/registrations/dev-sym")[2]["devicePayload"] == {"model": "m"}
    hub_takes("renamed", own)
    with connect("leaf-1", derive(group, "leaf-1"), keep_alive=180) as c:
        assert register(c, json.dumps({"registrationId": "leaf-1"}).encode())["symmetricKey"] == {"enrollmentGroupId": "plant"}
    hub_takes("leaf-1", derive(group, "leaf-1"))


def test_02_python():
    """Python's form: not clean, keep alive 60, payload null; nothing is kept for it"""
    for _ in range(2):
        with connect("leaf-2", derive(group, "leaf-2"), clean=False, keep_alive=60, connect=False) as c:
            c.send(connect_packet("leaf-2", user("leaf-2"), token("leaf-2", derive(group, "leaf-2")), False, 60))
            assert c.receive() == (0x20, b"\0\0")  # never session present
            assert register(c, b'{"registrationId":"leaf-2","payload":null}')["deviceId"] == "leaf-2"
    assert "devicePayload" not in service("GET", "/registrations/leaf-2")[2]


def test_03_c():
    """C's form: no keep alive, QoS 0, a question mark in the user name, JSON in the question"""
    with connect("leaf-3", derive(group, "leaf-3"), mark="?", keep_alive=0) as c:
        assert register(c, b'{"registrationId":"leaf-3"}', 0, b'{"operationId":"x"}')["deviceId"] == "leaf-3"


def test_04_csharp():
    """C#'s form: an empty body"""
    with connect("leaf-4", derive(group, "leaf-4")) as c:
        assert register(c, b"")["deviceId"] == "leaf-4"


def test_05_certificates():
    """an individual certificate and one under a group's CA, and in the hub they connect"""
    for name, pair in (("dev-cert", (folder / "dev-cert.pem", folder / "dev-cert.key")), ("line-1", pki.make("device", "line-1", issuer="plant"))):
        with connect(name, cert=pair) as c:
            assert register(c, json.dumps({"registrationId": name}).encode())["deviceId"] == name
        hub_takes(name, cert=pair)


def test_06_case():
    """the client id is the registration id in any case"""
    with connect("dev-sym", own, client_id="DEV-Sym") as c:
        assert register(c, b"")["deviceId"] == "renamed"


def test_07_refused():
    """whoever can't show what the enrollment asks for gets CONNACK 5, and the log says why"""
    pair = pki.make("device", "dev-cert", file="impostor")
    refused("dev-cert", cert=pair)
    refused("line-9", cert=(folder / "line-1.pem", folder / "line-1.key"))
    refused("dev-sym", new_key())
    refused("dev-sym")
    refused("dev-sym", own, client_id="other")
    refused("dev-sym", own, user=user("dev-sym", scope="0neFFFFFFFF"))
    refused("leaf-2", derive(group, "leaf-1"))
    refused("dev-sym", password=token("dev-sym", own, expires=int(time.time()) - 10))
    refused("dev-sym", own, user=username(hub.hostname, "dev-sym"))
    refused("dev-sym", own, user="x")
    refused("dev-sym", own, user=user("dev-sym").replace("api-version", "v"))
    refused("a" * 129, own)
    refused("dev-sym", own, will=("x", b"y", 0, False))
    for reason in ("ENROLLMENT_CERT_DIFFERS", "SAS_BAD_SIGNATURE", "DEVICE_NO_CREDENTIAL", "ID_SCOPE_UNKNOWN", "SAS_EXPIRED", "REGISTRATION_ID_INVALID",
                   "MQTT_CLIENT_ID_MISMATCH", "PROVISIONING_BAD_USERNAME"):
        assert reason in hub.reasons(), reason


def test_08_errors():
    """what is wrong in a question is answered with its number, and the connection goes on"""
    with connect("dev-sym", own) as c:
        assert subscribe(c, ((RES, 2), ("#", 1), ("$iothub/methods/POST/#", 0), (RES, 0))) == [1, 0x80, 0x80, 0]
        for n, body in enumerate((b'{"registrationId":"other"}', b"{", b"[1]", b'"x"', b"\xff", b'{"csr":"MII="}', b"[" * 5000)):
            c.publish(REGISTER % n, body)
            code, rid, _, told = answer(c)
            assert (code, rid) == (400, str(n)) and told["errorCode"] // 1000 == 400 and told["message"] and told["trackingId"] and told["timestampUtc"], told
        c.publish(STATUS % ("x", "5.0.none"), b" ")
        code, rid, again, told = answer(c)
        assert (code, rid, again) == (404, "x", None), told
        assert register(c, b"")["deviceId"] == "renamed"
    hub.rest("PUT", "/devices/leaf-hand", {"deviceId": "leaf-hand"})
    with connect("leaf-hand", derive(group, "leaf-hand")) as c:
        subscribe(c)
        c.publish(REGISTER % 1, b"")
        assert answer(c)[0] == 409


def test_09_judged_anew():
    """an enrollment that is disabled or removed while a device is connected refuses its next question"""
    with connect("leaf-5", derive(group, "leaf-5")) as c:
        subscribe(c)
        plant = service("GET", "/enrollmentGroups/plant")[2]
        token = sas(hub.hostname, hub.policy(OWNER), policy=OWNER, encode=False)
        put = lambda word: https(hub.ready["provisioning_port"], "PUT", "/enrollmentGroups/plant?api-version=2021-10-01", dict(plant, provisioningStatus=word),
                                 {"Authorization": token, "If-Match": "*"}, ca=pki.root)[0]
        assert put("disabled") == 200
        c.publish(REGISTER % 1, b"")
        code, _, _, told = answer(c)
        assert code == 401 and told["errorCode"] == 401000 and told["message"].startswith("Unauthorized"), told
        assert service("GET", "/registrations/leaf-5")[0] == 404
        refused("leaf-5", derive(group, "leaf-5"))
        assert put("enabled") == 200
        c.publish(REGISTER % 2, b"")
        assert answer(c)[0] == 202


def test_10_pipelined():
    """questions that come at once are answered one after the other, each by its id; without the subscription nothing comes"""
    with connect("leaf-6", derive(group, "leaf-6")) as c:
        c.send(subscribe_packet(((RES, 1),)) + b"".join(publish_packet(REGISTER % n, b"", 0) for n in range(50)) + packet(0xc0))
        assert c.receive()[0] == 0x90
        operations = [answer(c) for _ in range(50)]
        assert [a[1] for a in operations] == [str(n) for n in range(50)] and {a[0] for a in operations} == {202}, operations
        assert c.receive()[0] == 0xd0
        c.send(packet(0xa2, struct.pack("!HH", 7, len(RES)) + RES.encode()))
        assert c.receive() == (0xb0, b"\0\7")
        c.publish(REGISTER % "quiet", b"")
        c.send(packet(0xc0))
        assert c.receive()[0] == 0xd0


def test_10_b_strangers():
    """more strangers than may ask at a time, one after the other and many at once, take nobody's place for good"""
    context = ssl.create_default_context(cafile=pki.root)
    connection = http.client.HTTPSConnection("localhost", hub.ready["provisioning_port"], context=context, timeout=20 * SLOW)
    wrong = token("nobody", new_key())
    for _ in range(300):
        connection.request("PUT", "/%s/registrations/nobody/register?api-version=2021-06-01" % hub.ready["id_scope"], b"{}", {"Authorization": wrong})
        told = connection.getresponse()
        told.read()
        assert told.status == 401, told.status
    connection.close()
    codes = []

    def knock():
        try:
            connect("nobody", new_key())
        except Refused as why:
            codes.append(why.code)

    threads = [threading.Thread(target=knock) for _ in range(300)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60 * SLOW)
    assert len(codes) == 300 and set(codes) <= {3, 5}, set(codes)
    with connect("dev-sym", own) as c:
        assert register(c, b"")["deviceId"] == "renamed"


def test_11_broken():
    """packets, topics and sizes that no client sends end the connection, and the service goes on"""
    for data in (packet(0xc0), b"\x10\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\x7f" + b"x" * 70000, publish_packet(REGISTER % 1, b"", 0)):
        with connect("dev-sym", connect=False) as c:
            c.send(data)
            assert c.closed(), data[:20]
    with connect("dev-sym", connect=False) as c:
        c.send(connect_packet("dev-sym", user("dev-sym"), token("dev-sym", own), True, 60, level=3))
        assert c.receive()[0] == 0x20
        assert c.closed()
    register_topic = REGISTER % 1
    for data in (connect_packet("dev-sym", user("dev-sym"), token("dev-sym", own), True, 60), publish_packet(register_topic, b"", 2), publish_packet("a/b", b"", 0),
                 publish_packet("$dps/registrations/PUT/iotdps-register/?$rid=", b"", 0), publish_packet(REGISTER % ("r" * 129), b"", 0),
                 publish_packet("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1", b"", 0), publish_packet(register_topic, b"x" * 70000, 0),
                 packet(0x40, b"\0\1"), packet(0x90, b"\0\1\0"), packet(0x82, b"\0\1"), packet(0xf0), packet(0xe0, b"x")):
        with connect("dev-sym", own) as c:
            c.send(data)
            assert c.closed(), data[:60]
    for data in (b"", packet(0xe0)):
        with connect("dev-sym", own) as c:
            if data:
                c.send(data)
                assert c.closed()
    with connect("dev-sym", own) as c:
        assert register(c, b"")["deviceId"] == "renamed"


def test_12_gone():
    """who hangs up while the answer is made is registered all the same, or not at all, and the service goes on"""
    for i in range(20):
        with connect("gone-%d" % i, derive(group, "gone-%d" % i)) as c:
            c.send(subscribe_packet(((RES, 1),)) + publish_packet(REGISTER % 1, b"", 1, 9))
    for i in range(20):
        with connect("gone-%d" % i, derive(group, "gone-%d" % i)) as c:
            assert register(c, b"")["deviceId"] == "gone-%d" % i


def test_13_kill():
    """after kill -9 a device that was told is assigned has its device, over MQTT as over HTTPS"""
    for i in range(5):
        with connect("killed-%d" % i, derive(group, "killed-%d" % i)) as c:
            register(c, b"")
    hub.kill9()
    start()
    for i in range(5):
        assert hub.rest("GET", "/devices/killed-%d" % i)[2]["authentication"]["symmetricKey"]["primaryKey"] == derive(group, "killed-%d" % i)
        assert service("GET", "/registrations/killed-%d" % i)[2]["status"] == "assigned"


class Web:
    """The bytes of a client in a WebSocket on the HTTPS port, and out of it, for an Mqtt to send and receive on: short frames are enough here."""

    def __init__(self, path, offered="mqtt", **kw):
        context = ssl.create_default_context(cafile=pki.root)
        context.check_hostname = False
        self.s = context.wrap_socket(socket.create_connection(("127.0.0.1", hub.ready["provisioning_port"]), timeout=20 * SLOW))
        self.s.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %s\r\n\r\n" % (path, offered)).encode())
        self.settimeout, self.close = self.s.settimeout, self.s.close
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.exactly(1)
        self.status = int(head.split()[1])

    def exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self.s.recv(n - len(data))
            if not piece:
                raise ConnectionResetError("closed")
            data += piece
        return data

    def sendall(self, data):
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
        self.s.sendall(b"\x82" + length + b"\0\0\0\0" + data)

    def recv(self, _):
        first, n = self.exactly(2)
        if n == 126:
            n = struct.unpack("!H", self.exactly(2))[0]
        content = self.exactly(n)
        return content if first == 0x82 else b""


def web(*args, **kw):
    c = Mqtt.__new__(Mqtt)
    c.sock, c.buffer, c.id = Web(*args, **kw), b"", 0
    return c


def test_14_websocket():
    """over WebSocket at the hub's path and at the root as C# does, next to HTTPS on the same port, and refused there as well"""
    for path, offered in (("/$iothub/websocket", "mqtt"), ("/%24iothub/websocket?x=y", "MQTT"), ("/", "mqtt")):
        with web(path, offered) as c:
            assert c.sock.status == 101, (path, c.sock.status)
            c.send(connect_packet("dev-sym", user("dev-sym"), token("dev-sym", own), True, 0))
            assert c.receive() == (0x20, b"\0\0")
            assert register(c, b"")["deviceId"] == "renamed"
        with web(path, offered) as c:
            c.send(connect_packet("dev-sym", user("dev-sym"), token("dev-sym", new_key()), True, 0))
            assert c.receive() == (0x20, b"\0\5")
            assert c.closed()
    for path, offered, status in (("/", "amqp", 400), ("/devices", "mqtt", 404)):
        with web(path, offered) as c:
            assert c.sock.status == status, (path, c.sock.status)
    assert service("GET", "/enrollments/dev-sym")[0] == 200


def test_15_end():
    """no key or token is in the log, and the hub stops in order with a device connected"""
    with connect("dev-sym", own):
        assert own not in hub.log_text() and "sig=" not in hub.log_text()
        hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
