# SPDX-License-Identifier: Apache-2.0
"""What every scenario needs: processes that are waited for, folders that disappear, certificates made with our own tool, and
the SAS tokens and MQTT packets of a client, byte for byte.  Standard library only.

A scenario is a file with functions named test_*; run_all() at its end runs them and prints TAP.  Nothing here sleeps to wait for
something: wait_for() polls a condition with a deadline."""
import base64, hashlib, hmac, http.client, json, os, random, select, shutil, signal, socket, ssl, struct, subprocess, sys, tempfile, threading, time, traceback, urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("ROOTEDGE_BUILD", os.path.join(ROOT, "build"))
SLOW = float(os.environ.get("ROOTEDGE_SLOW", "1"))  # deadlines are multiplied by this under sanitizers
ROOTEDGE = os.path.join(BUILD, "cmd", "rootedge")


class Skip(Exception):
    """Raised by a test that can't run here; says why."""


def wait_for(condition, what, seconds=10):
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %g s in vain for: %s" % (seconds * SLOW, what))
        time.sleep(0.01)  # between two looks at the condition


class Folder:
    """A temporary folder, short enough for unix socket paths."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="re-", dir="/tmp")
        os.chmod(self.path, 0o711)  # roles with users of their own pass through

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class SubFolder(Folder):
    """One in another, which removes it."""

    def __init__(self, folder, name):
        self.path = folder / name
        os.makedirs(self.path)
        os.chmod(self.path, 0o755)

    def __exit__(self, *_):
        pass


def run(*args, check=True, **kw):
    """A command that ends.  Returns CompletedProcess with text output."""
    done = subprocess.run([ROOTEDGE if args[0] == "rootedge" else args[0], *map(str, args[1:])], capture_output=True, text=True, timeout=60 * SLOW, **kw)
    if check and done.returncode != 0:
        raise AssertionError("%s ended with %d\n%s%s" % (" ".join(map(str, args)), done.returncode, done.stdout, done.stderr))
    return done


def parent_death():
    """In the child: it ends with us, and a hang-up is a hang-up also when the tests run under nohup."""
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Service:
    """A role of rootedge, up when its ready line came.  `ready` is that line; log lines are JSON in `log_path`."""

    def __init__(self, folder, name, *args, env=None, wait=True, program=None):
        self.name, self.args, self.env = name, [str(a) for a in args], env or {}
        self.program = program or [ROOTEDGE, name]  # a prefix that changes the user, executables of a folder of one's own
        self.log_path = folder / (name + ".log")
        self.is_edge = any(os.path.basename(str(word)).endswith(("edge", "rootedge-edge")) for word in [self.name, *self.program])
        self.start(wait)

    def start(self, wait=True):
        r, w = os.pipe()
        os.set_inheritable(w, True)
        env = dict({"ROOTEDGE_LOG": "info,json"}, **os.environ) | self.env
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen([*self.program, *self.args, "--ready-fd", str(w)], stderr=self.log, stdout=self.log, stdin=subprocess.DEVNULL,
                                        pass_fds=[w], env=env, preexec_fn=parent_death)
        os.close(w)
        self.ready_fd = r
        self.ready = self.wait_ready() if wait else None

    def wait_ready(self, seconds=20):
        line, end = b"", time.monotonic() + seconds * SLOW
        while not line.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.ready_fd], [], [], left)[0]:
                raise AssertionError("%s is not ready after %g s\n%s" % (self.name, seconds * SLOW, self.log_text()))
            piece = os.read(self.ready_fd, 4096)
            if not piece:
                self.process.wait(10)
                raise AssertionError("%s ended with %s before it was ready\n%s" % (self.name, self.process.returncode, self.log_text()))
            line += piece
        os.close(self.ready_fd)
        self.ready_fd = None
        return json.loads(line)

    def control(self, **request):
        """What the supervisor of an edge device answers its operator."""
        with open(os.path.join(self.args[self.args.index("--state") + 1], "run", "control")) as f, socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20 * SLOW)
            s.connect(f.read().strip())
            s.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(s.makefile().read())

    def sync_log(self):
        """The roles' lines come through the supervisor: when that has answered, it has passed on all that was said before."""
        if self.is_edge and self.process.poll() is None:
            try:
                self.control(verb="status")
            except (OSError, ValueError):
                pass  # not up yet, or ending

    def log_text(self):
        self.sync_log()
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def events(self, kind="verdict"):
        """The structured events of the log, oldest first."""
        found = []
        for line in self.log_text().splitlines():
            try:
                found.append(json.loads(line)[kind])
            except (ValueError, KeyError, TypeError):
                pass
        return found

    def reasons(self):
        """The reason codes of all failed checks of all verdicts and violations in the log."""
        out = []
        for line in self.log_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            for check in record.get("verdict", {}).get("checks", []):
                if not check["passed"]:
                    out.append(check["reason"])
            if "violation" in record:
                out.append(record["violation"]["reason"])
        return out

    def roles(self):
        """The processes that it started, by their role: the fields of /proc/PID/status."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/status" % pid) as f:
                    fields = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
                with open("/proc/%s/cmdline" % pid) as f:
                    words = [os.path.basename(w) for w in f.read().split("\0")]
            except (OSError, ValueError):
                continue
            role = next((w[len("rootedge-"):] for w in words[:3] if w.startswith("rootedge-")), None)
            if fields.get("PPid", "").strip() == str(self.process.pid) and role:
                found[role] = fields
        return found

    def kill9(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def stop(self, seconds=10):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("%s did not stop on SIGTERM within %g s\n%s" % (self.name, seconds * SLOW, self.log_text()[-4000:]))
        self.log.close()
        text = self.log_text()
        for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer"):
            assert word not in text, "%s: a sanitizer complains\n%s" % (self.name, text[max(0, text.index(word) - 200):][:12000])
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.ready_fd is not None:
            os.close(self.ready_fd)
        if kind is None:
            self.stop()
        elif self.process.poll() is None:
            self.process.kill()
            self.process.wait()


# -- Tokens and connection strings -------------------------------------------------------------------------------------------------

def sas(resource, key_b64, expires=None, policy=None, encode=True):
    sr = urllib.parse.quote(resource, safe="") if encode else resource
    se = int(time.time()) + 3600 if expires is None else expires
    sig = base64.b64encode(hmac.new(base64.b64decode(key_b64), ("%s\n%s" % (sr, se)).encode(), hashlib.sha256).digest()).decode()
    token = "SharedAccessSignature sr=%s&sig=%s&se=%s" % (sr, urllib.parse.quote(sig, safe=""), se)
    return token + ("&skn=" + policy if policy else "")


def parse_connection_string(text):
    return dict(part.split("=", 1) for part in text.strip().split(";"))


def new_key():
    return base64.b64encode(os.urandom(32)).decode()


def thumbprint(path):
    with open(path) as f:
        pem = f.read()
    der = base64.b64decode(pem.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0])
    return hashlib.sha256(der).hexdigest().upper()


# -- HTTPS and HTTP over unix sockets ------------------------------------------------------------------------------------------------

def https(port, method, path, body=None, headers=None, ca=None, cert=None, key=None, host="127.0.0.1"):
    """(status, headers, body): body parsed when it is JSON."""
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    if cert:
        context.load_cert_chain(cert, key)
    connection = http.client.HTTPSConnection(host, port, context=context, timeout=20 * SLOW)
    return _exchange(connection, method, path, body, headers)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.unix_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix_path)


def unix_http(socket_path, method, path, body=None, headers=None):
    return _exchange(_UnixConnection(socket_path, 20 * SLOW), method, path, body, headers)


def _exchange(connection, method, path, body, headers):
    headers = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json; charset=utf-8")
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if "json" in (answer.getheader("Content-Type") or "") and data:
        data = json.loads(data)
    return answer.status, answer.headers, data


# -- MQTT 3.1.1, byte for byte -------------------------------------------------------------------------------------------------------

def _text(t):
    t = t if isinstance(t, bytes) else t.encode()
    return struct.pack("!H", len(t)) + t


def packet(first, body=b""):
    n, length = len(body), b""
    while True:
        n, d = divmod(n, 128)
        length += bytes([d | (0x80 if n else 0)])
        if not n:
            return bytes([first]) + length + body


def connect_packet(client_id, user=None, password=None, clean=False, keep_alive=60, will=None, level=4):
    flags = (2 if clean else 0) | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    tail = _text(client_id)
    if will:
        flags |= 4 | (will[2] << 3)
        tail += _text(will[0]) + _text(will[1])
    if user is not None:
        tail += _text(user)
    if password is not None:
        tail += _text(password)
    return packet(0x10, _text("MQTT") + bytes([level, flags]) + struct.pack("!H", keep_alive) + tail)


def publish_packet(topic, payload=b"", qos=1, id=1, retain=False, dup=False):
    head = 0x30 | (8 if dup else 0) | (qos << 1) | (1 if retain else 0)
    return packet(head, _text(topic) + (struct.pack("!H", id) if qos else b"") + payload)


def subscribe_packet(filters, id=1):
    return packet(0x82, struct.pack("!H", id) + b"".join(_text(f) + bytes([q]) for f, q in filters))


class Refused(Exception):
    def __init__(self, code):
        super().__init__("CONNACK %s" % code)
        self.code = code


class Mqtt:
    """One client connection.  connect=False leaves the CONNECT to the test."""

    def __init__(self, port, ca=None, cert=None, key=None, host="127.0.0.1", name=None, client_id=None, user=None, password=None, connect=True, clean=False,
                 keep_alive=60, will=None, session=None, tls12=False, context=None):
        context = context or ssl.create_default_context(cafile=ca)
        context.check_hostname = name is not None
        if tls12:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if cert:
            context.load_cert_chain(cert, key)
        raw = socket.create_connection((host, port), timeout=20 * SLOW)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(raw, server_hostname=name, session=session)
        self.buffer, self.id = b"", 0
        if connect:
            self.send(connect_packet(client_id, user, password, clean, keep_alive, will))
            kind, body = self.receive()
            if kind != 0x20:
                raise AssertionError("expected CONNACK, got %#x" % kind)
            if body[1]:
                assert self.closed(), "still open after CONNACK %d" % body[1]
                self.close()
                raise Refused(body[1])

    def send(self, data):
        self.sock.sendall(data)

    def receive(self, seconds=15):
        """(first byte, body) of the next packet; raises EOFError when the server closed."""
        end = time.monotonic() + seconds * SLOW
        while True:
            got = self._cut()
            if got:
                return got
            self.sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                piece = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
                piece = b""
            if not piece:
                raise EOFError("closed by the server")
            self.buffer += piece

    def _cut(self):
        length, shift, at = 0, 0, 1
        while True:
            if len(self.buffer) <= at:
                return None
            d = self.buffer[at]
            at += 1
            length |= (d & 127) << shift
            shift += 7
            if not d & 128:
                break
        if len(self.buffer) < at + length:
            return None
        first, body = self.buffer[0], self.buffer[at:at + length]
        self.buffer = self.buffer[at + length:]
        return first, body

    def publish(self, topic, payload=b"x", qos=1):
        """Publish and wait for the PUBACK."""
        self.id = self.id % 65535 + 1
        self.send(publish_packet(topic, payload, qos, self.id))
        if qos:
            kind, body = self.receive()
            assert kind == 0x40 and struct.unpack("!H", body)[0] == self.id, (kind, body)

    def closed(self, seconds=15):
        """True when the server closes (whatever it sends before)."""
        try:
            while True:
                self.receive(seconds)
        except EOFError:
            return True
        except (socket.timeout, TimeoutError):
            return False

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def username(hub, device, module=None, extra=""):
    return "%s/%s/?api-version=2021-04-12%s" % (hub, device if module is None else device + "/" + module, extra)


# -- The hub as a scenario sees it -----------------------------------------------------------------------------------------------------

class Pki:
    """root, intermediate, and what is asked for, made with `rootedge cert`."""

    def __init__(self, folder):
        self.folder = folder
        run("rootedge", "cert", "root", "--name", "my_private_root_CA", "--out", folder / "root.pem", "--key-out", folder / "root.key", "--force")
        self.root = folder / "root.pem"

    def make(self, kind, name, *args, issuer="root", file=None):
        base = self.folder / (file or name)
        run("rootedge", "cert", kind, "--name", name, "--issuer", self.folder / (issuer + ".pem"), "--issuer-key", self.folder / (issuer + ".key"), "--out", base + ".pem",
            "--key-out", base + ".key", "--force", *args)
        return base + ".pem", base + ".key"


ports = []


def own_port():
    """A port that no connection is given as its own end, and no other test takes as long as this one runs: so it can be listened on again after a restart."""
    while True:
        port = random.randrange(10000, 32000)
        lock, probe = socket.socket(socket.AF_UNIX), socket.socket()
        try:
            lock.bind("\0rootedge-test-port-%d" % port)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("0.0.0.0", port))
        except OSError:
            lock.close()
            continue
        finally:
            probe.close()
        ports.append(lock)
        return port


class Hub(Service):
    def __init__(self, folder, pki, hostname="contosoiothub.local", *args, **kw):
        cert, key = pki.make("server", hostname, "--san", "127.0.0.1", "--san", "localhost", file="hub")
        self.hostname, self.pki, self.state = hostname, pki, folder / "hub"
        super().__init__(folder, "hub", "--state", self.state, "--hostname", hostname, "--address", "127.0.0.1", "--mqtt-port", own_port(), "--https-port", own_port(),
                         "--cert", cert, "--key", key, *args, **kw)

    @property
    def mqtt_port(self):
        return self.ready["mqtt_port"]

    @property
    def https_port(self):
        return self.ready["https_port"]

    def policy(self, name="iothubowner"):
        return parse_connection_string(run("rootedge", "hub", "connection-string", "--state", self.state, "--policy", name).stdout)["SharedAccessKey"]

    def rest(self, method, path, body=None, headers=None, policy="iothubowner", **kw):
        headers = dict(headers or {})
        if policy:
            headers.setdefault("Authorization", self.service_token(policy))
        path += ("&" if "?" in path else "?") + "api-version=2021-04-12"
        return https(self.https_port, method, path, body, headers, ca=self.pki.root, **kw)

    def service_token(self, policy="iothubowner"):
        return sas(self.hostname, self.policy(policy), policy=policy, encode=False)

    def create_device(self, id, authentication=None, **more):
        status, _, body = self.rest("PUT", "/devices/" + urllib.parse.quote(id, safe=""), dict({"deviceId": id, "status": "enabled",
                                    "authentication": authentication or {"type": "sas", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}}}, **more))
        assert status == 200, (status, body)
        return body

    def create_x509_device(self, id, primary, secondary=None, **more):
        return self.create_device(id, {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": primary, "secondaryThumbprint": secondary}}, **more)

    def events(self, *args):
        return list(self.each_event(*args))

    def each_event(self, *args):
        """One after the other: a million of them take gigabytes."""
        with subprocess.Popen([ROOTEDGE, "hub", "events", "--state", self.state, "--json", *map(str, args)], stdout=subprocess.PIPE) as reader:
            for line in reader.stdout:
                yield json.loads(line)
        assert reader.returncode == 0, reader.returncode

    def mqtt(self, device, module=None, password=None, **kw):
        kw.setdefault("client_id", device if module is None else device + "/" + module)
        kw.setdefault("user", username(self.hostname, device, module))
        return Mqtt(self.mqtt_port, ca=self.pki.root, password=password, **kw)

    def device_token(self, device, key, **kw):
        return sas("%s/devices/%s" % (self.hostname, device), key, **kw)


class HubOfLater(Hub):
    """A hub whose clock runs ahead: tokens for it are good for long."""

    def rest(self, method, path, body=None, headers=None, policy="iothubowner", **kw):
        headers = dict(headers or {})
        if policy:
            headers.setdefault("Authorization", sas(self.hostname, self.policy(policy), expires=int(time.time()) + 3000 * 86400, policy=policy, encode=False))
        return super().rest(method, path, body, headers, None, **kw)


class Edge(Service):
    """EdgeGateway: an edge device with its gateway, known to the hub by its certificate.  `config` is appended to config.toml, `changes` replace its first lines;
    `upstream` is where it finds the hub's HTTPS and MQTT, when not at the hub's own ports; `identity` replaces the lines of its certificate, and is known to the hub by a CA;
    below `parent`, another Edge, it finds the hub through that one, and trusts what that one's devices trust; its gateway listens on `listen`, None where it does by itself."""

    def __init__(self, folder, hub, device="EdgeGateway", hostname="edgegateway.local", config="", changes=None, gateway="", upstream=None, wait=True, identity=None, parent=None, listen="127.0.0.1"):
        cert, key = hub.pki.make("device", device)
        family = {"parentScopes": [parent.scope]} if parent else {}
        if parent:
            changes = {"parent_hostname": '"%s"' % parent.hostname, "trust_bundle_cert": '"file://%s"' % parent.trust_bundle()} | (changes or {})
            upstream = upstream or [parent.https_port, parent.mqtt_port]
        self.parent, self.folder, self.hub, self.device, self.hostname, self.state = parent, folder, hub, device, hostname, folder / ("edge-" + device)
        if identity:
            hub.create_device(device, {"type": "certificateAuthority"}, capabilities={"iotEdge": True}, **family)
        else:
            hub.create_x509_device(device, thumbprint(cert), capabilities={"iotEdge": True}, **family)
        self.scope = hub.rest("GET", "/devices/" + device)[2]["deviceScope"]
        if os.getuid() == 0:
            os.chown(key, 61840, 61840)  # keyd's user must be able to read it, as aziotks must in the original
        lines = dict({"hostname": '"%s"' % hostname, "trust_bundle_cert": '"file://%s"' % hub.pki.root}, **(changes or {}))
        path = folder / (device + ".toml")
        with open(path, "w") as f:
            f.write("".join("%s = %s\n" % kv for kv in lines.items()) + """
[provisioning]
source = "manual"
iothub_hostname = "%s"
device_id = "%s"
[provisioning.authentication]
method = "x509"
%s
[upstream]
address = "127.0.0.1"
https_port = %d
mqtt_port = %d
[gateway]
%smqtt_port = %d
https_port = %d
%s
%s""" % (hub.hostname, device, identity or 'identity_cert = "file://%s"\nidentity_pk = "file://%s"' % (cert, key), *(upstream or (hub.https_port, hub.mqtt_port)),
         'address = "%s"\n' % listen if listen else "", own_port(), own_port(),
         gateway, config))
        # A leak check traces its own process: the roles' sandbox forbids that.
        super().__init__(folder, "edge", "--config", path, "--state", self.state, env={"ASAN_OPTIONS": "detect_leaks=0"}, wait=wait)

    @property
    def mqtt_port(self):
        return self.ready["mqtt_port"]

    @property
    def https_port(self):
        return self.ready["https_port"]

    def https(self, method, path, body=None, headers=None, **kw):
        kw.setdefault("ca", self.trust_bundle())
        return https(self.https_port, method, path, body, headers, **kw)

    def trust_bundle(self):
        """What devices of this gateway trust, as a file: the root, and a quickstart Edge CA."""
        certs, path = os.path.join(self.state, "certd", "certs"), self.folder / "bundle.pem"
        part = "%s.%d" % (path, threading.get_ident())  # clients on several threads may ask at a time
        with open(part, "w") as out:
            for name in [self.hub.pki.root] + [os.path.join(certs, n) for n in os.listdir(certs) if n.startswith("aziotedgedca")]:
                with open(name) as f:
                    out.write(f.read())
        os.replace(part, path)
        return path

    def create_child(self, id, authentication=None, **more):
        return self.hub.create_device(id, authentication, deviceScope=self.scope, **more)

    def create_x509_child(self, id, primary, secondary=None, **more):
        return self.hub.create_x509_device(id, primary, secondary, deviceScope=self.scope, **more)

    def mqtt(self, device, module=None, password=None, **kw):
        kw.setdefault("client_id", device if module is None else device + "/" + module)
        kw.setdefault("user", username(self.hub.hostname, device, module))
        kw.setdefault("ca", self.trust_bundle())
        kw.setdefault("name", self.hostname)
        return Mqtt(self.mqtt_port, password=password, **kw)

    def role(self, name):
        """The process id of a role."""
        fields = self.roles().get(name)
        return int(fields["Pid"]) if fields else None

# -- Running ------------------------------------------------------------------------------------------------------------------------------

def run_all(namespace=None):
    namespace = namespace or sys.modules["__main__"].__dict__
    tests = [(n, f) for n, f in namespace.items() if n.startswith("test_") and callable(f)]
    only = sys.argv[1:]
    tests = [t for t in tests if not only or t[0] in only]
    print("1..%d" % len(tests), flush=True)
    bad = 0
    for i, (name, function) in enumerate(tests, 1):
        sentence = (function.__doc__ or name).strip().split("\n")[0]
        try:
            function()
            print("ok %d - %s" % (i, sentence), flush=True)
        except Skip as why:
            print("ok %d - %s # SKIP %s" % (i, sentence, why), flush=True)
        except Exception:
            bad += 1
            print("not ok %d - %s" % (i, sentence), flush=True)
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)
    sys.exit(1 if bad else 0)
