# SPDX-License-Identifier: Apache-2.0
"""A gateway's carrier byte for byte: the request that opens it, frames of strands, and MQTT in them."""
from rootedge_test import *
from websocket_client import dial

OPEN, DATA, END, CREDIT, RETIRE, PING, PONG = range(1, 8)


def strand_frame(kind, number=0, n=0, data=b""):
    return struct.pack("!BII", kind, number, len(data) or n) + data


def ask_carrier(s, gateway, token, module="$edgeHub", upgrade="rootedge-strands/1"):
    """The status of the answer; after 101 the socket is one of frames."""
    fields = {"Host": "hub.local", "Authorization": token, "Upgrade": upgrade, "Connection": upgrade and "Upgrade"}
    s.sendall(("GET /devices/%s/modules/%s/strands?api-version=2021-04-12 HTTP/1.1\r\n" % (gateway, module) +
               "".join("%s: %s\r\n" % f for f in fields.items() if f[1]) + "\r\n").encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = s.recv(1)  # not a byte of the frames behind it
        assert piece, "closed after %r" % head
        head += piece
    return int(head.split()[1])


class Strand:
    """A socket to Mqtt."""

    def __init__(self, carrier, number):
        self.carrier, self.number, self.content, self.ended, self.taken = carrier, number, b"", False, 0

    def sendall(self, data):
        for at in range(0, len(data), 16384):
            self.carrier.s.sendall(strand_frame(DATA, self.number, data=data[at:at + 16384]))

    def recv(self, _):
        while not self.content and not self.ended:
            if not self.carrier.take():
                self.ended = True
        content, self.content = self.content, b""
        self.taken += len(content)
        if self.taken >= 32768 and not self.ended:
            self.carrier.s.sendall(strand_frame(CREDIT, self.number, self.taken))
            self.taken = 0
        return content

    def settimeout(self, seconds):
        self.carrier.s.settimeout(seconds)

    def close(self):
        self.carrier.s.sendall(strand_frame(END, self.number))


class Carrier:
    def __init__(self, port, ca, gateway, token):
        self.s, self.buffer, self.strands, self.retired, self.pongs = dial(port, ca), b"", {}, False, 0
        self.status = ask_carrier(self.s, gateway, token)

    def open(self):
        number = len(self.strands) + 1
        self.strands[number] = Strand(self, number)
        self.s.sendall(strand_frame(OPEN, number))
        return self.strands[number]

    def take(self):
        """The next frame, given to whom it concerns.  False: the carrier has ended."""
        while True:
            if len(self.buffer) >= 9:
                kind, number, n = struct.unpack("!BII", self.buffer[:9])
                size = 9 + (n if kind == DATA else 0)
                if len(self.buffer) >= size:
                    data, self.buffer = self.buffer[9:size], self.buffer[size:]
                    break
            try:
                piece = self.s.recv(65536)
            except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
                piece = b""
            if not piece:
                return False
            self.buffer += piece
        if kind == DATA:
            self.strands[number].content += data
        elif kind == END:
            self.strands[number].ended = True
        self.retired = self.retired or kind == RETIRE
        self.pongs += kind == PONG
        return True

    def ends(self, seconds=15):
        """True when the hub ends it, whatever comes before."""
        end = time.monotonic() + seconds * SLOW
        while time.monotonic() < end:
            self.s.settimeout(max(0.01, end - time.monotonic()))
            try:
                if not self.take():
                    return True
            except (TimeoutError, ssl.SSLError):
                pass
        return False

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class StrandMqtt(Mqtt):
    """An Mqtt on a strand of its own."""

    def __init__(self, carrier, hub, device, module=None, token=None, chain=None):
        self.sock, self.buffer, self.id = carrier.open(), b"", 0
        name = device if module is None else "%s/%s" % (device, module)
        user = "%s/%s/?api-version=2021-04-12" % (hub.hostname, name) + ("&auth-chain=" + urllib.parse.quote(chain, safe="") if chain else "")
        self.send(connect_packet(name, user, token))
        kind, body = self.receive()
        assert kind == 0x20, kind
        if body[1]:
            assert self.closed()
            raise Refused(body[1])
