#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registration authority: our EST server judges who asks and for what, and another one signs.  Once with our own as the other one, where all goes well, once with one of foreign make that
lies, breaks, and takes its time."""
import base64, os, signal, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_client import *
import est_server

CORP = """
[issuer.corp]
certificate = "corp.pem"
key = "corp.key"
root = "root.pem"

[[label]]
name = "devices"
profile = "device"
days = 20
bootstrap = "authorities.pem"
bootstrap_may = ["dev-*"]

[[label]]
name = "vetted"
profile = "device"
bootstrap = "authorities.pem"
bootstrap_may = ["dev-*"]
approval = "manual"

[[label]]
name = "edge"
profile = "edge-ca"
path_length = 1
bootstrap = "authorities.pem"
bootstrap_may = ["*"]
"""
OURS = """
[issuer.corp]
certificate = "corp.pem"
root = "root.pem"

[issuer.corp.upstream]
url = "https://corp.test:%(port)d/.well-known/est/devices"
connect_to = "127.0.0.1"
ca = "root.pem"
certificate = "ra.pem"
key = "ra.key"

[issuer.vetted]
certificate = "corp.pem"
root = "root.pem"
upstream = { url = "https://corp.test:%(port)d/.well-known/est/vetted", connect_to = "127.0.0.1", ca = "root.pem", certificate = "ra.pem", key = "ra.key" }

[issuer.edge]
certificate = "corp.pem"
root = "root.pem"
upstream = { url = "https://corp.test:%(port)d/.well-known/est/edge", connect_to = "127.0.0.1", ca = "root.pem", certificate = "ra.pem", key = "ra.key" }

[issuer.foreign]
certificate = "EST root.pem"
upstream = { url = "%(foreign)s", ca = "EST TLS root.pem", user = "est", password_file = "password" }

[[label]]
name = "devices"
profile = "device"
issuer = "corp"
passwords = true

[[label]]
name = "vetted"
profile = "device"
issuer = "vetted"
passwords = true

[[label]]
name = "edge"
profile = "edge-ca"
issuer = "edge"
path_length = 0
passwords = true

[[label]]
name = "keys"
profile = "device"
issuer = "corp"
server_keys = "ec-p256"
passwords = true

[[label]]
name = "asked"
profile = "device"
issuer = "corp"
approval = "manual"
passwords = true

[[label]]
name = "foreign"
profile = "device"
issuer = "foreign"
passwords = true
"""
folder = pki = corp = est = foreign = None


class Est(Service):
    def __init__(self, name, server, port=0, **kw):
        self.state = folder / (name + "-state")
        super().__init__(folder, name, "--config", folder / (name + ".toml"), "--state", self.state, "--address", "127.0.0.1", "--port", port, "--cert", folder / (server + ".pem"), "--key",
                         folder / (server + ".key"), program=[ROOTEDGE, "est"], **kw)

    def journal(self):
        return [json.loads(line) for line in run("rootedge", "ca", "issued", "--journal", os.path.join(self.state, "issued.db"), "--json").stdout.splitlines()]

    def verb(self, *words, **kw):
        return run("rootedge", "est", words[0], "--state", self.state, *words[1:], **kw)


def client():
    return EstClient(folder, pki.root, est.ready["port"])


def enroll(*args, user="line:secret", **kw):
    return client().enroll(*args, user=user, **kw)


def one_time(name):
    return ":" + est.verb("one-time", name).stdout.strip()


def write(name, text):
    with open(folder / name, "w") as f:
        f.write(text)


def test_00_start():
    """a server with the CA, one of foreign make, and ours before them, which has no CA's key"""
    global folder, pki, corp, est, foreign
    folder = Folder()
    pki = Pki(folder)
    pki.make("server", "corp.test", file="corp-server")
    pki.make("server", "est.test", file="server")
    pki.make("intermediate", "corp CA", file="corp")
    run("rootedge", "cert", "root", "--name", "authorities", "--out", folder / "authorities.pem", "--key-out", folder / "authorities.key")
    pki.make("device", "plant 7", issuer="authorities", file="ra")
    foreign = est_server.EstServer(folder)
    write("password", "s3cret\n")
    write("corp.toml", CORP)
    corp = Est("corp", "corp-server")
    write("est.toml", OURS % {"port": corp.ready["port"], "foreign": foreign.url})
    est = Est("est", "server")
    est.verb("user", "line", "--may", "dev-*", "--may", "edge-*", input="secret\n")


def test_01_issued():
    """what our rules allow is signed upstream, for the registration authority, and stands in both journals; the same request again is answered here; a renewal goes the same way"""
    csr = make_csr("dev-1", client().make_key("dev-1"))
    first = enroll("", "devices", csr=csr)
    cert = client().keep(first, "dev-1", folder / "dev-1.key")
    openssl("verify", "-CAfile", pki.root, "-untrusted", folder / "corp.pem", "-purpose", "sslclient", cert[0])
    assert enroll("", "devices", csr=csr).body == first.body and len(corp.journal()) == len(est.journal()) == 1
    assert corp.journal()[0]["certificate"] == est.journal()[0]["certificate"]
    assert len(client().curl("/devices/cacerts").certs()) == 2
    new = enroll("dev-1", "devices", "simplereenroll", user=None, cert=cert, key=client().make_key("dev-1-new"))
    client().keep(new, "dev-1-new")
    assert len(est.journal()) == 2 and "is renewed" in est.log_text()
    answer = enroll("dev-2", "keys", "serverkeygen")
    assert answer.status == 200 and answer.type.startswith("multipart/mixed") and len(corp.journal()) == 3


def test_02_refused_here():
    """what our rules refuse goes nowhere"""
    n = len(corp.journal())
    refused(enroll("pump", "devices"), 403, "pump")
    refused(enroll("dev-3", "devices", user="line:wrong"), 401)
    refused(enroll("", "devices", csr=make_csr("dev-3", client().make_key("dev-3"), "-addext", "basicConstraints=critical,CA:TRUE")), 403, "CSR_ASKS_CA")
    refused(enroll("", "devices", csr=b"rubbish"), 400)
    for args in (dict(subject="/O=system:masters/CN=dev-3"), dict(subject="/O=system:masters+CN=dev-3"), dict(eku="clientAuth,serverAuth"), dict(eku="anyExtendedKeyUsage"), dict(ext="1.2.3.4=ASN1:NULL"),
                 dict(ext="certificatePolicies=1.2.3.4")):
        wish = ["-addext", "extendedKeyUsage=" + args["eku"]] if "eku" in args else ["-addext", args["ext"]] if "ext" in args else ["-multivalue-rdn"]
        csr = make_csr("dev-3", client().make_key("dev-3"), *wish, subject=args.get("subject"))
        refused(enroll("", "devices", csr=csr), 403, "CSR_ASKS_MORE")
        refused(enroll("", "keys", "serverkeygen", csr=csr), 403, "CSR_ASKS_MORE")
        refused(enroll("", "asked", csr=csr), 403, "CSR_ASKS_MORE")
    assert est.verb("pending", "--json").stdout == "", "nobody is asked to approve what can't be issued"
    refused(enroll("dev-3", "asked"), 202)
    assert [json.loads(line)["for"] for line in est.verb("pending", "--json").stdout.splitlines()] == ["dev-3"]
    assert len(corp.journal()) == n and len(est.journal()) == n
    assert enroll("", "devices", csr=make_csr("dev-3", client().make_key("dev-3"), "-addext", "keyUsage=digitalSignature", "-addext", "extendedKeyUsage=clientAuth", "-addext", "basicConstraints=CA:FALSE")).status == 200


def test_03_refused_there():
    """what the CA refuses is 502 with its reason, and its own words are in our log"""
    refused(enroll("edge-1", "devices"), 502, "EST_UPSTREAM_REFUSED")
    assert "answers simpleenroll with status 403" in est.log_text()


def test_04_pending():
    """202 with Retry-After while somebody decides there; no one-time password is spent for that, and the same request then gets its certificate, once"""
    password, csr, n = one_time("dev-4"), make_csr("dev-4", client().make_key("dev-4")), len(est.journal())
    for _ in range(2):
        answer = enroll("", "vetted", csr=csr, user=password)
        refused(answer, 202)
        assert int(answer.headers["retry-after"]) > 0
    waiting = [json.loads(line) for line in corp.verb("pending", "--json").stdout.splitlines()]
    assert [w["for"] for w in waiting] == ["dev-4"], waiting
    corp.verb("approve", waiting[0]["number"])
    assert enroll("", "vetted", csr=csr, user=password).status == 200
    refused(enroll("", "vetted", csr=csr, user=password), 401, "EST_ONE_TIME_USED")
    assert len(est.journal()) == n + 1


def test_05_at_once():
    """of eight requests with one password at the same instant one is signed, here and there"""
    password, keys, n, found = one_time("dev-5"), [client().make_key("dev-5-%d" % i) for i in range(8)], len(corp.journal()), []
    csrs = [make_csr("dev-5", k) for k in keys]
    threads = [threading.Thread(target=lambda c=c: found.append(enroll("", "devices", csr=c, user=password).status)) for c in csrs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found.count(200) == 1 and set(found) <= {200, 401, 503}, found
    assert len(corp.journal()) == n + 1


def test_06_edge_ca():
    """an Edge CA comes with no more CAs below it than our label gives: what the CA gives beyond that is given to nobody"""
    wish = "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,digitalSignature,keyCertSign"
    refused(enroll("", "edge", csr=make_csr("edge-6", client().make_key("edge-6"), *wish)), 502, "EST_UPSTREAM_OTHER")
    write("corp.toml", CORP.replace("path_length = 1", "path_length = 0"))
    os.kill(corp.process.pid, signal.SIGHUP)
    wait_for(lambda: "loaded again" in corp.log_text(), "it is loaded again")
    cert = client().keep(enroll("", "edge", csr=make_csr("edge-6", client().make_key("edge-6-new"), *wish)), "edge-6")
    assert "CA:TRUE, pathlen:0" in openssl("x509", "-in", cert[0], "-noout", "-ext", "basicConstraints").decode()


def test_07_revoked():
    """a certificate that was revoked here renews nothing here; its list is the CA's affair"""
    run("rootedge", "ca", "revoke", "dev-1", "--journal", os.path.join(est.state, "issued.db"))
    cert = folder / "dev-1-new.pem", folder / "dev-1-new.key"
    wait_for(lambda: enroll("dev-1", "devices", "simplereenroll", user=None, cert=cert, key=cert[1]).status == 403, "it is refused")
    refused(client().curl("/corp.crl", base="/crl"), 404)


def test_08_foreign():
    """a server of foreign make, by user and password: its certificate passes when it is for the key, the name and by the CA that were asked for, and nothing of what it says else is believed"""
    client().keep(enroll("dev-8", "foreign"), "dev-8")
    n = len(est.journal())
    for lie, status, reason in (("other_key", 502, "EST_UPSTREAM_OTHER"), ("other_name", 502, "EST_UPSTREAM_OTHER"), ("stranger", 502, "EST_UPSTREAM_OTHER"), ("more_names", 502, "CERT_MORE_NAMES"),
                                ("more_uses", 502, "CERT_MORE_USES"), ("all_uses", 502, "CERT_MORE_USES"), ("html", 502, "EST_UPSTREAM_REFUSED"),
                                ("garbage", 502, "EST_UPSTREAM_REFUSED"), ("unauthorized", 502, "EST_UPSTREAM_REFUSED"), ("forbidden", 502, "EST_UPSTREAM_REFUSED"),
                                ("redirect", 502, "EST_UPSTREAM_REFUSED"), ("busy", 503, "EST_UPSTREAM_AWAY"), ("huge", 503, "EST_UPSTREAM_AWAY"), ("cut", 503, "EST_UPSTREAM_AWAY")):
        foreign.lie = lie
        answer = enroll("dev-8-" + lie, "foreign")
        refused(answer, status, reason)
        assert status != 503 or int(answer.headers["retry-after"]) > 0
    foreign.lie, foreign.retry_after = "pending", 17
    answer = enroll("dev-8-later", "foreign")
    assert answer.status == 202 and answer.headers["retry-after"] == "17", answer.headers
    foreign.approved = True
    client().keep(enroll("dev-8-later", "foreign"), "dev-8-later")
    assert len(est.journal()) == n + 1 and "s3cret" not in est.log_text() and "\x1b" not in est.log_text()
    foreign.lie = None


def test_09_slow():
    """while the CA takes its time, others are served: a request for the same name is told that one is on its way; one that is stopped is over"""
    foreign.lie, found = "slow", []
    waiting = [threading.Thread(target=lambda: found.append(enroll("dev-9", "foreign").status), daemon=True)]
    waiting[0].start()
    wait_for(lambda: any(b"dev-9" in base64.b64decode(r.csr) for r in foreign.requests), "it is on its way")
    refused(enroll("dev-9", "foreign", key=client().make_key("dev-9-b")), 503, "EST_ON_ITS_WAY")
    assert enroll("dev-10", "devices").status == 200
    foreign.stop()
    waiting[0].join(60 * SLOW)
    assert found == [503], found


def test_10_away():
    """while the CA's server is down: 503 with Retry-After, and no password spent; back it signs"""
    global corp
    password, port = one_time("dev-11"), corp.ready["port"]
    corp.kill9()
    answer = enroll("dev-11", "devices", user=password)
    refused(answer, 503, "EST_UPSTREAM_AWAY")
    assert int(answer.headers["retry-after"]) > 0
    corp = Est("corp", "corp-server", port)
    assert enroll("dev-11", "devices", user=password).status == 200


def test_11_configuration():
    """what is missing or contradicts itself is said at the start, with its line"""
    good = OURS % {"port": 1, "foreign": "https://foreign.test/"}
    for old, new, words in (('url = "https://corp', 'url = "http://corp', "https://"), ('certificate = "ra.pem"\nkey = "ra.key"\n\n', "\n", "who we are there"), ('key = "ra.key"\n', "", "go together"),
                            ('ca = "root.pem"\ncert', 'cert', "ca"), ('root = "root.pem"\n\n[issuer.corp.up', 'root = "root.pem"\nkey = "corp.key"\n\n[issuer.corp.up', "either key"),
                            ('root = "root.pem"\n\n[issuer.corp.up', 'root = "root.pem"\ncrl_url = "http://x/"\n\n[issuer.corp.up', "upstream"), ('key = "ra.key"\n\n', 'key = "server.key"\n\n', "does not belong")):
        assert old in good, old
        write("wrong.toml", good.replace(old, new, 1))
        done = run("rootedge", "est", "--config", folder / "wrong.toml", "--state", folder / "wrong-state", "--port", 0, "--cert", folder / "server.pem", "--key", folder / "server.key", check=False)
        assert done.returncode == 1 and words in done.stderr and "wrong.toml" in done.stderr, (new, done.stderr)


def test_99_stop():
    """both end in order"""
    assert est.stop() == 0 and corp.stop() == 0
    folder.__exit__()


run_all()
