#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Attacks on the hub by somebody with a certificate, a key or a session of his own, under their numbers.  What the decision itself answers is tested in lib/auth; here it is the
hub over the wire: the answer, the reason in the log, and that nobody else notices."""
import os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = ca_folder = pki = devices = None
keys = {}


def test_00_start():
    """a hub that trusts a CA for devices starts, with a few devices"""
    global hub, folder, ca_folder, pki, devices
    folder, ca_folder = Folder(), Folder()
    pki, devices = Pki(folder), Pki(ca_folder)  # the CA of servers, and that of devices
    hub = Hub(folder, pki, "contosoiothub.local", "--device-ca", devices.root)
    for id in ("alice", "bob"):
        keys[id] = hub.create_device(id)["authentication"]["symmetricKey"]["primaryKey"]
    for id in ("ca-alice", "ca-bob"):
        hub.create_device(id, {"type": "certificateAuthority"})
        devices.make("device", id)
    hub.mqtt("ca-alice", **credential(ca_folder, "ca-alice")).close()


def credential(where, file):
    return {"cert": where / (file + ".pem"), "key": where / (file + ".key")}


def refused(code, reason, device, **how):
    """CONNACK with this code, and this reason in the log before any other."""
    before = len(hub.reasons())
    try:
        hub.mqtt(device, **how)
    except Refused as e:
        assert e.code == code, "CONNACK %d, not %d" % (e.code, code)
    else:
        raise AssertionError("was let in")
    reasons = wait_for(lambda: hub.reasons()[before:], "a reason in the hub's log")
    assert reasons[0] == reason, reasons


def closed(m, reason, data):
    """This session is closed for what it sends."""
    before = len(hub.reasons())
    m.send(data)
    assert m.closed(), "the connection was not closed after %s" % data[:40]
    reasons = wait_for(lambda: hub.reasons()[before:], "a reason in the hub's log")
    assert reasons[0] == reason, reasons


def as_(id, **kw):
    return hub.mqtt(id, password=hub.device_token(id, keys[id]), **kw)


class Bystander:
    """Somebody else's session, which must not notice."""

    def __enter__(self):
        self.m = as_("bob")
        return self.m

    def __exit__(self, kind, *_):
        if kind is None:
            self.m.publish("devices/bob/messages/events/", b"undisturbed")
        self.m.close()


def resume(port, session, device):
    """(connection, CONNACK) with this TLS session, without any certificate of ours beside it."""
    context = resume.context
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=20 * SLOW), session=session)
    s.sendall(connect_packet(device, username(hub.hostname, device)))
    answer = b""
    while len(answer) < 4:
        piece = s.recv(4 - len(answer))
        if not piece:
            break
        answer += piece
    return s, answer


def test_01_expiry_while_connected():
    """atk-01: a certificate that expires leaves its open session alone, and lets nobody in any more, nor a resumed session"""
    until = time.time() + 3 + 2 * SLOW
    cert, key = pki.make("device", "brief", "--not-after", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until)))
    hub.create_x509_device("brief", thumbprint(cert))
    resume.context = ssl.create_default_context(cafile=pki.root)
    resume.context.check_hostname = False
    resume.context.load_cert_chain(cert, key)
    first, answer = resume(hub.mqtt_port, None, "brief")
    assert answer == b"\x20\x02\x00\x00", answer
    first.sendall(packet(0xc0))
    assert first.recv(2) == b"\xd0\x00"
    session = first.session
    first.close()
    live = hub.mqtt("brief", cert=cert, key=key)
    wait_for(lambda: time.time() > until, "the certificate's end", 20)
    live.publish("devices/brief/messages/events/", b"still here")
    refused(5, "CERT_EXPIRED", "brief", cert=cert, key=key)
    again, answer = resume(hub.mqtt_port, session, "brief")
    assert answer == b"\x20\x02\x00\x05", (again.session_reused, answer)
    again.close()
    live.publish("devices/brief/messages/events/", b"and here")
    live.close()


def test_02_thumbprints():
    """atk-02: a thumbprint counts whole, in any spelling; its beginning, zeros, and an empty slot let nobody in"""
    cert, key = pki.make("device", "print")
    sha256 = thumbprint(cert)
    sha1 = run("openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha1").stdout.split("=")[1].strip()
    how = {"cert": cert, "key": key}
    for i, (primary, secondary, good) in enumerate([(sha256, None, True), (sha256.lower(), "", True), ("AB" * 32, " ".join([sha256[:32], sha256[32:]]), True), (sha1, None, True),
                                                    (sha256[:40], None, False), ("AB" * 32, None, False), (sha1.replace(":", "")[:-1] + "0" if sha1[-1] != "0" else sha1[:-1] + "1", None, False)]):
        device = "print%d" % i
        hub.create_x509_device(device, primary, secondary)
        if good:
            hub.mqtt(device, **how).close()
        else:
            refused(5, "THUMBPRINT_MISMATCH", device, **how)
    for bad in ("0" * 64, "0" * 40, sha256[:-1], sha256 + "00", "", sha256[:-1] + "G"):
        status = hub.rest("PUT", "/devices/print-bad", {"deviceId": "print-bad", "authentication": {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": bad}}})[0]
        assert status == 400, (bad, status)


def test_03_names():
    """atk-03: of a CA's certificate the one CN counts, byte by byte, and no SAN"""
    devices.make("device", "ca-alice", "--san", "ca-bob", file="san")
    hub.mqtt("ca-alice", **credential(ca_folder, "san")).close()
    refused(5, "NAME_CN_MISMATCH", "ca-bob", **credential(ca_folder, "san"))
    refused(5, "NAME_CN_MISMATCH", "ca-bob", **credential(ca_folder, "ca-alice"))
    for i, subject in enumerate(("/CN=CA-BOB", "/CN=ca-alice/CN=ca-bob", "/CN=ca-bob/CN=ca-alice", "/CN=ca-bob ", "/O=ca-bob")):
        base = ca_folder / ("crooked%d" % i)
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", base + ".key", "-subj", subject, "-out", base + ".csr")
        run("openssl", "x509", "-req", "-in", base + ".csr", "-CA", devices.root, "-CAkey", ca_folder / "root.key", "-days", "2", "-out", base + ".pem")
        refused(5, "NAME_CN_MISMATCH", "ca-bob", cert=base + ".pem", key=base + ".key")


def test_04_other_identity():
    """atk-04: neither certificate nor token of one device opens a session of another, under any mixture of ids, and the other's session lives on"""
    cert, key = pki.make("device", "x-alice")
    other, other_key = pki.make("device", "x-bob")
    hub.create_x509_device("x-alice", thumbprint(cert))
    hub.create_x509_device("x-bob", thumbprint(other))
    mine = {"cert": cert, "key": key}
    with Bystander(), hub.mqtt("x-bob", cert=other, key=other_key) as live:
        refused(5, "THUMBPRINT_MISMATCH", "x-bob", **mine)
        refused(2, "MQTT_CLIENT_ID_MISMATCH", "x-alice", client_id="x-bob", **mine)
        refused(2, "MQTT_CLIENT_ID_MISMATCH", "x-bob", client_id="x-alice", **mine)
        refused(5, "SAS_WRONG_RESOURCE", "bob", password=hub.device_token("alice", keys["alice"]))
        refused(2, "MQTT_CLIENT_ID_MISMATCH", "alice", client_id="bob", password=hub.device_token("alice", keys["alice"]))
        refused(2, "MQTT_CLIENT_ID_MISMATCH", "alice", client_id="alice/bob", password=hub.device_token("alice", keys["alice"]))
        refused(2, "MQTT_CLIENT_ID_MISMATCH", "alice", client_id="Alice", password=hub.device_token("alice", keys["alice"]))
        for user in (username(hub.hostname, "a" * 129), username(hub.hostname, "alice", "m" * 129), username(hub.hostname, "al ice"), username(hub.hostname, ".."), hub.hostname + "//alice"):
            refused(4, "MQTT_BAD_USERNAME", "alice", user=user, password=hub.device_token("alice", keys["alice"]))
        live.publish("devices/x-bob/messages/events/", b"undisturbed")


def test_05_server_certificate():
    """atk-05: a server certificate of the devices' CA with the device's name opens nothing"""
    devices.make("server", "ca-bob", file="server")
    refused(5, "CERT_NO_CLIENT_AUTH", "ca-bob", **credential(ca_folder, "server"))


def test_07_foreign_ca():
    """atk-07: the CA of the hub's own certificate vouches for no device, sent along or not; nor does a device's certificate for another"""
    cert, key = pki.make("device", "ca-bob", file="foreign")
    with open(cert) as leaf, open(pki.root) as root, open(folder / "foreign-chain.pem", "w") as out:
        out.write(leaf.read() + root.read())
    refused(5, "TRUST_UNKNOWN_ISSUER", "ca-bob", cert=cert, key=key)
    refused(5, "TRUST_UNKNOWN_ISSUER", "ca-bob", cert=folder / "foreign-chain.pem", key=key)
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "forged.key", "-subj", "/CN=ca-bob", "-out", folder / "forged.csr")
    run("openssl", "x509", "-req", "-in", folder / "forged.csr", "-CA", ca_folder / "ca-alice.pem", "-CAkey", ca_folder / "ca-alice.key", "-days", "2", "-out", folder / "forged.pem")
    with open(folder / "forged.pem") as leaf, open(ca_folder / "ca-alice.pem") as issuer, open(folder / "forged-chain.pem", "w") as out:
        out.write(leaf.read() + issuer.read())
    refused(5, "CERT_NOT_CA", "ca-bob", cert=folder / "forged-chain.pem", key=folder / "forged.key")


def test_11_tokens():
    """atk-11: a token is for one resource on this hub, signed as it stands; in every other way it is refused for its reason"""
    assert hub.rest("PUT", "/devices/alice/modules/m1", {})[0] == 200
    host, key = hub.hostname, keys["alice"]
    good = hub.device_token("alice", key)
    signature = urllib.parse.unquote(good.split("&sig=")[1].split("&")[0])
    decoded = sas("%s/devices/alice" % host, key, encode=False).split("&sig=")[1]
    for reason, token in (
            ("SAS_WRONG_RESOURCE", sas("%s/devices/bob" % host, key)),
            ("SAS_WRONG_RESOURCE", sas("%s/devices/alic" % host, key)),
            ("SAS_WRONG_RESOURCE", sas("%s/devices/alice/modules/m1" % host, key)),
            ("SAS_WRONG_RESOURCE", sas("other.hub/devices/alice", key)),
            ("SAS_BAD_SIGNATURE", good.split("&sig=")[0] + "&sig=" + decoded),  # signed as decoded, sent as encoded
            ("SAS_BAD_SIGNATURE", good.replace("se=1", "se=2", 1)),
            ("SAS_MALFORMED", good.replace(urllib.parse.quote(signature, safe=""), urllib.parse.quote(signature[:-2], safe=""))),
            ("SAS_MALFORMED", good + "&se=4102444800"),
            ("SAS_MALFORMED", good + "&x=y"),
            ("SAS_MALFORMED", "SharedAccessSignature " + "a" * 5000)):
        refused(5, reason, "alice", password=token)
    refused(5, "SAS_WRONG_RESOURCE", "alice", user=username(host, "alice", "m1"), client_id="alice/m1", password=good)
    for policy in ("iothubowner", "device"):
        refused(5, "SAS_WRONG_RESOURCE", "alice", password=sas("%s/devices/alice" % host, hub.policy(policy), policy=policy))
    hub.mqtt("alice", password=good).close()


def test_12_new_keys():
    """atk-12: a session that was opened with a key ends when that key is replaced; the new key works at once, the old one no more"""
    record = hub.create_device("rolls")
    old = record["authentication"]["symmetricKey"]["primaryKey"]
    with hub.mqtt("rolls", password=hub.device_token("rolls", old)) as live, Bystander():
        record["authentication"]["symmetricKey"]["primaryKey"] = new_key()
        assert hub.rest("PUT", "/devices/rolls", record, {"If-Match": "*"})[0] == 200
        assert live.closed()
    refused(5, "SAS_BAD_SIGNATURE", "rolls", password=hub.device_token("rolls", old))
    hub.mqtt("rolls", password=hub.device_token("rolls", record["authentication"]["symmetricKey"]["primaryKey"])).close()


def test_24_a_packets():
    """atk-24: packets that only servers send, and those of QoS 2, close the connection as malformed"""
    for data in (packet(0x20, b"\0\0"), packet(0x90, b"\0\1\0"), packet(0xb0, b"\0\1"), packet(0xd0), packet(0x50, b"\0\1"), packet(0x62, b"\0\1"), packet(0x70, b"\0\1"),
                 connect_packet("alice", username(hub.hostname, "alice"))):
        with Bystander(), as_("alice") as m:
            closed(m, "MQTT_MALFORMED", data)
    with as_("alice") as m:
        closed(m, "MQTT_QOS2", publish_packet("devices/alice/messages/events/", b"x", qos=2))


def test_24_b_topics():
    """atk-24: topics of others, of nobody, overlong, not UTF-8 or with NUL close the connection, are not acknowledged and store nothing"""
    n = len(hub.events())
    own = b"devices/alice/messages/events/"
    for reason, topic in (("MQTT_FOREIGN_TOPIC", b"devices/bob/messages/events/"), ("MQTT_FOREIGN_TOPIC", b"devices/alice/modules/m1/messages/events/"), ("MQTT_FOREIGN_TOPIC", b"devices/Alice/messages/events/"),
                          ("MQTT_UNKNOWN_TOPIC", b"devices/bob/messages/devicebound/"), ("MQTT_UNKNOWN_TOPIC", b"$iothub/twin/res/200/?$rid=1"), ("MQTT_UNKNOWN_TOPIC", b"$iothub/bob/twin/GET/?$rid=1"),
                          ("MQTT_UNKNOWN_TOPIC", b"x" * 65535), ("MQTT_UNKNOWN_TOPIC", b"/" * 65535), ("MQTT_MALFORMED", own + b"\xff"), ("MQTT_MALFORMED", own + b"\xed\xa0\x80"), ("MQTT_MALFORMED", own + b"\0"),
                          ("MQTT_MALFORMED", own + b"#"), ("MQTT_MALFORMED", b"")):
        with Bystander(), as_("alice") as m:
            closed(m, reason, publish_packet(topic, b"forged", id=5))
            assert b"\x40\x02\x00\x05" not in m.buffer
    assert not [e for e in hub.events("--from", n) if e["body"] == "forged"]
    longest = own + b"k=" + b"v" * (65535 - len(own) - 2)
    with as_("alice") as m:
        m.publish(longest, b"the longest topic")
    assert len(hub.events()[-1]["properties"]["k"]) == 65535 - len(own) - 2


def test_24_c_wills():
    """atk-24: a will on another's topic, and one at QoS 2, are refused with 5 and never published"""
    n = len(hub.events())
    token = hub.device_token("alice", keys["alice"])
    with Bystander():
        for reason, topic, qos in (("MQTT_FOREIGN_TOPIC", "devices/bob/messages/events/", 1), ("MQTT_FOREIGN_TOPIC", "#", 0), ("MQTT_FOREIGN_TOPIC", "devices/alice/messages/devicebound/", 1),
                                   ("MQTT_QOS2", "devices/alice/messages/events/", 2)):
            refused(5, reason, "alice", password=token, will=(topic, b"forged will", qos))
    assert not [e for e in hub.events("--from", n) if e["body"] == "forged will"]


def test_24_d_subscriptions():
    """atk-24: ten thousand subscriptions are answered, foreign ones and # with 0x80; more than 64 in a packet close"""
    with Bystander(), as_("alice") as m:
        for start in range(0, 10000, 50):
            filters = [("devices/alice/messages/devicebound/#", 1) if i % 10 == 0 else ("devices/d%d/messages/devicebound/#" % i, 1) for i in range(start, start + 49)] + [("#", 0)]
            m.send(subscribe_packet(filters, start // 50 + 1))
            kind, body = m.receive()
            assert kind == 0x90 and body[2:] == bytes(1 if f[0].startswith("devices/alice") else 0x80 for f in filters), body
        closed(m, "MQTT_MALFORMED", subscribe_packet([("$iothub/methods/POST/#", 0)] * 65))


def test_24_e_ids():
    """atk-24: acknowledgements of nothing are overlooked, the same id twice is acknowledged twice, and ids wrap around"""
    topic = "devices/alice/messages/events/"
    with Bystander(), as_("alice") as m:
        for id in (1, 77, 65535):
            m.send(packet(0x40, struct.pack("!H", id)))
        m.send(publish_packet(topic, b"twin", id=9) + publish_packet(topic, b"twin", id=9))
        assert [m.receive() for _ in range(2)] == [(0x40, b"\0\x09")] * 2
        ids = [(65500 + i - 1) % 65535 + 1 for i in range(200)]
        m.send(b"".join(publish_packet(topic, b"wrap", id=i) for i in ids))
        assert [struct.unpack("!H", m.receive()[1])[0] for _ in ids] == ids
    bodies = [e["body"] for e in hub.events()]
    assert bodies.count("twin") == 2 and bodies.count("wrap") == 200


def test_99_stop():
    """the hub stops in order"""
    assert hub.stop() == 0
    folder.__exit__()
    ca_folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
