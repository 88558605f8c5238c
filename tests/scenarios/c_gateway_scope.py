#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a gateway asks the hub about its scope, and what becomes of the answers: differences instead of everything, records that can't be read, its own device disabled for a while,
devices that are made again, and a hub without our extensions."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *
from scope_lens import Lens

it = None
N = 600


class SeenSite(Site):
    """The gateway's HTTPS to the hub goes through a lens once its identities are there, because they are asked for with a certificate."""

    def __init__(self, *hub_args, **kw):
        self.hub_args = hub_args
        super().__init__(proxy=True, **kw)
        self.lens = Lens(self.hub)
        self.proxies[0].target = lambda: self.lens.port
        self.proxies[0].cut()
        self.proxies[0].mend()

    def restart_gateway(self):
        """The gateway alone; the lists that it then asks for."""
        pid, at = self.edge.role("gateway"), len(self.lens.asked)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: len(self.lens.asked) > at, "a question for the scope", 60)
        return at

    def lists(self, at, n=1, seconds=60):
        """The questions for lists from `at` on, once there are n."""
        wait_for(lambda: len(self.lens.asked) >= at + n, "%d questions for the scope" % n, seconds)
        return self.lens.asked[at:]

    def stop(self):
        self.lens.close()
        super().stop()


def get_in(device, key, module=None, **kw):
    def connect():
        try:
            return it.edge.mqtt(device, module, password=it.token(device, key, module, **kw))
        except (ConnectionError, EOFError, ssl.SSLError):
            return None  # the gateway starts
    return wait_for(connect, "the gateway", 60)


def refused(device, reason, **how):
    try:
        it.edge.mqtt(device, **how).close()
    except Refused as e:
        assert e.code == 5 and it.decisions()[-1] == (device, reason), (e.code, it.decisions()[-1])
    else:
        raise AssertionError("was let in")


def test_00_start():
    """a gateway with hundreds of devices below it, and a module of one of them that has never come"""
    global it
    it = SeenSite()
    it.one = new_key()
    for at in range(0, N, 100):
        devices = [{"id": "many%d" % i, "deviceScope": it.edge.scope, "importMode": "create",
                    "authentication": {"type": "sas", "symmetricKey": {"primaryKey": it.one, "secondaryKey": it.one}}} for i in range(at, at + 100)]
        assert it.hub.rest("POST", "/devices", devices)[0] == 200
    it.sas1 = it.key("sas1")
    it.mod1 = it.module("sas1", "mod1")
    at = it.restart_gateway()
    it.known(N)
    wait_for(lambda: os.path.exists(os.path.join(it.edge.state, "gateway", "scope")), "the scope on the disk")
    get_in("many%d" % (N - 1), it.one).close()


def test_01_not_everything_again():
    """a gateway that knows its scope is told that it is the same, or what has changed, also after a restart"""
    at = it.restart_gateway()
    (path, question, status, answer), = it.lists(at)[:1]
    assert question.get("since") and (status == 304 or answer.get("removed") is not None), (question, status)
    change = it.change("many7", status="disabled")
    at = it.restart_gateway()
    (path, question, status, answer), = it.lists(at)[:1]
    assert status == 200 and [d["deviceId"] for d in answer["devices"]] == ["many7"] and answer["modules"] == [] and answer["removed"] == [], answer
    get_in("many8", it.one).close()
    refused("many7", "DEVICE_DISABLED", password=it.token("many7", it.one))
    it.change("many7", status="enabled")


def test_02_modules_of_devices():
    """a module of a device gets in while the hub is away, though it never came before"""
    it.restart_gateway()
    it.cut_off()
    get_in("sas1", it.mod1, "mod1").close()
    it.reconnect()


def test_03_broken_record():
    """a record that can't be read is left out and said so once; what else the answer has is taken, and nothing is forgotten"""
    def edit(answer):
        broken = [d for d in answer["devices"] if d["deviceId"] in ("many1", "many2")]
        if not broken:
            return answer
        for d in broken:
            d["authentication"]["type"] = "telepathy"
        answer["devices"] = [d for d in answer["devices"] if d["deviceId"] != "many3"]
        answer.pop("removed", None)
        return answer
    it.lens.edit = edit  # before the change: the hub tells of that at once
    try:
        it.change("many1", statusReason="changed")
        late = it.key("late")
        for _ in range(2):
            it.restart_gateway()
            get_in("late", late).close()
    finally:
        it.lens.edit = None
    line = it.said("can't be read, of which what was known before stays")
    assert '"level":"warn"' in line and "telepathy" in line, line
    it.cut_off()
    for i in (1, 2, 3, 4):
        get_in("many%d" % i, it.one).close()
    it.reconnect()


def test_04_gateway_is_disabled():
    """DisableReenableParentEdge: while its own device is disabled in the hub no record is lost, both kinds of status say so in words, and afterwards a new device gets in"""
    it.change(it.edge.device, status="disabled")
    reach, code, page = wait_for(lambda: [r for r in [reach_of_hub(it.edge)] if r[0] == "refuses"], "the refusal to be noticed")[0]
    assert code == 1 and it.hub.hostname + " refuses it, since" in page and "401" in page and "enabled in the hub" in page, page
    at = it.restart_gateway()
    assert it.lists(at)[0][2] == 401, it.lists(at)[0]
    get_in("many4", it.one).close()
    get_in("sas1", it.sas1).close()
    it.change(it.edge.device, status="enabled")
    key = it.key("after")

    def connect():
        try:
            return it.edge.mqtt("after", password=it.token("after", key, expires=int(time.time() * 10) % 1000 + int(time.time()) + 1800))
        except Refused:
            return None
    with wait_for(connect, "the new device", 60) as m:
        m.publish("devices/after/messages/events/", b"after it was enabled")
    it.arrived("after it was enabled", 60)
    get_in("many5", it.one).close()
    wait_for(lambda: reach_of_hub(it.edge)[:2] == ("reachable", 0), "all to be well again", 60)


def test_05_made_again():
    """QuickstartChangeSasKey: a device that is deleted and made again with other keys at once gets in with them at once, and its messages arrive"""
    get_in("sas1", it.sas1).close()
    for _ in range(3):
        it.delete("sas1")
        key = it.key("sas1")
        with it.edge.mqtt("sas1", password=it.token("sas1", key)) as m:
            m.publish("devices/sas1/messages/events/", b"of " + key.encode())
        it.arrived("of " + key, 60)
    refused("sas1", "SAS_BAD_SIGNATURE", password=it.token("sas1", it.sas1))


def test_06_stop():
    """all end in order"""
    it.stop()


def test_07_original_hub():
    """with a hub without our extensions everything is asked for each time, and devices get in; those of a CA don't"""
    global it
    it = SeenSite("--plain-scopes")
    it.sas1 = it.key("sas1")
    for _ in range(2):
        at = it.restart_gateway()
        (path, question, status, answer), = it.lists(at)[:1]
        assert status == 200 and "since" not in question and "certificateAuthorities" not in answer and [d["deviceId"] for d in answer["devices"]] == [it.edge.device, "sas1"], (question, status, answer)
        get_in("sas1", it.sas1).close()
    with open(it.pki.root) as f:
        assert it.hub.rest("PUT", "/certificates/root", {"properties": {"certificate": f.read(), "isVerified": True}})[0] == 200
    it.edge.create_child("byca", {"type": "certificateAuthority"})
    cert, key = it.pki.make("device", "byca")
    refused("byca", "TRUST_UNKNOWN_ISSUER", cert=cert, key=key)
    it.stop()


if __name__ == "__main__":
    run_all(globals())
