#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""atk-23: what strangers can make the hub, or with SERVER=gateway a gateway, spend before it knows them.  Each kind of unfinished connection costs what is stated here and no more, all are dropped in time,
their descriptors come back, and a device that means well is served throughout.

The kinds are opened one after the other and stay open together, so that memory grows by each and what one freed does not hide what the next one takes."""
import os, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

SANITIZED = SLOW > 1  # memory then says nothing about the hub
FEW = 4 if SANITIZED else 1

# A ClientHello as OpenSSL sends it, cut; and one that claims the greatest length that a TLS library takes, with nearly all of it there.
HALF_HELLO = bytes.fromhex("16030100a5010000a10303") + bytes(30)
LONG_HELLO = b"".join(b"\x16\x03\x01\x40\x00" + (b"\x01\x02\x01\x00\x03\x03" + bytes(16378) if i == 0 else bytes(16384)) for i in range(7))
LONG_CONNECT = b"\x10\xf0\xff\x05\x00\x04MQTT\x04\xc2\x00\x3c\xff\xff" + b"d" * 90000  # remaining length 98,288: below what a CONNECT may have

GATEWAY = os.environ.get("SERVER") == "gateway"
OWN_FDS = 24 if GATEWAY else 4  # what the server itself may open meanwhile: a gateway's workers each keep a connection to keyd and edged

hub = edge = server = folder = pki = good = before = pid = None
strangers = []


def start():
    global hub, edge, server, folder, pki, pid
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    edge = Edge(folder, hub) if GATEWAY else None
    server, pid = (edge, edge.role("gateway")) if GATEWAY else (hub, hub.process.pid)


class Good(threading.Thread):
    """A device that connects, publishes and leaves, again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        key = (edge.create_child if GATEWAY else hub.create_device)("good")["authentication"]["symmetricKey"]["primaryKey"]
        self.token = hub.device_token("good", key)
        self.worst, self.rounds, self.failures, self.ending = 0, 0, [], threading.Event()

    def visit(self):
        with server.mqtt("good", password=self.token) as m:
            m.publish("devices/good/messages/events/", b"x")

    def run(self):
        while not self.ending.is_set():
            start = time.monotonic()
            try:
                self.visit()
            except Exception as e:
                self.failures.append(repr(e))
            self.worst = max(self.worst, time.monotonic() - start)
            self.rounds += 1
            self.ending.wait(0.05)

    def check(self):
        """So far it was served, each time long before a stranger is dropped: none held it up.  (How fast, is for bench/: here the machine may be busy.)"""
        rounds = self.rounds
        wait_for(lambda: self.rounds > rounds + 1, "two more visits of the good device")
        assert not self.failures, self.failures[:3]
        assert self.worst < 5 * SLOW, "it waited %.2f s" % self.worst


def rss():
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS:"))


def n_fds():
    return len(os.listdir("/proc/%d/fd" % pid))


def tls_context():
    context = ssl.create_default_context(cafile=edge.trust_bundle() if GATEWAY else pki.root)
    context.check_hostname = False
    return context


def crowd(n, port, tls, send, most):
    """n connections that send this and fall silent.  None costs more than `most` bytes."""
    n //= FEW
    context, opened = tls_context(), []
    fds, memory = n_fds(), rss()
    for _ in range(n):
        s = socket.create_connection(("127.0.0.1", port), timeout=20 * SLOW)
        if tls:
            s = context.wrap_socket(s)
        s.sendall(send)
        opened.append(s)
    strangers.extend(opened)
    wait_for(lambda: n_fds() >= fds + n * 9 // 10, "the server to have taken them")
    good.check()
    each = (rss() - memory) / n
    if SANITIZED:
        return
    print("# %d of these cost %.1f KiB each" % (n, each / 1024))
    assert each < most, "%.1f KiB each" % (each / 1024)


def test_00_start():
    """the server starts, and a device that means well comes and goes"""
    global good, before
    start()
    good = Good()
    for _ in range(20):
        good.visit()
    before = n_fds()
    good.start()
    good.check()


def test_01_idle():
    """atk-23: TCP connections that say nothing cost less than 32 KiB each"""
    crowd(2000, server.mqtt_port, False, b"", 32 * 1024)


def test_02_half_hello():
    """atk-23: half a ClientHello costs less than 64 KiB"""
    crowd(500, server.mqtt_port, False, HALF_HELLO, 64 * 1024)


def test_03_half_request():
    """atk-23: half an HTTP request costs less than 64 KiB"""
    crowd(200, hub.https_port, True, b"POST /devices HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nX: " + b"y" * 1000, 64 * 1024)


if GATEWAY:
    del test_03_half_request  # it serves no HTTP


def test_04_no_connect():
    """atk-23: a handshake without a CONNECT costs less than 48 KiB"""
    crowd(200, server.mqtt_port, True, b"", 48 * 1024)


def test_05_half_connect():
    """atk-23: the longest CONNECT, but for its end, costs less than 192 KiB"""
    crowd(100, server.mqtt_port, True, LONG_CONNECT, 192 * 1024)


def test_06_long_hello():
    """atk-23: the longest ClientHello, but for its end, costs less than 224 KiB"""
    crowd(100, server.mqtt_port, False, LONG_HELLO, 224 * 1024)


def test_07_claims():
    """atk-23: a claim of 256 MB, and a first packet that is no CONNECT, end the connection at once and cost nothing"""
    memory = rss()
    for first in (b"\x10\xff\xff\xff\x7f", b"\x10\xff\xff\xff\xff\x7f", b"\x30\xff\xff\xff\x7f\x00\x01a", b"\x10\x80\x80\x08", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100):
        with server.mqtt("nobody", connect=False) as m:
            m.send(first)
            assert m.closed(5), first
    assert SANITIZED or rss() - memory < 8 * 1024 * 1024, rss() - memory
    good.check()


def test_08_resets():
    """atk-23: connections that are reset as soon as they are there, before and after a ClientHello, leave nothing behind"""
    for i in range(2000 // FEW):
        s = socket.create_connection(("127.0.0.1", server.mqtt_port), timeout=20 * SLOW)
        if i % 2:
            s.sendall(HALF_HELLO)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    good.check()


def openssl(*args):
    return run("openssl", *args)


def der(tag, body):
    n = len(body)
    size = bytes([n]) if n < 128 else bytes([0x80 | (n.bit_length() + 7) // 8]) + n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag]) + size + body


def huge_rsa_key(path, bits):
    """An RSA key of this size in no time: of two numbers that are no primes, which nobody looks at before it is too late."""
    half = [int.from_bytes(os.urandom(bits // 16), "big") | 1 | 3 << bits // 2 - 2 for _ in range(2)]
    p, q, e = half[0], half[1], 65537
    while True:
        try:
            d = pow(e, -1, (p - 1) * (q - 1))
            break
        except ValueError:
            p += 2
    while True:
        try:
            coefficient = pow(q, -1, p)
            break
        except ValueError:
            return huge_rsa_key(path, bits)
    numbers = (0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), coefficient)
    text = base64.encodebytes(der(0x30, b"".join(der(2, n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in numbers))).decode()
    with open(path, "w") as f:
        f.write("-----BEGIN RSA PRIVATE KEY-----\n%s-----END RSA PRIVATE KEY-----\n" % text)


def refused_in_handshake(cert, key):
    """The hub ends the handshake, before or after ours is done (TLS 1.3)."""
    context = tls_context()
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.load_cert_chain(cert, key)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.maximum_version = version
        with socket.create_connection(("127.0.0.1", server.mqtt_port), timeout=30 * SLOW) as raw:
            try:
                with context.wrap_socket(raw) as s:
                    s.sendall(connect_packet("good", username(hub.hostname, "good")))
                    got = s.recv(4)
                    assert not got, "answered %s" % got.hex()
            except OSError as e:
                assert "alert" in str(e).lower() or isinstance(e, (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)), repr(e)


def test_09_huge_key():
    """atk-23: a client key of RSA 16384 is refused in the handshake; meanwhile others are served"""
    key, cert = folder / "huge.key", folder / "huge.pem"
    huge_rsa_key(key, 16384)
    openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=good", "-days", "2", "-out", cert)
    refused_in_handshake(cert, key)
    good.check()


def test_09_b_huge_key_beside():
    """atk-23: a key of RSA 16384 in a certificate beside the client's is refused as well: whoever looks for the issuer would compute with it"""
    cert, key = pki.make("device", "beside")
    with open(folder / "beside", "w") as out, open(cert) as one, open(folder / "huge.pem") as other:
        out.write(one.read() + other.read())
    refused_in_handshake(folder / "beside", key)
    good.check()


def test_10_huge_chain():
    """atk-23: 100 certificates of 16 KB beside the client's are refused in the handshake, at no cost in memory; so are eleven small ones; three are judged"""
    cert, key = pki.make("device", "chained")
    ca_key, ca = folder / "fat.key", folder / "fat.pem"
    with open(folder / "fat.cnf", "w") as f:
        f.write("[req]\ndistinguished_name=dn\n[dn]\n[fat]\nbasicConstraints=CA:TRUE\n1.2.3.4=ASN1:UTF8String:%s\n" % ("x" * 16000))
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", ca_key)
    openssl("req", "-x509", "-new", "-key", ca_key, "-subj", "/CN=fat", "-days", "2", "-config", folder / "fat.cnf", "-extensions", "fat", "-out", ca)
    with open(folder / "three", "w") as out, open(cert) as one, open(pki.root) as other:
        out.write(one.read() + other.read() * 3)
    try:
        server.mqtt("chained", cert=folder / "three", key=key)
    except Refused as e:
        assert e.code == 5  # a chain of this size is judged
    memory = rss()
    for name, beside, n in (("fat-chain", ca, 100), ("small-chain", pki.root, 11)):
        with open(folder / name, "w") as out, open(cert) as one, open(beside) as other:
            out.write(one.read() + other.read() * n)
        for _ in range(5):
            refused_in_handshake(folder / name, key)
    assert SANITIZED or rss() - memory < 8 * 1024 * 1024, rss() - memory
    good.check()


def test_11_trickle():
    """atk-23: who sends a byte a while is dropped like who sends none, and so are all the others, within the time for a handshake or a request"""
    context = tls_context()
    trickles = [socket.create_connection(("127.0.0.1", server.mqtt_port)), context.wrap_socket(socket.create_connection(("127.0.0.1", server.mqtt_port)))]
    if not GATEWAY:
        trickles.append(context.wrap_socket(socket.create_connection(("127.0.0.1", hub.https_port))))
    pieces = [iter(HALF_HELLO), iter(LONG_CONNECT), iter(b"GET /" + b"x" * 5000)]
    start = time.monotonic()

    def drip():
        for s, piece in list(zip(trickles, pieces)):
            try:
                s.sendall(bytes([next(piece)]))
            except (OSError, StopIteration):
                trickles.remove(s)
                pieces.remove(piece)
        return not trickles and n_fds() <= before + OWN_FDS

    wait_for(drip, "the server to drop them all: %d descriptors, not %d" % (n_fds(), before), 45)
    print("# all dropped after %.0f s" % (time.monotonic() - start))
    good.check()


def test_12_served_throughout():
    """atk-23: through all of this the good device was served each time"""
    good.check()
    good.ending.set()
    good.join()
    print("# %d visits, the slowest took %.0f ms" % (good.rounds, good.worst * 1000))
    for s in strangers:
        s.close()
    assert n_fds() <= before + OWN_FDS, (n_fds(), before)


def test_99_stop():
    """the server was never started again, and stops in order"""
    assert not GATEWAY or edge.role("gateway") == pid
    for s in filter(None, (edge, hub)):
        assert s.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
