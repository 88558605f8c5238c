#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rootedge hub seed`, and a registry that is so large that the hub serves before it is loaded: what is found meanwhile, and what happens when it is damaged."""
import glob, hashlib, os, random, sqlite3, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

N = 60000  # more than the 8 MB that are loaded before the hub listens

hub = folder = pki = good = token = None
KEY = new_key()


def seed(text, *args, state=None, check=0):
    """(summary, standard error) of seeding this text."""
    path = folder / "devices"
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    done = run("rootedge", "hub", "seed", "--state", state or hub.state, "--json", *args, path, check=False)
    assert done.returncode == check, (done.returncode, done.stdout, done.stderr)
    assert "Sanitizer" not in done.stderr, done.stderr
    return json.loads(done.stdout) if done.stdout else None, done.stderr


def counts(summary):
    return tuple(summary[name] for name in ("created", "updated", "existing", "refused"))


def get(path):
    status, _, body = hub.rest("GET", path)
    return body if status == 200 else status


def test_00_start():
    """a hub has run on the folder, and is stopped"""
    global hub, folder, pki
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    assert hub.stop() == 0


def test_01_json():
    """a JSON array and an object a line bring devices, gateways, children by the gateway's id, and modules"""
    items = [{"deviceId": "gw", "capabilities": {"iotEdge": True}, "tags": {"site": "north"}}, {"id": "leaf", "parent": "gw", "authentication": {"symmetricKey": {"primaryKey": KEY}}}, {"deviceId": "gw", "moduleId": "m1"},
             {"deviceId": "off", "status": "disabled", "statusReason": "stock"}]
    assert counts(seed(json.dumps(items, indent=1))[0]) == (4, 0, 0, 0)
    assert counts(seed("\n".join(json.dumps(dict(i, **({"parent": "gw"} if i["id"] != "l0" else {}))) for i in [{"id": "l%d" % n} for n in range(5)]))[0]) == (5, 0, 0, 0)
    assert counts(seed("[ ]")[0]) == (0, 0, 0, 0)
    hub.start()
    gateway = get("/devices/gw")
    assert get("/twins/gw")["tags"] == {"site": "north"}
    assert get("/devices/leaf")["deviceScope"] == gateway["deviceScope"] == get("/devices/l4")["deviceScope"] and "deviceScope" not in get("/devices/l0")
    assert [m["moduleId"] for m in get("/devices/gw/modules")] == ["$edgeAgent", "$edgeHub", "m1"]
    assert get("/devices/off")["status"] == "disabled" and len(get("/devices/off")["authentication"]["symmetricKey"]["primaryKey"]) == 44
    hub.mqtt("leaf", password=hub.device_token("leaf", KEY)).close()
    assert hub.stop() == 0


def test_02_csv():
    """CSV names its columns in any order and case, quotes what it must, and leaves out what is empty"""
    text = ('\r\n'.join(['primaryThumbprint,DeviceId,moduleId,auth,edge,parent,status,statusReason,secondaryKey', '%s,c-thumb,,,,,,,' % ("AB:" * 31 + "CD"), ',c-gw,,certificateAuthority,true,,,,',
                         ',c-gw,mod,,,,,,' + KEY, ',c-leaf,,sas,false,c-gw,disabled,"in ""stock"", until\r\nMay",', '']))
    assert counts(seed(text)[0]) == (4, 0, 0, 0)
    hub.start()
    assert get("/devices/c-thumb")["authentication"]["x509Thumbprint"]["primaryThumbprint"] == "AB" * 31 + "CD"
    assert get("/devices/c-gw")["authentication"]["type"] == "certificateAuthority" and get("/devices/c-gw")["capabilities"]["iotEdge"]
    assert get("/devices/c-gw/modules/mod")["authentication"]["symmetricKey"]["secondaryKey"] == KEY
    leaf = get("/devices/c-leaf")
    assert leaf["deviceScope"] == get("/devices/c-gw")["deviceScope"] and leaf["status"] == "disabled" and leaf["statusReason"] == 'in "stock", until\r\nMay', leaf
    assert hub.stop() == 0


def test_03_again():
    """what is there already is left as it is, or changed with --update; keys that are not given stay"""
    assert counts(seed('{"id":"leaf","status":"disabled"}{"id":"late"}')[0]) == (1, 0, 1, 0)
    hub.start()
    before = get("/devices/leaf")
    assert before["status"] == "enabled"
    assert hub.stop() == 0
    assert counts(seed('{"id":"leaf","status":"disabled"}\n{"id":"later"}', "--update")[0]) == (1, 1, 0, 0)
    hub.start()
    after = get("/devices/leaf")
    assert after["status"] == "disabled" and after["authentication"] == before["authentication"] and after["generationId"] == before["generationId"] and after["etag"] != before["etag"]
    assert hub.stop() == 0


def test_04_refused():
    """what can't be is told with its line, the rest is done, and the status is 1"""
    lines = ['{"id":"r1"}', '{"id":"a b"}', '{"id":"r2","status":"broken"}', '{"id":"r3","authentication":{"type":"selfSigned"}}', '{"id":"nobody","moduleId":"m"}', '{"id":"r4","parent":"leaf"}',
             '{"id":"r4","parent":"nothing"}', '{"id":"r5","deviceScope":"ms-azure-iot-edge://leaf-1"}', '{}', '{"id":"r6","tags":5}', '{"id":"gw","moduleId":"$own"}', '{"id":"r7"}']
    summary, said = seed("\n".join(lines), check=1)
    assert counts(summary) == (2, 0, 0, 10), (summary, said)
    assert sorted(int(l.split()[1].rstrip(":")) for l in said.splitlines() if l.startswith("line ")) == list(range(2, 12)), said
    summary, said = seed("deviceId,edge,tags.a.b,tags.a\nx1,maybe,,\n", check=1)
    assert "line 2" in said and "edge" in said, said
    summary, said = seed("deviceId,tags.a,tags.a.b\nx1,5,6\n", check=1)
    assert "line 2" in said and "contradict" in said, said
    summary, said = seed("".join('{"id":"a %d"}\n' % i for i in range(30)), check=1)
    assert said.count("line ") == 20 and "and 10 more" in said, said


def test_05_no_such_file():
    """a file that is cut, no list of devices, or can't be read, ends with its line; what stands before that is kept"""
    for text, line in (('[{"id":"k1"},\n{"id":"k2"', 2), ('[{"id":"k1"}\n{"id":"k2"}]', 2), ('{"id":"k1"}\n\n7', 3), ('[{"id":"k1"}] x', 1), ('{"id":"k1","id":"k2"}', 1), ('[5]', 1), ('{"id":"k1"}\n]', 2),
                       ("deviceId\nk1\n\"k2", 3), ("deviceId\nk1\n\"k2\"x\n", 3), ("deviceId,status\nk1\n", 2), ("deviceId\nk1,k2\n", 2), ("deviceId,colour\n", 1), ("name\nk1\n", 1), ("hello", 1),
                       (b"deviceId\n\xff\xfe\n", 2), (b"deviceId\nk\0\n", 2), ('{"id":"%s"}' % ("x" * (1 << 20)), 1), ("deviceId\n" + "y" * 70000, 2), (b"\0\0\0", 1), ("deviceId," * 100, 1),
                       ('{"a":' * 5000, 1)):
        _, said = seed(text, check=1)
        assert "line %d" % line in said, (text[:50], said)
    hub.start()
    assert get("/devices/k1")["deviceId"] == "k1" and get("/devices/k2") == 404
    assert hub.stop() == 0
    assert counts(seed("")[0]) == (0, 0, 0, 0)
    for path in (folder / "nothing", folder.path):
        done = run("rootedge", "hub", "seed", "--state", hub.state, path, check=False)
        assert done.returncode == 1 and done.stderr, done
    assert run("rootedge", "hub", "seed", "--state", hub.state, check=False).returncode == 2


def test_06_running():
    """where a hub runs nothing is done, and it is said how to do it"""
    hub.start()
    _, said = seed('{"id":"no"}', check=1)
    assert "stop it" in said and "POST /devices" in said, said
    assert get("/devices/no") == 404
    assert hub.stop() == 0


def large_csv(path):
    with open(path, "w") as f:
        f.write("deviceId,auth,primaryThumbprint,primaryKey\n")
        for i in range(N):
            f.write("big-%05d,%s\n" % (i, "selfSigned,%s," % hashlib.sha256(b"%d" % i).hexdigest() if i % 2 else "sas,," + KEY))


def test_06_b_fresh():
    """a folder where no hub has run yet may be seeded; the hub that comes then begins its events as ever"""
    state, hub.state = hub.state, folder / "fresh"
    args = hub.args[:]
    hub.args[hub.args.index(str(state))] = str(hub.state)
    assert counts(seed('{"id":"first"}')[0]) == (1, 0, 0, 0)
    hub.start()
    assert get("/devices/first")["deviceId"] == "first" and len(glob.glob(hub.state + "/events/*.log")) == 1
    assert hub.stop() == 0
    hub.state, hub.args = state, args


def test_07_interrupted():
    """seeding that was killed is run again, and all are there once"""
    large_csv(folder / "large.csv")
    args = [ROOTEDGE, "hub", "seed", "--state", hub.state, "--json", folder / "large.csv"]
    process = subprocess.Popen(args, stdout=subprocess.DEVNULL)
    wal = hub.state + "/hub.sqlite-wal"
    wait_for(lambda: process.poll() is not None or (os.path.exists(wal) and os.path.getsize(wal) > 2 << 20), "the first transactions", 60)
    process.kill()
    process.wait()
    done = subprocess.run(args, capture_output=True, text=True)
    assert done.returncode == 0, done
    summary = json.loads(done.stdout)
    assert summary["created"] + summary["existing"] == N and summary["existing"] > 0 and summary["refused"] == 0, summary
    print("# %s" % summary)


def test_08_while_loading():
    """a hub with a large registry serves at once: devices get in, what is asked, listed, counted or changed before all is loaded is right"""
    global good, token
    good = folder / "good"
    token = sas(hub.hostname, hub.policy(), policy="iothubowner", encode=False)
    shutil.copytree(hub.state, good)
    for round in range(3):
        hub.start()
        last = "big-%05d" % (N - 2)
        hub.mqtt(last, password=hub.device_token(last, KEY)).close()
        try:
            hub.mqtt("big-00002", password=hub.device_token("big-00002", new_key()))
            raise AssertionError("a wrong key lets in")
        except Refused as refused:
            assert refused.code == 5
        assert get("/devices/big-%05d" % (N - 1))["authentication"]["type"] == "selfSigned" and get("/devices/nobody") == 404
        assert hub.rest("DELETE", "/devices/big-%05d" % round, headers={"If-Match": "*"})[0] == 204
        assert get("/devices/big-%05d" % round) == 404
        n = get("/statistics/devices")["totalDeviceCount"]
        assert n > N - 1 - round, n
        if round:
            assert n == before - 1
        before = n
        assert len(get("/devices?top=1000")) == 1000
        assert "the registry is loaded: " in hub.log_text()
        hub.kill9() if round == 1 else hub.stop()


def fresh():
    shutil.rmtree(hub.state)
    shutil.copytree(good, hub.state)


def contents():
    with open(hub.state + "/hub.sqlite", "rb") as f:
        return hashlib.sha256(f.read()).hexdigest(), os.path.exists(hub.state + "/hub.sqlite-wal") and os.path.getsize(hub.state + "/hub.sqlite-wal")


def ends(*words):
    """Whether before it listens or after, it ends with 1 and one error that has these words; nothing is changed."""
    before = contents()
    log_from = len(hub.log_text())
    try:
        hub.start()
        answer = None
        try:
            answer = https(hub.https_port, "PUT", "/devices/too-late?api-version=2021-04-12", {"deviceId": "too-late"}, {"Authorization": token}, ca=pki.root)
        except (OSError, http.client.HTTPException):
            pass
        assert answer is None or answer[0] in (500, 503), answer
    except AssertionError as why:
        if "before it was ready" not in str(why):
            raise
        os.close(hub.ready_fd)
        hub.ready_fd = None
    assert hub.process.wait(60 * SLOW) == 1
    hub.log.close()
    text = hub.log_text()[log_from:]
    assert "Sanitizer" not in text, text
    errors = [json.loads(l)["message"] for l in text.splitlines() if l.startswith("{") and json.loads(l)["level"] == "error"]
    told = [e for e in errors if not e.startswith("registry: ")]
    assert len(told) == 1 and all(w in told[0] for w in words), errors
    assert contents() == before, "the database was changed"


def test_09_damaged():
    """damage in a large registry ends the hub with its path, whether it listens by then or not, and nothing was written"""
    database = hub.state + "/hub.sqlite"
    rng = random.Random(7)
    size = os.path.getsize(good + "/hub.sqlite")
    for at in (4096, size // 8192 * 4096, size - 4096):
        fresh()
        with open(database, "r+b") as f:
            f.seek(at)
            f.write(rng.randbytes(4096))
        ends(database)
    fresh()
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("UPDATE identity SET auth = 77 WHERE device_id = 'big-40000'")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    ends(database, "big-40000")


def test_99_stop():
    """the undamaged one starts as if nothing had been"""
    fresh()
    hub.start()
    assert get("/devices/big-40000")["deviceId"] == "big-40000"
    assert hub.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
