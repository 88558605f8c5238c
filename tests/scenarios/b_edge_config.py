#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""atk-28: a config.toml that can't be read as one is named with its path, nothing is started, no state is made, and the file stays as it is."""
import os, random, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

GOOD = b"""hostname = "edgegateway.local"
[provisioning]
source = "manual"
iothub_hostname = "contosoiothub.local"
device_id = "EdgeGateway"
[provisioning.authentication]
method = "sas"
device_id_pk = { value = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" }
"""


def refused(path, *args):
    done = run("rootedge", "edge", "--config", path, *args, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == (1 if "--check" in args else 153) and path in said, (done.returncode, said)
    assert "MDEyMzQ1" not in said and "\x1b" not in said, said


def test_01_damaged():
    """a file that was cut, overwritten, emptied, or is another kind of file, is refused by --check and by a start"""
    rng = random.Random(1)
    with Folder() as folder:
        path, state = folder / "config.toml", folder / "state"
        with open(path, "wb") as f:
            f.write(GOOD)
        run("rootedge", "edge", "--config", path, "--state", state, "--check")
        for bad in (b"", GOOD[:len(GOOD) // 2], GOOD[:-3], b"\0" * len(GOOD), GOOD.replace(b"[prov", b"\0prov", 1), GOOD + b"\xff\xfe", GOOD + GOOD, rng.randbytes(5000), GOOD.replace(b"manual", b"\x1b[2Jmanual"),
                    b"[" * 100000, b"a = " + b"[" * 100000, b"# " + b"x" * (64 << 20)):
            with open(path, "wb") as f:
                f.write(bad)
            for args in (["--check"], []):
                refused(path, "--state", state, *args)
            with open(path, "rb") as f:
                assert f.read() == bad, "the file was changed"
        for path in (folder.path, folder / "nothing.toml", "/dev/null"):
            refused(path, "--state", state)
        assert not os.path.exists(state), "a state folder was made"


def test_02_changed_bytes():
    """a good file with any one byte changed is either good or refused with its path, and never more"""
    rng = random.Random(2)
    with Folder() as folder:
        path = folder / "config.toml"
        for _ in range(60):
            at = rng.randrange(len(GOOD))
            with open(path, "wb") as f:
                f.write(GOOD[:at] + rng.randbytes(1) + GOOD[at + 1:])
            done = run("rootedge", "edge", "--config", path, "--state", folder / "state", "--check", check=False)
            assert done.returncode == 0 or (done.returncode == 1 and path in done.stderr), (at, done.returncode, done.stdout, done.stderr)


if __name__ == "__main__":
    run_all(globals())
