#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rootedge doctor` and `rootedge explain`: whatever is wrong with a server, the first line names it, with the code that everybody uses and the exit status that is
documented.  The servers are `openssl s_server`, our hub, and strangers that don't speak TLS at all."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from peers import *

NAME = "edgegateway.local"
folder = pki = None
REASONS = json.loads("[%s]" % ",".join(run("rootedge", "explain", "--json").stdout.splitlines()))


def sentence(code):
    return next(r["sentence"] for r in REASONS if r["code"] == code)


def doctor(port, *args, name=NAME, ca=None):
    return run("rootedge", "doctor", "%s:%d" % (name, port), "--ca", ca or pki.root, "--connect-to", "127.0.0.1", *args, check=False)


def well(port, *args, **kw):
    """The answer is yes, in the first line, with status 0.  Returns the page."""
    done = doctor(port, *args, **kw)
    assert done.returncode == 0 and done.stdout.startswith("✓ All is well: this is "), done
    return done.stdout


def refuses(code, status, port, *parts, args=(), **kw):
    """The first line is the cause: its code and sentence; the parts stand on the page, and what to do next."""
    done = doctor(port, *args, **kw)
    lines = done.stdout.splitlines()
    assert lines and lines[0] == "✗ %s: %s" % (code, sentence(code)), done
    assert done.returncode == status and any(l.startswith("    to do   ") for l in lines), done
    for part in parts:
        assert part in done.stdout, "no '%s' in\n%s" % (part, done.stdout)
    verdict = json.loads(doctor(port, *args, "--json", **kw).stdout)
    assert not verdict["accepted"] and verdict["cause"] == code, verdict
    return done.stdout


def join(name, *files):
    with open(folder / name, "w") as out:
        for f in files:
            with open(f) as part:
                out.write(part.read())
    return folder / name


def leaf_only(path, name):
    with open(path) as f, open(folder / name, "w") as out:
        out.write(f.read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
    return folder / name


def crooked(name, *extensions, rsa=None, issuer=True):
    """A certificate as the product would not make it."""
    key, csr, out, config = folder / (name + ".key"), folder / (name + ".csr"), folder / (name + ".pem"), folder / (name + ".cnf")
    with open(config, "w") as f:
        f.write("\n".join(extensions) + "\n")
    openssl("genrsa", "-out", key, rsa) if rsa else openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    openssl("req", "-new", "-key", key, "-subj", "/CN=" + NAME, "-out", csr)
    signer = ["-CA", pki.root, "-CAkey", folder / "root.key", "-CAcreateserial"] if issuer else ["-signkey", key]
    openssl("x509", "-req", "-in", csr, *signer, "-days", "30", "-extfile", config, "-out", out)
    return out, key


def test_00_certificates():
    """a root, an intermediate and a gateway's certificate are made"""
    global folder, pki
    folder = Folder()
    pki = Pki(folder)
    pki.make("intermediate", "my_optional_intermediate_CA", file="inter")
    pki.gateway = pki.make("server", NAME, "--san", "127.0.0.1", issuer="inter", file="gateway")
    pki.device = pki.make("device", "TempSensor")
    leaf_only(folder / "inter.pem", "inter-alone.pem")
    run("rootedge", "cert", "device", "--name", "Stranger", "--out", folder / "stranger.pem", "--key-out", folder / "stranger.key")
    run("rootedge", "cert", "root", "--name", "Other Root", "--out", folder / "other.pem", "--key-out", folder / "other.key")


def test_01_well():
    """all is well: by name and by address, and the chain is a tree with the root on top"""
    with OpensslServer(*pki.gateway) as server:
        page = well(server.port)
        assert "\n  CN=my_private_root_CA  (until " in page and "\n  └─ CN=my_optional_intermediate_CA  (" in page and "\n     └─ CN=%s  (" % NAME in page, page
        assert "TLS: TLSv1.3, " in page and "connection: 127.0.0.1:%d" % server.port in page and "✗" not in page, page
        assert all(len(line) <= 120 for line in page.splitlines()), page
        for name in ("127.0.0.1", NAME.upper(), NAME + "."):
            well(server.port, name=name)
        well(server.port, "--name", NAME, name="some.other.name")
        verdict = json.loads(doctor(server.port, "--json").stdout)
        assert verdict["accepted"] and verdict["cause"] == "OK" and verdict["who"] == "doctor" and len(verdict["chain"]) == 3, verdict


def test_02_no_intermediate():
    """a server that does not send its intermediate: which one is missing, and where it was looked for"""
    with OpensslServer(leaf_only(pki.gateway[0], "leaf.pem"), pki.gateway[1]) as server:
        refuses("TRUST_UNKNOWN_ISSUER", 1, server.port, "found   the server does not send it, and it is not in " + pki.root,
                "wanted  the certificate of its issuer, CN=my_optional_intermediate_CA", "\n  CN=my_optional_intermediate_CA  (missing)\n  └─ CN=" + NAME)
        well(server.port, ca=join("both.pem", pki.root, folder / "inter-alone.pem"))


def test_03_unknown_root():
    """an unknown root: which one is missing, and what the file has; sent along, of the same name, or an intermediate in its place: each told as that"""
    run("rootedge", "cert", "root", "--name", "my_private_root_CA", "--out", folder / "again.pem", "--key-out", folder / "again.key")
    wanted = "wanted  the certificate of its issuer, CN=my_private_root_CA"
    with OpensslServer(*pki.gateway) as server:
        refuses("TRUST_UNKNOWN_ISSUER", 1, server.port, wanted, "at      CN=my_optional_intermediate_CA", "not in " + folder / "other.pem", "other.pem: CN=Other Root\n",
                ca=folder / "other.pem")
        refuses("TRUST_UNKNOWN_ISSUER", 1, server.port, wanted, "again.pem has one of that name, with another key", ca=folder / "again.pem")
        refuses("TRUST_UNKNOWN_ISSUER", 1, server.port, wanted, ca=folder / "inter-alone.pem")
    with OpensslServer(join("whole.pem", pki.gateway[0], pki.root), pki.gateway[1]) as server:
        refuses("TRUST_UNKNOWN_ISSUER", 1, server.port, "the server sends it, but it is not there", ca=folder / "other.pem")
        well(server.port)


def test_04_dates():
    """expired, and not yet valid: with the dates and the time of this machine; a second thing that is wrong is shown too"""
    with OpensslServer(*pki.make("server", NAME, "--not-before", "2024-01-01", "--not-after", "2024-02-01", file="expired")) as server:
        refuses("CERT_EXPIRED", 1, server.port, "2024-01-01T00:00:00Z to 2024-02-01T00:00:00Z", "found   now is 20")
        assert "NAME_MISMATCH" in refuses("CERT_EXPIRED", 1, server.port, name="gw.local")
    begin, end = (time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * 86400)) for days in (400, 800))
    with OpensslServer(*pki.make("server", NAME, "--not-before", begin, "--not-after", end, file="future")) as server:
        refuses("CERT_NOT_YET_VALID", 1, server.port, "wanted  %sT00:00:00Z to %sT00:00:00Z" % (begin, end))


def test_05_names():
    """another name, another address, a CN without subjectAltName, a wildcard that reaches too far: with the names that the certificate has"""
    with OpensslServer(*pki.gateway) as server:
        for name in ("gw.local", NAME + ".evil", "x." + NAME):
            refuses("NAME_MISMATCH", 1, server.port, "wanted  " + name, "found   DNS:%s, IP Address:127.0.0.1" % NAME, name=name)
        refuses("NAME_IP_MISMATCH", 1, server.port, "wanted  127.0.0.9", "found   DNS:%s, IP Address:127.0.0.1" % NAME, name="127.0.0.9")
    with OpensslServer(*crooked("cn-only", "extendedKeyUsage=serverAuth")) as server:
        refuses("NAME_MISMATCH", 1, server.port, "a CN does not count")
    with OpensslServer(*crooked("wild", "subjectAltName=DNS:*.azure-devices.net", "extendedKeyUsage=serverAuth")) as server:
        well(server.port, name="contoso.azure-devices.net")
        refuses("NAME_MISMATCH", 1, server.port, name="a.contoso.azure-devices.net")
        refuses("NAME_MISMATCH", 1, server.port, name="azure-devices.net")


def test_06_kinds():
    """no serverAuth, a weak key, a certificate that signed itself"""
    with OpensslServer(*pki.device) as server:
        refuses("CERT_NO_SERVER_AUTH", 1, server.port, "wanted  extendedKeyUsage serverAuth", "found   clientAuth")
    with OpensslServer(*crooked("weak", "subjectAltName=DNS:" + NAME, rsa="1024"), "-cipher", "DEFAULT@SECLEVEL=0") as server:
        refuses("CERT_WEAK_KEY", 1, server.port, "found   RSA 1024")
    alone = crooked("alone", "subjectAltName=DNS:" + NAME, issuer=False)
    with OpensslServer(*alone) as server:
        refuses("TRUST_SELF_SIGNED", 1, server.port, "CN=%s in %s" % (NAME, pki.root))
        well(server.port, ca=alone[0])


def test_07_old_tls():
    """a server of TLS 1.0 or 1.1, one with old ciphers only, one without a certificate: status 3, and its certificate is judged all the same"""
    for version, word in (("-tls1", "TLSv1"), ("-tls1_1", "TLSv1.1")):
        with OpensslServer(*pki.gateway, version, "-cipher", "ALL:@SECLEVEL=0") as server:
            page = refuses("TLS_OLD_VERSION", 3, server.port, "found   %s\n" % word, "✓ chain of CN=" + NAME)
    with OpensslServer(*pki.make("server", NAME, "--key-alg", "rsa-2048", file="rsa"), "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0") as server:
        refuses("TLS_FAILED", 3, server.port, "it agrees on TLSv1.2 with AES128-SHA only")
    with OpensslServer(None, None, "-tls1_2", "-cipher", "aNULL:@SECLEVEL=0") as server:
        refuses("TLS_NO_CERTIFICATE", 3, server.port)
    with OpensslServer(*pki.gateway, "-tls1_2") as server:
        assert "TLS: TLSv1.2, " in well(server.port)


def test_08_unreachable():
    """a name that does not resolve, a port that nobody listens on, a server that says nothing: status 3, in time"""
    done = run("rootedge", "doctor", "no.such.name.invalid", "--ca", pki.root, check=False)
    assert done.returncode == 3 and done.stdout.startswith("✗ NAME_NOT_RESOLVED: "), done
    refuses("CONNECT_FAILED", 3, refused_port(), "Connection refused")
    start = time.monotonic()
    with Stranger(lambda s: s.recv(1) and s.recv(65536) and s.recv(1)) as server:
        refuses("TLS_FAILED", 3, server.port, "did not answer in time", args=("--timeout", "1"))
    assert time.monotonic() - start < 8 * SLOW


def test_09_no_tls():
    """a port that speaks HTTP, SSH, MQTT or something else without TLS is told as that, with the words it spoke"""
    def http_server(s):
        s.recv(4096)
        s.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def mqtt_broker(s):
        if s.recv(4096)[:1] == b"\x10":
            s.sendall(b"\x20\x02\x00\x02")

    def binary(s):
        s.recv(4096)
        s.sendall(b"\x1b[2J")

    for answer, words in ((http_server, "its answer begins with 'HTTP/1.1 400 Bad Request'"), (lambda s: s.sendall(b"SSH-2.0-x\r\n") or s.recv(4096), "'SSH-2.0-x'"),
                          (mqtt_broker, "it speaks MQTT without TLS"), (binary, "its answer begins with the byte 0x1b")):
        with Stranger(answer) as server:
            refuses("TLS_PLAIN_TEXT", 3, server.port, words)
    with Stranger(lambda s: s.recv(4096)) as server:
        refuses("TLS_FAILED", 3, server.port, "closed the connection when it was greeted in TLS")


def test_10_client_certificate():
    """a client certificate: taken, refused, demanded, never asked for; in TLS 1.2 and in 1.3, where the answer comes after the handshake"""
    good = ("--cert", pki.device[0], "--key", pki.device[1])
    bad = ("--cert", folder / "stranger.pem", "--key", folder / "stranger.key")
    for version in ("-tls1_2", "-tls1_3"):
        with OpensslServer(*pki.gateway, version, "-Verify", "2", "-verify_return_error", "-CAfile", pki.root) as server:
            assert "CN=TempSensor passes its handshake." in well(server.port, *good).splitlines()[0]
            refuses("CLIENT_CERT_REFUSED", 4, server.port, "at      CN=Stranger", "the peer says 'unknown ca'", args=bad)
            refuses("CLIENT_CERT_WANTED", 4, server.port)
    with OpensslServer(*pki.gateway, "-verify", "2") as server:
        assert "! client certificate: asked for, none given  CLIENT_CERT_WANTED" in well(server.port)
    with OpensslServer(*pki.gateway) as server:
        assert "CLIENT_CERT_NOT_ASKED" in well(server.port, *good)


def test_11_own_certificate():
    """what is wrong with the client certificate is seen before it is shown: dates, key, clientAuth; status 4"""
    old = pki.make("device", "Old", "--not-before", "2024-01-01", "--not-after", "2024-02-01", file="old")
    with OpensslServer(*pki.gateway, "-verify", "2") as server:
        refuses("CERT_EXPIRED", 4, server.port, "at      CN=Old", args=("--cert", old[0], "--key", old[1]))
        refuses("KEY_MISMATCH", 4, server.port, "at      CN=TempSensor", args=("--cert", pki.device[0], "--key", old[1]))
        refuses("CERT_NO_CLIENT_AUTH", 4, server.port, "found   serverAuth", args=("--cert", pki.gateway[0], "--key", pki.gateway[1]))


def test_12_discretion():
    """a server that is not trusted never sees the client certificate, and no server gets a byte after the handshake"""
    def listen(s):
        return s.getpeercert(binary_form=True), s.recv(4096)

    with open(pki.device[0]) as f:
        der = ssl.PEM_cert_to_DER_cert(f.read())
    for ca, seen in ((folder / "other.pem", [(None, b"")]), (pki.root, [(None, b""), (der, b"")])):
        with Stranger(listen, *pki.gateway) as server:
            server.context.verify_mode = ssl.CERT_OPTIONAL
            server.context.load_verify_locations(pki.root)
            doctor(server.port, "--cert", pki.device[0], "--key", pki.device[1], ca=ca)
            wait_for(lambda: len(server.heard) == len(seen), "the server to hear the end")
        assert server.heard == seen, server.heard


def test_13_hub():
    """our hub is found well, by who has its root; its handshake takes any certificate, since it decides at CONNECT"""
    with Hub(folder, pki) as hub:
        assert "passes its handshake" in well(hub.mqtt_port, "--cert", folder / "stranger.pem", "--key", folder / "stranger.key", name="contosoiothub.local")
        well(hub.https_port, name="127.0.0.1")
        refuses("NAME_MISMATCH", 1, hub.mqtt_port, "DNS:contosoiothub.local", name="fabrikam.local")


def test_14_hostile():
    """a chain of two hundred certificates, and one with control bytes in its names: judged in time, shown harmlessly"""
    evil = crooked("evil", "subjectAltName=DNS:\x1b]0;x,DNS:" + NAME)
    with OpensslServer(*evil) as server:
        page = well(server.port)
        assert "\x1b" not in page and "]0;x" in page, page
    with OpensslServer(join("long.pem", pki.gateway[0], *[folder / "other.pem"] * 200), pki.gateway[1]) as server:
        start, done = time.monotonic(), doctor(server.port)
        assert done.returncode in (1, 3) and time.monotonic() - start < 10 * SLOW, done


def test_15_rude():
    """a server that breaks off, right after the handshake or in it, gets a judgement and kills nobody"""
    def reset(s):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Stranger(reset, *pki.gateway) as server:
        server.context.verify_mode = ssl.CERT_OPTIONAL
        server.context.load_verify_locations(pki.root)
        for _ in range(10):
            done = doctor(server.port)
            assert done.returncode in (0, 3), done
    with Stranger(lambda s: reset(s) or s.recv(10)) as server:
        refuses("TLS_FAILED", 3, server.port)
    with Stranger(lambda s: s.recv(65536) and s.sendall(b"\x16\x03\x03\x00\x20\x02")) as server:
        refuses("TLS_FAILED", 3, server.port, "the peer closed the connection")


def test_16_called_wrongly():
    """a wrong call is told with status 2, and --help tells what each status means"""
    for args in ((), ("gw.local",), ("a", "b", "--ca", pki.root), ("gw.local", "--ca", folder / "nothing.pem"), ("gw.local", "--ca", folder / "root.key"),
                 ("gw.local", "--ca", pki.root, "--cert", pki.device[0]), ("gw.local:0", "--ca", pki.root), ("gw.local", "--caa", pki.root)):
        done = run("rootedge", "doctor", *args, check=False)
        assert done.returncode == 2 and done.stderr.startswith("rootedge doctor: ") and not done.stdout, done
    text = run("rootedge", "doctor", "--help").stdout
    assert all("%d " % status in text[text.index("Exit status:"):] for status in range(5)), text


def test_20_explain():
    """explain tells a code's sentence, severity, fix and rule, in any spelling; and lists them all"""
    page = run("rootedge", "explain", "cert-expired").stdout
    for part in ("CERT_EXPIRED (refusal)", "past its notAfter date.", "to do", "Renew it", "RFC 5280 4.1.2.5"):
        assert part in page, page
    assert json.loads(run("rootedge", "explain", "THUMBPRINT_SHA1", "--json").stdout)["severity"] == "note"
    lines = run("rootedge", "explain").stdout.splitlines()
    assert [l.split()[0] for l in lines] == [r["code"] for r in REASONS] and len(lines) > 60, lines
    two = run("rootedge", "explain", "OK", "NAME_MISMATCH").stdout
    assert "OK (good)" in two and "NAME_MISMATCH (refusal)" in two, two


def test_21_explain_unknown():
    """an unknown code proposes the nearest, or those that it is a part of, with status 1"""
    for word, proposal in (("CERT_EXPIERD", "did you mean CERT_EXPIRED?"), ("expired", "there is CERT_EXPIRED, SAS_EXPIRED"), ("qqqqqqqq", "lists them all")):
        done = run("rootedge", "explain", word, check=False)
        assert done.returncode == 1 and proposal in done.stderr and not done.stdout, done
    assert run("rootedge", "explain", "--jsn", check=False).returncode == 2


def test_99_end():
    """the folder goes"""
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
