#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Twins through the gateway (gateway 4.3): while the hub is there, away, and back, through kills of the gateway; and the gateway's own twin and methods as $edgeHub (4.2)."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from listener_of_gateway import *

it = dev = mod = None


def twin(path="dev1"):
    return it.hub.rest("GET", "/twins/" + path)[2]


def desire(patch, path="dev1"):
    """The new version of the desired properties."""
    status, _, body = it.hub.rest("PATCH", "/twins/" + path, {"properties": {"desired": patch}})
    assert status == 200, (status, body)
    return body["properties"]["desired"]["$version"]


def reported(path="dev1"):
    return {k: v for k, v in twin(path)["properties"]["reported"].items() if k[0] != "$"}


def plain(section):
    return {k: v for k, v in section.items() if k[0] != "$"}


def heard(device, version):
    """Changes up to this version, the last one."""
    while True:
        patch = device.desired()
        if patch["$version"] == version:
            return patch


def kill_gateway():
    os.kill(it.edge.role("gateway"), 9)
    assert dev.mqtt.closed()

    def back():
        try:
            return dev.connect()
        except (OSError, EOFError, Refused):
            return None
    wait_for(back, "the gateway", 30)


def test_00_start():
    """a gateway with a device and a module starts"""
    global it, dev, mod
    it = Site(proxy=True)
    it.edge.keep_port()
    dev = Device(it, "dev1", it.key("dev1"))
    mod = Device(it, "dev1", it.module("dev1", "mod1"), "mod1")
    it.known(3)


def test_01_get():
    """a device gets its twin as the hub has it"""
    desire({"interval": 5, "nested": {"a": [1, {"b": "ü"}]}})
    dev.connect(RESULTS)
    got, there = dev.twin(), twin()["properties"]
    for section in ("desired", "reported"):
        assert plain(got[section]) == plain(there[section]) and got[section]["$version"] == there[section]["$version"], (got, there)


def test_02_report():
    """what a device reports is at the hub, merged by the hub's rules; what the hub would not take is refused at once, in words"""
    assert dev.report({"a": 1, "b": {"x": 1, "y": 2}}) == (204, None)
    assert dev.report({"a": None, "b": {"y": None}, "c": [1]}) == (204, None)
    wait_for(lambda: reported() == {"b": {"x": 1}, "c": [1]}, "them at the hub")
    assert plain(dev.twin()["reported"]) == {"b": {"x": 1}, "c": [1]}
    for bad in ({"a.b": 1}, {"a": 2 ** 52 + 1}, {"a": "x" * 4097}, {"big": ["x" * 4000] * 9}, [1], "text"):
        status, body = dev.report(bad)
        assert status == 400 and body["errorCode"] and body["message"], (bad, status, body)
    dev.mqtt.send(publish_packet("$iothub/twin/PATCH/properties/reported/?$rid=bad", b"{", 0))
    assert dev.hear().topic.startswith("$iothub/twin/res/400/?$rid=bad")
    assert reported() == {"b": {"x": 1}, "c": [1]}


def test_03_desired():
    """changes of desired properties come to who listens, in their order"""
    dev.connect(RESULTS, DESIRED)
    dev.seen = []
    version = desire({"begin": 1})
    heard(dev, version)
    versions = [desire({"n": i, "gone": None}) for i in range(5)]
    for i, version in enumerate(versions):
        assert dev.desired() == {"n": i, "gone": None, "$version": version}


def test_04_module():
    """a module has a twin of its own"""
    mod.connect(RESULTS, DESIRED)
    mod.seen = []
    version = desire({"of": "the module"}, "dev1/modules/mod1")
    assert heard(mod, version) == {"of": "the module", "$version": version}
    assert mod.report({"me": "module"}) == (204, None)
    wait_for(lambda: reported("dev1/modules/mod1") == {"me": "module"}, "it at the hub")
    assert plain(mod.twin()["desired"]) == {"of": "the module"}


def test_05_away():
    """while the hub is away a device gets its twin and may report, without waiting for the hub, and all of it is there after kills of the gateway"""
    before = dev.twin()
    it.cut_off()
    dev.report({"away": 1})
    kill_gateway()
    dev.twin()  # the first one may wait for the hub
    since = time.monotonic()
    assert dev.twin()["desired"] == before["desired"]
    assert dev.report({"away": 2, "c": None}) == (204, None)
    assert time.monotonic() - since < 2 * SLOW, "waited for the hub"
    assert plain(dev.twin()["reported"]) == {"b": {"x": 1}, "away": 2}
    kill_gateway()
    assert plain(dev.twin()["reported"]) == {"b": {"x": 1}, "away": 2}
    assert reported() == {"b": {"x": 1}, "c": [1]}


def test_06_back():
    """when it is back, what was reported is pushed, also of who has left, and what was changed meanwhile is told to who listens"""
    version = desire({"n": None, "while": {"away": True}})
    it.reconnect()
    patch = heard(dev, version)
    assert patch["n"] is None and patch["while"] == {"away": True}, patch
    wait_for(lambda: reported() == {"b": {"x": 1}, "away": 2}, "the reports at the hub", 60)
    it.cut_off()
    dev.report({"last": "words"})
    dev.leave()
    os.kill(it.edge.role("gateway"), 9)
    it.reconnect()
    wait_for(lambda: reported().get("last") == "words", "the last report", 60)


def test_07_never_read():
    """who came while the hub was away and whose twin was never read gets an empty one, may report, and is told all of it later; what it deleted is deleted"""
    new = Device(it, "new", it.key("new"))
    wait_for(lambda: new.connect() or True, "it in the scope")
    new.leave()
    it.hub.rest("PATCH", "/twins/new", {"properties": {"desired": {"set": "before"}}})
    it.cut_off()
    wait_for(lambda: it.said("wait: "), "the gateway's finding it out", 30)
    new.connect(RESULTS, DESIRED)
    new.seen = []
    got = new.twin()
    assert plain(got["desired"]) == {} and plain(got["reported"]) == {}, got
    assert new.report({"old": None, "mine": {"x": 1}}) == (204, None)
    assert plain(new.twin()["reported"]) == {"mine": {"x": 1}}
    it.reconnect()
    assert plain(new.desired(60)) == {"set": "before"}
    wait_for(lambda: reported("new") == {"mine": {"x": 1}}, "its report", 60)
    new.leave()


def test_08_slow_hub():
    """a hub that takes connections and says nothing does not keep a device waiting"""
    dev.connect(RESULTS, DESIRED)
    dev.seen = []
    dev.twin()
    it.fall_silent()
    dev.twin()
    since = time.monotonic()
    dev.twin()
    assert time.monotonic() - since < 4 * SLOW, "waited for the hub"
    it.reconnect()
    version = desire({"after": "silence"})
    heard(dev, version)


def test_09_made_again():
    """atk-25: nothing that was reported by who was deleted comes to who was made again, here or at the hub"""
    old = Device(it, "twice", it.key("twice")).connect(RESULTS)
    old.seen = []
    old.twin()
    it.cut_off()
    assert old.report({"secret": "of the old one"}) == (204, None)
    it.delete("twice")
    key = it.key("twice")
    it.reconnect()
    assert old.mqtt.closed(60)
    new = Device(it, "twice", key)

    def let_in():
        try:
            return new.connect(RESULTS)
        except (OSError, EOFError, Refused):
            return None
    wait_for(let_in, "the new one", 60)
    new.seen = []
    assert plain(new.twin()["reported"]) == {}, "it has what the old one reported"
    assert new.report({"mine": 1}) == (204, None)
    wait_for(lambda: reported("twice") == {"mine": 1}, "its report", 30)
    new.leave()


def test_10_edge_hub():
    """$edgeHub is connected for itself: it goes by its desired properties, says by which version, and answers a method that tells it what has changed in its scope"""
    me = "%s/modules/$edgeHub" % it.edge.device
    status, _, body = it.hub.rest("PATCH", "/twins/" + me, {"properties": {"desired": {"schemaVersion": "1.1", "routes": {"all": "FROM /messages/* INTO $upstream"}}}})
    assert status == 200, body
    version = body["properties"]["desired"]["$version"]
    wait_for(lambda: reported(me).get("lastDesiredVersion") == version, "its report", 60)
    assert reported(me)["lastDesiredStatus"]["code"] == 200 and reported(me)["version"]["version"], reported(me)
    with it.edge.mqtt("dev1", password=it.token("dev1", dev.key)):
        wait_for(lambda: reported(me).get("clients", {}).get("dev1", {}).get("status") == "Connected", "who is connected", 30)
    wait_for(lambda: reported(me)["clients"]["dev1"]["status"] == "Disconnected", "who has left", 30)
    status, body = Call(it, me, "RefreshDeviceScopeIdentityCache", {"deviceIds": ["dev1"]}, connect=30).answer()
    assert (status, body["status"]) == (200, 200), body
    for payload in ({}, {"deviceIds": 7}, [1], None):
        status, body = Call(it, me, "RefreshDeviceScopeIdentityCache", payload, connect=30).answer()
        assert (status, body["status"]) == (200, 400), (payload, body)
    status, body = Call(it, me, "no-such-method", connect=30).answer()
    assert (status, body["status"]) == (200, 404), body


def test_11_unreadable():
    """what is kept is encrypted; what can't be read any more is set aside, and the gateway starts"""
    path = os.path.join(it.edge.state, "gateway", "kept.sqlite")
    dev.connect(RESULTS)
    dev.seen = []
    assert dev.report({"plain": "text-that-nobody-sees"}) == (204, None)
    for name in (path, path + "-wal"):
        with open(name, "rb") as f:
            assert b"text-that-nobody-sees" not in f.read() and b"interval" not in f.read(), name
    it.edge.stop()
    with open(path, "r+b") as f:
        f.write(b"no database at all")
    it.edge.start()
    it.said("set aside")
    dev.connect(RESULTS)
    dev.seen = []
    assert dev.twin()["desired"]["after"] == "silence"


def test_99_stop():
    """the gateway stops while a question is open"""
    it.fall_silent()
    dev.mqtt.send(publish_packet("$iothub/twin/GET/?$rid=last", b" ", 0))
    it.stop()


run_all()
