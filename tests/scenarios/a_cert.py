#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Certificates by hand, as a stranger makes them from the help texts: the chain of the seeds, judged by openssl; what is refused and how it is said; and that no
file is lost or readable for others.  docs/certificates.md tells the same story."""
import json, os, re, shlex, stat, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

folder = Folder()
ROOT_CA, MIDDLE, EDGE_CA, SERVER = "my_private_root_CA", "my_optional_intermediate_CA", "iotedged-workload-ca-edgegateway", "edgegateway.local"
KINDS = {"root": (), "intermediate": ("--issuer", ROOT_CA + ".cert.pem"), "edge-ca": (), "server": (), "device": ()}


def cert(*args, check=True, **kw):
    return run("rootedge", "cert", *args, check=check, cwd=folder.path, **kw)


def refused(*args, status=1, **kw):
    """The last line that a refusal says."""
    before = listing()
    done = cert(*args, check=False, **kw)
    assert done.returncode == status and done.stdout == "", (args, done)
    assert listing() == before, "nothing is left behind: %s" % (args,)
    return done.stderr.strip().split("\n")[-1]


def listing():
    return {n: os.stat(folder / n).st_mtime_ns for n in os.listdir(folder.path)}


def openssl(*args, check=True, **kw):
    done = subprocess.run(["openssl", *args], capture_output=True, text=True, cwd=folder.path, timeout=60 * SLOW, **kw)
    assert not check or done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout + done.stderr


def trusts(leaf, *args, root=ROOT_CA):
    """openssl's own judgement of a file as we left it."""
    return subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", root + ".cert.pem", "-untrusted", leaf + ".cert.pem", *args, leaf + ".cert.pem"], capture_output=True,
                          cwd=folder.path).returncode == 0


def text_of(name):
    return openssl("x509", "-noout", "-text", "-in", name + ".cert.pem")


def write(name, data):
    with open(folder / name, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def read(name):
    with open(folder / name, "rb") as f:
        return f.read()


def chain(*args):
    cert("root", ROOT_CA, *args)
    cert("intermediate", MIDDLE, "--issuer", ROOT_CA + ".cert.pem", *args)
    cert("edge-ca", "iotedged workload ca edgegateway", "--issuer", MIDDLE + ".cert.pem", *args)
    cert("server", SERVER, "--issuer", EDGE_CA + ".cert.pem", "--san", "192.168.1.23", *args)


def handshake():
    """What openssl s_client says about the server certificate, as the seeds print it."""
    server = subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cert", SERVER + ".cert.pem", "-cert_chain", SERVER + ".cert.pem", "-key", SERVER + ".key.pem"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder.path)
    try:
        port = next(m for m in (re.match(r"ACCEPT .*:(\d+)", line) for line in server.stdout) if m).group(1)
        return openssl("s_client", "-connect", "127.0.0.1:" + port, "-CAfile", ROOT_CA + ".cert.pem", "-verify_hostname", SERVER, "-verify_return_error", input="Q\n")
    finally:
        server.kill()
        server.communicate()


def test_01_seeds():
    """four commands give the chain that the seeds print, depth 3 to 0"""
    chain()
    said = handshake()
    wanted = ["depth=3 CN = my_private_root_CA", "depth=2 CN = my_optional_intermediate_CA", "depth=1 CN = iotedged workload ca edgegateway", "depth=0 CN = edgegateway.local"]
    assert [line for line in said.splitlines() if line.startswith("depth=")] == wanted and "Verify return code: 0 (ok)" in said, said
    assert read(SERVER + ".cert.pem").count(b"BEGIN CERTIFICATE") == 3, "the file is what a server sends: without the root"


def test_02_purposes():
    """openssl agrees what each certificate is for: a server's for its names, a device's as a client, a CA for none of it"""
    cert("device", "TempSensor", "--issuer", MIDDLE + ".cert.pem")
    for leaf, args, want in ((SERVER, ("-purpose", "sslserver", "-verify_hostname", SERVER), True), (SERVER, ("-purpose", "sslserver", "-verify_ip", "192.168.1.23"), True),
                             (SERVER, ("-purpose", "sslserver", "-verify_hostname", "other.local"), False), (SERVER, ("-purpose", "sslclient"), False),
                             ("TempSensor", ("-purpose", "sslclient"), True), ("TempSensor", ("-purpose", "sslserver"), False), (MIDDLE, ("-purpose", "sslserver"), False)):
        assert trusts(leaf, *args) == want, (leaf, args)
    assert "CA:TRUE, pathlen:0" in text_of(EDGE_CA) and "CA:FALSE" in text_of("TempSensor")


def test_03_algorithms():
    """RSA, P-384 and Ed25519 chains are as good"""
    for alg in ("rsa-2048", "ec-p384", "ed25519"):
        chain("--key-alg", alg, "--force")
        assert trusts(SERVER, "-purpose", "sslserver", "-verify_hostname", SERVER), alg
    assert "ED25519" in text_of(SERVER)
    cert("server", SERVER, "--issuer", EDGE_CA + ".cert.pem", "--key-alg", "rsa-3072", "--force")
    assert trusts(SERVER, "-purpose", "sslserver"), "an RSA server under an Ed25519 CA"
    chain("--force")


def test_04_files():
    """keys are readable by their owner alone whatever the umask; what exists is replaced with --force only, named or not"""
    for umask in (0, 0o777):
        cert("device", "modes", "--force", preexec_fn=lambda: os.umask(umask))
        assert [stat.S_IMODE(os.stat(folder / ("modes." + end)).st_mode) for end in ("key.pem", "cert.pem")] == [0o600, 0o644]
    for verb, args in dict(KINDS, csr=()).items():
        assert "exists already" in refused(verb, "modes", *args, "--out", "modes.cert.pem", "--key-out", "new.pem"), verb
        assert "exists already" in refused(verb, "modes", *args, "--out", "new.pem"), verb
        assert "a file of its own" in refused(verb, "modes", *args, "--out", "new.pem", "--key-out", "new.pem"), verb
    old = read("modes.key.pem")
    assert "a file of its own" in refused("device", "modes", "--key", "modes.key.pem", "--out", "modes.key.pem", "--force")
    cert("device", "modes", "--key", "modes.key.pem", "--force")
    assert read("modes.key.pem") == old, "a key that was given is not touched"
    cert("device", "modes", "--force")
    assert read("modes.key.pem") != old
    assert not [n for n in os.listdir(folder.path) if n.endswith(".tmp")]


def test_05_refusals():
    """what can't be made is refused in a sentence, and nothing is left behind"""
    write("chain.key.pem", read("modes.key.pem"))
    write("text.cert.pem", "no certificate")
    issuer = ("--issuer", ROOT_CA + ".cert.pem")
    for args, part in ((("intermediate", "x"), "needs an issuer: --issuer FILE"), (("device", "x", "--issuer", "absent.cert.pem"), "absent.cert.pem: No such file"),
                       (("device", "x", "--issuer", "text.cert.pem"), "there is no certificate in it"), (("device", "x", "--issuer", ROOT_CA + ".key.pem"), "but a PRIVATE KEY"),
                       (("device", "x", *issuer, "--issuer-key", "modes.key.pem"), "the key does not belong to the CA certificate CN=my_private_root_CA"),
                       (("device", "x", *issuer, "--issuer-key", ROOT_CA + ".cert.pem"), "not a PEM private key"),
                       (("device", "x", "--issuer", "TempSensor.cert.pem"), "CN=TempSensor is no CA"),
                       (("intermediate", "x", "--issuer", EDGE_CA + ".cert.pem"), "may issue no CA: its path length is 0"),
                       (("server", "bad name"), "'bad name' is neither a DNS name"), (("server", "x", "--san", "*.local"), "'*.local' is neither"),
                       (("server", "x", "--san", ".local"), "'.local' is neither"), (("server", "x", "--san", "300.1.1.1.1."), "is neither"),
                       (("server", "x" * 65), "1 to 64 characters"), (("device", "x" * 65), "1 to 64 characters"), (("device", "a\nb"), "control characters"),
                       (("device", "x", "--key-alg", "dsa"), "there are no 'dsa' keys; there are ec-p256"), (("device", "x", "--not-after", "tomorrow"), "'tomorrow' is not a time like"),
                       (("device", "x", "--not-after", "2020-01-01T00:00:00Z"), "would end before it begins"), (("device", "x", "--csr", "text.cert.pem"), "a request needs an issuer"),
                       (("device", "x", *issuer, "--csr", "text.cert.pem"), "text.cert.pem: there is no PEM certificate request"),
                       (("device", "x", *issuer, "--csr", "text.cert.pem", "--key", "modes.key.pem"), "a request brings its own key"),
                       (("device", "x", "--out", "absent/x.pem", "--key", "modes.key.pem"), "absent/x.pem")):
        assert part in refused(*args), (args, part)
    for args, part in ((("device",), "one name is needed"), (("device", "a", "b"), "one name is needed"), (("device", "x", "--days", "0"), "from 1 to 36500"),
                       (("device", "x", "--isuer", "y"), "did you mean --issuer?"), (("devise", "x"), "did you mean 'device'?"), ((), "--help tells more")):
        assert part in refused(*args, status=2), (args, part)


def test_06_names():
    """a name that is no file name gives a file in this folder all the same"""
    before = set(listing())
    for name in ("../../etc/x", ".hidden", "a/b", "-n", "dev 1#"):
        made = json.loads(cert("device", "--name", name, "--json").stdout)
        assert "/" not in made["certificateFile"] and made["certificateFile"][0] not in ".-", made
        assert made["subject"] == "CN=" + name and os.path.exists(folder / made["keyFile"]), made
    assert len(set(listing()) - before) == 10


def test_07_csr():
    """for a request, PEM or DER, its key is certified; of what else it asks for nothing is granted; a tampered one is refused"""
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=admin", "-addext", "basicConstraints=CA:TRUE", "-addext",
            "subjectAltName=DNS:contosoiothub.local")
    openssl("req", "-in", "own.csr", "-outform", "DER", "-out", "own.der")
    for n, request in enumerate(("own.csr", "own.der")):
        name = "dev%d" % n
        cert("device", name, "--issuer", MIDDLE + ".cert.pem", "--csr", request)
        text = text_of(name)
        assert trusts(name, "-purpose", "sslclient") and "Subject: CN = " + name in text and "CA:FALSE" in text and "contosoiothub" not in text, text
        assert openssl("x509", "-noout", "-pubkey", "-in", name + ".cert.pem") == openssl("pkey", "-in", "own.key", "-pubout")
        assert not os.path.exists(folder / (name + ".key.pem")), "the key stays where it is"
    der = bytearray(read("own.der"))
    der[-1] ^= 1
    write("bad.der", bytes(der))
    assert "bad.der: CSR failed to be verified" in refused("device", "x", "--issuer", MIDDLE + ".cert.pem", "--csr", "bad.der")
    cert("csr", "dev7", "--san", "dev7.local")
    assert "self-signature verify OK" in openssl("req", "-in", "dev7.csr.pem", "-noout", "-verify", "-text") and stat.S_IMODE(os.stat(folder / "dev7.key.pem").st_mode) == 0o600


def test_08_dates():
    """nothing outlives its issuer, which is said; an issuer that has ended issues nothing more"""
    cert("root", "short", "--days", "3")
    said = cert("device", "brief", "--issuer", "short.cert.pem").stdout
    assert "when its issuer ends" in said and "when its issuer ends" not in cert("device", "own").stdout, said
    ends = [openssl("x509", "-noout", "-enddate", "-in", n) for n in ("short.cert.pem", "brief.cert.pem")]
    assert ends[0] == ends[1]
    cert("root", "past", "--not-before", "2020-01-01T00:00:00Z", "--not-after", "2020-03-01T00:00:00Z")
    assert "the issuer CN=past ended on 2020-03-01T00:00:00Z" in refused("device", "x", "--issuer", "past.cert.pem")
    cert("device", "old", "--issuer", "past.cert.pem", "--not-before", "2020-01-02T00:00:00Z", "--not-after", "2020-02-01T00:00:00Z")
    assert trusts("old", "-attime", "1578000000", "-purpose", "sslclient", root="past") and not trusts("old", "-purpose", "sslclient", root="past")


def test_09_path_length():
    """below a CA with a path length the next has a smaller one: openssl accepts every chain that we make"""
    cert("root", "p1", "--path-len", "1")
    cert("intermediate", "p2", "--issuer", "p1.cert.pem")
    assert "CA:TRUE, pathlen:0" in text_of("p2")
    cert("device", "p3", "--issuer", "p2.cert.pem")
    assert trusts("p3", "-purpose", "sslclient", root="p1")
    assert "may issue no CA" in refused("intermediate", "p4", "--issuer", "p2.cert.pem")


def test_10_show():
    """a bundle, DER, standard input; a key or a folder shown by mistake is named as that, and none of the key appears"""
    said = cert("show", SERVER + ".cert.pem").stdout
    assert "place          1 of 3, issued by the next" in said and "place          3 of 3" in said and "DNS:edgegateway.local, IP Address:192.168.1.23" in said, said
    openssl("x509", "-in", "TempSensor.cert.pem", "-outform", "DER", "-out", "t.der")
    shown = cert("show", "t.der").stdout
    assert "CN=TempSensor" in shown and "for            clientAuth" in shown, shown
    with open(folder / "t.der") as der, open(folder / "TempSensor.cert.pem") as pem:
        assert cert("show", stdin=der).stdout == shown and cert("show", "-", stdin=pem).stdout.startswith(shown[:200])
    lines = [json.loads(line) for line in cert("show", "--json", SERVER + ".cert.pem", "t.der").stdout.splitlines()]
    assert [l["subject"] for l in lines] == ["CN=edgegateway.local", "CN=iotedged workload ca edgegateway", "CN=my_optional_intermediate_CA", "CN=TempSensor"], lines
    for args, part in ((("show", "TempSensor.key.pem"), "TempSensor.key.pem: there is no certificate in it, but a PRIVATE KEY"), (("show", "dev7.csr.pem"), "but a CERTIFICATE REQUEST"),
                       (("show", "."), "not a regular file"), (("show", "absent"), "absent: No such file"), (("fingerprint", "TempSensor.key.pem"), "but a PRIVATE KEY")):
        assert part in refused(*args), args
    broken = read(SERVER + ".cert.pem").decode().replace("-----END", "!-----END", 1)
    write("broken.pem", broken)
    assert re.search(r"broken.pem: line \d+", refused("show", "broken.pem"))
    done = cert("show", "TempSensor.key.pem", "t.der", check=False)
    assert done.returncode == 1 and "CN=TempSensor" in done.stdout, "what can be shown is shown"


def test_11_fingerprint():
    """the fingerprint is openssl's letter for letter; --plain is the hub's thumbprint"""
    theirs = openssl("x509", "-noout", "-fingerprint", "-sha256", "-in", "TempSensor.cert.pem").strip().split("=")[1]
    assert cert("fingerprint", "TempSensor.cert.pem").stdout.strip() == theirs and theirs in cert("show", "TempSensor.cert.pem").stdout
    assert cert("fingerprint", "--plain", "TempSensor.cert.pem").stdout.strip() == thumbprint(folder / "TempSensor.cert.pem") == theirs.replace(":", "")
    assert cert("fingerprint", "--sha1", "t.der").stdout.strip() == openssl("x509", "-noout", "-fingerprint", "-sha1", "-in", "TempSensor.cert.pem").strip().split("=")[1]
    with open(folder / "TempSensor.cert.pem") as pem:
        assert cert("fingerprint", stdin=pem).stdout.strip() == theirs


def test_12_verify():
    """verify: 0 accepted, 1 refused with the reason as the last line of standard error, 2 called wrongly; a file that is no certificate is refused"""
    base = ("verify", "--trusted", ROOT_CA + ".cert.pem", "--leaf", SERVER + ".cert.pem", "--purpose", "server")
    assert cert(*base, "--dns", SERVER).stdout.startswith("✓") and cert(*base, "--ip", "192.168.1.23", "--quiet").stdout == ""
    later = str(int(time.time()) + 400 * 86400)
    for args, status, part in (((*base, "--dns", "other.local"), 1, "NAME_MISMATCH"), ((*base, "--ip", "10.0.0.1"), 1, "NAME_IP_MISMATCH"), ((*base, "--time", later), 1, "CERT_EXPIRED"),
                               ((*base, "--time", "2020-01-01T00:00:00Z"), 1, "CERT_NOT_YET_VALID"), ((*base[:-1], "client"), 1, "CERT_NO_CLIENT_AUTH"), ((*base, "--depth", "1"), 1, "CHAIN_TOO_LONG"),
                               (("verify", "--trusted", "short.cert.pem", SERVER + ".cert.pem"), 1, "TRUST_UNKNOWN_ISSUER"), (("verify", "--trusted", "short.cert.pem", "own.cert.pem"), 1, "TRUST_SELF_SIGNED"),
                               (("verify", "--trusted", ROOT_CA + ".cert.pem", "text.cert.pem"), 1, "there is no certificate in it"), (("verify", "--trusted", "broken.pem", "t.der"), 1, "broken.pem: line"),
                               (("verify", SERVER + ".cert.pem"), 2, "--trusted FILE and --leaf FILE are needed"), ((*base[:3],), 2, "are needed"), ((*base, "t.der"), 2, "one certificate at a time"),
                               ((*base[:-1], "mail"), 2, "server, client or any"), ((*base, "--time", "soon"), 2, "'soon' is no time"), ((*base, "--dns", "a", "--ip", "10.0.0.1"), 2, "one of --dns"),
                               (("verify", "--trusted", "absent.pem", "t.der"), 2, "absent.pem")):
        done = cert(*args, check=False)
        assert done.returncode == status and part in done.stderr.strip().split("\n")[-1], (args, done)


def test_13_help():
    """every verb has a help text that says what it does, what it takes and how it ends"""
    verbs = re.findall(r"^  ([a-z-]+)  ", cert("--help").stdout, re.M)
    assert {"root", "intermediate", "edge-ca", "server", "device", "csr", "show", "verify", "fingerprint", "needs-renewal", "bundle", "revoke", "demo"} == set(verbs), verbs
    for verb in verbs:
        said = cert(verb, "--help").stdout
        assert "usage: rootedge cert %s [OPTIONS]" % verb in said and "Exit status: 0" in said, said
    with Folder() as there:
        for line in re.findall(r"^  rootedge (cert .*)", cert("--help").stdout, re.M):
            run("rootedge", *shlex.split(line), cwd=there.path)


VARIES = (r"\d{4}-\d\d-\d\d(T[0-9:]{8}Z)?", r"[0-9A-F]{2}(:[0-9A-F]{2})+…?", r"[0-9A-F]{64}", r"\d+ days left")


def constant(text):
    for pattern in VARIES:
        text = re.sub(pattern, "…", text)
    return text.rstrip("\n")


def test_14_page():
    """docs/certificates.md: each command prints what the page says, but for dates and digits that are new each time"""
    with open(os.path.join(ROOT, "docs", "certificates.md")) as f:
        blocks = re.findall(r"^```\n(.*?)^```$", f.read(), re.M | re.S)
    commands = [piece.partition("\n") for block in blocks for piece in re.split(r"^\$ ", block, flags=re.M)[1:]]
    assert len(commands) > 10
    with Folder() as there:
        for line, _, printed in commands:
            done = subprocess.run([w if w != "rootedge" else ROOTEDGE for w in shlex.split(line)], cwd=there.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * SLOW)
            assert constant(done.stdout) == constant(printed), (line, done.stdout)
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
