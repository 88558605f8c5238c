# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared, each in the way that it is meant to let in exactly the devices of the fleet.  A new one needs a command, a port, and prepare()."""
import contextlib, http.client, json, os, re, shutil, socket, ssl, subprocess, sys, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import rootedge_test
from rootedge_test import Folder, Mqtt, Pki, parent_death, parse_connection_string, run, sas, username, wait_for
from measure import Callgrind, cpu_us

HOST = "localhost"
LOAD_TOOL = os.path.join(ROOT, "build", "bench", "load")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def authentications(fleet, kind):
    """(id, what a hub is told of it) of each device; "mixed": every other one has a key, as bench/fleet.h says."""
    with open(fleet + "/thumbprints") as f, open(fleet + "/keys") as g:
        devices = [(*line.split(), key.split()[1]) for line, key in zip(f, g)]
    for i, (id, thumbprint, key) in enumerate(devices):
        if kind == "token" or (kind == "mixed" and i % 2):
            yield id, {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}
        elif kind in ("self", "mixed"):
            yield id, {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint, "secondaryThumbprint": ""}}
        else:
            yield id, {"type": "certificateAuthority"}


def register(state, hostname, https_port, roots, fleet, kind, **more):
    """The devices of the fleet at a hub, over one connection."""
    key = parse_connection_string(run("rootedge", "hub", "connection-string", "--state", state).stdout)["SharedAccessKey"]
    headers = {"Authorization": sas(hostname, key, policy="iothubowner", encode=False), "Content-Type": "application/json"}
    connection = http.client.HTTPSConnection("localhost", https_port, context=ssl.create_default_context(cafile=roots))
    for id, authentication in authentications(fleet, kind):
        connection.request("PUT", "/devices/%s?api-version=2021-04-12" % id, json.dumps(dict(more, deviceId=id, authentication=authentication)), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit("bench: registering %s: %s" % (id, text))
    connection.close()


@contextlib.contextmanager
def on_first_core():
    """What is started within stays on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


class Server:
    """One process on one core.  kind: which certificate its devices show, "self" (known by thumbprint), "chain" (issued by a CA, its intermediate sent too) or
    "leaf" (the same, sent alone)."""

    def __init__(self, fleet, kind="self", counted=False):
        self.folder, self.fleet, self.kind, self.port, self.roots = Folder(), fleet, kind, free_port(), fleet + "/root.pem"
        self.prepare()
        self.start(Callgrind.prefix(self.folder.path) if counted else [])
        self.let_in()

    server_name = HOST
    can_be_counted = True  # also where that means to start it under callgrind
    hub_host = HOST
    log_level = "error"
    helpers = {}  # other processes that work for it: name and id

    @property
    def target(self):
        return self.port, self.kind, self.server_name, self.hub_host, self.roots

    def prepare(self):
        """Files before the start."""

    def settle(self):
        """Wait until what it was given to do is done."""

    def let_in(self):
        """What has to be told to it before devices may come."""

    def start(self, prefix=()):
        command = [*prefix, *self.command()]
        print("$ " + " ".join(command), file=sys.stderr)
        log = open(self.folder / "log", "ab")
        began = time.perf_counter()
        with on_first_core():
            self.process = subprocess.Popen(command, preexec_fn=parent_death, env=dict(os.environ, ROOTEDGE_LOG=self.log_level), stdout=log, stderr=log)
        while not is_listening(self.port):
            if self.process.poll() is not None or time.perf_counter() - began > 60:
                sys.exit("bench: %s does not start:\n%s" % (self.name, open(self.folder / "log").read()))
        self.start_ms = (time.perf_counter() - began) * 1000
        self.pid = self.process.pid

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def restart(self):
        self.stop()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.folder.__exit__()


class Hub(Server):
    name = "hub"
    executable = os.path.join(ROOT, "build", "svc", "hub", "rootedge-hub")

    def prepare(self):
        self.https_port = free_port()

    def command(self):
        return [self.executable, "--state", self.folder / "hub", "--hostname", HOST, "--address", "127.0.0.1", "--mqtt-port", str(self.port), "--https-port", str(self.https_port),
                "--loops", "1", "--cert", self.fleet + "/server.cert.pem", "--key", self.fleet + "/server.key.pem", "--device-ca", self.fleet + "/cas.pem"]

    def let_in(self):
        register(self.folder / "hub", HOST, self.https_port, self.roots, self.fleet, self.kind)


class HubWithTwoLoops(Hub):
    name = "hub-two-loops"

    def command(self):
        return [*super().command(), "--loops", "2"]


class HubWatched(Hub):
    """Which tells at its end how long the longest turn of its loop was, and logs as it does by default."""
    name = "hub-watched"
    log_level = "info"

    def command(self):
        return [*super().command(), "--watch-turns"]

    def longest_turn_ms(self):
        self.stop()
        with open(self.folder / "log") as f:
            return max(float(ms) for ms in re.findall(r"the longest ([\d.]+) ms of CPU time", f.read()))


class Gateway(Server):
    """A gateway of an edge device below a hub; its key is in keyd.  Devices are the hub's children of that gateway, which has read all of them when it begins."""
    name = "gateway"
    can_be_counted = False  # the edge device starts it, in a sandbox

    def start(self, prefix=()):
        os.environ["ROOTEDGE_LOG"] = "error"
        with on_first_core():
            self.hub = rootedge_test.Hub(self.folder, Pki(self.folder))
            self.edge = rootedge_test.Edge(self.folder, self.hub)
        register(self.hub.state, self.hub.hostname, self.hub.https_port, self.hub.pki.root, self.fleet, self.kind, deviceScope=self.edge.scope)
        self.restart()

    def restart(self):
        with on_first_core():
            self.edge.stop()
            began = time.perf_counter()
            self.edge.start()
        self.start_ms = (time.perf_counter() - began) * 1000
        self.port, self.pid, self.roots = self.edge.mqtt_port, self.edge.role("gateway"), self.edge.trust_bundle()
        self.server_name, self.hub_host = self.edge.hostname, self.hub.hostname
        self.helpers = {role: self.edge.role(role) for role in ("keyd", "certd", "identityd", "edged")}

    def settle(self):
        spent = [0, cpu_us(self.pid)]
        while spent[-1] - spent[-2] > 5000:  # an idle one runs for less than 5 ms in this time
            time.sleep(0.3)
            spent.append(cpu_us(self.pid))

    def stop(self):
        self.edge.stop()
        self.hub.stop()


class Mosquitto(Server):
    """Debian's broker.  Self-signed devices come in because their certificates are its anchors: it has no other way of knowing them."""
    name = "mosquitto"
    executable = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    persistence = "persistence false\n"

    def prepare(self):
        with open(self.folder / "mosquitto.conf", "w") as f:
            f.write("per_listener_settings true\nlistener %d 127.0.0.1\ncafile %s\ncertfile %s/server.cert.pem\nkeyfile %s/server.key.pem\nrequire_certificate true\nuse_identity_as_username true\n"
                    "allow_anonymous false\nmax_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\nlog_type error\nuser root\n%s"
                    % (self.port, self.fleet + ("/cas.pem" if self.kind != "self" else "/devices.pem"), self.fleet, self.fleet, self.persistence))

    def command(self):
        return [self.executable, "-c", self.folder / "mosquitto.conf"]


class MosquittoUpstream(Server):
    """What a bridge sends to: a broker that takes messages over TLS from whoever comes, and keeps none."""
    name = "mosquitto-upstream"

    def prepare(self):
        self.plain_port = free_port()
        with open(self.folder / "mosquitto.conf", "w") as f:
            f.write("per_listener_settings true\nlistener %d 127.0.0.1\ncertfile %s/server.cert.pem\nkeyfile %s/server.key.pem\nallow_anonymous true\nset_tcp_nodelay true\n"
                    "listener %d 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\nlog_type error\nuser root\npersistence false\n"
                    % (self.port, self.fleet, self.fleet, self.plain_port))

    def command(self):
        return [Mosquitto.executable, "-c", self.folder / "mosquitto.conf"]


class MosquittoBridge(Mosquitto):
    """Which passes on what devices send, at QoS 1 over one connection with TLS, to a second broker; nothing is kept on disk."""
    name = "mosquitto-bridge"

    @property
    def persistence(self):
        self.upstream = MosquittoUpstream(self.fleet)
        return ("persistence false\nconnection up\naddress %s:%d\nbridge_cafile %s/root.pem\ntopic devices/# out 1\ncleansession true\nnotifications false\ntry_private false\nkeepalive_interval 600\n"
                % (HOST, self.upstream.port, self.fleet))

    def expect(self, n):
        """Wait with the returned call for n messages at the second broker, from now on."""
        subscriber = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-p", str(self.upstream.plain_port), "-q", "1", "-t", "devices/#", "-C", str(n), "-F", "%l", "-d"], stdout=subprocess.PIPE, text=True)
        for line in subscriber.stdout:
            if "SUBACK" in line or "Subscribed" in line:
                break
        drain = threading.Thread(target=subscriber.stdout.read)
        drain.start()
        return lambda: (subscriber.wait(600), drain.join())

    def stop(self):
        super().stop()
        self.upstream.stop()
        self.upstream.folder.__exit__()


class MosquittoKeeping(Mosquitto):
    """With a subscriber that is away, so that messages are kept, and the file written after every 100 changes: the nearest it has to a durable write."""
    name = "mosquitto-keeping"

    @property
    def persistence(self):
        self.plain_port = free_port()
        return ("persistence true\npersistence_location %s/\nautosave_on_changes true\nautosave_interval 100\nlistener %d 127.0.0.1\nallow_anonymous true\n" % (self.folder.path, self.plain_port))

    def let_in(self):
        wait_for(lambda: is_listening(self.plain_port), "the second listener", 60)
        subprocess.run(["mosquitto_sub", "-p", str(self.plain_port), "-i", "keeper", "-c", "-q", "1", "-t", "devices/#", "-E"], check=True)
