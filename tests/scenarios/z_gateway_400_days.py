#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A gateway whose hub is gone for 400 days while its devices come and go: by key, by certificate, as a module, one that was never there before, some that [offline] gives a month only; the gateway and
the whole edge are killed on the way, and its certificates renewed many times.  When the hub is back all of it arrives, in the order of each device."""
import os, random, signal, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from renewal_story import *
from site_of_gateway import has_ended
from listener_of_gateway import DESIRED, RESULTS

DAYS, STEP, KILL_EVERY, VISITOR_DAYS = 400, 4, 40, 30
it = None
rng = random.Random(int(os.environ.get("SEED", "1")))


def context():
    """Python judges dates by the real clock: whether what the gateway shows is valid is checked beside this."""
    c = ssl.create_default_context(cafile=it.edge.trust_bundle())
    c.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME
    return c


def at_hub(method, path, body=None, headers=None):
    """By its operator, at any time."""
    token = sas(it.hub.hostname, it.hub.policy("iothubowner"), expires=int(time.time()) + 1000 * DAY, policy="iothubowner", encode=False)
    c = http.client.HTTPSConnection("127.0.0.1", it.hub.https_port, context=ssl._create_unverified_context(), timeout=20 * SLOW)
    c.request(method, path + "?api-version=2021-04-12", json.dumps(body) if body is not None else None, dict(headers or {}, Authorization=token))
    with c.getresponse() as answer:
        text = answer.read()
        assert answer.status in (200, 201), (answer.status, text)
        return json.loads(text)


class Visitor:
    """A device or a module, which comes with a new session each time."""

    def __init__(self, id, module=None, cert=None):
        self.id, self.module, self.sent, self.reported = id, module, [], {}
        self.path = id if module is None else id + "/modules/" + module
        if cert:
            self.how = dict(zip(("cert", "key"), it.pki.make("device", id, "--days", "3000")))
            it.edge.create_x509_child(id, thumbprint(self.how["cert"]))
            return
        record = at_hub("PUT", "/devices/%s/modules/%s" % (id, module), {"deviceId": id, "moduleId": module}) if module else it.edge.create_child(id)
        key = record["authentication"]["symmetricKey"]["primaryKey"]
        self.how = {"password": sas("%s/devices/%s" % (it.hub.hostname, id if module is None else id + "/modules/" + module), key, expires=int(time.time()) + 1000 * DAY)}

    def connect(self):
        return it.edge.mqtt(self.id, self.module, context=context(), **self.how)

    def comes_in(self):
        """0, or CONNACK's code; None: there is no gateway now."""
        try:
            self.connect().close()
            return 0
        except Refused as e:
            return e.code
        except (OSError, EOFError):
            return None

    def visit(self, day):
        topic = "devices/%s/messages/events/" % self.path
        with self.connect() as m:
            for i in range(rng.randrange(1, 6)):
                body = "%d.%d of %s" % (day, i, self.path)
                m.publish(topic, body.encode())
                self.sent.append(body)
            if rng.random() < 0.3:
                self.report(m, day)

    def report(self, m, day):
        m.send(subscribe_packet([(RESULTS, 0)]) + publish_packet("$iothub/twin/PATCH/properties/reported/?$rid=1", json.dumps({"last": day, "d%d" % (day % 20): day}).encode(), 0))
        assert m.receive()[0] == 0x90 and b"$iothub/twin/res/204/" in m.receive(30)[1]
        self.reported.update({"last": day, "d%d" % (day % 20): day})

    def arrived(self):
        return [e["body"] for e in it.hub.events() if (e["annotations"]["iothub-connection-device-id"], e["annotations"].get("iothub-connection-module-id")) == (self.id, self.module)]


def kill(whole):
    """kill -9 of the gateway, or of the edge with all of its roles."""
    roles = [it.edge.role(r) for r in (("keyd", "certd", "identityd", "edged", "gateway") if whole else ("gateway",))]
    it.edge.kill9() if whole else os.kill(roles[0], signal.SIGKILL)
    for pid in filter(None, roles):
        wait_for(lambda: has_ended(pid), "the end of the roles")
    if whole:
        it.edge.start()
    wait_for(lambda: it.sensors[0].comes_in() == 0, "the gateway", 60)


def is_valid(leaf):
    return it.is_under(leaf, it.ca())


def test_1_start():
    """a hub, a gateway and its devices, of which one has not come yet; then the hub is gone"""
    global it
    it = Story(config='[offline.devices]\n"visitor-*" = "%dday"\n' % VISITOR_DAYS)
    it.sensors = [Visitor("sensor%d" % i) for i in range(3)] + [Visitor("sensor0", module="mod"), Visitor("meter", cert=True)]
    it.late, it.short = Visitor("late"), Visitor("visitor-1")
    for d in it.sensors + [it.short]:
        wait_for(lambda: d.comes_in() == 0, d.path, 30)
        d.visit(0)
    wait_for(lambda: it.late.id in run("rootedge", "gateway", "device", "list", "--state", it.edge.state).stdout, "the record of the device that comes late", 60)
    wait_for(lambda: all(d.arrived() == d.sent for d in it.sensors + [it.short]), "what was sent on the first day", 30)
    assert it.hub.stop() == 0


def test_2_four_hundred_days():
    """each device gets in on each day on which it comes, kills and renewals or not; whom [offline] gives a month does for a month"""
    leaves, kills = set(), 0
    for day in range(STEP, DAYS + 1, STEP):
        it.set_clock(day)
        it.settle()
        leaves.add(it.wait_leaf(it.ca()))
        if day % KILL_EVERY == 0:
            kills += 1
            kill(whole=kills % 2 == 0)
        for d in rng.sample(it.sensors, rng.randrange(1, len(it.sensors) + 1)):
            d.visit(day)
        if day < VISITOR_DAYS - STEP:
            it.short.visit(day)
        elif day > VISITOR_DAYS + 2 * KILL_EVERY and day % 50 < STEP:  # what a gateway that runs on was told has the age of its run; it has been started again since
            assert it.short.comes_in() == 5, day
    it.late.visit(DAYS)
    print("# %d certificates of the gateway, %d kills, %d messages wait" % (len(leaves), kills, sum(len(d.sent) for d in it.sensors)))
    assert len(leaves) > 10 and kills == DAYS // KILL_EVERY, (len(leaves), kills)


def test_3_hub_is_back():
    """when the hub is back all that was acknowledged arrives, in order, as does what was reported; it counts again for whom it was too long, and what it desires now is heard"""
    it.pki.make("server", it.hub.hostname, "--san", "127.0.0.1", "--san", "localhost", file="hub")
    it.hub.start()
    everybody = it.sensors + [it.late, it.short]
    for d in everybody:
        wait_for(lambda: len(d.arrived()) >= len(d.sent), "all of " + d.path, 120)
        assert list(dict.fromkeys(d.arrived())) == d.sent, (d.path, d.arrived(), d.sent)
    for d in everybody:
        wait_for(lambda: {k: v for k, v in at_hub("GET", "/twins/" + d.path)["properties"]["reported"].items() if k[0] != "$"} == d.reported, "what %s reported" % d.path, 90)
    wait_for(lambda: it.short.comes_in() == 0, "the visitor, confirmed again", 90)
    with it.sensors[0].connect() as m:
        m.send(subscribe_packet([(DESIRED, 0)]))
        assert m.receive()[0] == 0x90
        at_hub("PATCH", "/twins/" + it.sensors[0].path, {"properties": {"desired": {"welcome": "back"}}}, {"If-Match": "*", "Content-Type": "application/json"})
        assert b'"welcome":"back"' in m.receive(60)[1]


def test_4_end():
    """everything stops in order"""
    it.edge.stop()
    it.hub.stop()
    it.folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
