#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Modules of the edge device call methods of what is connected to the gateway: devices and modules, also while the hub is away; how long is waited for whom, and who may not."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = None


class Answerer:
    """A session that answers each method with 200 plus what it was asked, on a thread of its own; `silent` ones hear and say nothing."""

    def __init__(self, device, module=None, key=None, silent=False, answer=None):
        self.heard, self.silent, self.answer = [], silent, answer
        self.mqtt = it.edge.mqtt(device, module, password=it.token(device, key, module))
        self.mqtt.send(subscribe_packet([("$iothub/methods/POST/#", 0)]))
        self.listens = threading.Event()  # a method that waits may come before SUBACK (MQTT 3.8.4)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.listens.wait(20 * SLOW), "no SUBACK"

    def run(self):
        try:
            while True:
                kind, body = self.mqtt.receive(600)
                if kind == 0x90:
                    self.listens.set()
                    continue
                n = struct.unpack("!H", body[:2])[0]
                topic, payload = body[2:2 + n].decode(), body[2 + n:]
                name, rid = topic[len("$iothub/methods/POST/"):].split("/?$rid=")
                self.heard.append((name, payload))
                if not self.silent:
                    answer = self.answer or json.dumps({"name": name, "got": json.loads(payload)}).encode()
                    self.mqtt.send(publish_packet("$iothub/methods/res/207/?$rid=" + rid, answer, 0))
        except (EOFError, OSError):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.mqtt.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join()  # its descriptor must not be another connection's while it reads
        self.mqtt.close()


def call(target, body, module="caller", key=None, header=None, token=None, query=""):
    """What the gateway answers to this module of the edge device: (status, body)."""
    headers = {"x-ms-edge-moduleId": header or "%s/%s" % (it.edge.device, module), "Authorization": token or it.token(it.edge.device, key or it.caller, module)}
    status, answer_headers, answer = it.edge.https("POST", "/twins/" + target + "/methods" + query, body, {k: v for k, v in headers.items() if v != "-"})
    assert answer_headers["X-Content-Type-Options"] == "nosniff"
    return status, answer


def test_00_start():
    """an edge device with two modules, and a device with one, start"""
    global it
    it = Site(proxy=True)
    it.caller, it.filter = it.module(it.edge.device, "caller"), it.module(it.edge.device, "filter")
    it.leaf = it.key("leaf")
    it.leafmod = it.module("leaf", "m1")
    it.edge.mqtt(it.edge.device, "caller", password=it.token(it.edge.device, it.caller, "caller")).close()
    it.edge.mqtt("leaf", "m1", password=it.token("leaf", it.leafmod, "m1")).close()


def test_01_targets():
    """a device, a module of it and a module beside the caller are called and answer"""
    for target, who in (("leaf", ("leaf", None, it.leaf)), ("leaf/modules/m1", ("leaf", "m1", it.leafmod)), (it.edge.device + "/modules/filter", (it.edge.device, "filter", it.filter))):
        with Answerer(*who) as a:
            assert call(target, {"methodName": "measure", "payload": {"n": 1}}) == (200, {"status": 207, "payload": {"name": "measure", "got": {"n": 1}}})
            assert call(target, {"methodName": "m", "timeout": 10}, query="?api-version=2020-09-30") == (200, {"status": 207, "payload": {"name": "m", "got": None}})
            assert a.heard == [("measure", b'{"n":1}'), ("m", b"null")], a.heard
        of = {"from": it.edge.device + "/caller", "to": target.replace("/modules/", "/")}
        assert gateway_metric(it.edge, "edgehub_direct_methods_total", **of) == gateway_metric(it.edge, "edgehub_direct_method_duration_seconds_count", **of) == 2, of


def test_02_waiting():
    """who is not connected is 404, at once or after connectTimeoutInSeconds; who connects within it is called; all of it is counted as calls"""
    counted = lambda to: gateway_metric(it.edge, "edgehub_direct_methods_total", **{"from": it.edge.device + "/caller", "to": to})
    before, since = counted("leaf"), time.monotonic()
    assert call("leaf", {"methodName": "m"})[0] == 404 and time.monotonic() - since < 2 * SLOW
    assert counted("leaf") == before + 1
    assert call("nobody-here", {"methodName": "m"})[0] == 404 and counted("unknown") == 1 and counted("nobody-here") == 0
    with it.edge.mqtt("leaf", password=it.token("leaf", it.leaf), clean=True):  # which does not listen to methods
        assert call("leaf", {"methodName": "m"})[0] == 404
        since = time.monotonic()
        assert call("leaf", {"methodName": "m", "connectTimeoutInSeconds": 1})[0] == 404 and time.monotonic() - since >= 1
    got = []
    waiting = threading.Thread(target=lambda: got.append(call("leaf", {"methodName": "late", "connectTimeoutInSeconds": 60})))
    waiting.start()
    with Answerer("leaf", key=it.leaf):
        waiting.join(60 * SLOW)
    assert got == [(200, {"status": 207, "payload": {"name": "late", "got": None}})], got
    assert counted("leaf") == before + 4


def test_03_no_answer():
    """who hears and does not answer is 504, in time and at once when its connection ends; an answer that is no JSON is 502"""
    with Answerer("leaf", key=it.leaf, silent=True) as a:
        since = time.monotonic()
        status, body = call("leaf", {"methodName": "m", "responseTimeoutInSeconds": 5})
        assert status == 504 and "did not answer" in body["message"] and time.monotonic() - since >= 5, (status, body)
        got = []
        waiting = threading.Thread(target=lambda: got.append(call("leaf", {"methodName": "again", "responseTimeoutInSeconds": 300})))
        waiting.start()
        wait_for(lambda: len(a.heard) == 2, "the call")
        a.mqtt.sock.shutdown(socket.SHUT_RDWR)
        waiting.join(30 * SLOW)
        assert got and got[0][0] == 504, got
    with Answerer("leaf", key=it.leaf, answer=b"{no json"):
        assert call("leaf", {"methodName": "m"})[0] == 502


def test_03b_too_many():
    """24 calls at most are on their way to one; the next is 429, by a module and by the hub, and is not counted as a call"""
    name, answers, limit = it.edge.device + "/caller", [], 24
    counted = lambda: [gateway_metric(it.edge, "edgehub_direct_methods_total", **{"from": who, "to": "leaf"}) for who in (name, "upstream")]
    with Answerer("leaf", key=it.leaf, silent=True) as a:
        since = counted()[0]
        waiting = [threading.Thread(target=lambda: answers.append(call("leaf", {"methodName": "m", "responseTimeoutInSeconds": 300})[0])) for _ in range(limit)]
        for t in waiting:
            t.start()
        wait_for(lambda: len(a.heard) == limit, "the calls")
        before = counted()
        assert before[0] == since + limit
        assert call("leaf", {"methodName": "m"})[0] == 429
        by_hub = lambda: it.hub.rest("POST", "/twins/leaf/methods", {"methodName": "m", "responseTimeoutInSeconds": 30})
        status, _, body = wait_for(lambda: (lambda got: got[0] != 404 and got)(by_hub()), "its line to the hub", 30)
        assert status == 200 and body["status"] == 429, (status, body)
        assert counted() == before, (before, counted())
    for t in waiting:
        t.join(30 * SLOW)
    assert answers == [504] * limit, answers


def test_04_hub_away():
    """all that works while the hub is out of reach"""
    it.cut_off()
    try:
        with Answerer("leaf", key=it.leaf):
            assert call("leaf", {"methodName": "alone", "payload": [1]})[1]["payload"] == {"name": "alone", "got": [1]}
        assert call("nobody", {"methodName": "m"})[0] == 404
    finally:
        it.reconnect()


def test_05_who_may_not():
    """a module of another device, a device, a wrong token, another module's token and nobody at all are 401; nothing of it is heard"""
    # As long as the hub can't be asked nothing says that there is none.
    wait_for(lambda: call("leaf", {"methodName": "m"}, header=it.edge.device + "/nobody", token=None)[0] == 401, "the hub to be asked again", 60)
    with Answerer("leaf", key=it.leaf) as a:
        own = it.edge.device + "/caller"
        for header, token in (("-", None), ("leaf/m1", it.token("leaf", it.leafmod, "m1")), ("leaf", it.token("leaf", it.leaf)), (own, it.token(it.edge.device, new_key(), "caller")),
                              (own, it.token(it.edge.device, it.filter, "filter")), (own, "-"), (it.edge.device + "/", None), (it.edge.device + "/nobody", None),
                              (it.edge.device + "/caller/x", None), (it.edge.device + "/cal%00ler", None), ("%zz/%", None), (own, it.token(it.edge.device, it.caller, "caller", expires=1)),
                              (own, it.hub.service_token())):
            status, body = call("leaf", {"methodName": "m"}, header=header, token=token)
            assert status == 401 and body["message"], (header, status, body)
        assert a.heard == []


def test_06_bad_questions():
    """questions that are none are 400: no JSON, no name or one too long, times out of range, a payload too large; an unknown target is 404"""
    name = {"methodName": "m"}
    for body in (b"", b"{", b"[]", b'"m"', {}, {"methodName": ""}, {"methodName": 1}, {"methodName": "x" * 101}, {"methodName": "a\nb"}, dict(name, responseTimeoutInSeconds=4),
                 dict(name, responseTimeoutInSeconds=301), dict(name, responseTimeoutInSeconds="30"), dict(name, connectTimeoutInSeconds=-1), dict(name, connectTimeoutInSeconds=301),
                 dict(name, payload="x" * (128 << 10))):
        status, answer = call("leaf", body)
        assert status == 400 and answer["message"], (body, status, answer)
    assert call("nobody", name)[0] == 404 and call("leaf/modules/nobody", name)[0] == 404
    assert call("a%2Fb", name)[0] == 400
    with Answerer("leaf", key=it.leaf):
        assert call("leaf", {"methodName": "x" * 100})[0] == 200


def test_99_end():
    """everything stops in order, also with a call on its way"""
    with Answerer("leaf", key=it.leaf, silent=True) as a:
        waiting = threading.Thread(target=lambda: ignore(lambda: call("leaf", {"methodName": "m", "responseTimeoutInSeconds": 300})), daemon=True)
        waiting.start()
        wait_for(lambda: a.heard, "the call")
        assert it.edge.stop() == 0
    it.stop()


def ignore(function):
    try:
        function()
    except (OSError, http.client.HTTPException):
        pass


if __name__ == "__main__":
    run_all(globals())
