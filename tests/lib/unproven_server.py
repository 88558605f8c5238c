# SPDX-License-Identifier: Apache-2.0
"""A server of TLS 1.2 that sends somebody's certificates (EC), as anybody can, and then, having no key for them, hangs up."""
import base64, re, socket, threading


def vector(n, data):
    return len(data).to_bytes(n, "big") + data


def greeting(pem):
    """ServerHello (ECDHE-ECDSA, secure renegotiation) and Certificate in one record."""
    certs = [vector(3, base64.b64decode(block)) for block in re.findall(r"BEGIN CERTIFICATE-----(.*?)-----END", pem, re.S)]
    hello = b"\x03\x03" + bytes(32) + b"\0" + b"\xc0\x2b\0" + vector(2, b"\xff\x01\0\x01\0")
    return b"\x16\x03\x03" + vector(2, b"\x02" + vector(3, hello) + b"\x0b" + vector(3, vector(3, b"".join(certs))))


class UnprovenServer:
    def __init__(self, path):
        with open(path) as f:
            self.greeting = greeting(f.read())
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                peer.recv(4096)
                peer.sendall(self.greeting + b"\x15\x03\x03\0\x02\x02\x28")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
