#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real power cut: the hub's state lies on an ext4 image behind a loop device, the image is copied while devices send, and only what the file system had
written out by then is looked at.  Uses ../shared/suites/faults/powercut.sh where present; needs root and loop devices."""
import os, re, shutil, sqlite3, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from pump import Pump

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(ROOT, "..", "shared", "suites", "faults", "powercut.sh")
ROUNDS = os.environ.get("ROUNDS", "3")


def worker():
    """WORK of the tool's contract: send until killed, append each acknowledged sequence number, and each device that was created, to $ACKED."""
    round, setup = int(os.environ["ROUND"]), json.load(open(os.environ["RE_SETUP"]))
    token = sas(setup["host"], setup["policy"], policy="iothubowner", encode=False)
    p = Pump("dev1", lambda: Mqtt(setup["port"], ca=setup["ca"], client_id="dev1", user=username(setup["host"], "dev1"),
                                  password=sas(setup["host"] + "/devices/dev1", setup["key"])))
    p.next = round * 10000000
    with open(os.environ["ACKED"], "a") as f:
        class Journal(list):
            def append(self, what):
                f.write("%s\n" % what)
                f.flush()
        p.acked = Journal()
        p.start()
        for i in range(1000000):
            name = "d-%d-%d" % (round, i)
            if https(setup["rest"], "PUT", "/devices/%s?api-version=2021-04-12" % name, {"deviceId": name}, {"Authorization": token}, ca=setup["ca"])[0] == 200:
                p.acked.append(name)


def checker():
    """CHECK of the tool's contract: every acknowledged message is in the hub's event log, every created device in its registry."""
    state = os.path.join(os.environ["DATA"], "hub")
    with open(os.environ["ACKED"]) as f:
        acked = set(f.read().split())
    out = run("rootedge", "hub", "events", "--state", state, "--json").stdout
    stored = {json.loads(l)["properties"]["seq"] for l in out.splitlines()}
    db = sqlite3.connect("file:%s/hub.sqlite?mode=ro" % state, uri=True)
    stored |= {id for id, in db.execute("SELECT device_id FROM identity")}
    db.close()
    lost = sorted(acked - stored)
    if lost:
        print("lost %d of %d: %s" % (len(lost), len(acked), lost[:5]))
    sys.exit(1 if lost else 0)


def test_powercut():
    """a power cut at random moments: each acknowledged message and each created device is on the disk"""
    if not os.path.exists(TOOL):
        raise Skip("../shared/suites/faults is not here")
    if os.getuid() != 0 or not os.path.exists("/dev/loop0"):
        raise Skip("needs root and loop devices")
    with Folder() as folder:
        pki = Pki(folder)
        hub = Hub(folder, pki)
        key = hub.create_device("dev1")["authentication"]["symmetricKey"]["primaryKey"]
        hub.stop()
        port, rest = own_port(), own_port()
        with open(folder / "setup.json", "w") as f:
            json.dump({"port": port, "rest": rest, "policy": hub.policy(), "ca": pki.root, "host": hub.hostname, "key": key}, f)
        me = "%s %s" % (sys.executable, os.path.abspath(__file__))
        env = dict(os.environ, DATA=folder / "data", ROUNDS=ROUNDS, READY_S="%d" % (30 * SLOW), MIN_MS="1000", MAX_MS="2000", RE_SETUP=folder / "setup.json", VERBOSE="1",
                   CLEAN="cp -r %s $DATA/hub && sync -f $DATA/hub" % hub.state,
                   START="%s hub --state $DATA/hub --hostname %s --address 127.0.0.1 --mqtt-port %d --https-port %d --cert %s --key %s" % (ROOTEDGE, hub.hostname, port, rest, folder / "hub.pem", folder / "hub.key"),
                   READY="%s ready" % me, WORK="exec %s work" % me, CHECK="%s check" % me)
        done = subprocess.run(["bash", TOOL], env=env, capture_output=True, text=True, timeout=300 * SLOW)
        for line in (done.stdout + done.stderr).splitlines():
            print("# " + line)
        assert done.returncode == 0 and "failed" in done.stdout, "a loss, or a start or a look that failed: the tool ended with %d" % done.returncode
        confirmed = [int(n) for n in re.findall(r"(\d+) confirmed$", done.stdout, re.M)]
        assert len(confirmed) == int(ROUNDS) and all(b > a for a, b in zip([0] + confirmed, confirmed)), "a round in which nothing was sent: %s" % confirmed


def ready():
    with socket.socket() as s:
        sys.exit(s.connect_ex(("127.0.0.1", json.load(open(os.environ["RE_SETUP"]))["port"])))


if __name__ == "__main__":
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word in ("work", "check", "ready"):
        {"work": worker, "check": checker, "ready": ready}[word]()
    run_all(globals())
