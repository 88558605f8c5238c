#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the gateway refuses, with the answer that the device sees (hub 1.3) and the reason that the operator sees: the same as at the hub itself, and the same
when the hub is away and the gateway was started without it (atk-01)."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = None
TOOL_UID = 4802 if os.getuid() == 0 else os.getuid()
TOPIC = "devices/dev1/messages/events/"


class Door:
    """Where devices knock: the hub, or the gateway in front of it."""

    def __init__(self, name, mqtt, reasons, is_alone=False):
        self.name, self.mqtt, self.reasons, self.is_alone = name, mqtt, reasons, is_alone

    def knock(self, device, how):
        try:
            self.mqtt(device, **how).close()
        except Refused as e:
            return e.code
        raise AssertionError("%s let it in" % self.name)

    def refused(self, code, reason, device, **how):
        before = len(self.reasons())
        if self.is_alone and reason in ("DEVICE_UNKNOWN", "MODULE_UNKNOWN"):
            code, reason = 3, "RECORD_MISSING"  # nothing says that it is nobody's
        answer = self.knock(device, how)
        if answer == 3 and code != 3 and self.is_alone:
            answer = self.knock(device, how)  # the hub was asked about him in vain, and is not asked again at once
        assert answer == code, "%s: CONNACK %d, not %d" % (self.name, answer, code)
        reasons = wait_for(lambda: self.reasons()[before:], "a reason in the log")
        assert reasons[0] == reason, "%s: %s, not %s" % (self.name, reasons[0], reason)

    def closed(self, reason, send):
        """A connection that was let in is closed for this reason after it sent this."""
        before = len(self.reasons())
        with self.mqtt("dev1", **it.dev1) as m:
            m.send(send)
            assert m.closed(), "%s: the connection was not closed" % self.name
        reasons = wait_for(lambda: [r for r in self.reasons()[before:] if r != "OK"], "a reason in the log")
        assert reasons[0] == reason, "%s: %s, not %s" % (self.name, reasons[0], reason)


def hub_door():
    return Door("hub", it.hub.mqtt, it.hub.reasons)


def gateway_door(name="gateway", is_alone=False):
    return Door(name, it.edge.mqtt, lambda: [reason for _, reason in it.decisions()], is_alone)


def is_refused(device, **how):
    try:
        it.edge.mqtt(device, **how).close()
        return False
    except Refused:
        return True


def prepare():
    """The devices of all cases: what is registered, what they show."""
    it.dev1 = it.x509("dev1")
    it.sas1 = it.key("sas1")
    it.key10 = it.key("sas10")
    it.other = dict(zip(("cert", "key"), it.pki.make("device", "dev1", file="other")))
    it.expired = dict(zip(("cert", "key"), it.pki.make("device", "dev-expired", "--not-before", "2020-01-01", "--not-after", "2021-01-01")))
    soon, later = (time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * 86400)) for days in (2, 4))
    it.future = dict(zip(("cert", "key"), it.pki.make("device", "dev-future", "--not-before", soon, "--not-after", later)))
    it.edge.create_x509_child("dev-expired", thumbprint(it.expired["cert"]))
    it.edge.create_x509_child("dev-future", thumbprint(it.future["cert"]))
    # The second slot held another certificate once.
    it.retired = dict(zip(("cert", "key"), it.pki.make("device", "dev-slots", file="retired")))
    it.slots = it.x509("dev-slots", thumbprint(it.retired["cert"]))
    new = it.pki.make("device", "dev-slots", file="slot-new")
    it.change("dev-slots", authentication={"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint(it.slots["cert"]), "secondaryThumbprint": thumbprint(new[0])}})
    # atk-02: the first forty digits of a SHA-256 thumbprint have the form of a SHA-1 thumbprint
    it.prefix = dict(zip(("cert", "key"), it.pki.make("device", "dev-prefix")))
    it.edge.create_x509_child("dev-prefix", thumbprint(it.prefix["cert"])[:40])
    it.off = it.key("dev-off")
    it.change("dev-off", status="disabled")
    # atk-03, atk-05, atk-06, atk-07: CA-signed devices, whose CA nobody has registered
    for d in ("leafca", "toolca"):
        it.edge.create_child(d, {"type": "certificateAuthority"})
    it.ca = dict(zip(("cert", "key"), it.pki.make("device", "leafca")))
    it.by_leaf = dict(zip(("cert", "key"), it.pki.make("device", "leafca", file="by-leaf")))
    it.module_key = it.module("sas1", "mod1")


def cases():
    """(code, reason, device, how): each is the same at the hub, at the gateway, and at the gateway alone."""
    good = it.token("sas1", it.sas1)
    head = good[:good.index("&se=")]
    rows = [
        (5, "THUMBPRINT_MISMATCH", "dev1", it.other),
        (5, "THUMBPRINT_MISMATCH", "dev1", it.ca),
        (5, "THUMBPRINT_MISMATCH", "dev-slots", it.retired),
        (5, "THUMBPRINT_MISMATCH", "dev-prefix", it.prefix),
        (5, "CERT_EXPIRED", "dev-expired", it.expired),
        (5, "CERT_NOT_YET_VALID", "dev-future", it.future),
        (5, "DEVICE_UNKNOWN", "nobody", it.dev1),
        (5, "DEVICE_UNKNOWN", "nobody", dict(password=it.token("nobody", it.sas1))),
        (5, "DEVICE_DISABLED", "dev-off", dict(password=it.token("dev-off", it.off))),
        (5, "DEVICE_NO_CREDENTIAL", "dev1", {}),
        (5, "DEVICE_NO_CREDENTIAL", "sas1", {}),
        (5, "DEVICE_WRONG_AUTH_TYPE", "dev1", dict(password=it.token("dev1", it.sas1))),
        (5, "DEVICE_WRONG_AUTH_TYPE", "sas1", it.dev1),
        (5, "SAS_BAD_SIGNATURE", "sas1", dict(password=it.token("sas1", it.key10))),
        (5, "SAS_EXPIRED", "sas1", dict(password=it.token("sas1", it.sas1, expires=int(time.time()) - 10))),
        # atk-11: of another device, whose id begins the same; of a module for its device, and of another module or device for a module; forged
        (5, "SAS_WRONG_RESOURCE", "sas10", dict(password=it.token("sas1", it.key10))),
        (5, "SAS_WRONG_RESOURCE", "sas1", dict(password=it.token("sas10", it.sas1))),
        (5, "SAS_WRONG_RESOURCE", "sas1", dict(password=it.token("sas1", it.module_key, "mod1"))),
        (5, "SAS_WRONG_RESOURCE", "sas1", dict(module="mod1", password=it.token("sas10", it.sas1))),
        (5, "SAS_WRONG_RESOURCE", "sas1", dict(module="mod1", password=it.token("sas1", it.sas1, "mod10"))),
        (5, "SAS_BAD_SIGNATURE", "sas1", dict(module="mod1", password=it.token("sas1", it.key10, "mod1"))),
        (5, "SAS_WRONG_RESOURCE", "sas1", dict(password=it.token("sas1", it.sas1, "mod1"))),
        (5, "SAS_WRONG_RESOURCE", "sas1", dict(password=good + "&skn=device")),
        (5, "MODULE_UNKNOWN", "sas1", dict(module="mod2", password=it.token("sas1", it.module_key, "mod2"))),
        # atk-03, atk-06, atk-07: a CA that is trusted for something else is none for devices
        (5, "TRUST_UNKNOWN_ISSUER", "leafca", it.ca),
        (5, "NAME_CN_MISMATCH", "toolca", it.ca),
        (4, "MQTT_BAD_USERNAME", "dev1", dict(it.dev1, user="hello")),
        (5, "MQTT_FOREIGN_TOPIC", "dev1", dict(it.dev1, will=("devices/sas1/messages/events/", b"forged", 1))),
        (5, "MQTT_QOS2", "dev1", dict(it.dev1, will=(TOPIC, b"x", 2))),
    ]
    for bad in (head, head + "&se=-1", head + "&se=1" + "0" * 30, head + "&se=0x7fffffff", good + "&se=4102444800", good + "&sig=AAAA", "SharedAccessSignature", "hello"):
        rows.append((5, "SAS_MALFORMED", "sas1", dict(password=bad)))
    for id in ("sas1", "", "dev1/", "#", "+", "dev1/+", "d" * 300):
        rows.append((2, "MQTT_CLIENT_ID_MISMATCH", "dev1", dict(it.dev1, client_id=id)))
    return rows


def check_all(*doors):
    for code, reason, device, how in cases():
        for door in doors:
            try:
                door.refused(code, reason, device, **how)
            except (AssertionError, EOFError) as e:
                raise AssertionError("%s %s: %s" % (device, reason, e)) from e


def test_00_start():
    """a gateway starts, and lets in those devices that it shall let in"""
    global it
    it = Site(config='[modules.tool]\nuid = %d\nnames = ["toolca"]\n' % TOOL_UID)
    prepare()
    it.edge.mqtt("dev1", **it.dev1).close()
    it.edge.mqtt("dev-slots", **it.slots).close()
    wait_for(lambda: is_refused("dev-slots", **it.retired), "the gateway to hear that a slot was given another certificate")
    wait_for(lambda: is_refused("dev-off", password=it.token("dev-off", it.off)), "the gateway to hear that a device was disabled")
    it.edge.mqtt("sas1", password=it.token("sas1", it.sas1)).close()
    it.edge.mqtt("sas1", "mod1", password=it.token("sas1", it.module_key, "mod1")).close()


def test_01_as_the_hub():
    """each refusal at the gateway has the answer and the reason that it has at the hub"""
    check_all(hub_door(), gateway_door())


def test_02_take_over():
    """atk-04: a refused CONNECT does not disturb the live connection of the identity that it claimed"""
    with it.edge.mqtt("sas1", password=it.token("sas1", it.sas1)) as live:
        door = gateway_door()
        door.refused(2, "MQTT_CLIENT_ID_MISMATCH", "dev1", **dict(it.dev1, client_id="sas1"))
        door.refused(2, "MQTT_CLIENT_ID_MISMATCH", "sas1", **dict(it.dev1, client_id="dev1"))
        door.refused(5, "DEVICE_WRONG_AUTH_TYPE", "sas1", **it.dev1)
        door.refused(5, "SAS_BAD_SIGNATURE", "sas1", password=it.token("sas1", it.key10))
        live.publish("devices/sas1/messages/events/", b"still here")
    it.arrived("still here")


SERVER_CERT = """
import http.client, json, os, socket, sys
uid, path, target, name = json.loads(sys.argv[1])
if os.getuid() == 0:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
class C(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX); self.sock.settimeout(80); self.sock.connect(path)
c = C("x")
c.request("POST", target, json.dumps({"commonName": name}), {"Content-Type": "application/json"})
a = c.getresponse()
print(json.dumps([a.status, a.read().decode()]))
"""


def test_03_server_certificate():
    """atk-05: a server certificate of the workload API is no device's certificate, and neither the Edge CA nor the trust bundle is an anchor for devices"""
    record = it.hub.rest("GET", "/devices/%s/modules/tool" % it.edge.device)[2]
    target = "/modules/tool/genid/%s/certificate/server?api-version=2022-08-03" % record["generationId"]
    out = subprocess.run(["/usr/bin/python3", "-c", SERVER_CERT, json.dumps([TOOL_UID, it.edge.ready["mnt"] + "/tool.sock", target, "toolca"])], capture_output=True, text=True, timeout=100)
    status, text = json.loads(out.stdout)
    assert status == 201, text
    answer = json.loads(text)
    it.server = {"cert": it.folder / "tool.pem", "key": it.folder / "tool.key"}
    for path, pem in ((it.server["cert"], answer["certificate"]), (it.server["key"], answer["privateKey"]["bytes"])):
        with open(path, "w") as f:
            f.write(pem)
    door = gateway_door()
    door.refused(5, "TRUST_UNKNOWN_ISSUER", "toolca", **it.server)
    door.refused(5, "THUMBPRINT_MISMATCH", "dev1", **it.server)
    door.refused(5, "DEVICE_WRONG_AUTH_TYPE", "sas1", **it.server)


def test_04_publishing():
    """atk-24: what a device may not publish closes its connection with the reason, at the gateway as at the hub, and nothing of it arrives"""
    for door in (hub_door(), gateway_door()):
        door.closed("MQTT_FOREIGN_TOPIC", publish_packet("devices/sas1/messages/events/", b"forged"))
        door.closed("MQTT_FOREIGN_TOPIC", publish_packet("devices/dev1/modules/mod1/messages/events/", b"forged"))
        door.closed("MQTT_UNKNOWN_TOPIC", publish_packet("hello/world", b"forged"))
        door.closed("MQTT_QOS2", publish_packet(TOPIC, b"forged", qos=2))
        door.closed("MQTT_TOO_LARGE", publish_packet(TOPIC, b"x" * (256 * 1024 + 1)))
    with it.edge.mqtt("dev1", **it.dev1) as m:
        m.publish(TOPIC, b"x" * (256 * 1024))
        m.publish(TOPIC, b"the end")
    it.arrived("the end")
    assert not [e for e in it.hub.events() if e["body"] == "forged"]


def test_05_malformed():
    """atk-24: what MQTT forbids closes the connection and nothing else"""
    for bad in (packet(0x00), packet(0xf0), packet(0x20, b"\0\0"), packet(0x90, b"\0\1\0"), b"\x30\xff\xff\xff\xff\xff", publish_packet(TOPIC, qos=3), publish_packet(TOPIC, id=0),
                publish_packet(TOPIC.encode() + b"\xff"), publish_packet("a\0b"), publish_packet("#"), publish_packet(""), packet(0x82, b"\0\1"),
                packet(0xc1), packet(0xe1), connect_packet("dev1", username("h", "dev1"))):
        with it.edge.mqtt("dev1", **it.dev1) as m:
            m.send(bad)
            assert m.closed(), bad
    with it.edge.mqtt("dev1", connect=False, **it.dev1) as m:
        m.send(publish_packet(TOPIC))
        assert m.closed()
    with it.edge.mqtt("dev1", **it.dev1) as m:
        m.publish(TOPIC, b"in order")


def test_06_subscriptions():
    """atk-24: foreign filters and # are answered 0x80, as at the hub; an acknowledgement for nothing does no harm"""
    with it.edge.mqtt("dev1", **it.dev1) as m:
        m.send(packet(0x40, b"\x12\x34") + subscribe_packet([("#", 1), ("devices/sas1/messages/devicebound/#", 1), ("$iothub/#", 1), ("devices/dev1/messages/devicebound/#", 1),
                                                              ("$iothub/methods/POST/#", 0), ("$iothub/twin/res/#", 2)]))
        kind, body = m.receive()
        assert kind == 0x90 and list(body[2:]) == [0x80, 0x80, 0x80, 1, 0, 1], body


def test_07_on_behalf():
    """atk-26: nobody speaks for a device at the gateway by naming a chain"""
    door = gateway_door()
    for chain in ("dev1", "dev1;sas1", "dev1;EdgeGateway", "sas1;EdgeGateway"):
        user = username(it.hub.hostname, "dev1", extra="&auth-chain=" + urllib.parse.quote(chain, safe=""))
        door.refused(5, "CHAIN_OF_GATEWAYS", "dev1", user=user, password=it.token("sas1", it.sas1))
        door.refused(5, "CHAIN_OF_GATEWAYS", "dev1", user=user, **it.dev1)


def test_08_resumption():
    """atk-09: a TLS session that was opened before its device was disabled does not get it in afterwards"""
    how = it.x509("dev-resume")
    context = ssl.create_default_context(cafile=it.edge.trust_bundle())
    context.load_cert_chain(how["cert"], how["key"])

    def connect(session):
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", it.edge.mqtt_port), timeout=20 * SLOW), server_hostname=it.edge.hostname, session=session)
        s.sendall(connect_packet("dev-resume", username(it.hub.hostname, "dev-resume")))
        answer = b""
        while len(answer) < 4:
            piece = s.recv(4 - len(answer))
            if not piece:
                break
            answer += piece
        return s, answer

    first, answer = connect(None)
    assert answer == b"\x20\x02\x00\x00", answer
    first.sendall(packet(0xc0))
    assert first.recv(2) == b"\xd0\x00"
    session = first.session
    first.close()
    second, answer = connect(session)
    assert answer == b"\x20\x02\x00\x00" and second.session_reused, answer
    second.sendall(publish_packet("devices/dev-resume/messages/events/", b"by a resumed session"))
    it.arrived("by a resumed session")
    it.change("dev-resume", status="disabled")
    try:
        while second.recv(100):  # until the gateway closes it
            pass
    except OSError:
        pass
    third, answer = connect(session)
    assert answer == b"\x20\x02\x00\x05", answer
    third.close()


def test_09_secrets():
    """atk-10: no key and no token stands in the edge's log"""
    text = it.edge.log_text()
    for secret in (it.sas1, it.key10, it.module_key):
        assert secret not in text
    assert "sig=" not in text.replace("&sig=...", ""), "a token is in the log"  # the dots are from the sentence about the form


def test_10_offline():
    """atk-01: the gateway, started again while the hub is away, gives each of the same answers for the same reasons; but whom it does not know at all is to come again"""
    it.hub.stop()
    it.edge.stop()
    it.edge.start()
    for device, how in (("dev1", it.dev1), ("dev-slots", it.slots), ("sas1", dict(password=it.token("sas1", it.sas1))),
                        ("sas1", dict(module="mod1", password=it.token("sas1", it.module_key, "mod1")))):
        it.edge.mqtt(device, **how).close()
    door = gateway_door("gateway alone", is_alone=True)
    check_all(door)
    door.refused(5, "TRUST_UNKNOWN_ISSUER", "toolca", **it.server)
    door.refused(5, "DEVICE_DISABLED", "dev-resume", cert=it.folder / "dev-resume.pem", key=it.folder / "dev-resume.key")
    door.closed("MQTT_FOREIGN_TOPIC", publish_packet("devices/sas1/messages/events/", b"forged"))


def test_99_stop():
    """all end in order"""
    it.edge.stop()
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
