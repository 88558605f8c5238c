#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""identityd's endpoints one by one, for the daemon, root, host processes and strangers; host processes' modules made so in the hub; local identities; a hub and a provisioning service that are
away, busy, lying or hostile; a parent gateway in the hub's place; a proxy; and a device whose clock is wrong."""
import os, signal, socketserver, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from identity_box import *
from peers import *

folder, DAY = Folder(), 86400
pki = Pki(folder)
hub = Hub(folder, pki)
box = None
KEY = new_key()
USERS = {"pump": 70001, "valve": 70002, "agent": 70003, "stranger": 70009}


def key_file(name, key):
    with open(folder / name, "wb") as f:
        f.write(base64.b64decode(key))
    return folder / name


def manual(name, device="gateway-1", auth="sas", **more):
    return Box(folder, name, [pki.root], **dict({"source": "manual", "auth": auth, "hub_name": hub.hostname, "device_id": device, "hub_port": hub.https_port}, **more))


def device(id, key=None, **more):
    k = {"primaryKey": key or KEY, "secondaryKey": new_key()}
    return hub.create_device(id, {"type": "sas", "symmetricKey": k}, capabilities={"iotEdge": True}, **more)


def in_hub(module, device="gateway-1"):
    status, _, answer = hub.rest("GET", "/devices/%s/modules/%s" % (device, module))
    return answer if status == 200 else None


def test_01_manual():
    """by a symmetric key, and by a certificate: who the device is needs no network, and its modules are made in the hub"""
    global box
    device("gateway-1")
    box = manual("manual", keys={"device-id": key_file("g1.bin", KEY)})
    status, answer = box.device()
    assert status == 200 and answer["type"] == "aziot", answer
    spec = answer["spec"]
    assert (spec["hubName"], spec["gatewayHost"], spec["deviceId"], spec["auth"]["type"]) == (hub.hostname, hub.hostname, "gateway-1", "sas") and "moduleId" not in spec, spec
    assert box.ask("GET", "/identities/provisioning") == (200, {"source": "manual", "auth": "sas"})
    assert box.module("POST")[0] == 200 and in_hub("pump")
    assert box.ask("GET", "/trust-bundle") == (200, {"certificate": ""})
    assert box.ask("POST", "/identities/device/reprovision", {"type": "aziot"})[0] == 204
    cert, key = pki.make("device", "gateway-x")
    hub.create_x509_device("gateway-x", thumbprint(cert), capabilities={"iotEdge": True})
    x = manual("x509", "gateway-x", "x509", keys={"device-id": key}, certs={"device-id": cert})
    assert x.device()[1]["spec"]["auth"]["type"] == "x509" and x.ask("GET", "/identities/provisioning")[1] == {"source": "manual", "auth": "x509"}
    assert x.module("POST")[0] == 200 and in_hub("pump", "gateway-x")
    x.stop()


def test_02_requests():
    """api-versions, paths, methods and bodies that are none are answered with the original's statuses and words"""
    for method, path, body, want in (
            ("GET", "/identities/none", None, (404, "not found")),
            ("GET", "/identities/modules/pump/", None, (404, "not found")),
            ("GET", "/identities/modules/a/b", None, (404, "not found")),
            ("DELETE", "/identities/device", None, (400, "method not allowed")),
            ("PUT", "/identities/modules", {}, (400, "method not allowed")),
            ("POST", "/identities/device", None, (400, "missing request body")),
            ("POST", "/identities/modules", None, (400, "missing request body")),
            ("POST", "/identities/device", {}, (422, None)),
            ("POST", "/identities/device", "{", (422, None)),
            ("POST", "/identities/modules", {"type": "aziot"}, (422, None)),
            ("POST", "/identities/modules", {"type": "aziot", "moduleId": 7}, (422, None)),
            ("PUT", "/identities/modules/pump", "", (422, None)),
            ("POST", "/identities/device", {"type": "other"}, (400, 'parameter "type" has an invalid value')),
            ("POST", "/identities/modules", {"type": "other", "moduleId": "m"}, (400, 'parameter "type" has an invalid value')),
            ("GET", "/identities/modules/pump?type=other", None, (400, 'parameter "type" has an invalid value')),
            ("POST", "/identities/modules", {"type": "aziot", "moduleId": ""}, (400, 'parameter "moduleId" has an invalid value')),
            ("POST", "/identities/modules", {"type": "aziot", "moduleId": "../x"}, (400, 'parameter "moduleId" has an invalid value')),
            ("POST", "/identities/modules", {"type": "aziot", "moduleId": "m" * 129}, (400, 'parameter "moduleId" has an invalid value')),
            ("GET", "/identities/modules/..%2F..%2Fetc%2Fpasswd", None, (400, 'parameter "moduleId" has an invalid value')),
            ("DELETE", "/identities/modules/a%2Fb", None, (400, 'parameter "moduleId" has an invalid value')),
            ("GET", "/identities/modules/nobody", None, (404, None)),
            ("GET", "/identities/modules/pump?type=local", None, (400, None)),
            ("POST", "/identities/modules", {"type": "local", "moduleId": "pump"}, (400, None))):
        status, answer = box.ask(method, path, body, headers={"Content-Type": "application/json"} if isinstance(body, str) else None)
        assert status == want[0] and set(answer) == {"message"} and want[1] in (None, answer["message"]), (method, path, body, status, answer)
    assert box.ask("GET", "/identities/provisioning", version="api-version=2020-09-01")[0] == 404
    assert box.ask("GET", "/identities/provisioning", version="api-version=2021-12-01")[0] == 200
    assert box.ask("GET", "/identities/modules", version="api-version=2019-01-01") == (400, {"message": 'invalid api-version "2019-01-01"'})
    assert box.ask("GET", "/identities/modules", version="x=1") == (400, {"message": "api-version not specified"})
    assert box.module("GET")[0] == 200, "all that has changed nothing"


def test_03_callers():
    """by the user at the other end: root all, a host process its own identities of the kinds it is configured with, a stranger what is public"""
    if ME != 0:
        raise Skip("only root can ask as others")
    made_for_another = in_hub("pump")["generationId"]
    box.restart(localid_domain="site.example", principals=[{"name": "aziot-edge", "uid": 61843}, {"name": "second", "uid": 61844},
                {"name": "pump", "uid": USERS["pump"], "idtype": ["module", "local"], "localid": {"type": "x509", "attributes": "server"}},
                {"name": "valve", "uid": USERS["valve"], "idtype": ["local"]}, {"name": "agent", "uid": USERS["agent"], "idtype": ["device"]}])
    wait_for(lambda: (in_hub("pump") or {}).get("generationId", made_for_another) != made_for_another, "the module of the host process to be made anew")
    box.said("the principal second is ignored")
    aziot, local = "?type=aziot", "?type=local"
    rows = [("GET", "/identities/identity", None), ("POST", "/identities/device", {"type": "aziot"}), ("POST", "/identities/device/reprovision", {"type": "aziot"}), ("GET", "/identities/modules", None),
            ("POST", "/identities/modules", {"type": "aziot", "moduleId": "more"}), ("GET", "/identities/modules/pump" + aziot, None), ("GET", "/identities/modules/valve" + aziot, None),
            ("PUT", "/identities/modules/pump", {"type": "aziot", "moduleId": "pump"}), ("GET", "/trust-bundle", None), ("GET", "/identities/provisioning", None)]
    may = {"pump": "ynnnnynnyy", "valve": "?nnnnnnnyy", "agent": "yynnnnnnyy", "stranger": "nnnnnnnnyy"}
    for name, row in may.items():
        for (method, path, body), wanted in zip(rows, row):
            status, answer = box.ask_as(USERS[name], method, path, body)
            if wanted == "n":
                assert (status, answer) == (401, {"message": "authorization error"}), (name, method, path, status, answer)
            elif wanted == "y":
                assert status == 200, (name, method, path, status, answer)
    assert box.ask_as(USERS["pump"], "GET", "/identities/identity")[1]["spec"]["moduleId"] == "pump"
    assert "moduleId" not in box.ask_as(USERS["agent"], "GET", "/identities/identity")[1]["spec"]
    assert "moduleId" not in box.ask("GET", "/identities/identity")[1]["spec"], "root's is the device's"
    assert box.ask_as(61843, "DELETE", "/identities/modules/more")[0] in (204, 404) and box.ask_as(61844, "GET", "/identities/modules")[0] == 401
    assert box.log().count("CALLER_NOT_ALLOWED") > 20 and "valve (uid %d) may not" % USERS["valve"] in box.log()


def test_04_principals_checked():
    """principals that can't be told apart or want what there is not keep identityd from starting, with a sentence that names them"""
    for changes, words in ((dict(principals=[{"name": "a", "uid": 1, "idtype": ["module"]}, {"name": "a", "uid": 2, "idtype": ["module"]}]), "have the same name"),
                           (dict(principals=[{"name": "a", "uid": 1}, {"name": "b", "uid": 1, "idtype": []}]), "have the same uid"),
                           (dict(principals=[{"name": "a", "uid": 1, "idtype": ["local"]}]), "needs a [localid] section"),
                           (dict(principals=[{"name": "a", "uid": 1, "idtype": ["device"]}], source="none"), "need a provisioning source"),
                           (dict(source="dps", auth="x509", dps={"global_endpoint": "https://dps.example", "id_scope": "s"}, gateway_host="parent.local"), "not supported in nested mode"),
                           (dict(cloud_timeout_sec=30), "cloud_timeout_sec must be at least 70 seconds")):
        path = folder / "bad.json"
        with open(box.folder / "identityd.json") as f:
            config = json.load(f)
        with open(path, "w") as f:
            json.dump(dict(config, socket=folder / "bad.sock", localid_domain=None, **changes), f)
        done = run("rootedge", "identityd", "--config", path, check=False, env=dict(os.environ, ROOTEDGE_LOG="info,json"))
        assert done.returncode == 1 and words in done.stderr, (words, done.stderr)


def test_04_principals_change():
    """who may what changes while it runs: a host process that is added has its module in the hub, one that is left out has it no more; a list that is wrong changes nothing"""
    if ME != 0:
        raise Skip("only root can ask as others")
    new = {"name": "valve", "uid": USERS["valve"], "idtype": ["module"]}
    daemon = {"name": "aziot-edge", "uid": 61843}
    assert box.ask_as(USERS["valve"], "GET", "/identities/modules/valve?type=aziot")[0] == 401 and in_hub("pump")
    box.change(principals=[daemon, new])
    box.identityd.process.send_signal(signal.SIGHUP)
    wait_for(lambda: in_hub("valve") and not in_hub("pump"), "the module of the new one, and none of the other")
    assert box.ask_as(USERS["valve"], "GET", "/identities/modules/valve?type=aziot")[0] == 200
    assert box.ask_as(USERS["pump"], "GET", "/identities/modules/pump?type=aziot")[0] == 401
    box.change(principals=[daemon, new, dict(new, name="twin")])
    box.said("the configuration stays as it was: principals valve and twin have the same uid")
    assert box.ask_as(USERS["valve"], "GET", "/identities/identity")[0] == 200
    box.change(principals=[daemon])
    wait_for(lambda: not in_hub("valve"), "the module is gone, without a signal")


def test_04_slow_hub():
    """a hub that does not answer keeps those waiting who ask for it, and nobody else; and no end"""
    held = threading.Event()
    slow = Cloud(pki, lambda *_: (held.wait(60), (200, {}, {}))[1])
    b = Box(folder, "slow", [pki.root], keys={"device-id": key_file("g5.bin", KEY)}, source="manual", auth="sas", hub_name="localhost", device_id="gateway-1", hub_port=slow.port, max_requests=64)

    def ask():
        try:
            b.module("GET")
        except (OSError, http.client.HTTPException):
            pass  # it ended
    waiting = [threading.Thread(target=ask, daemon=True) for _ in range(20)]
    for t in waiting:
        t.start()
    wait_for(lambda: len(slow.asked) >= 3, "questions that wait for the hub", 30)
    before = time.monotonic()
    for _ in range(10):
        assert b.device()[0] == 200 and b.ask("GET", "/identities/provisioning")[0] == 200 and b.ask("GET", "/identities/identity")[0] == 200
    assert time.monotonic() - before < 5 * SLOW, "what needs no hub is answered"
    before = time.monotonic()
    b.identityd.stop()
    assert time.monotonic() - before < 1 * SLOW, "an end does not wait for the hub"
    held.set()
    for t in waiting:
        t.join(30)
    slow.stop()
    b.stop()


def test_05_local():
    """a local identity: a certificate of the site's CA for MODULE.HOSTNAME.DOMAIN, for a client or a server, with a key that is nowhere else"""
    ca = pki.make("intermediate", "site CA", file="site")
    l = Box(folder, "local", [pki.root], keys={"local-ca": ca[1]}, certs={"local-ca": ca[0]}, issuance={"aziot-identityd/local": {"method": "local_ca", "expiry_days": 7}}, source="none",
            localid_domain="site.example", principals=[{"name": "pump", "uid": USERS["pump"], "idtype": ["local"], "localid": {"type": "x509", "attributes": "server"}}])
    for method, path, body, use in (("GET", "/identities/modules/valve?type=local", None, "client"), ("GET", "/identities/modules/pump?type=local", None, "server"),
                                    ("POST", "/identities/modules", {"type": "local", "moduleId": "valve", "localIdOpts": {"type": "x509", "attributes": "server"}}, "server")):
        status, answer = l.ask(method, path, body)
        assert status == 200 and answer["type"] == "local", (status, answer, l.certd.log_text()[-800:])
        auth, name = answer["spec"]["auth"], "%s.box.local.site.example" % answer["spec"]["moduleId"]
        for what in "privateKey", "certificate":
            with open(folder / ("local." + what), "w") as f:
                f.write(auth[what])
        text = run("openssl", "x509", "-noout", "-text", "-in", folder / "local.certificate").stdout
        assert "CN = " + name in text and "DNS:" + name in text and ("TLS Web Server" if use == "server" else "TLS Web Client") in text and "CA:TRUE" not in text, text
        run("openssl", "verify", "-CAfile", pki.root, "-untrusted", folder / "local.certificate", "-purpose", "ssl" + use, folder / "local.certificate")
        public = [run("openssl", *a).stdout for a in (("pkey", "-in", folder / "local.privateKey", "-pubout"), ("x509", "-in", folder / "local.certificate", "-noout", "-pubkey"))]
        assert public[0] == public[1]
        end = run("openssl", "x509", "-noout", "-enddate", "-in", folder / "local.certificate").stdout.strip().split("=")[1]
        assert time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(ssl.cert_time_to_seconds(end))) == auth["expiration"]
        assert auth["privateKey"].split("\n")[1] not in l.log() + l.certd.log_text() + l.keyd.log_text()
    for id in "a b", "x" * 60, "a..b", ".", "":
        assert l.ask("POST", "/identities/modules", {"type": "local", "moduleId": id})[0] == 400, id
    assert l.ask("POST", "/identities/modules", {"type": "local", "moduleId": "v", "localIdOpts": {"attributes": "ca"}})[0] == 400
    assert l.ask("GET", "/identities/provisioning") == (200, {"source": "none"})
    for path in ("POST", "/identities/device", {"type": "aziot"}), ("GET", "/identities/modules"), ("GET", "/identities/modules/pump"):
        assert l.ask(*path) == (400, {"message": "device identity not found"}), path
    assert l.ask("POST", "/identities/device/reprovision", {})[0] == 204
    if ME == 0:
        assert l.ask_as(USERS["pump"], "GET", "/identities/identity")[1]["type"] == "local"
        assert l.ask_as(USERS["pump"], "GET", "/identities/modules/valve?type=local")[0] == 401
    l.stop()


def test_06_reconcile():
    """modules of host processes: made at the start, kept over restarts, made anew when somebody else has made them, deleted when they are not configured any more; the rest stays"""
    device("gateway-2")
    r = manual("reconcile", "gateway-2", keys={"device-id": key_file("g2.bin", KEY)}, principals=[{"name": n, "uid": USERS[n], "idtype": ["module"]} for n in ("pump", "valve")])
    wait_for(lambda: in_hub("pump", "gateway-2") and in_hub("valve", "gateway-2"), "both modules")
    wait_for(lambda: in_hub("valve", "gateway-2")["authentication"]["symmetricKey"]["primaryKey"], "its keys")
    assert hub.rest("PUT", "/devices/gateway-2/modules/deployed", {"deviceId": "gateway-2", "moduleId": "deployed"})[0] == 200
    first = in_hub("pump", "gateway-2")["generationId"]

    def settle():
        wait_for(lambda: r.ask("GET", "/identities/modules")[0] == 200, "the hub")
        r.restart()
    settle()
    assert in_hub("pump", "gateway-2")["generationId"] == first
    assert hub.rest("DELETE", "/devices/gateway-2/modules/pump", headers={"If-Match": "*"})[0] == 204
    r.restart()
    wait_for(lambda: in_hub("pump", "gateway-2"), "it is made again")
    # Under a name that was not ours somebody else has keys.
    assert hub.rest("PUT", "/devices/gateway-2/modules/agent", {"deviceId": "gateway-2", "moduleId": "agent"})[0] == 200
    theirs = in_hub("agent", "gateway-2")
    r.restart(principals=[{"name": n, "uid": USERS[n], "idtype": ["module"]} for n in ("pump", "agent")])
    wait_for(lambda: (in_hub("agent", "gateway-2") or theirs)["generationId"] != theirs["generationId"], "it is made anew")
    wait_for(lambda: not in_hub("valve", "gateway-2"), "what is not configured any more goes")
    assert in_hub("deployed", "gateway-2") and in_hub("pump", "gateway-2")
    # While the hub is away all goes on, and it is done when it is back.
    hub.stop()
    r.restart(principals=[{"name": n, "uid": USERS[n], "idtype": ["module"]} for n in ("pump", "agent", "valve")])
    assert r.device()[0] == 200
    r.said("this device's identity is not confirmed yet")
    hub.start()
    wait_for(lambda: in_hub("valve", "gateway-2"), "the hub is back", 40)
    for text in "", "{", '{"hubName": 7}', '{"modules": ["deployed"]}':
        r.identityd.stop()
        with open(os.path.join(r.state, "prev_state"), "w") as f:
            f.write(text)
        r.start()
        wait_for(lambda: os.path.getsize(os.path.join(r.state, "prev_state")) > 40, "the state is written anew")
        assert in_hub("deployed", "gateway-2") and in_hub("pump", "gateway-2"), text
    for n in range(6):
        r.identityd.kill9()
        with open(os.path.join(r.state, "prev_state"), "w") as f:
            f.write("")
        r.start()
        wait_for(lambda: random_moment(n), "a moment")
    r.restart()
    wait_for(lambda: all(in_hub(m, "gateway-2") and in_hub(m, "gateway-2")["authentication"]["symmetricKey"]["primaryKey"] for m in ("pump", "agent", "valve")), "all three", 30)
    r.stop()


moments = {}


def random_moment(n):
    end = moments.setdefault(n, time.monotonic() + 0.05 * n * SLOW)
    return time.monotonic() >= end


def module_of(path, **more):
    return dict({"deviceId": "gateway-3", "moduleId": path.split("/")[-1], "generationId": "777"}, **more)


def test_07_hub_that_lies():
    """a hub that answers about another module or device, with nonsense, half, too much, 500 or not at all is as one that is away: what was kept serves, and is not overwritten; a hub
    that is not the hub hears nothing"""
    good = lambda method, path, headers, body: (200, {}, [module_of("x/pump")] if path.endswith("/modules") else module_of(path))
    cloud = Cloud(pki, good, "liar.local")
    b = Box(folder, "lies", [pki.root], keys={"device-id": key_file("g3.bin", KEY)}, source="manual", auth="sas", hub_name="liar.local", device_id="gateway-3", hub_port=cloud.port, cloud_retries=0)
    identity = b.module("GET")
    assert identity[0] == 200 and identity[1]["spec"]["genId"] == "777", identity
    lies = [(200, {}, module_of("x/other")), (200, {}, module_of("x/pump", deviceId="gateway-1")), (200, {}, module_of("x/pump", generationId="")), (200, {}, module_of("x/pump", generationId="a\nb")),
            (200, {}, {}), (200, {}, []), (200, {}, b"{"), (200, {}, b""), (200, {}, b"x" * 5000000), (200, {"Content-Length": "99", "Connection": "close"}, b"{}"), (500, {}, {"Message": "no upstream"}), (503, {}, b""),
            (429, {"Retry-After": "3600"}, {}), (302, {"Location": "https://elsewhere/"}, b""), None]
    for lie in lies:
        cloud.answer = lambda *_: lie
        status, answer = b.module("GET")
        assert status == 200 and answer["spec"]["genId"] == "777", (lie, status, answer)
        assert b.module("PUT")[0] == 404 and b.module("POST", "new")[0] == 404, lie
    cloud.answer = lambda *_: (200, {}, [module_of("x/pump"), module_of("x/y", moduleId="../y"), 7, module_of("x/foreign", deviceId="z")])
    assert [m["spec"]["moduleId"] for m in b.ask("GET", "/identities/modules")[1]["identities"]] == ["pump"]
    for status_said, words in ((401, "Hub client error"), (404, "Hub client error"), (403, "Hub client error")):
        cloud.answer = lambda *_: (status_said, {}, {"Message": "no"})
        status, answer = b.module("GET", "never")
        assert status == 404 and answer["message"].startswith(words), answer
    cloud.seen()
    b.restart(hub_name="nothub.local")
    assert b.module("GET")[0] == 404 and b.module("PUT")[0] == 404 and not cloud.seen(), "a server with another name is told nothing"
    b.restart(hub_name="liar.local", prefer_module_identity_cache=True)
    assert b.module("GET")[0] == 200 and not cloud.seen(), "what is kept comes first"
    cloud.answer = good
    assert b.module("GET", "fresh")[0] == 200 and len(cloud.seen()) == 1
    cloud.stop()
    b.stop()


def test_07_silent_hub():
    """a network that swallows packets is given up soon, and then not waited for by each request anew: what was kept serves at once, the rest hears why"""
    silent = socket.create_server(("127.0.0.1", 0))
    device("gateway-7")
    b = manual("silent", "gateway-7", keys={"device-id": key_file("g7.bin", KEY)})
    made = b.module("POST")
    assert made[0] == 200, made
    b.restart(hub_port=silent.getsockname()[1], cloud_retries=0)
    began = time.monotonic()
    status, answer = b.module("GET")
    assert status == 200 and answer["spec"]["genId"] == made[1]["spec"]["genId"] and 10 < time.monotonic() - began < 60 * SLOW, (status, answer, time.monotonic() - began)
    began = time.monotonic()
    assert b.module("GET")[0] == 200
    status, answer = b.module("PUT")
    assert status == 404 and "was waited for in vain just now" in answer["message"] and time.monotonic() - began < 10 * SLOW, answer
    silent.close()
    b.stop()


def test_07_refusing_hub():
    """a hub that refuses connections is tried again once, after three seconds; who asks within a moment of that is answered by what was kept at once, and by the hub as soon as it is back"""
    gate = socket.socket()
    gate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    gate.bind(("127.0.0.1", 0))  # and does not listen
    port = gate.getsockname()[1]
    device("gateway-8")
    b = manual("refusing", "gateway-8", keys={"device-id": key_file("g8.bin", KEY)})
    made = b.module("POST")
    assert made[0] == 200, made
    b.restart(hub_port=port)
    began = time.monotonic()
    assert b.module("PUT")[0] == 404 and time.monotonic() - began >= 2.9
    began = time.monotonic()
    for _ in range(3):
        status, answer = b.module("GET")
        assert status == 200 and answer["spec"]["genId"] == made[1]["spec"]["genId"], answer
        assert b.module("PUT")[0] == 404 and b.ask("GET", "/identities/modules")[0] == 404
    assert time.monotonic() - began < 2.9 * SLOW, "nobody waits again"
    gate.close()
    back = Cloud(pki, lambda method, path, headers, body: (200, {}, module_of(path, deviceId="gateway-8")), hub.hostname, port)
    assert b.module("GET")[1]["spec"]["genId"] == "777", "the first who asks hears that it is back"
    back.stop()
    b.stop()


def test_08_provisioning_that_lies():
    """provisioning that is busy, broken, lying or endless: waited for as it says, refused with why, and never believed; the payload of the configuration is what it is asked with"""
    state = {"step": 0}

    def answer(method, path, headers, body):
        state["step"] += 1
        return script[min(state["step"], len(script)) - 1](method, path, body)
    assigned = lambda *_: (200, {}, {"status": "assigned", "registrationState": {"assignedHub": hub.hostname, "deviceId": "gateway-1"}})
    assigning = lambda *_: (202, {"Retry-After": "1"}, {"operationId": "5.x", "status": "assigning"})
    script = [lambda *_: (429, {"Retry-After": "1"}, {"errorCode": 429001, "message": "slow down"}), lambda *_: (503, {}, b""), assigning, assigning, lambda *_: (500, {}, b"{"), lambda *_: None, assigned]
    cloud = Cloud(pki, answer, "dps.local")
    b = Box(folder, "dps", [pki.root], keys={"device-id": key_file("g1b.bin", KEY)}, source="dps", auth="symmetric_key", hub_port=hub.https_port, cloud_retries=0,
            dps={"global_endpoint": "https://localhost:%d/" % cloud.port, "id_scope": "0neAB", "registration_id": "Reg-1", "payload": {"line": [1, "two"]}})
    b.is_device("gateway-1", hub.hostname, 60)
    assert b.ask("GET", "/identities/provisioning")[1]["payload"] == {"line": [1, "two"]}
    seen = cloud.seen()
    method, path, headers, body = seen[0]
    assert (method, path.split("?")[0]) == ("PUT", "/0neAB/registrations/Reg-1/register") and "api-version=2021-06-01" in path, path
    assert json.loads(body) == {"registrationId": "Reg-1", "payload": {"line": [1, "two"]}}
    token = dict(part.split("=", 1) for part in headers["Authorization"].split(" ")[1].split("&"))
    assert token["sr"] == "0neAB%2Fregistrations%2FReg-1" and token["skn"] == "registration" and 0 < int(token["se"]) - time.time() < 3600, token
    signed = hmac.new(base64.b64decode(KEY), (token["sr"] + "\n" + token["se"]).encode(), hashlib.sha256).digest()
    assert urllib.parse.unquote(token["sig"]) == base64.b64encode(signed).decode()
    assert any(p.split("?")[0] == "/0neAB/registrations/Reg-1/operations/5.x" for _, p, _, _ in seen)
    assert all(KEY not in str(s) for s in seen) and KEY not in b.log()
    for said, words in (((200, {}, {"status": "assigned", "registrationState": {"assignedHub": "a/../b", "deviceId": "d"}}), "assigned, but to no hub and device"),
                        ((200, {}, {"status": "assigned", "registrationState": {"assignedHub": "h", "deviceId": "../d"}}), "assigned, but to no hub and device"),
                        ((202, {}, {"status": "assigning", "operationId": ""}), "without an operation"),
                        ((200, {}, b"[" * 100000), "/register: "), ((200, {}, []), "no JSON object"), ((200, {}, b"x" * 5000000), "larger than what is accepted"),
                        ((401, {}, {"errorCode": 401002, "message": "CN\nunknown", "trackingId": "t-1"}), "tracking id t-1"),
                        ((401, {}, {"authenticationKey": "AAAA"}), "fits nothing that was asked"), ((404, {}, {"errorCode": 404001}), "id_scope, global_endpoint")):
        script[:] = [lambda *_: said]
        state["step"] = 0
        status, answer_ = b.ask("POST", "/identities/device/reprovision", {"type": "aziot"})
        assert status == 404 and answer_["message"].startswith("DPS client error\ncaused by: ") and words in answer_["message"], (said, answer_)
        assert b.device()[1]["spec"]["deviceId"] == "gateway-1", "who it is stays"
    cloud.stop()
    b.stop()


def test_09_parent():
    """below a parent gateway requests go to the parent, with tokens for the hub, and answers name both; 500 of the parent means that the hub is away"""
    parent = Cloud(pki, lambda method, path, headers, body: (200, {}, dict(module_of(path), deviceId="leaf gateway".replace(" ", "-"))), "parent.local")
    b = Box(folder, "nested", [pki.root], keys={"device-id": key_file("g4.bin", KEY)}, source="manual", auth="sas", hub_name=hub.hostname, gateway_host="parent.local", device_id="leaf-gateway",
            hub_port=parent.port, cloud_retries=0)
    status, answer = b.module("GET")
    assert status == 200 and (answer["spec"]["hubName"], answer["spec"]["gatewayHost"]) == (hub.hostname, "parent.local"), answer
    _, path, headers, _ = parent.seen()[-1]
    assert path.startswith("/devices/leaf-gateway/modules/pump?api-version=2017-11-08-preview") and headers["Host"].startswith("parent.local"), (path, headers)
    assert "sr=%s%%2Fdevices%%2Fleaf-gateway&" % hub.hostname in headers["Authorization"], headers
    parent.answer = lambda *_: (500, {}, {"errorMessage": "upstream is away"})
    assert b.module("GET")[0] == 200 and b.module("PUT")[0] == 404
    parent.stop()
    b.stop()


def test_10_proxy():
    """a proxy of the environment is gone through with its password, which is in no log; what NO_PROXY names is gone to directly"""
    asked = []

    class Tunnel(socketserver.StreamRequestHandler):
        def handle(self):
            head = b"".join(iter(self.rfile.readline, b"\r\n")).decode()
            asked.append(head)
            far = socket.create_connection(("127.0.0.1", int(head.split(" ")[1].rsplit(":", 1)[1])))
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            ends = [self.connection, far]
            while True:
                for s in select.select(ends, [], [])[0]:
                    piece = s.recv(65536)
                    if not piece:
                        return
                    (far if s is self.connection else self.connection).sendall(piece)
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    device("gateway-5")
    proxy = "http://user:p%%40ss@127.0.0.1:%d" % server.server_address[1]
    for no_proxy, direct in (("", False), (hub.hostname, True)):
        b = manual("proxy-%d" % direct, "gateway-5", keys={"device-id": key_file("g5.bin", KEY)}, env={"HTTPS_PROXY": proxy, "NO_PROXY": no_proxy})
        asked.clear()
        assert b.module("PUT", "via")[0] == 200
        assert bool(asked) != direct, asked
        assert all("Proxy-Authorization: Basic " + base64.b64encode(b"user:p@ss").decode() in head for head in asked), asked
        assert "p@ss" not in b.log() and "p%40ss" not in b.log()
        b.stop()
    server.shutdown()


def test_11_wrong_clock():
    """a device whose clock is behind: its tokens have ended before they arrive, and the answer says that it is the clock, and how late each is"""
    clock = folder / "clock"

    def set_clock(ahead):
        with open(clock + ".new", "w") as f:
            f.write("%d\n" % ahead)
        os.rename(clock + ".new", clock)
    set_clock(0)
    device("gateway-6")
    b = manual("late", "gateway-6", keys={"device-id": key_file("g6.bin", KEY)}, env={"ROOTEDGE_CLOCK_FILE": clock})
    assert b.module("POST")[0] == 200
    set_clock(-600)
    wait_for(lambda: b.module("PUT")[0] == 404, "the clock")
    status, answer = b.module("PUT")
    assert "this device's clock says 20" in answer["message"] and "tokens are made by it" in answer["message"], answer
    assert b.module("GET")[0] == 404, "a hub that refuses is no hub that is away"
    set_clock(-56 * 365 * DAY)
    wait_for(lambda: "CERT_NOT_YET_VALID" in b.module("PUT")[1]["message"] or "not yet" in b.module("PUT")[1]["message"], "1970: %s" % (b.module("PUT"),))
    assert b.module("GET")[0] == 200, "what was kept serves"
    set_clock(0)
    wait_for(lambda: b.module("PUT")[0] == 200, "the clock is right again")
    b.stop()


def test_99_end():
    """everything stops in order"""
    box.stop()
    hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all()
