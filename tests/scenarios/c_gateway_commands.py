#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Direct methods and cloud-to-device messages through the gateway (gateway 4.4, 4.5): from services at the hub to devices and modules below, and their answers back; also after
either side was away, and never to who was deleted and made again."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from listener_of_gateway import *

it = dev = mod = None


def test_00_start():
    """a gateway with a device and a module starts"""
    global it, dev, mod
    it = Site(proxy=True)
    dev = Device(it, "dev1", it.key("dev1"))
    mod = Device(it, "dev1", it.module("dev1", "mod1"), "mod1")
    it.known(3)


def test_01_method():
    """a method comes to a device with its name and payload as they were sent, and its answer back"""
    dev.connect(METHODS)
    call = invoke_soon(it, "dev1", "re boot/ü", {"delay": 5})
    name, rid, payload = dev.request()
    assert name == "re%20boot%2F%C3%BC" and json.loads(payload) == {"delay": 5}, (name, payload)
    dev.reply(rid, 207, '{"done":"grüß"}'.encode())
    assert call.answer() == (200, {"status": 207, "payload": {"done": "grüß"}}), call.answer()


def test_02_module_method():
    """a method comes to a module, and not to its device; also to one of the edge device itself"""
    mod.connect(METHODS)
    call = invoke_soon(it, "dev1/modules/mod1", "ping")
    name, rid, payload = mod.request()
    assert name == "ping" and payload == b"null", (name, payload)
    mod.reply(rid, payload=b"[1]")
    assert call.answer() == (200, {"status": 200, "payload": [1]})
    dev.hears_nothing()
    own = Device(it, it.edge.device, it.module(it.edge.device, "tempmod"), "tempmod").connect(METHODS)
    call = invoke_soon(it, it.edge.device + "/modules/tempmod", "ping")
    own.reply(own.request()[1], payload=b"[2]")
    assert call.answer() == (200, {"status": 200, "payload": [2]})
    own.leave()


def test_03_many_methods():
    """several methods at once are answered in any order"""
    calls = [invoke_soon(it, "dev1", "m%d" % i, i) for i in range(10)]
    asked = [dev.request() for _ in calls]
    for name, rid, payload in reversed(asked):
        dev.reply(rid, 200, b'{"of":"%s"}' % name.encode())
    for i, call in enumerate(calls):
        assert call.answer() == (200, {"status": 200, "payload": {"of": "m%d" % i}}), call.answer()


def test_04_bad_answers():
    """what a device answers that is no JSON, and a session that ends before its answer, is said to the caller as a status"""
    call = invoke_soon(it, "dev1", "bad")
    dev.reply(dev.request()[1], 200, b"{not json")
    status, body = call.answer()
    assert status == 200 and body["status"] == 502 and "JSON" in body["payload"]["message"], body
    call = invoke_soon(it, "dev1", "cut")
    dev.request()
    dev.leave()
    status, body = call.answer()
    assert status == 200 and body["status"] == 404, body


def test_05_nobody_listens():
    """while the device is not connected, or has unsubscribed, the hub answers its caller as for any device that is away"""
    gone = lambda: Call(it, "dev1", "nobody").answer()[0] == 404
    wait_for(gone, "404 after it has left")
    dev.connect(METHODS)
    call = invoke_soon(it, "dev1", "once")
    dev.reply(dev.request()[1])
    assert call.answer()[0] == 200
    dev.silence(METHODS)
    wait_for(gone, "404 after it has unsubscribed")


def test_06_kept_subscriptions():
    """a device that comes back with clean session 0 and subscribes to nothing, as SDKs do after they renewed their token, still gets methods; with clean session 1 it does not"""
    dev.connect(METHODS)
    dev.connect()
    call = invoke_soon(it, "dev1", "kept")
    dev.reply(dev.request()[1])
    assert call.answer()[0] == 200
    dev.connect(clean=True)
    wait_for(lambda: Call(it, "dev1", "nobody").answer()[0] == 404, "404 for a clean session")


def test_07_command():
    """a message comes with its properties and is complete at the hub when the device has acknowledged it"""
    dev.connect(dev.commands())
    send_command(it, "dev1", b"hello", messageid="m 1", app_a="1")
    said = dev.hear()
    assert said.topic.startswith("devices/dev1/messages/devicebound/") and "%24.mid=m%201" in said.topic, said.topic
    assert said.payload == b"hello" and pending(it, "dev1") == 1
    dev.mqtt.send(packet(0x40, struct.pack("!H", said.id)))
    wait_for(lambda: pending(it, "dev1") == 0, "its completion at the hub")


def test_08_many_commands():
    """many messages come in their order, more than may be on their way at a time"""
    for i in range(50):
        send_command(it, "dev1", b"%d" % i)
    assert [dev.take().payload for _ in range(50)] == [b"%d" % i for i in range(50)]
    wait_for(lambda: pending(it, "dev1") == 0, "their completion")


def test_09_not_acknowledged():
    """a message that the device had not acknowledged when its session ended comes again on its next one, by its kept subscription, and only once then"""
    send_command(it, "dev1", b"again")
    assert dev.hear().payload == b"again"
    dev.connect()
    assert dev.take().payload == b"again"
    wait_for(lambda: pending(it, "dev1") == 0, "its completion")
    dev.hears_nothing()


def test_10_away():
    """messages that were sent while the device was away come when it is back"""
    dev.leave()
    wait_for(lambda: it.hub.rest("GET", "/twins/dev1")[2]["connectionState"] is not None, "the hub")
    for i in range(3):
        send_command(it, "dev1", b"away %d" % i)
    dev.connect(dev.commands())
    assert [dev.take().payload for _ in range(3)] == [b"away %d" % i for i in range(3)]


def test_11_module_command():
    """a module of the device gets none of them"""
    mod.connect(METHODS)
    send_command(it, "dev1", b"for the device")
    assert dev.take().payload == b"for the device"
    mod.hears_nothing()


def test_12_hub_restarts():
    """after the hub was away and came back, methods and messages come again without a word from the device"""
    dev.connect(METHODS, dev.commands())
    call = invoke_soon(it, "dev1", "before")
    dev.reply(dev.request()[1])
    assert call.answer()[0] == 200
    it.cut_off()
    it.reconnect()
    call = invoke_soon(it, "dev1", "after")
    dev.reply(dev.request()[1])
    assert call.answer()[0] == 200
    send_command(it, "dev1", b"after")
    assert dev.take().payload == b"after"
    wait_for(lambda: pending(it, "dev1") == 0, "its completion")
    it.hub.stop()
    it.hub.start()
    call = invoke_soon(it, "dev1", "restarted")
    dev.reply(dev.request()[1])
    assert call.answer()[0] == 200


def test_13_gateway_restarts():
    """after the gateway was killed and is back, a device that reconnects and subscribes to nothing gets methods and messages by its kept subscriptions"""
    os.kill(it.edge.role("gateway"), 9)
    assert dev.mqtt.closed()

    def back():
        try:
            return dev.connect()
        except (OSError, EOFError, Refused):
            return None
    wait_for(back, "the gateway", 30)
    call = invoke_soon(it, "dev1", "restarted")
    dev.reply(dev.request()[1])
    assert call.answer()[0] == 200
    send_command(it, "dev1", b"restarted")
    assert dev.take().payload == b"restarted"


def test_14_made_again():
    """atk-25: who was deleted and made again gets nothing that was for the one before; and the new one is served"""
    old = Device(it, "twice", it.key("twice")).connect(METHODS, "devices/twice/messages/devicebound/#")
    call = invoke_soon(it, "twice", "old")
    old.reply(old.request()[1])
    assert call.answer()[0] == 200
    send_command(it, "twice", b"for the old one")
    assert old.hear().payload == b"for the old one"
    it.delete("twice")
    assert old.mqtt.closed()
    new = Device(it, "twice", it.key("twice")).connect(METHODS, "devices/twice/messages/devicebound/#")
    call = invoke_soon(it, "twice", "new")
    name, rid, _ = new.request()
    assert name == "new", name
    new.reply(rid)
    assert call.answer()[0] == 200
    send_command(it, "twice", b"for the new one")
    assert new.take().payload == b"for the new one"
    new.leave()


def test_15_disabled():
    """a device that is disabled is served nothing any more, and again when it is enabled"""
    dev.connect(METHODS)
    call = invoke_soon(it, "dev1", "may")
    dev.reply(dev.request()[1])
    assert call.answer()[0] == 200
    it.change("dev1", status="disabled")
    assert dev.mqtt.closed()
    it.change("dev1", status="enabled")
    dev.connect(METHODS)
    call = invoke_soon(it, "dev1", "may again")
    dev.reply(dev.request()[1])
    assert call.answer()[0] == 200


def test_99_stop():
    """the gateway stops while a method is open"""
    invoke_soon(it, "dev1", "open")
    dev.request()
    it.stop()


run_all()
