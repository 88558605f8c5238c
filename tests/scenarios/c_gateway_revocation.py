#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Revocation lists in a folder of the gateway: who shows a certificate that is in one of them is cut off within seconds and let in no more, the hub being there or not."""
import os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_client import *


class Site:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.lists = self.folder / "crl"
        os.mkdir(self.lists, 0o755)
        for name in "factory", "maker":
            run("rootedge", "cert", "root", "--name", name + " CA", "--out", self.folder / (name + ".pem"), "--key-out", self.folder / (name + ".key"))
        self.factory, self.maker = ForeignCa(self.folder, "factory"), ForeignCa(self.folder, "maker")
        self.hub = Hub(self.folder, self.pki, "contosoiothub.local", "--device-ca", self.folder / "factory.pem")
        self.edge = Edge(self.folder, self.hub, gateway='crl_dir = "%s"' % self.lists)

    def device(self, id):
        self.edge.create_child(id, {"type": "certificateAuthority"})
        return self.pki.make("device", id, issuer="factory", file=id)

    def connect(self, id, cert):
        return self.edge.mqtt(id, cert=cert[0], key=cert[1])

    def refused(self, id, cert):
        try:
            self.connect(id, cert).close()
        except Refused as e:
            return e.code == 5
        return False

    def list(self, ca, *revoked):
        ca.list(os.path.join(self.lists, ca.name + ".pem"), *revoked)
        os.chmod(os.path.join(self.lists, ca.name + ".pem"), 0o644)


it = None


def test_00_list():
    """a list that is put into the folder ends the session of whom it names within seconds; another device of the same CA notices nothing"""
    global it
    it = Site()
    bad, good = it.device("bad-1"), it.device("good-1")
    with it.connect("bad-1", bad) as online, it.connect("good-1", good) as other:
        online.publish("devices/bad-1/messages/events/")
        it.list(it.factory, bad[0])
        began = time.monotonic()
        assert online.closed(15 * SLOW)
        assert time.monotonic() - began < 6 * SLOW
        other.publish("devices/good-1/messages/events/")
    assert it.refused("bad-1", bad)
    assert "CERT_REVOKED" in it.edge.reasons()
    it.connect("good-1", good).close()


def test_01_thumbprint():
    """a device that is known by thumbprint is held to the list of who made its certificate, when that CA's certificate lies beside it"""
    it.late = it.pki.make("device", "late-1", issuer="maker", file="late-1")
    it.edge.create_child("late-1", {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint(it.late[0]), "secondaryThumbprint": None}})
    it.connect("late-1", it.late).close()
    cert = it.pki.make("device", "bad-2", issuer="maker", file="bad-2")
    it.edge.create_child("bad-2", {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint(cert[0]), "secondaryThumbprint": None}})
    with it.connect("bad-2", cert) as online:
        it.list(it.maker, cert[0])
        wait_for(lambda: "signed by no CA that is known here" in it.edge.log_text(), "a word about its CA")
        online.publish("devices/bad-2/messages/events/")
        shutil.copyfile(it.folder / "maker.pem", os.path.join(it.lists, "maker-ca.pem"))
        assert online.closed(15 * SLOW)
    assert it.refused("bad-2", cert) and it.refused("bad-1", (it.folder / "bad-1.pem", it.folder / "bad-1.key"))


def test_02_away():
    """while the hub is away, and after the gateway has started again, they are refused as before; so is who stands in a list that can't be read any more"""
    it.hub.stop()
    it.edge.stop()
    os.rename(os.path.join(it.lists, "factory.pem"), it.folder / "factory-list.pem")
    with open(os.path.join(it.lists, "factory.pem"), "w") as f:
        f.write("rubbish, which takes nothing away from the others")
    it.edge.start()
    for id in "bad-1", "bad-2":
        assert it.refused(id, (it.folder / (id + ".pem"), it.folder / (id + ".key"))), id
    it.connect("good-1", (it.folder / "good-1.pem", it.folder / "good-1.key")).close()


def told():
    """What an operator sees of the lists: the metric, and the line of the page."""
    text = run("rootedge", "gateway", "metrics", "--state", it.edge.state).stdout
    page = run("rootedge", "gateway", "status", "--state", it.edge.state, check=False).stdout
    return ([l.rsplit(" ", 1)[1] for l in text.splitlines() if l.startswith("rootedge_gateway_revocation_lists_read{")],
            [l for l in page.splitlines() if l.startswith("crl_dir ")])


def test_03_trouble():
    """a list that can't be read is told on the status page and in the metrics, until it is gone; what comes into another one meanwhile counts"""
    with it.connect("late-1", it.late) as online:
        it.list(it.maker, it.late[0])
        assert online.closed(15 * SLOW)
    assert it.refused("late-1", it.late)
    for id in "bad-1", "bad-2":
        assert it.refused(id, (it.folder / (id + ".pem"), it.folder / (id + ".key"))), id
    metric, lines = told()
    assert metric == ["0"] and len(lines) == 1 and "factory.pem" in lines[0], (metric, lines)
    os.rename(it.folder / "factory-list.pem", os.path.join(it.lists, "factory.pem"))
    wait_for(lambda: told() == (["1"], []), "an end of it")


def test_03_a_taken_back():
    """what is kept ends with its list: who stands in none of those that were read last is let in, also after a start at which another one can't be read"""
    bad, other = it.folder / "bad-1.pem", os.path.join(it.lists, "a.crl")
    os.remove(os.path.join(it.lists, "factory.pem"))
    wait_for(lambda: not it.refused("bad-1", (bad, it.folder / "bad-1.key")), "the device to be let in")
    os.symlink("nowhere", other)
    it.edge.stop()
    it.edge.start()
    it.connect("bad-1", (bad, it.folder / "bad-1.key")).close()
    assert it.refused("bad-2", (it.folder / "bad-2.pem", it.folder / "bad-2.key")) and told()[0] == ["0"]
    os.remove(other)
    wait_for(lambda: told() == (["1"], []), "an end of it")


def check(folder, key="crl_dir", inside=()):
    path = it.folder / "checked.toml"
    with open(it.folder / "EdgeGateway.toml") as f:
        text = f.read().replace('crl_dir = "%s"' % it.lists, '%s = "%s"' % (key, folder))
    with open(path, "w") as f:
        f.write(text)
    done = run(*inside, ROOTEDGE if inside else "rootedge", "config", "check", "--config", path, check=False)
    return done.returncode, done.stdout + done.stderr


def test_04_folder():
    """a folder that the gateway could not look into is told by `rootedge config check`: nobody would be refused by lists in it"""
    status, said = check(it.lists)
    assert status == 0 and "crl_dir" not in said, said
    for folder, word in (it.folder / "absent", "No such file"), (it.folder / "maker.pem", "no folder"), ("crl", "whole path"):
        status, said = check(folder)
        assert status == 1 and "gateway.crl_dir: " in said and word in said, said
    if os.getuid() == 0:
        os.mkdir(it.folder / "closed", 0o700)
        status, said = check(it.folder / "closed")
        assert status == 1 and "may not read it" in said, said
    assert check("r.json", "routes")[0] == 1
    status, said = check(it.folder / "absent/r.json", "routes")
    assert status == 0 and "gateway.routes: " in said, said


def test_05_groups():
    """`rootedge config check` knows that by systemd the gateway has the groups of its user and of its unit, and no others (with users of our own, which nobody else sees)"""
    if os.getuid() != 0 or run("unshare", "-m", "sh", "-c", "mount --bind /etc/group /etc/group", check=False).returncode != 0:
        raise Skip("needs root, and mounts of its own")
    folder, files = it.folder / "of-a-group", {}
    os.mkdir(folder, 0o750)
    for owner, member, more, may in (4872, "edgehubuser", "iotedge:x:4874:", True), (4872, "", "iotedge:x:4872:", True), (4872, "", "iotedge:x:4874:", False), (4870, "", "iotedge:x:4874:", False):
        os.chown(folder, 0, owner)
        for name, line in ("passwd", "edgehubuser:x:4870:4871::/:/bin/false"), ("group", "edgehubuser:x:4871:\nlists:x:4872:%s\n%s" % (member, more)):
            files[name] = it.folder / name
            with open(files[name], "w") as f:
                f.write("root:x:0:0:root:/root:/bin/sh\n%s\n" % line if name == "passwd" else "root:x:0:\n%s\n" % line)
        inside = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/passwd && mount --bind "$1" /etc/group && shift && exec "$@"', files["passwd"], files["group"]]
        status, said = check(folder, inside=inside)
        assert (status == 0) == may and (may or "may not read it" in said), (owner, member, more, said)


def test_99_stop():
    """everything stops in order"""
    it.edge.stop()
    it.folder.__exit__()


run_all()
