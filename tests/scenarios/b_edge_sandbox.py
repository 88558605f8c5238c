#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From inside the gateway's sandbox: what a gateway that strangers have taken over can reach of the box it runs on.  The real supervisor starts the real roles, and
in the gateway's place a probe (probe_gateway.py) that does what it is told: so sandbox, user, folders, sockets and arguments are those a gateway has.  Twice: as root,
where each role has a user of its own, and as an ordinary user, where Landlock keeps them apart."""
import base64, contextlib, ctypes, glob, json, os, shutil, signal, socket, subprocess, sys, urllib.parse
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

ROOT_USER = os.getuid() == 0
ORDINARY = 4850 if ROOT_USER else os.getuid()
NAME = "contosoiothub.local"
LANDLOCK = ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)  # landlock_create_ruleset: the ABI, or -1
ROLES = {"keyd", "certd", "identityd", "edged"}
os.environ["ROOTEDGE_LOG"] = "debug,json"  # the most talkative, for atk-10
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # which traces its own process: the roles' sandbox forbids that
folder = Folder()
hub = Hub(folder, Pki(folder), NAME)


def install(name, gateway):
    """The roles' executables with this one as the gateway, in a folder that every user reaches."""
    programs = folder / name
    os.mkdir(programs)
    for role in ROLES | {"edge"}:
        shutil.copy(os.path.join(BUILD, "svc", role, "rootedge-" + role), programs)
    shutil.copy(gateway, os.path.join(programs, "rootedge-gateway"))
    for path in [programs] + [os.path.join(programs, n) for n in os.listdir(programs)]:
        os.chmod(path, 0o755)
    return os.path.join(programs, "rootedge-edge")


PROBED = install("probed", os.path.join(ROOT, "tests", "lib", "probe_gateway.py"))
BY_ENVIRONMENT = ["sh", "-c", 'ROOTEDGE_READY_FD=$6 exec "$0" "$1" "$2" "$3" "$4"', PROBED]  # and not by --ready-fd
REAL = install("real", os.path.join(BUILD, "svc", "gateway", "rootedge-gateway"))


class Box:
    """An edge device with the probe in it, or with the real gateway."""

    def __init__(self, name, uid, program=[PROBED]):
        self.name, self.uid, self.state = name, uid, folder / name
        record = hub.create_device("Edge-" + name, capabilities={"iotEdge": True})
        self.key, self.scope = record["authentication"]["symmetricKey"]["primaryKey"], record["deviceScope"]
        os.mkdir(self.state)
        os.chmod(self.state, 0o755)
        os.chown(self.state, uid, uid)
        config = folder / (name + ".toml")
        with open(config, "w") as f:
            f.write("""hostname = "edgegateway.local"
trust_bundle_cert = "file://%s"
[provisioning]
source = "manual"
connection_string = "HostName=%s;DeviceId=Edge-%s;SharedAccessKey=%s"
[upstream]
address = "127.0.0.1"
https_port = %d
mqtt_port = %d
[gateway]
address = "127.0.0.1"
mqtt_port = 0
https_port = 0
[modules.tool]
uid = %d
[modules.far]
uid = %d
""" % (hub.pki.root, NAME, name, self.key, hub.https_port, hub.mqtt_port, uid, 3000000000))
        os.chmod(config, 0o600)
        os.chown(config, uid, uid)
        self.become = [] if uid == os.getuid() else ["setpriv", "--reuid=%d" % uid, "--regid=%d" % uid, "--clear-groups", "--pdeathsig=KILL"]
        self.edge = Service(folder, name, "--config", config, "--state", self.state, program=self.become + program)
        self.mnt = self.edge.ready["mnt"]
        wait_for(self.is_at_rest, "what the hub says of each module to be kept")

    def is_at_rest(self):
        """The last that is written at a start."""
        kept = [os.path.basename(p) for p in glob.glob(self.state + "/identityd/modules/*/*")]
        return all(any(n.startswith(m + "-") for n in kept) for m in ("tool", "far"))

    def do(self, *what):
        """What comes of it inside: what was found, or the name of the errno."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30 * SLOW)
            s.connect(self.state + "/gateway/probe.sock")
            s.sendall(json.dumps(what).encode() + b"\n")
            return json.loads(s.makefile().readline())

    def denied(self, *what):
        found = self.do(*what)
        assert found in ("EACCES", "EPERM", "EXDEV"), (self.name, what, found)

    def files(self):
        """Every path in the state folder as it is from outside, but the probe's own, and what a role is just about to put in a file's place."""
        found = [os.path.join(d, n) for d, dirs, names in os.walk(self.state) for n in dirs + names]
        assert len(found) > 10, found
        return sorted(p for p in found if not (p + "/").startswith(self.state + "/gateway/") and not p.endswith(".tmp"))

    def modes(self):
        """Of those that are still there."""
        found = {}
        for path in self.files():
            with contextlib.suppress(FileNotFoundError):
                there = os.lstat(path)
                found[path] = (there.st_mode, there.st_uid, there.st_size)
        return found


CALL = """
import http.client, socket, sys
c = http.client.HTTPConnection("x")
c.sock = socket.socket(socket.AF_UNIX)
c.sock.connect(sys.argv[1])
c.request("POST", sys.argv[2], "{}", {"Content-Type": "application/json"})
a = c.getresponse()
print(a.status, a.read().decode())
"""
boxes = []


def all_boxes():
    if not boxes:
        raise Skip("neither root nor Landlock")
    return boxes


def keyd_socket(box):
    arguments = box.do("arguments")
    return arguments[arguments.index("--keyd") + 1]


def request(method, path, body=None):
    text = json.dumps(body) if body is not None else ""
    return "%s %s?api-version=2020-09-01 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (method, path, len(text), text)


def test_01_as_root():
    """as root each role gets a user of its own, and the log has nothing to warn of"""
    if not ROOT_USER:
        raise Skip("needs root")
    box = Box("r", 0)
    boxes.append(box)
    assert box.edge.ready["separate_users"] and "run as one user" not in box.edge.log_text()
    uids = {role: fields["Uid"].split() for role, fields in box.edge.roles().items()}
    assert set(uids) == ROLES | {"gateway"} and len({u[0] for u in uids.values()}) == 5 and all(len(set(u)) == 1 and u[0] != "0" for u in uids.values()), uids


def test_02_as_an_ordinary_user():
    """as an ordinary user all roles serve, and the log says once what keeps them apart"""
    if LANDLOCK < 1:
        raise Skip("this kernel has no Landlock: here nothing keeps the roles of one user apart")
    box = Box("u", ORDINARY, BY_ENVIRONMENT)
    boxes.append(box)
    assert not box.edge.ready["separate_users"] and box.edge.log_text().count("Landlock keeps them apart") == 1, box.edge.log_text()
    assert {fields["Uid"].split()[0] for fields in box.edge.roles().values()} == {str(ORDINARY)}
    status, _, answer = unix_http(box.mnt + "/edgeHub.sock", "GET", "/trust-bundle?api-version=2022-08-03")
    assert status == 200 and answer["certificate"].count("BEGIN") == 2, answer
    done = subprocess.run(box.become + [sys.executable, "-c", CALL, box.mnt + "/tool.sock", "/modules/tool/certificate/identity?api-version=2022-08-03"], capture_output=True, text=True, timeout=60 * SLOW)
    assert done.stdout.startswith("201") and "BEGIN CERTIFICATE" in done.stdout, done


def test_03_own_things():
    """what a gateway needs it has: its folder, the roots to know the hub by, the system's files, its socket of keyd"""
    for box in all_boxes():
        assert box.do("write", box.state + "/gateway/queue") is None and box.do("mkdir", box.state + "/gateway/log") is None
        assert box.do("rename", box.state + "/gateway/queue", box.state + "/gateway/queue2") is None and box.do("list", box.state + "/gateway")[:1] == ["log"]
        assert "BEGIN CERTIFICATE" in box.do("read", box.state + "/config/gateway/hub-roots.pem") and box.do("read", "/etc/hosts") is not None
        if box.edge.ready["separate_users"]:
            assert "root:" in box.do("read", "/etc/passwd")
        elif LANDLOCK >= 1:
            # What resolves names, and nothing else: /etc may hold this user's secrets.
            box.denied("read", "/etc/passwd")
            box.denied("list", "/etc")
        answer = box.do("ask", keyd_socket(box), request("POST", "/keypair", {"keyId": "edgehub-server"}))
        assert answer.startswith("HTTP/1.1 200") and "keyHandle" in answer, answer


def test_04_folders():
    """no other role's folder or file opens, to read or to write, whatever its mode is; keyd's least of all"""
    for box in all_boxes():
        before = box.modes()
        assert any(p.startswith(box.state + "/keyd/keys/") and p.endswith(".key") for p in before), before
        for path, (mode, _, _) in before.items():
            kind = mode & 0o170000
            if path.startswith(box.state + "/config/gateway"):  # what it is told
                box.denied("write", path + ("/planted" if kind == 0o040000 else ""))
            elif kind == 0o040000:
                box.denied("list", path)
                box.denied("write", path + "/planted")
            elif kind == 0o100000:
                box.denied("read", path)
                box.denied("write", path)
        box.denied("list", box.state)
        box.denied("write", box.state + "/planted")
        assert box.modes() == before


def test_05_around():
    """nor can they be led out of their folder, emptied, opened to others or watched"""
    for box in all_boxes():
        before = box.modes()
        key = next(p for p in before if p.endswith(".key"))
        own = box.state + "/gateway/planted"
        for path in (box.state + "/keyd", box.state + "/config/keyd/config.json", box.state + "/keyd/keys", key):
            for what in (("truncate", path), ("chmod", path, 0o777), ("unlink", path), ("rename", path, own), ("link", path, own), ("rename", box.state + "/gateway/queue2", path), ("watch", path)):
                box.denied(*what)
        box.denied("symlink", key, own)
        box.denied("watch", box.state + "/run")
        assert box.modes() == before


def test_06_processes():
    """other roles' processes show nothing and obey no signal"""
    for box in all_boxes():
        for role in ROLES:
            pid = int(box.edge.roles()[role]["Pid"])
            for name in ("mem", "environ", "maps", "auxv", "stack"):
                box.denied("read", "/proc/%d/%s" % (pid, name))
            for name in ("fd", "root", "cwd", "root/etc", "map_files"):
                box.denied("list", "/proc/%d/%s" % (pid, name))
            box.denied("ptrace", pid)
            if box.uid == 0 or LANDLOCK >= 6:
                box.denied("kill", pid, signal.SIGTERM)
            assert int(box.edge.roles()[role]["Pid"]) == pid
        if box.uid == 0 or LANDLOCK >= 6:
            box.denied("kill", box.edge.process.pid, signal.SIGTERM)


def test_07_names():
    """where roles are one user a socket's name is a secret: neither /proc nor sock_diag nor a folder nor arguments nor environment tell another role's"""
    for box in all_boxes():
        for path in ("/proc/net/unix", "/proc/self/net/unix", "/proc/thread-self/net/unix", "/proc/%d/net/unix" % os.getpid(), "/proc/1/net/unix"):
            assert box.do("read", path) in ("EACCES", "EPERM") or LANDLOCK < 1, path
        box.denied("unix_diag")
        with open("/proc/net/unix") as f:
            names = [line.split()[-1] for line in f if line.split()[-1].startswith(box.state + "/run/") and not line.endswith("/run/edged/workload.sock\n")]  # which is everybody's
        own = keyd_socket(box)
        assert own in names and len(names) >= 3, names
        if not box.edge.ready["separate_users"]:
            told = json.dumps([box.do("arguments"), box.do("environment")])
            for name in names:
                assert name == own or (name not in told and os.path.basename(os.path.dirname(name)) not in told), name
        assert box.do("descriptors") == [0, 1, 2, 3, 4], "nothing is inherited but the standard ones; 3 and 4 are the probe's own"


def test_08_atk16_keys():
    """atk-16: on the socket that it does have, no key but its own: not the Edge CA's, not the device's, not the master"""
    for box in all_boxes():
        for id in ("aziot-edged-ca", "device-id", "aziot_identityd_master_id", "iotedge_master_encryption_id", "local-ca", "handle-validation-key", "edgehub-serve", "edgehub-server2"):
            for method, path, body in (("GET", "/keypair/" + id, None), ("GET", "/key/" + id, None), ("POST", "/keypair", {"keyId": id}), ("POST", "/key", {"keyId": id, "usage": "sign"}),
                                       ("POST", "/keypair/edgehub-server", {"from": id})):
                answer = box.do("ask", keyd_socket(box), request(method, path, body))
                assert answer.startswith("HTTP/1.1 401"), (box.name, id, method, path, answer)


def test_09_other_services():
    """with users of their own the roles' sockets are known, and what they do for the gateway is nothing"""
    if not ROOT_USER:
        raise Skip("needs root")
    run_dir = boxes[0].state + "/run"
    pem = open(hub.pki.root).read()
    for name, method, path, body, want in (("certd", "PUT", "/certificates/aziot-edged-ca", {"pem": pem}, "401"), ("certd", "DELETE", "/certificates/aziot-edged-ca", None, "401"),
                                           ("certd", "PUT", "/certificates/trust-bundle-user", {"pem": pem}, "401"), ("identityd", "GET", "/identities/identity", None, "401"),
                                           ("identityd", "POST", "/identities/modules", {"type": "aziot", "moduleId": "x"}, "401")):
        answer = boxes[0].do("ask", "%s/%s/%s.sock" % (run_dir, name, name), request(method, path, body))
        assert answer == "EACCES" or answer.startswith("HTTP/1.1 " + want) or answer.startswith("HTTP/1.1 403"), (name, method, path, answer)
    tool = boxes[0].do("ask", boxes[0].mnt + "/tool.sock", request("POST", "/modules/tool/certificate/identity", {}).replace("2020-09-01", "2022-08-03"))
    assert tool in ("EACCES", "EPERM") or tool.startswith("HTTP/1.1 403"), tool


def test_10_for_good():
    """nothing of it can be undone, and every role is held the same way"""
    for box in all_boxes():
        box.denied("setuid", 0)
        for role, fields in box.edge.roles().items():
            assert fields["NoNewPrivs"].strip() == "1" and fields["Seccomp"].strip() == "2", (role, fields)
            assert int(fields["CapEff"], 16) == 0 and int(fields["CapPrm"], 16) == 0, (role, fields["CapEff"])


def forms(secret):
    raw = base64.b64decode(secret)
    return [secret.encode(), urllib.parse.quote(secret, safe="").encode(), raw, raw.hex().encode()]


def core_limit(fields):
    with open("/proc/%s/limits" % fields["Pid"].strip()) as f:
        return next(l.split()[4:6] for l in f if l.startswith("Max core file size"))


def test_10b_terminal():
    """the terminal of whoever started the box is out of reach: no role reads it, is in its session, or may type into it"""
    for box in all_boxes():
        assert box.do("session") == [True, True], "a session of its own, and nothing to read"
        for request in ("TIOCSTI", "TIOCLINUX"):
            box.denied("control", request)
        assert box.do("control", "TIOCGWINSZ") == "ENOTTY", "other requests get as far as the log, which is a file here"


def test_11_atk10():
    """atk-10: the device's key is in no log, command line, environment or error answer, in no file but its owner's, and no role dumps core"""
    for box in all_boxes():
        secret = forms(box.key)
        texts = {"log": box.edge.log_text().encode()}
        for role, fields in dict(box.edge.roles(), edge={"Pid": str(box.edge.process.pid)}).items():
            for name in ("cmdline", "environ"):
                try:
                    with open("/proc/%s/%s" % (fields["Pid"].strip(), name), "rb") as f:
                        texts[role + " " + name] = f.read()
                except PermissionError:
                    assert name == "environ" and not ROOT_USER  # not even its own user may look
            assert role == "gateway" or core_limit(fields) == ["0", "0"], role  # the probe is no role of ours
        for path in ("/modules/tool/genid/x/sign", "/nothing", "/modules/tool/certificate/identity"):
            texts[path] = json.dumps(unix_http(box.mnt + "/tool.sock", "POST", path + "?api-version=2022-08-03", {"keyId": "primary", "algo": "x", "data": "!"})[2]).encode()
        for name, text in texts.items():
            assert not any(form in text for form in secret), (box.name, name)
        keyd = int(box.edge.roles()["keyd"]["Uid"].split()[0])
        found = 0
        for path, (mode, uid, _) in box.modes().items():
            if mode & 0o170000 != 0o100000:
                continue
            content = b""
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as f:
                content = f.read()
            if any(form in content for form in secret):
                found += 1
                assert mode & 0o077 == 0 and uid == keyd, (path, oct(mode), uid)
        assert found >= 1, "the key is in keyd's folder"


def test_12_real_gateway():
    """the real gateway does its work in there as an ordinary user: a device gets in, and its message arrives at the hub"""
    if LANDLOCK < 1:
        raise Skip("this kernel has no Landlock")
    box = Box("g", ORDINARY, [REAL])
    boxes.append(box)
    assert core_limit(box.edge.roles()["gateway"]) == ["0", "0"]
    key = hub.create_device("TempSensor", deviceScope=box.scope)["authentication"]["symmetricKey"]["primaryKey"]
    with open(folder / "bundle.pem", "w") as f:
        f.write(unix_http(box.mnt + "/edgeHub.sock", "GET", "/trust-bundle?api-version=2022-08-03")[2]["certificate"])

    def connected():
        try:
            return Mqtt(box.edge.ready["mqtt_port"], ca=folder / "bundle.pem", name="edgegateway.local", client_id="TempSensor", user=username(NAME, "TempSensor"),
                        password=hub.device_token("TempSensor", key))
        except Refused:
            return None  # the gateway has not heard of it yet
    with wait_for(connected, "the gateway to let the device in", 30) as device:
        device.publish("devices/TempSensor/messages/events/", b"21.5 degrees")
    wait_for(lambda: any(e.get("body") == "21.5 degrees" for e in hub.events()), "the message at the hub", 30)


def test_99_stop():
    """all end in order"""
    for box in boxes:
        assert box.edge.stop() == 0
    hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
