# SPDX-License-Identifier: Apache-2.0
"""A WebSocket byte for byte: the handshake, frames cut as one likes, and MQTT in them."""
from rootedge_test import *

PATH = "/$iothub/websocket"
NONCE = base64.b64encode(b"the sample nonce").decode()


def dial(port, ca, cert=None, name=None):
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = name is not None
    if cert:
        context.load_cert_chain(*cert)
    raw = socket.create_connection(("127.0.0.1", port), timeout=20 * SLOW)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(raw, server_hostname=name)


def upgrade(s, path=PATH, method="GET", version="HTTP/1.1", after=b"", **fields):
    """Ask for a WebSocket; None removes a field.  (status, headers, body)"""
    fields = {"Host": "hub.local", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": NONCE, "Sec-WebSocket-Version": "13",
              "Sec-WebSocket-Protocol": "mqtt"} | {k.replace("_", "-"): v for k, v in fields.items()}
    s.sendall(("%s %s %s\r\n" % (method, path, version) + "".join("%s: %s\r\n" % f for f in fields.items() if f[1] is not None) + "\r\n").encode() + after)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = s.recv(1)  # not a byte of the frames behind it
        assert piece, "closed after %r" % head
        head += piece
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v for k, v in (l.split(": ", 1) for l in lines[1:] if l)}
    body = b""
    while len(body) < int(headers.get("content-length", 0)):
        body += s.recv(int(headers["content-length"]) - len(body))
    return int(lines[0].split()[1]), headers, body


def frame(payload, opcode=2, fin=True, masked=True, first=None):
    n, mask = len(payload), os.urandom(4)
    length = bytes([n]) if n < 126 else b"\x7e" + struct.pack("!H", n) if n < 65536 else b"\x7f" + struct.pack("!Q", n)
    head = bytes([first if first is not None else (0x80 if fin else 0) | opcode, length[0] | (0x80 if masked else 0)]) + length[1:]
    return head + (mask + bytes(b ^ mask[i & 3] for i, b in enumerate(payload)) if masked else payload)


class Frames:
    """A socket to Mqtt: what it sends goes out in frames of `size` bytes, joined into one write; content of frames is what it receives."""

    def __init__(self, s, size=None):
        self.s, self.size, self.buffer, self.controls = s, size, b"", []

    def sendall(self, data):
        step = self.size or len(data)
        self.s.sendall(b"".join(frame(data[i:i + step]) for i in range(0, len(data), step)))

    def receive_frame(self):
        while True:
            if len(self.buffer) >= 2:
                n, at = self.buffer[1], 2
                assert n < 128, "a server's frame is masked"
                if n > 125:
                    at = 4 if n == 126 else 10
                    n = int.from_bytes(self.buffer[2:at], "big") if len(self.buffer) >= at else 1 << 62
                if len(self.buffer) >= at + n:
                    first, payload = self.buffer[0], self.buffer[at:at + n]
                    self.buffer = self.buffer[at + n:]
                    assert first & 0x80, "a server's frame is fragmented"
                    return first & 15, payload
            piece = self.s.recv(65536)
            if not piece:
                raise EOFError("closed by the server")
            self.buffer += piece

    def recv(self, _):
        while True:
            try:
                opcode, payload = self.receive_frame()
            except EOFError:
                return b""
            if opcode == 2:
                return payload
            self.controls.append((opcode, payload))

    def settimeout(self, seconds):
        self.s.settimeout(seconds)

    def close(self):
        self.s.close()


class WsMqtt(Mqtt):
    """An Mqtt in a WebSocket on a connection that `dial` gave."""

    def __init__(self, s, device, user, password=None, size=None, path=PATH, connect=True):
        status, _, body = upgrade(s, path)
        assert status == 101, (status, body)
        self.sock, self.buffer, self.id = Frames(s, size), b"", 0
        if connect:
            self.send(connect_packet(device, user, password))
            kind, body = self.receive()
            assert kind == 0x20, kind
            if body[1]:
                assert self.closed()
                raise Refused(body[1])
