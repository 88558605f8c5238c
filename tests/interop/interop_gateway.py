#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unmodified device SDKs below the gateway by every way to prove who they are: telemetry, methods, twin and commands go through, also after the gateway or the hub was away, without
a word from the program that uses the SDK (gateway 8.1; interop.py says how the names and ports come about)."""
import os, subprocess, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from interop import GATEWAY, GATEWAY_TOO, HERE, HUB, MODULES, Story, enter_namespaces
from rootedge_test import *

story = scope = None
clients = {}


class Program:
    """A script of node, which is told a line at a time and says one, for which it has its time; it goes at the end of `with`."""
    n_begun = 0

    def __init__(self, name, script, **env):
        Program.n_begun += 1
        self.name, self.log = name, story.folder / ("node-%s-%d.log" % (name, Program.n_begun))
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(["node", os.path.join(HERE, script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=dict(
                os.environ, NODE_PATH=os.path.join(MODULES, "node_modules"), NODE_EXTRA_CA_CERTS=story.pki.root, CA=story.pki.root, HUB=HUB, GATEWAY=GATEWAY, **env))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def says(self, seconds=100):
        timer = threading.Timer(seconds * SLOW, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        with open(self.log) as f:
            assert line, "%s: %s" % (self.name, f.read()[-3000:] or "no answer in time")
        return json.loads(line)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


class Client(Program):
    """gateway.js, which does a round for each line."""

    def __init__(self, device, **env):
        super().__init__(device, "gateway.js", DEVICE=device, CONNECTION_STRING=story.connection_string, EDGE_LOG=story.edge.log_path,
                         TOKEN=sas(HUB, story.policy_key(), policy="iothubowner", encode=False), **env)


def rounds(line="round"):
    """All of them at once, each to its end."""
    for c in clients.values():
        c.tell(line)
    for c in clients.values():
        c.n = getattr(c, "n", 0) + 1
        assert c.says() == {"round": c.n}, c.name


def child(id, **more):
    status, _, body = story.rest("PUT", "/devices/" + id, dict({"deviceId": id, "deviceScope": scope}, **more))
    assert status == 200, body
    return body


def test_1_start():
    """a hub, an edge device, and devices below it by key, by a certificate in either slot, and by a CA; a module with its own key, and one with its device's; and devices that know the gateway alone, by a further name
    and by its address"""
    global story, scope
    story = Story()
    scope = story.start_edge('names = ["%s", "127.0.0.3"]\n' % GATEWAY_TOO)
    key = lambda record: record["authentication"]["symmetricKey"]["primaryKey"]
    leaf_key = key(child("leaf-key"))
    clients["key"] = Client("leaf-key", MODE="sas", KEY=leaf_key)
    module = story.rest("PUT", "/devices/leaf-key/modules/mod", {"deviceId": "leaf-key", "moduleId": "mod"})[2]
    clients["module"] = Client("leaf-key", MODE="sas", MODULE="mod", KEY=key(module))
    assert story.rest("PUT", "/devices/leaf-key/modules/bydevice", {"deviceId": "leaf-key", "moduleId": "bydevice"})[0] == 200
    clients["by device"] = Client("leaf-key", MODE="sas", MODULE="bydevice", KEY=leaf_key)
    for device, name in (("leaf-name", GATEWAY_TOO), ("leaf-address", "127.0.0.3")):
        clients[device] = Client(device, MODE="sas", NAME=name, KEY=key(child(device)))
    spare = thumbprint(story.pki.make("device", "spare")[0])
    for slot in ("primary", "secondary"):
        cert, cert_key = story.pki.make("device", "leaf-" + slot)
        prints = dict({"primaryThumbprint": spare, "secondaryThumbprint": spare}, **{slot + "Thumbprint": thumbprint(cert)})
        child("leaf-" + slot, authentication={"type": "selfSigned", "x509Thumbprint": prints})
        clients[slot] = Client("leaf-" + slot, MODE="x509", CERT=cert, CERT_KEY=cert_key)
    ca, _ = story.pki.make("intermediate", "Factory", file="factory")
    with open(ca) as f:
        status, _, made = story.rest("PUT", "/certificates/factory", {"properties": {"certificate": f.read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n", "isVerified": True}})
    assert status == 200, made
    child("leaf-ca", authentication={"type": "certificateAuthority"})
    cert, cert_key = story.pki.make("device", "leaf-ca", issuer="factory")
    clients["ca"] = Client("leaf-ca", MODE="x509", CERT=cert, CERT_KEY=cert_key)


def test_2_round():
    """telemetry, methods, twin and commands of each go through the gateway"""
    rounds()
    for c in clients.values():
        wait_for(lambda: story.events_of(c.name), "the event of " + c.name, 30)


def test_3_renewed():
    """after a renewal of its token, which subscribes to nothing again, a client is served as before"""
    for name in ("key", "module"):
        clients[name].tell("renew")
        clients[name].n += 1
        assert clients[name].says() == {"round": clients[name].n}


def test_4_gateway_killed():
    """after the gateway was killed, subscriptions still work"""
    os.kill(int(story.edge.roles()["gateway"]["Pid"]), 9)
    rounds()


def test_5_hub_restarted():
    """after the hub was restarted, subscriptions still work"""
    story.hub.stop()
    story.hub.start()
    rounds()


def see(name, **wanted):
    """The version under which the program has these desired properties."""
    clients[name].tell("see " + json.dumps(wanted))
    return clients[name].says()["version"]


def test_6_desired_at_the_gateway():
    """what is desired at the gateway while the hub is away comes to the program, and so does what becomes of it when the hub is back"""
    story.hub.stop()
    for name, who in (("key", "leaf-key"), ("module", "leaf-key/mod")):
        subprocess.run([ROOTEDGE, "gateway", "twin", "set", who, '{"local": {"rate": 7}}', "--state", str(story.folder / "edge")], check=True, capture_output=True, timeout=60 * SLOW)
    away = {name: see(name, local={"rate": 7}) for name in ("key", "module")}
    story.hub.start()
    for name, path in (("key", "leaf-key"), ("module", "leaf-key/modules/mod")):
        assert story.rest("PATCH", "/twins/" + path, {"properties": {"desired": {"merged": 1}}})[0] == 200
        both = see(name, local={"rate": 7}, merged=1)
        assert story.rest("PATCH", "/twins/" + path, {"properties": {"desired": {"local": {"rate": 8}}}})[0] == 200
        assert away[name] < both < see(name, local={"rate": 8}, merged=1)


def test_7_out_of_scope():
    """a device that is not below this gateway, and one with a wrong key, are refused as UnauthorizedError"""
    other = story.rest("PUT", "/devices/elsewhere", {"deviceId": "elsewhere"})[2]
    assert Client("elsewhere", MODE="sas", KEY=other["authentication"]["symmetricKey"]["primaryKey"], EXPECT="refused").says() == {"refused": True}
    assert Client("leaf-key", MODE="sas", KEY=new_key(), EXPECT="refused").says() == {"refused": True}


def test_99_end():
    """everything stops in order"""
    for c in clients.values():
        c.tell("end")
    for c in clients.values():
        assert c.says() == {"rounds": c.n}
        assert c.process.wait(20 * SLOW) == 0
    assert story.edge.stop() == 0
    story.hub.stop()
    story.folder.__exit__()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "inside":
        sys.argv.pop(1)
        run_all(globals())
    enter_namespaces(os.path.abspath(__file__))
