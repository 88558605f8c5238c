#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""keyd with its keys in a PKCS #11 token (SoftHSM 2): the same endpoints as with files, a token that is pulled out and put back while keyd runs, and nothing that
lands elsewhere than it was asked for."""
import base64, json, os, shutil, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from keyd_client import *
from tokens import *

def with_token(folder, hsm, **config):
    return Keyd(folder, dict({"pkcs11_lib_path": hsm.module, "pkcs11_base_slot": hsm.uri()}, **config), hsm.env)


def test_01_pairs():
    """a new pair is made in the token and nothing of it in keyd's folder; it signs, and is the same after a restart"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        with with_token(folder, hsm) as keyd:
            h = keyd.handle("/keypair", {"keyId": "device-id", "preferredAlgorithms": "ec-p256:*"})
            assert keyd.files() == [] and hsm.labels() == 2, (keyd.files(), hsm.labels())
            point = keyd.value(h, "ec-point")
            status, answer = keyd.sign(h)
            assert status == 200 and verify(folder, point, base64.b64decode(answer["signature"])), answer
            keyd.kill9()
            keyd.start()
            assert keyd.value(h, "ec-point") == point, "a handle outlives a restart, with the key in the token"
            again = keyd.handle("/keypair", {"keyId": "device-id", "preferredAlgorithms": "rsa-2048"})
            assert keyd.value(again, "ec-point") == point and hsm.labels() == 2
            check_rsa(keyd, keyd.handle("/keypair", {"keyId": "rsa", "preferredAlgorithms": "rsa-2048:*"}))
            if "asan" not in BUILD:  # SoftHSM loses the name of this curve at each use
                check_ed25519(folder, keyd, keyd.handle("/keypair", {"keyId": "ed", "preferredAlgorithms": "ed25519:*"}))
            assert keyd.files() == []


def test_02_symmetric():
    """symmetric keys are made and used in the token, imported into it, and keys derived from them are as from a file"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        master = os.urandom(32)
        with with_token(folder, hsm) as keyd:
            h = keyd.handle("/key", {"keyId": "master", "usage": "derive,sign", "keyBytes": b64(master)})
            check_hmac(keyd, h, master)
            enc = keyd.handle("/key", {"keyId": "enc", "usage": "encrypt"})
            check_aead(keyd, enc)
            assert keyd.ask("POST", "/key", {"keyId": "both", "usage": "encrypt,sign"})[0] == 400
            assert keyd.files() == [], keyd.files()
            assert keyd.ask("DELETE", "/key", {"keyHandle": enc})[0] == 204 and keyd.ask("GET", "/key/enc")[0] == 400


def test_03_pulled_out():
    """a token that is pulled out makes its keys fail and no other, and nothing is made elsewhere; put back it serves without a restart"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / "file.pem")
        with with_token(folder, hsm, preloaded_keys={"in-file": folder / "file.pem"}) as keyd:
            pair, secret = keyd.handle("/keypair", {"keyId": "device-id"}), keyd.handle("/key", {"keyId": "master", "usage": "sign"})
            mac, point = keyd.hmac(secret), keyd.value(pair, "ec-point")
            in_file = keyd.handle("/keypair/in-file", None, "GET")
            for _ in range(2):
                hsm.pull()
                assert keyd.sign(pair) == (500, {"message": "internal error"})
                assert keyd.hmac(secret)[0] == 500
                for method, path, body in (("POST", "/keypair", {"keyId": "new"}), ("POST", "/key", {"keyId": "new", "usage": "sign"}), ("GET", "/keypair/other", None),
                                           ("GET", "/key/master", None), ("POST", "/keypair/moved", {"from": "device-id"}),
                                           ("POST", "/key", {"keyId": "master", "usage": "sign", "keyBytes": b64(b"x" * 32)})):
                    assert keyd.ask(method, path, body)[0] == 500, (method, path)
                assert keyd.files() == [], "nothing lands in keyd's folder"
                assert keyd.sign(in_file)[0] == 200, "a key in a file does not wait for the token"
                hsm.put_back()
                wait_for(lambda: keyd.sign(pair)[0] == 200, "the token serves again")
                assert keyd.value(keyd.handle("/keypair", {"keyId": "device-id"}), "ec-point") == point
                assert keyd.hmac(secret) == mac
            assert "the token is not there" in keyd.log_text() or "the module says" in keyd.log_text()


def test_04_absent_at_start():
    """keyd starts without the token, and serves from it when it comes"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        hsm.pull()
        with with_token(folder, hsm) as keyd:
            assert keyd.ask("POST", "/keypair", {"keyId": "device-id"}) == (500, {"message": "internal error"})
            hsm.put_back()
            wait_for(lambda: keyd.ask("POST", "/keypair", {"keyId": "device-id"})[0] == 200, "the token is taken")
            assert keyd.files() == []


def test_05_preloaded():
    """a preloaded key is in the token that its URI names or nowhere: it is not made, not moved, and not looked for in a file"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / "own.pem")
        hsm.take_key(folder / "own.pem", "factory")
        preloaded = {"device-id": hsm.uri("factory"), "absent": hsm.uri("nothing"), "elsewhere": "pkcs11:token=Other;object=factory"}
        with with_token(folder, hsm, preloaded_keys=preloaded, pkcs11_base_slot=None) as keyd:
            h = keyd.handle("/keypair", {"keyId": "device-id"})
            assert verify(folder, keyd.value(h, "ec-point"), base64.b64decode(keyd.sign(h)[1]["signature"]))
            status, answer = keyd.ask("POST", "/keypair", {"keyId": "absent"})
            assert status == 400 and "the token has no private key 'nothing'" in answer["message"], answer
            assert keyd.ask("POST", "/keypair", {"keyId": "elsewhere"})[0] == 500
            for source, to in (("device-id", "x"), ("x", "device-id")):
                keyd.handle("/keypair", {"keyId": "x"})
                status, answer = keyd.ask("POST", "/keypair/" + to, {"from": source})
                assert status == 400 and "stays in the token" in answer["message"], answer
            assert keyd.files() and all(n.startswith("x-") for n in keyd.files()), keyd.files()


def test_06_move():
    """a pair moves to another id within the token and takes the place of the one there; between token and file nothing moves"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        with with_token(folder, hsm, pkcs11_base_slot=None) as keyd:
            keyd.handle("/keypair", {"keyId": "older"})
        with with_token(folder, hsm) as keyd:
            old, new = (keyd.handle("/keypair", {"keyId": i}) for i in ("ca", "ca-temp"))
            point = keyd.value(new, "ec-point")
            assert keyd.value(old, "ec-point") != point
            assert keyd.ask("POST", "/keypair/ca", {"from": "ca-temp"})[0] == 204
            h = keyd.handle("/keypair/ca", None, "GET")
            assert keyd.value(h, "ec-point") == point and keyd.sign(h)[0] == 200 and hsm.labels() == 2
            assert keyd.ask("GET", "/keypair/ca-temp")[0] == 400
            in_file = keyd.value(keyd.handle("/keypair", {"keyId": "older"}), "ec-point")
            for source, to in (("older", "ca"), ("none", "ca")):
                assert keyd.ask("POST", "/keypair/" + to, {"from": source})[0] == 400, (source, to)
            assert keyd.ask("POST", "/keypair/old", {"from": "older"})[0] == 204, "a file moves as it did"
            assert keyd.value(keyd.handle("/keypair/old", None, "GET"), "ec-point") == in_file
            assert keyd.ask("POST", "/keypair/old", {"from": "ca"})[0] == 204
            assert keyd.value(keyd.handle("/keypair/old", None, "GET"), "ec-point") == point and keyd.files() == []
            assert keyd.ask("DELETE", "/keypair", {"keyHandle": keyd.handle("/keypair/old", None, "GET")})[0] == 204
            assert keyd.ask("GET", "/keypair/old")[0] == 400 and hsm.labels() == 0


def test_06_race():
    """twenty callers create one pair and one symmetric key at once: one of each in the token"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        with with_token(folder, hsm) as keyd:
            points, macs = [], []

            def one():
                points.append(keyd.value(keyd.handle("/keypair", {"keyId": "race"}), "ec-point"))
                macs.append(keyd.hmac(keyd.handle("/key", {"keyId": "race", "usage": "sign"}))[1]["signature"])
            threads = [threading.Thread(target=one) for _ in range(20)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert len(points) == len(macs) == 20 and len(set(points)) == len(set(macs)) == 1
            assert hsm.labels() == 3, "private, public and secret"


def test_07_pin():
    """atk-10: the PIN is in no log, error, command line or environment; a wrong one is tried once"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        wrong = hsm.uri("x").replace(PIN, PIN + "-wrong")
        with with_token(folder, hsm, preloaded_keys={"wrong": wrong}) as keyd:
            answers = [keyd.ask("GET", "/keypair/wrong") for _ in range(12)]
            keyd.handle("/keypair", {"keyId": "right"})
            hsm.pull()
            answers.append(keyd.ask("GET", "/keypair/other"))
            hsm.put_back()
            text = keyd.log_text() + json.dumps(answers)
            assert text.count("CKR_PIN_INCORRECT") == 1 and "not asked again" in text
            for file in ("cmdline", "environ"):
                try:
                    with open("/proc/%d/%s" % (keyd.process.pid, file), "rb") as f:
                        text += f.read().decode(errors="replace")
                except PermissionError:
                    pass
            assert PIN not in text


def test_08_loaded_when_needed():
    """a module is loaded when a key in a token is asked for, not before"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / "file.pem")
        with with_token(folder, hsm, preloaded_keys={"in-file": folder / "file.pem"}) as keyd:
            keyd.handle("/keypair/in-file", None, "GET")
            try:
                maps = open("/proc/%d/maps" % keyd.process.pid).read()
            except PermissionError:
                raise Skip("keyd's memory map is root's to read")
            assert "softhsm" not in maps
            keyd.handle("/keypair", {"keyId": "device-id"})
            assert "softhsm" in open("/proc/%d/maps" % keyd.process.pid).read()


def test_09_bad_config():
    """a URI that can't be meant ends keyd at once, with its name and without what may be a PIN"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        for config in ({"pkcs11_base_slot": "pkcs11:tokn=a?pin-value=" + PIN}, {"preloaded_keys": {"k": "pkcs11:token=a?pin=" + PIN}}):
            try:
                with_token(folder, hsm, **config)
                raise RuntimeError("it started")
            except AssertionError as e:
                assert "before it was ready" in str(e) and "PKCS #11 URI" in str(e) and PIN not in str(e), e


def test_10_wrong_pin_storm():
    """thirty callers at once, each with another key behind a wrong PIN: the token is asked once; the right PIN in the file is taken without a restart"""
    with Folder() as folder:
        hsm, pin = SoftHsm(folder), folder / "pin"
        with open(pin, "w") as f:
            f.write("not-the-pin\n")
        uri = "pkcs11:token=Edge;object=k%%d?pin-source=file:%s" % pin
        with with_token(folder, hsm, preloaded_keys={"k%d" % i: uri % i for i in range(30)}, pkcs11_base_slot="pkcs11:token=Edge?pin-source=file:%s" % pin) as keyd:
            statuses = []
            threads = [threading.Thread(target=lambda i=i: statuses.append(keyd.ask("GET", "/keypair/k%d" % i)[0])) for i in range(30)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert statuses == [500] * 30 and keyd.log_text().count("CKR_PIN_INCORRECT") == 1, statuses
            with open(pin, "w") as f:
                f.write(PIN + "\n")
            assert keyd.ask("GET", "/keypair/k0")[0] == 400, "the token is open, and has no such key"
            assert keyd.sign(keyd.handle("/keypair", {"keyId": "mine"}))[0] == 200


def test_11_another_slot():
    """a token that comes back in another slot, beside one that was not there before, is the one that it was"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        with with_token(folder, hsm) as keyd:
            pair, secret = keyd.handle("/keypair", {"keyId": "device-id"}), keyd.handle("/key", {"keyId": "master", "usage": "sign"})
            point, mac = keyd.value(pair, "ec-point"), keyd.hmac(secret)
            hsm.pull()
            assert keyd.sign(pair)[0] == 500
            os.makedirs(hsm.dir)
            for label in ("Aaa", "Zzz"):
                hsm.util("--init-token", "--free", "--label", label, "--pin", "987654", "--so-pin", "567890")
            assert keyd.sign(pair)[0] == 500, "no other token is taken for it"
            for name in os.listdir(hsm.pocket):
                os.rename(os.path.join(hsm.pocket, name), os.path.join(hsm.dir, name))
            wait_for(lambda: keyd.sign(pair)[0] == 200, "the token serves again")
            assert keyd.value(pair, "ec-point") == point and keyd.hmac(secret) == mac and keyd.files() == []


def test_12_deleted_by_another():
    """a key that another program deletes in the token is gone here too: no signature, no other key in its place until one is asked for"""
    with Folder() as folder, SubFolder(folder, "second") as second:
        hsm = SoftHsm(folder)
        with with_token(folder, hsm) as keyd, with_token(second, hsm) as other:
            pair, secret = keyd.handle("/keypair", {"keyId": "device-id"}), keyd.handle("/key", {"keyId": "master", "usage": "sign"})
            point, mac = keyd.value(pair, "ec-point"), keyd.hmac(secret)
            assert other.value(other.handle("/keypair/device-id", None, "GET"), "ec-point") == point
            for path, h in (("/keypair", other.handle("/keypair/device-id", None, "GET")), ("/key", other.handle("/key/master", None, "GET"))):
                assert other.ask("DELETE", path, {"keyHandle": h})[0] == 204
            assert hsm.labels() == 0
            assert keyd.sign(pair)[0] == 400 and keyd.hmac(secret)[0] == 400
            assert keyd.ask("GET", "/keypair/device-id")[0] == 400 and keyd.ask("GET", "/key/master")[0] == 400
            assert hsm.labels() == 0 and keyd.files() == []
            again = keyd.handle("/keypair", {"keyId": "device-id"})
            assert keyd.sign(again)[0] == 200 and keyd.sign(pair)[0] == 200, "a handle goes with the id"
            assert keyd.value(again, "ec-point") != point and keyd.hmac(keyd.handle("/key", {"keyId": "master", "usage": "sign"})) != mac and hsm.labels() == 3


def test_13_races():
    """callers who make, sign with, move and delete the same keys at the same time get an answer each, whole signatures, and leave no object that has lost its other half"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        with with_token(folder, hsm) as keyd:
            wrong, end = [], time.monotonic() + 3

            def play(i):
                while time.monotonic() < end and not wrong:
                    status, answer = keyd.ask("POST", "/keypair", {"keyId": "race%d" % (i % 2)})
                    if status == 200:
                        h = answer["keyHandle"]
                        signed = keyd.sign(h)
                        steps = [signed[0], keyd.ask("POST", "/keypair/race%d" % (1 - i % 2), {"from": "race%d" % (i % 2)})[0] if i % 3 == 0 else 204,
                                 keyd.ask("DELETE", "/keypair", {"keyHandle": h})[0] if i % 3 == 1 else 204]
                        wrong.extend(x for x in steps if x not in (200, 204, 400))
                    elif status != 400:
                        wrong.append(answer)
            threads = [threading.Thread(target=play, args=(i,)) for i in range(6)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert not wrong, (wrong[:3], keyd.log_text()[-2000:])
            pairs = sum(keyd.ask("GET", "/keypair/race%d" % i)[0] == 200 for i in range(2))
            assert hsm.labels() == 2 * pairs, "a private and a public one each"
            for i in range(2):
                h = keyd.handle("/keypair", {"keyId": "race%d" % i})
                assert verify(folder, keyd.value(h, "ec-point"), base64.b64decode(keyd.sign(h)[1]["signature"]))


def test_20_device():
    """a whole edge device with its keys in a token, in its sandbox: it connects, a sensor sends through its gateway, and started without the token it waits for that"""
    with Folder() as folder:
        hsm = SoftHsm(SubFolder(folder, "hsm"), group="daemon")
        pki = Pki(folder)
        pki.make("edge-ca", "Edge CA in a token", file="edgeca")
        hsm.take_key(folder / "edgeca.key", "edge-ca", "02")
        os.environ.update(hsm.env)
        with Hub(folder, pki) as hub, Edge(folder, hub) as edge:
            assert edge.stop() == 0
            hsm.take_key(folder / "EdgeGateway.key", "identity")
            os.unlink(folder / "EdgeGateway.key")
            path, pin = folder / "EdgeGateway.toml", folder / "pin"
            with open(pin, "w") as f:
                f.write(PIN + "\n")
            os.chmod(pin, 0o640)
            if ME == 0:
                shutil.chown(pin, group="daemon")
            with open(path) as f:
                text = f.read().replace("file://" + folder / "EdgeGateway.key", hsm.uri("identity").replace("pin-value=" + PIN, "pin-source=file:" + pin))
            with open(path, "w") as f:
                f.write(text + CONFIG % (hsm.module, hsm.uri(), os.path.dirname(hsm.dir), folder / "edgeca.pem", hsm.uri("edge-ca")))
            keys = os.path.join(edge.state, "keyd", "keys")
            for name in os.listdir(keys):
                if name.startswith(("edgehubserver-", "aziotedgedca-")):
                    os.unlink(os.path.join(keys, name))
            edge.start()
            assert "Edge CA in a token" in edge.log_text() and PIN not in edge.log_text()
            client = wait_for(lambda: try_sensor(edge, hub), "the gateway lets the sensor in", 30)
            client.publish("devices/TempSensor/messages/events/", b"21 degrees")
            client.close()
            pairs, seals = 6, 6  # identity, Edge CA, the gateway's TLS key, private and public; what the gateway seals scope and twins with, unless it lies in files since the first start
            assert pairs <= hsm.labels() <= pairs + seals, hsm.labels()
            assert edge.stop() == 0
            hsm.pull()
            edge.start(wait=False)
            wait_for(lambda: "starting the PKCS #11 module: the module says" in edge.log_text(), "keyd says that the token is away", 30)
            hsm.put_back()
            edge.ready = edge.wait_ready(60)
            wait_for(lambda: try_sensor(edge, hub), "the device is back by itself", 30).close()
            assert not [n for n in os.listdir(keys) if n.startswith(("edgehubserver", "aziotedgedca", "deviceid"))]


CONFIG = '''
[aziot_keys]
pkcs11_lib_path = "%s"
pkcs11_base_slot = "%s"
paths = ["%s"]
groups = ["daemon"]
[edge_ca]
cert = "file://%s"
pk = "%s"
'''


run_all()
