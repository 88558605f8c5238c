#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a CA takes back: rootedge ca revoke, the lists and OCSP answers of the EST server as openssl reads them, and its own refusals, without a restart."""
import os, sqlite3, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from unproven_server import UnprovenServer
from est_client import *

CONFIG = """
[issuer.plant]
certificate = "plant.pem"
key = "plant.key"
root = "root.pem"
crl_days = 4
crl_url = "http://pki.plant.test/crl/plant.crl"
ocsp_url = "http://pki.plant.test/ocsp"

[issuer.other]
certificate = "other.pem"
key = "other.key"

[[label]]
profile = "device"
issuer = "plant"
days = 20
passwords = true
expired_days = 30

[[label]]
name = "boot"
profile = "device"
issuer = "plant"
bootstrap = "factory.pem"
bootstrap_crl = "factory.crl"
bootstrap_may = ["dev-*"]
"""


class Plant:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.clock = self.folder / "clock"
        self.pki.make("server", "est.test", file="server")
        self.pki.make("intermediate", "plant CA", file="plant")
        for name in "other", "factory":
            run("rootedge", "cert", "root", "--name", name + " CA", "--out", self.folder / (name + ".pem"), "--key-out", self.folder / (name + ".key"))
        self.state = self.folder / "state"
        self.journal = os.path.join(self.state, "issued.db")
        self.make_list("factory", self.folder / "factory.crl", "--journal", self.empty_journal())
        with open(self.folder / "est.toml", "w") as f:
            f.write(CONFIG)
        self.est = Service(self.folder, "est", "--config", self.folder / "est.toml", "--state", self.state, "--address", "127.0.0.1", "--port", 0, "--http-port", 0, "--cert",
                           self.folder / "server.pem", "--key", self.folder / "server.key", program=[ROOTEDGE, "est"], env={"ROOTEDGE_CLOCK_FILE": self.clock})
        run("rootedge", "est", "user", "line", "--may", "dev-*", "--state", self.state, input="correct horse\n")

    def empty_journal(self):
        """Of a factory, which has no server of its own: what it revokes stands beside a journal that some server has begun."""
        with open(self.folder / "first.toml", "w") as f:
            f.write('[issuer.other]\ncertificate = "other.pem"\nkey = "other.key"\n[[label]]\nprofile = "device"\n')
        first = Service(self.folder, "est", "--config", self.folder / "first.toml", "--state", self.folder / "factory", "--address", "127.0.0.1", "--port", 0, "--cert", self.folder / "server.pem",
                        "--key", self.folder / "server.key", program=[ROOTEDGE, "est"])
        assert first.stop() == 0
        return os.path.join(self.folder / "factory", "issued.db")

    def make_list(self, ca, out, *args):
        run("rootedge", "ca", "crl", "--cert", self.folder / (ca + ".pem"), "--key", self.folder / (ca + ".key"), "--out", out, *args)

    @property
    def ask(self):
        return EstClient(self.folder, self.pki.root, self.est.ready["port"])

    def get(self, name):
        return self.folder / (name + ".pem"), self.folder / (name + ".key")

    def enroll(self, name):
        return self.ask.keep(self.ask.enroll(name, user="line:correct horse"), name)

    def revoke(self, which, *args, check=True):
        return run("rootedge", "ca", "revoke", which, "--journal", self.journal, *args, check=check)

    def list(self, issuer="plant"):
        """The list as it is published, from plain HTTP: the file's name, its number and its entries."""
        done = subprocess.run(["curl", "-sS", "-f", "http://127.0.0.1:%d/crl/%s.crl" % (self.est.ready["http_port"], issuer)], capture_output=True)
        assert done.returncode == 0, done.stderr
        path = self.folder / (issuer + "-fetched.crl")
        with open(path, "wb") as f:
            f.write(done.stdout)
        text = openssl("crl", "-inform", "DER", "-in", path, "-noout", "-text").decode()
        return path, int(re.search(r"X509v3 CRL Number: \n +(\d+)", text)[1]), re.findall(r"Serial Number: ([0-9A-F]+)", text)

    def number(self, cert):
        return openssl("x509", "-in", cert, "-noout", "-serial").decode().strip().split("=")[1]

    def ocsp(self, *certs, issuer="plant", args=()):
        words = ["ocsp", "-url", "http://127.0.0.1:%d/ocsp" % self.est.ready["http_port"], "-issuer", self.folder / (issuer + ".pem"), "-CAfile", self.pki.root, "-verify_other",
                 self.folder / (issuer + ".pem"), "-no_cert_verify" if issuer != "plant" else "-nonce"]
        for cert in certs:
            words += ["-cert", cert]
        done = subprocess.run(["openssl", *map(str, words), *args], capture_output=True, text=True)
        return done.stdout + done.stderr


it = None


def test_00_first_list():
    """the first list is there before anybody asks, signed, over plain HTTP, HTTPS and as a file; certificates say where"""
    global it
    it = Plant()
    cert, _ = it.enroll("dev-1")
    it.enroll("dev-2")
    text = openssl("x509", "-in", cert, "-noout", "-ext", "crlDistributionPoints,authorityInfoAccess").decode()
    assert "URI:http://pki.plant.test/crl/plant.crl" in text and "OCSP - URI:http://pki.plant.test/ocsp" in text, text
    path, number, revoked = it.list()
    assert number == 1 and revoked == []
    done = subprocess.run(["openssl", "crl", "-inform", "DER", "-in", path, "-noout", "-CAfile", it.folder / "plant.pem"], capture_output=True, text=True)
    assert "verify OK" in done.stderr, done
    with open(path, "rb") as f, open(os.path.join(it.state, "crl", "plant.crl"), "rb") as same:
        assert f.read() == same.read()
    answer = it.ask.curl("/plant.crl", base="/crl")
    assert answer.status == 200 and answer.type == "application/pkix-crl", answer.headers
    for path, status in ("/nobody.crl", 404), ("/plant", 404), ("/plant.crl/x", 404), ("/..%2fplant.crl", 404), ("", 404):
        assert it.ask.curl(path, base="/crl").status == status, path
    assert it.ask.curl("/plant.crl", base="/crl", method="DELETE").status == 405


def test_01_revoked():
    """a certificate that was revoked is refused within seconds, enrolling and renewing, and its list has it; others go on"""
    first, number = it.get("dev-1"), it.number(it.get("dev-1")[0])
    done = it.revoke("dev-1", "--reason", "keyCompromise")
    assert "dev-1" in done.stdout, done
    began = time.monotonic()
    wait_for(lambda: it.list()[2] == [number], "the list with it")
    assert time.monotonic() - began < 5 * SLOW
    assert it.list()[1] == 2
    for op in "simpleenroll", "simplereenroll":
        refused(it.ask.enroll("dev-1", "", op, key=it.ask.make_key("dev-1-x"), cert=first), 403, "CERT_REVOKED")
        assert it.ask.enroll("dev-2", "", op, key=it.ask.make_key("dev-2-" + op), cert=it.get("dev-2")).status == 200
    openssl("crl", "-inform", "DER", "-in", it.list()[0], "-out", it.folder / "list.pem")
    for name, good in ("dev-1", False), ("dev-2", True):
        done = subprocess.run(["openssl", "verify", "-crl_check", "-CRLfile", it.folder / "list.pem", "-CAfile", it.pki.root, "-untrusted", it.folder / "plant.pem", it.get(name)[0]], capture_output=True,
                              text=True)
        assert (done.returncode == 0) == good and (good or "revoked" in done.stderr), done


def test_02_the_same_request():
    """the request of a revoked certificate does not get it once more; another request does get another one"""
    csr = make_csr("dev-3", it.ask.make_key("dev-3"))
    cert = it.ask.keep(it.ask.enroll("", csr=csr, user="line:correct horse"), "dev-3")
    it.revoke(it.number(cert[0]))
    wait_for(lambda: it.ask.enroll("", csr=csr, user="line:correct horse").status == 403, "the refusal")
    refused(it.ask.enroll("", csr=csr, user="line:correct horse"), 403, "CERT_REVOKED")
    assert it.ask.enroll("dev-3", key=it.ask.make_key("dev-3-b"), user="line:correct horse").status == 200


def test_03_ocsp():
    """openssl ocsp hears good, revoked with its reason, and unknown of what was never issued; what is no question and what is about no CA of ours is answered so"""
    never = it.pki.make("device", "dev-9", issuer="plant", file="never")
    text = it.ocsp(it.get("dev-1")[0], it.get("dev-2")[0], never[0])
    assert "Response verify OK" in text and "WARNING" not in text, text
    assert re.search(r"dev-1.pem: revoked\n.*\n\tReason: keyCompromise", text, re.S) and "dev-2.pem: good" in text and "never.pem: unknown" in text, text
    stranger = it.pki.make("device", "dev-9", issuer="factory", file="stranger")
    assert "unauthorized" in it.ocsp(stranger[0], issuer="factory")
    request = openssl("ocsp", "-issuer", it.folder / "plant.pem", "-cert", it.get("dev-2")[0], "-no_nonce", "-reqout", "/dev/stdout")
    url = "http://127.0.0.1:%d" % it.est.ready["http_port"]
    for path in base64.b64encode(request).decode(), urllib.parse.quote(base64.b64encode(request).decode(), safe=""):
        done = subprocess.run(["curl", "-sS", "-f", "%s/ocsp/%s" % (url, path)], capture_output=True)
        assert b"successful" in openssl("ocsp", "-respin", "/dev/stdin", "-resp_text", "-noverify", input=done.stdout), done
    for body in b"", b"rubbish", request[:-1], request + b"\0", b"\x30\x80" * 100, b"A" * 5000:
        done = subprocess.run(["curl", "-sS", "-H", "Content-Type: application/ocsp-request", "--data-binary", "@-", url + "/ocsp"], input=body, capture_output=True)
        assert done.stdout == b"\x30\x03\x0a\x01\x01", (body[:20], done)  # malformedRequest
    assert subprocess.run(["curl", "-sS", "-f", "-X", "PUT", url + "/ocsp"], capture_output=True).returncode == 22
    assert subprocess.run(["curl", "-sS", "-f", url + "/.well-known/est/cacerts"], capture_output=True).returncode == 22  # EST itself is never without TLS


def test_04_bootstrap():
    """a bootstrap certificate that its maker has revoked enrolls nothing, from the next SIGHUP on"""
    factory = it.pki.make("device", "dev-20", issuer="factory", file="factory-20")
    it.ask.keep(it.ask.enroll("dev-20", "boot", cert=factory), "dev-20")
    store = sqlite3.connect(os.path.join(it.folder / "factory", "revoked.db"))
    issuer = openssl("x509", "-in", it.folder / "factory.pem", "-noout", "-fingerprint", "-sha256").decode().strip().split("=")[1].replace(":", "")
    with store:
        store.execute("INSERT INTO revoked (issuer, serial, subject, requester, revoked, reason) VALUES (?, ?, 'CN=dev-20', 'dev-20', ?, 1)", (issuer, it.number(factory[0]), int(time.time())))
    store.close()
    it.make_list("factory", it.folder / "factory.crl", "--journal", os.path.join(it.folder / "factory", "issued.db"))
    os.kill(it.est.process.pid, 1)
    wait_for(lambda: it.ask.enroll("dev-20", "boot", key=it.ask.make_key("dev-20-b"), cert=factory).status == 403, "the refusal")
    refused(it.ask.enroll("dev-20", "boot", key=it.ask.make_key("dev-20-c"), cert=factory), 403, "CERT_REVOKED")


def test_05_kill9_and_time():
    """after kill -9 what was revoked still is, the list is made anew when half of its time is over, and an expired certificate that was revoked renews nothing"""
    before = it.list()
    it.est.kill9()
    it.est.start()
    assert it.list()[2] == before[2] and it.list()[1] > before[1]
    refused(it.ask.enroll("dev-1", "", "simplereenroll", key=it.ask.make_key("dev-1-y"), cert=it.get("dev-1")), 403, "CERT_REVOKED")
    number = it.list()[1]
    with open(it.clock, "w") as f:
        f.write(str(2 * 86400 + 10))
    wait_for(lambda: it.list()[1] == number + 1, "the next list")
    with open(it.clock, "w") as f:
        f.write(str(25 * 86400))
    wait_for(lambda: it.list()[1] == number + 2, "the next list")
    refused(it.ask.enroll("dev-1", "", "simplereenroll", key=it.ask.make_key("dev-1-z"), cert=it.get("dev-1")), 403, "CERT_REVOKED")
    assert it.ask.enroll("dev-2", "", "simplereenroll", key=it.ask.make_key("dev-2-z"), cert=it.get("dev-2")).status == 200


def test_06_verbs():
    """revoked twice, unknown, for no reason that there is, and without a journal: said, and nothing done; what was revoked is listed"""
    for status, *words in (1, it.number(it.get("dev-1")[0])), (1, "nobody"), (1, "dev-2", "--reason", "weather"), (2, ), (2, "dev-1", "dev-2"):
        assert run("rootedge", "ca", "revoke", *words, "--journal", it.journal, check=False).returncode == status, words
    assert run("rootedge", "ca", "revoke", "dev-2", "--journal", it.folder / "none.db", check=False).returncode == 1
    found = [json.loads(line) for line in run("rootedge", "ca", "revoked", "--journal", it.journal, "--json").stdout.splitlines()]
    assert [f["requester"] for f in found][:2] == ["dev-1", "dev-3"] and found[0]["reason"] == "keyCompromise", found
    assert "dev-1" in run("rootedge", "ca", "revoked", "--journal", it.journal).stdout
    # all that a device has, in one word
    cert = it.ask.keep(it.ask.enroll("dev-4", user="line:correct horse"), "dev-4")
    later = it.ask.keep(it.ask.enroll("dev-4", "", "simplereenroll", key=it.ask.make_key("dev-4-b"), cert=cert), "dev-4-b", it.folder / "dev-4-b.key")
    done = it.revoke("dev-4", "--all")
    assert done.stdout.count("is revoked") == 2, done
    assert it.revoke("dev-4", "--all", check=False).returncode == 1
    for pair in cert, later:
        wait_for(lambda: it.ask.enroll("dev-4", "", "simplereenroll", key=it.ask.make_key("dev-4-c"), cert=pair).status == 403, "the refusal")


def test_07_what_is_shown():
    """rootedge cert revoke takes the certificate itself, from a file or standard input; one that this CA has not issued, that is no certificate, or whose key its server does not prove, is refused"""
    pair = it.enroll("dev-5")
    word = ("rootedge", "cert", "revoke")
    for args, part in ((("server.pem",), "the journal has no certificate"), (("server.key",), "no certificate in it"), (("absent",), "No such file")):
        done = run(*word, *args, "--journal", it.journal, check=False, cwd=it.folder.path)
        assert done.returncode == 1 and part in done.stderr, (args, done)
    assert run(*word, "--journal", it.journal, check=False).returncode == 2
    with UnprovenServer(pair[0]) as server:
        done = run(*word, "tls://127.0.0.1:%d" % server.port, "--journal", it.journal, check=False)
        assert done.returncode == 1 and "did not prove that it has its key" in done.stderr, done
    with open(pair[0]) as f:
        said = json.loads(run(*word, "-", "--journal", it.journal, "--reason", "superseded", "--json", stdin=f).stdout)
    assert said["reason"] == "superseded" and said["serial"].replace(":", "") == it.number(pair[0]).upper(), said
    assert "revoked" in run(*word, pair[0], "--journal", it.journal, check=False).stderr
    wait_for(lambda: it.ask.enroll("dev-5", "", "simplereenroll", key=it.ask.make_key("dev-5-b"), cert=pair).status == 403, "the refusal")


def test_08_many():
    """100,000 revoked certificates: the list is made in about a second, and a judgement does not notice them"""
    store = sqlite3.connect(os.path.join(it.state, "revoked.db"))
    issuer = openssl("x509", "-in", it.folder / "plant.pem", "-noout", "-fingerprint", "-sha256").decode().strip().split("=")[1].replace(":", "")
    with store:
        store.executemany("INSERT INTO revoked (issuer, serial, subject, requester, revoked, reason) VALUES (?, ?, 'CN=x', 'x', 1750000000, 1)",
                          ((issuer, "5%031X" % (n * 7919), ) for n in range(100000)))
    store.close()
    began = time.monotonic()
    wait_for(lambda: os.path.getsize(os.path.join(it.state, "crl", "plant.crl")) > 4000000, "the large list", 60)
    print("# the list of 100,000 was there after %.1f s" % (time.monotonic() - began))
    assert it.ask.enroll("dev-2", "", "simplereenroll", key=it.ask.make_key("dev-2-m"), cert=it.get("dev-2")).status == 200
    refused(it.ask.enroll("dev-1", "", "simplereenroll", key=it.ask.make_key("dev-1-m"), cert=it.get("dev-1")), 403, "CERT_REVOKED")
    assert it.est.stop() == 0


def test_09_the_same_number():
    """a serial number that two CAs have given names nothing: show and revoke refuse it until --ca says whose it is"""
    pair = it.get("dev-2")
    number = it.number(pair[0])
    twin = it.folder / "twin.pem"
    csr = openssl("req", "-new", "-key", pair[1], "-subj", "/CN=twin-1")
    openssl("x509", "-req", "-CA", it.folder / "other.pem", "-CAkey", it.folder / "other.key", "-set_serial", "0x" + number, "-days", 9, "-out", twin, input=csr)
    digest = lambda path: openssl("x509", "-in", path, "-noout", "-fingerprint", "-sha256").decode().strip().split("=")[1].replace(":", "")
    store = sqlite3.connect(it.journal)  # as it stands after two registration authorities have passed on what their CAs gave
    with store:
        store.execute("INSERT INTO issuer (fingerprint, chain) VALUES (?, ?)", (digest(it.folder / "other.pem"), open(it.folder / "other.pem").read()))
        store.execute("INSERT INTO issued (sequence, issued, profile, requester, request, issuer, certificate, digest, serial, subject, fingerprint, key, not_after) "
                      "SELECT max(sequence) + 1, max(issued), 'device', 'twin-1', '', ?, ?, zeroblob(32), ?, 'CN=twin-1', ?, '', max(not_after) FROM issued",
                      (digest(it.folder / "other.pem"), openssl("x509", "-in", twin, "-outform", "DER"), number, digest(twin)))
    store.close()
    for verb in "show", "revoke":
        done = run("rootedge", "ca", verb, number, "--journal", it.journal, check=False)
        assert done.returncode == 1 and "have both given the serial number" in done.stderr and "--ca" in done.stderr, done
    for ca, subject in (("other", "CN=twin-1"), ("plant", "CN=dev-2")):
        said = json.loads(run("rootedge", "ca", "show", number, "--ca", it.folder / (ca + ".pem"), "--json", "--journal", it.journal).stdout)
        assert said["certificate"]["subject"] == subject, said
    assert "twin-1" in run("rootedge", "ca", "show", digest(twin), "--journal", it.journal).stdout, "a fingerprint is enough"
    done = run("rootedge", "ca", "revoke", "dev-2", "--ca", it.folder / "other.pem", "--journal", it.journal, check=False)
    assert done.returncode == 1 and "is of another CA" in done.stderr, done
    assert "no certificate" in run("rootedge", "ca", "show", number, "--ca", it.folder / "factory.pem", "--journal", it.journal, check=False).stderr
    assert "no --ca beside it" in it.revoke("dev-2", "--all", "--ca", it.folder / "other.pem", check=False).stderr
    assert "CN=twin-1" in it.revoke(number, "--ca", it.folder / "other.pem").stdout
    rows = [json.loads(line) for line in run("rootedge", "ca", "revoked", "--journal", it.journal, "--json").stdout.splitlines()]
    assert [r["issuer"] for r in rows if r["serial"] == number.upper()] == [digest(it.folder / "other.pem")]
    assert len(rows) > 100000, "all of them are listed"
    it.folder.__exit__()


run_all()
