#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""atk-29: our clients against servers on the wrong side.  A device that does not trust its server says why in words and sends nothing; one that trusts it and gets nonsense
ends in bounded time and memory; and nobody falls back to plain text.  The peers are `openssl s_server`, our hub, and strangers with their own ideas of TLS, MQTT and HTTP."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from peers import *

NAME = "edgegateway.local"
MEMORY_MAX_KIB = 128 * 1024 if SLOW == 1 else 512 * 1024
ACCEPTED = b"\x20\x02\x00\x00"
folder = pki = None


class Ended:
    """What a measured process left: status, output, seconds, peak memory."""

    def __init__(self, *args, env=None):
        with open(folder / "out", "w+") as out, open(folder / "err", "w+") as err:
            start = time.monotonic()
            process = subprocess.Popen([ROOTEDGE, *map(str, args)], stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=parent_death, env=dict(os.environ, **(env or {})))
            watchdog = threading.Timer(60 * SLOW, process.kill)
            watchdog.start()
            _, status, usage = os.wait4(process.pid, 0)
            watchdog.cancel()
            process.returncode = self.status = os.waitstatus_to_exitcode(status)
            self.seconds, self.memory = time.monotonic() - start, usage.ru_maxrss
            out.seek(0)
            err.seek(0)
            self.out, self.err = out.read(), err.read()
        assert self.memory < MEMORY_MAX_KIB, "%d KiB: %s" % (self.memory, self)

    def __str__(self):
        return "ended with %d after %.1f s\n%s%s" % (self.status, self.seconds, self.out, self.err)


def device(port, *args, name=NAME, ca=None, env=None):
    return Ended("device", "--gateway", "%s:%d" % (name, port), "--connect-to", "127.0.0.1", "--device-id", "TempSensor", "--cert", pki.device[0], "--key", pki.device[1],
                 "--ca", ca or pki.root, "--count", "1", *args, env=env)


def refuses(code, port, *parts, **kw):
    """Status 1, no reading, and a page for people with the code and these parts."""
    done = device(port, **kw)
    assert done.status == 1 and not done.out and "Am I really talking to " in done.err and "  no: %s\n" % code in done.err, done
    for part in parts + ("    to do   ",):
        assert part in done.err, "no '%s': %s" % (part, done)


def trusts(port, **kw):
    """The verdict is yes; s_server speaks no MQTT, so that is all."""
    done = device(port, "--timeout", "1", **kw)
    assert done.status == 3 and "Am I really talking to " in done.err and " yes: " in done.err, done


def crooked(name, *extensions, issuer=True):
    key, csr, out, config = folder / (name + ".key"), folder / (name + ".csr"), folder / (name + ".pem"), folder / (name + ".cnf")
    with open(config, "w") as f:
        f.write("\n".join(extensions) + "\n")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    openssl("req", "-new", "-key", key, "-subj", "/CN=" + NAME, "-out", csr)
    signer = ["-CA", pki.root, "-CAkey", folder / "root.key", "-CAcreateserial"] if issuer else ["-signkey", key]
    openssl("x509", "-req", "-in", csr, *signer, "-days", "30", "-extfile", config, "-out", out)
    return out, key


def test_00_certificates():
    """a root, a gateway and a device are made"""
    global folder, pki
    folder = Folder()
    pki = Pki(folder)
    pki.gateway = pki.make("server", NAME, "--san", "127.0.0.1", file="gateway")
    pki.device = pki.make("device", "TempSensor")
    run("rootedge", "cert", "root", "--name", "Other Root", "--out", folder / "other.pem", "--key-out", folder / "other.key")


def test_01_roots():
    """an unknown root, sent along or not, and a certificate that signed itself are refused, naming whose certificate is missing"""
    with OpensslServer(*pki.gateway) as server:
        refuses("TRUST_UNKNOWN_ISSUER", server.port, "wanted  the certificate of its issuer, CN=my_private_root_CA", ca=folder / "other.pem")
        trusts(server.port)
    with open(folder / "whole.pem", "w") as out:
        out.write(open(pki.gateway[0]).read() + open(pki.root).read())
    with OpensslServer(folder / "whole.pem", pki.gateway[1]) as server:
        refuses("TRUST_UNKNOWN_ISSUER", server.port, "the server sends it, but it is not there", ca=folder / "other.pem")
    with OpensslServer(*crooked("alone", "subjectAltName=DNS:" + NAME, issuer=False)) as server:
        refuses("TRUST_SELF_SIGNED", server.port, "at      CN=" + NAME)


def test_02_dates():
    """an expired certificate and one that is not yet valid are refused, with the dates and the time of this machine"""
    with OpensslServer(*pki.make("server", NAME, "--not-before", "2024-01-01", "--not-after", "2024-02-01", file="expired")) as server:
        refuses("CERT_EXPIRED", server.port, "wanted  2024-01-01T00:00:00Z to 2024-02-01T00:00:00Z", "found   now is ")
    begin, end = (time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * 86400)) for days in (400, 800))
    with OpensslServer(*pki.make("server", NAME, "--not-before", begin, "--not-after", end, file="future")) as server:
        refuses("CERT_NOT_YET_VALID", server.port, "wanted  %sT" % begin)


def test_03_names():
    """another name, an address that is not in the SAN, and a CN alone are refused with the names that there are; case and a final dot do not matter"""
    there = "found   DNS:%s, IP Address:127.0.0.1" % NAME
    with OpensslServer(*pki.gateway) as server:
        refuses("NAME_MISMATCH", server.port, "wanted  gw.local", there, name="gw.local")
        refuses("NAME_IP_MISMATCH", server.port, "wanted  192.0.2.7", there, name="192.0.2.7")
        for name in (NAME.upper(), NAME + ".", "127.0.0.1"):
            trusts(server.port, name=name)
    with OpensslServer(*crooked("ip-as-dns", "subjectAltName=DNS:127.0.0.1,DNS:" + NAME)) as server:
        refuses("NAME_IP_MISMATCH", server.port, "found   DNS:127.0.0.1", name="127.0.0.1")
    with OpensslServer(*crooked("cn-only", "extendedKeyUsage=serverAuth")) as server:
        refuses("NAME_MISMATCH", server.port, "a CN does not count")
    with OpensslServer(*crooked("wild", "subjectAltName=DNS:*.azure-devices.net")) as server:
        trusts(server.port, name="contoso.azure-devices.net")
        for name in ("a.contoso.azure-devices.net", "azure-devices.net"):
            refuses("NAME_MISMATCH", server.port, name=name)


def test_04_purpose():
    """a leaf without serverAuth is refused: a device's certificate makes no server"""
    with OpensslServer(*pki.device) as server:
        refuses("CERT_NO_SERVER_AUTH", server.port, "wanted  extendedKeyUsage serverAuth", "found   clientAuth")


def test_05_hub():
    """our own hub is refused by who has another root or another name in mind, and never hears a CONNECT; the log has the code as JSON"""
    with Hub(folder, pki) as hub:
        hub.create_x509_device("TempSensor", thumbprint(pki.device[0]))
        good = device(hub.mqtt_port, name=hub.hostname)
        assert good.status == 0 and "reading 0: " in good.out, good
        verdicts = len(hub.events())
        refuses("TRUST_UNKNOWN_ISSUER", hub.mqtt_port, name=hub.hostname, ca=folder / "other.pem")
        refuses("NAME_MISMATCH", hub.mqtt_port, "DNS:" + hub.hostname, name="fabrikam.local")
        done = device(hub.mqtt_port, name="fabrikam.local", env={"ROOTEDGE_LOG": "info,json"})
        causes = [json.loads(line)["verdict"]["cause"] for line in done.err.splitlines()]
        assert done.status == 1 and causes == ["NAME_MISMATCH"], done
        assert len(hub.events()) == verdicts and len(list(hub.rest("GET", "/devices")[2])) == 1


def test_06_nothing_sent():
    """to a server that is not trusted goes a ClientHello and an alert: no certificate, no CONNECT; not in TLS 1.2, where it would be readable, and not in 1.3"""
    def relay(server):
        def answer(s):
            heard = b""
            with socket.create_connection(("127.0.0.1", server.port)) as there:
                while True:
                    for ready in select.select([s, there], [], [], 20 * SLOW)[0]:
                        piece = ready.recv(65536)
                        if not piece:
                            return heard
                        heard += piece if ready is s else b""
                        (there if ready is s else s).sendall(piece)
        return answer

    for version in ("-tls1_2", "-tls1_3"):
        with OpensslServer(*pki.gateway, version, "-verify", "2") as server, Stranger(relay(server)) as middle:
            refuses("TRUST_UNKNOWN_ISSUER", middle.port, ca=folder / "other.pem")
            wait_for(lambda: middle.heard, "the relay to end")
            heard = middle.heard[0]
            hello = 5 + struct.unpack("!H", heard[3:5])[0]
            assert heard[0] == 0x16 and len(heard) - hello <= 64 and b"TempSensor" not in heard, (version, len(heard), hello, heard)


def test_07_no_fallback():
    """a port that speaks MQTT without TLS hears TLS and nothing else, however often the device tries"""
    def broker(s):
        heard = s.recv(65536)
        s.sendall(ACCEPTED + b"\xd0\x00")
        while piece := s.recv(65536):
            heard += piece
        return heard

    with Stranger(broker) as server:
        done = device(server.port)
        assert done.status == 3 and not done.out and "not TLS" in done.err, done
        process = subprocess.Popen([ROOTEDGE, "device", "--gateway", "%s:%d" % (NAME, server.port), "--connect-to", "127.0.0.1", "--device-id", "TempSensor", "--cert", pki.device[0],
                                    "--key", pki.device[1], "--ca", pki.root, "--retry"], stderr=subprocess.DEVNULL, preexec_fn=parent_death)
        wait_for(lambda: len(server.heard) >= 4, "the device to try again")
        process.terminate()
        process.wait(10 * SLOW)
        for heard in server.heard:
            hello = 5 + struct.unpack("!H", heard[3:5])[0]
            assert heard[:2] == b"\x16\x03" and len(heard) - hello <= 7, heard


def after_connect(*pieces):
    """A gateway of ours that answers CONNECT with these bytes, and hears on until the end."""
    def answer(s):
        heard = s.recv(65536)
        try:
            for piece in pieces:
                s.sendall(piece)
            while more := s.recv(65536):
                heard += more
        except OSError:
            pass
        return heard
    return answer


def test_08_malformed():
    """nonsense instead of CONNACK, or after it, ends the connection at once with what was wrong; no reading counts"""
    for pieces, words in (([b"\x20\x03\x00\x00\x00"], "CONNACK"), ([b"\xff\xff\xff\xff\xff\xff"], "MQTT"), ([b"\x20\xff\xff\xff\x7f" + b"x" * 65536], "at most 524288"),
                          ([b"\x30\x05\x00\x01abc"], "must not send now"), ([b"HTTP/1.1 301 Moved\r\nLocation: https://evil/\r\n\r\n"], "MQTT"), ([b"\x20\x02\x00\x63"], "reserved code 99"),
                          ([ACCEPTED, ACCEPTED], "second CONNACK"), ([ACCEPTED, b"\x30\x05\x00\x01abc"], "must not send now"), ([ACCEPTED, b"\x40\x01\x00"], ""),
                          ([ACCEPTED, b"\x40\x02\x00\x00"], "MQTT"), ([ACCEPTED, b"\x10\x02\x00\x00"], "must not send now")):
        with Stranger(after_connect(*pieces), *pki.gateway) as server:
            done = device(server.port, "--timeout", "20")
            assert done.status == 3 and words in done.err and not done.out and done.seconds < 10 * SLOW, (pieces, str(done))
    with Stranger(after_connect(b"\x20\x02\x00\x05"), *pki.gateway) as server:
        done = device(server.port)
        assert done.status == 4 and "CONNACK 5, not authorized" in done.err, done


def test_09_false_acknowledgements():
    """acknowledgements of what was never sent acknowledge nothing"""
    def answer(s):
        s.recv(65536)
        s.sendall(ACCEPTED + b"".join(b"\x40\x02" + struct.pack("!H", i) for i in range(1000, 3000)))
        return s.recv(65536)

    with Stranger(answer, *pki.gateway) as server:
        done = device(server.port)
        assert done.status == 3 and not done.out, done


def test_10_endless():
    """a server that never stops talking is left: in the handshake, in a packet, in packets"""
    def chatter(piece):
        def answer(s):
            s.recv(65536)
            sent = 0
            while sent < 1 << 30:
                s.sendall(piece)
                sent += len(piece)
            return sent
        return answer

    for first, cert in ((b"\x16\x03\x03\x40\x00" + b"\x0b\xff\xff\xff" * 4096, ()), (b"\x20\xff\xff\x7f" + b"x" * 65536, pki.gateway), (b"\xd0\x00" * 32768, pki.gateway)):
        with Stranger(chatter(first), *cert) as server:
            done = device(server.port, "--timeout", "5")
            assert done.status == 3 and done.seconds < 10 * SLOW, done
            wait_for(lambda: server.failures or server.heard, "the server to be left")
            assert not server.heard, "it listened to all of 1 GiB"


def test_11_silent():
    """a server that falls silent, before TLS, in TLS byte by byte, or after it, is given up after --timeout"""
    def drip(s):
        s.recv(65536)
        for byte in b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc" + b"\x03" * 1000:
            s.sendall(bytes([byte]))
            if select.select([s], [], [], 0.05)[0] and not s.recv(65536):
                return "left"

    for answer, cert in ((lambda s: s.recv(65536) and s.recv(65536), ()), (drip, ()), (lambda s: s.recv(65536) and s.recv(65536), pki.gateway)):
        with Stranger(answer, *cert) as server:
            done = device(server.port, "--timeout", "1")
            assert done.status == 3 and done.seconds < 6 * SLOW, done


def test_12_renegotiation():
    """a server of TLS 1.2 that demands to renegotiate is not obeyed"""
    with OpensslServer(*pki.gateway, "-tls1_2") as server:
        process = subprocess.Popen([ROOTEDGE, "device", "--gateway", "%s:%d" % (NAME, server.port), "--connect-to", "127.0.0.1", "--device-id", "TempSensor", "--cert", pki.device[0],
                                    "--key", pki.device[1], "--ca", pki.root, "--timeout", "20"], stderr=subprocess.PIPE, text=True, preexec_fn=parent_death)
        wait_for(lambda: "Shared ciphers" in server.said, "the handshake")
        server.process.stdin.write("R\n")
        server.process.stdin.flush()
        wait_for(lambda: "no renegotiation" in server.said, "the refusal")
        said = process.communicate(timeout=30 * SLOW)[1]
        assert process.returncode == 3, said


def hub_list(port):
    return Ended("hub", "device", "list", "--hub", "HostName=%s:%d;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (NAME, port, new_key()), "--ca", pki.root,
                 "--connect-to", "127.0.0.1")


def test_13_http():
    """an HTTPS server with an endless header, an endless body, half a JSON text, or a redirect to another host gets an error from us, not memory, patience or our token"""
    def respond(*pieces, times=1):
        def answer(s):
            s.recv(65536)
            try:
                for piece in pieces[:-1] + (pieces[-1],) * times:
                    s.sendall(piece)
            except OSError:
                pass
            return "answered"
        return answer

    with Stranger(lambda s: s.recv(65536), *pki.gateway) as other:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        for answer in (respond(head, b"X-Fill: " + b"x" * 65536 + b"\r\n", times=16384), respond(head + b"X: ", b"x" * 65536, times=16384),
                       respond(head + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"[" * 65536 + b"\r\n", times=16384),
                       respond(head + b"Content-Length: 1000000000000\r\n\r\n", b"[" * 65536, times=16384), respond(head + b"Content-Length: 11\r\n\r\n" + b'[{"a":1},{"'),
                       respond(head + b"Content-Length: 12\r\n\r\n[1,2,3"), respond(head + b"Content-Length: 100000\r\n\r\n" + b"[" * 100000), respond(b"\x00" * 100),
                       respond(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://%s:%d/devices\r\nContent-Length: 0\r\n\r\n" % (NAME.encode(), other.port)),
                       respond(b"HTTP/1.1 503 Busy\r\nRetry-After: 1000000000000\r\nContent-Length: 0\r\n\r\n"), respond(b"HTTP/1.1 503 Busy\r\nRetry-After: -1\r\nContent-Length: 0\r\n\r\n")):
            with Stranger(answer, *pki.gateway) as server:
                done = hub_list(server.port)
                assert done.status == 1 and done.err and not done.out and done.seconds < 20 * SLOW, done
        assert not other.heard, "it followed the redirect"


def test_14_http_untrusted():
    """an HTTPS server that is not trusted never hears a token"""
    def listen(s):
        return s.recv(65536)

    for cert in (pki.make("server", "fabrikam.local"), pki.device):
        with Stranger(listen, *cert) as server:
            done = hub_list(server.port)
            assert done.status == 1 and re.search("NAME_MISMATCH|CERT_NO_SERVER_AUTH", done.err), done
        assert server.heard in ([], [b""]), server.heard
    with Stranger(listen) as server:
        done = hub_list(server.port)
        assert done.status == 1, done
    assert all(heard[:2] == b"\x16\x03" and b"SharedAccess" not in heard for heard in server.heard), server.heard


def test_99_end():
    """the folder goes"""
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
