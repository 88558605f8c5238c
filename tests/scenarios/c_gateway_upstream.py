#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway's way up: a hub that has too much to do is waited for as it asks, and all connections come back in their turn."""
import email.utils, os, ssl, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = None
DEVICES = 6
TOPIC = "devices/%s/messages/events/"


def gateway(*what):
    return subprocess.run([ROOTEDGE, "gateway", *what, "--state", str(it.edge.state)], capture_output=True, text=True).stdout


def hub_status():
    return json.loads(gateway("status", "--json"))["hub"]


def metric(name, **labels):
    return gateway_metric(it.edge, name, **labels)


def start_hub(*args):
    it.hub.stop()
    it.hub = it.edge.hub = Hub(it.folder, it.pki, it.hub.hostname, *args)


def stranger_comes(name):
    """Of one that it does not know the gateway asks the hub."""
    try:
        it.edge.mqtt(name, password=sas("%s/devices/%s" % (it.hub.hostname, name), new_key())).close()
    except Refused as e:
        return e.code


def comes(name, key):
    """Once the gateway has asked the hub again, which it may have been told to leave alone."""
    device, _, module = name.partition("/")

    def gets_in():
        try:
            return it.edge.mqtt(device, module or None, password=it.token(device, key, module or None))
        except Refused:
            return None
    return wait_for(gets_in, "%s to be known" % name, 30)


def send(device, text):
    with it.edge.mqtt(device, password=it.token(device, it.keys[device])) as m:
        m.publish(TOPIC % device, text.encode())


class Answers(threading.Thread):
    """HTTPS with the hub's name that says the same to whatever it is asked."""

    def __init__(self, head):
        super().__init__(daemon=True)
        self.head, self.n, self.listener = head, 0, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(it.folder / "hub.pem", it.folder / "hub.key")
        self.start()

    def run(self):
        while True:
            try:
                with self.context.wrap_socket(self.listener.accept()[0], server_side=True) as s:
                    s.settimeout(5)
                    if s.recv(65536).startswith(b"POST"):
                        self.n += 1
                        s.sendall(b"HTTP/1.1 " + self.head().encode() + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            except ssl.SSLError:
                pass
            except OSError:
                return


def test_00_start():
    """a gateway and its devices, all of whom have a line to the hub"""
    global it
    it = Site(proxy=True)
    it.keys = {"dev%d" % i: it.key("dev%d" % i) for i in range(DEVICES)}
    it.known(DEVICES)
    for d in it.keys:
        send(d, "first of " + d)
    for d in it.keys:
        it.arrived("first of " + d)
    assert hub_status()["lines_waiting"] == 0


def test_01_throttled():
    """a hub that throttles: what devices send is kept, neither calls nor connections press on, and the operator reads it"""
    start_hub("--fault", "throttle=100%")
    for d in it.keys:
        send(d, "second of " + d)
    wait_for(lambda: hub_status()["lines_wait_s"] > 0, "a pause")
    wait_for(lambda: stranger_comes("stranger%d" % time.monotonic_ns()) == 3 and 0 < hub_status()["calls_wait_s"] <= 5, "a call that is put off")
    wait_for(lambda: metric("rootedge_gateway_hub_throttled_total", what="lines") >= 2, "more pauses")
    assert metric("rootedge_gateway_hub_throttled_total", what="lines") < 12
    page = gateway("status")
    assert "has too much to do" in page, page
    assert metric("rootedge_gateway_hub_throttled_total", what="calls") >= 1


def test_02_back():
    """when it has time again all of them come back by and by, and nothing is lost"""
    start_hub()
    for d in it.keys:
        it.arrived("second of " + d, 60)
    wait_for(lambda: hub_status()["lines_waiting"] == 0 and hub_status()["calls_wait_s"] == 0, "nobody to wait")
    it.keys["late"] = it.key("late")
    wait_for(lambda: stranger_comes("late2") == 5, "an answer")
    comes("late", it.keys["late"]).close()


def test_03_date():
    """Retry-After as a date, by a server whose clock is another: it is asked once, not again before the time, and then again"""
    when = time.time() + 86400

    def head():
        return "503 Service Unavailable\r\nDate: %s\r\nRetry-After: %s\r\n" % (email.utils.formatdate(when, usegmt=True), email.utils.formatdate(when + 4, usegmt=True))
    server, port = Answers(head), it.proxies[0].target
    begin = time.monotonic()
    it.proxies[0].cut()  # the connections that are kept, too
    it.proxies[0].target = lambda: server.port
    it.proxies[0].mend()
    wait_for(lambda: server.n > 0, "the first question")
    for i in range(3):
        assert stranger_comes("unknown%d" % i) in (3, 5)
    left = hub_status()["calls_wait_s"]
    if time.monotonic() - begin < 3:
        assert server.n == 1 and 0 < left <= 4, (server.n, left)
    wait_for(lambda: stranger_comes("unknown%d" % int(time.monotonic() * 1000)) in (3, 5) and server.n >= 2, "the next question")
    assert time.monotonic() - begin >= 3.5, time.monotonic() - begin
    it.proxies[0].target = port
    server.listener.close()


def test_04_gone():
    """devices and modules that come, listen, send and are deleted again leave no line behind"""
    before = metric("rootedge_gateway_lines")
    for round in range(2):
        keys = {"brief%d" % i: it.key("brief%d" % i) for i in range(4)}
        keys.update({"brief%d/m" % i: it.module("brief%d" % i, "m") for i in range(4)})
        open_ones = []
        for name, key in keys.items():
            m = comes(name, key)
            open_ones.append(m)
            m.send(subscribe_packet([("$iothub/methods/POST/#", 0), ("$iothub/twin/res/#", 0)]))
            m.receive()
            m.publish("devices/%s/messages/events/" % (name.replace("/", "/modules/")), ("round %d of %s" % (round, name)).encode())
        assert metric("rootedge_gateway_lines") >= before + 8
        for name in keys:
            it.arrived("round %d of %s" % (round, name))
        for i in range(4):
            it.delete("brief%d" % i)
        for m in open_ones:
            assert m.closed()
            m.close()
        wait_for(lambda: metric("rootedge_gateway_lines") <= before, "their lines to go", 30)


def test_05_one_connection():
    """all lines, $edgeHub's among them, are on one connection to the hub"""
    for d in it.keys:
        send(d, "carried of " + d)
    for d in it.keys:
        it.arrived("carried of " + d)
    assert metric("rootedge_gateway_lines") > DEVICES
    wait_for(lambda: (metric("rootedge_gateway_carriers"), connections(it.hub.mqtt_port)) == (1, 0), "one connection", 40)


def test_99_stop():
    """all of it stops"""
    it.stop()


if __name__ == "__main__":
    run_all(globals())
