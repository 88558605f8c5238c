# SPDX-License-Identifier: Apache-2.0
"""A site: a hub, EdgeGateway with its gateway below it, and what the gateway's scenarios ask of both."""
import threading
from rootedge_test import *


class Proxy:
    """TCP passed through to port() while it is up: so the hub can be out of one gateway's reach and still be asked by us.  Silent, it takes connections and says
    nothing, as a router does that has lost its way; deaf, it loses what the hub answers; mute, what it is told."""

    def __init__(self, port):
        self.target, self.up, self.silent, self.deaf, self.mute, self.swallowed, self.pairs = port, True, False, False, False, 0, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            if self.silent:
                self.pairs.append((near,))
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.target())) if self.up else None
            except OSError:
                far = None
            if not far:
                near.close()
                continue
            pair = (near, far)
            self.pairs.append(pair)
            if not self.up:  # cut meanwhile, and this one was not seen
                self.shut(pair)
            for a, b in (pair, pair[::-1]):
                threading.Thread(target=self.copy, args=(a, b, a is far), daemon=True).start()

    def copy(self, a, b, is_answer):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                if not (self.deaf if is_answer else self.mute):
                    b.sendall(data)
                elif not is_answer:
                    self.swallowed += len(data)
        except OSError:
            pass
        Proxy.shut((a, b))

    @staticmethod
    def shut(pair):
        for s in pair:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Nothing goes through any more, also on what is open."""
        self.up = False
        for pair in self.pairs:
            self.shut(pair)
        self.pairs = []

    def fall_silent(self):
        self.cut()
        self.silent = True

    def mend(self):
        self.cut()
        self.up, self.silent, self.deaf, self.mute = True, False, False, False

    def close(self):
        """The thread ends before the descriptor is free, or it might take the connections of the next listener that has this number."""
        self.cut()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


def connections(port):
    """How many are open to this port of the machine."""
    with open("/proc/net/tcp") as f:
        rows = [l.split() for l in f.readlines()[1:]]
    return sum(r[1].endswith(":%04X" % port) and r[3] == "01" for r in rows)


def gateway_metric(edge, name, **labels):
    """The sum of those with these labels; 0 when there is none."""
    text = subprocess.run([ROOTEDGE, "gateway", "metrics", "--state", str(edge.state)], capture_output=True, text=True).stdout
    found = [l for l in text.splitlines() if l.startswith(name + "{") and all('%s="%s"' % kv in l for kv in labels.items())]
    return sum(float(l.rsplit(" ", 1)[1]) for l in found)


def reach_of_hub(edge):
    """What its gateway says: reachable, away, refuses; and what `rootedge edge status` makes of it: (exit status, its page)."""
    state = ["--state", str(edge.state)]
    said = subprocess.run([ROOTEDGE, "gateway", "status", "--json", *state], capture_output=True, text=True).stdout
    page = subprocess.run([ROOTEDGE, "edge", "status", *state], capture_output=True, text=True)
    return json.loads(said)["hub"]["reach"] if said else None, page.returncode, page.stdout


def beyond(edge):
    """What the parent of its gateway says of the hub: reachable, away, refuses, unknown; who has lost it; and for how many seconds."""
    said = json.loads(run("rootedge", "gateway", "status", "--json", "--state", edge.state, check=False).stdout)["hub"]["beyond"]
    return said["reach"], said["gateway"], said["for_s"]


def says_lost(edge, reach, by):
    """All that its gateway says of a hub that one above is without: its page, that of the device, its metrics; and it is ready."""
    wait_for(lambda: beyond(edge)[:2] == (reach, by), "%s to hear that %s has lost the hub" % (edge.device, by), 60)
    page = run("rootedge", "gateway", "status", "--state", edge.state).stdout
    assert "hub          out of reach" in page and "%s %s those above it" % (by, "has lost" if reach == "away" else "is refused by") in page and "If the hub stays away" in page, page
    assert reach_of_hub(edge)[:2] == ("reachable", 0) and "lost by %s above this one" % by in reach_of_hub(edge)[2], reach_of_hub(edge)
    wait_for(lambda: gateway_metric(edge, "rootedge_gateway_hub_away_seconds") > 0, "some time to pass")
    assert [gateway_metric(edge, "rootedge_gateway_" + name) for name in ("hub_reachable", "parent_reachable", "hub_refuses")] == [0, 1, 0]


def says_well(edge):
    wait_for(lambda: beyond(edge)[0] == "reachable", "%s to hear that the hub is back" % edge.device, 90)
    page = run("rootedge", "gateway", "status", "--state", edge.state).stdout
    assert "hub          reachable by way of" in page and "If the hub went away now" in page, page
    assert gateway_metric(edge, "rootedge_gateway_hub_reachable") == 1 and gateway_metric(edge, "rootedge_gateway_hub_away_seconds") == 0


def has_ended(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return ") Z " in f.read()
    except (FileNotFoundError, ProcessLookupError):
        return True


class Site:
    """Devices are children of the gateway: x509(id) and key(id) make one, each gives what Edge.mqtt() takes."""
    hub_args = ()

    def __init__(self, proxy=False, folder=None, **kw):
        self.folder = folder or Folder()
        self.pki = Pki(self.folder)
        self.hub = Hub(self.folder, self.pki, "contosoiothub.local", *self.hub_args)
        self.proxies = []
        self.https, self.mqtt_port = self.hub.https_port, self.hub.mqtt_port
        if proxy:
            self.proxies = [Proxy(lambda: self.hub.https_port), Proxy(lambda: self.hub.mqtt_port)]
            kw["upstream"] = [p.port for p in self.proxies]
        self.edge = Edge(self.folder, self.hub, **kw)

    def x509(self, id, secondary=None, **more):
        cert, key = self.pki.make("device", id)
        self.edge.create_x509_child(id, thumbprint(cert), secondary, **more)
        return {"cert": cert, "key": key}

    def key(self, id, **more):
        record = self.edge.create_child(id, **more)
        return record["authentication"]["symmetricKey"]["primaryKey"]

    def token(self, device, key, module=None, host=None, **kw):
        return sas("%s/devices/%s" % (host or self.hub.hostname, device if module is None else "%s/modules/%s" % (device, module)), key, **kw)

    def module(self, device, module):
        status, _, body = self.hub.rest("PUT", "/devices/%s/modules/%s" % (device, module), {"moduleId": module, "deviceId": device})
        assert status in (200, 201), body
        return body["authentication"]["symmetricKey"]["primaryKey"]

    def change(self, device, **fields):
        record = self.hub.rest("GET", "/devices/" + device)[2]
        for name, value in fields.items():
            record[name] = value
        status, _, body = self.hub.rest("PUT", "/devices/" + device, record, {"If-Match": "*"})
        assert status == 200, body
        return body

    def delete(self, device):
        status = self.hub.rest("DELETE", "/devices/" + device, headers={"If-Match": "*"})[0]
        assert status == 204, status

    def events(self, device=None, module=None):
        return [e for e in self.hub.events() if device is None or
                (e["annotations"]["iothub-connection-device-id"], e["annotations"].get("iothub-connection-module-id")) == (device, module)]

    def arrived(self, body, seconds=30):
        """The event with this body, once the hub has it."""
        return wait_for(lambda: [e for e in self.hub.events() if e["body"] == body], "%r at the hub" % (body,), seconds)[0]

    def decisions(self):
        """What the gateway decided about devices, oldest first: (who, reason); OK for yes."""
        found = []
        for line in self.edge.log_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record.get("role") != "gateway":
                continue
            v, violation = record.get("verdict"), record.get("violation")
            if v and v["question"].startswith("Is this really"):
                found.append((v["peer"], v["cause"]))
            elif violation:
                found.append((violation["who"], violation["reason"]))
        return found

    def said(self, text, seconds=20):
        """The log line of the edge with this in its message."""
        def look():
            for line in self.edge.log_text().splitlines():
                if text in line:
                    return line
        return wait_for(look, "%r in the log" % text, seconds)

    def known(self, n):
        """The gateway has its scope: at least n devices and modules."""
        def look():
            counts = [int(l.split('"message":"')[1].split()[0]) for l in self.edge.log_text().splitlines() if " are below this gateway" in l]
            return counts and counts[-1] >= n
        wait_for(look, "a scope of %d" % n)

    def kill_edge(self):
        """kill -9 of the edge with all of its roles, which end with it."""
        roles = [self.edge.role(r) for r in ("keyd", "certd", "identityd", "edged", "gateway")]
        self.edge.kill9()
        for pid in filter(None, roles):
            wait_for(lambda: has_ended(pid), "the end of the roles")

    def cut_off(self):
        for p in self.proxies:
            p.cut()

    def fall_silent(self):
        for p in self.proxies:
            p.fall_silent()

    def reconnect(self):
        for p in self.proxies:
            p.mend()

    def stop(self):
        self.edge.stop()
        self.hub.stop()
        for p in self.proxies:
            p.close()
        self.folder.__exit__()
