#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `meson install` puts into an empty folder: executables that run from there, units that systemd understands and that give each daemon no more than it needs, users and folders."""
import os, re, shutil, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

DAEMONS = ["keyd", "certd", "identityd", "edged", "gateway", "hub", "provisioning", "est"]
HELPERS = ["config", "programs"]  # of the edge device, by its supervisor's executable
SOCKETS = {"keyd": "/run/aziot/keyd.sock", "certd": "/run/aziot/certd.sock", "identityd": "/run/aziot/identityd.sock", "edged.mgmt": "/run/iotedge/mgmt.sock",
           "edged.workload": "/run/iotedge/workload.sock", "hub": "443", "provisioning": "443", "est": "8085"}
folder = Folder()
root = folder / "root"


def find(name):
    found = [os.path.join(d, name) for d, dirs, names in os.walk(root) if name in names + dirs]
    found = [p for p in found if not os.path.isdir(p)]
    assert len(found) == 1, (name, found)
    return found[0]


def analyze(*args):
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze here (package systemd)")
    return subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, timeout=60 * SLOW, env=dict(os.environ, SYSTEMD_COLORS="0", LC_ALL="C.UTF-8"))


def test_01_install():
    """everything is below DESTDIR, and the command finds its daemons from where it lies"""
    done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root], capture_output=True, text=True, timeout=120 * SLOW)
    assert done.returncode == 0, done.stdout + done.stderr
    command = find("rootedge")
    for path in (command, *(find("rootedge-" + name) for name in DAEMONS + ["edge", "device"])):
        assert os.access(path, os.X_OK) and os.stat(path).st_mode & 0o7022 == 0, path
    assert subprocess.run([command, "--version"], capture_output=True, text=True).stdout.startswith("rootedge ")
    for name in DAEMONS + ["edge"]:
        done = subprocess.run([command, name, "--help"], capture_output=True, text=True, timeout=20 * SLOW)
        assert done.returncode == 0 and "usage: rootedge %s" % name in done.stdout, (name, done)


def test_02_paths():
    """each unit starts an executable that was installed"""
    for name in DAEMONS + HELPERS:
        with open(find("rootedge-%s.service" % name)) as f:
            start = re.search(r"^ExecStart=(\S+)", f.read(), re.M)[1]
        assert os.access(root + start, os.X_OK), (name, start)
    for name, listen in SOCKETS.items():
        with open(find("rootedge-%s.socket" % name)) as f:
            text = f.read()
        assert "ListenStream=%s\n" % listen in text, (name, text)
        assert not listen.startswith("/") or "SocketMode=0660\n" in text or name == "edged.workload", text


def test_03_verify():
    """systemd finds no fault in any of them"""
    units = ["rootedge-%s.service" % n for n in DAEMONS + HELPERS] + ["rootedge-%s.socket" % n for n in SOCKETS] + ["rootedge-edge.target"]
    # systemd looks for the units of the system below the root too.
    for place in ("/usr/lib/systemd/system", "/lib/systemd/system"):
        if os.path.isdir(place) and not os.path.exists(root + place):
            shutil.copytree(place, root + place, symlinks=True)
            break
    os.makedirs(root + "/bin", exist_ok=True)
    shutil.copy("/bin/kill", root + "/bin/kill")  # what ExecReload runs
    done = analyze("verify", "--root=" + root, "--man=no", *units)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "rootedge" in line]
    assert not ours, ours


def test_04_security():
    """`systemd-analyze security` has each daemon at 2.0 or better"""
    for name in DAEMONS + HELPERS:
        done = analyze("security", "--offline=true", "--root=" + root, "--threshold=20", "rootedge-%s.service" % name)
        score = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout + done.stderr)
        assert score and float(score[1]) <= 2.0 and done.returncode == 0, (name, done.stdout[-300:], done.stderr)


def test_05_users():
    """there is a user for each daemon, and systemd-sysusers can make them in an empty system"""
    if not shutil.which("systemd-sysusers"):
        raise Skip("no systemd-sysusers here (package systemd)")
    os.makedirs(root + "/etc", exist_ok=True)
    done = subprocess.run(["systemd-sysusers", "--root=" + root, next(p for p in confs() if "sysusers" in p)], capture_output=True, text=True)
    if "Operation not permitted" in done.stderr or "Permission denied" in done.stderr:
        raise Skip("files of users are made by root")
    assert done.returncode == 0, done
    with open(root + "/etc/passwd") as f:
        users = {line.split(":")[0] for line in f}
    for name in DAEMONS:
        with open(find("rootedge-%s.service" % name)) as f:
            text = f.read()
        wanted = set(re.findall(r"^(?:User|Group)=(\S+)", text, re.M)) | set(" ".join(re.findall(r"^SupplementaryGroups=(.*)", text, re.M)).split())
        assert wanted <= users and wanted and "root" not in wanted, (name, wanted - users)


def confs():
    return [os.path.join(d, n) for d, _, names in os.walk(root) for n in names if n == "rootedge.conf"]


def test_06_reproducible():
    """no path of the machine that built it is in a unit"""
    for d, _, names in os.walk(root):
        for name in names:
            if name.endswith((".service", ".socket", ".target", ".conf")) and "rootedge" in name + d:
                with open(os.path.join(d, name), errors="replace") as f:
                    text = f.read()
                assert ROOT not in text and BUILD not in text and "@libexecdir@" not in text, name


def test_99_end():
    """nothing is left"""
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
