#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""keyd against the contract of the keys service, line by line (edge-services 0 and 1.1): each test is a line, and each row of it a request and the answer that a client of the original counts on.
Asked over the common socket, as other software does; who asks is a user of his own where that matters."""
import base64, hashlib, hmac, json, os, socket, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from keyd_client import b64

ME = os.getuid()
OLD, NEW = "?api-version=2020-09-01", "?api-version=2021-05-01"
CERTD, IDENTITYD, AGENT = 61901, 61902, 61903  # users of the story; AGENT is nobody to keyd
NOT_THERE = {"message": "a parameter has an invalid value\ncaused by: key not found"}
BAD_HANDLE = {"message": 'parameter "handle" has an invalid value\ncaused by: invalid handle'}
WRONG_KEY = {"message": 'parameter "mechanism" has an invalid value\ncaused by: mechanism cannot be used with this key type'}
folder = Folder()
sock = folder / "keyd.sock"


def principals(*more):
    return [{"name": "me", "uid": ME, "ids": ["*"]}, {"name": "certd", "uid": CERTD, "ids": ["local-ca", "est-?"], "borrows": True},
            {"name": "identityd", "uid": IDENTITYD, "ids": ["master", "device-*"], "lends": True}, *more]


def write_config(list):
    part = folder / "keyd.json.part"
    with open(part, "w") as f:
        json.dump({"dir": folder / "keys", "principals": list, "sockets": [{"path": sock}], "max_requests": 10}, f)
    os.replace(part, folder / "keyd.json")


write_config(principals())
keyd = Service(folder, "keyd", "--config", folder / "keyd.json")


def ask(method, path, body=None, version=NEW, headers=None):
    status, _, answer = unix_http(sock, method, path + version, body, headers)
    return status, answer


def handle(path, body=None, method="POST"):
    status, answer = ask(method, path, body)
    assert status == 200 and list(answer) == ["keyHandle"], (path, status, answer)
    return answer["keyHandle"]


def expect(rows):
    for method, path, body, status, answer in rows:
        got = ask(method, path, body)
        assert got[0] == status and (answer is None or got[1] == answer), ((method, path, body), got, (status, answer))


ASK_AS = """
import http.client, json, os, socket, sys
uid, path, method, target, body = json.loads(sys.argv[1])
os.setgroups([]); os.setgid(uid); os.setuid(uid)
c = http.client.HTTPConnection("keyd.sock")
c.sock = socket.socket(socket.AF_UNIX); c.sock.settimeout(20); c.sock.connect(path)
c.request(method, target, body and json.dumps(body), {"Content-Type": "application/json"} if body else {})
a = c.getresponse(); text = a.read()
print(json.dumps([a.status, json.loads(text) if text else None]))
"""


def ask_as(uid, method, path, body=None):
    if ME != 0:
        raise Skip("needs root to become another user")
    done = subprocess.run([sys.executable, "-c", ASK_AS, json.dumps([uid, sock, method, path + NEW, body])], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stdout))


def handle_as(uid, path, body=None, method="POST"):
    status, answer = ask_as(uid, method, path, body)
    assert status == 200, (uid, path, status, answer)
    return answer["keyHandle"]


HMAC = lambda h: {"keyHandle": h, "algorithm": "HMAC-SHA256", "parameters": {"message": b64(b"m")}}
ECDSA = lambda h, size=32: {"keyHandle": h, "algorithm": "ECDSA", "parameters": {"digest": b64(b"d" * size)}}
AEAD = lambda h, member, data: {"keyHandle": h, "algorithm": "AEAD", "parameters": {"iv": b64(b"iv"), "aad": b64(b"aad")}, member: b64(data)}


def test_01_versions_and_paths():
    """all routes take both api-versions, which are looked at first; path and method come after, and every wrong thing has its words"""
    for version in (OLD, NEW):
        for path in ("/key/none", "/keypair/none"):
            assert ask("GET", path, version=version) == (400, NOT_THERE), (version, path)
    for version, answer in (("", "api-version not specified"), ("?api-version=2020-09-02", 'invalid api-version "2020-09-02"'), ("?api-version=", 'invalid api-version ""')):
        assert ask("GET", "/nowhere", version=version) == (400, {"message": answer})
    not_found, not_allowed = {"message": "not found"}, {"message": "method not allowed"}
    expect([("GET", "/keys", None, 404, not_found), ("GET", "/key/", None, 404, not_found), ("GET", "/key/a/b", None, 404, not_found), ("POST", "/derivedkey/", {}, 404, not_found),
            ("PUT", "/sign", "{}", 400, not_allowed), ("GET", "/sign", None, 400, not_allowed), ("DELETE", "/encrypt", None, 400, not_allowed), ("PATCH", "/key", "{}", 400, not_allowed),
            ("GET", "/key", None, 400, not_allowed), ("DELETE", "/keypair/x", None, 400, not_allowed), ("GET", "/parameters/algorithm", None, 400, not_allowed)])


def test_02_answers():
    """an answer is JSON with its length; what is done without content is 204 and has none"""
    h = handle("/keypair", {"keyId": "answers"})
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(sock)
        file = s.makefile("rb")
        for method, path, body, status, members in (("GET", "/keypair/answers", b"", b"200", {"keyHandle"}), ("GET", "/keypair/none", b"", b"400", {"message"}),
                                                    ("DELETE", "/keypair", json.dumps({"keyHandle": h}).encode(), b"204", None)):
            s.sendall(("%s %s%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (method, path, NEW, len(body))).encode() + body)
            assert file.readline().split()[1] == status
            headers = dict(line.decode().strip().lower().split(": ", 1) for line in iter(file.readline, b"\r\n"))
            text = file.read(int(headers.get("content-length", 0)))
            assert (headers.get("content-type") == "application/json" and set(json.loads(text)) == members) if members else text == b"", (headers, text)


def test_03_bodies():
    """POST without a body is 400, one that JSON can't be read from 422: unknown words, missing members, other types and what is no base64"""
    h, pair = handle("/key", {"keyId": "bodies", "usage": "sign"}), handle("/keypair", {"keyId": "bodies-pair"})
    missing = {"message": "missing request body"}
    for method, path in (("POST", "/key"), ("DELETE", "/key"), ("POST", "/keypair"), ("DELETE", "/keypair"), ("POST", "/keypair/x"), ("POST", "/parameters/algorithm"), ("POST", "/derivedkey"),
                         ("POST", "/derivedkey/export"), ("POST", "/sign"), ("POST", "/encrypt"), ("POST", "/decrypt")):
        assert ask(method, path) == (400, missing), path
        assert ask(method, path, "{}", headers={"Content-Type": "text/plain"}) == (400, missing), path
        for text in ("", " ", "{", "[]", "7", '{"a":1,"a":2}', "{}"):
            want = 400 if text == "" else 422
            assert ask(method, path, text, headers={"Content-Type": "application/json; charset=utf-8"})[0] == want, (path, text)
    expect([("POST", "/key", {"keyId": "x", "usage": "sign", "keyBytes": "!"}, 422, None), ("POST", "/key", {"keyId": "x", "usage": "Sign"}, 422, None), ("POST", "/key", {"keyId": "x", "usage": ""}, 422, None),
            ("POST", "/sign", dict(HMAC(h), algorithm="RSA"), 422, None), ("POST", "/sign", dict(HMAC(h), parameters={}), 422, None), ("POST", "/sign", {"keyHandle": h, "algorithm": "HMAC-SHA256"}, 422, None),
            ("POST", "/sign", dict(HMAC(h), parameters={"message": "%%"}), 422, None), ("POST", "/sign", dict(ECDSA(pair), parameters={"message": ""}), 422, None),
            ("POST", "/encrypt", {"keyHandle": h, "algorithm": "AEAD", "plaintext": ""}, 422, None), ("POST", "/derivedkey", {"baseKeyHandle": h, "derivationData": "?"}, 422, None),
            ("POST", "/key", {"keyId": "bodies", "usage": "sign", "unknown": {"member": 1}}, 200, None)])


def test_04_key():
    """POST /key makes a key that is not there and gives the one that is, whatever usage is asked; with bytes it imports; GET loads"""
    one = handle("/key", {"keyId": "k", "usage": "derive,sign"})
    mac = ask("POST", "/sign", HMAC(one))
    assert ask("POST", "/sign", HMAC(handle("/key", {"keyId": "k", "usage": "encrypt"}))) == mac
    assert ask("POST", "/sign", HMAC(handle("/key/k", method="GET"))) == mac
    handle("/key", {"keyId": "k", "usage": "sign", "keyBytes": b64(b"another")})
    assert ask("POST", "/sign", HMAC(one)) == (200, {"signature": b64(hmac.new(b"another", b"m", hashlib.sha256).digest())})
    expect([("GET", "/key/absent", None, 400, NOT_THERE), ("POST", "/key", {"keyId": "k", "usage": "sign", "keyBytes": ""}, 400, None),
            ("POST", "/key", {"keyId": "k", "usage": "sign", "keyBytes": b64(b"x" * 129)}, 422, None)])
    stored = os.path.join(folder / "keys", "k-" + hashlib.sha256(b"k").hexdigest() + ".key")
    with open(stored, "rb") as f:
        assert f.read() == b"another", "raw bytes, under the name that the original gives"


def test_05_pair():
    """POST /keypair makes what is preferred first and known; GET loads; the file is PKCS #8 under the original's name"""
    for i, (algorithms, want) in enumerate((("ec-p256:*", "ECDSA"), ("rsa-2048:*", "RSA"), ("dance:rsa-2048", "RSA"), ("", "ECDSA"), (None, "ECDSA"), ("*", "ECDSA"))):
        h = handle("/keypair", {"keyId": "pair-%d" % i} | ({} if algorithms is None else {"preferredAlgorithms": algorithms}))
        assert ask("POST", "/parameters/algorithm", {"keyHandle": h}) == (200, {"value": want}), algorithms
    name = "pair0-" + hashlib.sha256(b"pair-0").hexdigest() + ".key"
    with open(os.path.join(folder / "keys", name)) as f:
        assert f.readline() == "-----BEGIN PRIVATE KEY-----\n"
    expect([("GET", "/keypair/absent", None, 400, NOT_THERE), ("GET", "/keypair/k", None, 400, None)])


def test_06_names():
    """an id may hold what JSON can say; in a path it is percent-encoded, and the file name is the digest of all of it"""
    for id in ("aziot-edged/module/IoTEdgeAPIProxy:637913460334654299:server", "mit Leerzeichen", "schlüssel", "a%2fb", "?", "*", "..", "."):
        handle("/keypair", {"keyId": id})
        quoted = urllib.parse.quote(id, safe="")
        if id not in (".", ".."):
            handle("/keypair/" + quoted, method="GET")
        assert any(hashlib.sha256(id.encode()).hexdigest() in n for n in os.listdir(folder / "keys")), id
    assert "aziotedgedmoduleIoTEdgeAPIProxy637913460334654299server-c7066944a8d35ca97f1e7380ab2afea5068f39a8112476ffc89ea2c46ca81d10.key" in os.listdir(folder / "keys")


def decode(h):
    assert h.startswith("sr=") and h.count("&") == 1, h
    sr, sig = h[3:].split("&sig=")
    return base64.b64decode(sr, validate=True), base64.b64decode(sig, validate=True)


def test_07_handles():
    """a handle is sr, the JSON of key and nonce, and sig, its HMAC under handle-validation-key, each time another; one of the original's for that key is good here"""
    with open(os.path.join(folder / "keys", "handlevalidationkey-" + hashlib.sha256(b"handle-validation-key").hexdigest() + ".key"), "rb") as f:
        validation_key = f.read()
    assert len(validation_key) == 32
    base = handle("/key", {"keyId": "h", "usage": "derive"})
    handles = {"KeyPair": handle("/keypair", {"keyId": "h2"}), "Key": base, "Derived": handle("/derivedkey", {"baseKeyHandle": base, "derivationData": b64(bytes(range(256)))})}
    for kind, h in handles.items():
        text, sig = decode(h)
        assert sig == hmac.new(validation_key, text, hashlib.sha256).digest()
        content = json.loads(text)
        assert list(content["key_id"]) == [kind] and len(base64.b64decode(content["nonce"])) == 64
    assert json.loads(decode(handles["Derived"])[0])["key_id"]["Derived"] == [base, list(range(256))]
    assert handle("/key/h", method="GET") != base
    original = json.dumps({"key_id": {"Key": "h"}, "nonce": b64(os.urandom(64))}, separators=(",", ":")).encode()
    theirs = "sr=%s&sig=%s" % (b64(original), b64(hmac.new(validation_key, original, hashlib.sha256).digest()))
    assert ask("POST", "/sign", HMAC(theirs)) == ask("POST", "/sign", HMAC(base))
    keyd.kill9()
    keyd.start()
    assert ask("POST", "/sign", HMAC(handles["Derived"]))[0] == 200, "a handle outlives a restart"


def test_08_handles_that_are_none():
    """what is not a handle, or is one of another key's kind, is told as the original tells it"""
    pair, secret = handle("/keypair", {"keyId": "n"}), handle("/key", {"keyId": "n2", "usage": "derive,sign"})
    derived = handle("/derivedkey", {"baseKeyHandle": secret, "derivationData": ""})
    kind = lambda what: {"message": 'parameter "handle" has an invalid value\ncaused by: ' + what}
    for bad in ("", "x", pair[:-4] + "AAA=", pair.replace("sr=", "sr=A"), "sig=&sr=", pair + "x"):
        expect([("POST", p, b, 400, BAD_HANDLE) for p, b in (("/sign", ECDSA(bad)), ("/encrypt", AEAD(bad, "plaintext", b"x")), ("/decrypt", AEAD(bad, "ciphertext", b"x")),
                                                             ("/parameters/algorithm", {"keyHandle": bad}), ("/derivedkey", {"baseKeyHandle": bad, "derivationData": ""}), ("/derivedkey/export", {"keyHandle": bad}))])
        expect([("DELETE", p, {"keyHandle": bad}, 400, BAD_HANDLE) for p in ("/key", "/keypair")])
    expect([("DELETE", "/key", {"keyHandle": pair}, 400, kind("handle is not for a key")), ("DELETE", "/keypair", {"keyHandle": secret}, 400, kind("handle is not for a key pair")),
            ("DELETE", "/key", {"keyHandle": derived}, 400, kind("handle is not for a key")), ("POST", "/derivedkey/export", {"keyHandle": secret}, 400, kind("handle is not for a derived key")),
            ("POST", "/derivedkey", {"baseKeyHandle": derived, "derivationData": ""}, 400, None), ("POST", "/derivedkey", {"baseKeyHandle": pair, "derivationData": ""}, 400, None),
            ("POST", "/sign", HMAC(pair), 400, WRONG_KEY), ("POST", "/sign", ECDSA(secret), 400, WRONG_KEY), ("POST", "/sign", ECDSA(derived), 400, WRONG_KEY),
            ("POST", "/encrypt", AEAD(pair, "plaintext", b"x"), 400, WRONG_KEY), ("POST", "/encrypt", {"keyHandle": secret, "algorithm": "RSA-PKCS1", "plaintext": ""}, 400, WRONG_KEY),
            ("POST", "/decrypt", {"keyHandle": pair, "algorithm": "RSA-PKCS1", "ciphertext": ""}, 400, WRONG_KEY), ("POST", "/parameters/algorithm", {"keyHandle": secret}, 400, None)])


def test_09_parameters():
    """parameters: algorithm, the curve's OID, the compressed point, modulus and exponent; what a key does not have is 400"""
    ec, p384, rsa = (handle("/keypair", {"keyId": "p-" + a, "preferredAlgorithms": a}) for a in ("ec-p256", "ec-p384", "rsa-2048"))
    value = lambda h, name: base64.b64decode(ask("POST", "/parameters/" + name, {"keyHandle": h})[1]["value"])
    assert value(ec, "ec-curve-oid").hex() == "2a8648ce3d030107" and value(p384, "ec-curve-oid").hex() == "2b81040022"
    assert (len(value(ec, "ec-point")), len(value(p384, "ec-point"))) == (33, 49) and value(ec, "ec-point")[0] in (2, 3)
    assert len(value(rsa, "rsa-modulus")) == 256 and value(rsa, "rsa-exponent") == b"\x01\x00\x01"
    for h, names in ((ec, ("algorithm", "ec-curve-oid", "ec-public-point")), (rsa, ("algorithm", "rsa-modulus", "rsa-exponent"))):
        assert ask("POST", "/parameters/public", {"keyHandle": h}) == (200, {"value": {n: ask("POST", "/parameters/" + n, {"keyHandle": h})[1]["value"] for n in names}}), "ours: all at once"
    expect([("POST", "/parameters/" + n, {"keyHandle": h}, 400, None) for h, n in ((ec, "rsa-modulus"), (ec, "rsa-exponent"), (rsa, "ec-point"), (rsa, "ec-curve-oid"), (ec, "private"), (ec, "d"))])


def test_10_derived():
    """a derived key is the HMAC of the derivation data; it signs, encrypts, decrypts and is exported"""
    master = os.urandom(32)
    base = handle("/key", {"keyId": "d", "usage": "derive,sign", "keyBytes": b64(master)})
    for data in (b"", b"m:1:primary", os.urandom(1024)):
        derived = handle("/derivedkey", {"baseKeyHandle": base, "derivationData": b64(data)})
        key = hmac.new(master, data, hashlib.sha256).digest()
        assert ask("POST", "/derivedkey/export", {"keyHandle": derived}) == (200, {"key": b64(key)})
        assert ask("POST", "/sign", HMAC(derived)) == (200, {"signature": b64(hmac.new(key, b"m", hashlib.sha256).digest())})
        status, answer = ask("POST", "/encrypt", AEAD(derived, "plaintext", b"text"))
        assert status == 200, answer
        opened = AEAD(derived, "ciphertext", base64.b64decode(answer["ciphertext"]))
        assert ask("POST", "/decrypt", opened) == (200, {"plaintext": b64(b"text")})
        imported = handle("/key", {"keyId": "d2", "usage": "encrypt", "keyBytes": b64(key)})
        assert ask("POST", "/decrypt", dict(opened, keyHandle=imported)) == (200, {"plaintext": b64(b"text")}), "it is an AES-256 key like any other"
    assert ask("POST", "/derivedkey", {"baseKeyHandle": base, "derivationData": b64(os.urandom(1025))})[0] == 422
    ask("DELETE", "/key", {"keyHandle": base})
    assert ask("POST", "/sign", HMAC(derived)) == (400, NOT_THERE)


def test_11_ecdsa():
    """ECDSA takes the digests of SHA-1 to SHA-512 with each curve and gives DER that OpenSSL verifies"""
    for algorithm, oid, size in (("ec-p256", "06082a8648ce3d030107", 32), ("ec-p384", "06052b81040022", 48)):
        h = handle("/keypair", {"keyId": "e-" + algorithm, "preferredAlgorithms": algorithm})
        point = base64.b64decode(ask("POST", "/parameters/ec-point", {"keyHandle": h})[1]["value"])
        head = bytes.fromhex("06072a8648ce3d0201" + oid)
        spki = bytes([0x30, len(head)]) + head + bytes([3, len(point) + 1, 0]) + point
        with open(folder / "pub.der", "wb") as f:
            f.write(bytes([0x30, len(spki)]) + spki)
        for name in ("sha1", "sha224", "sha256", "sha384", "sha512"):
            digest = hashlib.new(name, b"to be signed").digest()
            status, answer = ask("POST", "/sign", dict(ECDSA(h), parameters={"digest": b64(digest)}))
            assert status == 200, (algorithm, name, answer)
            for file, data in (("digest", digest), ("sig", base64.b64decode(answer["signature"]))):
                with open(folder / file, "wb") as f:
                    f.write(data)
            run("openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", folder / "pub.der", "-in", folder / "digest", "-sigfile", folder / "sig")
        expect([("POST", "/sign", ECDSA(h, n), 400, None) for n in (0, 1, 19)] + [("POST", "/sign", ECDSA(h, 65), 422, None)])


def test_12_rsa():
    """RSA keys of 2048 to 4096 bits sign through /encrypt: a block padded here, or any block of the modulus' size; and nothing else"""
    for bits in (2048, 3072, 4096):
        h = handle("/keypair", {"keyId": "r-%d" % bits, "preferredAlgorithms": "rsa-%d" % bits})
        n = int.from_bytes(base64.b64decode(ask("POST", "/parameters/rsa-modulus", {"keyHandle": h})[1]["value"]), "big")
        assert n.bit_length() == bits
        for algorithm, block in (("RSA-PKCS1", b"any block"), ("RSA-NO-PADDING", b"\x00" + os.urandom(bits // 8 - 1))):
            status, answer = ask("POST", "/encrypt", {"keyHandle": h, "algorithm": algorithm, "plaintext": b64(block)})
            assert status == 200, (bits, algorithm, answer)
            back = pow(int.from_bytes(base64.b64decode(answer["ciphertext"]), "big"), 65537, n).to_bytes(bits // 8, "big")
            assert back == (block if algorithm == "RSA-NO-PADDING" else b"\x00\x01" + b"\xff" * (bits // 8 - 3 - len(block)) + b"\x00" + block)
        expect([("POST", "/encrypt", {"keyHandle": h, "algorithm": "RSA-NO-PADDING", "plaintext": b64(b"x" * size)}, 400, None) for size in (0, bits // 8 - 1, bits // 8 + 1)] +
               [("POST", "/encrypt", {"keyHandle": h, "algorithm": "RSA-PKCS1", "plaintext": b64(b"x" * (bits // 8 - 10))}, 400, None)])


def test_13_aead():
    """AEAD: 02, ciphertext, tag of 16 bytes, IV of any length; the form 01, tag, ciphertext is still opened, and nothing that was changed"""
    h = handle("/key", {"keyId": "aead", "usage": "encrypt"})
    for iv in (b"x", b"twelve bytes", os.urandom(64)):
        request = dict(AEAD(h, "plaintext", b"twin"), parameters={"iv": b64(iv), "aad": b64(b"a")})
        status, answer = ask("POST", "/encrypt", request)
        blob = base64.b64decode(answer["ciphertext"])
        assert status == 200 and blob[0] == 2 and len(blob) == 1 + 4 + 16
        opened = {"keyHandle": h, "algorithm": "AEAD", "parameters": request["parameters"], "ciphertext": b64(blob)}
        expect([("POST", "/decrypt", opened, 200, {"plaintext": b64(b"twin")}), ("POST", "/decrypt", dict(opened, ciphertext=b64(b"\x01" + blob[5:] + blob[1:5])), 200, {"plaintext": b64(b"twin")})])
        expect([("POST", "/decrypt", dict(opened, ciphertext=b64(wrong)), 400, None) for wrong in (b"", blob[:1], b"\x03" + blob[1:], blob[:-1], bytes([blob[0], blob[1] ^ 1]) + blob[2:])])


def test_14_move():
    """a pair moves onto another id and takes its place; onto itself, from nowhere, and a symmetric key do not"""
    a, b = (handle("/keypair", {"keyId": "m-" + i}) for i in "ab")
    point = lambda h: ask("POST", "/parameters/ec-point", {"keyHandle": h})
    of_a = point(a)
    expect([("POST", "/keypair/m-a", {"from": "m-a"}, 400, {"message": "source and destination for move are identical"}), ("POST", "/keypair/m-a", {"from": "absent"}, 400, NOT_THERE),
            ("POST", "/key/m-a", {"from": "m-a"}, 400, {"message": "source and destination for move are identical"}), ("POST", "/key/m-a", {"from": "m-b"}, 400, {"message": 'invalid type "key"'}),
            ("POST", "/keypair/m-b", {"from": "m-a"}, 204, None), ("GET", "/keypair/m-a", None, 400, NOT_THERE)])
    assert point(b) == of_a, "a handle goes with the id"
    assert point(a) == (400, NOT_THERE)


def test_15_delete():
    """what is deleted is gone, and deleting it again is no failure"""
    for path, body in (("/key", {"keyId": "gone", "usage": "sign"}), ("/keypair", {"keyId": "gone-pair"})):
        h = handle(path, body)
        expect([("DELETE", path, {"keyHandle": h}, 204, None), ("GET", "%s/%s" % (path, body["keyId"]), None, 400, NOT_THERE), ("DELETE", path, {"keyHandle": h}, 204, None)])


def test_20_principals():
    """making, loading, importing and moving are for principals whose patterns fit: * is any run, ? one character; root may everything"""
    refused = lambda uid, id: (401, {"message": "user %d is not authorized to access the key %s" % (uid, id)})
    for id, may in (("local-ca", True), ("est-1", True), ("est-", False), ("est-12", False), ("Local-ca", False), ("local-ca2", False), ("device-id", False)):
        for method, path, body in (("POST", "/keypair", {"keyId": id}), ("GET", "/keypair/" + id, None)):
            got = ask_as(CERTD, method, path, body)
            assert (got[0] == 200) if may else got == refused(CERTD, id), (id, method, got)
    assert ask_as(CERTD, "POST", "/key", {"keyId": "other", "usage": "sign", "keyBytes": b64(b"x")}) == refused(CERTD, "other")
    assert ask_as(CERTD, "POST", "/keypair/local-ca", {"from": "device-id"}) == refused(CERTD, "device-id")
    assert ask_as(CERTD, "POST", "/keypair/device-id", {"from": "local-ca"}) == refused(CERTD, "device-id")
    assert ask_as(AGENT, "GET", "/keypair/local-ca") == refused(AGENT, "local-ca")
    assert ask_as(AGENT, "GET", "/keypair/absent") == refused(AGENT, "absent"), "what is not there is not told from what is"
    assert ask("GET", "/keypair/local-ca")[0] == 200


def test_21_lent():
    """what identityd hands out is used by software that is no principal: it signs by the handle of its device's pair and of its module's key"""
    pair = handle_as(IDENTITYD, "/keypair", {"keyId": "device-id"})
    base = handle_as(IDENTITYD, "/key", {"keyId": "master", "usage": "derive,sign"})
    derived = handle_as(IDENTITYD, "/derivedkey", {"baseKeyHandle": base, "derivationData": b64(b"m:1:primary")})
    for path, body in (("/sign", ECDSA(pair)), ("/parameters/ec-point", {"keyHandle": pair}), ("/sign", HMAC(derived)), ("/encrypt", AEAD(derived, "plaintext", b"x"))):
        assert ask_as(AGENT, "POST", path, body)[0] == 200, path
    for method, path, body in (("DELETE", "/keypair", {"keyHandle": pair}), ("POST", "/derivedkey/export", {"keyHandle": derived}), ("POST", "/derivedkey", {"baseKeyHandle": base, "derivationData": ""})):
        assert ask_as(AGENT, method, path, body)[0] == 401, path


def test_22_borrowed():
    """certd signs with the handle of an issuer's key that another principal gave it, and nobody else does"""
    write_config(principals({"name": "agent", "uid": AGENT, "ids": ["agent-ca"]}))
    keyd.process.send_signal(signal.SIGHUP)
    wait_for(lambda: ask_as(AGENT, "POST", "/keypair", {"keyId": "agent-ca"})[0] == 200, "the new principal")
    pair = handle_as(AGENT, "/keypair/agent-ca", method="GET")
    assert ask_as(CERTD, "POST", "/sign", ECDSA(pair))[0] == 200
    assert ask_as(CERTD, "DELETE", "/keypair", {"keyHandle": pair})[0] == 401
    assert ask_as(IDENTITYD, "POST", "/sign", ECDSA(pair))[0] == 401
    assert ask_as(CERTD + 10, "POST", "/sign", ECDSA(pair))[0] == 401
    write_config(principals())
    keyd.process.send_signal(signal.SIGHUP)
    wait_for(lambda: ask_as(AGENT, "POST", "/sign", ECDSA(pair))[0] == 401, "the principal to be gone")
    assert ask_as(CERTD, "POST", "/sign", ECDSA(pair))[0] == 401, "with it the handles that it gave"


def test_23_reload():
    """principals are read again when the file changes, without a signal and without a restart; nothing else is, and a broken file changes nothing"""
    pid = keyd.process.pid
    write_config(principals({"name": "agent", "uid": AGENT, "ids": ["watched"]}))
    wait_for(lambda: ask_as(AGENT, "POST", "/keypair", {"keyId": "watched"})[0] == 200, "the new principal", 20)
    for broken in ("{", '{"principals": 7}', '{"principals": [{"name": "agent"}]}'):
        with open(folder / "keyd.json", "w") as f:
            f.write(broken)
        n = keyd.log_text().count("stays as it was")
        keyd.process.send_signal(signal.SIGHUP)
        wait_for(lambda: keyd.log_text().count("stays as it was") > n, "a warning")
        assert ask_as(AGENT, "GET", "/keypair/watched")[0] == 200
    with open(folder / "keyd.json", "w") as f:
        json.dump({"dir": folder / "elsewhere", "principals": principals(), "sockets": [{"path": folder / "other.sock"}], "preloaded_keys": {"device-id": "/nowhere"}}, f)
    keyd.process.send_signal(signal.SIGHUP)
    wait_for(lambda: ask_as(AGENT, "GET", "/keypair/watched")[0] == 401, "the principal to be gone")
    assert ask("GET", "/keypair/device-id")[0] == 200 and not os.path.exists(folder / "elsewhere") and not os.path.exists(folder / "other.sock")
    assert keyd.process.pid == pid and keyd.process.poll() is None


def test_99_stop():
    """keyd stops in order"""
    assert keyd.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
