#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CAs whose keys are in a PKCS #11 token (SoftHSM 2) and in a TPM (swtpm), at the EST server and in the hub: what they issue, what is said while they are away, and that nothing has to be started
again when they are back."""
import base64, glob, os, shutil, signal, ssl, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_client import *
from tokens import *

CA = ("-days", "30", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
CONFIG = """
[issuer.token]
certificate = "token.pem"
key = "%s"

[issuer.tpm]
certificate = "tpm.pem"
key = "tpm.key"

[[label]]
name = "token"
profile = "device"
issuer = "token"
passwords = true

[[label]]
name = "tpm"
profile = "device"
issuer = "tpm"
passwords = true
"""
folder = pki = hsm = tpm = est = None


class Est(Service):
    def __init__(self, **kw):
        self.state = folder / "est-state"
        super().__init__(folder, "est", "--config", folder / "est.toml", "--state", self.state, "--address", "127.0.0.1", "--port", 0, "--cert", folder / "server.pem", "--key",
                         folder / "server.key", "--pkcs11-module", hsm.module, "--tpm", tpm.tcti, program=[ROOTEDGE, "est"], env=hsm.env, **kw)


def client():
    return EstClient(folder, pki.root, est.ready["port"])


def enroll(name, label, *args, **kw):
    return client().enroll(name, label, *args, **kw)


def one_time(name):
    return ":" + run("rootedge", "est", "one-time", name, "--state", est.state).stdout.strip()


def journal():
    return [json.loads(line) for line in run("rootedge", "ca", "issued", "--journal", os.path.join(est.state, "issued.db"), "--json").stdout.splitlines()]


def serials(label):
    """What its list revokes, by openssl, which checks the CA's signature too."""
    text = openssl("crl", "-inform", "DER", "-CAfile", folder / (label + ".pem"), "-noout", "-text", input=client().curl("/%s.crl" % label, base="/crl").body).decode()
    return [line.split(":")[1].strip() for line in text.splitlines() if "Serial Number" in line]


def make_tpm_ca(name, subject):
    """A key that tpm2-openssl makes, and its certificate."""
    at = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")
    env = dict(os.environ, TPM2OPENSSL_TCTI=tpm.tcti)
    run("openssl", "genpkey", *at, "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out", folder / (name + ".key"), env=env)
    run("openssl", "req", *at, "-new", "-x509", "-key", folder / (name + ".key"), "-subj", subject, "-out", folder / (name + ".pem"), *CA, env=env)


def test_00_start():
    """an issuer has its key in a token and another one in a TPM; the token's PIN is in no log"""
    global folder, pki, hsm, tpm, est
    if not glob.glob("/usr/lib/*/ossl-modules/tpm2.so") or not shutil.which("tpm2_startup"):
        raise Skip("tpm2-tools and tpm2-openssl are not installed")
    folder = Folder()
    pki = Pki(folder)
    hsm, tpm = SoftHsm(folder, "CA"), Swtpm(folder)
    pki.make("server", "est.test", file="server")
    run("openssl", "req", "-new", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", folder / "token.key", "-subj", "/CN=token CA", "-out", folder / "token.pem", *CA)
    hsm.take_key(folder / "token.key", "plant")
    for name in "token.key", "token.key.p8":
        os.unlink(folder / name)
    run("tpm2_startup", "-c", env=dict(os.environ, TPM2TOOLS_TCTI=tpm.tcti))
    make_tpm_ca("tpm", "/CN=tpm CA")
    with open(folder / "est.toml", "w") as f:
        f.write(CONFIG % hsm.uri("plant"))
    est = Est()


def test_01_issued():
    """both issue, sign their lists and answer OCSP"""
    for label in "token", "tpm":
        cert, _ = client().keep(enroll("dev-" + label, label, user=one_time("dev-" + label)), "dev-" + label)
        openssl("verify", "-CAfile", folder / (label + ".pem"), cert)
        assert serials(label) == []
        openssl("ocsp", "-issuer", folder / (label + ".pem"), "-cert", cert, "-no_nonce", "-reqout", folder / "ask")
        with open(folder / "ask", "rb") as f:
            answer = client().curl("", base="/ocsp", body=f.read(), kind="application/ocsp-request")
        with open(folder / "answer", "wb") as f:
            f.write(answer.body)
        text = openssl("ocsp", "-issuer", folder / (label + ".pem"), "-cert", cert, "-CAfile", folder / (label + ".pem"), "-respin", folder / "answer").decode()
        assert ": good" in text, text


def check_away(label, off, on):
    other = "tpm" if label == "token" else "token"
    password, n, csr = one_time("later-" + label), len(journal()), make_csr("later-" + label, client().make_key("later-" + label))
    off()
    for _ in range(2):
        answer = enroll("", label, csr=csr, user=password)
        refused(answer, 503, "CA_KEY_AWAY")
        assert int(answer.headers["retry-after"]) > 0 and PIN not in answer.body.decode()
    assert len(journal()) == n, "nothing half issued"
    assert enroll("by-" + other, other, user=one_time("by-" + other)).status == 200, "the other CA goes on"
    # what is revoked counts at once, though no list can be made of it
    run("rootedge", "ca", "revoke", "dev-" + label, "--journal", os.path.join(est.state, "issued.db"))
    wait_for(lambda: enroll("dev-" + label, label, "simplereenroll", cert=(folder / ("dev-%s.pem" % label), folder / ("dev-%s.key" % label))).status == 403, "the revoked one is refused")
    assert "CERT_REVOKED" in est.reasons() and serials(label) == []
    os.kill(est.process.pid, signal.SIGHUP)
    wait_for(lambda: "loaded again" in est.log_text(), "the configuration is loaded again")
    refused(enroll("", label, csr=csr, user=password), 503, "CA_KEY_AWAY")
    assert client().curl("/%s/cacerts" % label).status == 200
    on()
    wait_for(lambda: enroll("", label, csr=csr, user=password).status == 200, "it issues again", 20)
    wait_for(lambda: len(serials(label)) == 1, "the list has the revoked one", 20)
    assert [e["requester"] for e in journal()[n:]] == ["by-" + other, "later-" + label], "once, and with the password that was not spent"


def test_02_token_away():
    """a token that is pulled out: 503 with its reason and Retry-After, nothing in the journal and no password spent, while revocation goes on; put back it issues, without a restart"""
    check_away("token", hsm.pull, hsm.put_back)
    assert "token=CA" in est.log_text() and PIN not in est.log_text()


def test_03_tpm_away():
    """the same with a TPM that is switched off"""
    check_away("tpm", tpm.off, tpm.on)


def test_04_away_at_the_start():
    """while both are away the server starts, publishes the lists that it had, and issues when they are back"""
    global est
    est.stop()
    hsm.pull()
    tpm.off()
    est = Est()
    assert "until its key is back" in est.log_text()
    for label in "token", "tpm":
        refused(enroll("new-" + label, label, user=one_time("new-" + label)), 503, "CA_KEY_AWAY")
        assert len(serials(label)) == 1
    hsm.put_back()
    tpm.on()
    for label in "token", "tpm":
        wait_for(lambda: enroll("new-" + label, label, user=one_time("new-" + label)).status == 200, label, 20)
    run("rootedge", "ca", "revoke", "new-token", "--journal", os.path.join(est.state, "issued.db"))
    wait_for(lambda: len(serials("token")) == 2, "the next list", 20)


def test_05_wrong():
    """a URI that names no key, another CA's key, or a wrong PIN is said at the start, by what it is"""
    for place, words in (hsm.uri("nobody"), "no private key 'nobody'"), (hsm.uri("plant").replace(PIN, "wrong"), "CKR_PIN_INCORRECT"), ("pkcs11:token=CA", "names no object"), (
            "tpm:handle=0x81000099", "no key with the handle"), ("tpm:handle=1", "handle"), ("tpm.key", "does not belong"):
        with open(folder / "wrong.toml", "w") as f:
            f.write(CONFIG % place)
        done = run("rootedge", "est", "--config", folder / "wrong.toml", "--state", folder / "wrong-state", "--port", 0, "--cert", folder / "server.pem", "--key", folder / "server.key",
                   "--pkcs11-module", hsm.module, "--tpm", tpm.tcti, check=False, env=dict(os.environ, **{k: str(v) for k, v in hsm.env.items()}))
        assert done.returncode == 1 and words in done.stderr and "wrong" not in done.stderr.replace("wrong.toml", ""), (place, done.stderr)


def test_06_tool():
    """rootedge ca crl signs with the key in the token"""
    out = folder / "by-hand.crl"
    run("rootedge", "ca", "crl", "--journal", os.path.join(est.state, "issued.db"), "--cert", folder / "token.pem", "--key", hsm.uri("plant"), "--pkcs11-module", hsm.module, "--out", out,
        env=dict(os.environ, **{k: str(v) for k, v in hsm.env.items()}))
    assert b"Serial Number" in openssl("crl", "-in", out, "-inform", "DER", "-CAfile", folder / "token.pem", "-noout", "-text")


def test_07_hub():
    """the hub's issuing CA has its key in the token: a device gets its certificate; while the token is away the hub serves, says 503, and what is revoked is refused"""
    with Hub(folder, pki, "contosoiothub.local", "--issuing-ca", folder / "token.pem", "--issuing-ca-key", hsm.uri("plant"), "--pkcs11-module", hsm.module, env=hsm.env) as hub:
        first = pki.make("device", "leaf")
        hub.create_x509_device("leaf", thumbprint(first[0]))

        def ask(cert, name):
            csr = make_csr("leaf", client().make_key(name))
            with hub.mqtt("leaf", cert=cert[0], key=cert[1], clean=True) as m:
                m.send(subscribe_packet((("$iothub/credentials/res/#", 0),)))
                assert m.receive() == (0x90, b"\0\1\0")
                m.send(publish_packet("$iothub/credentials/POST/issueCertificate/?$rid=1", json.dumps({"id": "leaf", "csr": base64.b64encode(csr).decode()}).encode(), 0))
                told = m.receive(), m.receive()
            return told[1][1].decode("latin-1")
        hsm.pull()
        answer = ask(first, "away")
        assert "/503/" in answer and "CA_KEY_AWAY" in answer, answer
        assert hub.rest("GET", "/devices/leaf")[0] == 200
        hsm.put_back()
        answer = wait_for(lambda: (lambda a: "/200/" in a and a)(ask(first, "leaf-next")), "it issues", 20)
        chain = json.loads(answer[answer.index("{"):])["certificates"]
        with open(folder / "leaf-next.pem", "w") as f:
            f.write("".join(ssl.DER_cert_to_PEM_cert(base64.b64decode(c)) for c in chain))
        openssl("verify", "-CAfile", folder / "token.pem", folder / "leaf-next.pem")
        hsm.pull()
        with hub.mqtt("leaf", cert=folder / "leaf-next.pem", key=folder / "leaf-next.key") as m:
            run("rootedge", "ca", "revoke", "leaf", "--state", hub.state)
            assert m.closed(20), "its session ends, though no list can be signed"
        hsm.put_back()


def test_99_stop():
    """it ends in order"""
    assert est.stop() == 0
    tpm.off()
    folder.__exit__()


run_all()
