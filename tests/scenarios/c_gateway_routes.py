#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Routes of a gateway: to the hub and to inputs of modules, by priority and for a time; from a file, which changes while the gateway runs."""
import os, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = None
LEAF = "devices/leaf/messages/events/"


def routes(version="1.1", **named):
    """Writes the file, as an operator would."""
    text = json.dumps({"schemaVersion": version, "routes": named})
    with open(it.routes + ".new", "w") as f:
        f.write(text)
    os.rename(it.routes + ".new", it.routes)
    return text


def hold(n, **named):
    """n routes of the file hold from now on."""
    at = len(it.edge.log_text())
    routes(**named)
    wait_for(lambda: "%d routes of %s hold" % (n, it.routes) in it.edge.log_text()[at:], "the routes of the file", 20)


def to_input(module, name, source="/messages/*", where=None):
    return "FROM %s%s INTO BrokeredEndpoint(\"/modules/%s/inputs/%s\")" % (source, " WHERE " + where if where else "", module, name)


def set_clock(offset):
    """In place: the roles' sandbox knows this file, and no other of its name."""
    with open(it.clock, "w") as f:
        f.write("%d\n" % offset)


class Module:
    """A module of the edge device that listens to its inputs."""

    def __init__(self, id, key, filter="inputs/#", **kw):
        self.id, self.mqtt = id, it.edge.mqtt(it.edge.device, id, password=it.token(it.edge.device, key, id), **kw)
        self.topic = "devices/%s/modules/%s/" % (it.edge.device, id)
        self.early = []
        self.mqtt.send(subscribe_packet([(self.topic + filter, 1)]))
        kind, body = self.receive(0x90)
        assert body[2:] == b"\1", body

    def receive(self, wanted):
        """The next packet of that kind; what else comes is kept."""
        while True:
            kind, body = self.mqtt.receive()
            if kind & 0xf0 == wanted:
                return kind, body
            self.early.append((kind, body))

    def take(self, ack=True):
        """(input, properties, payload) of the next message; acknowledged."""
        kind, body = self.early.pop(0) if self.early else self.mqtt.receive()
        assert kind & 0xf6 == 0x32, "expected PUBLISH at QoS 1, got %#x" % kind
        n = struct.unpack("!H", body[:2])[0]
        topic, id, payload = body[2:2 + n].decode(), body[2 + n:4 + n], body[4 + n:]
        assert topic.startswith(self.topic + "inputs/"), topic
        name, _, bag = topic[len(self.topic + "inputs/"):].partition("/")
        if ack:
            self.mqtt.send(packet(0x40, id))
        return name, dict(urllib.parse.unquote(pair).split("=", 1) for pair in bag.split("&")), payload

    def send(self, payload, output=None, bag=""):
        bag = "&".join(filter(None, ["%24.on=" + output if output else "", bag]))
        self.mqtt.id = self.mqtt.id % 65535 + 1
        self.mqtt.send(publish_packet(self.topic + "messages/events/" + bag, payload, 1, self.mqtt.id))
        self.receive(0x40)

    def close(self):
        """Once what was acknowledged has been heard: acknowledgements that a broken connection still holds are lost with it."""
        self.mqtt.send(packet(0xc0, b""))
        self.receive(0xd0)
        self.mqtt.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.mqtt.close() if kind else self.close()


def module(id, **kw):
    return Module(id, it.modules[id], **kw)


def cut_off():
    """The hub is away, and the gateway knows that: what it has sent before it knew goes first when the hub is back."""
    it.cut_off()
    wait_for(lambda: json.loads(run("rootedge", "gateway", "status", "--state", it.edge.state, "--json").stdout)["hub"]["reach"] == "away", "the gateway to see that the hub is away", 30)


def leaf():
    return it.edge.mqtt("leaf", password=it.token("leaf", it.leaf))


def bodies(*who):
    return [e["body"] for e in it.events(*who)]


def test_00_start():
    """a gateway starts with routes of a file"""
    global it
    folder = tempfile.mkdtemp(prefix="re-routes-")
    os.chmod(folder, 0o755)
    clock = os.path.join(folder, "clock")
    with open(clock, "w") as f:
        f.write("0")
    os.environ["ROOTEDGE_CLOCK_FILE"] = clock
    path = os.path.join(folder, "routes.json")
    with open(path, "w") as f:
        json.dump({"schemaVersion": "1.1", "routes": {"in": to_input("filter", "in", "/messages/events").replace("\"", "'"), "out": "FROM /messages/modules/filter/outputs/* INTO $upstream"}}, f)
    it = Site(proxy=True, gateway='routes = "%s"\nwhen_full = "drop_oldest"\nmax_queue_mib = 8' % path)
    it.routes, it.clock, it.aside = path, clock, folder
    it.leaf = it.key("leaf")
    it.modules = {id: it.module(it.edge.device, id) for id in ("sensor", "filter", "other")}
    it.said("2 routes of %s hold" % path)


def test_01_filter():
    """what a device sends goes to a module's input with its sender, which it can't forge, and what the module says on an output goes to the hub: and nothing else does"""
    with module("filter") as f, leaf() as d:
        d.publish(LEAF + "level=high&%24.cdid=forged&%24.ct=application%2Fjson", b'{"t":31}')
        name, bag, payload = f.take()
        assert (name, payload) == ("in", b'{"t":31}') and bag == {"level": "high", "$.cdid": "leaf", "$.ct": "application/json"}, (name, bag)
        f.send(b"too warm", "alarms", "of=leaf")
        f.send(b"on no output")
    assert it.arrived("too warm")["systemProperties"]["iothub-outputname"] == "alarms"
    assert bodies() == ["too warm"], bodies()
    of = {"from": "leaf", "to": it.edge.device + "/filter", "to_route_input": "in"}
    wait_for(lambda: gateway_metric(it.edge, "edgehub_messages_sent_total", **of) == gateway_metric(it.edge, "edgehub_message_send_duration_seconds_count", **of) == 1, "the message to the module to be counted")
    assert gateway_metric(it.edge, "edgehub_messages_sent_total", **{"from": it.edge.device + "/filter", "to": "upstream"}) == 1


def test_02_subscriptions():
    """a module hears its inputs by either filter that SDKs use, and nobody subscribes to another's"""
    with module("filter", filter="#") as f, leaf() as d:
        d.publish(LEAF, b"for all")
        assert f.take()[2] == b"for all"
        for who, topic in ((f.mqtt, "devices/%s/modules/sensor/inputs/#" % it.edge.device), (d, "devices/%s/modules/filter/inputs/#" % it.edge.device), (d, "devices/leaf/inputs/#")):
            who.send(subscribe_packet([(topic, 1)]))
            assert who.receive()[1][2:] == b"\x80", topic


def test_03_condition():
    """conditions see properties, system properties and the body; a file that changes holds within seconds, and one that is wrong changes nothing and is said with its place"""
    hold(3, warm=to_input("filter", "warm", "/messages/events", "$body.t > 30 AND NOT IS_DEFINED($connectionModuleId)"), named=to_input("filter", "named", "/messages/modules/sensor/outputs/o1", "level = 'x'"),
         up="FROM /messages/modules/sensor INTO $upstream")
    with module("filter") as f, module("sensor") as s, leaf() as d:
        for text in (b'{"t":31}', b'{"t":29}', b'{"t":"31"}', b"31"):
            d.publish(LEAF + "%24.ct=application%2Fjson&%24.ce=utf-8", text)
        d.publish(LEAF, b'{"t":33}')
        s.send(b"by name", "o1", "level=x")
        s.send(b"other level", "o1", "level=y")
        s.send(b"other output", "o2", "level=x")
        got = sorted((f.take(), f.take()))
        assert [(g[0], g[2]) for g in got] == [("named", b"by name"), ("warm", b'{"t":31}')], got
        assert got[0][1]["$.cmid"] == "sensor" and "$.on" not in got[0][1], got
        it.arrived("other output")
        at = len(it.edge.log_text())
        routes(warm="FROM /messages/events WHERE t > 30 INTO $upstream")
        wait_for(lambda: "route warm: at character 31: a text meets a number here" in it.edge.log_text()[at:], "the reason", 20)
        d.publish(LEAF + "%24.ct=application%2Fjson&%24.ce=utf-8", b'{"t":35}')
        assert f.take()[2] == b'{"t":35}'


def test_04_away():
    """what comes for a module that is away is acknowledged and kept, through a kill -9 of the gateway; the module gets it in order when it is back, and what it did not acknowledge again"""
    hold(1, all=to_input("filter", "in", "/messages/events"))
    with leaf() as d:
        for i in range(30):
            d.publish(LEAF, b"kept %d" % i)
    it.kill_edge()
    it.edge.start()
    with module("filter") as f:
        assert [f.take(ack=i < 3)[2] for i in range(8)] == [b"kept %d" % i for i in range(8)]
    with module("filter") as f:
        got = [f.take()[2] for i in range(27)]
        assert got == [b"kept %d" % i for i in range(3, 30)], got
    with module("filter") as f, leaf() as d:
        d.publish(LEAF, b"next")
        assert f.take()[2] == b"next"


def test_05_not_answered():
    """an input whose messages are not acknowledged holds up no other input of the module, and no other module"""
    hold(3, a=to_input("filter", "a", "/messages/events", "to = 'a'"), b=to_input("filter", "b", "/messages/events", "to = 'b'"), c=to_input("other", "c", "/messages/events", "to = 'b'"))
    with module("filter") as f, module("other") as o, leaf() as d:
        for i in range(20):
            d.publish(LEAF + "to=a", b"a%d" % i)
        assert [f.take(ack=False)[2] for i in range(8)] == [b"a%d" % i for i in range(8)]
        for i in range(20):
            d.publish(LEAF + "to=b", b"b%d" % i)
        assert [f.take()[2] for i in range(20)] == [b"b%d" % i for i in range(20)]
        assert [o.take()[2] for i in range(20)] == [b"b%d" % i for i in range(20)]
    with module("filter") as f:
        assert [f.take()[2] for i in range(20)] == [b"a%d" % i for i in range(20)]


def test_06_priority():
    """after an outage the lower number goes first, in order, whenever it came; what was to be kept for a time is gone after that, and the rest arrives"""
    hold(3, last="FROM /messages/events INTO $upstream", first={"route": "FROM /messages/events WHERE p = '0' INTO $upstream", "priority": 0},
         soon={"route": "FROM /messages/events WHERE p = 'soon' INTO $upstream", "priority": 5, "timeToLiveSecs": 600})
    cut_off()
    with leaf() as d:
        for i in range(6):
            for p in ("none", "soon", "0"):
                d.publish(LEAF + "p=" + p, b"%s %d" % (p.encode(), i))
        set_clock(700)
        d.publish(LEAF + "p=soon", b"soon enough")
        it.reconnect()
        it.arrived("none 5", 60)
    want = ["0 %d" % i for i in range(6)] + ["soon enough"] + ["none %d" % i for i in range(6)]
    got = [b for b in bodies("leaf", None) if b in want or b.startswith("soon")]
    assert got == want, got
    assert gateway_metric(it.edge, "edgehub_messages_dropped_total", reason="ttl_expiry") == 6


def test_06_on_their_way():
    """what was on its way to the hub with two priorities when the connection broke is not overtaken by what comes then: all arrives, each priority in its order"""
    hold(2, last="FROM /messages/events INTO $upstream", first={"route": "FROM /messages/events WHERE p = '0' INTO $upstream", "priority": 0})
    with leaf() as d:
        d.publish(LEAF, b"before")
        it.arrived("before")
        hub = it.proxies[0]  # with the connection that carries its lines
        hub.mute = True
        for bag, body in (("", b"low 0"), ("p=0&", b"high 0")):
            so_far = hub.swallowed
            d.publish(LEAF + bag + "pad=" + "x" * 4000, body)  # more than any question of the gateway's own
            wait_for(lambda: hub.swallowed > so_far + 4000, "it to be on its way", 20)
        cut_off()
        d.publish(LEAF, b"low 1")
        d.publish(LEAF + "p=0", b"high 1")
        it.reconnect()
        for body in ("low 1", "high 1"):
            it.arrived(body, 60)
    got = [b for b in bodies("leaf", None) if b in ("low 0", "low 1", "high 0", "high 1")]
    assert sorted(got) == ["high 0", "high 1", "low 0", "low 1"] and [b for b in got if b[0] == "h"] == ["high 0", "high 1"] and [b for b in got if b[0] == "l"] == ["low 0", "low 1"], got


def test_07_drop_oldest():
    """a queue that is full drops its oldest where that was asked for: what comes is taken, the newest arrives, and the log says how many are gone"""
    hold(1, all="FROM /* INTO $upstream")
    cut_off()
    n = 120
    with leaf() as d:
        for i in range(n):
            d.publish(LEAF + "n=%d" % i, b"%04d" % i + b"x" * 120000)
        it.said("of its oldest messages were dropped")
        it.reconnect()
        big = lambda: [int(b[:4]) for b in bodies("leaf", None) if isinstance(b, str) and len(b) > 100000]
        wait_for(lambda: big()[-1:] == [n - 1], "the newest", 60)
    got = list(dict.fromkeys(big()))  # a connection that broke on the way brings some again
    # What was in memory already arrives as well: one gap is behind that.
    gaps = [b for a, b in zip(got, got[1:]) if b != a + 1]
    assert len(gaps) == 1 and got[-1] == n - 1 and n - gaps[0] > 40 and len(got) < n, got


def reported():
    return it.hub.rest("GET", "/twins/%s/modules/%%24edgeHub" % it.edge.device)[2]["properties"]["reported"]


def desire(desired):
    """Desired properties of $edgeHub, and what it says to them once it has them."""
    status, _, body = it.hub.rest("PATCH", "/twins/%s/modules/%%24edgeHub" % it.edge.device, {"properties": {"desired": desired}}, {"If-Match": "*"})
    assert status == 200, body
    version = body["properties"]["desired"]["$version"]
    return wait_for(lambda: (lambda r: r if r.get("lastDesiredVersion") == version else None)(reported()), "the answer of $edgeHub", 30)["lastDesiredStatus"]


def test_08_twin():
    """the routes of $edgeHub's twin go before the file's; wrong ones are reported with why and change nothing, also through a restart without the hub; without them the file's hold again"""
    set_clock(0)  # what is issued from now on is for everybody's clock
    hold(1, file=to_input("other", "file", "/messages/events"))
    named = {"schemaVersion": "1.1", "routes": {"twin": to_input("other", "twin", "/messages/events")}}
    assert desire(named) == {"code": 200, "description": ""}
    with module("other") as o, leaf() as d:
        d.publish(LEAF, b"by the twin")
        assert o.take()[::2] == ("twin", b"by the twin")
        status = desire({"routes": {"wrong": "FROM /* WHERE INTO $upstream"}})
        assert status["code"] == 400 and "route wrong: at character 15" in status["description"], status
        d.publish(LEAF, b"still by the twin")
        assert o.take()[::2] == ("twin", b"still by the twin")
    said = desire({"routes": {"wrong": None, "loose": {"route": "FROM /twinChangeNotifications INTO $upstream", "prority": 5}}})
    assert said["code"] == 200 and 'did you mean "priority"?' in said["description"] and "takes nothing to the hub" in said["description"], said
    it.edge.sync_log()
    assert "routes: " + said["description"] in [json.loads(l)["message"] for l in it.edge.log_text().splitlines() if '"level":"warn"' in l and "{" == l[:1]]
    assert desire({"routes": {"loose": None}}) == {"code": 200, "description": ""}
    it.edge.stop()
    it.cut_off()
    it.edge.start()
    with module("other") as o, leaf() as d:
        d.publish(LEAF, b"as before")
        assert o.take()[::2] == ("twin", b"as before")
    it.reconnect()
    assert desire({"routes": None, "schemaVersion": None})["code"] == 200
    with module("other") as o, leaf() as d:
        d.publish(LEAF, b"by the file")
        assert o.take()[::2] == ("file", b"by the file")


def report(d, patch, rid):
    """The status of the answer."""
    d.send(publish_packet("$iothub/twin/PATCH/properties/reported/?$rid=%d" % rid, json.dumps(patch).encode(), 0))
    kind, body = d.receive()
    n = struct.unpack("!H", body[:2])[0]
    assert body[2:2 + n].endswith(b"?$rid=%d" % rid), body
    return int(body[2:2 + n].split(b"/")[3])


def test_09_twin_changes():
    """what a device or module reports goes to the inputs whose routes ask for changes of twins, through a kill -9; not to the hub as a message, and nothing that was refused"""
    twins = dict(all=to_input("other", "twins", "/twinChangeNotifications"), hot=to_input("other", "hot", "/twinChangeNotifications", "twin_change_includes(machine.hot)"),
                 up="FROM /* INTO $upstream")
    hold(3, **twins)
    before = len(bodies())
    with leaf() as d:
        d.send(subscribe_packet([("$iothub/twin/res/#", 0)]))
        assert d.receive()[0] == 0x90
        assert report(d, {"machine": {"hot": True, "old": None}}, 1) == 204
        assert report(d, {"bad.name": 1}, 2) == 400
        assert report(d, {"n": 2}, 3) == 204
    os.kill(it.edge.role("gateway"), 9)

    def again():
        try:
            return module("other")
        except (OSError, EOFError, Refused):
            return None
    with wait_for(again, "the gateway", 60) as o:
        got = [o.take() for _ in range(3)]
        name, bag, payload = next(g for g in got if g[0] == "hot")
        assert json.loads(payload) == {"machine": {"hot": True, "old": None}}, payload
        assert [json.loads(g[2]) for g in got if g[0] == "twins"] == [{"machine": {"hot": True, "old": None}}, {"n": 2}], got
        assert bag["$.cdid"] == "leaf" and "$.cmid" not in bag and bag["$.ct"] == "application/json" and bag["$.schema"] == "twinChangeNotification" and bag["opType"] == "updateTwin", bag
    assert len(bodies()) == before, "it went to the hub as a message"


def test_99_end():
    """everything stops in order"""
    assert it.edge.stop() == 0
    it.stop()
    shutil.rmtree(it.aside)


if __name__ == "__main__":
    run_all(globals())
