#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""keyd and certd: the contract of edge-services 1.2 and 4 as a client of the original sees it.  What a certificate may do follows from its id and
never from the extensions that its CSR asks for."""
import base64, datetime, hashlib, json, os, ssl, subprocess, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

V = "?api-version=2020-09-01"
ME = os.getuid()
folder = Folder()
EDGE_CA, SERVER = "aziot-edged-ca", "aziot-edged/module/edgeHub:637911101449272999:server"
SERVER_FILE = "aziotedgedmoduleedgeHub637911101449272999server-5ed5e7756c32169fbcfca8c1fdb297e40ada08597e40ce8f097c286efd24874c.cer"
edge_keyd, certd_sock = folder / "keyd-edged.sock", folder / "certd.sock"


def openssl(*args, **kw):
    done = subprocess.run(["openssl", *args], capture_output=True, **kw)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout.decode()


def write(name, text):
    with open(folder / name, "w") as f:
        f.write(text)
    return folder / name


def self_made_ca(name, days):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / (name + ".key"), "-out", folder / (name + ".pem"), "-subj",
            "/CN=" + name, "-days", str(days), "-addext", "keyUsage=critical,keyCertSign", "-addext", "basicConstraints=critical,CA:TRUE")
    return folder / (name + ".pem"), folder / (name + ".key")


def csr(subject="/CN=edgegateway.local", extensions=(), key=("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    args = ["req", "-new", "-nodes", "-keyout", folder / "leaf.key", "-subj", subject, *key]
    for e in extensions:
        args += ["-addext", e]
    return openssl(*args)


local_pem, local_key = self_made_ca("local root", 20)
user_root, _ = self_made_ca("user root", 100)
write("keyd.json", json.dumps({
    "dir": folder / "keys", "preloaded_keys": {"local-ca": local_key},
    "principals": [{"name": "certd", "uid": ME, "ids": ["local-ca", EDGE_CA]}, {"name": "edged", "uid": ME, "ids": [EDGE_CA, "other"]}],
    "sockets": [{"path": folder / "keyd-certd.sock", "principal": "certd"}, {"path": edge_keyd, "principal": "edged"}]}))
write("certd.json", json.dumps({
    "dir": folder / "certs", "socket": certd_sock, "keyd": folder / "keyd-certd.sock",
    "preloaded_certs": {"local-ca": local_pem, "trust-bundle-user": user_root, "aziot-edged-trust-bundle": [EDGE_CA, "absent", "trust-bundle-user"]},
    "cert_issuance": {EDGE_CA: {"method": "self_signed", "common_name": "iotedged workload ca edgegateway", "expiry_days": 90},
                      "by-local": {"method": "local_ca"}, "long": {"method": "local_ca", "expiry_days": 3000}, "by-acme": {"method": "acme"}, "by-itself": {"method": "self_signed"},
                      "named": {"method": "local_ca", "subject": {"O": "Contoso", "CN": "x" * 70, "C": "DE"}}, "crooked": {"method": "local_ca", "subject": {"XY": "a"}}},
    "principals": [{"name": "edged", "uid": ME if ME else 4711, "ids": [EDGE_CA, "aziot-edged/module/*"]}]}))
keyd = Service(folder, "keyd", "--config", folder / "keyd.json")
certd = Service(folder, "certd", "--config", folder / "certd.json")


def ask(method, path, body=None, on=None):
    status, _, answer = unix_http(on or certd_sock, method, path + V, body)
    return status, answer


def edge_handle():
    status, answer = ask("POST", "/keypair", {"keyId": EDGE_CA, "preferredAlgorithms": "ec-p256:*"}, on=edge_keyd)
    assert status == 200, answer
    return answer["keyHandle"]


# -- A CSR for a key that stays in keyd, in DER by hand: what every client of the original does through its engine ----------------------------

def der(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    length = bytes([n]) if n < 128 else bytes([0x80 | len(n.to_bytes((n.bit_length() + 7) // 8, "big"))]) + n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag]) + length + body


def keyd_csr(handle, common_name):
    point = base64.b64decode(ask("POST", "/parameters/ec-point", {"keyHandle": handle}, on=edge_keyd)[1]["value"])
    spki = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    name = der(0x30, der(0x31, der(0x30, bytes.fromhex("0603550403"), der(0x0c, common_name.encode()))))
    info = der(0x30, b"\x02\x01\x00", name, spki, b"\xa0\x00")
    digest = base64.b64encode(hashlib.sha256(info).digest()).decode()
    status, answer = ask("POST", "/sign", {"keyHandle": handle, "algorithm": "ECDSA", "parameters": {"digest": digest}}, on=edge_keyd)
    assert status == 200, answer
    request = der(0x30, info, der(0x30, bytes.fromhex("06082a8648ce3d040302")), der(0x03, b"\0" + base64.b64decode(answer["signature"])))
    return "-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(request).decode() + "-----END CERTIFICATE REQUEST-----\n"


def certificates(pem):
    return ["-----BEGIN CERTIFICATE-----" + p for p in pem.split("-----BEGIN CERTIFICATE-----")[1:]]


def text_of(pem):
    return openssl("x509", "-noout", "-text", input=pem.encode())


def times(pem):
    out = openssl("x509", "-noout", "-startdate", "-enddate", input=pem.encode())
    return [ssl.cert_time_to_seconds(line.split("=")[1]) for line in out.split("\n") if line]


def create(id, request, issuer=None):
    body = {"certId": id, "csr": request}
    if issuer:
        body["issuer"] = {"certId": issuer[0], "privateKeyHandle": issuer[1]}
    return ask("POST", "/certificates", body)


def issued(id, request, issuer=None):
    status, answer = create(id, request, issuer)
    assert status == 201, (status, answer)
    return answer["pem"]


def test_01_quickstart():
    """the quickstart Edge CA: self-signed, CA:TRUE with path length 0, 90 days, back-dated, with a random serial number"""
    pem = issued(EDGE_CA, keyd_csr(edge_handle(), "what the CSR says"))
    text, (start, end) = text_of(pem), times(pem)
    assert len(certificates(pem)) == 1
    assert "Subject: CN = iotedged workload ca edgegateway" in text and "Issuer: CN = iotedged workload ca edgegateway" in text, text
    for part in ("CA:TRUE, pathlen:0", "Certificate Sign", "X509v3 Basic Constraints: critical", "X509v3 Key Usage: critical"):
        assert part in text, text
    assert 0 < time.time() - start < 3600 and abs(end - time.time() - 90 * 86400) < 3600
    serial = int(openssl("x509", "-noout", "-serial", input=pem.encode()).split("=")[1], 16)
    assert serial.bit_length() > 100
    assert ask("GET", "/certificates/" + EDGE_CA) == (200, {"pem": pem})
    assert os.path.exists(folder / "certs" + "/aziotedgedca-86f154be7ff14480027f0d00c59c223db6d9e4ab0b559fc523cca36a7c973d6d.cer")


def test_02_self_signed_for_another():
    """self-signed means the key's own request: one for another key is refused, and nothing is replaced"""
    before = ask("GET", "/certificates/" + EDGE_CA)
    status, answer = create(EDGE_CA, csr())
    assert status == 400 and "another key" in answer["message"], (status, answer)
    assert ask("GET", "/certificates/" + EDGE_CA) == before


def test_03_server():
    """a module's server certificate: CN and SAN of the CSR, serverAuth, under the Edge CA, which follows it; not outliving it"""
    pem = issued(SERVER, csr("/CN=edgegateway.local", ["subjectAltName=DNS:edgegateway.local,DNS:edgeHub,IP:127.0.0.3"]), (EDGE_CA, edge_handle()))
    chain = certificates(pem)
    text = text_of(chain[0])
    assert chain[1].strip() == ask("GET", "/certificates/" + EDGE_CA)[1]["pem"].strip()
    for part in ("Subject: CN = edgegateway.local", "DNS:edgegateway.local, DNS:edgeHub, IP Address:127.0.0.3", "TLS Web Server Authentication", "CA:FALSE"):
        assert part in text, text
    assert "Client Authentication" not in text
    assert abs(times(chain[0])[1] - time.time() - 30 * 86400) < 3600
    assert SERVER_FILE in os.listdir(folder / "certs")
    write("leaf.pem", chain[0])
    write("ca.pem", chain[1])
    openssl("verify", "-CAfile", folder / "ca.pem", "-purpose", "sslserver", "-verify_hostname", "edgegateway.local", folder / "leaf.pem")


def test_04_greedy_csr():
    """what a CSR asks for beyond its id's profile is not in the certificate"""
    greedy = ["basicConstraints=critical,CA:TRUE,pathlen:5", "keyUsage=critical,keyCertSign,cRLSign", "extendedKeyUsage=clientAuth,codeSigning,OCSPSigning", "subjectAltName=DNS:x.local",
              "nameConstraints=permitted;DNS:x"]
    text = text_of(certificates(issued(SERVER, csr("/CN=x.local/O=Evil/OU=CA", greedy), (EDGE_CA, edge_handle())))[0])
    assert "CA:FALSE" in text and "TLS Web Server Authentication" in text, text
    for part in ("CA:TRUE", "Certificate Sign", "Client", "Code Signing", "OCSP", "Name Constraints", "Evil"):
        assert part not in text, (part, text)


def test_05_identity():
    """a module's identity certificate: clientAuth only"""
    id = "aziot-edged/module/$edgeHub:identity"
    san = "subjectAltName=DNS:edgeHub,URI:azureiot://hub.local/devices/d/modules/\\$edgeHub"  # openssl expands dollars
    text = text_of(certificates(issued(id, csr("/CN=$edgeHub", [san]), (EDGE_CA, edge_handle())))[0])
    assert "TLS Web Client Authentication" in text and "Server" not in text and "URI:azureiot://hub.local/devices/d/modules/$edgeHub" in text, text


def test_06_local_ca():
    """issued by the local CA: never outliving it, chain behind it"""
    if ME != 0:
        raise Skip("these ids are root's alone here")
    for id in ("by-local", "long"):
        chain = certificates(issued(id, csr("/CN=some device")))
        assert len(chain) == 2 and times(chain[0])[1] <= times(chain[1])[1], id
        assert "Issuer: CN = local root" in text_of(chain[0])
    assert times(certificates(ask("GET", "/certificates/long")[1]["pem"])[0])[1] == times(chain[1])[1]
    assert "Subject: C = DE, CN = %s, O = Contoso" % ("x" * 64) in text_of(certificates(issued("named", csr("/CN=not this")))[0]), "as it is configured"
    assert "Subject: O = Contoso, L = Ulm, CN = line-1" in text_of(certificates(issued("by-local", csr("/O=Contoso/L=Ulm/CN=line-1")))[0]), "as it was asked for"


def test_06b_no_local_ca():
    """local_ca where there is none says so, and the operator's file is what is missing"""
    if ME != 0:
        raise Skip("these ids are root's alone here")
    os.rename(local_key, local_key + ".away")
    keyd.stop()
    keyd.start()
    status, answer = create("by-local", csr())
    assert status == 500 and "local CA" in answer["message"], (status, answer)
    os.rename(local_key + ".away", local_key)
    keyd.stop()
    keyd.start()
    issued("by-local", csr())


def test_07_refused():
    """what can't be issued is refused with the parameter's name, and leaves no file"""
    before = sorted(os.listdir(folder / "certs"))
    handle = edge_handle()
    good = csr()
    bad = good[:200] + ("A" if good[200] != "A" else "B") + good[201:]
    other = ask("POST", "/keypair", {"keyId": "other"}, on=edge_keyd)[1]["keyHandle"]
    for request, issuer, part in (("", (EDGE_CA, handle), "csr"), ("no csr", (EDGE_CA, handle), "csr"), (bad, (EDGE_CA, handle), "csr"), (good, ("nobody", handle), "issuer.certId"),
                                  (good, (EDGE_CA, "sr=x&sig=y"), "issuer.privateKeyHandle"), (csr("/CN=" + "x" * 60 + "/CN=y" * 2), ("nobody", handle), "issuer.certId")):
        status, answer = create("aziot-edged/module/a:1:server", request, issuer)
        assert status in (400, 401) and part in answer["message"], (part, status, answer)
    status, answer = create("aziot-edged/module/a:1:server", good, (EDGE_CA, other))
    assert status in (401, 500), (status, answer)
    status, answer = create("aziot-edged/module/a:1:server", good, ("trust-bundle-user", handle))
    assert (status, answer) == (500, {"message": "internal error\ncaused by: the key does not belong to the CA certificate CN=user root"}), (status, answer)
    for subject in ("/O=no name", "/CN=a/CN=b"):
        status, answer = create("aziot-edged/module/a:1:server", csr(subject), (EDGE_CA, handle))
        assert status == 400 and 'parameter "csr"' in answer["message"], (subject, status, answer)
    weak = csr("/CN=a", key=("-newkey", "rsa:1024"))
    status, answer = create("aziot-edged/module/a:1:server", weak, (EDGE_CA, handle))
    assert status == 400 and "csr" in answer["message"], (status, answer)
    for body in ({"certId": "x"}, {"csr": good}, {"certId": 7, "csr": good}, {"certId": "x", "csr": good, "issuer": "me"}, {"certId": "x", "csr": good, "issuer": {"certId": "y"}}):
        assert ask("POST", "/certificates", body)[0] == 422, body
    assert ask("PUT", "/certificates/x", {"pen": "y"})[0] == 422
    assert create("aziot-edged/module/a:1:server", "no csr", (EDGE_CA, handle))[1]["message"].startswith('parameter "csr" has an invalid value\ncaused by: ')
    assert ask("POST", "/certificates") == (400, {"message": "missing request body"})
    assert create("device-id", good)[0] in (401, 500), "no issuer and no configuration"
    if ME == 0:
        for id, cause in (("nothing", "no issuer in the request and no cert_issuance entry"), ("by-acme", "issued by 'acme'"), ("crooked", "no attribute 'XY'"), ("by-itself", "self-signing by-itself")):
            status, answer = create(id, good)
            assert status == 500 and answer["message"].startswith("internal error\ncaused by: ") and cause in answer["message"], (id, status, answer)
    assert sorted(os.listdir(folder / "certs")) == before


def test_08_store():
    """import, get and delete of any id; what isn't there is 400 on GET and 204 on DELETE, as in the original"""
    if ME != 0:
        raise Skip("these ids are root's alone here")
    with open(user_root) as f:
        pem = f.read()
    assert ask("GET", "/certificates/absent") == (400, {"message": 'parameter "id" has an invalid value\ncaused by: not found'})
    assert ask("DELETE", "/certificates/absent")[0] == 204
    assert ask("PUT", "/certificates/a%2Fb", {"pem": pem}) == (201, {"pem": pem})
    assert ask("GET", "/certificates/a%2Fb") == (200, {"pem": pem})
    assert ask("DELETE", "/certificates/a%2Fb")[0] == 204
    assert ask("GET", "/certificates/a%2Fb")[0] == 400
    assert ask("PUT", "/certificates/x")[0] in (415, 422)
    assert ask("PUT", "/certificates/aziot-edged-trust-bundle", {"pem": pem})[0] == 500, "a list can't be written"


def test_09_bundle():
    """the trust bundle: Edge CA, then the operator's roots; atk-08: a broken file changes nothing and is said, a good one is taken at once"""
    edge_ca = ask("GET", "/certificates/" + EDGE_CA)[1]["pem"]
    with open(user_root) as f:
        old = f.read()
    path = "/certificates/aziot-edged-trust-bundle"
    assert ask("GET", path) == (200, {"pem": edge_ca + old})
    with open(local_pem) as f:
        new = f.read()
    for content in ("", "nothing\n", new + "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "x" * (2 << 20)):
        write("user root.pem", content)
        assert ask("GET", path) == (200, {"pem": edge_ca + old}), content[:40]
    assert "stays in force" in certd.log_text()
    write("user root.pem", new)
    assert ask("GET", path) == (200, {"pem": edge_ca + new})


def test_10_users():
    """atk-16: reading is for all who reach the socket, changing for root and principals only, and for them only what is theirs"""
    if ME != 0:
        raise Skip("needs root to become another user")
    os.chmod(folder.path, 0o711)
    code = "import os, socket\nos.setgroups([]); os.setgid(%d); os.setuid(%d)\ns = socket.socket(socket.AF_UNIX); s.connect(%r)\ns.sendall(%r)\nprint(s.makefile('rb').readline().split()[1].decode())"

    def status(uid, method, id, body=b""):
        head = "%s /certificates/%s%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (method, id, V, len(body))
        return subprocess.run([sys.executable, "-c", code % (uid, uid, certd_sock, head.encode() + body)], capture_output=True, text=True, timeout=60).stdout.strip()
    pem = json.dumps({"pem": open(user_root).read()}).encode()
    assert status(4712, "GET", EDGE_CA) == "200"
    assert status(4712, "PUT", EDGE_CA, pem) == "401"
    assert status(4712, "DELETE", EDGE_CA) == "401"
    assert status(4711, "PUT", "device-id", pem) == "401"
    assert status(4711, "PUT", "aziot-edged%2Fmodule%2Fm:identity", pem) == "201"
    assert status(4711, "DELETE", "aziot-edged%2Fmodule%2Fm:identity") == "204"


def test_10b_causes():
    """what is wrong with the store is told to root and to whom the id is, and to nobody else"""
    if ME != 0:
        raise Skip("needs root to become another user")
    code = "import os, socket\nos.setgroups([]); os.setgid(%d); os.setuid(%d)\ns = socket.socket(socket.AF_UNIX); s.connect(%r)\ns.sendall(%r)\nprint(s.makefile('rb').read().decode())"

    def answer(uid, id):
        head = "GET /certificates/%s%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (id, V)
        return subprocess.run([sys.executable, "-c", code % (uid, uid, certd_sock, head.encode())], capture_output=True, text=True, timeout=60).stdout
    id = "aziot-edged/module/m:identity"
    path = os.path.join(folder / "certs", "aziotedgedmodulemidentity-%s.cer" % hashlib.sha256(id.encode()).hexdigest())
    os.mkdir(path)
    for uid, sees in ((0, True), (4711, True), (4712, False)):
        text = answer(uid, id.replace("/", "%2F"))
        assert text.split()[1] == "500" and "internal error" in text and ("caused by" in text) == sees, (uid, text)
    os.rmdir(path)


def test_11_ids():
    """atk-15: no id leads out of the folder"""
    for id in ("..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", ".", "..", "%00", "a%00b", "x" * 600, "%ff", "a%0ab", "%2e%2e"):
        status, answer = ask("GET", "/certificates/" + id)
        assert status in (400, 404) and "root:" not in str(answer), (id, status, answer)


def test_12_together():
    """many requests at once for ids of their own and for one: each answer is a whole chain, and what is stored is one of them"""
    handle, request, answers = edge_handle(), csr(), []

    def one(i):
        answers.append(issued("aziot-edged/module/m:%d:server" % (i % 4), request, (EDGE_CA, handle)))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(16)]
    for batch in (threads[:8], threads[8:]):
        for t in batch:
            t.start()
        for t in batch:
            t.join()
    assert len(answers) == 16 and all(len(certificates(a)) == 2 for a in answers)
    for i in range(4):
        assert ask("GET", "/certificates/aziot-edged%%2Fmodule%%2Fm:%d:server" % i)[1]["pem"] in answers


def test_13_without_keyd():
    """while keyd is away certificates are read, issuing fails with 500 and why, and works again after it is back"""
    handle, request = edge_handle(), csr()
    keyd.stop()
    assert ask("GET", "/certificates/" + EDGE_CA)[0] == 200
    status, answer = create(SERVER, request, (EDGE_CA, handle))
    assert status == 500 and answer["message"].startswith("internal error\ncaused by: ") and "keyd" in answer["message"], (status, answer)
    keyd.start()
    issued(SERVER, request, (EDGE_CA, handle))


def test_99_stop():
    """both stop in order"""
    assert certd.stop() == 0 and keyd.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
