#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""edged's two APIs, a line of their contract a row (edge-services 0, 2 and 3): what each endpoint answers to each version, method and body, in the original's words; which process is which
module, on its own socket and on the one of all; identities against a real hub, also when they are made anew there; and what somebody gets who tries more than is his."""
import base64, concurrent.futures, hashlib, hmac, http.client, json, os, re, shutil, signal, socket, subprocess, sys, time, urllib.parse
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

ROOT_USER = os.getuid() == 0
TOOL, RSA, GROUP, AGENT, STRANGER = (4901, 4902, 4903, 4904, 4999) if ROOT_USER else (os.getuid(), ) * 5
EDGED_GROUP = 61843  # privileges.first_uid, and edged is the fourth
VERSIONS = ("2018-06-28", "2019-01-30", "2019-10-22", "2019-11-05", "2020-07-07", "2021-12-07", "2022-08-03")
NEWEST = VERSIONS[-1]
LONG = "l" * 34 + "." + "l" * 35  # 70: more than a common name has
FORBIDDEN = (403, {"message": "forbidden"})
SLICE, UNIT = "rootedge-%d.slice" % os.getpid(), "rootedge-%d.service" % os.getpid()
folder = Folder()
os.mkdir(folder / "right")
os.mkdir(folder / "wrong")
for place in "right", "wrong":
    os.chmod(folder / place, 0o755)
    shutil.copy(shutil.which("curl"), os.path.join(folder / place, "curl"))
CURL = os.path.join(folder / "right", "curl")
PYTHON = os.path.realpath("/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable)
CONFIG = """
[modules.tool]
uid = %d
names = ["tool.local", "%s"]
[modules.rsa]
uid = %d
key = "rsa-2048"
[modules.group]
gid = %d
[modules.program]
executable = "%s"
[modules.script]
executable = "%s"
[modules.unit]
unit = "%s"
[modules.slice]
cgroup = "/%s"
[modules."$edgeAgent"]
uid = %d
""" % (TOOL, LONG, RSA, GROUP, CURL, PYTHON, UNIT, SLICE, AGENT)
hub = Hub(folder, Pki(folder))
edge = Edge(folder, hub, config=CONFIG)
SHARED, MANAGEMENT = edge.ready["workload"], edge.ready["management"]


def own(module):
    return os.path.join(edge.ready["mnt"], module.lstrip("$") + ".sock")


# -- Who asks, and how ------------------------------------------------------------------------------------------------------------------

def exchange(sock, method, target, body=None, headers=None, version=NEWEST):
    """(status, JSON or text) for a request with this body, which may be of any kind."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    if version:
        target += ("&" if "?" in target else "?") + "api-version=" + version
    status, got, data = unix_http(sock, method, target, body, headers)
    assert status == 204 or (got["Content-Type"], int(got["Content-Length"])) == ("application/json", len(data) if isinstance(data, bytes) else int(got["Content-Length"])), got.items()
    assert status != 204 or not data, data
    return status, data if not isinstance(data, bytes) else data.decode()


def as_process(work, uid=None, gid=None, groups=(), before=None):
    """What work() gives in a process of its own, of that user."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if before:
                before()
            if ROOT_USER and uid is not None:
                os.setgroups(list(groups))
                os.setgid(gid if gid is not None else uid)
                os.setuid(uid)
            os.write(w, json.dumps(work()).encode())
            code = 0
        except BaseException as e:
            os.write(2, ("# %r\n" % e).encode())
        finally:
            os._exit(code)
    os.close(w)
    with os.fdopen(r) as f:
        text = f.read()
    assert os.waitpid(pid, 0)[1] == 0, "the process failed"
    value = json.loads(text)
    return tuple(value) if isinstance(value, list) else value


def ask(uid, sock, method, target, body=None, gid=None, groups=(), before=None, **kw):
    return as_process(lambda: exchange(sock, method, target, body, **kw), uid, gid, groups, before)


def tool(method, target, body=None, **kw):
    return ask(TOOL, own("tool"), method, target, body, **kw)


def manage(method, target, body=None, **kw):
    return exchange(MANAGEMENT, method, target, body, **kw)


def record(id):
    status, _, body = hub.rest("GET", "/devices/EdgeGateway/modules/" + urllib.parse.quote(id, safe=""))
    return body if status == 200 else None


def generation(id):
    return record(id)["generationId"]


def b64(data):
    return base64.b64encode(data).decode()


def at(operation, id="tool", gen=None):
    return "/modules/%s/genid/%s/%s" % (urllib.parse.quote(id, safe=""), gen or generation(id), operation)


DATA = {"keyId": "primary", "algo": "HMACSHA256", "data": b64(b"x")}


def sign(id="tool", uid=TOOL, sock=None, gen=None, **kw):
    return ask(uid, sock or own(id), "POST", at("sign", id, gen), DATA, **kw)


def is_signed(answer, id="tool"):
    key = base64.b64decode(record(id)["authentication"]["symmetricKey"]["primaryKey"])
    return answer == (200, {"digest": b64(hmac.new(key, b"x", hashlib.sha256).digest())})


def openssl(*args, **kw):
    done = subprocess.run(["openssl", *args], capture_output=True, **kw)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout.decode()


# -- The workload API ---------------------------------------------------------------------------------------------------------------------

WORKLOAD = (("GET", "/modules"), ("GET", "/modules/"), ("GET", "/trust-bundle"), ("GET", "/manifest-trust-bundle"), ("POST", "/modules/tool/certificate/identity"),
            ("POST", "/modules/tool/genid/1/certificate/server"), ("POST", "/modules/tool/genid/1/sign"), ("POST", "/modules/tool/genid/1/encrypt"), ("POST", "/modules/tool/genid/1/decrypt"))


def test_01_every_version():
    """each endpoint of the workload API answers each version that IoT Edge has had, and no other"""
    for method, path in WORKLOAD:
        for version in VERSIONS:
            status, answer = tool(method, path, version=version)
            assert status in (200, 201) if method == "GET" or "identity" in path else (status, answer["message"]) in ((400, "missing request body"), (404, 'there is no generation "1" of the module tool'),
                                                                                                                     (400, "missing parameter: request body")), (method, path, version, status, answer)
        assert tool(method, path, version=None) == (400, {"message": "api-version not specified"})
        for wrong in ("2018-06-27", "2022-8-3", "", "x" * 30, "%32018-06-28%00"):
            status, answer = tool(method, path + "?api-version=" + wrong, version=None)
            assert status == 400 and answer["message"] in ('invalid api-version "%s"' % wrong, "api-version not specified") or "%" in wrong and status == 400, (wrong, status, answer)
    assert tool("GET", "/trust-bundle?api-version=x") == tool("GET", "/trust-bundle")  # the last one is it
    assert tool("GET", "/trust-bundle?api-version=" + NEWEST, version="x") == (400, {"message": 'invalid api-version "x"'})
    assert tool("GET", "/nothing", version=None)[1]["message"] == "api-version not specified"  # before anything else is looked at


def test_02_methods_and_paths():
    """a known path with another method is 400 and no 405; a path with something before, behind or missing is none"""
    for method, path in WORKLOAD:
        for other in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST" if method == "GET" else "GET"):
            body = {} if other == "PUT" else None
            assert tool(other, path, body) == (400, {"message": "method not allowed"}), (other, path)
    for path in ("/", "/nothing", "/trust-bundle/", "/Trust-Bundle", "/trust-bundle/x", "/x/trust-bundle", "/modules/tool", "/modules/tool/genid/1", "/modules/tool/genid/1/sign/", "/modules/tool/genid/1/x",
                 "/modules//genid/1/sign", "/modules/tool/genid//sign", "/modules/tool/genid/1/2/sign", "/identities", "/systeminfo", "/device/reprovision"):
        for method in ("GET", "POST"):
            assert tool(method, path) == (404, {"message": "not found"}), path
    assert tool("POST", at("sign").replace("tool", "%74%6fol"), DATA)[0] == 200  # a segment is decoded


def test_03_bodies():
    """bodies by the original's rules: 400 for none, 422 for what is no such object, the type of another kind as none at all"""
    for operation, body, lacks in (("sign", DATA, "data"), ("encrypt", {"plaintext": "eA==", "initializationVector": "eA=="}, "plaintext"),
                                   ("decrypt", {"ciphertext": "eA==", "initializationVector": "eA=="}, "initializationVector"), ("certificate/server", {"commonName": "tool"}, "commonName")):
        path, text = at(operation), json.dumps(body)
        none = (400, {"message": "missing parameter: request body" if operation == "sign" else "missing request body"})
        for headers, content in ({}, None), ({}, b""), ({"Content-Type": "text/plain"}, text), ({"Content-Type": "application/jsonx"}, text):
            assert tool("POST", path, content, headers=headers) == none, (operation, headers)
        for headers in {"Content-Type": "application/json; charset=latin-9"}, {"Content-Type": "APPLICATION/JSON"}, {}:
            status, answer = tool("POST", path, text, headers=headers)
            assert status in (200, 201) or operation == "decrypt" and status in (400, 500), (operation, headers, status, answer)
        for content in ("{", "[]", "null", '"x"', "{}", text + "}", json.dumps({k: v for k, v in body.items() if k != lacks}), json.dumps(dict(body, **{lacks: 1})), json.dumps(dict(body, **{lacks: None})),
                        b"\xff\xfe", b'{"' + lacks.encode() + b'":"\xff"}', "[" * 5000, '{"a":' * 5000):
            status, answer = tool("POST", path, content, headers={"Content-Type": "application/json"})
            assert status == 422 and answer["message"], (operation, content[:20], status, answer)
        assert tool("POST", path, json.dumps(dict(body, more={"x": [1]})))[0] in (200, 201, 400, 500)  # what is unknown is ignored
        for member in set(body) - {"keyId", "algo", "commonName"}:
            status, answer = tool("POST", path, dict(body, **{member: "*"}))
            assert status == 400 and answer["message"].startswith("invalid parameter: "), (operation, member, answer)
    assert tool("POST", at("sign"), {"data": "eA=="})[0] == 200  # keyId and algo are read by nobody
    assert ask(STRANGER, SHARED, "POST", at("sign"), "{}", headers={"Content-Type": "application/json"})[0] == 422  # a body is read before the caller is looked at


def test_04_answers():
    """each answer has the original's members and no other"""
    assert is_signed(sign())
    status, modules = tool("GET", "/modules")
    assert status == 200 and {m["name"] for m in modules["modules"]} == {"tool", "rsa", "group", "program", "script", "unit", "slice", "edgeAgent", "edgeHub"} and modules == tool("GET", "/modules/")[1], modules
    assert all(set(m) == {"id", "name", "type", "config", "status", "generationId"} and m["id"] == "id" and set(m["config"]) == {"settings", "env"} and m["status"]["runtimeStatus"]["status"] == "unknown" for m in modules["modules"])
    bundle = tool("GET", "/trust-bundle")
    with open(hub.pki.root) as f:
        assert bundle[0] == 200 and set(bundle[1]) == {"certificate"} and f.read() in bundle[1]["certificate"]
    assert tool("GET", "/manifest-trust-bundle") == (200, {"certificate": ""})
    status, made = tool("POST", at("certificate/server"), {"commonName": "tool.local", "expiration": "1999-01-01T00:00:00Z"})
    assert status == 201 and set(made) == {"privateKey", "certificate", "expiration"} and set(made["privateKey"]) == {"type", "bytes"}, made
    ends = openssl("x509", "-noout", "-enddate", "-dateopt", "iso_8601", input=made["certificate"].encode()).strip().split("=")[1]
    assert made["expiration"] == ends.replace(" ", "T").replace("Z", "+00:00"), (made["expiration"], ends)
    # Element 0 is the leaf, and behind it is all of the Edge CA's file.
    ca = bundle[1]["certificate"].split("-----END CERTIFICATE-----\n")[0] + "-----END CERTIFICATE-----\n"
    assert made["certificate"].count("BEGIN CERTIFICATE") == 2 and made["certificate"].endswith(ca) and not made["certificate"].startswith(ca)
    text = openssl("x509", "-noout", "-text", input=made["certificate"].encode())
    assert re.search(r"Subject: CN ?= ?tool\.local\n", text) and "DNS:tool.local, DNS:tool\n" in text and "TLS Web Server Authentication\n" in text and "Client" not in text, text
    iv = b64("an IV".encode())
    status, hidden = tool("POST", at("encrypt"), {"plaintext": b64(b""), "initializationVector": iv})
    assert status == 200 and set(hidden) == {"ciphertext"}
    assert tool("POST", at("decrypt"), dict(hidden, initializationVector=iv)) == (200, {"plaintext": ""})
    broken = base64.b64decode(hidden["ciphertext"])
    for bad in (broken[:-1], broken + b"\0", bytes([broken[0] ^ 1]) + broken[1:], broken[:-1] + bytes([broken[-1] ^ 1]), b""):
        assert tool("POST", at("decrypt"), {"ciphertext": b64(bad), "initializationVector": iv})[0] in (400, 500), bad
    status, answer = tool("POST", at("certificate/server"), {"commonName": LONG})
    assert status == 400 and answer["message"].startswith("failed to generate csr: a common name has 1 to 64 characters"), (status, answer)


def csr(names, subject, key="own"):
    return openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / (key + ".key"), "-subj", subject, *(["-addext", "subjectAltName=" + names] if names else []))


def test_05_identity_certificate():
    """an identity certificate: clientAuth for the module's own names, by a key of ours or the one of a CSR that names nobody else"""
    uri = "URI:azureiot://%s/devices/EdgeGateway/modules/tool" % hub.hostname
    path = "/modules/tool/certificate/identity"
    for body in (None, {}, {"expiration": "2030-01-01T00:00:00Z", "commonName": "EdgeGateway"}):
        status, answer = tool("POST", path, body)
        text = openssl("x509", "-noout", "-text", input=answer["certificate"].encode())
        assert status == 201 and re.search(r"Subject: CN ?= ?tool\n", text) and "DNS:tool, " + uri in text and "TLS Web Client Authentication\n" in text and "CA:TRUE" not in text, text
    for names, subject in (("DNS:tool," + uri, "/CN=tool"), ("", "/CN=tool"), (uri, "/CN=tool")):
        status, answer = tool("POST", path, {"csr": csr(names, subject)})
        assert status == 201 and answer["privateKey"] == {"type": "ref", "ref": "csr"}, (names, status, answer)
        assert openssl("x509", "-noout", "-pubkey", input=answer["certificate"].encode()) == openssl("pkey", "-in", folder / "own.key", "-pubout")
        text = openssl("x509", "-noout", "-text", input=answer["certificate"].encode())
        assert "TLS Web Client Authentication" in text and "Server" not in text and "CA:TRUE" not in text, text
    for names, subject in (("DNS:rsa", "/CN=tool"), (uri.replace("tool", "rsa"), "/CN=tool"), ("DNS:tool", "/CN=EdgeGateway"), ("DNS:tool", "/O=x"), ("DNS:tool.local", "/CN=tool"), ("IP:10.0.0.1", "/CN=tool"),
                           (uri + ",email:a@b", "/CN=tool"), ("DNS:tool", "/CN=tool/CN=EdgeGateway"), ("DNS:*", "/CN=tool")):
        status, answer = tool("POST", path, {"csr": csr(names, subject)})
        assert status in (400, 403), (names, subject, status, answer)
    good = csr("DNS:tool", "/CN=tool")
    broken = base64.b64decode("".join(good.split("\n")[1:-2]))
    for text in ("", "x", good[:200], good.replace("CERTIFICATE REQUEST", "CERTIFICATE"), "-----BEGIN CERTIFICATE REQUEST-----\n%s\n-----END CERTIFICATE REQUEST-----\n" % b64(broken[:-1] + bytes([broken[-1] ^ 1]))):
        assert tool("POST", path, {"csr": text})[0] == 400, text
    assert tool("POST", path, {"csr": 1})[0] == 422
    # For a CA, too: what it may be is not the CSR's to say.
    ca = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "own.key", "-subj", "/CN=tool", "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign")
    for path, body in ((path, {}), (at("certificate/server"), {"commonName": "tool"})):
        status, answer = tool("POST", path, dict(body, csr=ca))
        assert status in (400, 403) or "CA:TRUE" not in openssl("x509", "-noout", "-text", input=answer["certificate"].encode()), (status, answer)


def test_06_rsa():
    """`key = "rsa-2048"` gives RSA keys, and many requests for them at a time make nobody wait who wants P-256 ones"""
    ready = time.monotonic() + 60 * SLOW

    def rsa():
        return ask(RSA, own("rsa"), "POST", at("certificate/server", "rsa", RSA_GENERATION), {"commonName": "rsa"})
    RSA_GENERATION = generation("rsa")
    wait_for(lambda: rsa()[0] == 201, "an RSA key", 60)
    status, answer = rsa()
    while status == 500 and time.monotonic() < ready:
        status, answer = rsa()
    assert status == 201 and "Public-Key: (2048 bit)" in openssl("x509", "-noout", "-text", input=answer["certificate"].encode()), (status, answer)
    assert "rsaEncryption" in openssl("x509", "-noout", "-text", input=answer["certificate"].encode()) and answer["privateKey"]["bytes"].startswith("-----BEGIN PRIVATE KEY-----\n")
    gen, stop = generation("tool"), folder / "stop"
    flooding = """
import json, os, sys
sys.path.insert(0, %r)
from rootedge_test import *
n = {}
while not os.path.exists(%r):
    try:
        status, _, a = unix_http(%r, "POST", %r, {"commonName": "rsa"})
    except OSError:
        continue
    n[status] = n.get(status, 0) + 1
    assert status == 201 or (status, a) == (500, {"message": "failed to generate csr keys: all rsa-2048 keys are used up, more are being made; try again"}), (status, a)
print(json.dumps(n))
""" % (os.path.join(ROOT, "tests", "lib"), stop, own("rsa"), at("certificate/server", "rsa", RSA_GENERATION) + "?api-version=" + NEWEST)
    who = dict(user=RSA, group=RSA, extra_groups=[]) if ROOT_USER else {}
    flood = [subprocess.Popen([PYTHON, "-c", flooding], stdout=subprocess.PIPE, text=True, **who) for _ in range(6)]
    try:
        took = []
        for _ in range(20):
            start = time.monotonic()
            assert tool("POST", "/modules/tool/genid/%s/certificate/server" % gen, {"commonName": "tool"})[0] == 201
            took.append(time.monotonic() - start)
    finally:
        with open(stop, "w"):
            pass
        outs = [p.communicate(timeout=60 * SLOW)[0] for p in flood]
    assert all(p.returncode == 0 for p in flood) and any(json.loads(o).get("201") for o in outs), outs
    assert sorted(took)[10] < 1 * SLOW, took  # key_stock lets its callers wait for 5 s


# -- Which process is it -------------------------------------------------------------------------------------------------------------------

def test_10_group():
    """`gid`: the primary group, and no other that a process has, decides; on the shared socket, too"""
    if not ROOT_USER:
        raise Skip("needs root to be in other groups")
    for sock in own("group"), SHARED:
        assert is_signed(sign("group", STRANGER, sock, gid=GROUP), "group"), sock
        assert sign("group", STRANGER, sock, gid=STRANGER, groups=[GROUP]) == FORBIDDEN, sock
        assert sign("group", GROUP, sock, gid=STRANGER) == FORBIDDEN, sock


def curl(program, sock, id, gen):
    done = subprocess.run([program, "--silent", "--unix-socket", sock, "--max-time", str(60 * SLOW), "--write-out", "\n%{http_code}", "--header", "Content-Type: application/json", "--data", json.dumps(DATA),
                           "http://edged.sock%s?api-version=%s" % (at("sign", id, gen), NEWEST)], capture_output=True, text=True, **(dict(user=STRANGER, group=STRANGER, extra_groups=[]) if ROOT_USER else {}))
    text, status = done.stdout.rsplit("\n", 1)
    return int(status), json.loads(text)


def test_11_executable():
    """`executable`: that very file, whoever runs it; a copy of it, and another one put in its place while it runs, are others"""
    gen = generation("program")
    for sock in own("program"), SHARED:
        assert is_signed(curl(CURL, sock, "program", gen), "program"), sock
        assert curl(os.path.join(folder / "wrong", "curl"), sock, "program", gen) == FORBIDDEN, sock
        assert sign("program", STRANGER, sock) == FORBIDDEN, sock
    os.link(CURL, folder / "linked")  # another name of that file
    assert is_signed(curl(folder / "linked", SHARED, "program", gen), "program")
    shutil.copy(CURL, folder / "new")
    os.rename(folder / "new", CURL)
    assert curl(folder / "linked", SHARED, "program", gen) == FORBIDDEN
    assert is_signed(curl(CURL, SHARED, "program", gen), "program")
    # A script runs its interpreter, and so does any other script.
    if os.path.realpath(sys.executable) != PYTHON:
        raise Skip("runs under another interpreter than the one that is configured")
    assert is_signed(sign("script", STRANGER, SHARED), "script")


def cgroup_root():
    """Where a control group can be made whose path edged sees."""
    for root in "/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup/systemd":
        if os.path.exists(os.path.join(root, "cgroup.procs")) and os.access(root, os.W_OK):
            return root
    raise Skip("no control group can be made here")


def test_12_control_groups():
    """`unit` and `cgroup`: a process is known by where the kernel says it is, and not by what it was when it connected"""
    if not ROOT_USER:
        raise Skip("needs root to make control groups")
    root = cgroup_root()
    made = [os.path.join(root, p) for p in (SLICE, os.path.join(SLICE, UNIT), os.path.join(SLICE, "other.service"), SLICE + "x")]
    try:
        for path in made:
            os.mkdir(path)
    except OSError as e:
        raise Skip("no control group can be made here: %s" % e)

    def enter(path):
        def move():
            with open(os.path.join(path, "cgroup.procs"), "w") as f:
                f.write("0" if root.endswith("unified") else str(os.getpid()))
        return move
    try:
        try:
            as_process(lambda: True, before=enter(made[1]))
        except AssertionError:
            raise Skip("a process can't be put into a control group here")
        for sock in ("own", SHARED):
            def go(id, path):
                return sign(id, STRANGER, own(id) if sock == "own" else sock, before=enter(path) if path else None)
            for id, path, may in (("unit", made[1], True), ("unit", made[2], False), ("unit", made[0], False), ("unit", None, False), ("slice", made[1], True), ("slice", made[2], True), ("slice", made[0], True),
                                  ("slice", made[3], False), ("slice", None, False)):
                answer = go(id, path)
                assert is_signed(answer, id) if may else answer == FORBIDDEN, (sock, id, path, answer)
    finally:
        for path in made[1:3] + made[3:] + made[:1]:
            wait_for(lambda: not os.path.exists(path) or not open(os.path.join(path, "cgroup.procs")).read(), "the group to be empty")
            os.rmdir(path)


def test_13_shared_socket():
    """on the socket of all modules the path says who speaks, and only that module's process may say it"""
    if not ROOT_USER:  # test_14 is about one user
        raise Skip("needs root for modules of other users")
    assert is_signed(sign("tool", TOOL, SHARED)) and is_signed(sign("rsa", RSA, SHARED), "rsa")
    assert ask(STRANGER, SHARED, "GET", "/trust-bundle")[0] == 200  # which is for all
    for id, uid in (("tool", RSA), ("rsa", TOOL), ("tool", STRANGER), ("$edgeHub", TOOL), ("$edgeAgent", TOOL), ("tool", 0)):
        for operation in ("sign", "encrypt", "decrypt", "certificate/server"):
            body = dict(DATA, plaintext="eA==", ciphertext="eA==", initializationVector="eA==", commonName="tool")
            assert ask(uid, SHARED, "POST", at(operation, id), body) == FORBIDDEN, (id, uid, operation)
        assert ask(uid, SHARED, "POST", "/modules/%s/certificate/identity" % urllib.parse.quote(id)) == FORBIDDEN, (id, uid)
    assert "asks as another module" not in edge.log_text().split("CALLER_NOT_ALLOWED")[-1] and "process" in edge.log_text()
    assert sign("tool", STRANGER) == FORBIDDEN  # nor does its own socket help who is another


def test_13b_path_tricks():
    """atk-13: whatever a name is dressed up as, it is a module's own or nobody's"""
    gen = generation("tool")
    for id in ("Tool", "tool ", " tool", "tool\0", "tool\n", "$$tool", "tool/", "./tool", "../tool", "rsa/../tool", "x/../../tool", "tool;rsa", "tool?", "tool#", "tool%", "%2e%2e", "*", "tool,rsa", "t" * 3000, "ｔool", "nobody",
               "$edgeHub", "edgeHub", "rsa"):
        for sock in own("tool"), SHARED:
            status, answer = ask(TOOL, sock, "POST", at("sign", id, gen), DATA)
            assert status in (400, 403, 404) and "digest" not in answer, (sock, id, status, answer)
        status, answer = tool("POST", "/modules/%s/certificate/identity" % urllib.parse.quote(id, safe=""))
        assert status in (400, 403, 404) and "certificate" not in answer, (id, status, answer)
    for g in (gen + " ", gen + "\0", "0", "*", gen + "/", "../" + gen, gen * 20, gen[:-1], "%00"):
        status, answer = tool("POST", at("sign", "tool", urllib.parse.quote(g, safe="")), DATA)
        assert status in (400, 404) and "digest" not in answer, (g, status, answer)
    for target in ("/modules/tool/../rsa/genid/%s/sign" % gen, "/modules/rsa%2f..%2ftool/genid/{0}/sign".format(gen), "//modules/tool/genid/%s/sign" % gen, "/modules/tool/genid/%s/./sign" % gen):
        status, answer = tool("POST", target, DATA)
        assert status in (400, 403, 404) and "digest" not in answer, (target, status, answer)
    assert is_signed(sign())


def test_14_one_user():
    """where roles and modules are one user, being that user says nothing: not on the shared socket, where only what else is known of a process counts"""
    user = STRANGER if ROOT_USER else os.getuid()
    programs = folder / "programs"
    os.mkdir(programs)
    os.chmod(programs, 0o755)
    for role in ("edge", "keyd", "certd", "identityd", "edged", "gateway"):
        shutil.copy(os.path.join(BUILD, "svc", role, "rootedge-" + role), programs)
    key = hub.create_device("Alone", capabilities={"iotEdge": True})["authentication"]["symmetricKey"]["primaryKey"]
    with open(folder / "alone.toml", "w") as f:
        f.write("""hostname = "alone.local"
trust_bundle_cert = "file://%s"
[provisioning]
source = "manual"
connection_string = "HostName=%s;DeviceId=Alone;SharedAccessKey=%s"
[upstream]
address = "127.0.0.1"
https_port = %d
mqtt_port = %d
[gateway]
enabled = false
[modules.same]
uid = %d
[modules.grouped]
uid = %d
gid = %d
[modules.known]
uid = %d
executable = "%s"
""" % (hub.pki.root, hub.hostname, key, hub.https_port, hub.mqtt_port, user, user, user if ROOT_USER else os.getgid(), user, CURL))
    os.mkdir(folder / "alone")
    if ROOT_USER:
        os.chown(folder / "alone", user, user)
        os.chown(folder / "alone.toml", user, user)
    prefix = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"] if ROOT_USER else []
    with Service(folder, "alone", "--config", folder / "alone.toml", "--state", folder / "alone", program=prefix + [os.path.join(programs, "rootedge-edge")], env={"ASAN_OPTIONS": "detect_leaks=0"}) as alone:
        def own_of(id):
            return os.path.join(alone.ready["mnt"], id + ".sock")

        def path(id):
            return "/modules/%s/genid/%s/sign" % (id, hub.rest("GET", "/devices/Alone/modules/" + id)[2]["generationId"])
        assert alone.ready["separate_users"] is False
        for id in "same", "grouped":
            assert ask(user, own_of(id), "POST", path(id), DATA)[0] == 200, id
            assert ask(user, alone.ready["workload"], "POST", path(id), DATA) == FORBIDDEN, id
        gen = path("known").split("/")[4]
        assert curl(CURL, alone.ready["workload"], "known", gen)[0] == 200
        assert curl(os.path.join(folder / "wrong", "curl"), alone.ready["workload"], "known", gen) == FORBIDDEN
        assert ask(user, own_of("same"), "POST", path("known"), DATA) == FORBIDDEN
        if ROOT_USER:
            assert ask(TOOL, own_of("same"), "POST", path("same"), DATA) == FORBIDDEN
        assert alone.stop() == 0


# -- The management API -------------------------------------------------------------------------------------------------------------------

SINCE = {"POST /modules/tool/prepareupdate": "2019-01-30", "GET /systeminfo/resources": "2019-11-05", "GET /systeminfo/supportbundle": "2020-07-07", "POST /device/reprovision": "2019-10-22"}
CONTAINERS = (("POST", "/modules"), ("PUT", "/modules/tool"), ("DELETE", "/modules/tool"), ("POST", "/modules/tool/prepareupdate"), ("POST", "/modules/tool/start"), ("POST", "/modules/tool/stop"),
              ("POST", "/modules/tool/restart"), ("GET", "/modules/tool/logs"))


def test_20_management_versions():
    """the management API: each endpoint from its version on, and for an older one there is no such path"""
    for method, path in (("GET", "/modules"), ("GET", "/modules/tool"), ("GET", "/identities"), ("GET", "/identities/"), ("GET", "/systeminfo"), ("GET", "/systeminfo/resources"), ("GET", "/systeminfo/supportbundle"),
                         *CONTAINERS):
        for version in VERSIONS:
            status, answer = manage(method, path, {} if method == "PUT" else None, version=version)
            if version < SINCE.get(method + " " + path, ""):
                assert (status, answer) == (404, {"message": "not found"}), (method, path, version, answer)
            else:
                assert status in (200, 501), (method, path, version, answer)
        assert manage(method, path, version=None) == (400, {"message": "api-version not specified"})
        assert manage(method, path, version="1") == (400, {"message": 'invalid api-version "1"'})
        assert manage("PATCH", path) == (400, {"message": "method not allowed"})
    assert manage("POST", "/device/reprovision", version="2019-01-30") == (404, {"message": "not found"})
    for path in ("/", "/trust-bundle", "/modules/tool/", "/identities/tool/x", "/systeminfo/", "/device", "/modules/tool/genid/1/sign"):
        assert manage("GET", path) == (404, {"message": "not found"}), path


def test_21_modules():
    """modules are listed; what would start, stop, make, change or remove a container is 501 and says what there is instead"""
    status, all = manage("GET", "/modules")
    assert status == 200 and manage("GET", "/modules/") == (200, all) and len(all["modules"]) == 9
    for name in ("tool", "edgeHub", "%24edgeHub"):
        status, one = manage("GET", "/modules/" + name)
        assert status == 200 and one in all["modules"] and one["name"] == name.replace("%24", ""), one
    assert manage("GET", "/modules/nobody") == (404, {"message": "there is no module nobody on this device"})
    spec = {"name": "tool", "type": "docker", "config": {"settings": {"image": "x"}}}
    for method, path in CONTAINERS:
        status, answer = manage(method, path, spec if method in ("POST", "PUT") else None)
        assert status == 501 and "there is no container engine on this device" in answer["message"], (method, path, status, answer)
    status, answer = manage("GET", "/systeminfo/supportbundle?since=1h")
    assert status == 501 and "rootedge logs" in answer["message"], answer
    assert manage("PUT", "/modules/tool") [0] == 422 and manage("PUT", "/modules/tool", "x", headers={"Content-Type": "text/plain"}) == (415, {"message": "request body must be application/json"})


def test_22_identities():
    """identities are those of the hub: listed, made, renewed and removed there"""
    status, list = manage("GET", "/identities")
    assert status == 200 and list == manage("GET", "/identities/")[1]
    by_id = {i["moduleId"]: i for i in list["identities"]}
    assert set(by_id) == {"tool", "rsa", "group", "program", "script", "unit", "slice", "$edgeAgent", "$edgeHub"}, by_id
    assert by_id["tool"] == {"moduleId": "tool", "managedBy": "iotedge", "generationId": generation("tool"), "authType": "sas"}
    status, made = manage("POST", "/identities", {"moduleId": "later", "managedBy": "me"})
    assert status == 200 and made == {"moduleId": "later", "managedBy": "me", "generationId": generation("later"), "authType": "sas"}, made
    assert record("later")["authentication"]["type"] == "sas" and len(base64.b64decode(record("later")["authentication"]["symmetricKey"]["primaryKey"])) == 32
    assert manage("POST", "/identities", {"moduleId": "other"})[1]["managedBy"] == "iotedge"
    status, again = manage("PUT", "/identities/later", {"generationId": made["generationId"], "managedBy": "you"})
    assert status == 200 and again == dict(made, managedBy="you"), again
    assert "later" in {i["moduleId"] for i in manage("GET", "/identities")[1]["identities"]}
    for id in "later", "other":
        assert manage("DELETE", "/identities/" + id) == (204, "") and record(id) is None
    status, answer = manage("DELETE", "/identities/later")
    assert status == 500 and answer["message"].startswith("failed to delete identity: ") and "ModuleNotFound" in answer["message"], (status, answer)
    gen = generation("tool")
    status, answer = manage("POST", "/identities", {"moduleId": "tool"})  # it is there
    assert status == 500 and answer["message"].startswith("failed to create identity: ") and "ModuleAlreadyExistsOnDevice" in answer["message"], (status, answer)
    assert generation("tool") == gen and is_signed(sign(gen=gen))
    status, answer = manage("DELETE", "/identities/%24edgeHub")  # which the hub keeps as long as the device
    assert status == 500 and "failed to delete identity" in answer["message"] and record("$edgeHub")["generationId"] == by_id["$edgeHub"]["generationId"], (status, answer)
    assert "no identity" not in manage("GET", "/modules/edgeHub")[1]["status"]["runtimeStatus"]["description"]
    assert manage("POST", "/identities") == (400, {"message": "missing request body"})
    assert manage("POST", "/identities", {})[0] == 422 and manage("POST", "/identities", {"moduleId": 1})[0] == 422 and manage("PUT", "/identities/tool")[0] == 422
    assert manage("PUT", "/identities/tool", "{}", headers={"Content-Type": "text/plain"})[0] == 415
    for id in ("a?b", "#", "a%2fb", "a$x", "a.b"):  # which the hub allows
        assert manage("POST", "/identities", {"moduleId": id})[0] == 200 and record(id)["moduleId"] == id, id
        assert manage("PUT", "/identities/" + urllib.parse.quote(id, safe=""), {})[1]["moduleId"] == id
        assert manage("DELETE", "/identities/" + urllib.parse.quote(id, safe="")) == (204, "") and record(id) is None, id
    for id in ("", " ", "a b", "x" * 129, "../EdgeGateway", "a/b", "a\n", "é", "$x"):
        status, answer = manage("POST", "/identities", {"moduleId": id})
        assert status == 400 or id == "$x" and status == 500, (id, status, answer)  # which the hub refuses itself
        if id:
            for method, body in (("PUT", {}), ("DELETE", None)):
                status, answer = manage(method, "/identities/" + urllib.parse.quote(id, safe=""), body)
                assert status == 400 or id == "$x" and status == 500, (id, method, status, answer)
    assert {i["moduleId"] for i in manage("GET", "/identities")[1]["identities"]} == set(by_id)


def test_23_system():
    """systeminfo tells what the original tells, resources what is used"""
    status, info = manage("GET", "/systeminfo")
    name = os.uname()
    want = {"osType": "linux", "kernel_release": name.release, "kernel_version": name.version, "architecture": name.machine, "cpus": os.cpu_count(), "server_version": "",
            "provisioning": {"type": "ProvisioningType", "dynamicReprovisioning": False, "alwaysReprovisionOnStartup": False}}
    assert status == 200 and {k: info[k] for k in want} == want, info
    assert info["version"] in run("rootedge", "--version").stdout and info["total_memory"] > 1 << 20 and info["virtualized"] in ("yes", "no", "unknown"), info
    with open("/etc/os-release") as f:
        release = dict(line.rstrip("\n").split("=", 1) for line in f if "=" in line)
    assert info["operating_system"] == release["ID"].strip('"') and set(info) >= {"operating_system_version", "operating_system_variant", "operating_system_build", "product_name", "system_vendor"}, info
    status, used = manage("GET", "/systeminfo/resources")
    assert status == 200 and set(used) == {"hostUptime", "processUptime", "usedCpu", "usedRam", "totalRam", "disks", "dockerStats"}, used
    assert 0 <= used["processUptime"] <= used["hostUptime"] and 0 <= used["usedCpu"] <= 100 and 0 < used["usedRam"] <= used["totalRam"] == info["total_memory"], used
    disk, = used["disks"]
    assert set(disk) == {"name", "availableSpace", "totalSpace", "fileSystem", "fileType"} and 0 <= disk["availableSpace"] <= disk["totalSpace"], disk


def test_24_who_may():
    """whoever has the socket's group may look; only root and $edgeAgent may change something; for everybody else there is no socket"""
    if not ROOT_USER:
        raise Skip("needs root to be somebody else")
    assert os.stat(MANAGEMENT).st_mode & 0o777 == 0o660
    changes = (("POST", "/identities", {"moduleId": "x"}), ("PUT", "/identities/tool", {}), ("DELETE", "/identities/tool", None), ("POST", "/device/reprovision", None))
    member = dict(groups=[EDGED_GROUP])

    def is_shut_out():
        try:
            exchange(MANAGEMENT, "GET", "/modules")
        except PermissionError:
            return True
        return False
    assert as_process(is_shut_out, STRANGER) is True and as_process(is_shut_out, TOOL) is True
    for uid in STRANGER, TOOL:
        for path in ("/modules", "/modules/tool", "/identities", "/systeminfo", "/systeminfo/resources"):
            assert ask(uid, MANAGEMENT, "GET", path, **member)[0] == 200, path
        for method, path, body in changes:
            assert ask(uid, MANAGEMENT, method, path, body, **member) == FORBIDDEN, (uid, method, path)
    assert record("x") is None and record("tool")
    for uid in AGENT, EDGED_GROUP:  # who is edged's user, too
        assert ask(uid, MANAGEMENT, "POST", "/identities", {"moduleId": "x"}, **member)[0] == 200 and record("x")
        assert ask(uid, MANAGEMENT, "DELETE", "/identities/x", **member)[0] == 204 and not record("x")


# -- Identities that change in the hub -----------------------------------------------------------------------------------------------------

def delete_and_make(id):
    path = "/devices/EdgeGateway/modules/" + urllib.parse.quote(id, safe="")
    assert hub.rest("DELETE", path, headers={"If-Match": "*"})[0] == 204
    status, _, made = hub.rest("PUT", path, {"deviceId": "EdgeGateway", "moduleId": id})
    assert status == 200, made
    return made["generationId"]


def test_30_put():
    """a module that was made anew in the hub works with its new generation as soon as its identity is put, and with the old one no more"""
    before, after = generation("tool"), delete_and_make("tool")
    assert before != after and sign(gen=before)[0] == 200  # nobody has told edged
    status, put = manage("PUT", "/identities/tool", {"generationId": before, "managedBy": "iotedge"})
    assert status == 200 and put["generationId"] == after, put
    assert is_signed(sign(gen=after))  # by the key that the hub has now
    assert sign(gen=before) == (404, {"message": 'there is no generation "%s" of the module tool' % before})
    assert "it was made anew in the hub" in edge.log_text()


def test_31_deleted():
    """what is deleted through the management API has no identity, until it is made again"""
    gen = generation("tool")
    assert manage("DELETE", "/identities/tool")[0] == 204
    status, answer = sign(gen=gen)
    assert status == 503 and "the module tool has no identity" in answer["message"], answer
    assert "no identity" in manage("GET", "/modules/tool")[1]["status"]["runtimeStatus"]["description"]
    status, made = manage("POST", "/identities", {"moduleId": "tool"})
    assert status == 200 and made["generationId"] != gen, made
    assert is_signed(sign(gen=made["generationId"]))


def test_32_found_out():
    """nobody has to tell edged: a module that asks for the generation that it has read in the hub gets its answer soon"""
    before, after = generation("tool"), delete_and_make("tool")
    status, answer = sign(gen=after)
    assert status in (200, 404), answer
    wait_for(lambda: sign(gen=after)[0] == 200, "the new generation", 30)
    assert is_signed(sign(gen=after)) and sign(gen=before)[0] == 404
    # One that goes on about a generation that never was does not have the hub asked again and again.
    n = hub.log_text().count("/modules/tool")
    for _ in range(50):
        assert sign(gen="nonsense")[0] == 404
    assert hub.log_text().count("/modules/tool") - n <= 4


def test_33_gateway():
    """another generation of $edgeHub, whose device was made anew in the hub, begins edged and the gateway anew, and the gateway works with it"""
    edged, gateway = edge.role("edged"), edge.role("gateway")
    assert hub.rest("DELETE", "/devices/EdgeGateway", headers={"If-Match": "*"})[0] == 204
    hub.create_x509_device("EdgeGateway", thumbprint(folder / "EdgeGateway.pem"), capabilities={"iotEdge": True})
    edge.scope, after = hub.rest("GET", "/devices/EdgeGateway")[2]["deviceScope"], generation("$edgeHub")
    status, put = manage("PUT", "/identities/%24edgeHub", {})
    assert status == 200 and put["generationId"] == after, put
    wait_for(lambda: edge.role("edged") not in (None, edged) and edge.role("gateway") not in (None, gateway), "both to begin anew", 30)
    key = edge.create_child("leaf")["authentication"]["symmetricKey"]["primaryKey"]

    def connect():
        try:
            return edge.mqtt("leaf", password=sas("%s/devices/leaf" % hub.hostname, key))
        except (Refused, OSError, EOFError):
            return None
    client = wait_for(connect, "the gateway takes its device", 30)
    client.publish("devices/leaf/messages/events/", b"1")
    client.close()
    wait_for(lambda: [e["body"] for e in hub.events("--device", "leaf")] in ([1], ["1"]), "the message at the hub", 30)
    assert is_signed(sign())  # all of its modules were made again


def test_34_reprovision():
    """POST /device/reprovision: 204, edged ends with 154, and serves again soon"""
    edged = edge.role("edged")
    assert manage("POST", "/device/reprovision", {}) == (204, "")

    def again():
        try:
            return edge.role("edged") not in (None, edged) and sign()[0] == 200 and manage("GET", "/modules")[0] == 200
        except (OSError, AssertionError, http.client.HTTPException):
            return False
    wait_for(again, "edged to serve again", 30)
    assert re.search(r"edged [^\n]*154", edge.log_text()), "154 is not in the log"
    roles = {r["name"]: r for r in edge.control(verb="status")["roles"]}
    assert roles["edged"]["state"] and not roles["edged"]["failed"], roles["edged"]


def test_35_hub_away():
    """with the hub away, modules are served as before; identities can't be changed, and are as they were"""
    gen, digest = generation("tool"), sign()
    hub.stop()
    try:
        assert sign(gen=gen) == digest and manage("GET", "/modules")[0] == 200
        assert tool("POST", at("certificate/server", gen=gen), {"commonName": "tool"})[0] == 201
        for method, path, body in (("POST", "/identities", {"moduleId": "x"}), ("PUT", "/identities/tool", {}), ("DELETE", "/identities/tool", None)):
            status, answer = manage(method, path, body)
            assert status == 500 and answer["message"].startswith("failed to "), (method, status, answer)
        assert sign(gen=gen) == digest
    finally:
        hub.start()
    assert generation("tool") == gen and record("x") is None and sign() == digest


# -- Too much, too slow --------------------------------------------------------------------------------------------------------------------

def connected(sock):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30 * SLOW)
    s.connect(sock)
    return s


def test_40_slow():
    """a body that is not there after 5 s is 408, byte by byte or not at all; nobody else waits"""
    line = "POST %s?api-version=%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{" % (at("sign"), NEWEST)

    def slow(s, drips):
        start = time.monotonic()
        s.sendall(line.encode())
        s.settimeout(0.25)
        while True:
            try:
                answer = s.recv(65536)
                break
            except TimeoutError:
                assert time.monotonic() - start < 30 * SLOW, "no answer"
                if drips:
                    s.sendall(b" ")
        return answer.split(b"\r\n")[0].decode(), time.monotonic() - start
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        sockets = [connected(path) for path in (own("rsa"), SHARED, MANAGEMENT, own("rsa"))]
        waits = [pool.submit(slow, s, i != 3) for i, s in enumerate(sockets)]
        gen = generation("tool")
        for _ in range(5):
            start = time.monotonic()
            assert sign(gen=gen)[0] == 200 and time.monotonic() - start < 3 * SLOW
        for w in waits:
            status, took = w.result()
            assert status.startswith("HTTP/1.1 408") and 4 < took < 9 * SLOW, (status, took)
    for s in sockets:
        s.close()


def test_41_large():
    """a body that is too large is refused before it was sent; also one that does not say its length"""
    for sock in (own("tool"), SHARED, MANAGEMENT):
        for head in ("Content-Length: 10000000000\r\n", "Content-Length: 1048577\r\n", "Content-Length: 99999999999999999999999\r\n", "Content-Length: -1\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"):
            with connected(sock) as s:
                s.sendall(("POST %s?api-version=%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s\r\n" % (at("sign"), NEWEST, head)).encode())
                answer = s.recv(65536)
                assert answer[:12] in (b"HTTP/1.1 413", b"HTTP/1.1 400"), (head, answer)
                assert b"413" in answer.split(b"\r\n")[0] or head.startswith(("Content-Length: 999", "Content-Length: -", "Content-Length: 5")), (head, answer)
        with connected(sock) as s:
            s.sendall(("POST %s?api-version=%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" % (at("sign"), NEWEST)).encode())
            try:
                for _ in range(200):
                    s.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            except (BrokenPipeError, ConnectionResetError):
                pass
            try:
                assert s.recv(65536)[:12] in (b"HTTP/1.1 413", b"")
            except ConnectionResetError:
                pass
    big = "A" * (1 << 19)
    assert tool("POST", at("sign"), {"data": big})[0] == 200  # what is large and no attack is signed


def test_42_flood():
    """ten connections of a user on a socket of modules, fifty for management, and no more: the next is closed without an answer, other users and sockets don't notice, and afterwards all is as before"""
    gen = generation("tool")
    body = json.dumps(DATA)
    request = ("POST %s?api-version=%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (at("sign", "tool", gen), NEWEST, len(body), body)).encode()

    def flood(sock, request):
        """How many of 200 connections that are open at a time get an answer."""
        all, answered = [connected(sock) for _ in range(200)], 0
        for s in all:
            try:
                s.sendall(request)
                answered += s.recv(65536).startswith(b"HTTP/1.1 200")
            except OSError:
                pass
        return answered
    assert as_process(lambda: flood(own("tool"), request), TOOL) == 10
    look = ("GET /modules?api-version=%s HTTP/1.1\r\nHost: x\r\n\r\n" % NEWEST).encode()
    assert as_process(lambda: flood(MANAGEMENT, look), STRANGER, groups=[EDGED_GROUP]) == 50

    def is_served():
        try:
            return exchange(own("tool"), "POST", at("sign", "tool", gen), DATA)[0] == 200
        except (OSError, http.client.HTTPException):
            return False
    wait_for(lambda: as_process(is_served, TOOL), "the socket to be free again")
    if not ROOT_USER:
        raise Skip("needs root for other users")
    # While a stranger holds all he can of the socket that is for all, others use it.
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        held = []
        for _ in range(300):
            try:
                held.append(connected(SHARED))
            except OSError:
                pass
        os.write(w, b"x")
        signal.pause()
    os.read(r, 1)
    try:
        for _ in range(20):
            assert sign("tool", TOOL, SHARED, gen=gen)[0] == 200 and ask(RSA, SHARED, "GET", "/trust-bundle")[0] == 200
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_99_end():
    """nothing of all that has ended a role, nor put a secret into the log"""
    text = edge.log_text()
    assert "sig=" not in text and "PRIVATE KEY" not in text and not re.search(r"Sanitizer|runtime error", text)
    roles = {r["name"]: r for r in edge.control(verb="status")["roles"]}
    assert roles["keyd"]["restarts"] == roles["certd"]["restarts"] == roles["identityd"]["restarts"] == 0, roles
    assert roles["edged"]["restarts"] <= 2, roles["edged"]  # test_33 and test_34
    assert edge.stop() == 0
    hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
