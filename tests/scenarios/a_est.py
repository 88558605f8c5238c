#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The EST server, driven as foreign clients do it: curl asks, openssl makes the requests and reads the answers.  One test a row of what RFC 7030 and RFC 8951 demand of a server."""
import base64, os, re, signal, ssl, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_client import *

folder = pki = est = None
CONFIG = """
[issuer.plant]
certificate = "plant.pem"
key = "plant.key"
root = "root.pem"

[issuer.other]
certificate = "other.pem"
key = "other.key"
rollover = "root.pem"

[[label]]
profile = "device"
issuer = "plant"
days = 20
passwords = true

[[label]]
name = "devices"
profile = "device"
issuer = "plant"
keys = ["ec-p384", "ec-p256"]
bootstrap = "factory.pem"
bootstrap_may = ["dev-*"]
expired_days = 10

[[label]]
name = "servers"
profile = "server"
issuer = "plant"
days = 10
may = ["{id}", "{id}.plant.test"]
passwords = true

[[label]]
name = "edge-ca"
profile = "edge-ca"
issuer = "plant"
path_length = 0
may = ["{id}", "aziot-edge CA {id}"]

[[label]]
name = "keys"
profile = "device"
issuer = "plant"
keys = ["ec-p384", "rsa-2048"]
server_keys = "ec-p384"
passwords = true

[[label]]
name = "boot"
profile = "bootstrap"
issuer = "other"
passwords = true

[[label]]
name = "linked"
profile = "device"
issuer = "plant"
linking = "required"
passwords = true

[[label]]
name = "asked"
profile = "device"
issuer = "plant"
approval = "manual"
passwords = true

[[label]]
name = "vetted"
profile = "device"
issuer = "plant"
linking = "required"
approval = "manual"
passwords = true
"""


def at():
    return EstClient(folder, pki.root, est.ready["port"] if est else 0)


def make_key(name, *args):
    return at().make_key(name, *args)


def curl(*args, **kw):
    return at().curl(*args, **kw)


def enroll(*args, **kw):
    return at().enroll(*args, **kw)


def keep(*args, **kw):
    return at().keep(*args, **kw)


def text_of(path, *what):
    return openssl("x509", "-in", path, "-noout", *what).decode()


def verb(*words, input=None, check=True):
    return run("rootedge", "est", words[0], "--state", est.state, *words[1:], input=input, check=check)


def one_time(name, *args):
    return verb("one-time", name, *args).stdout.strip()


def journal():
    done = run("rootedge", "ca", "issued", "--journal", os.path.join(est.state, "issued.db"), "--json")
    return [json.loads(line) for line in done.stdout.splitlines()]


class Est(Service):
    def __init__(self, *args, name="est", **kw):
        self.state = folder / "est-state"
        super().__init__(folder, name, "--config", folder / "est.toml", "--state", self.state, "--address", "127.0.0.1", "--port", 0, "--cert", folder / "server.pem", "--key",
                         folder / "server.key", *args, program=[ROOTEDGE, "est"], **kw)


def write_config(text=CONFIG):
    with open(folder / "est.toml", "w") as f:
        f.write(text)


def test_00_start():
    """it starts with its configuration, and a second one is kept out of its folder"""
    global folder, pki, est
    folder = Folder()
    pki = Pki(folder)
    pki.make("server", "est.test", file="server")
    pki.make("intermediate", "plant CA", file="plant")
    for name in "other", "factory":
        run("rootedge", "cert", "root", "--name", name + " CA", "--out", folder / (name + ".pem"), "--key-out", folder / (name + ".key"))
    write_config()
    est = Est()
    done = run("rootedge", "est", *est.args, check=False)
    assert done.returncode == 1 and "in use by another process" in done.stderr, done
    verb("user", "line", "--may", "dev-*", "--may", "srv.plant.test", "--may", "www.plant.test", input="correct horse\n")
    assert json.loads(verb("users", "--json").stdout) == {"name": "line", "may": ["dev-*", "srv.plant.test", "www.plant.test"]}


def test_01_cacerts():
    """cacerts needs no client: certs-only with the CA and its root, base64 in lines of 64, at each label that of its issuer"""
    answer = curl("/cacerts")
    assert answer.status == 200 and answer.type == "application/pkcs7-mime; smime-type=certs-only", answer.headers
    assert answer.headers["content-transfer-encoding"] == "base64"
    text = answer.body.decode()
    assert text.endswith("\n") and max(map(len, text.splitlines())) == 64 and all(len(l) == 64 for l in text.splitlines()[:-1]), text
    found = answer.certs()
    with open(folder / "plant.pem") as plant, open(folder / "root.pem") as root:
        chain, top = plant.read(), root.read()
    assert len(found) == 2 and all(f in chain + top for f in found), found
    assert len(curl("/boot/cacerts").certs()) == 2  # its own root, and the one that rollover adds


def test_02_paths():
    """other paths, labels and operations are 404, another method 405, and what is not offered 501: in words"""
    refused(curl("/nothing"), 404, "operation")
    refused(curl("/nolabel/cacerts"), 404, "label")
    refused(curl("/cacerts/cacerts"), 404)
    refused(curl("/devices/devices/cacerts"), 404)
    refused(curl("", base="/"), 404)
    refused(curl("/../../../etc/passwd/cacerts", "--path-as-is"), 404)
    refused(curl("/%2e%2e%2fx/cacerts"), 404)
    refused(curl("/%00/cacerts"), 404)
    for path, method, allow in ("/cacerts", "POST", "GET"), ("/csrattrs", "DELETE", "GET"), ("/simpleenroll", "GET", "POST"), ("/devices/simplereenroll", "PUT", "POST"):
        answer = curl(path, method=method, body=b"x" if method in ("POST", "PUT") else None)
        refused(answer, 405)
        assert answer.headers["allow"] == allow, answer.headers
    for op in "fullcmc", "serverkeygen":
        refused(curl("/" + op, body=b"x"), 501)


def shake(*args):
    """Does TLS come about?"""
    done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % est.ready["port"], "-CAfile", pki.root, *args], input=b"", capture_output=True, timeout=60 * SLOW)
    return done.returncode == 0 and b"Cipher is (NONE)" not in done.stdout and b"BEGIN CERTIFICATE" in done.stdout


def test_02_tls():
    """RFC 7030 3.3, RFC 8996: TLS 1.2 and 1.3, nothing older, no suite without encryption or without a certificate; and no plain HTTP on its port"""
    assert shake("-tls1_2") and shake("-tls1_3")
    for args in ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), ("-tls1", "-cipher", "ALL:@SECLEVEL=0"), ("-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"), ("-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"):
        assert not shake(*args), args
    with socket.create_connection(("127.0.0.1", est.ready["port"])) as plain:
        plain.sendall(b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: est.test\r\n\r\n")
        plain.settimeout(20 * SLOW)
        try:
            assert b"200" not in plain.recv(4096)[:40]
        except ConnectionError:
            pass


def test_03_csrattrs():
    """csrattrs tells the keys of a label and whether it demands linking; a label that wishes nothing says 204"""
    assert curl("/csrattrs").status == 204
    answer = curl("/devices/csrattrs")
    assert answer.status == 200 and answer.type == "application/csrattrs", answer.headers
    text = openssl("asn1parse", "-inform", "DER", input=base64.b64decode(answer.body)).decode()
    assert "id-ecPublicKey" in text and "secp384r1" in text and "ecdsa-with-SHA384" in text, text
    text = openssl("asn1parse", "-inform", "DER", input=base64.b64decode(curl("/linked/csrattrs").body)).decode()
    assert "challengePassword" in text, text


def test_04_bootstrap():
    """a bootstrap certificate gets one of its label: the certificate alone, of the label's profile, lifetime and issuer, and in the journal"""
    factory = pki.make("device", "factory-key-1", issuer="factory", file="factory-1")
    answer = enroll("dev-1", "devices", cert=factory)
    assert answer.type == "application/pkcs7-mime; smime-type=certs-only"
    cert, _ = keep(answer, "dev-1")
    openssl("verify", "-CAfile", pki.root, "-untrusted", folder / "plant.pem", "-purpose", "sslclient", cert)
    assert text_of(cert, "-subject").strip().replace(" ", "") == "subject=CN=dev-1"
    entry = journal()[-1]
    assert entry["profile"] == "devices" and entry["requester"] == "dev-1", entry
    refused(enroll("pump", "devices", cert=factory), 403, "pump", "dev-*")
    refused(enroll("dev-1", cert=factory), 403)  # here it is no bootstrap certificate
    refused(enroll("dev-1", "devices", "simplereenroll", csr=make_csr("dev-1", folder / "dev-1.key"), cert=factory), 403, "EST_NOT_RENEWABLE")
    assert len(journal()) == 1


def test_05_renewal():
    """the current certificate renews itself, with its key or another one, under its own names only"""
    current = folder / "dev-1.pem", folder / "dev-1.key"
    keep(enroll("dev-1", "devices", "simplereenroll", key=folder / "dev-1.key", cert=current), "same-key", folder / "dev-1.key")
    fresh = make_key("dev-1-new")
    new = keep(enroll("dev-1", "devices", "simplereenroll", key=fresh, cert=current), "dev-1-new")
    assert journal()[-1]["requester"] == "dev-1"
    for subject in "/CN=dev-2", "/CN=dev-1/O=plant", "/CN=Dev-1":
        refused(enroll("", "devices", "simplereenroll", csr=make_csr("", fresh, subject=subject), cert=current), 403, "EST_OTHER_NAMES")
    refused(enroll("", "devices", "simplereenroll", csr=make_csr("dev-1", fresh, "-addext", "subjectAltName=DNS:dev-1"), cert=current), 403, "EST_OTHER_NAMES")
    refused(enroll("dev-1", "devices", "simplereenroll", key=fresh), 403, "EST_NO_CREDENTIALS")
    refused(enroll("dev-1", "boot", "simplereenroll", key=fresh, cert=new), 403)  # another issuer's
    # certd renews by enrolling, with its leaf alone
    keep(enroll("dev-1", "devices", key=make_key("dev-1-third"), cert=new), "dev-1-third")
    refused(enroll("dev-2", "devices", cert=new), 403, "dev-2")


def test_06_expired():
    """an expired certificate renews itself for as long as its label allows, enrolls nothing, and at a label without that nothing either"""
    keep(enroll("dev-5", user="line:correct horse"), "dev-5")
    key = make_key("late")
    days = lambda n: (folder / "clock", str(int(n * 86400)))
    try:
        est.stop()
        for n, status in (25, 200), (31, 403):
            with open(days(n)[0], "w") as f:
                f.write(days(n)[1])
            restart(env={"ROOTEDGE_CLOCK_FILE": days(n)[0]})
            if status == 200:
                answer = enroll("dev-5", "devices", "simplereenroll", key=key, cert=(folder / "dev-5.pem", folder / "dev-5.key"))
                assert answer.status == 200, answer.body
            else:
                refused(enroll("dev-5", "devices", "simplereenroll", key=make_key("later"), cert=(folder / "dev-5.pem", folder / "dev-5.key")), 403, "CERT_EXPIRED")
            refused(enroll("dev-5", "devices", key=key, cert=(folder / "dev-5.pem", folder / "dev-5.key")), 403)
            refused(enroll("dev-5", "", "simplereenroll", key=key, cert=(folder / "dev-5.pem", folder / "dev-5.key")), 403, "CERT_EXPIRED")
            est.stop()
    finally:
        # what was issued in the future is in the journal: a clock behind it issues nothing more
        restart()
    answer = enroll("dev-6", user="line:correct horse")
    refused(answer, 503, "CA_CLOCK_BEHIND")
    # the operator says that the clock is right now: at once, and for good
    clock = ("rootedge", "ca", "clock", "--journal", os.path.join(est.state, "issued.db"))
    done = run(*clock, check=False)
    assert done.returncode == 1 and "--accept" in done.stderr, done
    run(*clock, "--accept")
    keep(enroll("dev-6", user="line:correct horse"), "dev-6")
    est.stop()
    restart()
    keep(enroll("dev-6", user="line:correct horse", key=make_key("dev-6-b")), "dev-6-b")
    est.stop()
    shutil.rmtree(est.state)
    restart()
    assert "0 entries" in run(*clock).stdout
    verb("user", "line", "--may", "dev-*", "--may", "srv.plant.test", "--may", "www.plant.test", input="correct horse\n")


def restart(env=None):
    global est
    est = Est(env=env)


def test_07_passwords():
    """HTTP basic: a user's names and no others; a wrong password, an unknown user and none are 401 with a challenge"""
    keep(enroll("dev-7", user="line:correct horse"), "dev-7")
    refused(enroll("pump", user="line:correct horse"), 403, "pump")
    for user in "line:wrong", "nobody:correct horse", "line:", ":", None:
        answer = enroll("dev-7", user=user)
        refused(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Basic realm="), answer.headers
    for header in "Basic !!!", "Basic", "Bearer abc", "Basic " + base64.b64encode(b"nocolon").decode(), "Basic " + base64.b64encode(b"line\0:x").decode(), "Basic " + "A" * 6000:
        answer = curl("/simpleenroll", "-H", "Authorization: " + header, body=lines64(make_csr("dev-7", folder / "dev-7.key")))
        refused(answer, 401)
    # a label without passwords has no challenge to make, and no use for one
    answer = enroll("dev-7", "devices", user="line:correct horse")
    refused(answer, 403, "EST_NO_CREDENTIALS")
    assert "www-authenticate" not in answer.headers
    # a certificate beside a wrong password is no way around it
    refused(enroll("dev-7", cert=(folder / "dev-7.pem", folder / "dev-7.key"), user="line:wrong"), 401)
    assert "horse" not in est.log_text()
    assert verb("user-remove", "line").returncode == 0
    refused(enroll("dev-7", user="line:correct horse"), 401)
    verb("user", "line", "--may", "dev-*", "--may", "srv.plant.test", "--may", "www.plant.test", input="correct horse\n")


def test_08_one_time():
    """atk-19: a one-time password gets one certificate, whatever user is named; a bad request leaves it alone, and of many at the same instant one gets it"""
    password = one_time("dev-8")
    refused(enroll("dev-9", user=":" + password), 403, "dev-9")
    refused(enroll("dev-8", csr=b"rubbish", user=":" + password), 400)
    keep(enroll("dev-8", user=":" + password), "dev-8")
    refused(enroll("dev-8", key=make_key("dev-8-b"), user="dev-8:" + password), 401, "EST_ONE_TIME_USED", "used")
    refused(enroll("dev-8", csr=make_csr("dev-8", folder / "dev-8.key"), user=":" + password), 401, "EST_ONE_TIME_USED")
    refused(enroll("dev-8", "boot", key=folder / "dev-8.key", user=":" + one_time("dev-8", "--label", "servers")), 401, "another label")
    before, password = len(journal()), one_time("dev-10")
    keys = [make_key("race-%d" % i) for i in range(8)]
    bodies, found = [make_csr("dev-10", k) for k in keys], []
    threads = [threading.Thread(target=lambda b=b: found.append(enroll("dev-10", csr=b, user="x:" + password).status)) for b in bodies]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(found) == [200] + [401] * 7 and len(journal()) == before + 1, found
    assert password not in est.log_text()
    with open(os.path.join(est.state, "est.db"), "rb") as f:
        assert password.encode() not in f.read()


def test_09_same_request_again():
    """a request that is sent again, or several times at once, gets the same certificate: nothing is issued twice"""
    current = folder / "dev-7.pem", folder / "dev-7.key"
    csr, before, found = make_csr("dev-7", make_key("dev-7-x")), len(journal()), []
    threads = [threading.Thread(target=lambda: found.append(enroll("", "devices", "simplereenroll", csr=csr, cert=current).body)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(found)) == 1 and len(journal()) == before + 1, found
    # other requests with the same certificate at the same time are others
    csrs, found = [make_csr("dev-7", make_key("dev-7-y%d" % i)) for i in range(6)], []
    threads = [threading.Thread(target=lambda c=c: found.append(enroll("", "devices", "simplereenroll", csr=c, cert=current))) for c in csrs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [a.status for a in found] == [200] * 6 and len({a.body for a in found}) == 6 and len(journal()) == before + 7


def test_10_encodings():
    """RFC 8951: base64 on one line, with CR, blanks and tabs, as PEM or plain DER, whatever Content-Transfer-Encoding says; content types in any case, with parameters"""
    der = make_csr("dev-7", folder / "dev-7.key")
    one = base64.b64encode(der)
    pem = openssl("req", "-inform", "DER", input=der)
    for body in one, one + b"\r\n", b" \t" + one.replace(b"A", b"A \t\r\n"), lines64(der).replace(b"\n", b"\r\n"), pem, der:
        for encoding in "base64", "binary", "nonsense":
            answer = curl("/simpleenroll", "-H", "Content-Transfer-Encoding: " + encoding, body=body, user="line:correct horse")
            assert answer.status == 200, (body[:40], answer.body)
    for kind in "application/pkcs10; charset=us-ascii", "Application/PKCS10", "application/pkcs10;x=y":
        assert curl("/simpleenroll", body=one, kind=kind, user="line:correct horse").status == 200
    for kind in "application/pkcs10x", "text/plain", "application/x-www-form-urlencoded", "application/pkcs7-mime", None:
        refused(curl("/simpleenroll", body=one, kind=kind, user="line:correct horse"), 415, "application/pkcs10")


def test_11_bad_requests():
    """atk-20: what is no request, is not signed by its own key or wishes too much is refused with its reason, and stands in no journal"""
    before, key = len(journal()), folder / "dev-7.key"
    good = make_csr("dev-7", key)
    torn = good[:-1] + bytes([good[-1] ^ 1])
    rsa = make_key("rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    weak = make_key("weak", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
    cases = [
        (b"", 400, "CSR_MALFORMED"), (b"%%%%", 400, "CSR_MALFORMED"), (b"A", 400, "CSR_MALFORMED"), (base64.b64encode(good)[:-3], 400, "CSR_MALFORMED"),
        (base64.b64encode(good) + b"!", 400, "CSR_MALFORMED"), (lines64(good + b"\0"), 400, "CSR_MALFORMED"), (lines64(torn), 400, "verified"), (b"\x30\x80" * 500, 400, "CSR_MALFORMED"),
        (lines64(make_csr("dev-7", weak)), 400, "kind or size"), (lines64(make_csr("dev-7", rsa)), 400, "CSR_KEY_REFUSED"),
        (lines64(make_csr("dev-7", key, digest="-sha1")), 400, "CSR_WEAK_SIGNATURE"),
        (lines64(make_csr("pump", key)), 403, "CSR_WRONG_NAME"), (lines64(make_csr("", key, subject="/O=dev-7")), 403, "CSR_WRONG_NAME"),
        (lines64(make_csr("", key, subject="/CN=dev-7/CN=pump")), 403, "CSR_WRONG_NAME"),
        (lines64(make_csr("dev-7", key, "-addext", "basicConstraints=critical,CA:TRUE")), 403, "CSR_ASKS_CA"),
        (lines64(make_csr("dev-7", key, "-addext", "keyUsage=keyCertSign")), 403, "CSR_ASKS_CA"),
        (lines64(make_csr("dev-7", key, "-addext", "subjectAltName=DNS:hub.test")), 403, "CSR_FOREIGN_NAME"),
        (lines64(make_csr("dev-7", key, "-addext", "subjectAltName=DNS:*.plant.test")), 403, "CSR_FOREIGN_NAME"),
        (lines64(make_csr("dev-7", key, "-addext", "subjectAltName=" + ",".join("DNS:dev-%d" % n for n in range(200)))), 403, "CSR_FOREIGN_NAME"),
        (lines64(make_csr("dev-99", key)), 403, "CSR_KEY_TAKEN"),
    ]
    for body, status, reason in cases:
        refused(curl("/simpleenroll", body=body, user="line:correct horse"), status, reason)
    assert curl("/simpleenroll", body=b"A" * 1000000, user="line:correct horse").status == 413
    assert curl("/simpleenroll", body=b"A" * 65537, user="line:correct horse").status == 413
    refused(curl("/simpleenroll", body=b"A" * 60000, user="line:correct horse"), 400)
    assert len(journal()) == before
    assert curl("/cacerts").status == 200


def test_12_profiles():
    """what stands in a certificate is the label's: names of servers, rights of an Edge CA, the bootstrap's own issuer"""
    srv = keep(enroll("srv.plant.test", "servers", user="line:correct horse", csr=make_csr("srv.plant.test", make_key("srv"), "-addext", "subjectAltName=DNS:srv.plant.test,DNS:www.plant.test")),
               "srv")
    names = text_of(srv[0], "-ext", "subjectAltName,extendedKeyUsage,basicConstraints")
    assert "DNS:srv.plant.test, DNS:www.plant.test" in names and "TLS Web Server Authentication" in names and "CA:FALSE" in names, names
    device = folder / "dev-7.pem", folder / "dev-7.key"
    wish = "basicConstraints=critical,CA:TRUE,pathlen:5", "keyUsage=critical,digitalSignature,keyCertSign"
    edge = keep(enroll("", "edge-ca", cert=device, csr=make_csr("aziot-edge CA dev-7", make_key("edge"), "-addext", wish[0], "-addext", wish[1])), "edge")
    text = text_of(edge[0], "-ext", "basicConstraints,keyUsage")
    assert "CA:TRUE, pathlen:0" in text and "Certificate Sign" in text, text
    refused(enroll("aziot-edge CA dev-8", "edge-ca", cert=device, key=make_key("edge-8")), 403, "dev-8")
    # an Edge CA renews itself, and whom it vouches for is nobody here
    keep(enroll("aziot-edge CA dev-7", "edge-ca", "simplereenroll", cert=edge, key=make_key("edge-new")), "edge-new")
    forged = pki.make("device", "dev-1", issuer="edge", file="forged")
    with open(folder / "forged.pem", "a") as out, open(edge[0]) as more:
        out.write(more.read())
    refused(enroll("dev-1", "devices", cert=forged, key=make_key("forged-new")), 403)
    refused(enroll("dev-1", "devices", "simplereenroll", cert=forged, key=make_key("forged-new")), 403)
    refused(enroll("dev-7", "devices", cert=edge, key=make_key("by-edge")), 403)
    boot = keep(enroll("dev-12", "boot", user=":" + one_time("dev-12")), "boot-12")
    openssl("verify", "-CAfile", folder / "other.pem", boot[0])
    refused(enroll("dev-7", "devices", cert=pki.make("device", "*", issuer="plant", file="star")), 403, "EST_PATTERN_NAME")


def challenge_csr(name, key, value):
    with open(folder / "req.cnf", "w") as f:
        f.write("[req]\nprompt=no\ndistinguished_name=dn\nattributes=at\nstring_mask=utf8only\n[dn]\nCN=%s\n[at]\nchallengePassword=%s\n" % (name, value))
    return openssl("req", "-new", "-key", key, "-config", folder / "req.cnf", "-outform", "DER", "-sha256")


def request_bytes(csr, label):
    body = lines64(csr)
    return ("POST /.well-known/est/%s/simpleenroll HTTP/1.1\r\nHost: est.test\r\nContent-Type: application/pkcs10\r\nAuthorization: Basic %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            % (label, base64.b64encode(b"line:correct horse").decode(), len(body))).encode() + body


def linked_12(make, label="linked"):
    """On TLS 1.2, with what `make` says for this session's tls-unique."""
    context = ssl.create_default_context(cafile=pki.root)
    context.check_hostname = False
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", est.ready["port"])) as raw, context.wrap_socket(raw) as tls:
        tls.sendall(request_bytes(make(base64.b64encode(tls.get_channel_binding("tls-unique")).decode()), label))
        return int(b"".join(iter(lambda: tls.recv(65536), b"")).split()[1])


def linked_13(make, label="linked"):
    """On TLS 1.3, by openssl, which tells what the session exports."""
    with subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % est.ready["port"], "-tls1_3", "-ign_eof", "-CAfile", pki.root, "-keymatexport", "EXPORTER-Channel-Binding",
                           "-keymatexportlen", "32"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        for line in client.stdout:
            found = re.search(rb"Keying material: ([0-9A-F]+)", line)
            if found:
                break
        client.stdin.write(request_bytes(make(base64.b64encode(bytes.fromhex(found[1].decode())).decode()), label))
        client.stdin.flush()
        rest = client.stdout.read()
    return int(re.search(rb"HTTP/1.1 (\d+)", rest)[1])


def test_13_linking():
    """a challengePassword is that of its TLS session, 1.2 or 1.3, or refused, demanded or not; a label that demands it takes none without"""
    key = make_key("dev-13")
    for linked in linked_12, linked_13:
        assert linked(lambda value: challenge_csr("dev-13", key, value)) == 200, linked
        for label in "linked", "asked":
            assert linked(lambda value: challenge_csr("dev-13", key, ("B" if value[0] == "A" else "A") + value[1:]), label) == 403
            assert linked(lambda value: challenge_csr("dev-13", key, "x"), label) == 403
        assert linked(lambda value: make_csr("dev-13", key)) == 400
    assert "EST_OTHER_SESSION" in est.reasons() and "EST_NOT_LINKED" in est.reasons()


def test_13_registration_authority():
    """RFC 7030 3.7: a certificate that says cmcRA of itself has no rights by that: its request for another session's is refused as anybody's, and so is one for a name that its label does not give"""
    for part in "ra.key", "ra.csr", "ra.pem", "ra.ext":
        if os.path.exists(folder / part):
            os.unlink(folder / part)
    key = make_key("ra")
    with open(folder / "ra.ext", "w") as f:
        f.write("extendedKeyUsage=clientAuth,1.3.6.1.5.5.7.3.28\n")
    csr = openssl("req", "-new", "-key", key, "-subj", "/CN=somebody's RA")
    with open(folder / "ra.pem", "wb") as f:
        f.write(openssl("x509", "-req", "-CA", folder / "factory.pem", "-CAkey", folder / "factory.key", "-days", 30, "-set_serial", 77, "-extfile", folder / "ra.ext", input=csr))
    ra = folder / "ra.pem", key
    refused(enroll("", "devices", csr=challenge_csr("dev-13", make_key("dev-13-ra"), "AAAA"), cert=ra), 403, "EST_OTHER_SESSION")
    refused(enroll("pump", "devices", csr=make_csr("pump", make_key("pump-ra")), cert=ra), 403, "CSR_WRONG_NAME")
    assert enroll("dev-13", "devices", csr=make_csr("dev-13", make_key("dev-13-rb")), cert=ra).status == 200  # as any bootstrap certificate of that maker


def test_13_linked_and_approved():
    """a request that is linked to its session is signed anew in each; it is still the one that somebody has approved"""
    key, before = make_key("dev-13-v"), len(journal())
    assert linked_13(lambda value: challenge_csr("dev-13", key, value), "vetted") == 202
    assert linked_12(lambda value: challenge_csr("dev-13", key, value), "vetted") == 202
    waiting = [json.loads(line) for line in verb("pending", "--json").stdout.splitlines()]
    assert [w["label"] for w in waiting] == ["vetted"], waiting
    verb("approve", waiting[0]["number"])
    assert linked_13(lambda value: make_csr("dev-13", key), "vetted") == 400 and len(journal()) == before
    assert linked_12(lambda value: challenge_csr("dev-13", key, value), "vetted") == 200 and len(journal()) == before + 1


def test_14_approval():
    """202 with Retry-After until somebody has approved the request; the same request then gets its certificate, another one waits by itself; denied is 403.  The same: for the same key, names and extensions"""
    before, csr = len(journal()), make_csr("dev-14", make_key("dev-14"))
    for _ in range(2):
        answer = enroll("", "asked", csr=csr, user="line:correct horse")
        refused(answer, 202)
        assert int(answer.headers["retry-after"]) > 0
    waiting = [json.loads(line) for line in verb("pending", "--json").stdout.splitlines()]
    assert [(w["label"], w["for"], len(w["request"])) for w in waiting] == [("asked", "dev-14", 64)], waiting
    number = waiting[0]["number"]
    refused(enroll("pump", "asked", user="line:correct horse"), 403)  # nobody is asked for what is not given anyway
    assert len(verb("pending", "--json").stdout.splitlines()) == 1
    est.stop()
    restart()
    verb("approve", number)
    assert verb("approve", number, check=False).returncode == 1 and verb("deny", number, check=False).returncode == 1
    refused(enroll("dev-14", "asked", key=make_key("dev-14-b"), user="line:correct horse"), 202)  # atk-21: another request is another question
    assert len(journal()) == before
    first = enroll("", "asked", csr=csr, user="line:correct horse")
    keep(first, "dev-14")
    assert enroll("", "asked", csr=csr, user="line:correct horse").body == first.body and len(journal()) == before + 1
    other = json.loads(verb("pending", "--json").stdout)
    verb("deny", other["number"])
    refused(enroll("", "asked", csr=make_csr("dev-14", folder / "dev-14-b.key"), user="line:correct horse"), 403, "EST_NOT_APPROVED")  # EC signatures differ, and it is the same wish
    refused(enroll("", "asked", csr=make_csr("dev-14", folder / "dev-14-b.key", "-addext", "subjectAltName=DNS:dev-14"), user="line:correct horse"), 202)
    csr = make_csr("dev-15", make_key("dev-15"))
    password = one_time("dev-15")
    refused(enroll("", "asked", csr=csr, user=":" + password), 202)
    number = json.loads(verb("pending", "--json").stdout.splitlines()[-1])["number"]
    verb("deny", number)
    refused(enroll("", "asked", csr=csr, user=":" + password), 403, "EST_NOT_APPROVED")
    assert [json.loads(l)["state"] for l in verb("pending", "--all", "--json").stdout.splitlines()] == ["issued", "issued", "denied", "pending", "denied"]
    assert verb("approve", "x", check=False).returncode == 1


def parts(answer):
    """The parts of multipart/mixed, as the type and what was base64."""
    assert answer.type.startswith("multipart/mixed; boundary="), answer.headers
    found = answer.body.split(b"--" + answer.type.split("=")[1].encode())
    assert found[0] == b"" and found[-1] == b"--\r\n", found
    heads = [p.partition(b"\r\n\r\n") for p in found[1:-1]]
    return [(re.search(rb"Content-Type: ([^\r]+)", head)[1].decode(), base64.b64decode(body)) for head, _, body in heads]


def test_14_server_keys():
    """serverkeygen: a key of the label's kind beside its certificate, another one each time, and none that is to be encrypted for somebody unknown"""
    before, key = len(journal()), make_key("dev-16", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")  # whose key and signature count for nothing
    csr = make_csr("dev-16", key)
    torn = csr[:-1] + bytes([csr[-1] ^ 1])
    seen = set()
    for body in csr, csr, torn:
        answer = enroll("", "keys", "serverkeygen", csr=body, user="line:correct horse")
        assert answer.status == 200 and answer.headers["cache-control"] == "no-store", answer.body
        (kind, pkcs8), (certs, cms) = parts(answer)
        assert kind == "application/pkcs8" and certs == "application/pkcs7-mime; smime-type=certs-only"
        public = openssl("pkey", "-inform", "DER", "-pubout", input=pkcs8)
        pem = openssl("pkcs7", "-inform", "DER", "-print_certs", input=cms)
        assert pem.count(b"BEGIN CERTIFICATE") == 1 and openssl("x509", "-pubkey", "-noout", input=pem) == public
        assert b"ASN1 OID: secp384r1" in openssl("pkey", "-inform", "DER", "-text", "-noout", input=pkcs8)
        seen.add(public)
    assert len(seen) == 3 and len(journal()) == before + 3
    refused(enroll("pump", "keys", "serverkeygen", user="line:correct horse"), 403, "pump")
    refused(enroll("dev-16", "keys", "serverkeygen", csr=csr, user="line:wrong"), 401)
    refused(enroll("", "keys", "serverkeygen", csr=make_csr("dev-16", key, "-addext", "basicConstraints=critical,CA:TRUE"), user="line:correct horse"), 403, "CSR_ASKS_CA")
    refused(enroll("", "keys", "serverkeygen", csr=b"rubbish", user="line:correct horse"), 400, "CSR_MALFORMED")
    for oid in "2.37", "2.54":
        with open(folder / "req.cnf", "w") as f:
            f.write("oid_section=o\n[o]\nreader=1.2.840.113549.1.9.16.%s\n[req]\nprompt=no\ndistinguished_name=dn\nattributes=at\n[dn]\nCN=dev-16\n[at]\nreader=somebody\n" % oid)
        wish = openssl("req", "-new", "-key", key, "-config", folder / "req.cnf", "-outform", "DER", "-sha256")
        refused(enroll("", "keys", "serverkeygen", csr=wish, user="line:correct horse"), 400, "EST_NO_ENCRYPTION")
    assert len(journal()) == before + 3
    for path, _, names in os.walk(est.state):
        for name in names:
            with open(os.path.join(path, name), "rb") as f:
                assert b"PRIVATE KEY" not in f.read()


def test_15_reload():
    """SIGHUP takes a changed configuration; a wrong one is said and the old one stays"""
    write_config(CONFIG + '\n[[label]]\nname = "late"\nprofile = "device"\nissuer = "other"\n')
    os.kill(est.process.pid, signal.SIGHUP)
    wait_for(lambda: curl("/late/cacerts").status == 200, "the new label")
    write_config(CONFIG + '\n[[label]]\nname = "cacerts"\nprofile = "device"\nissuer = "other"\n')
    os.kill(est.process.pid, signal.SIGHUP)
    wait_for(lambda: "the configuration that was in use stays" in est.log_text(), "a word about it")
    assert curl("/late/cacerts").status == 200
    write_config()


def test_16_configuration():
    """what is wrong with a configuration is said with its line before anything is served"""
    label = '[[label]]\nprofile = "device"\nissuer = "plant"\n'
    issuer = CONFIG.split("[[label]]")[0]
    for text, words in [("", ["issuer"]), (issuer, ["label"]), (issuer + label.replace("device", "devise"), ["devise"]), (issuer + label.replace("plant", "plan"), ["plan"]),
                        (issuer + label + label, ["two labels"]), (issuer + label + 'name = "simpleenroll"\n', ["simpleenroll"]), (issuer + label + 'name = "a/b"\n', ["a/b"]),
                        (issuer + label + "dais = 3\n", ["dais", "days"]), (issuer + label + "days = 0\n", ["days"]), (issuer + label + 'keys = ["rsa-512"]\n', ["keys"]),
                        (issuer + label + "keys = []\n", ["keys"]), (issuer + label + 'may = [""]\n', ["may"]), (issuer + label + 'bootstrap = "none.pem"\n', ["none.pem"]),
                        (issuer + label + 'approval = "maybe"\n', ["maybe"]), (issuer + label + 'server_keys = "rsa-2048"\n', ["rsa-2048"]),
                        (issuer + label + 'server_keys = "ec-p256"\napproval = "manual"\n', ["approval"]), (issuer + label + 'linking = 1\n', ["linking"]),
                        (issuer.replace('root = "root.pem"', "") + label, ["no root"]), (issuer.replace("plant.key", "other.key") + label, ["key"]),
                        ('[[label]]\n[issuer]\nx = 1\n', ["issuer"]), ("label = 3\n" + issuer, ["label"])]:
        with open(folder / "bad.toml", "w") as f:
            f.write(text)
        args = ["--config", folder / "bad.toml", "--state", folder / "bad-state", "--cert", folder / "server.pem", "--key", folder / "server.key", "--port", 0]
        done = run("rootedge", "est", *args, check=False)
        assert done.returncode == 1 and all(w in done.stderr for w in words), (text, done)
    for left_out in "--config", "--cert", "--key":
        at = args.index(left_out)
        done = run("rootedge", "est", *args[:at], *args[at + 2:], check=False)
        assert done.returncode == 2 and left_out in done.stderr and done.stderr.count("\n") == 1, done
    assert run("rootedge", "est", "aprove", check=False).returncode == 2
    assert run("rootedge", "est", "user", "x:y", "--may", "a", "--state", folder / "bad-state", check=False, input="x\n").returncode == 1
    assert run("rootedge", "est", "user", "x", "--state", folder / "bad-state", check=False, input="x\n").returncode == 1
    assert run("rootedge", "est", "user", "x", "--may", "a", "--state", folder / "bad-state", check=False, input="").returncode == 1


def ask(*words, input=None, check=False):
    """The product's own client."""
    return run("rootedge", "est", words[0], "https://est.test:%d/.well-known/est%s" % (est.ready["port"], words[1]), *words[2:], "--ca", pki.root, "--connect-to", "127.0.0.1", input=input,
               check=check)


def test_16_own_client():
    """rootedge est ping, cacerts, enroll and reenroll: with passwords and certificates, new keys and old ones, linked to their session, waiting for somebody's word; what is refused leaves no file"""
    done = ask("ping", "/linked", check=True)
    assert "CN=plant CA" in done.stdout and "TLS session" in done.stdout, done
    assert ask("cacerts", "", check=True).stdout.count("BEGIN CERTIFICATE") == 2
    out = lambda name: (folder / (name + ".cert.pem"), folder / (name + ".key.pem"))
    files = lambda name: ("--out", out(name)[0], "--key-out", out(name)[1])
    ask("enroll", "", "dev-31", "--user", "", *files("dev-31"), input=one_time("dev-31") + "\n", check=True)
    assert os.stat(out("dev-31")[1]).st_mode & 0o777 == 0o600
    openssl("verify", "-CAfile", pki.root, "-untrusted", out("dev-31")[0], "-purpose", "sslclient", out("dev-31")[0])
    assert ask("enroll", "", "dev-31", "--user", "line", *files("dev-31"), input="correct horse\n").returncode == 1  # there is a file already
    ask("enroll", "/linked", "dev-32", "--user", "line", *files("dev-32"), input="correct horse\n", check=True)
    before = text_of(out("dev-32")[0], "-serial")
    ask("reenroll", "/devices", "--cert", out("dev-32")[0], "--key", out("dev-32")[1], check=True)
    assert text_of(out("dev-32")[0], "-serial") != before
    ask("reenroll", "/devices", "--cert", out("dev-32")[0], "--key", out("dev-32")[1], "--new-key", *files("dev-32-new"), check=True)
    assert text_of(out("dev-32-new")[0], "-pubkey") != text_of(out("dev-32")[0], "-pubkey")
    assert "secp384r1" in text_of(out("dev-32-new")[0], "-text")  # as the label wishes
    ask("enroll", "/servers", "srv.plant.test", "--user", "line", "--san", "srv.plant.test", "--san", "www.plant.test", *files("srv-31"), input="correct horse\n", check=True)
    for words, input, status, part in [(("enroll", "", "pump", "--user", "line", *files("none")), "correct horse\n", 1, "CSR_WRONG_NAME"), (("enroll", "", "dev-33", "--user", "line", *files("none")), "x\n", 1, "EST_WRONG_PASSWORD"),
                                       (("enroll", "", "dev-33", "--user", "line", *files("none")), "", 1, "password"), (("enroll", "/nowhere", "dev-33", "--user", "line", *files("none")), "correct horse\n", 1, "404"),
                                       (("enroll", "", "dev-33", "--cert", out("dev-31")[0], *files("none")), None, 1, "--key"), (("enroll", "", *files("none")), None, 2, "URL NAME"),
                                       (("reenroll", "/devices"), None, 1, "--cert"), (("reenroll", "/devices", "--cert", out("dev-32")[0], "--key", out("dev-31")[1]), None, 1, "not that of")]:
        done = ask(*words, input=input)
        assert done.returncode == status and part in done.stderr and done.stderr.count("\n") == 1, (words, done)
    assert not os.path.exists(out("none")[0]) and not os.path.exists(out("none")[1])
    done = run("rootedge", "est", "ping", "https://other.test:%d/.well-known/est" % est.ready["port"], "--ca", pki.root, "--connect-to", "127.0.0.1", check=False)
    assert done.returncode == 1 and "NAME_MISMATCH" in done.stderr, done
    assert run("rootedge", "est", "ping", "http://est.test/", "--ca", pki.root, check=False).returncode == 1
    done = ask("enroll", "/asked", "dev-34", "--user", "line", *files("none"), input="correct horse\n")
    assert done.returncode == 1 and "come back" in done.stderr, done


def test_17_kill9():
    """kill -9 among requests: what was given out stands in the journal, no one-time password has given two, and the journal is sound"""
    given = {}
    passwords = [(("kill-%d" % i), one_time("kill-%d" % i)) for i in range(24)]
    bodies = {name: lines64(make_csr(name, make_key(name))) for name, _ in passwords}

    def one(name, password):
        try:
            answer = curl("/simpleenroll", body=bodies[name], user=":" + password)
        except AssertionError:
            return  # the server was killed under it
        given.setdefault(name, []).append(answer.status)

    for round in range(3):
        threads = [threading.Thread(target=one, args=p) for p in passwords[round * 8:round * 8 + 8]]
        for t in threads:
            t.start()
        n = len(est.log_text())
        wait_for(lambda: "is issued" in est.log_text()[n:], "the first certificate of a round")
        est.kill9()
        for t in threads:
            t.join()
        restart()
    for p in passwords:
        one(*p)
        one(*p)
    issued = [e["requester"] for e in journal() if e["requester"].startswith("kill-")]
    assert len(issued) == len(set(issued)), issued
    for name, statuses in given.items():
        assert statuses.count(200) <= 1, (name, statuses)
        assert 200 not in statuses or name in issued, (name, statuses)
    assert run("rootedge", "ca", "audit", "--journal", os.path.join(est.state, "issued.db")).returncode == 0


def test_18_end():
    """it ends in order"""
    assert est.stop() == 0
    folder.__exit__()


run_all()
