#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything that the hub refuses, with the answer the client sees (hub 1.3) and the reason the operator sees."""
import os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *


class Refusals:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.hub = Hub(self.folder, self.pki)
        self.cert, self.key = self.pki.make("device", "dev1")
        self.old, self.old_key = self.pki.make("device", "dev1", file="dev1-old")
        self.second, self.second_key = self.pki.make("device", "dev1", file="dev1-second")
        self.hub.create_x509_device("dev1", thumbprint(self.cert), thumbprint(self.second))
        self.sas_key = self.hub.create_device("sas1")["authentication"]["symmetricKey"]["primaryKey"]

    def refused(self, code, reason, **how):
        """The connection is refused with this CONNACK and this reason, and with no other."""
        before = len(self.hub.reasons())
        try:
            self.hub.mqtt(how.pop("device", "dev1"), **how)
        except Refused as e:
            assert e.code == code, "CONNACK %d, not %d" % (e.code, code)
        else:
            raise AssertionError("was let in")
        reasons = wait_for(lambda: self.hub.reasons()[before:], "a reason in the hub's log")
        assert reasons[0] == reason, reasons

    def closed(self, reason, send, **how):
        """A connection that was let in is closed for this reason after it sent this."""
        before = len(self.hub.reasons())
        how.setdefault("cert", self.cert)
        how.setdefault("key", self.key)
        with self.hub.mqtt("dev1", **how) as m:
            m.send(send)
            try:
                raise AssertionError("answered %r" % (m.receive(),))
            except EOFError:
                pass  # closed, and nothing was acknowledged
        reasons = wait_for(lambda: self.hub.reasons()[before:], "a reason in the hub's log")
        assert reasons[0] == reason, reasons


it = None


def test_00_start():
    """a hub starts, and lets in a device by either thumbprint slot and another by its key"""
    global it
    it = Refusals()
    it.hub.mqtt("dev1", cert=it.cert, key=it.key).close()
    it.hub.mqtt("dev1", cert=it.second, key=it.second_key).close()
    it.hub.mqtt("sas1", password=it.hub.device_token("sas1", it.sas_key)).close()
    it.hub.mqtt("dev1", cert=it.cert, key=it.key, tls12=True).close()


def test_01_wrong_thumbprint():
    """a certificate with the right name and another thumbprint is refused with 5, THUMBPRINT_MISMATCH"""
    cert, key = it.pki.make("device", "dev1", file="other")
    it.refused(5, "THUMBPRINT_MISMATCH", cert=cert, key=key)


def test_02_retired_slot():
    """the old certificate of a slot is refused with 5 once the slot holds the new one's thumbprint"""
    record = it.hub.rest("GET", "/devices/dev1")[2]
    record["authentication"]["x509Thumbprint"]["secondaryThumbprint"] = thumbprint(it.old)
    assert it.hub.rest("PUT", "/devices/dev1", record, {"If-Match": "*"})[0] == 200
    it.hub.mqtt("dev1", cert=it.old, key=it.old_key).close()
    record = it.hub.rest("GET", "/devices/dev1")[2]
    record["authentication"]["x509Thumbprint"]["secondaryThumbprint"] = thumbprint(it.second)
    assert it.hub.rest("PUT", "/devices/dev1", record, {"If-Match": '"%s"' % record["etag"]})[0] == 200
    it.refused(5, "THUMBPRINT_MISMATCH", cert=it.old, key=it.old_key)


def test_03_expired():
    """atk-01: a registered certificate past its end is refused with 5, CERT_EXPIRED"""
    cert, key = it.pki.make("device", "dev1", "--not-before", "2020-01-01", "--not-after", "2021-01-01", file="expired")
    it.hub.create_x509_device("dev-expired", thumbprint(cert))
    it.refused(5, "CERT_EXPIRED", device="dev-expired", cert=cert, key=key)


def test_04_not_yet_valid():
    """atk-01: a registered certificate whose time is still to come is refused with 5, CERT_NOT_YET_VALID"""
    soon, later = (time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * 86400)) for days in (2, 4))
    cert, key = it.pki.make("device", "dev1", "--not-before", soon, "--not-after", later, file="future")
    it.hub.create_x509_device("dev-future", thumbprint(cert))
    it.refused(5, "CERT_NOT_YET_VALID", device="dev-future", cert=cert, key=key)


def test_05_unknown():
    """an unknown device is refused with 5, DEVICE_UNKNOWN"""
    it.refused(5, "DEVICE_UNKNOWN", device="nobody", cert=it.cert, key=it.key)
    it.refused(5, "DEVICE_UNKNOWN", device="nobody", password=it.hub.device_token("nobody", it.sas_key))


def test_06_disabled():
    """a disabled device is refused with 5, DEVICE_DISABLED, and its live connection is closed"""
    key = it.hub.create_device("dev-off")["authentication"]["symmetricKey"]["primaryKey"]
    token = it.hub.device_token("dev-off", key)
    with it.hub.mqtt("dev-off", password=token) as live:
        record = it.hub.rest("GET", "/devices/dev-off")[2]
        record["status"] = "disabled"
        assert it.hub.rest("PUT", "/devices/dev-off", record, {"If-Match": "*"})[0] == 200
        assert live.closed()
    it.refused(5, "DEVICE_DISABLED", device="dev-off", password=token)


def test_07_sas_wrong():
    """a token signed with another key is refused with 5, SAS_BAD_SIGNATURE"""
    it.refused(5, "SAS_BAD_SIGNATURE", device="sas1", password=it.hub.device_token("sas1", new_key()))


def test_08_sas_expired():
    """an expired token is refused with 5, SAS_EXPIRED"""
    it.refused(5, "SAS_EXPIRED", device="sas1", password=it.hub.device_token("sas1", it.sas_key, expires=int(time.time()) - 10))


def test_09_sas_of_another():
    """atk-11: a token for dev10 is no good for dev1, nor the other way round, whatever the key"""
    key10 = it.hub.create_device("sas10")["authentication"]["symmetricKey"]["primaryKey"]
    it.refused(5, "SAS_WRONG_RESOURCE", device="sas10", password=it.hub.device_token("sas1", key10))
    it.refused(5, "SAS_WRONG_RESOURCE", device="sas1", password=it.hub.device_token("sas10", it.sas_key))


def test_10_sas_forgeries():
    """atk-11: an expiry that is missing, negative, huge, hexadecimal or given twice is refused with 5, SAS_MALFORMED"""
    good = it.hub.device_token("sas1", it.sas_key)
    head = good[:good.index("&se=")]
    for token in (head, head + "&se=-1", head + "&se=1" + "0" * 30, head + "&se=0x7fffffff", good + "&se=4102444800", good + "&sig=AAAA", "SharedAccessSignature", "hello"):
        it.refused(5, "SAS_MALFORMED", device="sas1", password=token)


def test_11_no_credential():
    """a device that shows nothing is refused with 5, DEVICE_NO_CREDENTIAL; a token for a certificate device with 5, DEVICE_WRONG_AUTH_TYPE"""
    it.refused(5, "DEVICE_NO_CREDENTIAL")
    it.refused(5, "DEVICE_NO_CREDENTIAL", device="sas1")
    it.refused(5, "DEVICE_WRONG_AUTH_TYPE", password=it.hub.device_token("dev1", it.sas_key))
    it.refused(5, "DEVICE_WRONG_AUTH_TYPE", device="sas1", cert=it.cert, key=it.key)


def test_12_client_id():
    """atk-04: a client id that isn't the identity of the user name is refused with 2 and does not disturb that identity's live connection"""
    with it.hub.mqtt("sas1", password=it.hub.device_token("sas1", it.sas_key)) as live:
        it.refused(2, "MQTT_CLIENT_ID_MISMATCH", cert=it.cert, key=it.key, client_id="sas1")
        it.refused(5, "DEVICE_WRONG_AUTH_TYPE", device="sas1", cert=it.cert, key=it.key)
        for odd in ("", "dev1/", "#", "+", "dev1/+", "d" * 300):
            it.refused(2, "MQTT_CLIENT_ID_MISMATCH", cert=it.cert, key=it.key, client_id=odd)
        live.publish("devices/sas1/messages/events/", b"still here")


def test_13_username():
    """a user name that is none is refused with 4, another protocol level with 1"""
    it.refused(4, "MQTT_BAD_USERNAME", cert=it.cert, key=it.key, user="hello")
    with it.hub.mqtt("dev1", cert=it.cert, key=it.key, connect=False) as m:
        m.send(connect_packet("dev1", username(it.hub.hostname, "dev1"), level=5))
        assert m.receive() == (0x20, b"\x00\x01")
        assert m.closed()


def test_14_foreign_topic():
    """atk-24: publishing to another device's topic closes the connection, MQTT_FOREIGN_TOPIC, and stores nothing"""
    it.closed("MQTT_FOREIGN_TOPIC", publish_packet("devices/sas1/messages/events/", b"forged"))
    assert not [e for e in it.hub.events() if e.get("body") == "forged"]


def test_15_unknown_topic():
    """a topic that a hub does not know closes the connection, MQTT_UNKNOWN_TOPIC"""
    it.closed("MQTT_UNKNOWN_TOPIC", publish_packet("hello/world", b"x"))


def test_16_qos2():
    """QoS 2 closes the connection, MQTT_QOS2"""
    it.closed("MQTT_QOS2", publish_packet("devices/dev1/messages/events/", b"x", qos=2))


def test_17_oversized():
    """a message above 256 KiB with its properties closes the connection, MQTT_TOO_LARGE; one of exactly that size is stored"""
    it.closed("MQTT_TOO_LARGE", publish_packet("devices/dev1/messages/events/", b"x" * (256 * 1024 + 1)))
    it.closed("MQTT_TOO_LARGE", publish_packet("devices/dev1/messages/events/k=v", b"x" * (256 * 1024 - 2)))
    it.closed("MQTT_TOO_LARGE", b"\x32\xff\xff\xff\x7f")
    with it.hub.mqtt("dev1", cert=it.cert, key=it.key) as m:
        m.publish("devices/dev1/messages/events/", b"x" * (256 * 1024))
        m.publish("devices/dev1/messages/events/k=v", b"x" * (256 * 1024 - 3))


def test_18_malformed():
    """atk-24: what MQTT forbids closes the connection and nothing else"""
    topic = "devices/dev1/messages/events/"
    for bad in (packet(0x00), packet(0xf0), packet(0x20, b"\0\0"), packet(0x90, b"\0\1\0"), b"\x30\xff\xff\xff\xff\xff", publish_packet(topic, qos=3),
                publish_packet(topic, id=0), publish_packet("devices/dev1/messages/events/\udcff".encode("utf-8", "surrogateescape")), publish_packet("a\0b"), publish_packet("#"),
                publish_packet(""), packet(0x82, b"\0\1"), packet(0x80, b"\0\1\0\1a\0"), packet(0xc1), packet(0xe1), connect_packet("dev1", username("h", "dev1"))):
        with it.hub.mqtt("dev1", cert=it.cert, key=it.key) as m:
            m.send(bad)
            assert m.closed(), bad
    with it.hub.mqtt("dev1", cert=it.cert, key=it.key, connect=False) as m:
        m.send(publish_packet(topic))
        assert m.closed()


def test_19_subscriptions():
    """atk-24: foreign filters and # are answered 0x80; a device's own are granted"""
    with it.hub.mqtt("dev1", cert=it.cert, key=it.key) as m:
        m.send(subscribe_packet([("#", 1), ("devices/sas1/messages/devicebound/#", 1), ("$iothub/#", 1), ("devices/dev1/messages/devicebound/#", 1),
                                 ("$iothub/methods/POST/#", 0), ("$iothub/twin/res/#", 2)]))
        kind, body = m.receive()
        assert kind == 0x90 and list(body[2:]) == [0x80, 0x80, 0x80, 1, 0, 1], body


def test_20_plain_text():
    """what is no TLS at all is dropped, and the hub goes on"""
    with socket.create_connection(("127.0.0.1", it.hub.mqtt_port), timeout=20 * SLOW) as s:
        s.sendall(connect_packet("dev1", "x"))
        try:
            while s.recv(4096):
                pass
        except ConnectionResetError:
            pass
    it.hub.mqtt("dev1", cert=it.cert, key=it.key).close()


def test_21_secrets():
    """atk-10: no key and no token stands in the log, and nothing in the state folder is readable by others"""
    text = it.hub.log_text()
    assert it.sas_key not in text and "sig=" not in text.replace("&sig=...", ""), "a secret is in the log"
    for folder, _, files in os.walk(it.hub.state):
        for name in files:
            mode = os.stat(os.path.join(folder, name)).st_mode & 0o077
            assert mode == 0 or name.endswith((".pem", ".cer")), (name, oct(mode))


def test_22_resumption():
    """atk-09: a resumed session is judged again: after the device was disabled it is refused"""
    cert, key = it.pki.make("device", "dev-resume")
    it.hub.create_x509_device("dev-resume", thumbprint(cert))
    context = ssl.create_default_context(cafile=it.pki.root)
    context.check_hostname = False
    context.load_cert_chain(cert, key)

    def connect(session):
        raw = socket.create_connection(("127.0.0.1", it.hub.mqtt_port), timeout=20 * SLOW)
        s = context.wrap_socket(raw, session=session)
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
    first.sendall(packet(0xe0))
    first.close()
    second, answer = connect(session)
    assert answer == b"\x20\x02\x00\x00", answer
    assert second.session_reused, "the session was not resumed"
    second.close()
    record = it.hub.rest("GET", "/devices/dev-resume")[2]
    record["status"] = "disabled"
    assert it.hub.rest("PUT", "/devices/dev-resume", record, {"If-Match": "*"})[0] == 200
    third, answer = connect(session)
    third.close()
    assert answer == b"\x20\x02\x00\x05", answer


def test_23_key_rollover():
    """atk-12: after the primary key changed the old token is refused at once, the secondary key works"""
    record = it.hub.create_device("dev-keys")
    old = record["authentication"]["symmetricKey"]["primaryKey"]
    second = record["authentication"]["symmetricKey"]["secondaryKey"]
    record["authentication"]["symmetricKey"]["primaryKey"] = new_key()
    assert it.hub.rest("PUT", "/devices/dev-keys", record, {"If-Match": "*"})[0] == 200
    it.refused(5, "SAS_BAD_SIGNATURE", device="dev-keys", password=it.hub.device_token("dev-keys", old))
    it.hub.mqtt("dev-keys", password=it.hub.device_token("dev-keys", second)).close()


def test_24_token_expiry_ends_the_connection():
    """a connection ends when its token does"""
    token = it.hub.device_token("sas1", it.sas_key, expires=int(time.time()) + 2)
    with it.hub.mqtt("sas1", password=token) as m:
        assert m.closed(20)


def test_25_recreated_device():
    """atk-25: a device that was deleted is refused; created again with the same id it has another generation and other keys"""
    first = it.hub.create_device("dev-again")
    token = it.hub.device_token("dev-again", first["authentication"]["symmetricKey"]["primaryKey"])
    with it.hub.mqtt("dev-again", password=token) as live:
        assert it.hub.rest("DELETE", "/devices/dev-again", headers={"If-Match": "*"})[0] == 204
        assert live.closed()
    it.refused(5, "DEVICE_UNKNOWN", device="dev-again", password=token)
    second = it.hub.create_device("dev-again")
    assert second["generationId"] != first["generationId"]
    it.refused(5, "SAS_BAD_SIGNATURE", device="dev-again", password=token)


def test_99_stop():
    """the hub stops in order"""
    it.hub.stop()
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
