#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""keyd with its keys in a TPM 2.0 (swtpm): made there and bound to it, the same endpoints as with files, and a TPM that is switched off and on while keyd runs."""
import base64, glob, os, shutil, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from keyd_client import *
from tokens import *

def with_tpm(folder, tpm, **config):
    return Keyd(folder, dict({"tpm": {"base": True, "tcti": tpm.tcti}}, **config))


def texts(keyd):
    """What keyd keeps of its keys, by the beginning of the name."""
    found = {}
    for name in keyd.files():
        with open(os.path.join(keyd.keys, name), "rb") as f:
            found[name.split("-")[0]] = f.read()
    return found


def test_01_pairs():
    """a new pair is made in the TPM, its file is of use to that only, and it signs, also after a restart"""
    with Folder() as folder, Swtpm(folder) as tpm, with_tpm(folder, tpm) as keyd:
        h = keyd.handle("/keypair", {"keyId": "device", "preferredAlgorithms": "ec-p256:*"})
        point = keyd.value(h, "ec-point")
        assert verify(folder, point, base64.b64decode(keyd.sign(h)[1]["signature"]))
        assert texts(keyd)["device"].startswith(b"-----BEGIN TSS2 PRIVATE KEY-----"), texts(keyd)
        keyd.kill9()
        keyd.start()
        again = keyd.handle("/keypair", {"keyId": "device", "preferredAlgorithms": "rsa-2048"})
        assert keyd.value(again, "ec-point") == point and keyd.sign(h)[0] == 200
        check_rsa(keyd, keyd.handle("/keypair", {"keyId": "rsa", "preferredAlgorithms": "rsa-2048:*"}))
        assert keyd.ask("POST", "/keypair", {"keyId": "none", "preferredAlgorithms": "ed25519"})[0] == 400
        assert set(texts(keyd)) == {"device", "rsa"}


def test_02_symmetric():
    """a symmetric key is sealed by the TPM, and does all that one in a file does"""
    with Folder() as folder, Swtpm(folder) as tpm, with_tpm(folder, tpm) as keyd:
        master = os.urandom(32)
        h = keyd.handle("/key", {"keyId": "master", "usage": "derive,sign", "keyBytes": b64(master)})
        made = keyd.handle("/key", {"keyId": "made", "usage": "encrypt"})
        check_hmac(keyd, h, master)
        check_aead(keyd, made)
        kept = texts(keyd)
        assert all(text.startswith(b"-----BEGIN TSS2 PRIVATE KEY-----") for text in kept.values()), kept
        assert master not in b"".join(kept.values()) and b64(master).encode() not in b"".join(kept.values())
        keyd.handle("/key", {"keyId": "master", "usage": "sign", "keyBytes": b64(b"n" * 32)})
        check_hmac(keyd, keyd.handle("/key/master", None, "GET"), b"n" * 32)
        assert texts(keyd)["master"].startswith(b"-----BEGIN TSS2"), "it stays sealed"
        assert keyd.ask("POST", "/key", {"keyId": "odd", "usage": "sign", "keyBytes": b64(b"-----BEGIN TSS2 PRIVATE KEY-----\n")})[0] == 400


def test_03_switched_off():
    """a TPM that is off makes its keys fail and no other, and nothing is made elsewhere; on again it serves without a restart"""
    with Folder() as folder, Swtpm(folder) as tpm:
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / "file.pem")
        with with_tpm(folder, tpm, preloaded_keys={"in-file": folder / "file.pem"}) as keyd:
            pair, secret = keyd.handle("/keypair", {"keyId": "device"}), keyd.handle("/key", {"keyId": "master", "usage": "sign"})
            in_file, mac, names = keyd.handle("/keypair/in-file", None, "GET"), keyd.hmac(secret), keyd.files()
            for _ in range(2):
                tpm.off()
                assert keyd.sign(pair) == (500, {"message": "internal error"})
                for method, path, body in (("POST", "/keypair", {"keyId": "new"}), ("POST", "/key", {"keyId": "new", "usage": "sign"}), ("GET", "/key/master", None),
                                           ("POST", "/key", {"keyId": "master", "usage": "sign", "keyBytes": b64(b"x" * 32)})):
                    assert keyd.ask(method, path, body)[0] == 500, (method, path)
                assert keyd.files() == names and keyd.sign(in_file)[0] == 200
                tpm.on()
                assert keyd.sign(pair)[0] == 200 and keyd.hmac(secret) == mac
            assert "the TPM (swtpm:" in keyd.log_text()


def test_04_another_tpm():
    """keys of another TPM are told from broken ones, stay as they are, and are nobody's once the TPM is another"""
    with Folder() as folder, Swtpm(folder) as tpm, with_tpm(folder, tpm) as keyd:
        pair, secret = keyd.handle("/keypair", {"keyId": "device"}), keyd.handle("/key", {"keyId": "master", "usage": "sign"})
        before = texts(keyd)
        tpm.off()
        tpm.on("other")
        assert keyd.sign(pair)[0] == 500 and keyd.hmac(secret)[0] == 500
        keyd.kill9()
        keyd.start()
        for method, path, body in (("POST", "/keypair", {"keyId": "device"}), ("POST", "/key", {"keyId": "master", "usage": "sign"})):
            assert keyd.ask(method, path, body)[0] == 500, path
        assert texts(keyd) == before and "made by another TPM, or by this one before it was cleared" in keyd.log_text()
        tpm.off()
        tpm.on()
        assert keyd.sign(pair)[0] == 200 and keyd.hmac(secret)[0] == 200


def test_05_plain_files():
    """files from before the TPM are used as they are, and move and delete as ever; a pair of the TPM moves too"""
    with Folder() as folder, Swtpm(folder) as tpm:
        with Keyd(folder, {}) as keyd:
            point = keyd.value(keyd.handle("/keypair", {"keyId": "older"}), "ec-point")
        with with_tpm(folder, tpm) as keyd:
            assert keyd.value(keyd.handle("/keypair", {"keyId": "older"}), "ec-point") == point
            new = keyd.value(keyd.handle("/keypair", {"keyId": "newer"}), "ec-point")
            assert keyd.ask("POST", "/keypair/older", {"from": "newer"})[0] == 204
            h = keyd.handle("/keypair/older", None, "GET")
            assert keyd.value(h, "ec-point") == new and keyd.sign(h)[0] == 200
            assert keyd.ask("DELETE", "/keypair", {"keyHandle": h})[0] == 204 and keyd.files() == []


def test_06_persistent():
    """a key that the factory made and kept in the TPM is used by its handle, and is neither made, moved nor deleted here"""
    if not shutil.which("tpm2_create"):
        raise Skip("tpm2-tools is not installed")
    with Folder() as folder, Swtpm(folder) as tpm:
        for command in ("startup -c", "createprimary -Q -C o -G ecc256 -c p.ctx", "flushcontext -t", "create -Q -C p.ctx -G ecc256 -u k.pub -r k.priv -a sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth",
                        "flushcontext -t", "load -Q -C p.ctx -u k.pub -r k.priv -c k.ctx", "flushcontext -t", "evictcontrol -Q -C o -c k.ctx 0x81000010", "flushcontext -t"):
            run("tpm2_" + command.split()[0], *command.split()[1:], cwd=folder.path, env=dict(os.environ, TPM2TOOLS_TCTI=tpm.tcti))
        with with_tpm(folder, tpm, preloaded_keys={"device-id": "tpm:handle=0x81000010", "none": "tpm:handle=0x81000099"}) as keyd:
            h = keyd.handle("/keypair", {"keyId": "device-id"})
            assert verify(folder, keyd.value(h, "ec-point"), base64.b64decode(keyd.sign(h)[1]["signature"]))
            status, answer = keyd.ask("POST", "/keypair", {"keyId": "none"})
            assert status == 400 and "no key with the handle 0x81000099" in answer["message"], answer
            assert keyd.ask("DELETE", "/keypair", {"keyHandle": h})[0] == 400 and keyd.ask("POST", "/keypair/x", {"from": "device-id"})[0] == 400
            for method, path, body in (("GET", "/key/device-id", None), ("POST", "/key", {"keyId": "device-id", "usage": "sign", "keyBytes": b64(b"x" * 32)})):
                assert keyd.ask(method, path, body)[0] == 400, path
            assert keyd.sign(h)[0] == 200 and keyd.files() == []


def test_07_loaded_when_needed():
    """the TSS is loaded when a key in the TPM is asked for, not before"""
    with Folder() as folder, Swtpm(folder) as tpm, with_tpm(folder, tpm) as keyd:
        try:
            assert "libtss2" not in open("/proc/%d/maps" % keyd.process.pid).read()
        except PermissionError:
            raise Skip("keyd's memory map is root's to read")
        keyd.handle("/keypair", {"keyId": "device"})
        assert "libtss2" in open("/proc/%d/maps" % keyd.process.pid).read()


def test_20_device():
    """a whole edge device whose new keys are made in the TPM, in its sandbox: quickstart Edge CA, the TLS key of the gateway, and a sensor that sends through its gateway"""
    with Folder() as folder, Swtpm(folder) as tpm:
        with Hub(folder, Pki(folder)) as hub:
            with Edge(folder, hub, config='[aziot_keys]\ntpm_base = true\n[tpm]\ntcti = "%s"\n' % tpm.tcti) as edge:
                client = wait_for(lambda: try_sensor(edge, hub), "the gateway lets the sensor in", 30)
                client.publish("devices/TempSensor/messages/events/", b"21 degrees")
                client.close()
                keys = os.path.join(edge.state, "keyd", "keys")
                for name in os.listdir(keys):
                    if name.endswith(".tmp"):
                        continue  # one that is being written just now
                    with open(os.path.join(keys, name), "rb") as f:
                        assert name.startswith("handlevalidationkey-") or f.read().startswith(b"-----BEGIN TSS2 PRIVATE KEY-----"), name
                assert len(os.listdir(keys)) > 3, os.listdir(keys)


def test_21_identity():
    """the device's identity key was made in the TPM by tpm2-openssl: its file is named like any other, and the hub lets the device in by it"""
    if not glob.glob("/usr/lib/*/ossl-modules/tpm2.so"):
        raise Skip("tpm2-openssl is not installed")
    with Folder() as folder, Swtpm(folder) as tpm, Hub(folder, Pki(folder)) as hub, Edge(folder, hub, config='[tpm]\ntcti = "%s"\n' % tpm.tcti) as edge:
        assert edge.stop() == 0
        cert, key = folder / "EdgeGateway.pem", folder / "EdgeGateway.key"
        at = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")
        env = dict(os.environ, TPM2OPENSSL_TCTI=tpm.tcti)
        run("tpm2_startup", "-c", env=dict(os.environ, TPM2TOOLS_TCTI=tpm.tcti))
        run("openssl", "genpkey", *at, "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out", key, env=env)
        run("openssl", "req", *at, "-new", "-x509", "-days", 30, "-key", key, "-subj", "/CN=EdgeGateway", "-out", cert, env=env)
        if ME == 0:
            os.chown(key, 61840, 61840)
        with open(key) as f:
            assert f.read().startswith("-----BEGIN TSS2 PRIVATE KEY-----")
        record = hub.rest("GET", "/devices/EdgeGateway")[2]
        record["authentication"]["x509Thumbprint"]["primaryThumbprint"] = thumbprint(cert)
        assert hub.rest("PUT", "/devices/EdgeGateway", record, {"If-Match": "*"})[0] == 200
        edge.start()
        wait_for(lambda: try_sensor(edge, hub), "the gateway lets the sensor in", 30).close()


run_all()
