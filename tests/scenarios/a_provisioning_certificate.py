#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Certificates issued by provisioning (hub 6.6): a device sends a CSR along, connects to the hub with what it gets back, renews it without a gap; whatever is wrong with
a CSR is refused, and whenever the hub is killed, nothing is issued twice."""
import base64, glob, hashlib, hmac, os, sqlite3, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = None
OWNER = "provisioningserviceowner"
group, plain_group, lost_group = new_key(), new_key(), new_key()
n_issued = 0


def openssl(*args, **kw):
    return subprocess.run(["openssl", *map(str, args)], capture_output=True, check=True, **kw).stdout


def start(*args):
    global hub
    hub = Hub(folder, pki, "contosoiothub.local", "--provisioning", "--provisioning-port", 0, "--provisioning-mqtt-port", 0, "--provisioning-hubs-ca", pki.root,
              *(args or ("--issuing-ca-new", "--credential-policy", "line=30", "--credential-policy", "short=7")))


def ask(method, path, body=None, headers=None, **kw):
    return https(hub.ready["provisioning_port"], method, path + "?api-version=2025-07-01-preview", body, headers, ca=pki.root, **kw)


def service(method, path, body=None):
    return ask(method, path, body, {"Authorization": sas(hub.hostname, hub.policy(OWNER), policy=OWNER, encode=False)})


def derive(key, registration):
    return base64.b64encode(hmac.new(base64.b64decode(key), registration.encode(), hashlib.sha256).digest()).decode()


def token(registration, key):
    return {"Authorization": sas("%s/registrations/%s" % (hub.ready["id_scope"], registration), key, policy="registration", encode=False)}


def enroll_group(name, key, **more):
    status, _, answer = service("PUT", "/enrollmentGroups/" + name, dict({"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}}, **more))
    assert status == 200, answer
    return answer


def make_key(name, *kind):
    path = folder / (name + ".key")
    openssl("genpkey", "-out", path, *(kind or ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")))
    return path


def make_csr(name, key, *args, subject=None, digest="-sha384"):
    """DER, made by openssl as a device's maker would."""
    return openssl("req", "-new", "-key", key, "-subj", subject or "/CN=" + name, "-outform", "DER", digest, *args)


def b64(der):
    return base64.b64encode(der).decode()


def begin(registration, body, key=None):
    """(status, answer, operation) of a register."""
    headers = token(registration, derive(key or group, registration))
    path = "/%s/registrations/%s" % (hub.ready["id_scope"], registration)
    status, _, answer = ask("PUT", path + "/register", dict({"registrationId": registration}, **body), headers)
    return status, answer, path + "/operations/" + answer.get("operationId", "")


def poll(registration, operation, key=None):
    status, _, answer = ask("GET", operation, None, token(registration, derive(key or group, registration)))
    return answer["registrationState"] if status == 200 else None


def register(registration, body, key=None):
    """The registration when it is assigned."""
    status, answer, operation = begin(registration, body, key)
    assert status == 202, (status, answer)
    return wait_for(lambda: poll(registration, operation, key), "the end of " + registration)


def refused(registration, body, part, key=None):
    status, answer, _ = begin(registration, body, key)
    assert status == 400 and answer["errorCode"] == 400004 and part in answer["message"], (status, answer)
    assert answer["message"].startswith("no certificate is issued: "), answer
    assert "trackingId" in answer and "timestampUtc" in answer, answer


def save_chain(name, chain):
    """The chain as a device keeps it, and its thumbprint."""
    path = folder / (name + ".chain.pem")
    with open(path, "w") as f:
        f.write("".join(ssl.DER_cert_to_PEM_cert(base64.b64decode(c, validate=True)) for c in chain))
    return path, hashlib.sha256(base64.b64decode(chain[0])).hexdigest().upper()


def connects(device, cert, key):
    hub.mqtt(device, cert=cert, key=key, clean=True).close()


def is_refused(device, cert, key):
    try:
        connects(device, cert, key)
    except Refused as e:
        return e.code == 5
    return False


def thumbprints(device):
    t = hub.rest("GET", "/devices/" + device)[2]["authentication"]["x509Thumbprint"]
    return t["primaryThumbprint"], t["secondaryThumbprint"]


def entries():
    return [json.loads(line) for line in run("rootedge", "ca", "issued", "--state", hub.state, "--json").stdout.splitlines()]


def issued(more):
    """So many certificates more stand in the journal, which is sound."""
    global n_issued
    n_issued += more
    audit = json.loads(run("rootedge", "ca", "audit", "--state", hub.state, "--json").stdout)
    assert audit["entries"] == n_issued == len(entries()), (audit, n_issued)


def text_of(path):
    return openssl("x509", "-in", path, "-noout", "-text").decode()


def test_00_start():
    """a hub makes its issuing CA at the first start, with a key that is its own alone, and keeps it over a restart"""
    global folder, pki
    folder = Folder()
    pki = Pki(folder)
    start("--issuing-ca-new", "--credential-policy", "gone=20")
    enroll_group("lost", lost_group, credentialPolicyName="gone")
    made = hub.state + "/ca/issuing-ca.cert.pem"
    assert os.stat(hub.state + "/ca/issuing-ca.key.pem").st_mode & 0o777 == 0o600
    before = thumbprint(made)
    assert "CN = contosoiothub.local issuing CA" in text_of(made) and "secp384r1" in text_of(made), text_of(made)
    hub.stop()
    start()
    assert thumbprint(made) == before
    answer = enroll_group("plant", group, credentialPolicyName="line")
    assert answer["credentialPolicyName"] == "line", answer
    assert service("GET", "/enrollmentGroups/plant")[2]["credentialPolicyName"] == "line"
    status, _, answer = service("PUT", "/enrollments/odd", {"attestation": {"type": "symmetricKey"}, "credentialPolicyName": "../x"})
    assert status == 400, answer
    enroll_group("plain", plain_group)
    status, _, answer = service("PUT", "/enrollments/odd", {"attestation": {"type": "symmetricKey"}, "credentialPolicyName": "none-such"})
    assert status == 400 and "there is no credential policy none-such" in answer["message"], answer
    issued(0)


def test_01_issue():
    """a device that sends a CSR gets a chain that openssl verifies, made by the enrollment's policy, and is let into the hub with it at once"""
    key = make_key("leaf-1")
    state = register("leaf-1", {"csr": b64(make_csr("leaf-1", key))})
    chain = state["issuedCertificateChain"]
    assert len(chain) == 2 and "issuedClientCertificate" not in state, state
    assert state["status"] == "assigned" and state["symmetricKey"] == {"enrollmentGroupId": "plant"}, state
    cert, print1 = save_chain("leaf-1", chain)
    openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", hub.state + "/ca/issuing-ca.cert.pem", cert)
    said = text_of(cert)
    for part in "Subject: CN = leaf-1", "ecdsa-with-SHA384", "CA:FALSE", "TLS Web Client Authentication", "Digital Signature":
        assert part in said, said
    assert "TLS Web Server" not in said and "Certificate Sign" not in said, said
    assert openssl("x509", "-in", cert, "-noout", "-checkend", 29 * 86400) and subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-checkend", str(31 * 86400)],
                                                                                                 capture_output=True).returncode == 1
    record = hub.rest("GET", "/devices/leaf-1")[2]
    assert record["authentication"]["type"] == "selfSigned", record
    assert thumbprints("leaf-1") == (print1, None), record
    connects("leaf-1", cert, key)
    issued(1)
    entry = entries()[-1]
    assert entry["requester"] == "leaf-1" and entry["profile"] == "line", entry
    listed = run("rootedge", "ca", "issued", "--state", hub.state).stdout
    assert "leaf-1" in listed and "serial number" in listed, listed
    shown = run("rootedge", "ca", "show", "leaf-1", "--state", hub.state).stdout
    with open(cert) as f:
        assert f.read() in shown, shown
    assert json.loads(run("rootedge", "ca", "show", print1.lower(), "--state", hub.state, "--json").stdout) == entry
    assert run("rootedge", "ca", "show", "nobody", "--state", hub.state, check=False).returncode == 1


def test_02_same_again():
    """the same CSR again gets the same chain, in the same operation, in a new one, and after a restart; nothing more is issued"""
    key = make_key("leaf-2", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    csr = b64(make_csr("leaf-2", key, digest="-sha256"))
    status, _, operation = begin("leaf-2", {"csr": csr})
    assert status == 202
    first = wait_for(lambda: poll("leaf-2", operation), "leaf-2")
    for _ in range(2):
        assert poll("leaf-2", operation)["issuedCertificateChain"] == first["issuedCertificateChain"]
        assert register("leaf-2", {"csr": csr})["issuedCertificateChain"] == first["issuedCertificateChain"]
        hub.kill9()
        start()
        status, _, operation = begin("leaf-2", {"csr": csr})
    looked = ask("POST", "/%s/registrations/leaf-2" % hub.ready["id_scope"], {}, token("leaf-2", derive(group, "leaf-2")))[2]
    assert looked["issuedCertificateChain"] == first["issuedCertificateChain"], looked
    cert, print1 = save_chain("leaf-2", first["issuedCertificateChain"])
    assert thumbprints("leaf-2") == (print1, None)
    connects("leaf-2", cert, key)
    issued(1)


def test_03_renew():
    """a renewed certificate gets in beside the one before, which stays good until after the new one was used; renewals in its grace keep the one in use"""
    key1, key2, key3, key4 = (make_key("leaf-3-%d" % n) for n in range(4))
    cert1, print1 = save_chain("leaf-3-1", register("leaf-3", {"csr": b64(make_csr("leaf-3", key1))})["issuedCertificateChain"])
    connects("leaf-3", cert1, key1)
    cert2, print2 = save_chain("leaf-3-2", register("leaf-3", {"csr": b64(make_csr("leaf-3", key2))})["issuedCertificateChain"])
    assert thumbprints("leaf-3") == (print1, print2)
    connects("leaf-3", cert1, key1)
    connects("leaf-3", cert2, key2)
    wait_for(lambda: thumbprints("leaf-3") == (print2, print1), "the promotion of the new one")
    connects("leaf-3", cert1, key1)
    # In the grace of the first: the second, which is in use, stays.
    cert3, print3 = save_chain("leaf-3-3", register("leaf-3", {"csr": b64(make_csr("leaf-3", key3))})["issuedCertificateChain"])
    assert thumbprints("leaf-3") == (print2, print3)
    connects("leaf-3", cert2, key2)
    assert is_refused("leaf-3", cert1, key1)
    # The third was lost on its way: the second is still the one in use.
    cert4, print4 = save_chain("leaf-3-4", register("leaf-3", {"csr": b64(make_csr("leaf-3", key4))})["issuedCertificateChain"])
    assert thumbprints("leaf-3") == (print2, print4)
    connects("leaf-3", cert4, key4)
    wait_for(lambda: thumbprints("leaf-3") == (print4, print2), "the promotion of the fourth")
    assert is_refused("leaf-3", cert3, key3)
    issued(4)


def test_04_x509():
    """who registers by a certificate gets another one for the hub, and the one it registers by stays good there until the new one was used"""
    run("rootedge", "cert", "root", "--name", "maker CA", "--out", folder / "maker.pem", "--key-out", folder / "maker.key")
    with open(folder / "maker.pem") as f:
        status, _, answer = service("PUT", "/enrollmentGroups/made", {"credentialPolicyName": "short", "attestation": {
            "type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": f.read()}}}}})
    assert status == 200, answer
    boot = pki.make("device", "leaf-4", issuer="maker", file="boot-4")
    path = "/%s/registrations/leaf-4" % hub.ready["id_scope"]

    def by_certificate(body):
        status, _, answer = ask("PUT", path + "/register", body, cert=boot[0], key=boot[1])
        assert status == 202, answer
        return wait_for(lambda: ask("GET", path + "/operations/" + answer["operationId"], cert=boot[0], key=boot[1])[2].get("registrationState"), "leaf-4")

    assert "issuedCertificateChain" not in by_certificate({})
    assert thumbprints("leaf-4") == (thumbprint(boot[0]), thumbprint(boot[0]))
    key = make_key("leaf-4")
    cert, print1 = save_chain("leaf-4", by_certificate({"csr": b64(make_csr("leaf-4", key))})["issuedCertificateChain"])
    assert thumbprints("leaf-4") == (thumbprint(boot[0]), print1)
    connects("leaf-4", *boot)
    connects("leaf-4", cert, key)
    assert openssl("x509", "-in", cert, "-noout", "-checkend", 6 * 86400)
    assert entries()[-1]["profile"] == "short"
    issued(1)


def test_05_older_spelling():
    """the preview of 2021: clientCertificateCsr in PEM or base64, answered by issuedClientCertificate in PEM beside the chain"""
    key = make_key("leaf-5")
    der = make_csr("leaf-5", key)
    pem = openssl("req", "-inform", "DER", input=der).decode()
    state = register("leaf-5", {"clientCertificateCsr": pem})
    cert, _ = save_chain("leaf-5", state["issuedCertificateChain"])
    with open(cert) as f:
        assert f.read() == state["issuedClientCertificate"], state
    connects("leaf-5", cert, key)
    assert register("leaf-5", {"clientCertificateCsr": b64(der)})["issuedClientCertificate"] == state["issuedClientCertificate"]
    assert "issuedClientCertificate" not in register("leaf-5", {"csr": b64(der)})
    refused("leaf-5", {"csr": b64(der), "clientCertificateCsr": pem}, "the same wish")
    issued(1)


def test_06_mqtt():
    """over MQTT the same: csr in the body of the register, the chain in the body of the answer; and what is wrong with it, as a status"""
    rid = "$dps/registrations/%s/iotdps-%s/?$rid=%s"
    key = make_key("leaf-6")
    user = "%s/registrations/leaf-6/api-version=2025-07-01-preview" % hub.ready["id_scope"]
    password = token("leaf-6", derive(group, "leaf-6"))["Authorization"]

    def answer(c):
        kind, body = c.receive()
        n = int.from_bytes(body[:2], "big")
        return int(body[2:2 + n].decode().split("/")[3]), json.loads(body[2 + n:])

    with Mqtt(hub.ready["provisioning_mqtt_port"], ca=pki.root, client_id="leaf-6", user=user, password=password, clean=True) as c:
        c.send(subscribe_packet([("$dps/registrations/res/#", 1)]))
        assert c.receive()[0] == 0x90
        c.publish(rid % ("PUT", "register", 1), json.dumps({"registrationId": "leaf-6", "csr": "MII="}).encode())
        status, body = answer(c)
        assert status == 400 and body["errorCode"] == 400004, body
        c.publish(rid % ("PUT", "register", 2), json.dumps({"registrationId": "leaf-6", "csr": b64(make_csr("leaf-6", key))}).encode())
        status, body = answer(c)
        assert status == 202, body
        c.publish(rid % ("GET", "get-operationstatus", 3) + "&operationId=" + body["operationId"], b" ")
        status, body = answer(c)
        assert status == 200, body
    cert, _ = save_chain("leaf-6", body["registrationState"]["issuedCertificateChain"])
    connects("leaf-6", cert, key)
    issued(1)


def test_07_bad_csr():
    """atk-20: every CSR that is not the device's own modest wish is refused with its reason, changes nothing, and stands in no journal"""
    assert register("leaf-7", {})["deviceId"] == "leaf-7"
    before = hub.rest("GET", "/devices/leaf-7")[2]
    key = make_key("leaf-7")
    good = make_csr("leaf-7", key)
    torn = bytearray(good)
    torn[-1] ^= 1
    swapped = bytearray(good)  # another key than the one that signed
    at = good.index(b"\x03\x62\x00\x04") + 4
    other = make_csr("leaf-7", make_key("other-key"))
    swapped[at:at + 96] = other[other.index(b"\x03\x62\x00\x04") + 4:][:96]
    pem = openssl("req", "-inform", "DER", input=good).decode()
    weak = make_key("weak", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
    rsa = make_key("rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    secp = make_key("k1", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1")
    explicit = make_key("explicit", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit")
    cases = [
        (b64(make_csr("leaf-8", key)), "CSR_WRONG_NAME"),
        (b64(make_csr("LEAF-7", key)), "CSR_WRONG_NAME"),
        (b64(make_csr("", key, subject="/O=Contoso")), "CSR_WRONG_NAME"),
        (b64(make_csr("", key, subject="/CN=leaf-7/CN=leaf-8")), "CSR_WRONG_NAME"),
        (b64(make_csr("", key, subject="/CN=contosoiothub.local")), "CSR_WRONG_NAME"),
        (b64(make_csr("leaf-7", key, "-addext", "basicConstraints=critical,CA:TRUE")), "CSR_ASKS_CA"),
        (b64(make_csr("leaf-7", key, "-addext", "keyUsage=keyCertSign")), "CSR_ASKS_CA"),
        (b64(make_csr("leaf-7", key, "-addext", "subjectAltName=DNS:contosoiothub.local")), "CSR_FOREIGN_NAME"),
        (b64(make_csr("leaf-7", key, "-addext", "subjectAltName=" + ",".join("DNS:a%d.b" % n for n in range(200)))), "CSR_FOREIGN_NAME"),
        (b64(make_csr("leaf-7", key, digest="-sha1")), "CSR_WEAK_SIGNATURE"),
        (b64(make_csr("leaf-7", rsa)), "CSR_KEY_REFUSED"),
        (b64(make_csr("leaf-7", explicit, digest="-sha256")), "CSR_KEY_REFUSED"),
        (b64(make_csr("leaf-7", weak, digest="-sha256")), "kind or size"),
        (b64(make_csr("leaf-7", secp, digest="-sha256")), "kind or size"),
        (b64(make_csr("leaf-7", folder / "leaf-1.key")), "CSR_KEY_TAKEN"),  # the key of another device
        (b64(bytes(torn)), "with its public key"),
        (b64(bytes(swapped)), "with its public key"),
        (b64(good[:-1]), "PKCS #10"),
        (b64(good + b"\0"), "PKCS #10"),
        (b64(b""), "PKCS #10"),
        (b64(b"\x30\x84\x7f\xff\xff\xff" + good), "PKCS #10"),
        (b64(good) + "%%%", "base64"),
        (b64(good)[:64] + "\n" + b64(good)[64:], "base64"),
        ("!" * 1000, "base64"),
        (pem, "PEM"),
        ("A" * 900000, "more than"),
        ("\u00e4", "base64"),
    ]
    for csr, part in cases:
        refused("leaf-7", {"csr": csr}, part)
    for csr in 7, True, ["a"], {"a": 1}:
        refused("leaf-7", {"csr": csr}, "csr")
        refused("leaf-7", {"clientCertificateCsr": csr}, "clientCertificateCsr")
    status, answer, _ = begin("leaf-7", {"csr": "A" * 1100000})
    assert status == 413, (status, answer)
    assert hub.rest("GET", "/devices/leaf-7")[2] == before
    for reason in "CSR_MALFORMED", "CSR_WRONG_NAME", "CSR_ASKS_CA", "CSR_FOREIGN_NAME", "CSR_WEAK_SIGNATURE", "CSR_KEY_REFUSED", "CSR_KEY_TAKEN":
        assert reason in hub.reasons(), reason
        assert run("rootedge", "explain", reason).stdout
    issued(0)
    assert register("leaf-7", {"csr": b64(good)})["issuedCertificateChain"]
    issued(1)


def test_08_no_policy():
    """an enrollment without credentialPolicyName, or with one that this hub has not, gives no certificate, and says so"""
    key = make_key("leaf-8")
    csr = b64(make_csr("leaf-8", key))
    refused("leaf-8", {"csr": csr}, "CREDENTIAL_POLICY_UNKNOWN", plain_group)
    refused("leaf-8", {"csr": csr}, "CREDENTIAL_POLICY_UNKNOWN", lost_group)
    assert "issuedCertificateChain" not in register("leaf-8", {"csr": None}, plain_group)
    issued(0)


def test_09_kill():
    """kill -9 after the certificate is in the journal and before the registration is: the same CSR gets that one, and no other is issued"""
    key = make_key("leaf-9")
    csr = b64(make_csr("leaf-9", key))
    store = sqlite3.connect(hub.state + "/hub.sqlite", isolation_level=None)
    store.execute("BEGIN IMMEDIATE")  # the registration can't be written
    failed = threading.Thread(target=lambda: begin_quietly("leaf-9", {"csr": csr}))
    failed.start()
    wait_for(lambda: any(e["requester"] == "leaf-9" for e in entries()), "the journal to have it")
    hub.kill9()
    failed.join()
    store.close()
    start()
    assert hub.rest("GET", "/devices/leaf-9")[0] == 404
    issued(1)
    state = register("leaf-9", {"csr": csr})
    cert, print1 = save_chain("leaf-9", state["issuedCertificateChain"])
    assert entries()[-1]["certificate"]["sha256"].replace(":", "").upper() == print1, entries()[-1]
    connects("leaf-9", cert, key)
    issued(0)


def begin_quietly(registration, body):
    try:
        return begin(registration, body)
    except (OSError, http.client.HTTPException, ValueError):
        return None


def test_10_kills():
    """kills at any moment of registrations with CSRs, renewals among them: each device ends with a certificate that lets it in, one for each CSR"""
    wishes = {}
    for round in range(6):
        name = "kill-%d" % (round % 3)
        key = make_key("%s-%d" % (name, round))
        wishes[name] = (key, b64(make_csr(name, key)))
        worker = threading.Thread(target=begin_quietly, args=(name, {"csr": wishes[name][1]}))
        worker.start()
        worker.join(0.004 * round)
        hub.kill9()
        worker.join()
        start()
    for name, (key, csr) in wishes.items():
        cert, _ = save_chain(name, register(name, {"csr": csr})["issuedCertificateChain"])
        connects(name, cert, key)
    seen = [(e["requester"], e["request"]) for e in entries()]
    assert len(seen) == len(set(seen)), "issued twice for one CSR"
    global n_issued
    n_issued = len(seen)
    issued(0)


def test_11_many():
    """the same CSR from many connections at once is one certificate"""
    key = make_key("leaf-11")
    csr = b64(make_csr("leaf-11", key))
    threads = [threading.Thread(target=begin_quietly, args=("leaf-11", {"csr": csr})) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    cert, _ = save_chain("leaf-11", register("leaf-11", {"csr": csr})["issuedCertificateChain"])
    connects("leaf-11", cert, key)
    issued(1)


def test_11_revoked():
    """what provisioning has issued and the operator revokes ends its session within seconds, and lets nobody in again"""
    registration = register("dev-revoked", {"csr": b64(make_csr("dev-revoked", make_key("dev-revoked")))})
    path, _ = save_chain("dev-revoked", registration["issuedCertificateChain"])
    with hub.mqtt("dev-revoked", cert=path, key=folder / "dev-revoked.key", clean=True) as online:
        run("rootedge", "ca", "revoke", "dev-revoked", "--state", hub.state, "--reason", "keyCompromise")
        assert online.closed(15 * SLOW)
    issued(1)
    assert is_refused("dev-revoked", path, folder / "dev-revoked.key")


def test_12_linked():
    """a device of a linked hub: its thumbprint goes there, and the one before stays good beside the next"""
    far_folder = Folder()
    with Hub(far_folder, pki, "localhost") as far:
        host = "localhost:%d" % far.https_port
        text = "HostName=%s;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (host, far.policy())
        assert service("PUT", "/linkedHubs/" + host, {"connectionString": text})[0] in (200, 201)
        far_key = new_key()
        enroll_group("away", far_key, credentialPolicyName="line", iotHubs=[host])
        key1, key2 = make_key("far-1"), make_key("far-2")
        state = register("far-1", {"csr": b64(make_csr("far-1", key1))}, far_key)
        assert state["assignedHub"] == host, state
        cert1, print1 = save_chain("far-1", state["issuedCertificateChain"])

        def there():
            t = far.rest("GET", "/devices/far-1")[2]["authentication"]["x509Thumbprint"]
            return t["primaryThumbprint"], t["secondaryThumbprint"]

        assert there() == (print1, None)
        far.mqtt("far-1", cert=cert1, key=key1, clean=True).close()
        csr2 = b64(make_csr("far-1", key2))
        cert2, print2 = save_chain("far-2", register("far-1", {"csr": csr2}, far_key)["issuedCertificateChain"])
        assert there() == (print2, print1)
        assert register("far-1", {"csr": csr2}, far_key)["issuedCertificateChain"]
        assert there() == (print2, print1)
        far.mqtt("far-1", cert=cert1, key=key1, clean=True).close()
        far.mqtt("far-1", cert=cert2, key=key2, clean=True).close()
        assert service("DELETE", "/linkedHubs/" + host)[0] == 204
    issued(2)


def test_13_own_ca():
    """an intermediate that the operator names issues with its chain up to the root; a lost journal, a foreign key and a second hub are refused at the start"""
    hub.stop()
    run("rootedge", "cert", "intermediate", "--name", "plant intermediate", "--issuer", folder / "root.pem", "--issuer-key", folder / "root.key", "--out", folder / "plant.pem",
        "--key-out", folder / "plant.key", "--key-alg", "ec-p384")
    with open(folder / "plant.pem") as plant, open(folder / "root.pem") as root:
        text = plant.read()
        root_text = root.read()
    with open(folder / "plant-chain.pem", "w") as f:
        f.write(text if root_text in text else text + root_text)
    start("--issuing-ca", folder / "plant-chain.pem", "--issuing-ca-key", folder / "plant.key")
    own_group = new_key()
    enroll_group("plant-13", own_group, credentialPolicyName="default")
    key = make_key("leaf-13")
    chain = register("leaf-13", {"csr": b64(make_csr("leaf-13", key))}, own_group)["issuedCertificateChain"]
    cert, _ = save_chain("leaf-13", chain)
    assert len(chain) == 3
    openssl("verify", "-x509_strict", "-CAfile", pki.root, "-untrusted", cert, cert)
    connects("leaf-13", cert, key)
    # What the CA before issued is still told with its own chain.
    issued(1)
    shown = run("rootedge", "ca", "show", "leaf-1", "--state", hub.state).stdout
    with open(hub.state + "/ca/issuing-ca.cert.pem") as f:
        assert f.read() in shown
    hub.stop()
    ends_with("the key does not belong to", "--issuing-ca", folder / "plant-chain.pem", "--issuing-ca-key", folder / "root.key")
    ends_with("go together", "--issuing-ca", folder / "plant-chain.pem")
    ends_with("7 to 90 days", "--issuing-ca-new", "--credential-policy", "a=400")
    for path in glob.glob(hub.state + "/ca/issued.sqlite*"):
        os.rename(path, path.replace("issued", "away"))
    ends_with("is gone: put it back", "--issuing-ca-new")
    for path in glob.glob(hub.state + "/ca/away.sqlite*"):
        os.rename(path, path.replace("away", "issued"))
    start()
    issued(0)


def ends_with(part, *args):
    try:
        start(*args)
    except AssertionError as e:
        assert part in str(e), e
        return
    raise AssertionError("it starts with " + " ".join(map(str, args)))


def test_14_no_ca():
    """without an issuing CA a CSR is refused in plain words, and registering without one goes on as before"""
    hub.stop()
    start("--id-scope", hub.ready["id_scope"])
    key = make_key("leaf-14")
    refused("leaf-14", {"csr": b64(make_csr("leaf-14", key))}, "CA_ABSENT")
    assert register("leaf-14", {})["deviceId"] == "leaf-14"


def test_99_end():
    """the hub ends in order"""
    hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
