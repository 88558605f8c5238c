# SPDX-License-Identifier: Apache-2.0
"""keyd alone, and what a client of the original asks of it: shared by the stories about where its keys lie."""
import base64, hashlib, hmac, json, os, subprocess
from rootedge_test import *

V = "?api-version=2021-05-01"
ME = os.getuid()


def b64(data):
    return base64.b64encode(data).decode()


class Keyd(Service):
    """With one caller, us, who may use every key."""

    def __init__(self, folder, config, env=None):
        self.sock, self.keys = folder / "keyd.sock", folder / "keys"
        with open(folder / "keyd.json", "w") as f:
            json.dump(dict({"dir": self.keys, "principals": [{"name": "me", "uid": ME, "ids": ["*"]}], "sockets": [{"path": self.sock, "principal": "me"}]}, **config), f)
        super().__init__(folder, "keyd", "--config", folder / "keyd.json", env=dict(env or {}, ROOTEDGE_LOG="debug,json"))

    def ask(self, method, path, body=None):
        status, _, answer = unix_http(self.sock, method, path + V, body)
        return status, answer

    def handle(self, path, body, method="POST"):
        status, answer = self.ask(method, path, body)
        assert status == 200, (status, answer, self.log_text()[-1500:])
        return answer["keyHandle"]

    def value(self, handle, name):
        status, answer = self.ask("POST", "/parameters/" + name, {"keyHandle": handle})
        assert status == 200, (status, answer)
        return answer["value"] if name == "algorithm" else base64.b64decode(answer["value"])

    def sign(self, handle):
        digest = hashlib.sha256(b"to be signed").digest()
        return self.ask("POST", "/sign", {"keyHandle": handle, "algorithm": "ECDSA", "parameters": {"digest": b64(digest)}})

    def hmac(self, handle, data=b"data"):
        return self.ask("POST", "/sign", {"keyHandle": handle, "algorithm": "HMAC-SHA256", "parameters": {"message": b64(data)}})

    def files(self):
        """Of keys that were made, without keyd's own."""
        return sorted(n for n in os.listdir(self.keys) if not n.startswith("handlevalidationkey-"))


def verify(folder, point, signature):
    """A signature of Keyd.sign by P-256, with the compressed point of the public key."""
    spki = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    for name, data in (("pub.pem", b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(spki) + b"-----END PUBLIC KEY-----\n"), ("digest", hashlib.sha256(b"to be signed").digest()),
                       ("sig", signature)):
        with open(folder / name, "wb") as f:
            f.write(data)
    return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", folder / "pub.pem", "-in", folder / "digest", "-sigfile", folder / "sig"], capture_output=True).returncode == 0


def check_rsa(keyd, handle):
    """The private operation of a key of 2048 bits, padded by keyd, by us, and on any block."""
    n, e = (int.from_bytes(keyd.value(handle, "rsa-" + p), "big") for p in ("modulus", "exponent"))
    assert n.bit_length() == 2048 and e == 65537
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(b"x").digest()
    padded = b"\x00\x01" + b"\xff" * (253 - len(info)) + b"\x00" + info
    for algorithm, block in (("RSA-PKCS1", info), ("RSA-NO-PADDING", padded), ("RSA-NO-PADDING", b"\x00" + os.urandom(255))):
        status, answer = keyd.ask("POST", "/encrypt", {"keyHandle": handle, "algorithm": algorithm, "plaintext": b64(block)})
        assert status == 200, answer
        back = pow(int.from_bytes(base64.b64decode(answer["ciphertext"]), "big"), e, n).to_bytes(256, "big")
        assert back == (padded if algorithm == "RSA-PKCS1" else block)
    for wrong in (b"short", b"\xff" * 257, b""):
        assert keyd.ask("POST", "/encrypt", {"keyHandle": handle, "algorithm": "RSA-NO-PADDING", "plaintext": b64(wrong)})[0] == 400


def check_ed25519(folder, keyd, handle):
    """Ours: the whole message is signed."""
    assert keyd.value(handle, "algorithm") == "EdDSA"
    with open(folder / "pub.pem", "wb") as f:
        f.write(b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(bytes.fromhex("302a300506032b6570032100") + keyd.value(handle, "ed25519-point")) + b"-----END PUBLIC KEY-----\n")
    for message in (b"to be signed", b"x" * 70000):
        status, answer = keyd.ask("POST", "/sign", {"keyHandle": handle, "algorithm": "EdDSA", "parameters": {"message": b64(message)}})
        assert status == 200, answer
        for name, data in (("message", message), ("sig", base64.b64decode(answer["signature"]))):
            with open(folder / name, "wb") as f:
                f.write(data)
        run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", folder / "pub.pem", "-rawin", "-in", folder / "message", "-sigfile", folder / "sig")
    assert keyd.sign(handle)[0] == 400, "no ECDSA with it"
    assert keyd.ask("POST", "/parameters/ec-point", {"keyHandle": handle})[0] == 400


def check_hmac(keyd, handle, master):
    """HMAC by this key, and by keys derived from it."""
    assert keyd.hmac(handle)[1] == {"signature": b64(hmac.new(master, b"data", hashlib.sha256).digest())}
    derived = keyd.handle("/derivedkey", {"baseKeyHandle": handle, "derivationData": b64(b"m:1:primary")})
    want = hmac.new(master, b"m:1:primary", hashlib.sha256).digest()
    assert keyd.ask("POST", "/derivedkey/export", {"keyHandle": derived}) == (200, {"key": b64(want)})
    assert keyd.hmac(derived)[1] == {"signature": b64(hmac.new(want, b"data", hashlib.sha256).digest())}
    assert keyd.ask("POST", "/derivedkey/export", {"keyHandle": handle})[0] == 400


def check_aead(keyd, handle):
    parameters = {"iv": b64(b"an iv"), "aad": b64(b"$edgeHub")}
    status, answer = keyd.ask("POST", "/encrypt", {"keyHandle": handle, "algorithm": "AEAD", "parameters": parameters, "plaintext": b64(b"twin" * 1000)})
    assert status == 200 and base64.b64decode(answer["ciphertext"])[0] == 2, answer
    opened = {"keyHandle": handle, "algorithm": "AEAD", "parameters": parameters, "ciphertext": answer["ciphertext"]}
    assert keyd.ask("POST", "/decrypt", opened) == (200, {"plaintext": b64(b"twin" * 1000)})
    assert keyd.ask("POST", "/decrypt", dict(opened, parameters=dict(parameters, aad=b64(b"x"))))[0] == 400
    assert keyd.ask("POST", "/decrypt", opened)[0] == 200, "a wrong one does no harm to the next"


def try_sensor(edge, hub):
    """TempSensor's connection through the gateway, once that lets it in; for wait_for."""
    if not hasattr(edge, "sensor_key"):
        edge.sensor_key = new_key()
        edge.create_child("TempSensor", {"type": "sas", "symmetricKey": {"primaryKey": edge.sensor_key, "secondaryKey": new_key()}})
    try:
        return edge.mqtt("TempSensor", password=sas(hub.hostname + "/devices/TempSensor", edge.sensor_key))
    except (Refused, OSError, EOFError):
        return None
