#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A connected device asks the hub for its next certificate (hub 1.11): it gets a chain by its own CSR, connects with it at once, and the one before is retired as in any rotation;
whatever is wrong is answered with its reason, and a hub that is killed issues nothing twice."""
import base64, hashlib, os, re, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

RES = "$iothub/credentials/res/#"
ASK = "$iothub/credentials/POST/issueCertificate/?$rid=%s"
hub = folder = pki = clock = None


def openssl(*args, **kw):
    return subprocess.run(["openssl", *map(str, args)], capture_output=True, check=True, **kw).stdout


def start(*args):
    global hub
    hub = Hub(folder, pki, "contosoiothub.local", *(args or ("--issuing-ca-new", "--credential-policy", "line=30")), env={"ROOTEDGE_CLOCK_FILE": clock})


def jump(seconds):
    with open(clock, "w") as f:
        f.write(str(seconds))


def make_csr(id, file, *args, subject=None):
    """(base64 of DER, path of the key)"""
    key = folder / (file + ".key")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", key)
    return base64.b64encode(openssl("req", "-new", "-key", key, "-subj", subject or "/CN=" + id, "-outform", "DER", "-sha384", *args)).decode(), key


def device(id):
    cert = pki.make("device", id)
    hub.create_x509_device(id, thumbprint(cert[0]))
    return cert


def vouch(name, path):
    with open(path) as f:
        status, _, told = hub.rest("PUT", "/certificates/" + name, {"properties": {"certificate": f.read(), "isVerified": True}})
    assert status in (200, 201), told


def connect(id, cert, key, listen=True):
    m = hub.mqtt(id, cert=cert, key=key, clean=True)
    if listen:
        m.send(subscribe_packet(((RES, 0),)))
        assert m.receive() == (0x90, b"\0\1\0")
    return m


def next_answer(m):
    kind, body = m.receive()
    assert kind == 0x30, (kind, body)
    n = int.from_bytes(body[:2], "big")
    status, rid = re.fullmatch(r"\$iothub/credentials/res/(\d+)/\?\$rid=(.+)", body[2:2 + n].decode()).groups()
    return int(status), rid, json.loads(body[2 + n:])


def ask(m, body, rid="7"):
    """The answer; one that takes a while was accepted before."""
    m.send(publish_packet(ASK % rid, body if isinstance(body, bytes) else json.dumps(body).encode(), 0))
    status, got, told = next_answer(m)
    if status == 202:
        assert got == rid and set(told) == {"correlationId", "operationExpires"}, told
        accepted = told["correlationId"]
        status, got, told = next_answer(m)
        assert status == 200 or told["info"] == {"correlationId": accepted}, told
    assert got == rid, got
    return status, told


def save_chain(file, told):
    path = folder / (file + ".chain.pem")
    with open(path, "w") as f:
        f.write("".join(ssl.DER_cert_to_PEM_cert(base64.b64decode(c, validate=True)) for c in told["certificates"]))
    return path


def fails(answer, status, number, part):
    got, told = answer
    assert got == status and told["errorCode"] == number and part in told["message"] and told["trackingId"] and told["timestampUtc"], answer


def n_issued():
    return json.loads(run("rootedge", "ca", "audit", "--state", hub.state, "--json").stdout)["entries"]


def test_00_start():
    """a hub makes its own CA, without provisioning"""
    global folder, pki, clock
    folder = Folder()
    pki = Pki(folder)
    clock = folder / "clock"
    jump(0)
    start()


def test_01_issued():
    """a device known by thumbprint gets a chain that openssl verifies, connects with it at once, which promotes it, and the certificate before goes on for its grace"""
    cert, key = device("leaf")
    csr, new_key_path = make_csr("leaf", "leaf-next")
    with connect("leaf", cert, key) as m:
        status, told = ask(m, {"id": "leaf", "csr": csr, "replace": None})
        assert status == 200 and len(told["certificates"]) == 2, told
        again = ask(m, {"id": "leaf", "csr": csr}, "8")
        assert again == (200, told), again
        m.publish("devices/leaf/messages/events/", b"still here")
    chain = save_chain("leaf", told)
    root = folder / "issuing.pem"
    with open(root, "w") as f:
        f.write(ssl.DER_cert_to_PEM_cert(base64.b64decode(told["certificates"][1])))
    assert b": OK" in openssl("verify", "-CAfile", root, chain)
    wanted = hashlib.sha256(base64.b64decode(told["certificates"][0])).hexdigest().upper()
    assert hub.rest("GET", "/devices/leaf")[2]["authentication"]["x509Thumbprint"]["secondaryThumbprint"] == wanted
    connect("leaf", chain, new_key_path).close()
    wait_for(lambda: hub.rest("GET", "/devices/leaf")[2]["authentication"]["x509Thumbprint"]["primaryThumbprint"] == wanted, "the new one to be promoted", 20)
    connect("leaf", cert, key).close()
    assert n_issued() == 1


def test_02_another_at_once():
    """another certificate within a minute is 429, and issued after it"""
    before = folder / "leaf-next.key"
    with connect("leaf", folder / "leaf.chain.pem", before) as m:
        csr, _ = make_csr("leaf", "leaf-third")
        fails(ask(m, {"id": "leaf", "csr": csr}), 429, 429001, "within the last minute")
        jump(61)
        wait_for(lambda: ask(m, {"id": "leaf", "csr": csr})[0] == 200, "the minute to be over", 10)  # the hub looks at its clock's file now and then
    assert n_issued() == 2


def test_02_b_gateway():
    """a gateway that speaks for a device below it gets no certificate in that one's name"""
    gateway = hub.create_device("gw", capabilities={"iotEdge": True})
    gw_key = new_key()
    module = {"authentication": {"type": "sas", "symmetricKey": {"primaryKey": gw_key, "secondaryKey": new_key()}}}
    assert hub.rest("PUT", "/devices/gw/modules/$edgeHub", module, {"If-Match": "*"})[0] == 200
    device("below")
    record = hub.rest("GET", "/devices/below")[2]
    status, _, record = hub.rest("PUT", "/devices/below", dict(record, parentScopes=[gateway["deviceScope"]], deviceScope=gateway["deviceScope"]), {"If-Match": "*"})
    assert status == 200, record
    csr, _ = make_csr("below", "below-stolen")
    token = sas("%s/devices/gw/modules/$edgeHub" % hub.hostname, gw_key)
    with hub.mqtt("below", password=token, user=username(hub.hostname, "below", extra="&auth-chain=below%3Bgw"), clean=True) as m:
        m.send(subscribe_packet(((RES, 0),)))
        assert m.receive() == (0x90, b"\0\1\0")
        before = n_issued()
        fails(ask(m, {"id": "below", "csr": csr}), 400, 400003, "gateway")
        m.publish("devices/below/messages/events/", b"for it")
    assert n_issued() == before
    assert not hub.rest("GET", "/devices/below")[2]["authentication"]["x509Thumbprint"].get("secondaryThumbprint")


def test_03_wrong():
    """each wrong question has its answer, and nothing is issued for it"""
    cert, key = device("odd")
    good, _ = make_csr("odd", "odd-good")
    other, _ = make_csr("odd", "odd-other", subject="/CN=leaf")
    ca, _ = make_csr("odd", "odd-ca", "-addext", "basicConstraints=critical,CA:TRUE")
    broken = base64.b64encode(base64.b64decode(good)[:-1] + b"\0").decode()
    n = n_issued()
    with connect("odd", cert, key) as m:
        for body, number, part in ((b"", 400012, ""), (b"{", 400012, ""), (b"[1]", 400012, "object"), (b"\xff", 400012, ""), ({"id": "odd"}, 400004, "csr is missing"),
                                   ({"csr": good}, 400004, "id"), ({"id": "leaf", "csr": good}, 400004, "id"), ({"id": 5, "csr": good}, 400004, ""),
                                   ({"id": "odd", "csr": 5}, 400004, ""), ({"id": "odd", "csr": ""}, 400004, ""), ({"id": "odd", "csr": "?"}, 400004, "base64"),
                                   ({"id": "odd", "csr": "MAA="}, 400004, "request"), ({"id": "odd", "csr": broken}, 400004, "verified"),
                                   ({"id": "odd", "csr": other}, 400004, "CSR_"), ({"id": "odd", "csr": ca}, 400004, "CSR_"),
                                   ({"id": "odd", "csr": "A" * 100000}, 400004, "")):
            fails(ask(m, body), 400, number, part)
        m.send(publish_packet(ASK % "", b"{}", 0))
        assert m.closed()
    assert n_issued() == n
    quiet = connect("odd", cert, key, listen=False)
    quiet.send(publish_packet(ASK % "1", json.dumps({"id": "odd", "csr": good}).encode(), 0) + packet(0xc0))
    assert quiet.receive() == (0xd0, b"")  # who does not listen hears nothing
    quiet.close()


def test_04_who():
    """a device that is known by keys, a module, and one under a CA that is not the hub's own are refused; once the hub's CA is registered the latter gets one and connects with it"""
    csr, _ = make_csr("keyed", "keyed")
    sas_key = hub.create_device("keyed")["authentication"]["symmetricKey"]["primaryKey"]
    with hub.mqtt("keyed", password=hub.device_token("keyed", sas_key), clean=True) as m:
        m.send(subscribe_packet(((RES, 0),)))
        m.receive()
        fails(ask(m, {"id": "keyed", "csr": csr}), 400, 400003, "known by keys")
    vouch("plant", pki.root)
    hub.rest("PUT", "/devices/of-ca", {"deviceId": "of-ca", "authentication": {"type": "certificateAuthority"}})
    cert, key = pki.make("device", "of-ca")
    csr, new_path = make_csr("of-ca", "of-ca-next")
    with connect("of-ca", cert, key) as m:
        fails(ask(m, {"id": "of-ca", "csr": csr}), 400, 400003, "has to be registered")
    vouch("own", hub.state + "/ca/issuing-ca.cert.pem")
    with connect("of-ca", cert, key) as m:
        status, told = ask(m, {"id": "of-ca", "csr": csr})
        assert status == 200, told
    connect("of-ca", save_chain("of-ca", told), new_path).close()


def test_05_kill():
    """killed at any moment after the question, the hub gives the same CSR one certificate, once"""
    cert, key = device("hard")
    n = n_issued()
    csr, new_path = make_csr("hard", "hard-next")
    for delay in (0, 0.001, 0.002, 0.005, 0.01):
        m = connect("hard", cert, key)
        m.send(publish_packet(ASK % "1", json.dumps({"id": "hard", "csr": csr}).encode(), 0))
        time.sleep(delay)  # the moment of the kill, nothing is waited for
        hub.kill9()
        hub.start()
        m.close()
    with connect("hard", cert, key) as m:
        status, told = ask(m, {"id": "hard", "csr": csr})
        assert status == 200, told
    assert n_issued() == n + 1
    connect("hard", save_chain("hard", told), new_path).close()


def test_06_none():
    """a hub without a CA says so"""
    cert, key = folder / "leaf.pem", folder / "leaf.key"
    hub.stop()
    other = Folder()
    bare = Hub(other, pki, "contosoiothub.local")
    bare.create_x509_device("leaf", thumbprint(cert))
    m = bare.mqtt("leaf", cert=cert, key=key, clean=True)
    m.send(subscribe_packet(((RES, 0),)))
    m.receive()
    fails(ask(m, {"id": "leaf", "csr": "x"}), 404, 404013, "issues no certificates")
    m.close()
    bare.stop()
    other.__exit__()


def test_99_end():
    """everything stops in order"""
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
