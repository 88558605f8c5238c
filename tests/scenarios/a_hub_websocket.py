#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""MQTT over WebSocket on the hub's HTTPS port: the handshake's rules, frames of any cut, what is refused with which code, closing, back-pressure, and that who is known by a certificate on port
8883 is known here as well."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import websocket_client
from websocket_client import *

hub = folder = pki = key = None


def test_00_start():
    """a hub starts"""
    global hub, folder, pki, key
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    key = hub.create_device("dev1")["authentication"]["symmetricKey"]["primaryKey"]


def dial(cert=None):
    return websocket_client.dial(hub.https_port, pki.root, cert)


class WsMqtt(websocket_client.WsMqtt):
    def __init__(self, device, password=None, cert=None, size=None, connect=True):
        super().__init__(dial(cert), device, username(hub.hostname, device), password, size, connect=connect)


def token():
    return hub.device_token("dev1", key)


def open_socket():
    s = dial()
    assert upgrade(s)[0] == 101
    return Frames(s)


def close_code(f):
    """The code of the server's close, after which the connection ends."""
    while True:
        opcode, payload = f.receive_frame()
        if opcode == 8:
            break
    try:
        while f.s.recv(4096):
            pass
    except OSError:
        pass
    return struct.unpack("!H", payload[:2])[0]


def test_01_handshake():
    """the answer has the digest of the key and the subprotocol in the client's spelling, and no extension, also for a path whose $ is encoded and in other case"""
    accept = base64.b64encode(hashlib.sha1((NONCE + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    for path, offered, echoed in ((PATH, "mqtt", "mqtt"), ("/%24iothub/websocket", "MQTT", "MQTT"), ("/$IotHub/WebSocket?x=y", "chat, Mqtt", "Mqtt")):
        with dial() as s:
            status, headers, _ = upgrade(s, path, Sec_WebSocket_Protocol=offered, Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
            assert status == 101 and headers["sec-websocket-accept"] == accept and headers["sec-websocket-protocol"] == echoed, headers
            assert headers["upgrade"] == "websocket" and headers["connection"] == "Upgrade" and "sec-websocket-extensions" not in headers, headers


def test_02_handshake_refused():
    """no subprotocol or another one, a key that is none, a POST, HTTP/1.0 and another path are refused, another version with the one that is spoken"""
    for want, fields in ((400, {"Sec_WebSocket_Protocol": None}), (400, {"Sec_WebSocket_Protocol": "chat"}), (400, {"Sec_WebSocket_Key": None}),
                         (400, {"Sec_WebSocket_Key": "c2hvcnQ="}), (426, {"Sec_WebSocket_Version": "8"}), (426, {"Sec_WebSocket_Version": None}),
                         (404, {"path": "/$iothub/other"}), (404, {"Upgrade": "h2c"}), (404, {"method": "POST"}), (404, {"version": "HTTP/1.0"}),
                         (404, {"path": "/%"}), (404, {"path": "/$iothub/websocket%00"})):
        with dial() as s:
            status, headers, body = upgrade(s, **fields)
            assert status == want, (status, fields, body)
            assert want != 426 or headers["sec-websocket-version"] == "13", headers


def test_03_sas():
    """a device connects by its token, its messages arrive, and a large one comes back acknowledged"""
    with WsMqtt("dev1", token()) as m:
        m.publish("devices/dev1/messages/events/n=1", b"small")
        m.publish("devices/dev1/messages/events/n=2", b"x" * 200000)
    assert [len(json.dumps(e["body"])) > 2 for e in hub.events("--device", "dev1")] == [True, True]


def test_04_certificate():
    """a device connects by the certificate of the TLS session, and not by one that is not its own"""
    cert = pki.make("device", "xdev")
    hub.create_x509_device("xdev", thumbprint(cert[0]))
    with WsMqtt("xdev", cert=cert) as m:
        m.publish("devices/xdev/messages/events/", b"by certificate")
    other = pki.make("device", "xdev", file="impostor")
    for wrong in (other, None):
        try:
            WsMqtt("xdev", cert=wrong)
            raise AssertionError("an impostor is let in")
        except Refused as refused:
            assert refused.code == 5


def test_05_tiny_frames():
    """packets in frames of one byte each are read as one stream"""
    with WsMqtt("dev1", token(), size=1) as m:
        for i in range(20):
            m.publish("devices/dev1/messages/events/tiny=%d" % i, b"0123456789" * 10)
    assert len([e for e in hub.events("--device", "dev1") if "tiny" in e["properties"]]) == 20


def test_06_joined_and_fragmented():
    """several packets in one frame, and one packet in the fragments of a message with a ping between them, are read; each ping is answered with its own bytes"""
    with WsMqtt("dev1", token()) as m:
        three = b"".join(publish_packet("devices/dev1/messages/events/", b"joined", 1, i) for i in (1, 2, 3))
        m.send(three)
        assert [m.receive()[1] for _ in range(3)] == [struct.pack("!H", i) for i in (1, 2, 3)]
        one = publish_packet("devices/dev1/messages/events/", b"fragmented", 1, 4)
        m.sock.s.sendall(frame(one[:5], fin=False) + frame(b"between", 9) + frame(one[5:9], 0, fin=False) + frame(b"", 0, fin=False) + frame(b"", 10) + frame(one[9:], 0))
        assert m.receive() == (0x40, b"\0\4")
        assert m.sock.controls == [(10, b"between")], m.sock.controls


def test_07_byte_by_byte():
    """a stream that arrives a byte at a time, headers of frames included, means the same"""
    with WsMqtt("dev1", token()) as m:
        for byte in frame(publish_packet("devices/dev1/messages/events/", b"slow", 1, 9)):
            m.sock.s.sendall(bytes([byte]))
        assert m.receive() == (0x40, b"\0\x09")


def test_08_broken_frames():
    """each kind of broken frame is refused with its code of RFC 6455, and the connection ends"""
    for what, data, code in (("unmasked", frame(b"x", masked=False), 1002), ("text", frame(b"x", 1), 1003), ("reserved bit", frame(b"x", first=0xc2), 1002),
                             ("opcode", frame(b"x", 3), 1002), ("continuation of nothing", frame(b"x", 0), 1002), ("long ping", frame(b"x" * 126, 9), 1002),
                             ("fragmented ping", frame(b"x", 9, fin=False), 1002), ("huge", b"\x82\xff" + struct.pack("!Q", 1 << 40) + b"mask", 1009),
                             ("negative", b"\x82\xff" + b"\xff" * 8 + b"mask", 1009), ("close of one byte", frame(b"x", 8), 1002), ("close 1005", frame(b"\x03\xed", 8), 1002)):
        f = open_socket()
        f.s.sendall(data)
        assert close_code(f) == code, what
        f.close()


def test_09_random():
    """random bytes in place of frames end the connection, and the hub goes on"""
    import random
    rng = random.Random(6455)
    for _ in range(30):
        f = open_socket()
        try:
            f.s.sendall(rng.randbytes(rng.randrange(1, 400)))
            f.s.shutdown(socket.SHUT_WR)
            while f.s.recv(4096):
                pass
        except OSError:
            pass
        f.close()
    with WsMqtt("dev1", token()) as m:
        m.publish("devices/dev1/messages/events/")


def test_10_close():
    """a client's close is answered with its code, after what it sent before; MQTT's DISCONNECT and a refusal are followed by a close"""
    m = WsMqtt("dev1", token())
    m.sock.s.sendall(frame(publish_packet("devices/dev1/messages/events/last=1", b"last", 0)) + frame(struct.pack("!H", 1001) + b"leaving", 8) + frame(b"never read"))
    assert close_code(m.sock) == 1001
    wait_for(lambda: [e for e in hub.events("--device", "dev1") if "last" in e["properties"]], "the message before the close")
    m = WsMqtt("dev1", token())
    m.send(packet(0xe0))
    assert close_code(m.sock) == 1000
    m = WsMqtt("dev1", connect=False)
    m.send(connect_packet("dev1", username(hub.hostname, "dev1"), hub.device_token("dev1", new_key())))
    assert m.receive() == (0x20, b"\0\5")
    assert close_code(m.sock) == 1000


def test_11_silent_after_close():
    """a client that never ends its side after a close is let go within seconds"""
    f = open_socket()
    f.s.sendall(frame(struct.pack("!H", 1000), 8))
    started = time.monotonic()
    assert f.receive_frame()[0] == 8
    raw = f.s.detach() if hasattr(f.s, "detach") else None
    plain = socket.socket(fileno=raw)
    plain.setblocking(False)

    def is_reset():
        try:
            return plain.send(b"x") < 0
        except (BrokenPipeError, ConnectionResetError):
            return True
        except BlockingIOError:
            return False

    wait_for(is_reset, "the end of the socket")
    assert time.monotonic() - started < 8 * SLOW
    plain.close()


def test_12_early_bytes():
    """frames that were sent together with the request are read once the connection has changed over"""
    s = dial()
    hello = connect_packet("dev1", username(hub.hostname, "dev1"), token())
    assert upgrade(s, after=frame(hello[:9]) + frame(hello[9:]) + frame(packet(0xc0)))[0] == 101
    f = Frames(s)
    opcode, answer = f.receive_frame()
    assert (opcode, answer[:2], answer[3:4]) == (2, b"\x20\x02", b"\0"), answer
    assert (answer[4:] or f.receive_frame()[1]) == b"\xd0\0"
    f.close()


def test_13_take_over():
    """the newest connection wins, whichever way it came"""
    with WsMqtt("dev1", token()) as old, hub.mqtt("dev1", password=token()) as new:
        assert old.closed()
        with WsMqtt("dev1", token()):
            assert new.closed()


def test_131_burst():
    """two thousand messages at once, in frames that begin and end anywhere, are all acknowledged in order, though the hub reads on only as it stores them"""
    import random
    rng = random.Random(8)
    with WsMqtt("dev1", token()) as m:
        stream, frames = b"".join(publish_packet("devices/dev1/messages/events/burst=%d" % i, b"x" * 300, 1, i) for i in range(1, 2001)), []
        while stream:
            n = rng.randrange(1, 3000)
            frames.append(frame(stream[:n]))
            stream = stream[n:]
        m.sock.s.sendall(b"".join(frames))
        for i in range(1, 2001):
            assert m.receive() == (0x40, struct.pack("!H", i))
    assert len([e for e in hub.events("--device", "dev1") if "burst" in e["properties"]]) == 2000


def test_14_silence():
    """a WebSocket on which no CONNECT comes is not a place to stay: pings keep nobody alive"""
    f = open_socket()
    started = time.monotonic()
    wait_for(lambda: _ping_fails(f), "the end of a connection without CONNECT", 40)
    assert time.monotonic() - started > 5


def _ping_fails(f):
    try:
        f.s.sendall(frame(b"", 9))
        return f.receive_frame()[0] == 8
    except (OSError, EOFError):
        return True


def test_15_ping_flood():
    """who pings and does not read is held back, not stored"""
    f = open_socket()
    before = rss()
    f.s.settimeout(2 * SLOW)
    flood = frame(b"p" * 125, 9) * 500
    try:
        for _ in range(1000):
            f.s.sendall(flood)
        raise AssertionError("65 MB of pings were taken from a client that reads nothing")
    except OSError:
        pass
    assert rss() - before < 16 * 1024 or SLOW > 1, rss() - before  # a sanitizer keeps what was freed
    f.close()


def rss():
    with open("/proc/%d/status" % hub.process.pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def test_99_end():
    """the hub stops in order with WebSockets open"""
    open_socket()
    WsMqtt("dev1", token())
    hub.stop()
    folder.__exit__()


run_all(globals())
