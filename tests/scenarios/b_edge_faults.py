#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The sockets of a whole edge device as strangers and bad luck treat them: tricks in ids, handles that are forged or replayed, floods, slow and huge bodies, requests in a heap, a full disk, kill -9 at any
moment, clocks that jump.  Each leaves the others served, and no key lost (atk-13, atk-15, atk-16)."""
import base64, hashlib, hmac, json, os, socket, stat, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from keyd_client import Keyd, b64

ME = os.getuid()
STRANGER = 61990  # a user that is nobody to any role
YEAR = 365 * 86400
folder = Folder()
clock = folder / "clock"
with open(clock, "w") as f:
    f.write("0")
os.chmod(clock, 0o644)
os.environ["ROOTEDGE_CLOCK_FILE"] = clock
INSIDE = sys.argv[1:] == ["full-disk"]  # of a mount namespace: the rest of the story is outside
hub = None if INSIDE else Hub(folder, Pki(folder))
edge = None if INSIDE else Edge(folder, hub)


def sockets():
    """By the role that listens."""
    found = {}
    for dirpath, _, names in os.walk(edge.state):
        for n in names:
            if not n.endswith(".sock"):
                continue
            path = os.path.join(dirpath, n)
            role = "workload" if n == "edgeHub.sock" else os.path.basename(n)[:-len(".sock")].split("-")[0]
            found.setdefault(role, path)
    return found


SOCKETS = {} if INSIDE else sockets()
# One question a role that anybody gets some answer to, and where ids stand in its paths.
QUESTIONS = {"keyd": "/keypair/none?api-version=2021-05-01", "certd": "/certificates/none?api-version=2020-09-01", "identityd": "/trust-bundle?api-version=2020-09-01",
             "workload": "/trust-bundle?api-version=2019-01-30"}
PATHS = {
    "keyd": [("GET", "/key/%s", None), ("GET", "/keypair/%s", None), ("POST", "/keypair/%s", {"from": "none"}), ("POST", "/parameters/%s", {"keyHandle": "x"})],
    "certd": [("GET", "/certificates/%s", None), ("DELETE", "/certificates/%s", None), ("PUT", "/certificates/%s", {"pem": "x"})],
    "identityd": [("GET", "/identities/modules/%s", None), ("DELETE", "/identities/modules/%s", None), ("PUT", "/identities/modules/%s", {"type": "aziot", "moduleId": "x"})],
    "workload": [("POST", "/modules/%s/genid/1/sign", {"keyId": "primary", "algo": "HMACSHA256", "data": "eA=="}), ("POST", "/modules/edgeHub/genid/%s/sign", {"keyId": "primary", "data": "eA=="}),
                 ("POST", "/modules/%s/certificate/identity", {})],
}


def connect(role, seconds=20):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(seconds * SLOW)
    s.connect(SOCKETS[role])
    return s


def serves(role):
    """How long an answer takes, in seconds."""
    start = time.monotonic()
    status = unix_http(SOCKETS[role], "GET", QUESTIONS[role])[0]
    assert status < 500, (role, status)
    return time.monotonic() - start


def pids():
    return {role: edge.role(role) for role in ("keyd", "certd", "identityd", "edged", "gateway")}


BEFORE = {} if INSIDE else pids()


def all_well():
    """Every role serves, and none of them had to be started again."""
    for role in QUESTIONS:
        serves(role)
    assert pids() == BEFORE, "a role ended\n" + edge.log_text()[-3000:]


def as_user(code, uid=STRANGER, gid=STRANGER, groups=()):
    if ME != 0:
        raise Skip("needs root to become another user")
    done = subprocess.run([sys.executable, "-c", "import json, os, socket, sys\nos.setgroups(%r); os.setgid(%d); os.setuid(%d)\n" % (list(groups), gid, uid) + code], capture_output=True, text=True, timeout=120 * SLOW)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_01_ids():
    """atk-15: whatever stands in the place of an id is an id or refused; nothing outside the folder of a role is read, written or removed, and nothing fails"""
    victim = folder / "victim.pem"
    with open(victim, "w") as f:
        f.write("mine")
    tricks = ["..", ".", "%2e%2e", "..%2f..%2fvictim.pem", "%2e%2e%2f" * 8 + "etc%2fpasswd", urllib.parse.quote(victim, safe=""), "%2F", "a%2f..%2fb", "%00", "a%00b", "%0a", "a%0d%0ab", "%", "%2", "%zz",
              "%ff%fe", "%c0%ae%c0%ae%2f", "%ed%a0%80", "x" * 600, "%78" * 600, "con.pem", "a%5c..%5cb", "%e2%80%ae%6d%65%70", "%e2%81%84", "~root", "-rf", "*", "?x"[1:] + "%3f", "%23", "file%3a%2f%2f%2fetc%2fpasswd"]
    wait_for(lambda: os.path.exists(os.path.join(edge.state, "gateway", "scope")), "the gateway to keep what the hub told it")  # a moment after it serves

    def names(folder):  # but for a file that is being written just now
        return sorted(n for n in os.listdir(os.path.join(edge.state, folder)) if not n.endswith(".tmp"))
    before = {d: names(d) for d in os.listdir(edge.state) if os.path.isdir(os.path.join(edge.state, d))}
    for role, rows in PATHS.items():
        version = QUESTIONS[role].rpartition("?")[2]
        for method, path, body in rows:
            for trick in tricks:
                status, _, answer = unix_http(SOCKETS[role], method, path % trick + "?" + version, body)
                assert status < 500, (role, method, path % trick, status, answer)
                assert b"root:" not in json.dumps(answer if not isinstance(answer, bytes) else answer.decode(errors="replace")).encode()
    for id in ("../../victim", "/etc/passwd", "a/../../b", "a\x00b", "\ud800", "x" * 1000, "", "\n", "aziot-edged-ca\u202e"):
        text = json.dumps({"keyId": id, "usage": "sign"})
        for role, path, body in (("keyd", "/key", text), ("keyd", "/keypair", text), ("certd", "/certificates", json.dumps({"certId": id, "csr": "x"}))):
            status = unix_http(SOCKETS[role], "POST", path + "?" + QUESTIONS[role].rpartition("?")[2], body)[0]
            assert status < 500, (role, id, status)
    assert open(victim).read() == "mine"
    after = {d: names(d) for d in before}
    assert after == before, "beside the folders of keys and certificates nothing came or went"
    for dirpath, _, names in os.walk(os.path.join(edge.state, "keyd")):
        for n in names:
            assert "/" not in n and (not n.endswith(".key") or len(n.rpartition("-")[2]) == 68), n
    all_well()


def test_02_handles():
    """atk-16: handles that are forged, of another keyd, changed or somebody else's are worth nothing at keyd and at certd, also after a restart"""
    V = "?api-version=2021-05-01"
    with SubFolder(folder, "other") as own, Keyd(own, {}) as other:
        theirs = other.handle("/keypair", {"keyId": "aziot-edged-ca"})
        their_key = other.handle("/key", {"keyId": "aziot_identityd_master_id", "usage": "derive"})
    sr, sig = theirs[3:].split("&sig=")
    forged = [theirs, their_key, "", "sr=&sig=", "sr=%s&sig=%s" % (sr, b64(b"\0" * 32)), "sr=%s&sig=" % sr, "sig=%s&sr=%s" % (sig, sr), theirs + "&sig=" + sig, "x" * 9000, "sr=" + "A" * 9000 + "&sig=" + sig]
    for handle in forged:
        for method, path, body in (("POST", "/sign", {"algorithm": "ECDSA", "parameters": {"digest": b64(b"d" * 32)}}), ("POST", "/encrypt", {"algorithm": "RSA-PKCS1", "plaintext": ""}),
                                   ("POST", "/derivedkey/export", {}), ("POST", "/parameters/public", {}), ("DELETE", "/key", {}), ("DELETE", "/keypair", {})):
            status, _, answer = unix_http(SOCKETS["keyd"], method, path + V, dict(body, keyHandle=handle))
            assert status == 400 and "handle" in answer["message"], (path, handle[:40], status, answer)
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "x.key", "-subj", "/CN=x", "-out", folder / "x.csr")
    with open(folder / "x.csr") as f:
        csr = f.read()
    for handle in forged:
        status, _, answer = unix_http(SOCKETS["certd"], "POST", "/certificates?api-version=2020-09-01",
                                      {"certId": "forged", "csr": csr, "issuer": {"certId": "aziot-edged-ca", "privateKeyHandle": handle}})
        assert status in (400, 401), (handle[:40], status, answer)
    status, _, answer = unix_http(SOCKETS["keyd"], "GET", "/keypair/aziot-edged-ca" + V)
    if ME == 0:
        handle = answer["keyHandle"]
        sign = json.dumps({"keyHandle": handle, "algorithm": "ECDSA", "parameters": {"digest": b64(b"d" * 32)}})
        stolen = """
s = socket.socket(socket.AF_UNIX); s.settimeout(30)
try:
    s.connect(%r)
except PermissionError:
    print(401)
    sys.exit(0)
s.sendall(b'POST /sign?api-version=2021-05-01 HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n' + %r)
print(json.dumps(int(s.makefile('rb').readline().split()[1])))
""" % (SOCKETS["keyd"], len(sign), sign.encode())
        assert as_user(stolen) == 401 and as_caller("keyd", stolen) == 401
        os.kill(pids()["keyd"], signal.SIGKILL)
        wait_for(lambda: pids()["keyd"] not in (None, BEFORE["keyd"]) and try_serves("keyd"), "keyd again", 20)
        BEFORE["keyd"] = pids()["keyd"]
        assert unix_http(SOCKETS["keyd"], "POST", "/sign" + V, sign)[0] == 200, "its owner's is good after a restart"
        assert as_user(stolen) == 401 and as_caller("keyd", stolen) == 401
    all_well()


def try_serves(role):
    try:
        return serves(role) is not None
    except (OSError, http.client.HTTPException):
        return False


def as_caller(role, code):
    """As one who may open the role's socket."""
    who = {"keyd": "gateway", "certd": "edged", "identityd": "edged", "workload": "gateway"}[role]
    with open("/proc/%d/status" % BEFORE[who]) as f:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    return as_user(code, int(fields["Uid"].split()[0]), int(fields["Gid"].split()[0]), [int(g) for g in fields["Groups"].split()])


FLOOD = """
held, dropped = [], 0
for i in range(400):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(0.02)
    try:
        s.connect(%r)
        s.sendall(b'GET %s HTTP/1.1\\r\\nHost: x\\r\\n')
    except OSError:
        dropped += 1
        continue
    held.append(s)
gone = 0
for s in held:
    s.settimeout(5)
    try:
        gone += s.recv(1) == b''
    except ConnectionResetError:
        gone += 1
    except TimeoutError:
        pass
    except OSError:
        gone += 1
print(json.dumps([len(held) - gone, dropped + gone]))
"""


def test_03_flood():
    """a user who opens hundreds of connections keeps max_requests of them and loses the others at once, without an answer; all other users are served meanwhile"""
    if ME != 0:
        raise Skip("needs root to become another user")
    for role in QUESTIONS:
        result, slowest = [], 0.0
        t = threading.Thread(target=lambda: result.append(as_caller(role, FLOOD % (SOCKETS[role], QUESTIONS[role]))))
        t.start()
        while t.is_alive():
            slowest = max(slowest, serves(role))
        t.join()
        (held, lost), = result
        assert 1 <= held <= 64 and lost > 30, (role, held, lost)  # a connection that is closed at once is lost before its request is sent, or after
        assert slowest < 5 * SLOW, (role, slowest)
    all_well()


def test_04_slow_bodies():
    """a body that trickles is answered 408 after five seconds by each role, and one that never comes too; nobody waits for it"""
    slow = {}
    for role in QUESTIONS:
        for n in range(3):
            s = connect(role)
            s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" % QUESTIONS[role].encode())
            slow[s] = role
    start, answered, slowest = time.monotonic(), {}, 0.0
    while len(answered) < len(slow) and time.monotonic() - start < 30 * SLOW:
        for s, role in slow.items():
            if s in answered:
                continue
            s.settimeout(0.01)
            try:
                s.sendall(b" ")
                answered[s] = s.recv(100)
            except (socket.timeout, BrokenPipeError):
                pass
        slowest = max(slowest, *(serves(role) for role in QUESTIONS))
    for s, role in slow.items():
        assert answered.get(s, b"").startswith(b"HTTP/1.1 408 "), (role, answered.get(s))
        s.close()
    assert time.monotonic() - start > 4 and slowest < 4 * SLOW, slowest
    all_well()


def private_kb(role):
    with open("/proc/%d/smaps_rollup" % BEFORE[role]) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Private_Dirty:"))


def test_05_huge_bodies():
    """a body of 10 MB is refused as soon as its length is known, or as soon as there is too much of it; it takes no memory"""
    for role in QUESTIONS:
        held = private_kb("edged" if role == "workload" else role) if ME == 0 and "san" not in BUILD else 0
        with connect(role) as s:
            s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (QUESTIONS[role].encode(), 10 << 20))
            assert s.recv(100).startswith(b"HTTP/1.1 413 "), role
        with connect(role) as s:
            s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" % QUESTIONS[role].encode())
            sent, answer = 0, b""
            while sent < 10 << 20 and not answer:
                try:
                    s.settimeout(20)
                    s.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                    sent += 65536
                    s.settimeout(0.001)
                    answer = s.recv(100)
                except socket.timeout:
                    pass
                except (BrokenPipeError, ConnectionResetError):
                    answer = b"HTTP/1.1 413 was lost"
            assert answer.startswith(b"HTTP/1.1 413 ") and sent < 4 << 20, (role, sent, answer)
        if held:
            wait_for(lambda: private_kb("edged" if role == "workload" else role) < held + 3000, "%s to give the memory back" % role)
    all_well()


def read_answer(file):
    line = file.readline()
    if not line:
        return None
    headers = dict(h.decode().lower().strip().split(": ", 1) for h in iter(file.readline, b"\r\n"))
    file.read(int(headers.get("content-length", 0)))
    return int(line.split()[1])


def test_06_heaps():
    """requests that come in a heap are answered one by one, in their order; what could be read in two ways ends the connection, and what follows it is never a request"""
    for role in QUESTIONS:
        good = "GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % QUESTIONS[role]
        bad = "GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % QUESTIONS[role].replace("api-version=", "nothing=")
        with connect(role) as s:
            s.sendall(((good + bad) * 20).encode())
            file = s.makefile("rb")
            got = [read_answer(file) for _ in range(40)]
            assert got[1::2] == [400] * 20 and len(set(got[::2])) == 1, (role, got)
        for head in ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Content-Length: 3\r\nContent-Length: 5\r\n\r\n", "Content-Length: -1\r\n\r\n", "Transfer-Encoding: gzip, x\r\n\r\n",
                     "Content-Length: 0x5\r\n\r\n", " folded: x\r\n\r\n", "A" * 70000 + ": x\r\n\r\n", "X: y\r\n" * 5000 + "\r\n", "\0: x\r\n\r\n"):
            with connect(role) as s:
                try:
                    s.sendall(("POST %s HTTP/1.1\r\nHost: x\r\n%s" % (QUESTIONS[role], head) + good * 3).encode())
                    s.shutdown(socket.SHUT_WR)
                except BrokenPipeError:
                    pass
                file, statuses = s.makefile("rb"), []
                try:
                    while (status := read_answer(file)) is not None:
                        statuses.append(status)
                except (ConnectionResetError, ValueError):
                    pass
                assert len(statuses) <= 1 and all(400 <= x < 500 or x == 501 for x in statuses), (role, head[:40], statuses)
        for junk in (b"\x16\x03\x01\x02\x00\x01\x00", b"\x10\x20\x00\x04MQTT", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 1000, os.urandom(2000), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            with connect(role) as s:
                try:
                    s.sendall(junk)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(4096):
                        pass
                except (BrokenPipeError, ConnectionResetError):
                    pass
    all_well()


def set_clock(seconds):
    with open(clock, "w") as f:
        f.write(str(int(seconds)))


def test_07_clock():
    """in 1970, a year ahead and a year back handles are good, keys sign and certificates are read; a connection that was open when the clock jumped goes on"""
    V = "?api-version=2021-05-01"
    with SubFolder(folder, "clock-keyd") as own, Keyd(own, {}) as keyd:
        pair, key = keyd.handle("/keypair", {"keyId": "p"}), keyd.handle("/key", {"keyId": "k", "usage": "derive,sign"})
        made = {0: pair}
        open_ones = {role: connect(role) for role in QUESTIONS}
        for offset in (-int(time.time()) + 60, -YEAR, YEAR, 0):
            set_clock(offset)
            for restart in (False, True):
                if restart:
                    keyd.stop()
                    keyd.start()
                for h in made.values():
                    assert keyd.sign(h)[0] == 200, offset
                assert keyd.hmac(key)[0] == 200
            made[offset] = keyd.handle("/keypair/p", None, method="GET")
            for role, s in open_ones.items():
                s.sendall(("GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % QUESTIONS[role]).encode())
                assert read_answer(s.makefile("rb")) < 500, (role, offset)
            status, _, answer = unix_http(SOCKETS["certd"], "GET", "/certificates/aziot-edged-ca?api-version=2020-09-01")
            assert status == 200 and "BEGIN CERTIFICATE" in answer["pem"], (offset, status)
        for s in open_ones.values():
            s.close()
    set_clock(0)
    all_well()


def key_files(keyd):
    return {n: open(os.path.join(keyd.keys, n), "rb").read() for n in os.listdir(keyd.keys)}


def test_08_kill9_making():
    """keyd is killed while it makes, imports and moves keys, again and again at another moment: each id has its old key or its new one, whole, and none is lost"""
    with SubFolder(folder, "kill") as own, Keyd(own, {}) as keyd:
        def point(id):
            status, answer = keyd.ask("GET", "/keypair/" + id)
            return base64.b64decode(keyd.ask("POST", "/parameters/ec-point", {"keyHandle": answer["keyHandle"]})[1]["value"]) if status == 200 else None

        def secret(id):
            status, answer = keyd.ask("GET", "/key/" + id)
            assert status in (200, 400), (id, status, answer)
            return keyd.hmac(answer["keyHandle"])[1]["signature"] if status == 200 else None
        keyd.handle("/keypair", {"keyId": "now"})
        keyd.handle("/key", {"keyId": "secret", "usage": "sign", "keyBytes": b64(b"0" * 32)})
        span = 0.004 * SLOW
        for i in range(40):
            keyd.handle("/keypair", {"keyId": "next"})
            before = {"now": point("now"), "next": point("next"), "secret": secret("secret")}
            new = os.urandom(32)

            def work():
                for method, path, body in (("POST", "/key", {"keyId": "secret", "usage": "sign", "keyBytes": b64(new)}), ("POST", "/keypair/now", {"from": "next"}), ("POST", "/keypair", {"keyId": "fresh%d" % i}),
                                           ("POST", "/key", {"keyId": "fresh-secret%d" % i, "usage": "derive"})):
                    try:
                        keyd.ask(method, path, body)
                    except (OSError, http.client.HTTPException):
                        return
            t = threading.Thread(target=work)
            t.start()
            time.sleep(span * i / 40)  # not to wait: the moment
            keyd.kill9()
            t.join()
            keyd.start()
            now, next_one = point("now"), point("next")
            assert (now, next_one) in ((before["now"], before["next"]), (before["next"], None)), "the old pair or the new one, and never none"
            assert secret("secret") in (before["secret"], b64(hmac.new(new, b"data", hashlib.sha256).digest()))
            keyd.ask("POST", "/keypair", {"keyId": "fresh%d" % i})
            assert point("fresh%d" % i) and (secret("fresh-secret%d" % i) or True)
            assert all(n.endswith(".key") for n in os.listdir(keyd.keys)), "no half of a file stays"


def fill(path):
    with open(path, "wb", buffering=0) as f:
        for size in (65536, 4096, 512, 16, 1):
            try:
                while True:
                    f.write(b"x" * size)
            except OSError:
                pass


def test_09_full_disk():
    """with the disk full no key is made, replaced or half-written, those that are there sign, and with room again everything works, without a restart"""
    probe = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        raise Skip("namespaces are denied here")
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", sys.executable, os.path.abspath(__file__), "full-disk"], capture_output=True, text=True, timeout=120 * SLOW)
    assert done.returncode == 0, done.stdout + done.stderr


def full_disk():
    with Folder() as own:
        small = own / "keys"
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", small], check=True)
        try:
            with Keyd(own, {}) as keyd:
                pair, key = keyd.handle("/keypair", {"keyId": "pair"}), keyd.handle("/key", {"keyId": "key", "usage": "sign", "keyBytes": b64(b"old")})
                other = keyd.handle("/keypair", {"keyId": "other"})
                mac = keyd.hmac(key)
                fill(os.path.join(small, "filler"))
                before = key_files(keyd)
                for method, path, body in (("POST", "/keypair", {"keyId": "new"}), ("POST", "/key", {"keyId": "new-key", "usage": "sign"}), ("POST", "/key", {"keyId": "key", "usage": "sign", "keyBytes": b64(b"n" * 32)})):
                    status, answer = keyd.ask(method, path, body)
                    assert (status, answer) == (500, {"message": "internal error"}), (path, body, status, answer)
                assert key_files(keyd) == before, "nothing was changed, and no half of a file is left"
                assert "No space left" in keyd.log_text()
                assert keyd.sign(pair)[0] == 200 and keyd.hmac(key) == mac
                assert keyd.ask("POST", "/keypair/pair", {"from": "other"})[0] == 204, "moving takes no room"
                keyd.kill9()
                keyd.start()
                assert keyd.sign(keyd.handle("/keypair/pair", None, method="GET"))[0] == 200, "it starts with a full disk, too"
                os.unlink(os.path.join(small, "filler"))
                assert keyd.ask("POST", "/keypair", {"keyId": "new"})[0] == 200
                keyd.handle("/key", {"keyId": "key", "usage": "sign", "keyBytes": b64(b"new")})
                assert keyd.hmac(key) != mac
        finally:
            subprocess.run(["umount", small], check=True)


def test_10_principals():
    """keyd takes new principals from its file in its sandbox, too, and is not started again for it"""
    with open("/proc/%d/cmdline" % BEFORE["keyd"]) as f:
        words = f.read().split("\0")
    path = words[words.index("--config") + 1]
    st = os.stat(path)
    with open(path) as f:
        config = json.load(f)
    config["principals"].append({"name": "agent", "uid": STRANGER, "ids": ["agent-*"]})
    with open(path + ".new", "w") as f:
        json.dump(config, f)
    os.chmod(path + ".new", stat.S_IMODE(st.st_mode))
    if ME == 0:
        os.chown(path + ".new", st.st_uid, st.st_gid)
    os.rename(path + ".new", path)
    wait_for(lambda: "the configuration was read again" in edge.log_text(), "keyd reads its file", 15)
    assert "the configuration stays as it was" not in edge.log_text()
    all_well()


def test_99_stop():
    """the edge device stops in order"""
    assert edge.stop() == 0 and hub.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    if INSIDE:
        full_disk()
        folder.__exit__()
        sys.exit(0)
    run_all(globals())
