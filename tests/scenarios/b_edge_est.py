#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""keyd and certd with an EST server that is not ours: every form in which servers answer, the way from the bootstrap certificate to the wanted one, and a server that is down, slow,
lying or hostile, through which nothing that is good is lost."""
import calendar, email.utils, http.client, json, os, re, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_server import EstServer, openssl

V = "?api-version=2020-09-01"
ME = os.getuid()
folder = Folder()
est = EstServer(folder)
boot_pem, boot_key = est.bootstrap_ca.leaf("bootstrap", "/CN=bootstrap of EdgeGateway", ["extendedKeyUsage=clientAuth"])
certd_sock, clock = folder / "certd.sock", folder / "clock"
BOOTSTRAPPED = {"identity_cert": "est-id", "identity_pk": "est-id", "bootstrap_identity_cert": "est-bootstrap-id", "bootstrap_identity_pk": "est-bootstrap-id"}
BASIC = {"username": "est", "password": "s3cret"}
IDS = {
    "aziot-edged-ca": {"method": "est", "url": est.url + "/edgeca", "auth": BASIC},
    "device-id": {"method": "est"},
    "basic": {"method": "est", "auth": BASIC},
    "other-basic": {"method": "est", "auth": BASIC},
    "wrong-password": {"method": "est", "auth": BASIC | {"password": "not this"}},
    "distrusting": {"method": "est", "auth": BASIC, "trusted_certs": ["stranger"]},
    "no-bootstrap": {"method": "est", "auth": {"identity_cert": "est-id-none", "identity_pk": "est-id-none"}},
    "by-file": {"method": "est", "auth": {"identity_cert": "est-bootstrap-id", "identity_pk": "est-bootstrap-id"}},
    "local-ca": {"method": "est", "auth": BASIC, "subject": {"CN": "Contoso local CA", "O": "Contoso"}},
    "by-local": {"method": "local_ca"},
    "held": {"method": "est", "url": est.url + "/held", "auth": BASIC},
    "misnamed": {"method": "est", "url": est.url.replace("127.0.0.1", "localhost"), "auth": BASIC},
    "plain-http": {"method": "est", "url": est.url.replace("https:", "http:"), "auth": BASIC},
}


def write(name, text):
    with open(folder / name, "w") as f:
        f.write(text)
    return folder / name


def set_clock(ahead):
    """The services' clock goes so many seconds before ours."""
    write("clock.new", "%d\n" % ahead)
    os.rename(folder / "clock.new", clock)
    if certd and certd.process.poll() is None:
        wait_for(lambda: abs(certd_time() - time.time() - ahead) < 60, "the clock being set")


def certd_time():
    """As the log has it, of a line that is written now."""
    stored("absent")
    stamp = re.findall(r'"time":"([0-9T:-]+)', certd.log_text())[-1]
    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S"))


certd = None
set_clock(0)
write("keyd.json", json.dumps({
    "dir": folder / "keys", "preloaded_keys": {"est-bootstrap-id": boot_key}, "principals": [{"name": "certd", "uid": ME, "ids": ["est-*", "local-ca"]}],
    "sockets": [{"path": folder / "keyd-certd.sock", "principal": "certd"}]}))
write("certd.json", json.dumps({
    "dir": folder / "certs", "socket": certd_sock, "keyd": folder / "keyd-certd.sock",
    "preloaded_certs": {"est-bootstrap-id": boot_pem, "est-server-ca-1": est.tls_root.pem, "stranger": est.stranger.pem},
    "cert_issuance": {"est": {"urls": {"default": est.url}, "auth": BOOTSTRAPPED, "trusted_certs": ["est-server-ca-1"]}} | IDS,
    "principals": [{"name": "me", "uid": ME, "ids": ["*"]}], "max_requests": 64}))
ENV = {"ROOTEDGE_CLOCK_FILE": clock}
keyd = Service(folder, "keyd", "--config", folder / "keyd.json", env=ENV)
certd = Service(folder, "certd", "--config", folder / "certd.json", env=ENV)


def ask(method, path, body=None):
    status, _, answer = unix_http(certd_sock, method, path + V, body)
    return status, answer


def looked():
    """Until certd has looked after its identities by the time that it is now."""
    with open(clock) as f:
        now = time.strftime("%Y-%m-%d", time.gmtime(time.time() + int(f.read())))
    wait_for(lambda: all((r["checked"] or "").startswith(now) for r in ask("GET", "/renewals")[1]["renewals"]), "a look at the identities", 20)


def csr(cn="EdgeGateway", ca=False, key=None):
    extra = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign", "-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"] if ca else []
    source = ["-key", key] if key else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "leaf.key"]
    return openssl("req", "-new", "-subj", "/O=Contoso/CN=" + cn, *source, *extra).decode()


def create(id, request=None):
    return ask("POST", "/certificates", {"certId": id, "csr": request or csr()})


def issued(id, request=None):
    status, answer = create(id, request)
    assert status == 201, (status, answer, certd.log_text()[-2000:])
    return certificates(answer["pem"])


def refused(id, *words, request=None):
    """500 with the cause, and what was there before is still there."""
    before, log = stored(id), len(certd.log_text())
    status, answer = create(id, request)
    assert status == 500 and answer["message"].startswith("internal error\ncaused by: "), (status, answer)
    said = answer["message"] + certd.log_text()[log:]
    for word in words:
        assert word in said, (word, said)
    assert stored(id) == before
    return said


def certificates(pem):
    return ["-----BEGIN CERTIFICATE-----" + p for p in pem.split("-----BEGIN CERTIFICATE-----")[1:]]


def stored(id):
    return ask("GET", "/certificates/" + id)


def text_of(pem):
    return openssl("x509", "-noout", "-text", input=pem.encode()).decode()


def asked():
    """Since the last look: what the server was asked."""
    found, est.requests[:] = list(est.requests), []
    return found


def enrolments():
    return [(r.operation, r.cn) for r in asked() if r.operation.startswith("simple")]


def test_01_basic():
    """basic authentication: the certificate, then the CA's; the body is base64 in lines of 64 that ends in one"""
    asked()
    chain = issued("basic")
    assert len(chain) == 2 and "CN = EdgeGateway" in text_of(chain[0]) and "CN = EST root" in text_of(chain[1])
    cas, enroll = asked()
    assert (cas.operation, enroll.operation, enroll.user, enroll.cn, enroll.label) == ("cacerts", "simpleenroll", "est", None, None)
    lines = enroll.csr.decode().split("\n")
    assert lines[-1] == "" and all(len(line) == 64 for line in lines[:-2]) and len(lines[-2]) <= 64
    assert stored("basic")[0] == 200


def test_02_edge_ca():
    """an Edge CA with an own URL and label: CA:TRUE was asked for and is there"""
    chain = issued("aziot-edged-ca", csr("aziot-edge CA EdgeGateway", ca=True))
    assert "CA:TRUE, pathlen:0" in text_of(chain[0])
    assert {r.label for r in asked()} == {"edgeca"}


def test_03_forms():
    """bodies in lines, in one line, with white space anywhere, as DER and as PEM; the order of certificates does not matter"""
    for form in ("one_line", "crlf", "spaces", "der", "pem", "lines"):
        est.form = form
        chain = issued("basic")
        assert len(chain) == 2 and "CN = EdgeGateway" in text_of(chain[0]), form
    asked()


def test_04_bootstrap():
    """from the bootstrap certificate to an EST identity of the same subject, and with that to the wanted certificate"""
    chain = issued("device-id")
    assert "CN = EdgeGateway" in text_of(chain[0])
    assert enrolments() == [("simpleenroll", ("bootstrap of EdgeGateway", "Factory root")), ("simpleenroll", ("EdgeGateway", "EST root"))]
    identity = text_of(certificates(stored("est-id")[1]["pem"])[0])
    assert "O = Contoso, CN = EdgeGateway" in identity and "prime256v1" in identity and "Client Authentication" in identity
    issued("device-id")
    assert enrolments() == [("simpleenroll", ("EdgeGateway", "EST root"))], "the identity is there"


def test_05_lies():
    """what was not asked for is not installed, with its reason; the old certificate stays"""
    for lie, word in (("other_key", "KEY_MISMATCH"), ("other_name", "NAME_MISMATCH"), ("stranger", "TRUST_"), ("chain_40", "more than 32 certificates"), ("chain_200", "larger than what is accepted"), ("huge", "larger than what is accepted"),
                      ("html", "text/html"), ("garbage", "not a CMS message"), ("cut", "ends too early"), ("redirect", "status 302"), ("busy", "status 503"), ("forbidden", "status 403: not you")):
        est.lie = lie
        refused("basic", word)
    asked()
    for lie, word in (("cas_html", "text/html"), ("cas_garbage", "not a CMS message"), ("cas_huge", "larger than what is accepted"), ("cas_busy", "answers cacerts with status 503"), ("cas_leaf", "TRUST_UNKNOWN_ISSUER")):
        est.lie = lie
        refused("basic", word)
    assert [r.operation for r in asked() if r.operation == "simpleenroll"] == ["simpleenroll"], "a server that can't say what it issues under is not asked"
    est.lie = None
    set_clock(400 * 86400)
    refused("basic", "CERT_EXPIRED")
    set_clock(0)
    est.lie = "no_ca"
    refused("aziot-edged-ca", "CERT_NOT_CA", request=csr("aziot-edge CA EdgeGateway", ca=True))
    est.lie = None
    assert "\x1b" not in certd.log_text() and "s3cret" not in certd.log_text()
    issued("basic")
    asked()


def test_06_refusals():
    """a wrong password, a server that is not trusted, an identity that is nowhere, plain HTTP: refused with the cause in words"""
    refused("wrong-password", "status 401")
    refused("distrusting", "TRUST_UNKNOWN_ISSUER")
    refused("misnamed", "NAME_MISMATCH")
    refused("no-bootstrap", "EST bootstrap identity is not configured")
    refused("plain-http", "https:// was expected")
    assert "not this" not in certd.log_text()
    assert [r.operation for r in asked() if r.operation != "cacerts"] == ["simpleenroll", "csrattrs"], "a server that is not trusted was asked nothing"


def test_07_by_file():
    """an identity from a file is used as it is"""
    issued("by-file")
    assert enrolments() == [("simpleenroll", ("bootstrap of EdgeGateway", "Factory root"))]


def test_08_pending():
    """202: asked again with the same request and not before its time, whoever asks and after a restart too; once it is approved, the certificate comes"""
    est.lie, est.approved, est.retry_after = "pending", False, 300
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / "pending.key")
    refused("basic", "asks to come back in 300 s", request=csr(key=folder / "pending.key"))
    first = [r.csr for r in asked() if r.operation == "simpleenroll"]
    est.approved = True
    refused("basic", "is asked again in ", request=csr(key=folder / "pending.key"))
    assert asked() == [], "too early"
    est.approved, est.retry_after = False, email.utils.formatdate(time.time() + 7200, usegmt=True)
    said = refused("other-basic", "asks to come back in ")
    assert 7100 < int(re.search("come back in ([0-9]+) s", said)[1]) < 7300, said
    asked()
    est.approved = True
    certd.stop()
    certd.start()
    set_clock(301)
    chain = issued("basic", csr(key=folder / "pending.key"))
    assert [r.csr for r in asked() if r.operation == "simpleenroll"] == first
    assert openssl("pkey", "-in", folder / "pending.key", "-pubout") == openssl("x509", "-noout", "-pubkey", input=chain[0].encode())
    est.lie = None
    issued("other-basic")
    asked()
    issued("basic")
    assert [r.csr for r in asked() if r.operation == "simpleenroll"] != first, "it is forgotten"
    assert not [f for f in os.listdir(folder / "certs") if f.endswith(".pending")]


def test_09_renewal():
    """four fifths into its life the identity renews itself, by itself, with another key; a server without simplereenroll is asked by simpleenroll"""
    old = stored("est-id")
    est.days = 700
    est.no_operation = {"simplereenroll"}
    set_clock(300 * 86400)
    looked()
    new = stored("est-id")
    issued("device-id")
    assert enrolments() == [("simpleenroll", ("EdgeGateway", "EST root"))] * 2
    assert new != old and openssl("x509", "-noout", "-pubkey", input=new[1]["pem"].encode()) != openssl("x509", "-noout", "-pubkey", input=old[1]["pem"].encode())
    est.no_operation = set()
    est.days = 1100
    set_clock(600 * 86400)
    looked()
    issued("device-id")
    assert enrolments() == [("simplereenroll", ("EdgeGateway", "EST root")), ("simpleenroll", ("EdgeGateway", "EST root"))]
    set_clock(700 * 86400)


def renewal():
    return next(r for r in ask("GET", "/renewals")[1]["renewals"] if r["id"] == "est-id")


def test_10_renewal_fails():
    """a server that is lying or down while the identity is due: the identity that is good goes on, and log and status have the next attempt"""
    old = stored("est-id")
    est.lie = "other_key"
    set_clock(1000 * 86400)
    looked()
    failed = renewal()
    assert failed["status"] in ("due", "late") and failed["attempts"] == 1 and "KEY_MISMATCH" in failed["last_error"] and failed["next_attempt"] > failed["checked"], failed
    assert "and it can't be renewed (attempt 1, the next at" in certd.log_text()
    refused("device-id", "KEY_MISMATCH")
    est.lie = None
    est.stop()
    refused("device-id")
    est.start()
    assert stored("est-id") == old
    est.days = 2000
    issued("device-id")
    assert stored("est-id") == old, "it is not the time for the next attempt"
    set_clock(1090 * 86400)
    looked()
    assert stored("est-id") != old and renewal()["attempts"] == 0 and renewal()["status"] == "good", renewal()
    asked()


def test_11_expired():
    """an identity that ended while the device was off comes back by the bootstrap certificate, without a person; so does one that the server no longer takes"""
    certd.stop()
    set_clock(3000 * 86400)
    est.days = 4000
    certd.start()
    wait_for(lambda: "was issued by its bootstrap identity" in certd.log_text()[-3000:], "the keeper's work", 20)
    assert enrolments()[0] == ("simpleenroll", ("bootstrap of EdgeGateway", "Factory root"))
    est.refused = {int(openssl("x509", "-noout", "-serial", input=stored("est-id")[1]["pem"].encode()).decode().split("=")[1], 16)}
    issued("device-id")
    assert [cn for _, cn in enrolments()] == [("EdgeGateway", "EST root"), ("bootstrap of EdgeGateway", "Factory root"), ("EdgeGateway", "EST root")]
    est.refused = set()
    set_clock(0)


def test_12_killed():
    """kill -9 at any time of an identity's enrolment leaves one that works: what is there afterwards belongs together, or is made again"""
    for delay in (0, 0.02, 0.05, 0.1, 0.2, 0.4):
        ask("DELETE", "/certificates/est-id")
        thread = threading.Thread(target=lambda: attempt("device-id"))
        thread.start()
        seen = len(est.requests)
        wait_for(lambda: len(est.requests) > seen, "the server being asked", 20)
        thread.join(delay)
        certd.kill9()
        thread.join()
        certd.start()
        issued("device-id")


def attempt(id):
    try:
        create(id)
    except (OSError, EOFError, http.client.HTTPException):
        pass  # it was killed


def test_13_slow():
    """a server that does not answer holds up nobody else: another id is issued at once, and of many requests only some wait; who waits with the same request gets the same certificate"""
    est.held, answers, same = {"held"}, [], csr()
    asked()

    def same_for_all():
        answers.append(create("held", same))
    threads = [threading.Thread(target=same_for_all) for _ in range(6)]
    for t in threads:
        t.start()
    wait_for(lambda: est.waiting == 1, "the server being asked", 20)
    start = time.monotonic()
    issued("device-id")
    threads += [threading.Thread(target=attempt, args=("held",)) for _ in range(6)]
    for t in threads[6:]:
        t.start()
    wait_for(lambda: "requests to EST servers are under way" in certd.log_text(), "the ceiling", 20)
    assert stored("device-id")[0] == 200 and time.monotonic() - start < 10 * SLOW
    est.held = set()
    est.go.set()
    for t in threads:
        t.join()
    assert len({json.dumps(a) for a in answers}) == 1 and answers[0][0] == 201, answers
    n = len([r for r in asked() if r.operation == "simpleenroll" and r.label == "held"])
    assert n <= 3, "of the same wish one was made, and two more fit under the ceiling, not %d" % n


def test_13b_stop():
    """nor does it hold up the end"""
    est.held, est.waiting = {"held"}, 0
    est.go.clear()
    thread = threading.Thread(target=attempt, args=("held",))
    thread.start()
    wait_for(lambda: est.waiting == 1, "the server being asked", 20)
    assert certd.stop() == 0
    est.go.set()
    est.held = set()
    thread.join()
    certd.start()
    issued("basic")


def test_14_attributes():
    """csrattrs are honoured where the key is ours: an EC P-384 key, and SHA-384"""
    est.attributes = "MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJBgcrBgEBAQEWBggqhkjOPQQDAw==\n"
    ask("DELETE", "/certificates/est-id")
    issued("device-id")
    assert "secp384r1" in text_of(certificates(stored("est-id")[1]["pem"])[0])
    requests = [openssl("req", "-noout", "-text", input=b"-----BEGIN CERTIFICATE REQUEST-----\n" + r.csr + b"-----END CERTIFICATE REQUEST-----\n").decode() for r in asked() if r.operation == "simpleenroll"]
    assert "ecdsa-with-SHA384" in requests[-2], requests[-2]


def test_14b_crooked_attributes():
    """csrattrs that can't be read, or are too large, are said and overlooked"""
    for attributes, word in (("!!!!", "can't be read"), ("QUFB" * 100000, "larger than what is accepted"), ("MAA=\n", "")):
        est.attributes = attributes
        ask("DELETE", "/certificates/est-id")
        before = len(certd.log_text())
        issued("device-id")
        assert word in certd.log_text()[before:], (word, certd.log_text()[before:])
    est.attributes = None
    asked()


def test_15_linking():
    """a server that wishes requests to say which TLS session they are made for gets that of certd's own, and the caller hears why one made elsewhere is refused"""
    est.link(True)
    ask("DELETE", "/certificates/est-id")
    refused("device-id", "the server wishes requests that say which TLS session they are made for", "not of this session")
    assert enrolments() == [("simpleenroll", ("bootstrap of EdgeGateway", "Factory root")), ("simpleenroll", ("EdgeGateway", "EST root"))]
    assert "CN = EdgeGateway" in text_of(certificates(stored("est-id")[1]["pem"])[0])
    est.link(False)
    issued("device-id")


def test_16_local_ca():
    """a CA on this box that is issued by EST itself: made when it is first needed, judged as a CA, and renewed with the same key, so that what it issued stays good"""
    est.days, est.lie = 365, "no_ca"
    said = refused("by-local", "the local CA", "CERT_NOT_CA", request=csr("line-1"))
    assert stored("local-ca")[0] == 400, said
    est.lie = None
    asked()
    first = issued("by-local", csr("line-1"))
    issued("by-local", csr("line-2"))
    assert [r.operation for r in asked() if r.operation == "simpleenroll"] == ["simpleenroll"], "it is made once"
    assert "Subject: CN = Contoso local CA, O = Contoso" in text_of(first[1]) and "CA:TRUE" in text_of(first[1]) and "CN = EST root" in text_of(first[2])
    old = stored("local-ca")
    est.days = 700
    set_clock(300 * 86400)
    wait_for(lambda: stored("local-ca") != old, "the renewal", 30)
    write("leaf.pem", first[0])
    write("new-ca.pem", certificates(stored("local-ca")[1]["pem"])[0])
    openssl("verify", "-no_check_time", "-CAfile", est.ca.pem, "-untrusted", folder / "new-ca.pem", folder / "leaf.pem")
    set_clock(0)


def test_99_stop():
    """both stop in order"""
    assert certd.stop() == 0 and keyd.stop() == 0
    est.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
