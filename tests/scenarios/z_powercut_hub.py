#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real power cut: the hub's state lies on an ext4 image behind a loop device, the image is copied while devices send, and only what the file system had
written out by then is looked at.  Uses ../shared/suites/faults/powercut.sh where present; needs root and loop devices."""
import os, shutil, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from pump import Pump

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(ROOT, "..", "shared", "suites", "faults", "powercut.sh")
ROUNDS = os.environ.get("ROUNDS", "3")


def worker():
    """WORK of the tool's contract: send until killed, append each acknowledged sequence number to $ACKED."""
    round, setup = int(os.environ["ROUND"]), json.load(open(os.environ["RE_SETUP"]))
    p = Pump("dev1", lambda: Mqtt(setup["port"], ca=setup["ca"], client_id="dev1", user=username(setup["host"], "dev1"),
                                  password=sas(setup["host"] + "/devices/dev1", setup["key"])))
    p.next = round * 10000000
    with open(os.environ["ACKED"], "a") as f:
        class Journal(list):
            def append(self, seq):
                f.write("%d\n" % seq)
                f.flush()
        p.acked = Journal()
        p.run()


def checker():
    """CHECK of the tool's contract: every acknowledged message is in the hub's event log."""
    acked = {int(l) for l in open(os.environ["ACKED"]) if l.strip()}
    out = run("rootedge", "hub", "events", "--state", os.path.join(os.environ["DATA"], "hub"), "--json").stdout
    stored = {int(json.loads(l)["properties"]["seq"]) for l in out.splitlines()}
    lost = sorted(acked - stored)
    if lost:
        print("lost %d of %d: %s" % (len(lost), len(acked), lost[:5]))
    sys.exit(1 if lost else 0)


def test_powercut():
    """a power cut at random moments: each acknowledged message is on the disk"""
    if not os.path.exists(TOOL):
        raise Skip("../shared/suites/faults is not here")
    if os.getuid() != 0 or not os.path.exists("/dev/loop0"):
        raise Skip("needs root and loop devices")
    with Folder() as folder:
        pki = Pki(folder)
        hub = Hub(folder, pki)
        key = hub.create_device("dev1")["authentication"]["symmetricKey"]["primaryKey"]
        hub.stop()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        with open(folder / "setup.json", "w") as f:
            json.dump({"port": port, "ca": pki.root, "host": hub.hostname, "key": key}, f)
        me = "%s %s" % (sys.executable, os.path.abspath(__file__))
        env = dict(os.environ, DATA=folder / "data", ROUNDS=ROUNDS, MIN_MS="300", MAX_MS="1500", RE_SETUP=folder / "setup.json", VERBOSE="1",
                   CLEAN="cp -r %s $DATA/hub && rm -f $DATA/hub/lock && sync -f $DATA" % hub.state,
                   START="%s hub --state $DATA/hub --hostname %s --address 127.0.0.1 --mqtt-port %d --https-port 0 --cert %s --key %s" % (ROOTEDGE, hub.hostname, port, folder / "hub.pem", folder / "hub.key"),
                   READY="%s ready" % me, WORK="%s work" % me, CHECK="%s check" % me)
        done = subprocess.run(["bash", TOOL], env=env, capture_output=True, text=True, timeout=300 * SLOW)
        for line in (done.stdout + done.stderr).splitlines():
            print("# " + line)
        assert done.returncode == 0 and "failed" in done.stdout, "the tool found a loss"
        assert "confirmed operations: 0" not in done.stdout, "nothing was sent"


def ready():
    with socket.socket() as s:
        sys.exit(s.connect_ex(("127.0.0.1", json.load(open(os.environ["RE_SETUP"]))["port"])))


if __name__ == "__main__":
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word in ("work", "check", "ready"):
        {"work": worker, "check": checker, "ready": ready}[word]()
    run_all(globals())
