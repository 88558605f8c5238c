#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hub's files when they are not as it left them: whatever is damaged is named with its path, the hub does not start, and not a byte is changed, so that it can still be repaired.
The same for its certificates, at the start and when they are replaced while it runs (atk-08, atk-28)."""
import os, random, sqlite3, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

N_EVENTS = 300

hub = folder = pki = key = good = None


def test_00_start():
    """a hub with devices, subscriptions and events stops in order, and starts again"""
    global hub, folder, pki, key, good
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    key = hub.create_device("dev1")["authentication"]["symmetricKey"]["primaryKey"]
    for i in range(60):
        hub.create_device("other%d" % i)
    with hub.mqtt("dev1", password=hub.device_token("dev1", key)) as m:
        m.send(subscribe_packet([("$iothub/methods/POST/#", 0)]))
        assert m.receive()[0] == 0x90
        for i in range(N_EVENTS):
            m.publish("devices/dev1/messages/events/n=%d" % i, b"event %d" % i)
    assert hub.stop() == 0
    good = folder / "good"
    shutil.copytree(hub.state, good)
    hub.start()
    assert len(hub.events()) == N_EVENTS
    assert hub.stop() == 0


def database():
    return os.path.join(hub.state, "hub.sqlite")


def segment():
    events = os.path.join(hub.state, "events")
    return os.path.join(events, sorted(f for f in os.listdir(events) if f.endswith(".log"))[0])


def fresh():
    shutil.rmtree(hub.state)
    shutil.copytree(good, hub.state)


def contents():
    """Every file of the state with what is in it.  The event log's lock, SQLite's index of its write-ahead log and an empty one of those are no state."""
    found = {}
    for where, _, files in os.walk(hub.state):
        for name in files:
            with open(os.path.join(where, name), "rb") as f:
                data = f.read()
            if name not in ("lock", "hub.sqlite-shm") and (data or name != "hub.sqlite-wal"):
                found[os.path.join(where, name)] = data
    return found


def does_not_start(*words):
    """It ends with 1 and one error that has these words; returns that error."""
    log_from = len(hub.log_text())
    try:
        hub.start()
    except AssertionError:
        os.close(hub.ready_fd)
        hub.ready_fd = None
    else:
        hub.kill9()
        raise AssertionError("it started")
    status = hub.process.returncode
    hub.log.close()
    text = hub.log_text()[log_from:]
    assert "Sanitizer" not in text, text
    errors = [json.loads(line) for line in text.splitlines() if line.startswith("{") and json.loads(line)["level"] == "error"]
    assert status == 1 and len(errors) == 1, (status, text)
    for word in words:
        assert word in errors[0]["message"], (word, errors[0])
    return errors[0]["message"]


def untouched(*words):
    before = contents()
    said = does_not_start(*words)
    after = contents()
    assert after == before, "changed: %s" % [os.path.basename(f) for f in set(before) | set(after) if before.get(f) != after.get(f)]
    return said


def overwrite(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


def test_01_registry_bytes():
    """a registry that was cut, overwritten at its head or in any of its pages, or is no database, is refused with its path and left untouched"""
    rng = random.Random(1)
    size = os.path.getsize(os.path.join(good, "hub.sqlite"))
    for at in [0, 20, 100] + list(range(4096, size, 4096)):
        fresh()
        overwrite(database(), at, rng.randbytes(2048 if at >= 4096 else 12))
        untouched(database())
    for length in (10, 100, 4096, size // 2 // 4096 * 4096, size - 4096):
        fresh()
        os.truncate(database(), length)
        untouched(database())
    for text in (b"hello", b"\0" * 8192):
        fresh()
        with open(database(), "wb") as f:
            f.write(text)
        untouched(database())
    fresh()
    os.unlink(database())
    os.mkdir(database())
    untouched(database())


def test_01_b_registry_gone():
    """a registry that was emptied, or is gone while its events are there, is refused with its path: a hub does not begin anew where devices were"""
    fresh()
    os.truncate(database(), 0)
    untouched(database())
    fresh()
    os.unlink(database())
    untouched(database(), "events")


def test_02_registry_versions():
    """a registry of a newer version is refused with its path and left untouched"""
    fresh()
    change("PRAGMA user_version = 99")
    untouched(database(), "version 99")


def change(*statements):
    db = sqlite3.connect(database(), isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def test_03_registry_rows():
    """a row that holds what no hub writes, and a table that is missing, are refused with the path and left untouched"""
    one = "UPDATE identity SET %s WHERE device_id = 'dev1' AND module_id = ''"
    for statement in (one % "auth = 77", one % "auth = -1", one % "device_id = 'a b'", one % "key1 = X'00'", one % "key1 = NULL", one % "key2 = zeroblob(100)", one % "thumbprint1 = 'xyz', auth = 2",
                      one % "thumbprint1 = NULL, auth = 2", one % "etag = ''", "UPDATE policy SET key1 = X'' WHERE name = 'iothubowner'", "DROP TABLE identity", "DROP TABLE policy", "DROP TABLE subscription",
                      "DROP TABLE number"):
        fresh()
        change(statement)
        untouched(database())


def test_04_write_ahead_log():
    """what stands in a write-ahead log is kept when the database beside it is damaged, and used when it isn't"""
    fresh()
    hub.start()
    late = hub.create_device("late")["authentication"]["symmetricKey"]["primaryKey"]
    hub.kill9()
    assert os.path.getsize(database() + "-wal") > 0
    kept = folder / "kept"
    shutil.copytree(hub.state, kept)
    overwrite(database(), 4096, b"\xff" * 4096)
    with open(database(), "rb") as f:
        damaged = f.read()
    does_not_start(database())
    with open(database(), "rb") as f:
        assert f.read() == damaged, "the database was changed"
    for name in ("hub.sqlite-wal",):
        with open(os.path.join(kept, name), "rb") as a, open(os.path.join(hub.state, name), "rb") as b:
            assert a.read() == b.read(), "%s was changed" % name
    shutil.rmtree(hub.state)
    shutil.copytree(kept, hub.state)
    hub.start()
    hub.mqtt("late", password=hub.device_token("late", late)).close()
    assert hub.stop() == 0


def test_05_event_log():
    """a changed byte in an event, its header, or a segment of a newer version is refused with path and offset and left untouched; `rootedge hub events` says the same"""
    fresh()
    size = os.path.getsize(segment())
    for at in (0, 4, 8, 40, size // 3, size // 2):
        fresh()
        with open(segment(), "rb") as f:
            f.seek(at)
            old = f.read(1)[0]
        overwrite(segment(), at, bytes([old ^ 0x55]))
        untouched(segment())
        done = run("rootedge", "hub", "events", "--state", hub.state, "--json", check=False)
        assert done.returncode == 1 and segment() in done.stderr, (at, done.returncode, done.stderr)
    fresh()
    overwrite(segment(), size // 2, b"\0" * 4096)
    untouched(segment(), "offset")


def test_06_torn_tail():
    """what a power cut leaves of a write that was not acknowledged is no damage; where acknowledged events are gone it is"""
    fresh()
    size = os.path.getsize(segment())
    os.truncate(segment(), size - 3)
    untouched(segment(), "acknowledged")
    fresh()
    with open(segment(), "rb") as f:
        torn = f.read()[size // 2:size // 2 + 100]
    with open(segment(), "ab") as f:
        f.write(torn)
    hub.start()
    with hub.mqtt("dev1", password=hub.device_token("dev1", key)) as m:
        m.publish("devices/dev1/messages/events/", b"after the cut")
    events = hub.events()
    assert len(events) == N_EVENTS + 1 and events[-1]["body"] == "after the cut"
    assert hub.stop() == 0


def test_07_two_hubs():
    """a second hub on the same state does not start, says where, and the first does not notice"""
    fresh()
    hub.start()
    process, log, ready = hub.process, hub.log, hub.ready
    message = does_not_start(hub.state)
    print("# " + message)
    hub.process, hub.log, hub.ready = process, open(hub.log_path, "ab"), ready
    log.close()
    hub.mqtt("dev1", password=hub.device_token("dev1", key)).close()
    assert hub.stop() == 0


def test_08_certificates():
    """atk-28: a certificate, key or device CA that is missing, damaged, not a pair or a folder is named with its path, and the hub does not start"""
    fresh()
    args = list(hub.args)
    other, other_key = pki.make("server", "other")
    broken, folder_path = folder / "broken.pem", folder / "a-folder"
    os.mkdir(folder_path)
    with open(other) as f:
        text = f.read()
    with open(broken, "w") as f:
        f.write(text[:len(text) // 2] + "!" + text[len(text) // 2:])
    for option, path in (("--cert", folder / "nothing.pem"), ("--cert", broken), ("--cert", folder_path), ("--cert", other_key), ("--key", folder / "nothing.key"), ("--key", broken), ("--key", other),
                         ("--key", other_key), ("--device-ca", broken), ("--device-ca", folder / "nothing.pem"), ("--device-ca", folder_path)):
        hub.args = args + [option, path]
        try:
            untouched(path)
        finally:
            hub.args = args


def test_99_stop():
    """the undamaged state starts as if nothing had been"""
    fresh()
    hub.start()
    assert len(hub.events()) == N_EVENTS
    hub.mqtt("dev1", password=hub.device_token("dev1", key)).close()
    assert hub.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
