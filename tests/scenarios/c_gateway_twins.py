#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Twins through the gateway (gateway 4.3): while the hub is there, away, and back, through kills of the gateway; the gateway's own twin and methods as $edgeHub (4.2); and what is desired
at the gateway itself."""
import os, subprocess, sys
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
    new.listen(DESIRED)
    new.leave()
    it.cut_off()
    new.connect()  # what was forgotten of the old one took nothing of this one's
    assert plain(new.twin()["reported"]) == {"mine": 1}
    local("set", "twice", '{"set": "here"}')
    assert plain(new.desired()) == {"set": "here"}
    new.leave()
    it.reconnect()


def lines():
    page = subprocess.run([ROOTEDGE, "gateway", "metrics", "--state", str(it.edge.state)], capture_output=True, text=True).stdout
    return [int(l.rsplit(" ", 1)[1]) for l in page.splitlines() if l.startswith("rootedge_gateway_lines{")][0]


def admitted(one):
    try:
        return one.connect(RESULTS)
    except (OSError, EOFError, Refused):
        return None


def test_09_disabled():
    """what a device and its module reported before they were disabled is pushed when they are enabled again, though they have left"""
    ones = [Device(it, "paused", it.key("paused")), Device(it, "paused", it.module("paused", "m"), "m")]
    for one in ones:
        wait_for(lambda: admitted(one), "it to be known", 30)
        one.twin()
    it.cut_off()
    for one in ones:
        assert one.report({"before": "that"}) == (204, None)
    before = lines()
    for one in ones:
        one.leave()
    it.change("paused", status="disabled")
    it.reconnect()
    wait_for(lambda: not admitted(ones[0]), "the gateway to have heard of it", 60)
    wait_for(lambda: lines() <= before - 2, "their lines to go", 60)
    assert reported("paused") == reported("paused/modules/m") == {}
    it.change("paused", status="enabled")
    for path in ("paused", "paused/modules/m"):
        wait_for(lambda: reported(path) == {"before": "that"}, "what %s has reported" % path, 60)


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


def local(*words, status=0, stdin=None):
    """What `rootedge gateway twin WORDS` says, in JSON; or why not."""
    done = subprocess.run([ROOTEDGE, "gateway", "twin", *words, "--state", str(it.edge.state), "--json"], capture_output=True, text=True, timeout=60 * SLOW, input=stdin)
    assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout) if status == 0 else done.stderr


def test_12_set_here():
    """what is desired at the gateway comes to who listens at once, under a version that goes up, and not to the hub; the twin says the same; what the hub writes holds instead"""
    dev.connect(RESULTS, DESIRED)
    dev.seen = []
    before = dev.twin()["desired"]
    base = desire({"interval": 5, "gone": 1})
    heard(dev, base)
    set_here = local("set", "dev1", '{"interval": 99, "gone": null, "nested": {"b": "here"}}')
    assert dev.desired() == {"interval": 99, "gone": None, "nested": {"b": "here"}, "$version": base + 1}
    got = dev.twin()["desired"]
    assert got["interval"] == 99 and "gone" not in got and got["nested"] == {"a": [1, {"b": "ü"}], "b": "here"} and got["$version"] == base + 1, got
    assert set_here["properties"]["desired"] == got and set_here["local"] == {"interval": 99, "gone": None, "nested": {"b": "here"}}, set_here
    at_hub = twin()["properties"]["desired"]
    assert at_hub["interval"] == 5 and at_hub["gone"] == 1 and at_hub["$version"] == base and before["$version"] < base, at_hub
    desire({"interval": 5, "other": 1})
    assert dev.desired() == {"interval": 5, "other": 1, "$version": base + 2}
    shown = local("show", "dev1")
    assert shown["local"] == {"gone": None, "nested": {"b": "here"}} and shown["hub"]["desired"]["$version"] == base + 1, shown


def test_13_set_away():
    """while the hub is away too, through kills of the gateway; who was not connected is told when it comes back"""
    it.cut_off()
    version = dev.twin()["desired"]["$version"]
    local("set", "dev1", "-", stdin='{"away": {"set": 1}}')
    assert dev.desired() == {"away": {"set": 1}, "$version": version + 1}
    kill_gateway()
    dev.seen = []
    got = dev.twin()["desired"]
    assert got["away"] == {"set": 1} and got["nested"]["b"] == "here" and "gone" not in got and got["$version"] == version + 1, got
    dev.leave()
    wait_for(lambda: not json.loads(subprocess.run([ROOTEDGE, "gateway", "device", "show", "dev1", "--json", "--state", str(it.edge.state)], capture_output=True, text=True).stdout)["connected"], "it has left")
    local("set", "dev1", '{"away": {"set": 2, "more": true}}')
    local("set", "dev1", '{"away": {"more": null}}')
    os.kill(it.edge.role("gateway"), 9)
    wait_for(lambda: local_or_none("show", "dev1"), "the gateway", 30)
    dev.connect()  # its subscriptions are kept
    assert dev.desired() == {"away": {"set": 2}, "$version": version + 3}
    dev.seen = []
    assert dev.twin()["desired"]["$version"] == version + 3 and not dev.seen


def local_or_none(*words):
    try:
        return local(*words)
    except AssertionError:
        return None


def test_14_merged():
    """when the hub is back, what it has changed meanwhile holds, property by property; the rest of what was desired here stays, under a version that goes on"""
    version = dev.twin()["desired"]["$version"]
    local("set", "dev1", '{"both": "here", "mine": 1}')
    assert dev.desired()["$version"] == version + 1
    desire({"both": "hub"})
    hubs = desire({"hubs": 2})
    it.reconnect()
    patch = wait_for(lambda: dev.desired(60), "news")
    assert patch["both"] == "hub" and patch["hubs"] == 2 and "mine" not in patch and patch["$version"] > version + 1, patch
    got = dev.twin()["desired"]
    assert got["both"] == "hub" and got["hubs"] == 2 and got["mine"] == 1 and got["away"] == {"set": 2} and got["$version"] == patch["$version"], got
    shown = local("show", "dev1")
    assert shown["local"] == {"gone": None, "nested": {"b": "here"}, "away": {"set": 2}, "mine": 1} and shown["hub"]["desired"]["$version"] == hubs, shown
    assert not {"mine", "away"} & set(twin()["properties"]["desired"]), "it went to the hub"
    next = desire({"both": "again"})
    assert dev.desired() == {"both": "again", "$version": patch["$version"] + next - hubs}


def test_15_reset():
    """what was desired here is taken back at once"""
    local("reset", "dev1")
    patch = dev.desired()
    assert patch["gone"] == 1 and patch["mine"] is None and patch["away"] is None and patch["nested"] == {"b": None}, patch
    got = dev.twin()["desired"]
    assert plain(got) == plain(twin()["properties"]["desired"]) and got["$version"] == patch["$version"], got
    assert local("show", "dev1")["local"] == {}


def test_16_module():
    """a module's twin, and the words for people"""
    mod.connect(RESULTS, DESIRED)
    mod.seen = []
    version = mod.twin()["desired"]["$version"]
    local("set", "dev1/mod1", '{"of": "here"}')
    assert heard(mod, version + 1)["of"] == "here"
    text = subprocess.run([ROOTEDGE, "gateway", "twin", "show", "dev1/mod1", "--state", str(it.edge.state)], capture_output=True, text=True).stdout
    assert 'set here       {"of":"here"}' in text and "is known" in text, text
    mod.leave()


def test_17_refused():
    """what the hub would not take is refused in words, and so is who is not below this gateway; only root and the gateway's user may ask"""
    for bad, why in (('{"a.b": 1}', "a.b"), ('{"n": 4503599627370497}', "4503599627370497"), (json.dumps({"big": ["x" * 4000] * 9}), "size"), ('{"a":' * 12 + "1" + "}" * 12, "deeper"),
                     ("[1]", "JSON object"), ("{", "PATCH"), ("@/nonexistent", "nonexistent")):
        assert why in local("set", "dev1", bad, status=1), bad
    assert "not below this gateway" in local("set", "nobody", "{}", status=1)
    assert "not below this gateway" in local("show", "nobody", status=1)
    assert "neither DEVICE nor" in local("show", "a/b/c", status=1)
    assert "the gateway itself" in local("set", it.edge.device + "/$edgeHub", '{"routes": {}}', status=1)
    assert local("show", it.edge.device + "/$edgeHub")["properties"]["desired"]["routes"]
    for words in (["set", "dev1"], ["show"], ["show", "dev1", "x"], ["drop", "dev1"], []):
        local(*words, status=2)
    assert local("show", "dev1")["local"] == {}
    if os.geteuid() == 0:
        stranger()


def stranger():
    """Whoever may connect to the socket, were it by mistake, may nothing more."""
    path = os.path.join(it.edge.state, "gateway", "control.sock")
    modes = [(p, os.stat(p).st_mode & 0o7777) for p in (path, os.path.dirname(path), str(it.edge.state), os.path.dirname(str(it.edge.state)))]
    for p, mode in modes:
        os.chmod(p, mode | 0o007)
    code = """import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"PATCH /devices/dev1/twin/desired HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 7\\r\\n\\r\\n{\\"a\\":1}")
print(s.recv(100).split()[1].decode())"""
    done = subprocess.run(["/usr/bin/python3", "-c", code, path], capture_output=True, text=True, user=65534, group=65534, extra_groups=[], cwd="/")
    for p, mode in modes:
        os.chmod(p, mode)
    assert done.stdout == "403\n", done
    assert local("show", "dev1")["local"] == {}


def test_99_stop():
    """the gateway stops while questions are open, of a device and of its operator"""
    it.fall_silent()
    dev.mqtt.send(publish_packet("$iothub/twin/GET/?$rid=last", b" ", 0))
    setters = [subprocess.Popen([ROOTEDGE, "gateway", "twin", "set", "dev1", '{"n": %d}' % i, "--state", str(it.edge.state)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for i in range(4)]
    for i in range(50):
        dev.mqtt.send(publish_packet("$iothub/twin/PATCH/properties/reported/?$rid=%d" % i, b'{"n": %d}' % i, 0))
    it.stop()
    for setter in setters:
        setter.wait(60 * SLOW)


run_all()
