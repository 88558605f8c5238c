# SPDX-License-Identifier: Apache-2.0
"""An edge device whose roles are started one by one, with what `rootedge edge` told them, and without its sandbox: so that they can be counted."""
import http.client, json, os, shutil, socket, subprocess, sys, time as clock

from measure import Callgrind, cpu_us
from servers import ROOT, on_first_core
import rootedge_test
from rootedge_test import Edge, Folder, Hub, Pki, Service

ORDER = ("keyd", "certd", "identityd", "edged", "gateway")


class UnixConnection(http.client.HTTPConnection):
    """One that stays, as a module's does."""

    def __init__(self, path):
        super().__init__("local")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None):
        self.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"} if body else {})
        answer = self.getresponse()
        text = answer.read()
        if answer.status == 503:
            raise http.client.HTTPException("not yet: %s" % text)
        if answer.status >= 400:
            sys.exit("bench: %s %s: %d %s" % (method, path, answer.status, text))
        return json.loads(text) if text else None


class Role:
    def __init__(self, name, command, counted, folder):
        self.name, self.counted = name, counted
        self.out = folder / ("count-" + name)
        prefix = ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + self.out, "-q"] if counted else []
        self.service = Service(folder, name, *command[1:], program=[*prefix, command[0]], wait=False)
        self.service.ready = self.service.wait_ready(200)  # counted, on a busy machine

    @property
    def pid(self):
        return self.service.process.pid

    def stop(self):
        self.service.process.terminate()
        self.service.process.wait()


class EdgeDevice:
    """Hub and edge device; `split` stops the latter and starts its roles again, each by itself."""

    def __init__(self, log="error", hub_args=(), **kw):
        os.environ["ROOTEDGE_LOG"] = log
        self.folder = Folder()
        os.chmod(self.folder.path, 0o700)  # no role has a user of its own: we are each of their modules
        with on_first_core():
            self.hub = Hub(self.folder, Pki(self.folder), "contosoiothub.local", *hub_args)
            self.edge = Edge(self.folder, self.hub, **kw)
        self.roles = {}
        self.learn()

    def learn(self):
        """What the roles are told, of those that run; each start has sockets of its own."""
        self.commands = {}
        for name in ORDER:
            with open("/proc/%d/cmdline" % self.edge.role(name)) as f:
                words = f.read().split("\0")[:-1]
            at = words.index("--ready-fd")
            self.commands[name] = [os.path.realpath(words[0])] + words[1:at] + words[at + 2:]
        with open(self.config("edged")) as f:
            self.module = next(m for m in json.load(f)["modules"] if m["id"] == "$edgeHub")
        self.generation = self.hub.rest("GET", "/devices/%s/modules/$edgeHub" % self.edge.device)[2]["generationId"]

    def config(self, name):
        words = self.commands[name]
        return words[words.index("--config") + 1]

    @property
    def pids(self):
        return {name: self.edge.role(name) for name in ORDER} if not self.roles else {name: r.pid for name, r in self.roles.items()}

    def split(self, counted=(), gateway=None, options=()):
        """`gateway`: another executable of it; `options`: what it is told beside the rest."""
        self.join()
        with on_first_core():
            for name in ORDER:
                command = [gateway or self.commands[name][0]] + self.commands[name][1:] + list(options) if name == "gateway" else self.commands[name]
                self.roles[name] = Role(name, command, name in counted, self.folder)

    def join(self):
        if not self.roles and self.edge.process.poll() is None:
            self.edge.stop()
        for role in reversed(self.roles.values()):
            role.stop()
        self.roles = {}

    def hub_connections(self):
        """How many are open to the hub, by the kernel's table."""
        with open("/proc/net/tcp") as f:
            rows = [l.split() for l in f.readlines()[1:]]
        ports = ["%04X" % p for p in (self.hub.https_port, self.hub.mqtt_port)]
        return sum(r[3] == "01" and r[1][-4:] in ports for r in rows)

    def workload(self):
        return UnixConnection(self.module["socket"])

    def server_certificate(self, connection):
        return connection.ask("POST", "/modules/edgeHub/genid/%s/certificate/server?api-version=2019-01-30" % self.generation,
                              {"commonName": self.edge.hostname, "expiration": clock.strftime("%Y-%m-%dT00:00:00Z", clock.gmtime(clock.time() + 30 * 86400))})

    def close(self):
        self.join()
        self.hub.stop()
        self.folder.__exit__()


def count(roles, work, beside=()):
    """User instructions of each role, but for those functions."""
    counters = {name: Callgrind(role.pid) for name, role in roles.items() if role.counted}
    for c in counters.values():
        c.control("-z")
    work()
    return {name: c.read(*beside) for name, c in counters.items()}


def time(pids, work):
    """CPU microseconds of each role."""
    before = {name: cpu_us(pid) for name, pid in pids.items()}
    work()
    return {name: cpu_us(pid) - before[name] for name, pid in pids.items()}
