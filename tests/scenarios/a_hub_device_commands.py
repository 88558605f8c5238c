#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Commands that devices ask for over HTTPS: each under a lock, completed, rejected, abandoned, or given back when the lock ends; beside a session on MQTT; across a kill -9."""
import datetime, os, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = None
tokens = {}
shift = 0
LOCK_S, DELIVERIES = 60, 10


def later(seconds):
    """The wall clock of the hub goes on."""
    global shift
    shift += seconds
    with open(folder / "clock.new", "w") as f:
        f.write(str(shift))
    os.rename(folder / "clock.new", folder / "clock")
    if hub:
        wait_for(lambda: hub_time() >= time.time() + shift - 1, "the hub to look at its clock")


def hub_time():
    """As its errors have it."""
    when = hub.rest("GET", "/nothing")[2]["ExceptionMessage"].split("TimeStamp:")[1]
    return datetime.datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp()


def test_00_start():
    """a hub with devices and a module starts"""
    global hub, folder
    folder = Folder()
    later(0)
    hub = Hub(folder, Pki(folder), "contosoiothub.local", env={"ROOTEDGE_CLOCK_FILE": folder / "clock"})
    for id in ("dev1", "dev2"):
        tokens[id] = hub.device_token(id, hub.create_device(id)["authentication"]["symmetricKey"]["primaryKey"], expires=int(time.time()) + 86400)
    module = hub.rest("PUT", "/devices/dev1/modules/m1", {"deviceId": "dev1", "moduleId": "m1"})[2]
    tokens["dev1/modules/m1"] = hub.device_token("dev1/modules/m1", module["authentication"]["symmetricKey"]["primaryKey"], expires=int(time.time()) + 86400)


def send(body=b"x", to="dev1", **headers):
    lines = {"iothub-" + name.replace("_", "-"): value for name, value in headers.items()}
    status, _, answer = hub.rest("POST", "/devices/%s/messages/devicebound" % to, body, lines, policy="service")
    assert status == 201, answer


def ask(method="GET", path="", who="dev1", headers=None, token=None):
    return https(hub.https_port, method, "/devices/%s/messages/devicebound%s" % (who, path), None, dict(headers or {}, Authorization=token or tokens[who]), ca=hub.pki.root)


def take(who="dev1"):
    """lock token, headers, body of the next one"""
    status, headers, body = ask(who=who)
    assert status == 200, (status, body)
    etag = headers["ETag"]
    assert etag[0] == etag[-1] == '"', etag
    return etag[1:-1], headers, body


def nothing(who="dev1"):
    status, _, body = ask(who=who)
    return status == 204 and not body


def complete(lock, who="dev1", **kw):
    assert ask("DELETE", "/%s?api-version=2021-04-12" % lock, who, {"If-Match": lock}, **kw)[0] == 204


def lost(method, path, who="dev1", **kw):
    status, headers, body = ask(method, path, who, **kw)
    assert (status, headers["iothub-errorcode"]) == (412, "DeviceMessageLockLost") and body["errorCode"] == 412002, (status, body)


def feedback():
    status, headers, records = hub.rest("GET", "/messages/serviceBound/feedback", policy="service")
    if status == 204:
        return None
    assert hub.rest("DELETE", "/messages/serviceBound/feedback/" + headers["ETag"].strip('"'), policy="service")[0] == 204
    return [(r["originalMessageId"], r["statusCode"]) for r in records]


def told(*outcomes):
    """This is the feedback, after the time that a record waits for others."""
    later(16)
    records = wait_for(feedback, "feedback")
    assert records == list(outcomes), records


def test_01_receive():
    """a command comes with its body, its properties, its number and its lock; completed, it is gone"""
    send(b"turn", messageid="m1", correlationid="c1", userid="u1", ack="full", app_Speed="3 km/h", app_odd="a=b&c%")
    lock, headers, body = take()
    assert body == b"turn" and len(lock) == 36, (body, lock)
    want = {"iothub-messageid": "m1", "iothub-correlationid": "c1", "iothub-userid": "u1", "iothub-ack": "full", "iothub-app-speed": "3 km/h", "iothub-app-odd": "a=b&c%",
            "iothub-to": "/devices/dev1/messages/devicebound", "iothub-deliverycount": "1"}
    assert {k: headers[k] for k in want} == want, headers.items()
    assert int(headers["iothub-sequencenumber"]) > 0 and headers["iothub-enqueuedtime"].endswith("Z") and "iothub-expiry" not in headers
    assert nothing()  # it is locked
    complete(lock)
    lost("DELETE", "/" + lock)
    assert nothing()
    told(("m1", "Success"))


def test_02_order():
    """commands come in order, several locked at a time, and each lock settles its own"""
    for n in range(3):
        send(b"%d" % n)
    taken = [take() for _ in range(3)]
    assert [t[2] for t in taken] == [b"0", b"1", b"2"] and len({t[0] for t in taken}) == 3
    complete(taken[1][0])
    assert ask("POST", "/%s/abandon?api-version=2021-04-12" % taken[0][0], headers={"If-Match": '"%s"' % taken[0][0]})[0] == 204
    lock, headers, body = take()
    assert (body, headers["iothub-deliverycount"]) == (b"0", "2")
    complete(lock)
    complete(taken[2][0])
    assert nothing()


def test_03_reject():
    """a rejected command is gone, and its sender hears of it; Node's bare word and others' value"""
    for word in ("reject", "reject=true"):
        send(messageid=word, ack="negative")
        assert ask("DELETE", "/%s?%s&api-version=2021-04-12" % (take()[0], word))[0] == 204
        assert nothing()
        told((word, "Rejected"))


def test_04_lock():
    """a lock that ends is lost, its command comes again, ten times; then it is given up"""
    send(messageid="often", ack="negative")
    for n in range(DELIVERIES):
        lock, headers, _ = take()
        assert headers["iothub-deliverycount"] == str(n + 1)
        assert nothing()
        later(LOCK_S + 1)
        lost("DELETE", "/" + lock)
        lost("POST", "/%s/abandon" % lock)
    assert nothing()
    told(("often", "DeliveryCountExceeded"))


def test_05_whose():
    """a lock settles nothing for another device, for a module, or when the header names another; nor does one that was made up"""
    send()
    lock, _, _ = take()
    lost("DELETE", "/" + lock, "dev2")
    lost("DELETE", "/" + lock, "dev1/modules/m1")
    lost("DELETE", "/" + lock, headers={"If-Match": "another"})
    assert ask("DELETE", "/" + lock, token=tokens["dev2"])[0] == 401
    for made_up in ("1", "%00", "' OR 1=1", "x" * 4000, "..", "%F0%9F%98%80"):
        status = ask("DELETE", "/" + urllib.parse.quote(made_up, safe="%"))[0]
        assert status in (404, 412), (made_up, status)
    complete(lock)


def test_06_module():
    """a module's commands are its own"""
    send(b"for m1", to="dev1/modules/m1")
    assert nothing()
    lock, headers, body = take("dev1/modules/m1")
    assert body == b"for m1" and headers["iothub-to"] == "/devices/dev1/modules/m1/messages/devicebound"
    complete(lock, "dev1/modules/m1")
    assert nothing("dev1/modules/m1")


def test_07_beside_mqtt():
    """what is locked over HTTPS is not pushed over MQTT until it is abandoned; what MQTT has is not given out over HTTPS"""
    send(b"one")
    lock, _, _ = take()
    with hub.mqtt("dev1", password=tokens["dev1"]) as m:
        m.send(subscribe_packet([("devices/dev1/messages/devicebound/#", 1)]))
        assert m.receive()[0] == 0x90
        send(b"two")
        kind, push = m.receive()
        assert kind & 0xf0 == 0x30 and push.endswith(b"two")
        assert nothing()
        assert ask("POST", "/%s/abandon" % lock)[0] == 204
        kind, again = m.receive()
        assert kind & 0xf0 == 0x30 and again.endswith(b"one")
        for p in (push, again):
            at = 2 + struct.unpack("!H", p[:2])[0]
            m.send(packet(0x40, p[at:at + 2]))
        wait_for(lambda: hub.rest("GET", "/devices/dev1")[2]["cloudToDeviceMessageCount"] == 0, "an empty queue")
    assert nothing()


def test_08_storm():
    """many that ask at once: each command is had by one of them"""
    for n in range(40):
        send(b"%d" % n, to="dev2")
    got = []

    def worker():
        while True:
            status, headers, body = ask(who="dev2")
            if status == 204:
                return
            got.append(int(body))
            complete(headers["ETag"].strip('"'), "dev2")

    workers = [threading.Thread(target=worker) for _ in range(6)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert sorted(got) == list(range(40)), got


def test_09_kill():
    """after kill -9 a lock is still one, what was completed does not come again, and what was not does"""
    send(b"done")
    send(b"locked")
    send(b"waits")
    complete(take()[0])
    lock, _, body = take()
    assert body == b"locked"
    hub.kill9()
    hub.start()
    assert take()[2] == b"waits"
    complete(lock)
    later(LOCK_S + 1)
    lock, headers, body = take()
    assert (body, headers["iothub-deliverycount"]) == (b"waits", "2")
    complete(lock)
    assert nothing()


def test_10_end():
    """the hub stops in order"""
    hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
