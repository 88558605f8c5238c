# SPDX-License-Identifier: Apache-2.0
"""An EST client of foreign parts: curl asks, openssl makes the requests and reads the answers."""
import base64, os, re, subprocess
from rootedge_test import SLOW


def openssl(*args, input=None):
    done = subprocess.run(["openssl", *map(str, args)], input=input, capture_output=True)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def make_csr(name, key, *args, subject=None, digest="-sha256"):
    return openssl("req", "-new", "-key", key, "-subj", subject or "/CN=" + name, "-outform", "DER", digest, *args)


def lines64(der):
    return base64.encodebytes(der)  # as certd does, but for the length of its lines


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def type(self):
        return self.headers.get("content-type", "")

    def certs(self):
        """What openssl finds in it, as PEM blocks."""
        text = openssl("pkcs7", "-inform", "DER", "-print_certs", input=base64.b64decode(self.body)).decode()
        return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", text, re.S)


def refused(answer, status, *words):
    text = answer.body.decode()
    assert answer.status == status and answer.type.startswith("text/plain"), (answer.status, answer.type, text)
    assert all(w in text for w in words), text


class EstClient:
    """Keys and certificates are files of its folder, by name."""

    def __init__(self, folder, ca, port, host="est.test"):
        self.folder, self.ca, self.port, self.host = folder, ca, port, host

    def make_key(self, name, *args):
        path = self.folder / (name + ".key")
        openssl("genpkey", *(args or ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")), "-out", path)
        return path

    def curl(self, path, *args, cert=None, user=None, body=None, kind="application/pkcs10", method=None, base="/.well-known/est"):
        words = ["curl", "-sS", "-i", "--cacert", self.ca, "--connect-to", "%s::127.0.0.1:%d" % (self.host, self.port), "https://" + self.host + base + path, *args]
        if cert:
            words += ["--cert", cert[0], "--key", cert[1]]
        if user is not None:
            words += ["-u", user]
        if body is not None:
            words += ["-H", "Expect:", "-H", "Content-Type: " + kind if kind else "Content-Type:", "--data-binary", "@-"]
        if method:
            words += ["-X", method]
        done = subprocess.run(list(map(str, words)), input=body, capture_output=True, timeout=60 * SLOW)
        assert done.stdout, done.stderr
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        first, *more = head.decode().split("\r\n")
        return Answer(int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in more)}, rest)

    def enroll(self, name, label="", op="simpleenroll", key=None, csr=None, **kw):
        """With the key that is given, or the one of that name, made where there is none."""
        if csr is None:
            key = key or self.folder / (name + ".key")
            csr = make_csr(name, key if os.path.exists(key) else self.make_key(name))
        return self.curl((label and "/" + label) + "/" + op, body=lines64(csr), **kw)

    def keep(self, answer, name, key=None):
        """The certificate of an answer as a pair of files for the next connection."""
        assert answer.status == 200, (answer.status, answer.body)
        pems = answer.certs()
        assert len(pems) == 1, pems
        with open(self.folder / (name + ".pem"), "w") as f:
            f.write(pems[0])
        return self.folder / (name + ".pem"), key or self.folder / (name + ".key")


class ForeignCa:
    """A CA of somebody else, kept by openssl ca."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.index = folder / (name + ".index")
        open(self.index, "w").close()
        with open(folder / (name + ".number"), "w") as f:
            f.write("01\n")
        with open(folder / (name + ".cnf"), "w") as f:
            f.write("[ca]\ndefault_ca=d\n[d]\ndatabase=%s\ncrlnumber=%s\ndefault_md=sha256\ndefault_crl_days=3\n" % (self.index, folder / (name + ".number")))

    def run(self, *args):
        openssl("ca", "-config", self.folder / (self.name + ".cnf"), "-keyfile", self.folder / (self.name + ".key"), "-cert", self.folder / (self.name + ".pem"), *args)

    def list(self, out, *revoked):
        """The next list, with these certificates in it from now on; replaced as a whole."""
        for cert in revoked:
            self.run("-revoke", cert)
        self.run("-gencrl", "-out", out + ".new")
        os.replace(out + ".new", out)
