#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rootedge hub --fault`: late answers, broken connections, throttling and a wrong clock on purpose, for those who test against a hub."""
import http.client, os, ssl, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

folder = pki = key = None


def send(hub, body=b"x"):
    """A message over HTTPS."""
    return https(hub.https_port, "POST", "/devices/dev1/messages/events", body, {"Authorization": hub.device_token("dev1", key)}, ca=pki.root)


def faulty(spec):
    hub = Hub(folder, pki, "contosoiothub.local", "--fault", spec)
    return hub


def test_00_device():
    """a hub without faults registers a device"""
    global folder, pki, key
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    key = hub.create_device("dev1")["authentication"]["symmetricKey"]["primaryKey"]
    hub.stop()


def test_01_delay():
    """an acknowledgement and an answer come no earlier than the delay, and what was acknowledged is there"""
    hub = faulty("delay=300ms")
    with hub.mqtt("dev1", password=hub.device_token("dev1", key)) as m:
        begin = time.monotonic()
        m.publish("devices/dev1/messages/events/", b"late")
        assert time.monotonic() - begin >= 0.3
    begin = time.monotonic()
    assert hub.rest("GET", "/devices/dev1")[0] == 200
    assert time.monotonic() - begin >= 0.3
    begin = time.monotonic()
    assert send(hub, b"later")[0] == 204
    assert time.monotonic() - begin >= 0.3
    assert [e["body"] for e in hub.events()] == ["late", "later"], hub.events()
    hub.stop()


def test_02_throttle():
    """a throttled request is answered 429 with Retry-After, a throttled CONNECT with code 3"""
    hub = faulty("throttle=100%")
    status, headers, body = hub.rest("GET", "/devices/dev1")
    assert status == 429 and body["errorCode"] == 429001 and "Retry-After" in headers, (status, headers, body)
    assert send(hub)[0] == 429
    try:
        hub.mqtt("dev1", password=hub.device_token("dev1", key))
        raise AssertionError("let in")
    except Refused as e:
        assert e.code == 3, e
    hub.stop()


def test_03_drop():
    """a dropped message is not stored: its connection ends without an acknowledgement; a dropped request has no answer"""
    hub = faulty("drop=100%")
    before = len(hub.events())
    m = hub.mqtt("dev1", password=hub.device_token("dev1", key))
    try:
        m.publish("devices/dev1/messages/events/", b"lost")
        raise AssertionError("acknowledged")
    except (EOFError, OSError):
        pass
    for ask in (lambda: hub.rest("GET", "/devices/dev1"), lambda: send(hub)):
        try:
            ask()
            raise AssertionError("answered")
        except (OSError, http.client.HTTPException):
            pass
    assert len(hub.events()) == before and "SESSION_FAULT" in hub.log_text(), hub.log_text()
    hub.stop()


def test_04_disconnect():
    """each device's connection ends by itself"""
    hub = faulty("disconnect=300ms")
    m = hub.mqtt("dev1", password=hub.device_token("dev1", key))
    assert m.closed()
    hub.stop()


def test_05_clock():
    """a hub whose clock is two hours ahead finds the token of now expired"""
    hub = faulty("clock=+2h")
    try:
        hub.mqtt("dev1", password=hub.device_token("dev1", key))
        raise AssertionError("let in")
    except Refused as e:
        assert e.code == 5, e
    assert "SAS_EXPIRED" in hub.log_text()
    hub.stop()


def test_06_wrong():
    """a fault that there is none of is refused at the start, with what there is"""
    cert, cert_key = pki.make("server", "x", file="x")
    done = run("rootedge", "hub", "--state", folder / "y", "--hostname", "x", "--cert", cert, "--key", cert_key, "--fault", "noise=5%", check=False)
    assert done.returncode == 1 and "throttle=10%" in done.stderr, done


def test_07_stopped():
    """a hub that is stopped while answers are held back ends in order"""
    hub = faulty("delay=60s")
    late = http.client.HTTPSConnection("127.0.0.1", hub.https_port, context=ssl._create_unverified_context(), timeout=10)
    late.request("GET", "/devices/dev1?api-version=2021-04-12", headers={"Authorization": hub.service_token()})
    m = hub.mqtt("dev1", password=hub.device_token("dev1", key))
    m.send(publish_packet("devices/dev1/messages/events/", b"late"))
    hub.stop()
    late.close()


def test_99_stop():
    """the folder goes"""
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
