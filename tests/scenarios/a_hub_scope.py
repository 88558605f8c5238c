#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the hub tells gateways of those below them beyond the original's lists: etags, differences, calls when something changes; and that it can be told not to."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from strand_client import *

hub = folder = gw = None
LIST = "devicesAndModulesInTargetDeviceScope?api-version=2020-06-30-preview"
FLAT = "devicesAndModulesInDeviceScope?deviceCount=100&api-version=2018-08-30-preview"


class Gateway:
    """A gateway as the hub sees it: it asks for its scope, and listens to methods as its $edgeHub."""

    def __init__(self, hub, id, **more):
        self.hub, self.id, self.key = hub, id, new_key()
        self.scope = hub.create_device(id, capabilities={"iotEdge": True}, **more)["deviceScope"]
        status, _, module = hub.rest("PUT", "/devices/%s/modules/$edgeHub" % id, {"authentication": {"type": "sas", "symmetricKey": {"primaryKey": self.key, "secondaryKey": new_key()}}},
                                     {"If-Match": "*"})
        assert status == 200, module
        self.token = sas("%s/devices/%s/modules/$edgeHub" % (hub.hostname, id), self.key)

    def ask(self, since=None, known=None, flat=False, **more):
        headers = {"Authorization": self.token, **({"If-None-Match": known} if known else {})}
        base = "/devices/%s/modules/$edgeHub/" % self.id
        if flat:
            return https(self.hub.https_port, "GET", base + FLAT + ("&since=" + since if since else ""), None, headers, ca=self.hub.pki.root)
        body = dict({"pageSize": 100, "authChain": self.id}, **({"since": since} if since else {}), **more)
        return https(self.hub.https_port, "POST", base + LIST, body, headers, ca=self.hub.pki.root)

    def etag(self):
        return self.ask()[1]["ETag"].strip('"')

    def difference(self, since, **how):
        """(names of what there is, names of what has gone), and the new etag."""
        status, headers, body = self.ask(since, **how)
        assert status == 200 and "removed" in body and body["continuationLink"] is None, body
        names = [d["deviceId"] for d in body["devices"]] + ["%s/%s" % (m["deviceId"], m["moduleId"]) for m in body["modules"]]
        return sorted(names), sorted(body["removed"]), headers["ETag"].strip('"')

    def listen(self):
        m = self.hub.mqtt(self.id, "$edgeHub", password=self.token)
        m.send(subscribe_packet([("$iothub/methods/POST/#", 0)], 9))
        assert m.receive() == (0x90, b"\0\x09\0")
        return m

    def child(self, id, **more):
        return self.hub.create_device(id, deviceScope=self.scope, **more)


    def carrier(self, token=None):
        return Carrier(self.hub.https_port, self.hub.pki.root, self.id, token or self.token)

    def speaks_for(self, carrier, device, chain=None):
        return StrandMqtt(carrier, self.hub, device, token=self.token, chain=chain or "%s;%s" % (device, self.id))


def told(m, seconds=15):
    """The ids of the next call, which is answered."""
    kind, body = m.receive(seconds)
    n = struct.unpack("!H", body[:2])[0]
    topic = body[2:2 + n].decode()
    assert topic.startswith("$iothub/methods/POST/RefreshDeviceScopeIdentityCache/?$rid="), topic
    m.send(publish_packet("$iothub/methods/res/200/?$rid=" + topic.split("$rid=")[1], b"{}", 0))
    return json.loads(body[2 + n:])["deviceIds"]


def until(m, name):
    """What changed before it listened is told as well."""
    while name not in told(m):
        pass


def told_all(m, names):
    """They come in one call or several, each once."""
    got = []
    while len(got) < len(names):
        got += told(m)
    assert sorted(got) == sorted(names), got


def change(id, **fields):
    record = hub.rest("GET", "/devices/" + id)[2]
    assert hub.rest("PUT", "/devices/" + id, dict(record, **fields), {"If-Match": "*"})[0] == 200


def put_ca(name):
    hub.pki.make("intermediate", name)
    with open(folder / (name + ".pem")) as f:
        pem = f.read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    assert hub.rest("PUT", "/certificates/" + name, {"properties": {"certificate": pem, "isVerified": True}})[0] == 200


def test_00_start():
    """a hub with a gateway starts"""
    global hub, folder, gw
    folder = Folder()
    hub = Hub(folder, Pki(folder))
    gw = Gateway(hub, "gw")
    gw.child("dev1")
    gw.child("dev2")


def test_01_modules():
    """modules of the devices below stand in the list, on the page of their device"""
    for name in ("m1", "m2"):
        assert hub.rest("PUT", "/devices/dev1/modules/" + name, {})[0] == 200
    modules = gw.ask()[2]["modules"]
    assert [(m["deviceId"], m["moduleId"]) for m in modules] == [("gw", "$edgeAgent"), ("gw", "$edgeHub"), ("dev1", "m1"), ("dev1", "m2")], modules
    first = gw.ask(pageSize=1)[2]
    assert [d["deviceId"] for d in first["devices"]] == ["gw", "dev1"] and len(first["modules"]) == 4 and first["continuationLink"] == "dev1", first
    second = gw.ask(pageSize=1, continuationLink="dev1")[2]
    assert [d["deviceId"] for d in second["devices"]] == ["dev2"] and second["modules"] == [] and second["continuationLink"] is None, second


def test_02_not_modified():
    """a list that has not changed is answered with 304, in both forms, and with another list after each change"""
    for flat in (False, True):
        status, headers, body = gw.ask(flat=flat)
        assert status == 200 and headers["ETag"].startswith('"'), headers
        status, again, body = gw.ask(known=headers["ETag"], flat=flat)
        assert (status, again["ETag"], body) == (304, headers["ETag"], b""), (status, body)
        change("dev1", statusReason="another" if flat else "one")
        assert gw.ask(known=headers["ETag"], flat=flat)[0] == 200
        assert gw.ask(known='"nonsense"', flat=flat)[0] == 200


def test_03_difference():
    """with `since` a gateway gets what has changed, in both forms: created, disabled, other credentials, moved, deleted, modules, itself"""
    for flat in (False, True):
        start = at = gw.etag()
        assert gw.difference(at, flat=flat) == ([], [], at)
        gw.child("new")
        names, removed, at = gw.difference(at, flat=flat)
        assert (names, removed) == (["new"], []), (names, removed)
        change("new", status="disabled")
        body = gw.ask(at, flat=flat)[2]
        assert [(d["deviceId"], d["status"]) for d in body["devices"]] == [("new", "disabled")] and body["modules"] == [], body
        assert hub.rest("PUT", "/devices/new/modules/m", {})[0] == 200
        change("new", deviceScope="", parentScopes=[])
        names, removed, at = gw.difference(at, flat=flat)
        assert (names, removed) == ([], ["new", "new/m"]), (names, removed)
        change("new", parentScopes=[gw.scope])
        names, removed, at = gw.difference(at, flat=flat)
        assert (names, removed) == (["new", "new/m"], []), (names, removed)
        assert hub.rest("PUT", "/devices/gw/modules/own%d" % flat, {})[0] == 200
        assert hub.rest("DELETE", "/devices/new")[0] == 204
        names, removed, at = gw.difference(at, flat=flat)
        assert names == ["gw/own%d" % flat] and "new" in removed, (names, removed)
        assert gw.difference(at, flat=flat) == ([], [], at)
        assert gw.difference(start, flat=flat)[0] == ["gw/own%d" % flat]


def test_04_cas():
    """a CA that is registered makes another etag, and comes with the difference"""
    at = gw.etag()
    put_ca("Factory")
    status, headers, body = gw.ask(at)
    assert headers["ETag"].strip('"') != at and body["devices"] == [] and [c["name"] for c in body["certificateAuthorities"]] == ["Factory"], body


def test_05_nonsense():
    """what was never an etag of this list is answered with all of it; a `since` that is no text is refused"""
    other = Gateway(hub, "other")
    for since in ("", "x", gw.etag().split("-")[0] + "-999999", "-1", "a" * 5000, other.etag()[:-1] + "9999"):
        body = gw.ask(since)[2]
        assert "removed" not in body and "dev1" in [d["deviceId"] for d in body["devices"]], body
    for since in (7, ["x"], "\u0000"):
        assert gw.ask(since=since)[0] == 400


def test_06_calls():
    """a gateway that is connected is told at once which records changed, and soon after in one call of those that changed meanwhile"""
    with gw.listen() as m:
        gw.child("called")
        until(m, "called")
        for i in range(20):
            gw.child("called%d" % i)
        told_all(m, ["called%d" % i for i in range(20)])
        assert hub.rest("PUT", "/devices/called/modules/m", {})[0] == 200
        until(m, "called/m")
        change("called", status="disabled")
        until(m, "called")
        assert hub.rest("DELETE", "/devices/called")[0] == 204
        until(m, "called")
        hub.create_device("stranger")
        put_ca("Line")
        wait_for(lambda: told(m) == [], "a call without names")


def test_07_nested():
    """a change is told to the gateway that it is below and to those above that one"""
    low = Gateway(hub, "low", parentScopes=[gw.scope])
    with gw.listen() as above, low.listen() as below:
        low.child("deep")
        until(below, "deep")
        until(above, "deep")
    assert gw.ask(authChain="low;gw")[1]["ETag"].strip('"') == low.etag()


def test_08_crowd():
    """a thousand changes at once are told in a few calls"""
    with gw.listen() as m:
        for i in range(10):
            devices = [{"id": "crowd%d-%d" % (i, j), "deviceScope": gw.scope, "importMode": "create", "authentication": {"type": "sas"}} for j in range(100)]
            assert hub.rest("POST", "/devices", devices)[0] == 200
        seen, calls = set(), 0
        while len(seen) < 1000:
            seen.update(told(m))
            calls += 1
        assert calls < 20, calls


def event(text):
    return wait_for(lambda: [e for e in hub.events() if e["body"] == text], "%r at the hub" % text)[0]


def asks(gateway, token, **more):
    with dial(hub.https_port, hub.pki.root) as s:
        return ask_carrier(s, gateway, token, **more)


def test_10_carrier():
    """a gateway has one connection for many: each comes on a strand of it by its own CONNECT; one that is refused ends alone and takes nobody's session (atk-04), and nobody is spoken for by who is not above him (atk-26)"""
    g, other = Gateway(hub, "carrying"), Gateway(hub, "othergw")
    for d in ("carried1", "carried2"):
        g.child(d)
    other.child("foreign")
    with g.carrier() as c:
        assert c.status == 101, c.status
        own = StrandMqtt(c, hub, "carrying", "$edgeHub", g.token)
        one, two = g.speaks_for(c, "carried1"), g.speaks_for(c, "carried2")
        for m, d in ((one, "carried1"), (two, "carried2")):
            m.publish("devices/%s/messages/events/" % d, b"by strand of " + d.encode())
            assert event("by strand of " + d)["annotations"]["iothub-connection-device-id"] == d
        for device, token, chain in (("foreign", g.token, "foreign;carrying"), ("carried1", other.token, "carried1;carrying"), ("nobody", g.token, "nobody;carrying")):
            try:
                StrandMqtt(c, hub, device, token=token, chain=chain)
                raise AssertionError("%s was let in" % device)
            except Refused as e:
                assert e.code == 5
        one.publish("devices/carried1/messages/events/", b"x" * 250000)
        again = g.speaks_for(c, "carried1")
        assert one.closed() and not two.closed(0.3)
        again.sock.close()
        c.s.sendall(strand_frame(PING))
        wait_for(lambda: c.pongs or (c.take() and c.pongs), "PONG")
        own.publish("devices/carrying/modules/$edgeHub/messages/events/", b"still there")


def test_11_carrier_refused():
    """nobody else gets one: no token, another's, one of a device that is no gateway; and what is no frame ends it"""
    g = Gateway(hub, "picky")
    device = g.child("pickychild")
    assert asks("picky", g.token, upgrade=None) == 404 and asks("picky", g.token, upgrade="websocket") == 404
    assert asks("picky", "") == 401 and asks("picky", sas(hub.hostname + "/devices/picky/modules/$edgeHub", new_key())) == 401
    assert asks("picky", sas(hub.hostname + "/devices/pickychild", device["authentication"]["symmetricKey"]["primaryKey"])) == 401
    assert asks("picky", g.token, module="other") == 404
    hub.create_device("plain")
    status, _, module = hub.rest("PUT", "/devices/plain/modules/$edgeHub", {"moduleId": "$edgeHub", "deviceId": "plain"})
    assert status in (200, 201), module
    assert asks("plain", sas(hub.hostname + "/devices/plain/modules/$edgeHub", module["authentication"]["symmetricKey"]["primaryKey"])) == 403
    for wrong in (b"\0" * 9, strand_frame(OPEN, 2), strand_frame(DATA, 1, data=b"x"), strand_frame(OPEN, 1) + strand_frame(CREDIT, 1, 65536), b"GET / HTTP/1.1\r\n\r\n"):
        with g.carrier() as c:
            c.s.sendall(wrong)
            assert c.ends(), wrong


def test_12_carrier_withdrawn():
    """atk-25: it stands on the gateway: disabled, with another key, or deleted it loses the carrier and all on it at once"""
    def disable(g):
        record = hub.rest("GET", "/devices/" + g.id)[2]
        assert hub.rest("PUT", "/devices/" + g.id, dict(record, status="disabled"), {"If-Match": "*"})[0] == 200

    def change_key(g):
        keys = {"authentication": {"type": "sas", "symmetricKey": {"primaryKey": new_key(), "secondaryKey": new_key()}}}
        assert hub.rest("PUT", "/devices/%s/modules/$edgeHub" % g.id, keys, {"If-Match": "*"})[0] == 200

    def delete(g):
        assert hub.rest("DELETE", "/devices/" + g.id, headers={"If-Match": "*"})[0] == 204

    for i, withdraw in enumerate((disable, change_key, delete)):
        g = Gateway(hub, "withdrawn%d" % i)
        g.child("stays%d" % i)
        with g.carrier() as c, g.carrier() as idle:
            m = g.speaks_for(c, "stays%d" % i)
            hub.create_device("unrelated%d" % i)
            m.publish("devices/stays%d/messages/events/" % i)
            withdraw(g)
            assert c.ends() and idle.ends()
        assert g.carrier().status == 401


def test_12_carrier_limits():
    """a gateway has four carriers, a fifth ends the oldest; and on one no more than 256 strands that have got no answer yet"""
    g = Gateway(hub, "greedy")
    g.child("greedychild")
    with g.carrier() as first, g.carrier() as c, g.carrier(), g.carrier():
        first.s.sendall(strand_frame(PING))
        wait_for(lambda: first.pongs or (first.take() and first.pongs), "PONG")
        with g.carrier() as fifth:
            assert first.ends() and not c.ends(0.3)
            g.speaks_for(fifth, "greedychild")
            for _ in range(300):
                fifth.open()
            fifth.s.sendall(strand_frame(PING))
            wait_for(lambda: fifth.pongs or (fifth.take() and fifth.pongs), "PONG")
            assert [n for n, s in fifth.strands.items() if s.ended] == list(range(258, 302)), [n for n, s in fifth.strands.items() if s.ended]
            fifth.strands[2].close()

            def speaks():
                try:
                    return g.speaks_for(fifth, "greedychild")
                except EOFError:
                    return None
            wait_for(speaks, "the place of the one that has ended")


def test_13_carrier_expires():
    """when the token that opened it ends it takes no more, and those on it go on by their own"""
    g = Gateway(hub, "shortlived")
    g.child("longlived")
    short = sas(hub.hostname + "/devices/shortlived/modules/$edgeHub", g.key, expires=int(time.time()) + 3)
    with g.carrier(short) as c:
        m = g.speaks_for(c, "longlived")
        wait_for(lambda: c.retired or (c.take() and c.retired), "RETIRE")
        m.publish("devices/longlived/messages/events/", b"after its end")
        assert c.open().recv(1) == b""
        m.sock.close()
        assert c.ends()


def test_14_plain():
    """--plain-scopes: no etag, no difference, no CAs, no calls, no carriers, as the original's hub"""
    with SubFolder(folder, "plain") as f:
        plain = Hub(f, Pki(f), "plainhub.local", "--plain-scopes")
        g = Gateway(plain, "gw")
        with g.listen() as m:
            g.child("dev1")
            for flat in (False, True):
                status, headers, body = g.ask("x-1", known='"x-1"', flat=flat)
                assert status == 200 and "ETag" not in headers and set(body) == {"devices", "modules", "continuationLink"}, (headers, body)
            assert not m.closed(2 / SLOW) and not m.buffer
            with g.carrier() as c:
                assert c.status == 404, c.status
        plain.stop()


def test_99_stop():
    """all ends in order"""
    assert hub.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
