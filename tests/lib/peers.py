# SPDX-License-Identifier: Apache-2.0
"""Servers that our clients meet: `openssl s_server` with any certificate and any switch, and hostile ones that are a python function."""
import os, re, socket, ssl, subprocess, threading
from rootedge_test import *

OPENSSL = "/usr/bin/openssl" if os.access("/usr/bin/openssl", os.X_OK) else "openssl"


def openssl(*args, **kw):
    return run(OPENSSL, *args, **kw)


class OpensslServer:
    """`openssl s_server` on a free port of the loopback; `cert` may hold the chain."""

    def __init__(self, cert=None, key=None, *args):
        own = ["-cert", cert, "-key", key, "-cert_chain", cert] if cert else ["-nocert"]
        self.process = subprocess.Popen([OPENSSL, "s_server", "-accept", "127.0.0.1:0", *own, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, errors="replace", preexec_fn=parent_death)
        self.said = ""
        while not re.search(r"^ACCEPT .*:(\d+)$", self.said, re.M):
            line = self.process.stdout.readline()
            assert line, "openssl s_server did not start:\n" + self.said
            self.said += line
        self.port = int(re.search(r"^ACCEPT .*:(\d+)$", self.said, re.M).group(1))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.said += line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join(10)
        self.process.stdin.close()
        self.process.stdout.close()


class Stranger:
    """A server whose every connection is answered by `answer(socket)`, each in a thread.  With cert and key the socket is TLS and its handshake is done (or failed:
    `failures`); `heard` is what `answer` returned, `bytes` all that came before TLS where it has none."""

    def __init__(self, answer, cert=None, key=None):
        self.answer, self.heard, self.failures, self.threads = answer, [], [], []
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(cert, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            t = threading.Thread(target=self._one, args=(s,), daemon=True)
            t.start()
            self.threads.append(t)

    def _one(self, s):
        s.settimeout(60 * SLOW)
        try:
            if self.context:
                s = self.context.wrap_socket(s, server_side=True)
            self.heard.append(self.answer(s))
        except OSError as why:
            self.failures.append(str(why))
        finally:
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        for t in self.threads:
            t.join(10)


def refused_port():
    """A port of the loopback that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class ConnectProxy:
    """A proxy that tunnels (RFC 9110 9.3.6) to whom it is asked for, or `elsewhere`; with `user`, for that "name:password" only.  `heads` are the requests."""

    def __init__(self, user=None, elsewhere=None):
        self.user, self.elsewhere, self.heads = user, elsewhere, []
        self.server = Stranger(self.answer)

    def answer(self, near):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = near.recv(1)  # what follows the head is not ours
            if not piece:
                return None
            head += piece
        self.heads.append(head.decode())
        if self.user and "\r\nProxy-Authorization: Basic %s\r\n" % base64.b64encode(self.user.encode()).decode() not in self.heads[-1]:
            near.sendall(b"HTTP/1.1 407 Who are you?\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
            return None
        host, port = head.split(b" ")[1].decode().rsplit(":", 1)
        with socket.create_connection(("127.0.0.1", self.elsewhere or int(port))) as far:
            near.sendall(b"HTTP/1.1 200 Connection established\r\nVia: us\r\n\r\n")
            while True:
                for ready in select.select([near, far], [], [], 20 * SLOW)[0]:
                    piece = ready.recv(65536)
                    if not piece:
                        return None
                    (far if ready is near else near).sendall(piece)

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *why):
        self.server.__exit__(*why)

    @property
    def port(self):
        return self.server.port
