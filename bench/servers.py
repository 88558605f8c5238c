# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared, each in the way that it is meant to let in exactly the devices of the fleet.  A new one needs a command, a port, and prepare()."""
import http.client, json, os, shutil, socket, ssl, subprocess, sys, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from rootedge_test import Folder, parent_death, parse_connection_string, run, sas, wait_for
from measure import Callgrind

HOST = "localhost"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """One process on one core.  kind: which certificate its devices show, "self" (known by thumbprint) or "chain" (issued by a CA)."""

    def __init__(self, fleet, kind="self", counted=False):
        self.folder, self.fleet, self.kind, self.port = Folder(), fleet, kind, free_port()
        self.prepare()
        self.start(Callgrind.prefix(self.folder.path) if counted else [])
        self.let_in()

    def prepare(self):
        """Files before the start."""

    def let_in(self):
        """What has to be told to it before devices may come."""

    def start(self, prefix=()):
        command = [*prefix, *self.command()]
        print("$ " + " ".join(command), file=sys.stderr)
        log = open(self.folder / "log", "ab")
        began = time.perf_counter()
        self.process = subprocess.Popen(command, preexec_fn=self.on_first_core, env=dict(os.environ, ROOTEDGE_LOG="error"), stdout=log, stderr=log)
        while not is_listening(self.port):
            if self.process.poll() is not None or time.perf_counter() - began > 60:
                sys.exit("bench: %s does not start:\n%s" % (self.name, open(self.folder / "log").read()))
        self.start_ms = (time.perf_counter() - began) * 1000
        self.pid = self.process.pid

    @staticmethod
    def on_first_core():
        parent_death()
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    def stop(self):
        self.process.terminate()
        self.process.wait()

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

    def authentication(self, thumbprint):
        if self.kind == "chain":
            return {"type": "certificateAuthority"}
        return {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint, "secondaryThumbprint": ""}}

    def let_in(self):
        key = parse_connection_string(run("rootedge", "hub", "connection-string", "--state", self.folder / "hub").stdout)["SharedAccessKey"]
        headers = {"Authorization": sas(HOST, key, policy="iothubowner", encode=False), "Content-Type": "application/json"}
        connection = http.client.HTTPSConnection(HOST, self.https_port, context=ssl.create_default_context(cafile=self.fleet + "/root.pem"))
        with open(self.fleet + "/thumbprints") as f:
            devices = [line.split() for line in f]
        for id, thumbprint in devices:
            body = json.dumps({"deviceId": id, "authentication": self.authentication(thumbprint)})
            connection.request("PUT", "/devices/%s?api-version=2021-04-12" % id, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                sys.exit("bench: registering %s: %s" % (id, text))
        connection.close()


class Mosquitto(Server):
    """Debian's broker.  Self-signed devices come in because their certificates are its anchors: it has no other way of knowing them."""
    name = "mosquitto"
    executable = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    persistence = "persistence false\n"

    def prepare(self):
        with open(self.folder / "mosquitto.conf", "w") as f:
            f.write("per_listener_settings true\nlistener %d 127.0.0.1\ncafile %s\ncertfile %s/server.cert.pem\nkeyfile %s/server.key.pem\nrequire_certificate true\nuse_identity_as_username true\n"
                    "allow_anonymous false\nmax_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\nlog_type error\nuser root\n%s"
                    % (self.port, self.fleet + ("/cas.pem" if self.kind == "chain" else "/devices.pem"), self.fleet, self.fleet, self.persistence))

    def command(self):
        return [self.executable, "-c", self.folder / "mosquitto.conf"]


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
