#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway while the hub is there: who gets in and how, that messages arrive at the hub as they were sent, and that what changes in the hub's registry holds at
the gateway at once."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = None


def refused(code, *args, **how):
    try:
        it.edge.mqtt(*args, **how).close()
    except Refused as e:
        assert e.code == code, "CONNACK %d, not %d" % (e.code, code)
    else:
        raise AssertionError("was let in")


def topic(device, bag="", module=None):
    return "devices/%s/messages/events/%s" % (device if module is None else "%s/modules/%s" % (device, module), bag)


def test_00_start():
    """a gateway starts and learns from the hub who is below it"""
    global it
    it = Site(proxy=True, gateway='names = ["gw2.local", "10.1.2.3", "127.0.0.1"]')
    it.known(3)


def test_01_thumbprints():
    """a device gets in with the certificate of either slot, over TLS 1.3 and 1.2"""
    second = it.pki.make("device", "dev1", file="dev1-second")
    it.dev1 = it.x509("dev1", thumbprint(second[0]))
    for tls12 in (False, True):
        it.edge.mqtt("dev1", tls12=tls12, **it.dev1).close()
        it.edge.mqtt("dev1", cert=second[0], key=second[1], tls12=tls12).close()


def test_02_tokens():
    """a device gets in with a token of either key, made for the hub's name or for any name or address of the gateway's; one for another name is refused"""
    record = it.edge.create_child("sas1")
    it.sas1 = record["authentication"]["symmetricKey"]["primaryKey"]
    for key in (it.sas1, record["authentication"]["symmetricKey"]["secondaryKey"]):
        for host in (it.hub.hostname, it.edge.hostname, it.edge.hostname.upper(), "GW2.local", "10.1.2.3", "127.0.0.1:8883"):
            it.edge.mqtt("sas1", password=it.token("sas1", key, host=host)).close()
    for host in ("elsewhere.local", "10.1.2.4", "gw2.local.evil"):
        refused(5, "sas1", password=it.token("sas1", it.sas1, host=host))
        assert it.decisions()[-1] == ("sas1", "SAS_WRONG_RESOURCE"), it.decisions()[-1]


def test_03_modules():
    """modules of the edge device and of a child get in with their own keys and their messages arrive as theirs; at the gateway the device's key is as good, at the hub it is not"""
    for device, module in ((it.edge.device, "tempmod"), ("sas1", "mod1")):
        key = it.module(device, module)
        with it.edge.mqtt(device, module, password=it.token(device, key, module)) as m:
            m.publish(topic(device, "%24.on=out1", module), b"from " + module.encode())
        event = it.arrived("from " + module)
        assert event["annotations"]["iothub-connection-device-id"] == device and event["annotations"]["iothub-connection-module-id"] == module, event
    it.edge.mqtt("sas1", "mod1", password=it.token("sas1", key)).close()
    for module in (None, "mod1", "MOD1"):
        password = it.token("SAS1", it.sas1, module)
        with it.edge.mqtt("sas1", "mod1", password=password) as m:
            m.publish(topic("sas1", "by=device", "mod1"), b"by the device's key %s" % str(module).encode())
        assert it.arrived("by the device's key %s" % module)["annotations"]["iothub-connection-module-id"] == "mod1"
        try:
            it.hub.mqtt("sas1", "mod1", password=it.token("sas1", it.sas1, module)).close()
        except Refused as e:
            assert e.code == 5
        else:
            raise AssertionError("the hub let it in")
    for wrong in (it.token("sas1", key, "mod1"), it.token("sas1", it.sas1, "mod1")):
        refused(5, "sas1", password=wrong)
        assert it.decisions()[-1] == ("sas1", "SAS_WRONG_RESOURCE"), it.decisions()[-1]
    refused(5, "sas1", "mod1", password=it.token("sas1", new_key()))
    it.x509("byx509")
    it.module("byx509", "mod")
    refused(5, "byx509", "mod", password=it.token("byx509", new_key()))


def test_03_b_device_rekeyed():
    """a module that came in by its device's key is ended when the device has other keys, and one that came in by its own is not; nobody is when another device has"""
    record = it.edge.create_child("otherkeys")
    device_key = record["authentication"]["symmetricKey"]["primaryKey"]
    by_own, by_device, other = it.module("otherkeys", "own"), it.module("otherkeys", "bydevice"), it.key("bystander")
    it.module("bystander", "mod")
    own = it.edge.mqtt("otherkeys", "own", password=it.token("otherkeys", by_own, "own"))
    gone = it.edge.mqtt("otherkeys", "bydevice", password=it.token("otherkeys", device_key))
    bystander = it.edge.mqtt("bystander", "mod", password=it.token("bystander", other))
    it.change("otherkeys", authentication={"type": "sas", "symmetricKey": {"primaryKey": new_key(), "secondaryKey": new_key()}})
    assert gone.closed()
    refused(5, "otherkeys", "bydevice", password=it.token("otherkeys", device_key))
    for m, device, module in ((own, "otherkeys", "own"), (bystander, "bystander", "mod")):
        m.publish(topic(device, module=module), b"goes on " + device.encode())
        m.close()
        it.arrived("goes on " + device)


def test_03_c_silence():
    """a client that is silent is ended when one and a half times its keep-alive is over, and not before"""
    with it.edge.mqtt("sas1", password=it.token("sas1", it.sas1), keep_alive=1) as m:
        began = time.monotonic()
        assert m.closed() and time.monotonic() - began >= 1.45, time.monotonic() - began


def test_04_as_sent():
    """a message arrives with the properties, system properties and body with which the hub would have got it directly"""
    bags = ["", "a=1", "a=1/", "%24.mid=id%2D7&$.ct=application%2Fjson&k=", "a+b=c+d&e%20f=%2B", "flag", "%24.cid=c&%24.uid=u&x=%C3%BC", "%24.ct=application%2Fjson&%24.ce=utf-8",
            "n=" + "v" * 60000]
    bodies = [b"plain", b'{"t": 21.5}', b"", bytes(range(256)), "ü€".encode(), b"z" * 200000]
    key = it.hub.create_device("direct")["authentication"]["symmetricKey"]["primaryKey"]
    with it.hub.mqtt("direct", password=it.token("direct", key)) as direct, it.edge.mqtt("dev1", **it.dev1) as through:
        for bag in bags:
            for body in bodies:
                if len(bag) + len(body) < 256 * 1024:
                    direct.publish(topic("direct", bag), body)
                    through.publish(topic("dev1", bag), body)
        through.publish("devices/dev1/messages/events", b"the end")
    it.arrived("the end")
    was, got = it.events("direct"), [e for e in it.events("dev1") if e["body"] != "the end"]
    assert len(was) == len(bags) * len(bodies) and len(got) == len(was), (len(was), len(got))
    for a, b in zip(was, got):
        for part in ("properties", "systemProperties", "body"):
            assert a[part] == b[part], (part, str(a)[:500], str(b)[:500])


def test_05_order():
    """messages of several devices, hundreds in flight, are acknowledged and arrive in the order of each device"""
    n = 1000
    devices = ["order%d" % i for i in range(4)]
    clients = [it.edge.mqtt(d, password=it.token(d, it.key(d))) for d in devices]
    for d, m in zip(devices, clients):
        m.send(b"".join(publish_packet(topic(d, "n=%d" % i), b"order", id=i) for i in range(1, n + 1)))
    for m in clients:
        assert [struct.unpack("!H", m.receive()[1])[0] for _ in range(n)] == list(range(1, n + 1))
        m.close()
    for d in devices:
        wait_for(lambda: len(it.events(d)) >= n, "the messages of " + d, 30)
        assert [int(e["properties"]["n"]) for e in it.events(d)] == list(range(1, n + 1)), d


def test_06_qos0():
    """a message at QoS 0 arrives, too, in its place among those at QoS 1"""
    with it.edge.mqtt("dev1", **it.dev1) as m:
        for i in range(20):
            m.publish(topic("dev1", "q=%d" % i), b"mixed", qos=i % 2)
    wait_for(lambda: len([e for e in it.events("dev1") if e["body"] == "mixed"]) >= 20, "all of them")
    assert [int(e["properties"]["q"]) for e in it.events("dev1") if e["body"] == "mixed"] == list(range(20))


def test_07_will():
    """a will arrives when the connection breaks, and not after DISCONNECT; also one as large as MQTT allows"""
    m = it.edge.mqtt("dev1", will=(topic("dev1", "w=1"), b"unsaid", 1), **it.dev1)
    m.send(packet(0xe0))
    assert m.closed()
    it.edge.mqtt("dev1", will=(topic("dev1", "w=1"), b"last words", 1), **it.dev1).close()
    event = it.arrived("last words")
    assert event["properties"] == {"w": "1", "iothub-MessageType": "Will"}, event
    bag = "w=" + "v" * (65535 - len(topic("dev1")) - 2)
    it.edge.mqtt("dev1", will=(topic("dev1", bag), b"long words", 1), **it.dev1).close()
    with it.edge.mqtt("dev1", **it.dev1) as m:
        m.publish(topic("dev1"), b"after the long words")
    it.arrived("after the long words")
    assert not [e for e in it.events("dev1") if e["body"] == "unsaid"]


def test_08_retain():
    """a retained message arrives with mqtt-retain"""
    with it.edge.mqtt("dev1", **it.dev1) as m:
        m.send(publish_packet(topic("dev1"), b"retained", id=9, retain=True))
        assert m.receive()[0] == 0x40
    assert it.arrived("retained")["properties"] == {"mqtt-retain": "true"}


def test_08_b_sent_again():
    """a message that a device sends again arrives with mqtt-dup"""
    with it.edge.mqtt("dev1", **it.dev1) as m:
        m.send(publish_packet(topic("dev1", "a=1/"), b"again", id=9, dup=True))
        assert m.receive()[0] == 0x40
    assert it.arrived("again")["properties"] == {"a": "1", "mqtt-dup": "true"}


def test_09_new_device():
    """a device that was created a moment ago gets in at once, by one question to the hub"""
    before = len(it.decisions())
    it.edge.mqtt("brand-new", **it.x509("brand-new")).close()
    assert it.decisions()[before:] == [("brand-new", "OK")]


def test_10_rotated_thumbprint():
    """a device with a renewed certificate gets in at once, and the old one's live connection ends"""
    before = it.x509("rotating")
    with it.edge.mqtt("rotating", **before) as live:
        cert, key = it.pki.make("device", "rotating", file="rotated")
        it.change("rotating", authentication={"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint(cert), "secondaryThumbprint": None}})
        it.edge.mqtt("rotating", cert=cert, key=key).close()
        assert live.closed()
    refused(5, "rotating", **before)
    assert it.decisions()[-1] == ("rotating", "THUMBPRINT_MISMATCH")


def test_11_regenerated_key():
    """atk-12: a device with a new key gets in at once, and from then on a token of the old key does not"""
    old = it.key("rekeyed")
    it.edge.mqtt("rekeyed", password=it.token("rekeyed", old)).close()
    new = new_key()
    it.change("rekeyed", authentication={"type": "sas", "symmetricKey": {"primaryKey": new, "secondaryKey": new_key()}})
    it.edge.mqtt("rekeyed", password=it.token("rekeyed", new)).close()
    refused(5, "rekeyed", password=it.token("rekeyed", old))
    assert it.decisions()[-1] == ("rekeyed", "SAS_BAD_SIGNATURE")


def test_12_disabled():
    """atk-25: a device that is disabled loses its live connection at the gateway, as do its modules, and others go on"""
    key = it.key("off")
    module_key = it.module("off", "mod1")
    with it.edge.mqtt("off", password=it.token("off", key)) as live, it.edge.mqtt("dev1", **it.dev1) as other, \
         it.edge.mqtt("off", "mod1", password=it.token("off", module_key, "mod1")) as module:
        live.publish(topic("off"), b"while it may")
        it.arrived("while it may")
        it.change("off", status="disabled")
        assert live.closed() and module.closed()
        other.publish(topic("dev1"), b"goes on")
        it.arrived("goes on")
    refused(5, "off", password=it.token("off", key))
    assert it.decisions()[-1] == ("off", "DEVICE_DISABLED")
    it.change("off", status="enabled")


def test_13_deleted():
    """a device that is deleted loses its live connection at the gateway"""
    key = it.key("gone")
    with it.edge.mqtt("gone", password=it.token("gone", key)) as live:
        live.publish(topic("gone"), b"before it went")
        it.arrived("before it went")
        it.delete("gone")
        assert live.closed()
    refused(5, "gone", password=it.token("gone", key))
    assert it.decisions()[-1] == ("gone", "DEVICE_UNKNOWN")


def test_14_given_up():
    """atk-25: the messages that wait for the hub when their device is disabled, deleted or made again are given up and said so; those of others arrive"""
    keys = {d: it.key(d) for d in ("wait-off", "wait-gone", "wait-again", "wait-good")}
    for d, key in keys.items():
        it.edge.mqtt(d, password=it.token(d, key)).close()
    it.cut_off()
    for i in range(10):
        for d, key in keys.items():
            with it.edge.mqtt(d, password=it.token(d, key)) as m:
                m.publish(topic(d), ("%s %d" % (d, i)).encode())
    it.change("wait-off", status="disabled")
    it.delete("wait-gone")
    it.delete("wait-again")
    again = it.key("wait-again")
    it.reconnect()
    for d in ("wait-off", "wait-gone", "wait-again"):
        assert "10 messages of %s are given up" % d in it.said("messages of %s are given up" % d, 90)
    for i in range(10):
        it.arrived("wait-good %d" % i)
    with it.edge.mqtt("wait-again", password=it.token("wait-again", again)) as m:
        m.publish(topic("wait-again"), b"of the new one")
    it.arrived("of the new one")
    for d in ("wait-off", "wait-gone"):
        assert not it.events(d), it.events(d)
    assert [e["body"] for e in it.events("wait-again")] == ["of the new one"], it.events("wait-again")


def test_15_out_of_scope():
    """a device of the hub that is not below this gateway is refused with DEVICE_OUT_OF_SCOPE, as often as it tries, until it is"""
    key = it.hub.create_device("elsewhere")["authentication"]["symmetricKey"]["primaryKey"]
    for _ in range(3):
        refused(5, "elsewhere", password=it.token("elsewhere", key))
        assert it.decisions()[-1] == ("elsewhere", "DEVICE_OUT_OF_SCOPE"), it.decisions()[-1]
    it.change("elsewhere", deviceScope=it.edge.scope)
    it.edge.mqtt("elsewhere", password=it.token("elsewhere", key, expires=int(time.time()) + 1800)).close()  # another token: it is asked for again
    it.change("elsewhere", deviceScope="")


def test_16_names():
    """the server certificate stands for hostname and each further name and address, and for no other"""
    for name in ("edgegateway.local", "gw2.local", "10.1.2.3", "127.0.0.1"):
        it.edge.mqtt("dev1", name=name, **it.dev1).close()
    for name in ("gw3.local", "10.1.2.4", "contosoiothub.local"):
        try:
            it.edge.mqtt("dev1", name=name, **it.dev1)
        except ssl.SSLCertVerificationError:
            continue
        raise AssertionError("the gateway proved to be " + name)


def test_17_take_over():
    """a newer connection of a device ends the older one, and its will is sent"""
    first = it.edge.mqtt("dev1", will=(topic("dev1"), b"taken over", 0), **it.dev1)
    second = it.edge.mqtt("dev1", **it.dev1)
    assert first.closed()
    second.publish(topic("dev1"), b"newest")
    it.arrived("taken over")
    second.close()
    assert "SESSION_TAKEN_OVER" in [r for _, r in it.decisions()]


def test_18_gateway_is_restarted():
    """a gateway that is killed is started again on its port, and what was acknowledged before arrives"""
    port = it.edge.mqtt_port
    with it.edge.mqtt("dev1", **it.dev1) as m:
        for i in range(50):
            m.publish(topic("dev1", "k=%d" % i), b"before the kill")
    os.kill(it.edge.role("gateway"), signal.SIGKILL)

    def connect():
        try:
            return it.edge.mqtt("dev1", **it.dev1)
        except OSError:
            return None
    with wait_for(connect, "the gateway on port %d again" % port, 30) as m:
        m.publish(topic("dev1"), b"after the kill")
    it.arrived("after the kill")
    assert {int(e["properties"]["k"]) for e in it.events("dev1") if e["body"] == "before the kill"} == set(range(50))


def test_19_many():
    """a scope of more devices than a page and a part of its file is learnt, kept and read again"""
    n = 1100
    context = ssl.create_default_context(cafile=it.pki.root)
    context.check_hostname = False
    hub = http.client.HTTPSConnection("127.0.0.1", it.hub.https_port, context=context, timeout=20 * SLOW)
    authorization = sas(it.hub.hostname, it.hub.policy(), policy="iothubowner", encode=False)
    for j in range(n):
        record = {"deviceId": "many%d" % j, "deviceScope": it.edge.scope, "authentication": {"type": "sas", "symmetricKey": {"primaryKey": it.sas1, "secondaryKey": it.sas1}}}
        hub.request("PUT", "/devices/many%d?api-version=2021-04-12" % j, json.dumps(record), {"Authorization": authorization, "Content-Type": "application/json"})
        answer = hub.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
    it.edge.stop()
    it.edge.start()
    it.known(n)
    it.hub.stop()
    it.edge.stop()
    it.edge.start()
    for j in (0, 499, 500, 1099):
        it.edge.mqtt("many%d" % j, password=it.token("many%d" % j, it.sas1)).close()
    it.hub.start()


def test_98_stop_while_sending():
    """a gateway that is stopped right after a message has its position kept and nothing broken"""
    with it.edge.mqtt("dev1", **it.dev1) as m:
        for i in range(200):
            m.publish(topic("dev1"), b"at the end")
        it.arrived("at the end")
    assert it.edge.stop() == 0
    assert "does not end, it is killed" not in it.edge.log_text()


def test_99_stop():
    """all end in order"""
    it.stop()


if __name__ == "__main__":
    run_all(globals())
