#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The one connection that carries a gateway's lines: through kill -9 of both ends, and withdrawn and given back with the trust in the gateway."""
import json, os, ssl, subprocess, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = clock = None
DEVICES = 6


def set_clock(offset):
    """In place: the roles' sandbox knows this file, and no other of its name."""
    with open(clock, "w") as f:
        f.write("%d\n" % offset)


def carriers():
    return gateway_metric(it.edge, "rootedge_gateway_carriers")


def n_opened():
    return gateway_metric(it.edge, "rootedge_gateway_carriers_opened_total")


def send(device, text):
    with it.edge.mqtt(device, password=it.token(device, it.keys[device], expires=int(time.time()) + 100000)) as m:
        m.publish("devices/%s/messages/events/" % device, text.encode())


class Wall:
    """HTTPS before the hub that answers `head` to an Upgrade and passes on everything else."""

    def __init__(self, head):
        self.head, self.n, self.listener = head, 0, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(it.folder / "hub.pem", it.folder / "hub.key")
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        try:
            with self.context.wrap_socket(raw, server_side=True) as near:
                first = near.recv(65536)
                if b"/strands?" in first.split(b"\r\n")[0]:
                    self.n += 1
                    near.sendall(b"HTTP/1.1 " + self.head.encode() + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    return
                with self.hub() as far:
                    far.sendall(first)
                    back = threading.Thread(target=self.copy, args=(far, near), daemon=True)
                    back.start()
                    self.copy(near, far)
                    back.join()
        except OSError:
            pass

    @staticmethod
    def hub():
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(socket.create_connection(("127.0.0.1", it.hub.https_port)))

    @staticmethod
    def copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        Proxy.shut((a, b))


def all_send(text):
    for d in it.keys:
        send(d, text + " of " + d)
    for d in it.keys:
        it.arrived(text + " of " + d, 90)


def is_carried():
    """The hub has one connection for all lines, but perhaps that of $edgeHub, which tries by itself while there is none."""
    wait_for(lambda: carriers() == 1 and connections(it.hub.mqtt_port) <= 1, "one connection", 60)


def lines_are(state, carried, alone, why=""):
    """What the operator reads of them."""
    def look():
        done = subprocess.run([ROOTEDGE, "gateway", "status", "--json", "--state", str(it.edge.state)], capture_output=True, text=True)
        lines = json.loads(done.stdout)["lines"]
        return lines["carriage"] == state and lines["carried"] >= carried and lines["alone"] >= alone and why in (lines["why"] or "")
    wait_for(look, "lines that are %s" % state, 30)
    metrics = subprocess.run([ROOTEDGE, "gateway", "metrics", "--state", str(it.edge.state)], capture_output=True, text=True).stdout.splitlines()
    assert [l for l in metrics if l.startswith("rootedge_gateway_carriage{") and 'state="%s"' % state in l and l.endswith(" 1")], metrics


def test_00_start():
    """a gateway and its devices, whose lines are on one connection"""
    global it, clock
    folder = Folder()
    clock = folder / "clock"
    set_clock(0)
    os.environ["ROOTEDGE_CLOCK_FILE"] = clock
    it = Site(proxy=True, folder=folder)
    it.keys = {"dev%d" % i: it.key("dev%d" % i) for i in range(DEVICES)}
    it.known(DEVICES)
    all_send("first")
    is_carried()
    lines_are("carried", DEVICES, 0)


def test_01_killed():
    """the hub is killed and the gateway is killed, while devices send: they are one connection again, and all has arrived once"""
    for round, of_hub in enumerate((True, False)):
        texts = ["killed %d, %d of %s" % (round, i, d) for i in range(10) for d in it.keys]
        for i, text in enumerate(texts):
            if i == len(texts) // 2 and of_hub:
                it.hub.kill9()
            send(text.rsplit(" ", 1)[1], text)
        if of_hub:
            it.hub.start()
        else:
            it.kill_edge()
            it.edge.start()
        for text in texts:
            it.arrived(text, 60)
        bodies = [e["body"] for e in it.hub.events()]
        assert [bodies.count(t) for t in texts] == [1] * len(texts)
        is_carried()


def test_02_withdrawn():
    """when the gateway is disabled in the hub its connection ends with all lines, and they are back when it is enabled"""
    it.change("EdgeGateway", status="disabled")
    wait_for(lambda: carriers() == connections(it.hub.mqtt_port) == 0, "the end of all")
    send("dev1", "while it is disabled")
    it.change("EdgeGateway", status="enabled")
    it.arrived("while it is disabled", 90)
    all_send("enabled")
    is_carried()


def test_03_renewed():
    """before its token ends another connection is made, the lines go over as they renew their own, and nothing is lost nor doubled on the way"""
    first, texts = n_opened(), []
    for minutes in (0, 48, 58, 70, 100, 125):
        set_clock(minutes * 60)
        for d in it.keys:
            texts.append("after %d minutes of %s" % (minutes, d))
            send(d, texts[-1])
        for text in texts[-DEVICES:]:
            it.arrived(text, 90)
    wait_for(lambda: carriers() == 1 and n_opened() > first, "another connection alone", 60)
    bodies = [e["body"] for e in it.hub.events()]
    assert [bodies.count(t) for t in texts] == [1] * len(texts)


def test_04_hub_without():
    """a hub without our extensions gets a connection for each line, and our own again one for all"""
    it.hub.args.append("--plain-scopes")
    it.hub.stop()
    it.hub.start()
    all_send("to the plain hub")
    assert connections(it.hub.mqtt_port) >= DEVICES
    lines_are("not_offered", 0, DEVICES, "404")
    it.hub.args.remove("--plain-scopes")
    it.hub.stop()
    it.hub.start()
    all_send("to ours again")
    is_carried()


def test_05_wall():
    """what refuses the one connection and lets everything else pass cuts off nobody: each line connects by itself, at once or after some tries"""
    wall, direct = Wall(None), it.proxies[0].target
    it.proxies[0].target = lambda: wall.port
    for wall.head in ("403 Forbidden", "503 Service Unavailable"):
        wall.n = 0
        it.cut_off()
        it.reconnect()
        all_send("through " + wall.head)
        wait_for(lambda: wall.n >= 1 and connections(it.hub.mqtt_port) > DEVICES, "the one connection to be asked for in vain", 100)
        lines_are("refused", 0, DEVICES, wall.head[:3])
    it.proxies[0].target = direct


def test_06_joins():
    """once the one connection can be had, lines that have one of their own come over to it by themselves, while their devices send: nothing is lost nor doubled"""
    texts, end = [], time.monotonic() + 120 * SLOW
    assert connections(it.hub.mqtt_port) > DEVICES
    while connections(it.hub.mqtt_port) > 0:
        assert time.monotonic() < end, "%d lines are still alone" % connections(it.hub.mqtt_port)
        texts += ["joins %d of %s" % (len(texts), d) for d in it.keys]
        for text in texts[-DEVICES:]:
            send(text.rsplit(" ", 1)[1], text)
        it.arrived(texts[-1], 60)
    wait_for(lambda: set(texts) <= {e["body"] for e in it.hub.events()}, "all of them")
    bodies = [e["body"] for e in it.hub.events()]
    assert [bodies.count(t) for t in texts] == [1] * len(texts)
    lines_are("carried", DEVICES, 0)


def test_07_black_hole():
    """a connection on which nothing comes through any more, though nobody has closed it, is given up within a minute, and what was sent meanwhile arrives once"""
    at = len(it.edge.log_text())
    for p in it.proxies:
        p.mute = p.deaf = True
    send("dev0", "into the black hole")
    wait_for(lambda: "the peer has fallen silent" in it.edge.log_text()[at:], "the connection to be given up", 75)
    lines_are("not_reached", 0, 0)
    it.reconnect()
    it.arrived("into the black hole", 90)
    is_carried()
    assert [e["body"] for e in it.hub.events()].count("into the black hole") == 1


def test_99_stop():
    """all of it stops"""
    it.stop()


if __name__ == "__main__":
    run_all(globals())
