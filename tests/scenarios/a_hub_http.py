#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile HTTP to the hub's REST port: what another parser could read otherwise is refused with its status and the connection ends, nothing hidden in a body is ever carried out,
ceilings hold, and whatever comes, the next request on another connection is served."""
import os, random, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = context = token = None
V = "?api-version=2021-04-12"


def test_00_start():
    """a hub starts"""
    global hub, folder, pki, context, token
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    hub.create_device("dev1")
    context = ssl.create_default_context(cafile=pki.root)
    context.check_hostname = False
    token = sas(hub.hostname, hub.policy(), policy="iothubowner", encode=False)


def dial():
    raw = socket.create_connection(("127.0.0.1", hub.https_port), timeout=20 * SLOW)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(raw)


def head(line, *fields, auth=True):
    lines = [line, "Host: " + hub.hostname, *(["Authorization: " + token] if auth else []), *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(s):
    response = http.client.HTTPResponse(s)
    response.begin()
    return response.status, response.read()


def ended(s):
    try:
        return s.recv(1) == b""
    except OSError:
        return True


def refused(data, *statuses):
    """This status, and the end: where the next request would begin, nobody can know."""
    with dial() as s:
        try:
            s.sendall(data)
        except OSError:
            pass  # it was refused before all of it was sent
        status, _ = answer(s)
        assert status in statuses, "%d, not %s, for %s" % (status, statuses, data[:120])
        assert ended(s), "the connection goes on after %s" % data[:120]
    served()


def answered(data, *statuses):
    """An orderly answer with this status, on a connection that goes on."""
    with dial() as s:
        s.sendall(data)
        status, _ = answer(s)
        assert status in statuses, "%d, not %s, for %s" % (status, statuses, data[:120])
        s.sendall(head("GET /devices/dev1%s HTTP/1.1" % V))
        assert answer(s)[0] == 200


def served():
    with dial() as s:
        s.sendall(head("GET /devices/dev1%s HTTP/1.1" % V))
        assert answer(s)[0] == 200


def smuggled(device):
    """A whole request that would create a device, to be hidden in the body of another."""
    body = b'{"deviceId":"%s"}' % device.encode()
    return head("PUT /devices/%s%s HTTP/1.1" % (device, V), "Content-Length: %d" % len(body), "Content-Type: application/json") + body


def test_01_lengths():
    """a Content-Length that is doubled, signed, no decimal number or beyond all bounds is refused"""
    for fields in (["Content-Length: 2", "Content-Length: 2"], ["Content-Length: 2", "Content-Length: 3"], ["Content-Length: 2, 2"], ["Content-Length: +2"], ["Content-Length: -1"],
                   ["Content-Length: 0x2"], ["Content-Length: 2 2"], ["Content-Length: 1e1"], ["Content-Length: "], ["Content-Length: 99999999999999999999"], ["Content-Length: 18446744073709551618"]):
        refused(head("PUT /devices/x%s HTTP/1.1" % V, *fields) + b"{}", 400)
    refused(head("PUT /devices/x%s HTTP/1.1" % V, "Content-Length: 1048577"), 413)


def test_02_smuggling():
    """two ways to tell a body's end are refused, and what stands behind the one or the other is not carried out"""
    hidden = smuggled("hidden")
    chunked = b"0\r\n\r\n" + hidden
    for fields in (["Content-Length: %d" % len(chunked), "Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked", "Content-Length: %d" % len(chunked)],
                   ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"]):
        refused(head("POST /devices%s HTTP/1.1" % V, *fields) + chunked, 400)
    for coding in ("identity", "chunked, identity", "gzip, chunked", "xchunked", "chunked, chunked", "chunke", ","):
        refused(head("POST /devices%s HTTP/1.1" % V, "Transfer-Encoding: " + coding) + chunked, 400, 501)
    for field in ("Transfer-Encoding : chunked", " Transfer-Encoding: chunked", "Transfer-Encoding:\x0bchunked", "Transfer-Encoding\x00: chunked", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
                  "X: y\r\n Transfer-Encoding: chunked", "Transfer\xadEncoding: chunked", ": chunked"):
        refused(head("POST /devices%s HTTP/1.1" % V, field) + chunked, 400)
    refused(head("POST /devices%s HTTP/1.0" % V, "Transfer-Encoding: chunked") + chunked, 400)
    with dial() as s:  # by the one rule that holds, the second request is a body
        s.sendall(head("PUT /devices/outer%s HTTP/1.1" % V, "Content-Length: %d" % len(hidden)) + hidden)
        assert answer(s)[0] == 400
    assert hub.rest("GET", "/devices/hidden")[0] == 404 and hub.rest("GET", "/devices/outer")[0] == 404


def test_03_chunks():
    """a chunk's size with a sign, a blank, a prefix, beyond 32 bits or without its end is refused; one byte at a time it is read"""
    for size in (b"-1", b"+2", b" 2", b"0x2", b"", b"g", b"2 ", b"fffffffff", b"FFFFFFFFFFFFFFFF", b"2;" + b"x" * 10000, b"2\n{}", b"2\r{}"):
        refused(head("PUT /devices/x%s HTTP/1.1" % V, "Transfer-Encoding: chunked") + size + b"\r\n{}\r\n0\r\n\r\n", 400)
    refused(head("PUT /devices/x%s HTTP/1.1" % V, "Transfer-Encoding: chunked") + b"2\r\n{}XX0\r\n\r\n", 400)
    refused(head("PUT /devices/x%s HTTP/1.1" % V, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\nbad trailer\r\n\r\n", 400)
    refused(head("PUT /devices/x%s HTTP/1.1" % V, "Transfer-Encoding: chunked") + b"10000\r\n%s\r\n" % (b"x" * 65536) * 40, 400, 413)
    refused(head("PUT /devices/x%s HTTP/1.1" % V, "Transfer-Encoding: chunked") + b"0\r\n" + b"T: v\r\n" * 20000 + b"\r\n", 400, 431)
    with dial() as s:
        for byte in head("PUT /devices/slow%s HTTP/1.1" % V, "Transfer-Encoding: chunked") + b"".join(b"1;x=y\r\n%c\r\n" % c for c in b'{"deviceId":"slow"}') + b"0\r\nTransfer-Encoding: x\r\n\r\n":
            s.sendall(bytes([byte]))
        assert answer(s)[0] == 200


def test_04_floods():
    """too many fields, too long ones, a target without end and a body beyond its ceiling are refused with 431, 414 and 413"""
    refused(head("GET /devices%s HTTP/1.1" % V, *["X%d: y" % i for i in range(1000)]), 431)
    refused(head("GET /devices%s HTTP/1.1" % V, *["X: y"] * 100000), 431)
    refused(head("GET /devices%s HTTP/1.1" % V, "X: " + "y" * 1000000), 431)
    refused(head("GET /devices%s HTTP/1.1" % V, "y" * 1000000 + ": x"), 431)
    refused(head("GET /%s HTTP/1.1" % ("d" * 1000000)), 414, 431)
    refused(head("PUT /devices/x%s HTTP/1.1" % V, "Content-Length: 2000000") + b"{" * 2000000, 413)
    refused(b"G" * 1000000, 400, 431)
    refused(b"\r\n" * 100000, 400)


def test_05_lines():
    """a request line that RFC 9112 does not know is refused; one that names nothing here is answered"""
    for line in ("get /devices HTTP/1.1", "GET  /devices HTTP/1.1", "GET /devices  HTTP/1.1", "GET /devices", "GET /devices HTTP/0.9", "GET /devices HTTP/2.0", "GET /devices HTTP/1.10", "GET /devices HTTP/1.1 x",
                 "GET\t/devices HTTP/1.1", "GET /dev\x80 HTTP/1.1", "GET /dev\x00 HTTP/1.1", "PRI * HTTP/2.0", "GET http://%s/devices HTTP/1.1" % "a", "OPTIONS * HTTP/1.1", "CONNECT a:443 HTTP/1.1", "FROB / HTTP/1.1"):
        refused(head(line), 400)
    refused(b"GET /devices HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400)
    refused(b"\x16\x03\x01\x00\xa5", 400)
    for path in ("/", "//", "/devices/%zz", "/devices/%00", "/devices/%2e%2e%2f", "/devices/../devices/dev1", "/%64evices/dev1/x/y/z", "/devices/dev1;x=y", "/?" + "&" * 2000, "/devices/" + "%41" * 2000, "/a" * 2000):
        answered(head("GET %s%sapi-version=2021-04-12 HTTP/1.1" % (path, "&" if "?" in path else "?")), 400, 401, 404)


def test_06_bodies():
    """JSON that is deep, broken, of the wrong types or not UTF-8 is answered with 400"""
    bodies = [b"[" * 100000, b'{"a":' * 50000, b"{}" * 10, b"null", b"1e999", b'{"deviceId":1}', b'{"deviceId":null,"deviceId":[]}', b'{"deviceId":"x","status":{}}', b'{"authentication":[]}', b'{"authentication":{"type":7}}',
              b'{"authentication":{"symmetricKey":"x"}}', b'{"authentication":{"symmetricKey":{"primaryKey":7,"secondaryKey":[]}}}', b'{"authentication":{"x509Thumbprint":{"primaryThumbprint":{}}}}', b'{"capabilities":1}',
              b'{"capabilities":{"iotEdge":"yes"}}', b'{"deviceScope":7}', b'{"deviceId":"\xff"}', b'{"deviceId":"\\u0000"}', b'{"deviceId":"\\ud800"}', b"\x00", b"\xef\xbb\xbf{}", b'"' + b"x" * 900000]
    for body in bodies:
        answered(head("PUT /devices/json%s HTTP/1.1" % V, "Content-Length: %d" % len(body)) + body, 400)
        answered(head("POST /devices/dev1/modules/$edgeHub/devicesAndModulesInTargetDeviceScope%s HTTP/1.1" % V, "Content-Length: %d" % len(body)) + body, 400, 401, 403)
    assert hub.rest("GET", "/devices/json")[0] == 404


def test_07_authorization():
    """atk-11: an Authorization header of any shape opens nothing"""
    shapes = ["", " ", "SharedAccessSignature", "SharedAccessSignature ", "SharedAccessSignature " + "&" * 5000, "SharedAccessSignature sr=&sig=&se=&skn=", "Basic YTpi", token[:-1], token + "x", token.replace("se=", "se=-"),
              token + "\t" + "x" * 4000, "sharedaccesssignature " + token.split(" ", 1)[1] + "&a=b", "SharedAccessSignature " + "sr=a&" * 500, "\xff\xfe"]
    for shape in shapes:
        answered(head("GET /devices/dev1%s HTTP/1.1" % V, "Authorization: " + shape, auth=False), 401)
    refused(head("GET /devices/dev1%s HTTP/1.1" % V, "Authorization: " + "x" * 100000, auth=False), 431)


def test_08_pipelines():
    """requests that come all at once are answered one by one, in order, and one that asks to be the last is"""
    with dial() as s:
        s.sendall(b"".join(head("GET /devices/%s%s HTTP/1.1" % ("dev1" if i % 2 else "nobody", V)) for i in range(100)))
        with s.makefile("rb") as f:
            statuses = []
            for _ in range(100):
                statuses.append(int(f.readline().split()[1]))
                length = 0
                while (line := f.readline()) != b"\r\n":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                f.read(length)
        assert statuses == [404, 200] * 50, statuses
    with dial() as s:
        s.sendall(head("GET /devices/dev1%s HTTP/1.1" % V, "Connection: close") + smuggled("late"))
        assert answer(s)[0] == 200 and ended(s)
    with dial() as s:  # an upgrade that is not offered is a request like another, or refused: what follows is not taken for HTTP/2
        s.sendall(head("GET /devices/dev1%s HTTP/1.1" % V, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__") + smuggled("late"))
        answer(s)
    assert hub.rest("GET", "/devices/late")[0] == 404


def test_09_noise():
    """random bytes, random cuts of a good request, and good requests with a byte changed are survived"""
    rng = random.Random(1)
    good = smuggled("noise")
    for i in range(300):
        kind = i % 3
        if kind == 0:
            data = rng.randbytes(rng.randrange(1, 2000))
        elif kind == 1:
            data = good[:rng.randrange(1, len(good))]
        else:
            at = rng.randrange(len(good))
            data = good[:at] + rng.randbytes(1) + good[at + 1:]
        with dial() as s:
            try:
                s.sendall(data)
                s.unwrap()
            except (OSError, ValueError):
                pass
    served()


def test_10_cut_off():
    """connections that end in the middle of a request, or before the answer, leave nothing behind"""
    fds = len(os.listdir("/proc/%d/fd" % hub.process.pid))
    for i in range(200):
        with dial() as s:
            s.sendall(smuggled("cut")[:-1] if i % 2 else head("GET /devices%s HTTP/1.1" % V))
    wait_for(lambda: len(os.listdir("/proc/%d/fd" % hub.process.pid)) <= fds, "the descriptors to come back")
    assert hub.rest("GET", "/devices/cut")[0] == 404


def test_99_stop():
    """the hub stops in order"""
    assert hub.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
