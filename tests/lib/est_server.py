# SPDX-License-Identifier: Apache-2.0
"""An EST server (RFC 7030) that is not ours, with openssl as its CA: for clients, which must get along with all that is allowed and believe nothing.  `lie` makes it hostile:

other_key      a certificate for another key          no_ca       CA:TRUE and keyCertSign are left out
other_name     for another subject                    stranger    issued by a CA that cacerts does not name
more_names     with an O beside its CN                more_uses   for servers, too; all_uses: without extendedKeyUsage
chain_40       40 certificates, chain_200 200         huge        10 MB
html           a page, with status 200                garbage     base64 of nothing
slow           no answer until it stops               cut         half of an answer
redirect       elsewhere                              busy        503
cas_html, cas_garbage, cas_huge, cas_busy             the same of cacerts
cas_leaf       cacerts has a certificate that is no CA
unauthorized   401                                    forbidden   403
pending        202 with Retry-After, until `approved`

`linking`: only requests are issued that say which TLS 1.2 session they are made for (tls-unique, RFC 7030 3.5).  `drip_s`: how long an answer takes.  `held` are labels whose enrolments wait until `go` is set; `waiting` counts them.  `form` is how bodies look: lines, one_line, crlf, spaces, der, pem.  `requests` has what was asked: Request(operation, label, user, cn, csr)."""
import base64, collections, http.server, os, re, ssl, subprocess, threading, traceback

Request = collections.namedtuple("Request", "operation label user cn csr")


def openssl(*args, input=None):
    done = subprocess.run(["openssl", *map(str, args)], input=input, capture_output=True)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def pem_of(body):
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"\n".join(body.split()) + b"\n-----END CERTIFICATE REQUEST-----\n"


class Ca:
    """A root of openssl's making, and what it signs."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.pem, self.key = folder / (name + ".pem"), folder / (name + ".key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out", self.pem, "-subj", "/CN=" + name, "-days", 7300,
                "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-addext", "basicConstraints=critical,CA:TRUE")

    def sign(self, csr_pem, days, extensions=None, subject=None):
        number = os.urandom(8).hex()
        extfile = self.folder / (number + ".ext")
        with open(extfile, "w") as f:
            f.write("\n".join(extensions or []) + "\n")
        args = ["x509", "-req", "-CA", self.pem, "-CAkey", self.key, "-days", days, "-set_serial", "0x4" + number[1:], "-sha256", "-extfile", extfile]
        args += ["-subj", subject] if subject else []
        pem = openssl(*args, input=csr_pem).decode()
        os.unlink(extfile)
        return pem

    def leaf(self, name, subject, extensions, days=7300):
        """Files NAME.pem and NAME.key."""
        key = self.folder / (name + ".key")
        csr = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj", subject)
        with open(self.folder / (name + ".pem"), "w") as f:
            f.write(self.sign(csr, days, extensions))
        return self.folder / (name + ".pem"), key


class EstServer:
    def __init__(self, folder, user="est", password="s3cret"):
        self.folder, self.credential = folder, "%s:%s" % (user, password)
        self.tls_root, self.ca, self.bootstrap_ca, self.stranger = (Ca(folder, n) for n in ("EST TLS root", "EST root", "Factory root", "Stranger"))
        self.lie = self.attributes = None
        self.form, self.days, self.extra, self.approved, self.retry_after, self.refused = "lines", 365, [], False, 1, set()
        self.no_operation, self.troubles = set(), []
        self.requests, self.stopping = [], threading.Event()
        self.linking, self.drip_s = False, 0
        self.held, self.waiting, self.go = set(), 0, threading.Event()
        cert, key = self.tls_root.leaf("est-server", "/CN=est server", ["subjectAltName=IP:127.0.0.1", "extendedKeyUsage=serverAuth"])
        with open(folder / "est-clients.pem", "w") as f:
            f.write("".join(open(c.pem).read() for c in (self.ca, self.bootstrap_ca)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.load_verify_locations(folder / "est-clients.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        self.port = 0
        self.context = context
        self.start()

    def start(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version, timeout = "HTTP/1.1", 30

            def setup(self):
                self.request = server.context.wrap_socket(self.request, server_side=True)
                super().setup()

            def do_GET(self):
                server.handle(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                server.troubles.append(traceback.format_exc())  # a client that does not trust us, or a fault of this server

        self.http = Server(("127.0.0.1", self.port), Handler)
        self.port = self.http.server_address[1]
        self.url = "https://127.0.0.1:%d/.well-known/est" % self.port
        self.stopping.clear()
        self.go.clear()
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.stopping.set()
        self.go.set()
        self.http.shutdown()
        self.http.server_close()

    # -- Bodies ---------------------------------------------------------------------------------------------------------------------------

    def encode(self, der):
        text = base64.b64encode(der).decode()
        lines = [text[i:i + 64] for i in range(0, len(text), 64)]
        return {"lines": lambda: "\n".join(lines) + "\n", "one_line": lambda: text, "crlf": lambda: "\r\n".join(lines) + "\r\n",
                "spaces": lambda: " \t" + " \n\t ".join(lines) + "  \r\n", "der": lambda: der,
                "pem": lambda: "-----BEGIN PKCS7-----\n" + "\n".join(lines) + "\n-----END PKCS7-----\n"}[self.form]()

    def message(self, *pems):
        with open(self.folder / ("message-%s.pem" % threading.get_ident()), "w") as f:
            f.write("".join(pems))
        return self.encode(openssl("crl2pkcs7", "-nocrl", "-certfile", f.name, "-outform", "DER"))

    def answer(self, h, status, body=b"", type="application/pkcs7-mime; smime-type=certs-only", **headers):
        body = body if isinstance(body, bytes) else body.encode()
        h.send_response(status)
        if type:
            h.send_header("Content-Type", type)
        for name, value in headers.items():
            h.send_header(name.replace("_", "-"), str(value))
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        if self.drip_s and status == 200 and h.command == "POST":
            return self.drip(h, body)
        h.wfile.write(body[:len(body) // 2] if self.lie == "cut" else body)
        h.close_connection = True

    def drip(self, h, body):
        """In a hundred pieces over so many seconds."""
        step = len(body) // 100 + 1
        for at in range(0, len(body), step):
            h.wfile.write(body[at:at + step])
            self.stopping.wait(self.drip_s / 100)
        h.close_connection = True

    # -- Operations -----------------------------------------------------------------------------------------------------------------------

    def handle(self, h):
        body = h.rfile.read(int(h.headers.get("Content-Length") or 0))
        match = re.fullmatch(r"/\.well-known/est(?:/([a-z0-9]+))??/(cacerts|csrattrs|simpleenroll|simplereenroll)", h.path)
        auth = h.headers.get("Authorization", "")
        user = base64.b64decode(auth[6:]).decode() if auth.startswith("Basic ") else None
        peer = h.connection.getpeercert()
        cn = dict(x[0] for x in peer["subject"])["commonName"] if peer else None
        serial = int(peer["serialNumber"], 16) if peer else None
        if not match or match[2] in self.no_operation:
            return self.answer(h, 404, "no such operation", "text/plain")
        label, operation = match.groups()
        issuer = dict(x[0] for x in peer["issuer"])["commonName"] if peer else None
        self.requests.append(Request(operation, label, user and user.split(":")[0], (cn, issuer) if peer else None, body))
        if operation == "cacerts" and self.lie == "cas_leaf":
            return self.answer(h, 200, self.message(open(self.folder / "est-server.pem").read()))
        if operation == "cacerts" and self.lie and self.lie.startswith("cas_"):
            return self.lie_plainly(h, self.lie[4:])
        if operation == "cacerts":
            return self.answer(h, 200, self.message(open(self.ca.pem).read(), *self.extra))
        if operation == "csrattrs":
            return self.answer(h, 200, self.attributes, "application/csrattrs") if self.attributes else self.answer(h, 204, type=None)
        if not (user == self.credential or (peer and serial not in self.refused)):
            return self.answer(h, 401, "who are you?", "text/plain", WWW_Authenticate='Basic realm="est"')
        if self.linking and not self.is_linked(h, body):
            return self.answer(h, 403, "not of this session", "text/plain")
        if label in self.held:
            self.waiting += 1
            self.go.wait()
        return self.enroll(h, body)

    def link(self, on):
        """Ends the connections of TLS 1.3, which has no tls-unique."""
        self.linking = on
        self.attributes = base64.b64encode(bytes.fromhex("300b06092a864886f70d010907")) if on else None
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2 if on else ssl.TLSVersion.MAXIMUM_SUPPORTED

    def is_linked(self, h, body):
        text = openssl("req", "-noout", "-text", input=pem_of(body)).decode()
        found = re.search(r"challengePassword\s*:\s*(\S+)", text)
        return bool(found) and found[1] == base64.b64encode(h.connection.get_channel_binding("tls-unique")).decode()

    def lie_plainly(self, h, lie):
        """Whether there is a lie that needs no certificate."""
        plain = {"redirect": (302, "", "text/plain"), "busy": (503, "later\x1b[31m", "text/plain"), "unauthorized": (401, "no", "text/plain"), "forbidden": (403, "not you", "text/plain"),
                 "html": (200, "<html>Welcome to the hotel</html>", "text/html"), "garbage": (200, base64.b64encode(b"nothing"), "application/pkcs7-mime"),
                 "huge": (200, "QUFB" * 2500000, "application/pkcs7-mime")}
        if lie in plain:
            status, text, type = plain[lie]
            self.answer(h, status, text, type, Location="https://127.0.0.1:1/")
        return lie in plain

    def enroll(self, h, body):
        if self.lie_plainly(h, self.lie):
            return None
        if self.lie == "slow":
            self.stopping.wait()
            return None
        if self.lie == "pending" and not self.approved:
            return self.answer(h, 202, "wait", "text/plain", Retry_After=self.retry_after)
        leaf = self.issue(body)
        if self.lie in ("chain_40", "chain_200"):
            return self.answer(h, 200, self.message(leaf, *[open(self.ca.pem).read()] * (int(self.lie[6:]) - 1)))
        return self.answer(h, 200, self.message(*([open(self.ca.pem).read(), leaf] if self.form == "spaces" else [leaf])))

    def issue(self, body):
        csr = pem_of(body)
        text = openssl("req", "-noout", "-text", "-verify", input=csr).decode()
        ca = "CA:TRUE" in text and self.lie != "no_ca"
        extensions = ["basicConstraints=critical,CA:TRUE" + (",pathlen:0" if "pathlen:0" in text else ""), "keyUsage=critical,digitalSignature,keyCertSign"] if ca else ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=clientAuth"]
        if self.lie in ("more_uses", "all_uses"):
            extensions = extensions[:-1] + ["extendedKeyUsage=clientAuth,serverAuth"][:self.lie == "more_uses"]
        if self.lie == "other_key":
            csr = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null", "-subj", "/" + re.search(r"Subject: (.*)", text)[1].replace(" = ", "=").replace(", ", "/"))
        by = self.stranger if self.lie == "stranger" else self.ca
        subject = {"other_name": "/CN=somebody else", "more_names": "/O=system:masters/CN=" + re.search(r"CN ?= ?([^\n,]*)", text)[1]}.get(self.lie)
        return by.sign(csr, self.days, extensions, subject)
