#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rest of `rootedge cert`: what it reads (files, standard input, servers), what it writes (DER, PKCS #12, chains in order), when it says that a certificate is to be renewed; and that the
openssl commands that it prints (--show-openssl) do, run as they stand, what it does itself."""
import json, os, re, stat, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from unproven_server import UnprovenServer

folder = Folder()
ROOT_CA, MIDDLE, EDGE_CA, SERVER = "my_private_root_CA", "my_optional_intermediate_CA", "EdgeCA", "edgegateway.local"
DEMO = folder / "demo"


def cert(*args, check=True, cwd=None, **kw):
    return run("rootedge", "cert", *args, check=check, cwd=cwd or DEMO, **kw)


def refused(*args, status=1, **kw):
    done = cert(*args, check=False, **kw)
    assert done.returncode == status and done.stdout == "", (args, done)
    return done.stderr.strip().split("\n")[-1]


def openssl(*args, check=True, cwd=None, **kw):
    done = subprocess.run(["openssl", *args], capture_output=True, cwd=cwd or DEMO, timeout=60 * SLOW, **kw)
    assert not check or done.returncode == 0, (args, done)
    return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")


def script(*args, cwd=None, **kw):
    """What --show-openssl prints, run by sh; its standard output."""
    text = cert(*args, "--show-openssl", cwd=cwd).stdout
    assert text and "rootedge" not in text.replace(str(folder.path), ""), text
    done = subprocess.run(["sh", "-e", "-c", text], capture_output=True, text=True, cwd=cwd or DEMO, timeout=60 * SLOW, **kw)
    return done


def essentials(path, cwd):
    """What a certificate is, apart from its key, serial number, ids and the seconds of its dates."""
    text = openssl("x509", "-noout", "-subject", "-issuer", "-ext", "basicConstraints,keyUsage,extendedKeyUsage,subjectAltName", "-in", path, cwd=cwd)
    dates = dict(line.split("=") for line in openssl("x509", "-noout", "-dates", "-dateopt", "iso_8601", "-in", path, cwd=cwd).splitlines())
    all = openssl("x509", "-noout", "-text", "-in", path, cwd=cwd)
    return text, dates["notAfter"][:10], re.findall(r"Signature Algorithm: (\S+)|Public Key Algorithm: (\S+)|(ASN1 OID: \S+|Public-Key: .*)", all), "Authority Key Identifier" in all, read_pem(os.path.join(cwd, path))


def read_pem(path):
    with open(path, "rb") as f:
        return f.read().count(b"BEGIN CERTIFICATE")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def serve(name):
    """openssl's server with the chain of a file: it sends what is in -cert_chain after the certificate."""
    with open(os.path.join(DEMO, "above.pem"), "w") as f:
        f.write(read(os.path.join(DEMO, name + ".cert.pem")).decode().split("-----END CERTIFICATE-----\n", 1)[1])
    return subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", name + ".cert.pem", "-cert_chain", "above.pem", "-key", name + ".key.pem"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=DEMO)


def test_01_demo():
    """one command makes the certificates of the seeds' story, and openssl finds depth 3 to 0 in them; none is replaced by accident"""
    said = cert("demo", DEMO, cwd=folder.path).stdout
    names = {os.path.basename(line.split()[0])[:-9] for line in said.splitlines() if ".cert.pem" in line}
    assert {ROOT_CA, MIDDLE, EDGE_CA, SERVER, "ContosoIotHub", "EdgeGateway", "EdgeGateway-secondary", "TempSensor", "TempSensor-secondary"} <= names, said
    chain = openssl("verify", "-show_chain", "-CAfile", ROOT_CA + ".cert.pem", "-untrusted", SERVER + ".cert.pem", "-verify_hostname", SERVER, SERVER + ".cert.pem")
    assert [re.sub(r" \(untrusted\)", "", line) for line in chain.splitlines() if line.startswith("depth=")] == [
        "depth=0: CN = edgegateway.local", "depth=1: CN = iotedged workload ca edgegateway", "depth=2: CN = my_optional_intermediate_CA", "depth=3: CN = my_private_root_CA"], chain
    assert {stat.S_IMODE(os.stat(os.path.join(DEMO, name + ".key.pem")).st_mode) for name in names} == {0o600}
    assert "exists already; --force" in refused("demo", DEMO)
    before = read(os.path.join(DEMO, "TempSensor.cert.pem"))
    lines = [json.loads(line) for line in cert("demo", DEMO, "--force", "--json").stdout.splitlines()]
    assert len(lines) == len(names) and read(os.path.join(DEMO, "TempSensor.cert.pem")) != before
    assert "a folder is needed" in refused("demo", status=2)


MAKING = (("root", "r"), ("root", "r384", "--key-alg", "ec-p384", "--path-len", "1", "--days", "100"), ("root", "rsa", "--key-alg", "rsa-2048"), ("root", "ed", "--key-alg", "ed25519"),
          ("intermediate", "i", "--issuer", "r.cert.pem"), ("intermediate", "i384", "--issuer", "r384.cert.pem", "--key-alg", "rsa-2048"), ("edge-ca", "iotedged workload ca x", "--issuer", "i.cert.pem"),
          ("server", "gw.local", "--issuer", "iotedged-workload-ca-x.cert.pem", "--san", "192.0.2.1", "--san", "2001:db8::1", "--san", "URI:urn:x:$HOME,#1\\'"),
          ("server", "alone.local", "--san", "b.local"), ("device", "a/b+c's d=e", "--issuer", "i384.cert.pem", "--days", "30"), ("device", "own"), ("device", "end", "--issuer", "ed.cert.pem", "--days", "36000"),
          ("device", "bytes", "--issuer", "i.cert.pem", "--der"), ("device", "kept", "--key", "own.key.pem", "--issuer", "rsa.cert.pem"))


def test_02_made_by_openssl():
    """the commands that --show-openssl prints, run by sh in an empty folder one verb after the other, make certificates of the same kind, names, constraints, keys and dates"""
    ours, theirs = folder / "ours", folder / "theirs"
    os.mkdir(ours), os.mkdir(theirs)
    for args in MAKING:
        made = json.loads(cert(*args, "--json", cwd=ours).stdout)
        before = sorted(os.listdir(theirs))
        text = cert(*args, "--show-openssl", cwd=theirs).stdout
        assert sorted(os.listdir(theirs)) == before, "it makes nothing"
        done = subprocess.run(["sh", "-e", "-c", text], capture_output=True, text=True, cwd=theirs, timeout=60 * SLOW)
        assert done.returncode == 0, (args, text, done.stderr)
        a, b = essentials(made["certificateFile"], ours), essentials(made["certificateFile"], theirs)
        assert a == b, (args, text, a, b)
        if "--key" not in args:
            assert stat.S_IMODE(os.stat(os.path.join(theirs, made["keyFile"])).st_mode) == 0o600
    assert "OK" in openssl("verify", "-CAfile", "r.cert.pem", "-untrusted", "gw.local.cert.pem", "-purpose", "sslserver", "-verify_hostname", "gw.local", "gw.local.cert.pem", cwd=theirs)
    later = cert("device", "later", "--not-before", "2030-01-01T00:00:00Z", "--not-after", "2030-03-01T00:00:00Z", "--show-openssl").stdout
    assert "# -not_before and -not_after came with OpenSSL 3.4\n" in later and "-not_before 20300101000000Z -not_after 20300301000000Z" in later, later


def test_03_requests():
    """a request and what is issued for it, PEM, DER and from standard input, are the same by openssl's commands"""
    where = folder / "requests"
    os.mkdir(where)
    for der in ((), ("--der",)):
        end = "der" if der else "pem"
        for name, names in (("plain", ()), ("named", ("--san", "named.local", "--san", "192.0.2.7"))):
            name += end
            cert("csr", name, *names, *der, cwd=where)
            form = ("-inform", end.upper())
            wanted = openssl("req", "-noout", "-subject", "-verify", "-text", "-in", "%s.csr.%s" % (name, end), *form, cwd=where)
            assert "OK" in wanted and ("named.local" in wanted) == bool(names)
            os.remove(os.path.join(where, name + ".key.pem")), os.remove(os.path.join(where, "%s.csr.%s" % (name, end)))
            done = script("csr", name, *names, *der, cwd=where)
            assert done.returncode == 0, done
            got = openssl("req", "-noout", "-subject", "-verify", "-text", "-in", "%s.csr.%s" % (name, end), *form, cwd=where)
            cut = lambda text: re.sub(r"(?m)^ +([0-9a-f]{2}:)+.*$|^ *[0-9a-f:]+$", "", text)
            assert cut(got) == cut(wanted), (got, wanted)
        args = ("device", "asked" + end, "--issuer", os.path.join(DEMO, MIDDLE + ".cert.pem"), "--csr", "named%s.csr.%s" % (end, end))
        cert(*args, cwd=where)
        wanted = essentials("asked%s.cert.pem" % end, where)
        done = script(*args, cwd=where)
        assert done.returncode == 0 and essentials("asked%s.cert.pem" % end, where) == wanted, done
        with open(os.path.join(where, "named%s.csr.%s" % (end, end)), "rb") as request:
            cert(*args[:-1], "-", "--force", cwd=where, stdin=request)
        assert essentials("asked%s.cert.pem" % end, where) == wanted


def test_04_looked_at_by_openssl():
    """show, fingerprint, verify, needs-renewal and bundle: openssl's commands answer what ours do"""
    leaf, root = SERVER + ".cert.pem", ROOT_CA + ".cert.pem"
    openssl("x509", "-in", leaf, "-outform", "DER", "-out", "leaf.der")
    for path, subjects in ((leaf, 3), ("leaf.der", 1), ("TempSensor.cert.pem", 1)):
        said = script("show", path).stdout
        assert said.count("Subject: ") == subjects, said
        for args in ((), ("--plain",), ("--sha1",)):
            assert script("fingerprint", path, *args).stdout == cert("fingerprint", path, *args).stdout, (path, args)
    assert json.loads(cert("fingerprint", "--json", leaf).stdout)["fingerprint"] == cert("fingerprint", leaf).stdout.strip()
    base = ("verify", "--trusted", root, leaf)
    for args, want in (((*base, "--purpose", "server", "--dns", SERVER), 0), ((*base, "--dns", "other.local"), 1), ((*base, "--purpose", "client"), 1),
                       (("verify", "--trusted", "another_private_root_CA.cert.pem", leaf), 1), ((*base, "--time", str(int(time.time()) + 5000 * 86400)), 1), ((*base, "--depth", "1"), 1),
                       (("verify", "--trusted", EDGE_CA + ".cert.pem", leaf, "--partial"), 0)):
        mine, theirs = cert(*args, check=False), script(*args)
        assert mine.returncode == want and bool(theirs.returncode) == bool(want), (args, mine, theirs)
    for threshold in ("1%", "99%", "364day", "366day"):
        args = ("needs-renewal", leaf, "--threshold", threshold)
        assert cert(*args, check=False).returncode == script(*args).returncode, args


def test_05_servers():
    """show, fingerprint, verify, bundle and needs-renewal of a server's URL: what it sends, and whether it proves its name"""
    server = serve(SERVER)
    try:
        port = next(m for m in (re.match(r"ACCEPT .*:(\d+)", line) for line in server.stdout) if m).group(1)
        there = ("--connect-to", "127.0.0.1")
        for scheme in ("https", "mqtts", "tls", "wss", "amqps"):
            url = "%s://%s:%s" % (scheme, SERVER, port)
            assert cert("show", "--pem", url, *there).stdout.encode() == read(os.path.join(DEMO, SERVER + ".cert.pem"))
        url += "/some/path?x"
        assert cert("fingerprint", url, *there).stdout == cert("fingerprint", SERVER + ".cert.pem").stdout == script("fingerprint", url, *there).stdout
        assert "place          1 of 3" in cert("show", url, *there).stdout and script("show", url, *there).stdout.count("Subject: ") == 3
        assert cert("bundle", url, *there).stdout.encode() == read(os.path.join(DEMO, SERVER + ".cert.pem")) == script("bundle", url, *there).stdout.encode()
        assert cert("needs-renewal", url, *there, check=False).returncode == 1
        trusted = ("verify", "--trusted", ROOT_CA + ".cert.pem", *there)
        cert(*trusted, url)
        assert "NAME_MISMATCH" in cert(*trusted, "https://other.local:" + port, check=False).stderr
        assert "NAME_IP_MISMATCH" in cert(*trusted, "https://127.0.0.1:" + port, check=False).stderr
        cert(*trusted, "https://127.0.0.1:" + port, "--dns", SERVER)
    finally:
        server.kill()
        server.communicate()
    assert re.search(r"https://%s:%s.*: " % (SERVER, port), refused("show", url.split("/some")[0].replace("amqps", "https"), *there))
    for url, part in (("ftp://x", "a server is named by https://"), ("tls://host", "the port is missing"), ("https://", ""), ("https://[::1", ""), ("https://h:99999", "")):
        for verb in ("show", "fingerprint", "bundle"):
            assert part in refused(verb, url), url
        assert part in refused("needs-renewal", url, status=2) and part in refused("verify", "--trusted", ROOT_CA + ".cert.pem", url, status=2)


def test_06_not_proven():
    """a server that shows certificates and proves no key: they can be looked at, and verify does not take it for their owner"""
    with UnprovenServer(os.path.join(DEMO, SERVER + ".cert.pem")) as server:
        there = ("tls://%s:%d" % (SERVER, server.port), "--connect-to", "127.0.0.1")
        assert cert("show", "--pem", *there).stdout.encode() == read(os.path.join(DEMO, SERVER + ".cert.pem"))
        assert "did not prove that it has its key" in refused("verify", "--trusted", ROOT_CA + ".cert.pem", *there, status=2)


def test_07_conversions():
    """DER and PKCS #12 on request: openssl reads them, the password never stands in the command line, and a bad one leaves nothing behind"""
    where = folder / "conversions"
    os.mkdir(where)
    issuer = ("--issuer", os.path.join(DEMO, MIDDLE + ".cert.pem"))
    with open(os.path.join(where, "pw"), "w") as f:
        f.write("correct horse\nsecond line\n")
    cert("device", "d", *issuer, "--p12", "d.p12", "--p12-password", "pw", cwd=where)
    assert stat.S_IMODE(os.stat(os.path.join(where, "d.p12")).st_mode) == 0o600
    said = openssl("pkcs12", "-in", "d.p12", "-passin", "file:pw", "-nodes", cwd=where)
    assert said.count("BEGIN CERTIFICATE") == 2 and openssl("pkey", "-pubout", cwd=where, input=said.encode()) == openssl("pkey", "-in", "d.key.pem", "-pubout", cwd=where), said
    assert "invalid password" in openssl("pkcs12", "-in", "d.p12", "-passin", "pass:wrong", "-nodes", cwd=where, check=False)
    cert("bundle", "d.cert.pem", "--key", "d.key.pem", "--p12", "e.p12", "--p12-password", "-", cwd=where, input="another word\n")
    assert openssl("pkcs12", "-in", "e.p12", "-passin", "pass:another word", "-nodes", cwd=where).count("BEGIN") == 3
    reading, writing = os.pipe()
    os.write(writing, b"by descriptor\r\n"), os.close(writing)
    cert("bundle", "d.cert.pem", "--key", "d.key.pem", "--p12", "f.p12", "--p12-password", "fd://%d" % reading, cwd=where, pass_fds=(reading,))
    os.close(reading)
    assert openssl("pkcs12", "-in", "f.p12", "-passin", "pass:by descriptor", "-nodes", cwd=where).count("BEGIN") == 3
    done = script("bundle", "d.cert.pem", "--key", "d.key.pem", "--p12", "g.p12", "--p12-password", "pw", cwd=where)
    assert done.returncode == 0 and openssl("pkcs12", "-in", "g.p12", "-passin", "pass:correct horse", "-nodes", cwd=where).count("BEGIN") == 3, done
    before = sorted(os.listdir(where))
    for args, part, said in ((("--p12", "x.p12"), "--p12-password is missing", ""), (("--p12", "x.p12", "--p12-password", "-"), "a password of 1 to 512 bytes", ""),
                             (("--p12", "x.p12", "--p12-password", "-"), "a password of 1 to 512 bytes", "x" * 513), (("--p12", "x.p12", "--p12-password", "absent"), "absent: No such file", ""),
                             (("--p12", "x.p12", "--p12-password", "fd://x"), "no descriptor", ""), (("--p12", "x.p12", "--p12-password", "fd://99"), "a password of 1", ""),
                             (("--p12", "d.p12", "--p12-password", "pw"), "d.p12 exists already", "")):
        assert part in refused("device", "x", *issuer, *args, cwd=where, input=said), args
    assert "the key is not that of" in refused("bundle", "d.cert.pem", "--key", os.path.join(DEMO, "TempSensor.key.pem"), "--p12", "x.p12", "--p12-password", "pw", cwd=where)
    assert "needs --key" in refused("bundle", "d.cert.pem", "--p12", "x.p12", status=2, cwd=where) and sorted(os.listdir(where)) == before
    cert("server", "s.local", "--der", cwd=where)
    der = read(os.path.join(where, "s.local.cert.der"))
    assert der[0] == 0x30 and "CN = s.local" in openssl("x509", "-noout", "-subject", "-inform", "DER", "-in", "s.local.cert.der", cwd=where)
    done = subprocess.run([ROOTEDGE, "cert", "show", "--der", "s.local.cert.der"], capture_output=True, cwd=where, timeout=60 * SLOW)
    assert done.stdout == der


def test_08_bundle():
    """certificates in any order become a chain; one that does not belong there is named, and the root stays out unless it is asked for"""
    files = [n + ".pem" for n in ("leaf", "edge", "middle")]
    for n, name in enumerate(files):
        with open(os.path.join(DEMO, name), "w") as f:
            f.write(script("bundle", SERVER + ".cert.pem").stdout.split("-----END CERTIFICATE-----\n")[n] + "-----END CERTIFICATE-----\n")
    wanted = read(os.path.join(DEMO, SERVER + ".cert.pem")).decode()
    openssl("x509", "-in", "edge.pem", "-outform", "DER", "-out", "edge.der")
    for given in (("leaf.pem", "middle.pem", "edge.pem"), ("leaf.pem", ROOT_CA + ".cert.pem", "edge.der", "middle.pem", "leaf.pem")):
        assert cert("bundle", *given).stdout == wanted == script("bundle", *given).stdout
        assert cert("bundle", *given, "--root").stdout == wanted + (read(os.path.join(DEMO, ROOT_CA + ".cert.pem")).decode() if len(given) > 3 else "")
    cert("bundle", "leaf.pem", "edge.pem", "--out", "half.pem")
    assert "exists already" in refused("bundle", "leaf.pem", "--out", "half.pem") and read(os.path.join(DEMO, "half.pem")).count(b"BEGIN") == 2
    for given in (("leaf.pem", "middle.pem"), ("edge.pem", "leaf.pem"), ("leaf.pem", "edge.pem", "another_private_root_CA.cert.pem")):
        assert "has issued none of the chain of" in refused("bundle", *given), given
    assert "there is no certificate in it" in refused("bundle", "leaf.pem", "TempSensor.key.pem")
    with open(os.path.join(DEMO, "leaf.pem")) as leaf:
        assert cert("bundle", "-", "edge.pem", "middle.pem", stdin=leaf).stdout == wanted


def test_09_needs_renewal():
    """0 renew it, 1 not yet, 2 that can't be told; by the daemons' rule, or one that is given"""
    now = int(time.time())
    date = lambda days: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + days * 86400))
    for name, begins, ends, threshold, want in (("fresh", -1, 99, (), 1), ("due", -81, 19, (), 0), ("nearly", -79, 21, (), 1), ("ended", -100, -1, (), 0), ("third", -40, 60, ("--threshold", "33%"), 0),
                                                ("days", -1, 9, ("--threshold", "10day"), 0), ("more", -1, 9, ("--threshold", "8day"), 1)):
        cert("device", name, "--not-before", date(begins), "--not-after", date(ends))
        done = cert("needs-renewal", name + ".cert.pem", *threshold, check=False)
        assert done.returncode == want and "CN=%s is %s" % (name, "not to be renewed before" if want else "to be renewed, since") in done.stdout, (name, done)
        said = json.loads(cert("needs-renewal", name + ".cert.pem", *threshold, "--json", check=False).stdout)
        assert said["needsRenewal"] == (want == 0) and said["notAfter"] == date(ends), said
        with open(os.path.join(DEMO, name + ".cert.pem")) as f:
            done = cert("needs-renewal", "--quiet", *threshold, check=False, stdin=f)
        assert (done.returncode, done.stdout, done.stderr) == (want, "", "")
    for args, part in ((("absent.pem",), "absent.pem: No such file"), (("TempSensor.key.pem",), "no certificate"), (("a", "b"), "one certificate at a time"), (("fresh.cert.pem", "--threshold", "100%"), "'100%' is neither"),
                       (("fresh.cert.pem", "--threshold", "0day"), "is neither"), (("https://127.0.0.1:1",), "https://127.0.0.1:1: ")):
        assert part in refused("needs-renewal", *args, status=2), args


def ask_at_terminal(answer, *args):
    """The command with a terminal of its own: what it shows there, and what it prints."""
    leader, follower = os.openpty()
    with open(follower, "rb") as end:
        command = subprocess.Popen([ROOTEDGE, "cert", *args], cwd=DEMO, stdin=end, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                                   preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
    shown = b""
    while b": " not in shown:
        shown += os.read(leader, 1024)
    os.write(leader, answer + b"\n")
    said, wrong = command.communicate(timeout=60 * SLOW)
    shown += os.read(leader, 1024)
    os.close(leader)
    return shown.decode(), said.decode(), wrong.decode(), command.returncode


def test_10_pkcs12():
    """PKCS #12 as openssl makes it is read wherever a certificate is: the leaf first, with a password from a file or from who sits at the terminal, never from the command line"""
    chain, key, pw = "EdgeGateway.cert.pem", "EdgeGateway.key.pem", ("--password-file", "pw12")
    with open(os.path.join(DEMO, "pw12"), "w") as f:
        f.write("correct horse\n")
    with open(os.path.join(DEMO, "wrong"), "w") as f:
        f.write("incorrect\n")
    leaf = cert("fingerprint", chain).stdout
    for name, args in (("aes", ()), ("plain", ("-certpbe", "NONE")), ("des", ("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1")), ("nomac", ("-nomac",)), ("many", ("-iter", "100000"))):
        openssl("pkcs12", "-export", "-in", chain, "-inkey", key, "-certfile", ROOT_CA + ".cert.pem", "-out", name + ".p12", "-passout", "file:pw12", *args)
        assert cert("fingerprint", name + ".p12", *pw).stdout == leaf, name
    assert cert("show", "--pem", "aes.p12", *pw).stdout.count("BEGIN") == read(os.path.join(DEMO, chain)).count(b"BEGIN") + 1
    openssl("pkcs12", "-export", "-in", chain, "-inkey", key, "-out", "open.p12", "-passout", "pass:")
    openssl("pkcs12", "-export", "-nokeys", "-in", ROOT_CA + ".cert.pem", "-out", "root.p12", "-passout", "file:pw12")
    openssl("x509", "-in", ROOT_CA + ".cert.pem", "-outform", "DER", "-out", "root.der")
    openssl("pkcs12", "-export", "-nokeys", "-in", "another_private_root_CA.cert.pem", "-out", "other.p12", "-passout", "file:pw12")
    openssl("pkcs12", "-export", "-nokeys", "-in", chain, "-out", "others.p12", "-passout", "file:pw12")
    for trusted, file, given in ((ROOT_CA + ".cert.pem", "aes.p12", pw), ("root.p12", "aes.p12", pw), ("root.p12", chain, pw), ("root.der", "open.p12", ()), (ROOT_CA + ".cert.pem", "others.p12", pw),
                                 ("root.p12", "root.p12", pw), ("root.p12", "aes.p12", ("--password-file", "-")), ("other.p12", chain, pw)):
        args, said = ("verify", "--trusted", trusted, file, *given), "correct horse\n" * 2
        done = script(*args, input=said if "-" in given else "")
        assert (done.returncode != 0) == (trusted == "other.p12") and file.split(".")[0] in done.stdout + done.stderr, (args, done)
        assert "-" in given or bool(cert(*args, check=False).returncode) == bool(done.returncode), args
    assert script("fingerprint", "open.p12").stdout == leaf == script("fingerprint", "aes.p12", *pw).stdout == script("fingerprint", chain, *pw).stdout
    assert cert("fingerprint", "open.p12").stdout == leaf, "without a password nobody is asked"
    with open(os.path.join(DEMO, "open.p12"), "rb") as f:
        assert cert("fingerprint", "-", stdin=f).stdout == leaf
    assert cert("needs-renewal", "aes.p12", *pw, check=False).returncode == 1
    assert cert("verify", "--trusted", "root.p12", "--leaf", "aes.p12", *pw).returncode == 0
    assert cert("bundle", "aes.p12", ROOT_CA + ".cert.pem", *pw).stdout == cert("bundle", chain, ROOT_CA + ".cert.pem").stdout
    for verb, args in (("show", ()), ("fingerprint", ())):
        assert script(verb, "aes.p12", *pw, *args).stdout.replace(":", "").find(leaf.strip().replace(":", "") if verb == "fingerprint" else "EdgeGateway") >= 0, verb
    assert "it has another password" in refused("show", "aes.p12", "--password-file", "wrong")
    assert "--password-file says where it is" in refused("show", "aes.p12", start_new_session=True), "nobody sits at a terminal"
    done = cert("show", "aes.p12", "--password", "correct horse", check=False)
    assert done.returncode == 2 and done.stdout == "", done
    with open(os.path.join(DEMO, "aes.p12"), "rb") as f, open(os.path.join(DEMO, "cut.p12"), "wb") as to:
        to.write(f.read()[:-100])
    assert "damaged, or cut off" in refused("show", "cut.p12", *pw)
    openssl("pkcs12", "-export", "-nocerts", "-inkey", key, "-out", "key.p12", "-passout", "file:pw12")
    assert "no certificate in it" in refused("show", "key.p12", *pw)
    if openssl("list", "-provider", "legacy", "-providers", check=False).count("legacy"):
        openssl("pkcs12", "-export", "-legacy", "-in", chain, "-inkey", key, "-out", "rc2.p12", "-passout", "file:pw12")
        assert "-legacy" in refused("show", "rc2.p12", *pw)
    shown, said, wrong, status = ask_at_terminal(b"correct horse", "fingerprint", "aes.p12")
    assert (said, status) == (leaf, 0) and "Password of aes.p12: " in shown and "horse" not in shown, (shown, said, wrong)
    shown, said, wrong, status = ask_at_terminal(b"wrong", "fingerprint", "aes.p12")
    assert status == 1 and said == "" and "it has another password" in wrong, wrong
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
