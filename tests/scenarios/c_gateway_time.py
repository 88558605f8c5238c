#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What time does at the gateway: how long a record counts after the hub confirmed it ([offline]), sessions whose certificate ends, and clocks that are set."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

DAY = 86400
it = None
folder = Folder()
clock = folder / "clock"
with open(clock, "w") as f:
    f.write("0\n")
os.environ["ROOTEDGE_CLOCK_FILE"] = clock


def move(days):
    """The clock of all processes of the story, from now on.  The file stays the same one: the roles' sandboxes know it."""
    fd = os.open(clock, os.O_WRONLY | os.O_CREAT, 0o644)
    os.truncate(fd, os.write(fd, b"%d\n" % (days * DAY)))
    os.close(fd)
    it.days = days


def context():
    """The gateway's certificate may be of another time than ours."""
    c = ssl.create_default_context(cafile=it.edge.trust_bundle())
    c.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME
    return c


def connect(device, module=None):
    how = {"password": it.token(device, it.keys[(device, module)], module, expires=int(time.time() + (it.days + 60) * DAY))} if (device, module) in it.keys else it.certs[device]
    return it.edge.mqtt(device, module, context=context(), **how)


def gets_in(device, module=None):
    connect(device, module).close()


def refused(device, reason, module=None):
    try:
        gets_in(device, module)
    except Refused as e:
        name = device if module is None else device + "/" + module
        assert e.code == 5 and it.decisions()[-1] == (name, reason), (e.code, it.decisions()[-1])
    else:
        raise AssertionError("was let in")


def ended(session, reason):
    """The session is closed, without any message of its own, for this reason."""
    assert session.closed(), "still open"
    wait_for(lambda: it.decisions()[-1][1] == reason, reason)


def restart():
    it.edge.stop()
    it.edge.start()


def test_00_start():
    """a gateway with rules for each kind of record"""
    global it
    it = Site(config='[offline]\ntrust_for = "20day"\nsas = "5day"\nmodules = "15day"\n[offline.devices]\n"kept-*" = "1000day"\n')
    it.days, it.keys, it.certs = 0, {}, {}
    for d in ("sas1", "kept-1"):
        it.keys[(d, None)] = it.key(d)
    it.keys[("sas1", "mod1")] = it.module("sas1", "mod1")
    it.certs["dev1"] = it.x509("dev1")
    it.certs["short"] = dict(zip(("cert", "key"), it.pki.make("device", "short", "--not-after", time.strftime("%Y-%m-%d", time.gmtime(time.time() + 3 * DAY)))))
    it.edge.create_x509_child("short", thumbprint(it.certs["short"]["cert"]))
    restart()
    it.known(5)
    for d in ("sas1", "kept-1", "dev1", "short"):
        gets_in(d)
    gets_in("sas1", "mod1")
    it.hub.stop()


def test_01_certificate_of_a_session_ends():
    """a session ends with its certificate, without a message; one with a token that lasts goes on"""
    with connect("short") as short, connect("dev1") as dev1:
        move(4)
        ended(short, "CERT_EXPIRED")
        dev1.publish("devices/dev1/messages/events/", b"goes on")
    refused("short", "CERT_EXPIRED")


def test_02_told_in_this_life():
    """what this process was told does not age when the wall clock is set, forwards or backwards"""
    for days in (100, -3000, 4):
        move(days)
        gets_in("kept-1")


def test_03_by_kind():
    """after a restart each record counts as long as its kind does; the verdict says when the hub confirmed it and until when that counts"""
    restart()
    with connect("sas1") as session:
        move(6)
        ended(session, "RECORD_TOO_OLD")
    refused("sas1", "RECORD_TOO_OLD")
    line = [l for l in it.edge.log_text().splitlines() if "RECORD_TOO_OLD" in l and "it counts until" in l][-1]
    assert "s ago" in line, line
    gets_in("sas1", "mod1")
    gets_in("dev1")
    move(16)
    refused("sas1", "RECORD_TOO_OLD", "mod1")
    gets_in("dev1")
    move(21)
    refused("dev1", "RECORD_TOO_OLD")
    gets_in("kept-1")
    move(400)
    gets_in("kept-1")


def test_04_clock_was_wrong():
    """a clock that was ahead by mistake has done no harm once it is right again, and one in 1970 none either"""
    move(1)
    gets_in("sas1")
    gets_in("dev1")
    move(-19000)
    restart()
    gets_in("kept-1")
    move(1)


def test_05_hub_is_back():
    """a record that is too old counts again as soon as the hub confirms it"""
    restart()
    move(30)
    refused("sas1", "RECORD_TOO_OLD")
    it.hub.start()

    def enters():
        try:
            gets_in("sas1")
            return True
        except Refused:
            return False
    wait_for(enters, "the device, confirmed again", 60)
    gets_in("dev1")
    assert it.decisions()[-1] == ("dev1", "OK"), it.decisions()[-1]


def test_99_stop():
    """all end in order"""
    it.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
