#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A hub, and an edge device under its supervisor, without the gateway: module identities with derived keys, the workload API as a module of the original uses it
(edge-services 2), who may call it (atk-13, atk-14), and what still works while the hub is away."""
import base64, hashlib, hmac, json, os, signal, socket, ssl, subprocess, sys, urllib.parse
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

V = "?api-version=2022-08-03"
ROOT_USER = os.getuid() == 0
HUB_UID, TOOL_UID = (4801, 4802) if ROOT_USER else (os.getuid(), os.getuid())
NAME = "contosoiothub.local"
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # which traces its own process: the roles' sandbox forbids that
folder = Folder()
os.chmod(folder.path, 0o711)  # as /var/lib is: the roles run as users of their own


def openssl(*args, **kw):
    done = subprocess.run(["openssl", *args], capture_output=True, **kw)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout.decode()


def make_root(name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / (name + ".key"), "-out", folder / (name + ".pem"), "-subj",
            "/CN=my_private_root_CA", "-days", "100", "-addext", "keyUsage=critical,keyCertSign", "-addext", "basicConstraints=critical,CA:TRUE")


def make_leaf(name, subject, extensions, days="30"):
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / (name + ".key"), "-out", folder / (name + ".csr"), "-subj", subject)
    with open(folder / "ext", "w") as f:
        f.write(extensions)
    openssl("x509", "-req", "-in", folder / (name + ".csr"), "-CA", folder / "root.pem", "-CAkey", folder / "root.key", "-CAcreateserial", "-days", days, "-extfile", folder / "ext", "-out",
            folder / (name + ".pem"))


make_root("root")
make_leaf("hub", "/CN=" + NAME, "subjectAltName=DNS:%s,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\n" % NAME)
make_leaf("edge", "/CN=EdgeGateway", "extendedKeyUsage=clientAuth\nbasicConstraints=critical,CA:FALSE\n")
hub = Service(folder, "hub", "--state", folder / "hub", "--hostname", NAME, "--address", "127.0.0.1", "--mqtt-port", 0, "--https-port", 0, "--cert", folder / "hub.pem", "--key", folder / "hub.key")
ports = {"mqtt": hub.ready["mqtt_port"], "https": hub.ready["https_port"]}
hub.args[hub.args.index("--mqtt-port") + 1], hub.args[hub.args.index("--https-port") + 1] = str(ports["mqtt"]), str(ports["https"])  # the same ones after a restart


def rest(method, path, body=None, headers=None):
    key = parse_connection_string(run("rootedge", "hub", "connection-string", "--state", folder / "hub").stdout)["SharedAccessKey"]
    headers = dict(headers or {}, Authorization=sas(NAME, key, policy="iothubowner", encode=False))
    return https(ports["https"], method, path + "?api-version=2021-04-12", body, headers, ca=folder / "root.pem")


status, _, body = rest("PUT", "/devices/EdgeGateway", {"deviceId": "EdgeGateway", "capabilities": {"iotEdge": True}, "authentication": {
    "type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint(folder / "edge.pem"), "secondaryThumbprint": ""}}})
assert status == 200, body
if ROOT_USER:
    for f in ("edge.key",):
        os.chown(folder / f, 61840, 61840)  # keyd's user must be able to read it, as aziotks must in the original


def write_config(name="config.toml", extra="", **changes):
    lines = {"hostname": '"edgegateway.local"', "trust_bundle_cert": '"file://%s"' % (folder / "root.pem")}
    lines.update(changes)
    with open(folder / name, "w") as f:
        f.write("".join("%s = %s\n" % kv for kv in lines.items()) + """
[provisioning]
source = "manual"
iothub_hostname = "%s"
device_id = "EdgeGateway"
[provisioning.authentication]
method = "x509"
identity_cert = "file://%s"
identity_pk = "file://%s"
[upstream]
address = "127.0.0.1"
https_port = %d
mqtt_port = %d
[gateway]
enabled = false
[modules."$edgeHub"]
uid = %d
names = ["10.1.2.3"]
[modules.tool]
uid = %d
%s""" % (NAME, folder / "edge.pem", folder / "edge.key", ports["https"], ports["mqtt"], HUB_UID, TOOL_UID, extra))


write_config()
edge = Service(folder, "edge", "--config", folder / "config.toml", "--state", folder / "edge")
MNT = edge.ready["mnt"]

CALL = """
import http.client, json, os, socket, sys
uid, path, method, target, body = json.loads(sys.argv[1])
if os.getuid() == 0 and uid:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
class C(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX); self.sock.settimeout(80); self.sock.connect(path)
c = C("x")
c.request(method, target, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
a = c.getresponse()
print(json.dumps([a.status, a.read().decode()]))
"""


def module_call(module, method, target, body=None, uid=None):
    """As the module's user, on the module's socket."""
    uid = uid if uid is not None else (HUB_UID if module == "edgeHub" else TOOL_UID)
    out = subprocess.run([sys.executable, "-c", CALL, json.dumps([uid, "%s/%s.sock" % (MNT, module), method, target + V, body])], capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stderr
    status, text = json.loads(out.stdout)
    return status, json.loads(text) if text else None


def module_record(id):
    status, _, body = rest("GET", "/devices/EdgeGateway/modules/" + urllib.parse.quote(id, safe=""))
    assert status == 200, (id, body)
    return body


def genid(id="$edgeHub"):
    return module_record(id)["generationId"]


GEN = {id: genid(id) for id in ("$edgeHub", "tool")}


def path(operation, id="$edgeHub", gen=None):
    return "/modules/%s/genid/%s/%s" % (urllib.parse.quote(id, safe=""), gen or GEN[id], operation)


def b64(data):
    return base64.b64encode(data).decode()


def sign(id="$edgeHub", data=b"x", **kw):
    return module_call(id.lstrip("$"), "POST", path("sign", id), {"keyId": "primary", "algo": "HMACSHA256", "data": b64(data)}, **kw)


def test_01_verdicts():
    """questions 1 and 5 are answered: the hub is really the hub, and who may sign module certificates"""
    said = {v["question"]: v for v in edge.events()}
    assert any(NAME in q and v["who"] == "edge" and all(c["passed"] for c in v["checks"]) for q, v in said.items()), said
    ca = said["Who may sign module certificates?"]
    assert ca["who"] == "edge" and "CN=aziot-edge CA EdgeGateway" in ca["peer"] and all(c["passed"] for c in ca["checks"]), ca
    assert "quickstart" in edge.log_text()


def test_02_identities():
    """the modules are in the hub with derived keys, and sign gives what the hub will check"""
    for id in ("$edgeHub", "tool"):
        record = module_record(id)
        keys = record["authentication"]["symmetricKey"]
        assert record["authentication"]["type"] == "sas" and len(base64.b64decode(keys["primaryKey"])) == 32 and keys["primaryKey"] != keys["secondaryKey"]
        data = ("%s%%2Fdevices%%2FEdgeGateway\n1700000000" % NAME).encode()
        status, answer = sign(id, data)
        assert status == 200 and answer == {"digest": b64(hmac.new(base64.b64decode(keys["primaryKey"]), data, hashlib.sha256).digest())}, (status, answer)


def test_03_server_certificate():
    """a server certificate for the hostname: key and chain in the original's form, accepted by OpenSSL for that name under the trust bundle"""
    status, answer = module_call("edgeHub", "POST", path("certificate/server"), {"commonName": "edgegateway.local", "expiration": "2030-01-01T00:00:00Z"})
    assert status == 201, answer
    assert answer["privateKey"]["type"] == "key" and answer["privateKey"]["bytes"].startswith("-----BEGIN PRIVATE KEY-----\n")
    assert len(answer["expiration"]) == 25 and answer["expiration"].endswith("+00:00")
    bundle = module_call("edgeHub", "GET", "/trust-bundle")[1]["certificate"]
    for name, text in (("leaf.pem", answer["certificate"].split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"), ("chain.pem", answer["certificate"]), ("bundle.pem", bundle)):
        with open(folder / name, "w") as f:
            f.write(text)
    openssl("verify", "-CAfile", folder / "bundle.pem", "-untrusted", folder / "chain.pem", "-purpose", "sslserver", "-verify_hostname", "edgegateway.local", folder / "leaf.pem")
    text = openssl("x509", "-noout", "-text", "-in", folder / "leaf.pem")
    assert "DNS:edgegateway.local, DNS:edgeHub" in text and "TLS Web Server Authentication" in text and "CA:FALSE" in text, text
    with open(folder / "root.pem") as f:
        assert f.read() in bundle
    names = [n for n in os.listdir(folder / "edge" + "/certd/certs")] if ROOT_USER or os.access(folder / "edge" + "/certd/certs", os.R_OK) else []
    want = "aziotedgedmoduleedgeHub%sserver-%s.cer" % (GEN["$edgeHub"], hashlib.sha256(("aziot-edged/module/edgeHub:%s:server" % GEN["$edgeHub"]).encode()).hexdigest())
    assert want in names, (want, names)


def test_04_csr():
    """our extension: with a CSR the key stays with the caller; each name in it must be the module's"""
    def request(names, subject="/CN=edgegateway.local"):
        return openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "own.key", "-subj", subject, "-addext", "subjectAltName=" + names)
    status, answer = module_call("edgeHub", "POST", path("certificate/server"), {"commonName": "edgegateway.local", "csr": request("DNS:edgegateway.local,IP:10.1.2.3,DNS:edgeHub")})
    assert status == 201 and answer["privateKey"]["type"] == "ref" and "bytes" not in answer["privateKey"], answer
    public = openssl("pkey", "-in", folder / "own.key", "-pubout")
    assert openssl("x509", "-noout", "-pubkey", input=answer["certificate"].encode()) == public
    for names, subject in (("DNS:other.local", "/CN=edgegateway.local"), ("DNS:edgegateway.local", "/CN=other.local"), ("DNS:edgegateway.local,DNS:contosoiothub.local", "/CN=edgegateway.local"),
                           ("IP:10.1.2.4", "/CN=edgegateway.local"), ("DNS:edgegateway.local,URI:x:y", "/CN=edgegateway.local"), ("DNS:*.local", "/CN=edgegateway.local")):
        status, answer = module_call("edgeHub", "POST", path("certificate/server"), {"commonName": "edgegateway.local", "csr": request(names, subject)})
        assert status == 403, (names, subject, status, answer)
    assert module_call("edgeHub", "POST", path("certificate/server"), {"commonName": "edgegateway.local", "csr": "none"})[0] == 400


def test_05_names():
    """atk-05: no module gets a server certificate for a name that is not its own, not even with another's name in other case"""
    for module, id, name, want in (("edgeHub", "$edgeHub", "edgegateway.local", 201), ("edgeHub", "$edgeHub", "edgeHub", 201), ("edgeHub", "$edgeHub", "TempSensor", 403), ("tool", "tool", "tool", 201),
                                   ("tool", "tool", "TempSensor", 403), ("tool", "tool", "edgeHub", 403), ("tool", "tool", "", 403), ("tool", "tool", "x" * 65, 403)):
        status, answer = module_call(module, "POST", path("certificate/server", id), {"commonName": name})
        assert status == want, (id, name, status, answer)


def test_06_identity_certificate():
    """an identity certificate: the module's own name whatever the body says, clientAuth only"""
    status, answer = module_call("tool", "POST", "/modules/tool/certificate/identity", {"expiration": "2030-01-01T00:00:00Z", "commonName": "EdgeGateway"})
    assert status == 201, answer
    text = openssl("x509", "-noout", "-text", input=answer["certificate"].encode())
    assert "Subject: CN = tool" in text and "Client Authentication" in text and "Server Auth" not in text and "azureiot://%s/devices/EdgeGateway/modules/tool" % NAME in text, text


def test_07_encrypt():
    """what a module encrypts only the same generation of the same module decrypts"""
    body = {"plaintext": b64(b"twin"), "initializationVector": b64("an IV".encode())}
    status, answer = module_call("edgeHub", "POST", path("encrypt"), body)
    assert status == 200 and base64.b64decode(answer["ciphertext"])[0] == 2, answer
    again = {"ciphertext": answer["ciphertext"], "initializationVector": body["initializationVector"]}
    assert module_call("edgeHub", "POST", path("decrypt"), again) == (200, {"plaintext": b64(b"twin")})
    assert module_call("tool", "POST", path("decrypt", "tool"), again)[0] in (400, 500)
    assert module_call("edgeHub", "POST", path("decrypt"), dict(again, initializationVector=b64(b"other")))[0] in (400, 500)
    assert module_call("edgeHub", "POST", path("encrypt"), {"plaintext": "!", "initializationVector": ""})[0] == 400
    assert module_call("edgeHub", "POST", path("encrypt"))[0] == 400


def test_08_atk13_names():
    """atk-13: on its own socket a module speaks for itself only, and for the generation that lives"""
    body = {"keyId": "primary", "algo": "HMACSHA256", "data": b64(b"x")}
    for id, gen in (("$edgeHub", GEN["$edgeHub"]), ("edgeHub", GEN["$edgeHub"]), ("Tool", GEN["tool"]), ("tool", GEN["$edgeHub"]), ("tool", "0"), ("tool", GEN["tool"] + " "), ("$tool ", GEN["tool"]),
                    ("x/../tool", GEN["tool"]), ("tool/", GEN["tool"]), ("tool\n", GEN["tool"]), ("$edgeAgent", GEN["tool"])):
        for operation in ("sign", "encrypt", "decrypt", "certificate/server"):
            status, answer = module_call("tool", "POST", path(operation, id, urllib.parse.quote(gen, safe="")), dict(body, plaintext=body["data"], ciphertext=body["data"],
                                         initializationVector=body["data"], commonName="tool"))
            assert status in (403, 404), (id, gen, operation, status, answer)
    for target in ("/modules/tool/../%24edgeHub/genid/x/sign", "/modules/tool%2F..%2F%24edgeHub/genid/x/sign", "//modules/tool/genid/x/sign", "/modules//genid/x/sign"):
        assert module_call("tool", "POST", target, body)[0] in (400, 403, 404), target
    assert module_call("edgeHub", "POST", "/modules/tool/certificate/identity")[0] == 403
    assert "CALLER_NOT_ALLOWED" in edge.log_text()


def test_09_atk13_users():
    """atk-13: another user than the module's gets nothing from its socket, root neither"""
    if not ROOT_USER:
        raise Skip("needs root to become another user")
    for uid in (TOOL_UID, 4899):
        try:
            status, answer = sign("$edgeHub", uid=uid)
            assert (status, answer) == (403, {"message": "forbidden"}), (uid, status, answer)
        except AssertionError as refused:
            assert "PermissionError" in str(refused), refused  # it could not even open the socket
    assert unix_http(MNT + "/edgeHub.sock", "POST", path("sign") + V, {"data": ""})[0] == 403


PASS_ON = """
import array, json, os, socket, sys
uid, path, far = json.loads(sys.argv[1])
s = socket.socket(fileno=far)
if os.getuid() == 0 and uid:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
c = socket.socket(socket.AF_UNIX); c.connect(path)
socket.send_fds(s, [b"x"], [c.fileno()])
s.recv(1)
"""


def test_10_atk14():
    """atk-14: a connection that its process passed on is worth nothing once that process has ended"""
    near, far = socket.socketpair()
    p = subprocess.Popen([sys.executable, "-c", PASS_ON, json.dumps([TOOL_UID, MNT + "/tool.sock", far.fileno()])], pass_fds=[far.fileno()])
    far.close()
    _, fds, _, _ = socket.recv_fds(near, 10, 1)
    passed = socket.socket(fileno=fds[0])
    passed.settimeout(30 * SLOW)
    body = json.dumps({"keyId": "primary", "algo": "HMACSHA256", "data": "eA=="})
    request = ("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (path("sign", "tool") + V, len(body), body)).encode()
    passed.sendall(request)
    first = passed.recv(65536)
    near.send(b"x")
    p.wait(30)
    passed.sendall(request)
    second = passed.recv(65536)
    assert first.startswith(b"HTTP/1.1 200"), first  # while the module lives, its children may speak for it
    assert second.startswith(b"HTTP/1.1 403"), second
    assert "CALLER_UNKNOWN" in edge.log_text()


def process_with(pid, uid):
    """A process of that user that gets this number again."""
    for _ in range(200):
        with open("/proc/sys/kernel/ns_last_pid", "w") as f:
            f.write(str(pid - 1))
        p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, user=uid, group=uid, extra_groups=[])
        if p.pid == pid:
            return p
        p.kill()
        p.wait()
    raise Skip("the number %d was never free" % pid)


def test_10b_atk14_reuse():
    """atk-14: nor does it come back to life when the module's number goes to another process, be it the module's user's own"""
    if not ROOT_USER or not os.access("/proc/sys/kernel/ns_last_pid", os.W_OK):
        raise Skip("needs root to choose the number of a process")
    near, far = socket.socketpair()
    p = subprocess.Popen([sys.executable, "-c", PASS_ON, json.dumps([TOOL_UID, MNT + "/tool.sock", far.fileno()])], pass_fds=[far.fileno()])
    far.close()
    _, fds, _, _ = socket.recv_fds(near, 10, 1)
    near.send(b"x")
    p.wait(30)
    reborn = process_with(p.pid, TOOL_UID)
    body = json.dumps({"keyId": "primary", "algo": "HMACSHA256", "data": "eA=="})
    with socket.socket(fileno=fds[0]) as passed:
        passed.settimeout(30 * SLOW)
        passed.sendall(("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (path("sign", "tool") + V, len(body), body)).encode())
        answer = passed.recv(65536)
    reborn.kill()
    reborn.communicate()
    assert answer.startswith(b"HTTP/1.1 403"), answer


def test_11_lists():
    """modules, bundles and versions as the original has them"""
    status, answer = module_call("tool", "GET", "/modules")
    assert status == 200 and sorted(m["name"] for m in answer["modules"]) == ["edgeHub", "tool"], answer
    assert module_call("tool", "GET", "/modules/")[0] == 200
    assert module_call("tool", "GET", "/manifest-trust-bundle") == (200, {"certificate": ""})
    assert module_call("tool", "GET", "/nothing") == (404, {"message": "not found"})
    assert module_call("tool", "GET", path("sign", "tool")) == (400, {"message": "method not allowed"})


def test_12_privileges():
    """every role has lost what it doesn't need: no new privileges, no capabilities, as root a user of its own"""
    roles = edge.roles()
    assert set(roles) == {"keyd", "certd", "identityd", "edged"}, sorted(roles)
    for name, fields in roles.items():
        assert fields["NoNewPrivs"].strip() == "1", name
        assert int(fields["CapEff"], 16) == 0 and int(fields["CapPrm"], 16) == 0, (name, fields["CapEff"])
    if edge.ready["separate_users"]:
        uids = {name: fields["Uid"].split() for name, fields in roles.items()}
        assert len({u[0] for u in uids.values()}) == 4 and all(len(set(u)) == 1 and u[0] != "0" for u in uids.values()), uids
        # Membership of a service's group is the permission to connect to its socket.
        keyd, certd, identityd = (fields["Gid"].split()[0] for fields in (roles["keyd"], roles["certd"], roles["identityd"]))
        assert {name: set(fields["Groups"].split()) for name, fields in roles.items()} == {"keyd": set(), "certd": {keyd}, "identityd": {keyd, certd}, "edged": {keyd, certd, identityd}}


def test_13_folders():
    """the state folder: keys for keyd only, sockets where they belong"""
    for name, mode in (("keyd", 0o700), ("keyd/keys", 0o700), ("identityd", 0o700)):
        assert os.stat(os.path.join(folder / "edge", name)).st_mode & 0o777 == mode, name
    if ROOT_USER:
        out = subprocess.run([sys.executable, "-c", "import os\nos.setgroups([]); os.setgid(4899); os.setuid(4899)\nos.listdir(%r)" % os.path.join(folder / "edge", "keyd", "keys")], capture_output=True, text=True)
        assert "PermissionError" in out.stderr, out


def test_14_atk10():
    """atk-10: neither keys nor handles are in the log or on a command line"""
    record = module_record("tool")["authentication"]["symmetricKey"]
    secrets = list(record.values())
    if ROOT_USER:
        for dirpath, _, names in os.walk(os.path.join(folder / "edge", "keyd")):
            for n in names:
                if n.endswith(".key"):
                    with open(os.path.join(dirpath, n), "rb") as f:
                        data = f.read()
                    secrets += [data.decode(errors="replace").split("\n")[1]] if data.startswith(b"-----") else [data.hex(), b64(data)]
    text = edge.log_text()
    for pid in [edge.process.pid] + [int(fields["Pid"]) for fields in edge.roles().values()]:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            text += f.read().decode(errors="replace")
    for s in secrets:
        assert s not in text, s
    assert "&sig=" not in text


def test_15_kill9():
    """a role that is killed comes back, and what worked works again"""
    for name in ("keyd", "certd", "identityd", "edged"):
        pid = int(edge.roles()[name]["Pid"])
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: int(edge.roles().get(name, {}).get("Pid", pid)) != pid, name + " to come back", 30)

        def works():
            try:
                return sign("tool")[0] == 200 and module_call("tool", "POST", path("certificate/server", "tool"), {"commonName": "tool"})[0] == 201
            except (AssertionError, OSError):
                return False
        wait_for(works, "the workload API after the end of " + name, 30)


def test_16_hub_away():
    """with the hub away modules still get signatures and certificates; also after a restart of everything"""
    hub.stop()
    assert sign("tool")[0] == 200
    assert edge.stop() == 0
    edge.start()
    assert sign("tool")[0] == 200
    assert module_call("edgeHub", "POST", path("certificate/server"), {"commonName": "edgegateway.local"})[0] == 201
    hub.start()
    assert edge.stop() == 0
    edge.start()
    assert {id: genid(id) for id in GEN} == GEN, "identities live on"


def test_16a_refused():
    """a device that the hub has disabled: begun while the hub is away, its modules are served as before; begun while it is there, they get no signature any more, until the device is enabled again"""
    record = rest("GET", "/devices/EdgeGateway")[2]

    def set_status(status):
        got, _, answer = rest("PUT", "/devices/EdgeGateway", dict(record, status=status), {"If-Match": "*"})
        assert got == 200, answer

    def signs(id):
        try:
            return sign(id)[0]
        except (AssertionError, OSError):
            return None  # not up yet
    set_status("disabled")
    hub.stop()
    assert edge.stop() == 0
    edge.start()
    assert sign("tool")[0] == 200 and sign()[0] == 200
    hub.start()
    assert edge.stop() == 0
    edge.start(wait=False)
    wait_for(lambda: [signs("tool"), signs("$edgeHub")] == [503, 503], "no signature\n" + edge.log_text()[-2000:], 30)
    set_status("enabled")
    wait_for(lambda: [signs("tool"), signs("$edgeHub")] == [200, 200], "signatures again\n" + edge.log_text()[-2000:], 30)
    edge.ready = edge.wait_ready()
    assert {id: genid(id) for id in GEN} == GEN


def test_16b_new_module():
    """a module that is new while the hub is away does not keep the others from working, and has its identity soon after the hub is back"""
    write_config(extra="[modules.late]\nuid = %d\n" % TOOL_UID)
    hub.stop()
    assert edge.stop() == 0
    edge.start()
    assert sign("tool")[0] == 200
    body = {"keyId": "primary", "algo": "HMACSHA256", "data": b64(b"x")}
    assert module_call("late", "POST", path("sign", "late", "1"), body)[0] == 503
    hub.start()

    def works():
        status, _, record = rest("GET", "/devices/EdgeGateway/modules/late")
        return status == 200 and module_call("late", "POST", path("sign", "late", record["generationId"]), body)[0] == 200
    wait_for(works, "the module's identity", 30)
    write_config()
    assert edge.stop() == 0
    edge.start()


def test_17_wrong_hub():
    """question 1 answered with no: a server that the roots don't vouch for, or of another name, gets neither certificate nor token, and the log says why"""
    edge.stop()
    make_root("stranger")
    for name, text, reason in (("stranger.toml", dict(trust_bundle_cert='"file://%s"' % (folder / "stranger.pem")), "TRUST_UNKNOWN_ISSUER"), ("name.toml", {}, "NAME_MISMATCH")):
        write_config(name, **text)
        if reason == "NAME_MISMATCH":
            with open(folder / name) as f:
                config = f.read().replace(NAME, "other.local")
            with open(folder / name, "w") as f:
                f.write(config)
        other = Service(folder, "edge", "--config", folder / name, "--state", folder / name[:-5], wait=False)
        other.log_path = folder / "edge.log"
        wait_for(lambda: reason in other.reasons(), reason, 30)
        assert not any("$edgeHub" in str(e) for e in hub.events()), "the hub never heard of it"
        other.process.terminate()
        other.process.wait(30)
        os.close(other.ready_fd)
        other.ready_fd = None
    edge.start()


def test_18_config():
    """a mistyped key ends the start with file, line and the nearest key, and whatever else is broken with its file; nothing is started and nothing changed"""
    write_config("bad.toml", hostnam='"x"')
    done = run("rootedge", "edge", "--config", folder / "bad.toml", "--state", folder / "never", check=False)
    assert done.returncode == 153 and "bad.toml:3" in done.stderr and "did you mean `hostname`" in done.stderr, done
    assert not os.path.exists(folder / "never")
    with open(folder / "config.toml") as f:
        good = f.read()
    broken = {"empty": b"", "nul": good.encode().replace(b"edgegateway", b"edge\0gateway"), "latin1": good.encode() + b"# \xe9\n", "binary": bytes(range(256)), "half": good.encode()[:len(good) // 2],
              "twice": (good + good).encode(), "quote": good.replace('.local"', ".local", 1).encode(), "deep": b"a = " + b"[" * 100, "large": b"# x\n" * (1 << 19), "type": b'edge_ca = "quickstart"\n' + good.encode(),
              "table": good.encode() + b"[edge_caa]\n", "port": good.replace("https_port = ", "https_port = -").encode(), "module": good.encode() + b'[modules."../x"]\nuid = 1\n',
              "key": good.encode() + b"[edge_ca]\ncert = 'file:///absent.pem'\npk = 'file:///absent.pem'\n", "roots": good.replace("/root.pem", "/root.key").encode()}
    for name, content in broken.items():
        file = folder / (name + ".toml")
        with open(file, "wb") as f:
            f.write(content)
        done = run("rootedge", "edge", "--config", file, "--state", folder / "never", check=False)
        named = {"key": "/absent.pem: No such file", "roots": (folder / "root.key") + ": there is no certificate in it, but a PRIVATE KEY"}.get(name, file)
        assert done.returncode == (1 if name in ("key", "roots") else 153) and named in done.stderr, (name, done)
        with open(file, "rb") as f:
            assert f.read() == content and not os.path.exists(folder / "never"), name
    long = folder / ("x" * 100)
    done = run("rootedge", "edge", "--config", folder / "config.toml", "--state", long, check=False)
    assert done.returncode == 1 and "socket" in done.stderr, done


def test_99_stop():
    """the supervisor ends all roles in order and leaves no process"""
    pids = [int(f["Pid"]) for f in edge.roles().values()]
    assert len(pids) == 4 and edge.stop() == 0
    assert not any(os.path.exists("/proc/%d" % pid) for pid in pids)
    hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
