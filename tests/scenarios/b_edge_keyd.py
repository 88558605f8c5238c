#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""keyd alone, on its sockets: the contract of edge-services 0.1 and 1.1 as a client of the original sees it, and that a key is used by those only who may,
asked again at every use (atk-10, atk-13, atk-15, atk-16)."""
import base64, hashlib, hmac, json, os, socket, stat, subprocess, sys, threading, time, urllib.parse
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from keyd_client import Keyd, check_ed25519

V = "?api-version=2020-09-01"
ME = os.getuid()
folder = Folder()
PLANTED = b"planted-secret-9f31c0de-do-not-show"
sock, certd_sock, gateway_sock = folder / "keyd.sock", folder / "certd.sock", folder / "gateway.sock"


def b64(data):
    return base64.b64encode(data).decode()


def write_config(**changes):
    config = {
        "dir": folder / "keys",
        "principals": [{"name": "certd", "uid": ME, "ids": ["local-ca", "aziot-edged-ca*"]},
                       {"name": "gateway", "uid": ME, "ids": ["gateway-*", "derived:master"]},
                       {"name": "stranger", "uid": ME + 4711, "ids": ["*"]}],
        "sockets": [{"path": sock}, {"path": certd_sock, "principal": "certd"}, {"path": gateway_sock, "principal": "gateway"}],
        "max_requests": 10,
    }
    config.update(changes)
    with open(folder / "keyd.json", "w") as f:
        json.dump(config, f)


write_config()
os.environ["ROOTEDGE_LOG"] = "debug,json"  # the most talkative, for atk-10
keyd = Service(folder, "keyd", "--config", folder / "keyd.json")


def ask(method, path, body=None, on=gateway_sock, headers=None, version=V):
    status, _, answer = unix_http(on, method, path + version, body, headers)
    return status, answer


def handle(path, body, on=gateway_sock, method="POST"):
    status, answer = ask(method, path, body, on)
    assert status == 200, (status, answer)
    return answer["keyHandle"]


def key(id, usage="sign,derive", on=gateway_sock, **more):
    return handle("/key", dict(keyId=id, usage=usage, **more), on)


def test_01_versions():
    """api-version comes first, then path, then method, as the original has it"""
    assert ask("GET", "/nowhere", version="") == (400, {"message": "api-version not specified"})
    assert ask("GET", "/nowhere", version="?api-version=2019-01-01") == (400, {"message": 'invalid api-version "2019-01-01"'})
    assert ask("GET", "/nowhere") == (404, {"message": "not found"})
    assert ask("GET", "/keypair/a/b") == (404, {"message": "not found"})
    assert ask("PUT", "/key") == (400, {"message": "method not allowed"})
    assert ask("GET", "/nowhere", version="?api-version=x&api-version=2021-05-01") == (404, {"message": "not found"}), "the last one counts"


def test_02_bodies():
    """what is wrong with a body is said as the original says it"""
    assert ask("POST", "/key") == (400, {"message": "missing request body"})
    assert ask("POST", "/key", "{}", headers={"Content-Type": "text/plain"}) == (400, {"message": "missing request body"})
    assert ask("POST", "/key", "{")[0] == 422
    assert ask("POST", "/key", "[1]")[0] == 422
    for path, body in (("/key", {"usage": "sign"}), ("/key", {"keyId": "gateway-a"}), ("/key", {"keyId": 7, "usage": "sign"}), ("/key", {"keyId": "gateway-a", "usage": "dance"}),
                       ("/key", {"keyId": "gateway-a", "usage": ""}), ("/key", {"keyId": "gateway-a", "usage": "sign,,"}), ("/key", {"keyId": "gateway-a", "usage": "sign", "keyBytes": 7}),
                       ("/keypair", {}), ("/keypair", {"keyId": ["gateway-a"]}), ("/keypair", {"keyId": "gateway-a", "preferredAlgorithms": {}}), ("/keypair/gateway-a", {}),
                       ("/sign", {"keyHandle": "x"}), ("/sign", {"algorithm": "ECDSA"}), ("/encrypt", {"keyHandle": "x", "algorithm": "AEAD"}), ("/decrypt", {"keyHandle": "x", "algorithm": "AEAD"}),
                       ("/parameters/algorithm", {"keyHandle": None}), ("/derivedkey", {"baseKeyHandle": "x"}), ("/derivedkey/export", {"handle": "x"})):
        status, answer = ask("POST", path, body)
        assert status == 422 and answer["message"], (path, body, status, answer)
    for path in ("/key", "/keypair"):
        assert ask("DELETE", path, {})[0] == 422 and ask("DELETE", path) == (400, {"message": "missing request body"})
    assert ask("POST", "/key/gateway-a", {"from": "gateway-b"})[0] == 400, "only pairs are moved"


def test_03_hmac_and_derived():
    """HMAC with a key and with keys derived from it, as a SAS token needs them"""
    master = os.urandom(32)
    base = key("gateway-master", keyBytes=b64(master))
    data = b"hub%2Fdevices%2Fd\n1700000000"
    status, answer = ask("POST", "/sign", {"keyHandle": base, "algorithm": "HMAC-SHA256", "parameters": {"message": b64(data)}})
    assert status == 200 and answer["signature"] == b64(hmac.new(master, data, hashlib.sha256).digest())
    derived = handle("/derivedkey", {"baseKeyHandle": base, "derivationData": b64(b"$edgeHub:638:primary")})
    want = hmac.new(master, b"$edgeHub:638:primary", hashlib.sha256).digest()
    status, answer = ask("POST", "/sign", {"keyHandle": derived, "algorithm": "HMAC-SHA256", "parameters": {"message": b64(data)}})
    assert status == 200 and answer["signature"] == b64(hmac.new(want, data, hashlib.sha256).digest())
    assert ask("POST", "/derivedkey/export", {"keyHandle": derived}) == (200, {"key": b64(want)})
    assert ask("POST", "/derivedkey/export", {"keyHandle": base})[0] == 400, "only derived keys leave"
    assert ask("POST", "/derivedkey", {"baseKeyHandle": derived, "derivationData": b64(b"x")})[0] == 400, "no nested derivation"


def test_04_aead():
    """AEAD: version byte 2, ciphertext, tag; another AAD or IV does not open it; the old layout is still read"""
    h = key("gateway-enc", "encrypt")
    parameters = {"iv": b64(b"an iv of any length"), "aad": b64(b"$edgeHub638")}
    status, answer = ask("POST", "/encrypt", {"keyHandle": h, "algorithm": "AEAD", "parameters": parameters, "plaintext": b64(b"twin")})
    assert status == 200, answer
    blob = base64.b64decode(answer["ciphertext"])
    assert blob[0] == 2 and len(blob) == 1 + 4 + 16
    opened = {"keyHandle": h, "algorithm": "AEAD", "parameters": parameters, "ciphertext": b64(blob)}
    assert ask("POST", "/decrypt", opened) == (200, {"plaintext": b64(b"twin")})
    old = b"\x01" + blob[5:] + blob[1:5]
    assert ask("POST", "/decrypt", dict(opened, ciphertext=b64(old))) == (200, {"plaintext": b64(b"twin")})
    for wrong in ({"iv": parameters["iv"], "aad": b64(b"$edgeHub639")}, {"iv": b64(b"another"), "aad": parameters["aad"]}):
        assert ask("POST", "/decrypt", dict(opened, parameters=wrong))[0] == 400
    for wrong in (b"", b"\x02", b"\x03" + blob[1:], blob[:-1], blob + b"x"):
        assert ask("POST", "/decrypt", dict(opened, ciphertext=b64(wrong)))[0] == 400, wrong


def openssl_verify(public_pem, digest, signature):
    for name, data in (("pub.pem", public_pem), ("digest", digest), ("sig", signature)):
        with open(folder / name, "wb") as f:
            f.write(data)
    return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", folder / "pub.pem", "-in", folder / "digest", "-sigfile", folder / "sig"],
                          capture_output=True).returncode == 0


def test_05_ecdsa():
    """an EC pair: parameters in the original's form, and a signature that OpenSSL accepts"""
    h = handle("/keypair", {"keyId": "gateway-tls", "preferredAlgorithms": "ec-p256:*"})
    value = {n: ask("POST", "/parameters/" + n, {"keyHandle": h})[1].get("value") for n in ("algorithm", "ec-curve-oid", "ec-point")}
    assert value["algorithm"] == "ECDSA" and base64.b64decode(value["ec-curve-oid"]) == bytes.fromhex("2a8648ce3d030107"), value
    point = base64.b64decode(value["ec-point"])
    assert len(point) == 33 and point[0] in (2, 3)
    digest = hashlib.sha256(b"to be signed").digest()
    status, answer = ask("POST", "/sign", {"keyHandle": h, "algorithm": "ECDSA", "parameters": {"digest": b64(digest)}})
    assert status == 200, answer
    spki = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(spki) + b"-----END PUBLIC KEY-----\n"
    assert openssl_verify(pem, digest, base64.b64decode(answer["signature"]))
    assert ask("POST", "/parameters/rsa-modulus", {"keyHandle": h})[0] == 400
    assert ask("POST", "/parameters/secret", {"keyHandle": h})[0] == 400
    assert ask("POST", "/sign", {"keyHandle": h, "algorithm": "HMAC-SHA256", "parameters": {"message": b64(b"x")}})[0] == 400, "not with a pair"
    assert ask("POST", "/sign", {"keyHandle": h, "algorithm": "ECDSA", "parameters": {"digest": b64(b"short")}})[0] == 400


def test_06_rsa():
    """an RSA pair signs through encrypt, the way the original's engine does: verified with nothing but the public numbers"""
    h = handle("/keypair", {"keyId": "gateway-rsa", "preferredAlgorithms": "rsa-2048:*"})
    n, e = (int.from_bytes(base64.b64decode(ask("POST", "/parameters/rsa-" + p, {"keyHandle": h})[1]["value"]), "big") for p in ("modulus", "exponent"))
    assert n.bit_length() == 2048 and e == 65537
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(b"x").digest()
    status, answer = ask("POST", "/encrypt", {"keyHandle": h, "algorithm": "RSA-PKCS1", "plaintext": b64(info)})
    assert status == 200, answer
    padded = pow(int.from_bytes(base64.b64decode(answer["ciphertext"]), "big"), e, n).to_bytes(256, "big")
    assert padded == b"\x00\x01" + b"\xff" * (253 - len(info)) + b"\x00" + info
    status, answer = ask("POST", "/encrypt", {"keyHandle": h, "algorithm": "RSA-NO-PADDING", "plaintext": b64(padded)})
    assert status == 200 and pow(int.from_bytes(base64.b64decode(answer["ciphertext"]), "big"), e, n).to_bytes(256, "big") == padded
    assert ask("POST", "/encrypt", {"keyHandle": h, "algorithm": "RSA-NO-PADDING", "plaintext": b64(b"short")})[0] == 400
    assert ask("POST", "/decrypt", {"keyHandle": h, "algorithm": "RSA-PKCS1", "ciphertext": b64(padded)})[0] == 400, "decrypt knows AEAD only"


class Gateway:
    """Its side of keyd, as keyd_client.py has it."""
    ask, handle = staticmethod(ask), staticmethod(handle)

    @staticmethod
    def value(h, name):
        text = ask("POST", "/parameters/" + name, {"keyHandle": h})[1]["value"]
        return text if name == "algorithm" else base64.b64decode(text)

    @staticmethod
    def sign(h):
        return ask("POST", "/sign", {"keyHandle": h, "algorithm": "ECDSA", "parameters": {"digest": b64(hashlib.sha256(b"x").digest())}})


def test_06_ed25519():
    """an Ed25519 pair, which the original does not have, signs whole messages"""
    check_ed25519(folder, Gateway, handle("/keypair", {"keyId": "gateway-ed", "preferredAlgorithms": "ed25519"}))


def test_06_p384():
    """an EC P-384 pair has its own curve and signs"""
    h = handle("/keypair", {"keyId": "gateway-p384", "preferredAlgorithms": "ec-p384"})
    assert Gateway.value(h, "ec-curve-oid") == bytes.fromhex("2b81040022") and len(Gateway.value(h, "ec-point")) == 49
    assert Gateway.sign(h)[0] == 200


def test_07_create_if_absent():
    """creating what is there gives the same key; handles differ; a handle still works after kill -9"""
    one, two = (handle("/keypair", {"keyId": "gateway-same", "preferredAlgorithms": a}) for a in ("ec-p256", "rsa-2048"))
    assert one != two
    points = [ask("POST", "/parameters/ec-point", {"keyHandle": h})[1]["value"] for h in (one, two)]
    assert points[0] == points[1]
    keyd.kill9()
    keyd.start()
    assert ask("POST", "/parameters/ec-point", {"keyHandle": one}) == (200, {"value": points[0]})
    assert ask("GET", "/keypair/gateway-same")[0] == 200
    assert ask("GET", "/keypair/gateway-none")[0] == 400


def test_08_move_and_delete():
    """pairs move by id and overwrite; what is deleted is gone"""
    handle("/keypair", {"keyId": "gateway-old"})
    new = handle("/keypair", {"keyId": "gateway-new"})
    point = ask("POST", "/parameters/ec-point", {"keyHandle": new})[1]
    assert ask("POST", "/keypair/gateway-old", {"from": "gateway-old"}) == (400, {"message": "source and destination for move are identical"})
    assert ask("POST", "/keypair/gateway-old", {"from": "gateway-new"})[0] == 204
    assert ask("POST", "/parameters/ec-point", {"keyHandle": handle("/keypair/gateway-old", None, method="GET")})[1] == point
    assert ask("GET", "/keypair/gateway-new")[0] == 400
    assert ask("DELETE", "/key", {"keyHandle": handle("/keypair/gateway-old", None, method="GET")})[0] == 400, "a pair is not a key"
    assert ask("DELETE", "/keypair", {"keyHandle": handle("/keypair/gateway-old", None, method="GET")})[0] == 204
    assert ask("GET", "/keypair/gateway-old")[0] == 400


def test_10_atk16_ids():
    """atk-16: an id of another's is refused whatever is asked, and whether it exists is not told"""
    handle("/keypair", {"keyId": "aziot-edged-ca"}, on=certd_sock)
    for id in ("aziot-edged-ca", "aziot-edged-cb", "device-id", "handle-validation-key", "", "*", "gateway", "xgateway-a"):
        for method, path, body in (("POST", "/keypair", {"keyId": id}), ("POST", "/key", {"keyId": id, "usage": "sign"}), ("GET", "/keypair/" + id, None), ("GET", "/key/" + id, None),
                                   ("POST", "/keypair/" + id, {"from": "gateway-same"}), ("POST", "/keypair/gateway-mine", {"from": id})):
            status, answer = ask(method, path, body)
            if path == "/keypair/" or path == "/key/":
                assert (status, answer) == (404, {"message": "not found"}), (method, path, status, answer)
            else:
                assert (status, answer) == (401, {"message": "user %d is not authorized to access the key %s" % (ME, id)}), (id, method, path, status, answer)


def test_11_atk16_handles():
    """atk-16: another's handle, stolen, is refused at every use"""
    digest = b64(hashlib.sha256(b"x").digest())
    pair = handle("/keypair/aziot-edged-ca", None, on=certd_sock, method="GET")
    secret = key("local-ca", on=certd_sock)
    assert ask("POST", "/sign", {"keyHandle": pair, "algorithm": "ECDSA", "parameters": {"digest": digest}}, on=certd_sock)[0] == 200
    for path, body in (("/sign", {"keyHandle": pair, "algorithm": "ECDSA", "parameters": {"digest": digest}}),
                       ("/sign", {"keyHandle": secret, "algorithm": "HMAC-SHA256", "parameters": {"message": digest}}),
                       ("/encrypt", {"keyHandle": secret, "algorithm": "AEAD", "parameters": {"iv": digest, "aad": digest}, "plaintext": digest}),
                       ("/decrypt", {"keyHandle": secret, "algorithm": "AEAD", "parameters": {"iv": digest, "aad": digest}, "ciphertext": digest}),
                       ("/parameters/algorithm", {"keyHandle": pair}), ("/derivedkey", {"baseKeyHandle": secret, "derivationData": digest})):
        assert ask("POST", path, body)[0] == 401, path
    for path, h in (("/keypair", pair), ("/key", secret)):
        assert ask("DELETE", path, {"keyHandle": h})[0] == 401, path
    assert ask("GET", "/keypair/aziot-edged-ca", on=certd_sock)[0] == 200, "it is still there"


def test_12_atk16_forged():
    """atk-16: a handle that keyd did not make is refused"""
    good = handle("/keypair/gateway-tls", None, method="GET")
    sr, sig = good[3:].split("&sig=")
    other = b64(base64.b64decode(sr).replace(b"gateway-tls", b"gateway-rsa"))
    for forged in ("sr=%s&sig=%s" % (other, sig), "sr=%s&sig=" % sr, "sr=%s" % sr, good + "&sig=" + sig, good.replace("sr=", "SR="), "gateway-tls", "", "sr=&sig=" + sig,
                   "sr=%s&sig=%s" % (sr, b64(hmac.new(b"", base64.b64decode(sr), hashlib.sha256).digest()))):
        status, answer = ask("POST", "/parameters/algorithm", {"keyHandle": forged})
        assert (status, answer) == (400, {"message": 'parameter "handle" has an invalid value\ncaused by: invalid handle'}), (forged, status, answer)


def test_13_atk16_withdrawn():
    """atk-16: a handle is worth nothing once its owner may no longer use the key, restart or not"""
    h = handle("/keypair/gateway-tls", None, method="GET")
    keyd.stop()
    write_config(principals=[{"name": "gateway", "uid": ME, "ids": ["other-*"]}], sockets=[{"path": gateway_sock, "principal": "gateway"}])
    keyd.start()
    assert ask("POST", "/parameters/algorithm", {"keyHandle": h})[0] == 401
    keyd.stop()
    write_config()
    keyd.start()
    assert ask("POST", "/parameters/algorithm", {"keyHandle": h})[0] == 200


def test_14_signing_only():
    """who has derived:BASE signs with keys derived from BASE, and can neither export them nor use BASE"""
    if ME != 0:
        raise Skip("the common socket is root's")
    master = handle("/key", {"keyId": "master", "usage": "derive,sign"}, on=sock)
    derived = handle("/derivedkey", {"baseKeyHandle": master, "derivationData": b64(b"m:1:primary")}, on=sock)
    message = {"algorithm": "HMAC-SHA256", "parameters": {"message": b64(b"x")}}
    assert ask("POST", "/sign", dict(message, keyHandle=derived))[0] == 200
    assert ask("POST", "/derivedkey/export", {"keyHandle": derived})[0] == 401
    assert ask("POST", "/sign", dict(message, keyHandle=master))[0] == 401
    assert ask("POST", "/derivedkey", {"baseKeyHandle": master, "derivationData": b64(b"y")})[0] == 401
    assert ask("POST", "/sign", dict(message, keyHandle=derived), on=certd_sock)[0] == 401


def as_user(uid, code):
    """Run Python code as another user; its output."""
    done = subprocess.run([sys.executable, "-c", "import os, socket, sys\nos.setgroups([]); os.setgid(%d); os.setuid(%d)\n" % (uid, uid) + code], capture_output=True, text=True, timeout=30)
    return done.stdout.strip() + done.stderr.strip()


GET = """
s = socket.socket(socket.AF_UNIX); s.connect(%r)
s.sendall(b'GET /keypair/%s?api-version=2020-09-01 HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')
print(s.makefile('rb').readline().split()[1].decode())
"""


def test_15_atk13_users():
    """atk-13, atk-16: the user id decides: a principal's socket opened by another user answers nothing"""
    if ME != 0:
        raise Skip("needs root to become another user")
    os.chmod(folder.path, 0o711)
    for path, uid, id, want in ((gateway_sock, 4710, "gateway-tls", "401"), (certd_sock, 4711, "aziot-edged-ca", "401"), (sock, 4711, "aziot-edged-ca", "200"),
                                (sock, 4712, "aziot-edged-ca", "401"), (sock, 4712, "handle-validation-key", "401")):
        got = as_user(uid, GET % (path, id))
        assert got == want, (path, uid, id, got, want)


def test_16_atk15_ids():
    """atk-15: ids that would leave the folder are files in it, or refused"""
    handle("/keypair", {"keyId": "gateway-../../../etc/x"})
    for id in ("gateway-%2e%2e%2f%2e%2e%2fetc%2fpasswd", "gateway-%00", "gateway-a%2fb", "gateway-" + "x" * 600, "gateway-%ff", "gateway-%0a"):
        assert ask("GET", "/keypair/" + id)[0] in (400, 401, 404), id
    assert ask("POST", "/keypair", {"keyId": "gateway-" + "x" * 600})[0] == 400
    assert ask("POST", "/keypair", '{"keyId":"gateway-\\u0000x"}')[0] in (400, 422)
    names = os.listdir(folder / "keys")
    assert all(n.endswith(".key") and "/" not in n for n in names), names
    want = "gatewayetcx-" + hashlib.sha256(b"gateway-../../../etc/x").hexdigest() + ".key"
    assert want in names, names
    assert sorted(os.listdir(folder.path)) == sorted(set(os.listdir(folder.path)) - {"etc"})


def test_17_modes():
    """keys are 0600 in 0700, whatever the umask was"""
    assert stat.S_IMODE(os.stat(folder / "keys").st_mode) == 0o700
    for name in os.listdir(folder / "keys"):
        assert stat.S_IMODE(os.stat(os.path.join(folder / "keys", name)).st_mode) == 0o600, name


def test_18_atk10_leaks():
    """atk-10: a planted key is in no log, error answer, command line or environment, and the process can't be dumped"""
    h = key("gateway-planted", keyBytes=b64(PLANTED))
    ask("POST", "/sign", {"keyHandle": h, "algorithm": "HMAC-SHA256", "parameters": {"message": "not base64 !"}})
    ask("POST", "/key", {"keyId": "gateway-x", "usage": "nonsense", "keyBytes": b64(PLANTED)})
    ask("POST", "/key", {"keyId": "local-ca", "usage": "sign", "keyBytes": b64(PLANTED)})
    ask("POST", "/key", '{"keyId":"gateway-x","usage":"sign","keyBytes":"%s"' % b64(PLANTED))
    texts = [keyd.log_text()]
    for file in ("cmdline", "environ"):
        try:
            with open("/proc/%d/%s" % (keyd.process.pid, file), "rb") as f:
                texts.append(f.read().decode(errors="replace"))
        except PermissionError:
            pass  # not even its own user may look
    for text in texts:
        for form in (PLANTED.decode(), b64(PLANTED), PLANTED.hex(), h):
            assert form not in text, form
    with open("/proc/%d/limits" % keyd.process.pid) as f:
        core = [l.split() for l in f if l.startswith("Max core file size")][0]
    assert core[4] == "0" and core[5] == "0", core
    assert os.stat("/proc/%d/maps" % keyd.process.pid).st_uid == 0, "PR_SET_DUMPABLE 0 gives /proc files to root"


def test_19_throttle():
    """more connections of one user than max_requests are closed at once; the next one is served when one ends"""
    held = []
    for _ in range(10):
        s = socket.socket(socket.AF_UNIX)
        s.connect(sock)
        held.append(s)
    request = b"GET /keypair/x" + V.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    for s in held:
        s.settimeout(20)
        s.sendall(request)
        assert s.recv(100).startswith(b"HTTP/1.1 40")
    extra = socket.socket(socket.AF_UNIX)
    extra.settimeout(20)
    extra.connect(sock)
    try:
        assert extra.recv(1) == b""
    except ConnectionResetError:
        pass
    held.pop().close()

    def served():
        try:
            return ask("GET", "/keypair/x", on=sock)[0] in (400, 401)
        except (OSError, http.client.HTTPException):
            return False
    wait_for(served, "a free place")
    for s in held:
        s.close()


def test_19_slow_bodies():
    """a request that is not whole after five seconds is answered 408, however steadily it trickles; others are served meanwhile"""
    slow = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    for s in slow:
        s.connect(gateway_sock)
        s.settimeout(1)
        s.sendall(b"POST /key" + V.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    start, answers = time.monotonic(), {}
    while len(answers) < 2 and time.monotonic() - start < 20 * SLOW:
        for s in slow:
            try:
                if s is slow[0] and s not in answers:
                    s.sendall(b" ")
                answers[s] = answers.get(s) or s.recv(100)
            except (socket.timeout, BrokenPipeError):
                pass
        assert ask("GET", "/keypair/gateway-none")[0] == 400
    assert len(answers) == 2 and all(a.startswith(b"HTTP/1.1 408 ") for a in answers.values()), answers
    assert time.monotonic() - start > 3, "five seconds are given"


def test_20_many_at_once():
    """twenty callers create one key at once: one key"""
    points = []

    def one():
        h = handle("/keypair", {"keyId": "gateway-race"})
        points.append(ask("POST", "/parameters/ec-point", {"keyHandle": h})[1]["value"])
    threads = [threading.Thread(target=one) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(points) == 20 and len(set(points)) == 1


def test_21_malformed_key():
    """a key file that can't be read is an internal error whose log names the file, and stays untouched"""
    path = os.path.join(folder / "keys", "gatewaybad-" + hashlib.sha256(b"gateway-bad").hexdigest() + ".key")
    with open(path, "w") as f:
        f.write("half a key")
    assert ask("POST", "/keypair", {"keyId": "gateway-bad"})[0] in (400, 500)
    with open(path) as f:
        assert f.read() == "half a key"
    assert path in keyd.log_text()


def test_21_encrypted():
    """an encrypted private key is refused with what to do, nobody is asked for a pass phrase, and the file stays"""
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / "plain.pem")
    forms = {"pkcs8": ("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:x"), "traditional": ("ec", "-aes256", "-passout", "pass:x")}
    for form, how in forms.items():
        run("openssl", *how, "-in", folder / "plain.pem", "-out", folder / (form + ".pem"))
    with SubFolder(folder, "encrypted") as own, Keyd(own, {"preloaded_keys": {f: folder / (f + ".pem") for f in forms}}) as other:
        for form in forms:
            with open(folder / (form + ".pem")) as f:
                before = f.read()
            for method, path, body in (("GET", "/keypair/" + form, None), ("POST", "/keypair", {"keyId": form})):
                status, answer = other.ask(method, path, body)
                assert status == 400 and "encrypted with a pass phrase" in answer["message"], (form, status, answer)
            with open(folder / (form + ".pem")) as f:
                assert f.read() == before


def test_21_slow_keys():
    """eight RSA keys that are being made, more than keyd has workers, keep nobody from signing with a P-256 key"""
    done, signed, h = [], 0, handle("/keypair", {"keyId": "gateway-quick"})
    threads = [threading.Thread(target=lambda i=i: done.append(handle("/keypair", {"keyId": "gateway-slow%d" % i, "preferredAlgorithms": "rsa-2048"}))) for i in range(8)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        assert Gateway.sign(h)[0] == 200
        signed += len(done) <= 4  # so each of the four workers has one to make
    assert len(done) == 8 and signed, "a signature was made while all workers were busy"


def test_21_memory():
    """an idle keyd takes less than 3 MB (proportional set size)"""
    if "asan" in BUILD or "tsan" in BUILD or ME != 0:
        raise Skip("a sanitizer's memory is its own; and smaps is root's to read")
    with SubFolder(folder, "idle") as own, Keyd(own, {}) as other:
        with open("/proc/%d/smaps_rollup" % other.process.pid) as f:
            pss = next(int(l.split()[1]) for l in f if l.startswith("Pss:"))
        assert pss < 3000, "%d KB" % pss


def test_22_broken_config():
    """a configuration that is broken is named, and refused"""
    bad = folder / "bad.json"
    for text, part in (("{", "bad.json"), ("{}", "dir"), ('{"dir": 7}', "dir"), ('{"dir": "%s", "sockets": [{"path": "%s", "principal": "nobody"}]}' % (folder / "k2", folder / "x.sock"), "nobody"),
                       ('{"dir": "%s", "sockets": [{"path": "%s"}]}' % (folder / "k2", folder / ("x" * 120)), "x" * 100)):
        with open(bad, "w") as f:
            f.write(text)
        done = run("rootedge", "keyd", "--config", bad, check=False)
        assert done.returncode == 1 and part in done.stderr, (text, done)
    assert run("rootedge", "keyd", check=False).returncode in (1, 2)


def test_23_socket_place():
    """a socket path where something else lies is refused, and that something stays"""
    with open(folder / "file", "w") as f:
        f.write("mine")
    os.mkdir(folder / "dir")
    for place in ("file", "dir"):
        write_config(sockets=[{"path": folder / place}], dir=folder / "k3")
        done = run("rootedge", "keyd", "--config", folder / "keyd.json", check=False)
        assert done.returncode == 1 and folder / place in done.stderr, done
    assert os.path.isdir(folder / "dir") and open(folder / "file").read() == "mine"
    write_config()


def test_99_stop():
    """keyd stops in order"""
    assert keyd.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
