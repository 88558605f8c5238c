#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real power cut at the gateway: the edge's state lies on an ext4 image behind a loop device, the image is copied while a device sends and the hub is away, and only what
the file system had written out by then is looked at.  Uses ../shared/suites/faults/powercut.sh where present; needs root and loop devices."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *
from pump import Pump

TOOL = os.path.join(ROOT, "..", "shared", "suites", "faults", "powercut.sh")
ROUNDS = os.environ.get("ROUNDS", "3")


def setup():
    with open(os.environ["RE_SETUP"]) as f:
        return json.load(f)


def worker():
    """WORK of the tool's contract: send until killed, append each acknowledged sequence number to $ACKED."""
    s = setup()
    p = Pump("dev1", lambda: Mqtt(s["port"], ca=s["ca"], name=s["name"], client_id="dev1", user=username(s["host"], "dev1"), password=sas(s["host"] + "/devices/dev1", s["key"])))
    p.next = int(os.environ["ROUND"]) * 10000000
    with open(os.environ["ACKED"], "a") as f:
        class Journal(list):
            def append(self, seq):
                f.write("%d\n" % seq)
                f.flush()
        p.acked = Journal()
        p.run()


def checker():
    """CHECK of the tool's contract: every acknowledged message is in the gateway's queue, a log like the hub's."""
    with open(os.environ["ACKED"]) as f:
        acked = {int(line) for line in f if line.strip()}
    out = run("rootedge", "hub", "events", "--state", setup()["as_hub"], "--json").stdout
    lost = sorted(acked - {int(json.loads(line)["properties"]["seq"]) for line in out.splitlines()})
    if lost:
        print("lost %d of %d: %s" % (len(lost), len(acked), lost[:5]))
    sys.exit(1 if lost else 0)


def ready():
    with socket.socket() as s:
        sys.exit(s.connect_ex(("127.0.0.1", setup()["port"])))


def test_powercut():
    """a power cut at random moments: each message that the gateway acknowledged is in its queue on the disk"""
    if not os.path.exists(TOOL):
        raise Skip("../shared/suites/faults is not here")
    if os.getuid() != 0 or not os.path.exists("/dev/loop0"):
        raise Skip("needs root and loop devices")
    it = Site()
    key, data, as_hub = it.key("dev1"), it.folder / "data", it.folder / "as-hub"
    it.edge.mqtt("dev1", password=it.token("dev1", key)).close()
    it.edge.stop()
    it.hub.stop()
    os.mkdir(as_hub)
    os.symlink(os.path.join(data, "edge", "gateway", "queue"), os.path.join(as_hub, "events"))
    with open(it.folder / "setup.json", "w") as f:
        json.dump({"port": it.edge.mqtt_port, "ca": it.edge.trust_bundle(), "name": it.edge.hostname, "host": it.hub.hostname, "key": key, "as_hub": as_hub}, f)
    os.mkdir(it.folder / "bin")
    with open(it.folder / "bin/umount", "w") as f:  # the tool waits for the edge's end, not for that of its roles
        f.write('#!/bin/sh\nfor i in $(seq 100); do PATH=%s umount "$@" 2>/dev/null && exit; sleep 0.05; done; exit 1\n' % os.environ["PATH"])
    os.chmod(it.folder / "bin/umount", 0o755)
    me = "%s %s" % (sys.executable, os.path.abspath(__file__))
    env = dict(os.environ, PATH=it.folder / "bin:" + os.environ["PATH"], DATA=data, ROUNDS=ROUNDS, READY_S="%d" % (30 * SLOW), MIN_MS="300", MAX_MS="1500", RE_SETUP=it.folder / "setup.json", VERBOSE="1", CLEAN="cp -a %s $DATA/edge && sync" % it.edge.state,
               START="%s edge --config %s --state $DATA/edge" % (ROOTEDGE, it.edge.args[it.edge.args.index("--config") + 1]), READY="%s ready" % me, WORK="%s work" % me,
               CHECK="%s check" % me)
    done = subprocess.run(["bash", TOOL], env=env, capture_output=True, text=True, timeout=300 * SLOW)
    for line in (done.stdout + done.stderr).splitlines():
        print("# " + line)
    assert done.returncode == 0 and "failed" in done.stdout, "a loss, or a start or a look that failed: the tool ended with %d" % done.returncode
    assert "confirmed operations: 0" not in done.stdout, "nothing was sent"
    it.folder.__exit__()


if __name__ == "__main__":
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word in ("work", "check", "ready"):
        {"work": worker, "check": checker, "ready": ready}[word]()
    run_all(globals())
