# SPDX-License-Identifier: Apache-2.0
"""A hub with provisioning, another hub that is linked to it through a gate, and what devices and services ask."""
import base64, hashlib, hmac, socket, threading
from rootedge_test import *

HOME, OWNER = "contosoiothub.local", "provisioningserviceowner"


class Gate:
    """Between two hubs: lets connections through, until it is to hold one: before anything of it gets there, or its answer."""

    def __init__(self, port):
        self.to, self.lock, self.kept = port, threading.Lock(), []
        self.open()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self):
        with self.lock:
            self.left, self.answer, self.hit = None, False, threading.Event()
            for s in self.kept:
                s.close()
            self.kept = []

    def hold(self, after, answer):
        """All but the first so many connections; the first that is held gets its question through, if it is the answer that is to be held."""
        self.open()
        with self.lock:
            self.left, self.answer = after, answer

    def _accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            with self.lock:
                free = self.left is None or self.left > 0
                asks = not free and self.answer and self.left == 0
                if self.left is not None:
                    self.left -= 1
                hit = self.hit
                if not free:
                    self.kept.append(near)
            if free or asks:
                self._through(near, asks, hit)
            else:
                hit.set()

    def _through(self, near, mute, hit):
        try:
            far = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            near.close()
            return
        seen = {"asked": 0, "held": 0}

        def up():
            for piece in iter(lambda: self._read(near), b""):
                seen["asked"] += 1
                far.sendall(piece)
            self._end(far)

        # What comes back for the first piece is the handshake; for those behind it a ticket, and then the answer.
        def down():
            for piece in iter(lambda: self._read(far), b""):
                if mute and seen["asked"] > 1:
                    seen["held"] += len(piece)
                    if seen["held"] > 1000 or not select.select([far], [], [], 0.3)[0]:
                        hit.set()
                    continue
                try:
                    near.sendall(piece)
                except OSError:
                    break
            if mute:
                hit.set()
            else:
                self._end(near)

        for way in up, down:
            threading.Thread(target=way, daemon=True).start()

    @staticmethod
    def _read(s):
        try:
            return s.recv(65536)
        except OSError:
            return b""

    @staticmethod
    def _end(s):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Site:
    def __init__(self, gate=False):
        self.folder, self.other_folder = Folder(), Folder()
        self.pki = Pki(self.folder)
        self.group = new_key()
        self.other = Hub(self.other_folder, self.pki, "localhost")
        self.gate = Gate(self.other.https_port) if gate else None
        self.start()
        self.link()

    def start(self, name=HOME):
        self.hub = Hub(self.folder, self.pki, name, "--provisioning", "--provisioning-port", 0, "--provisioning-mqtt-port", 0, "--provisioning-hubs-ca", self.pki.root)

    def stop(self):
        self.hub.stop()
        self.other.stop()
        self.folder.__exit__()
        self.other_folder.__exit__()

    @property
    def far(self):
        return "localhost:%d" % (self.gate.port if self.gate else self.other.https_port)

    def hubs(self):
        return {HOME: self.hub, self.far: self.other}

    def ask(self, method, path, body=None, headers=None, **kw):
        return https(self.hub.ready["provisioning_port"], method, path + "?api-version=2021-10-01", body, headers, ca=self.pki.root, **kw)

    def service(self, method, path, body=None, **headers):
        return self.ask(method, path, body, dict({"Authorization": sas(self.hub.hostname, self.hub.policy(OWNER), policy=OWNER, encode=False)}, **headers))

    def link(self, key=None, **changes):
        text = "HostName=%s;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (self.far, key or self.other.policy())
        status, _, answer = self.service("PUT", "/linkedHubs/" + self.far, dict({"connectionString": text}, **changes))
        assert status == 200, answer

    def enroll(self, name, **more):
        """The same again, changed."""
        keys = {"type": "symmetricKey", "symmetricKey": {"primaryKey": self.group, "secondaryKey": self.group}}
        status, _, answer = self.service("PUT", "/enrollments/" + name, dict({"attestation": keys}, **more),
                                         **({"If-Match": "*"} if self.service("GET", "/enrollments/" + name)[0] == 200 else {}))
        assert status == 200, answer

    def headers(self, registration, key=None):
        return {"Authorization": sas("%s/registrations/%s" % (self.hub.ready["id_scope"], registration), key or self.group, policy="registration", encode=False)}

    def path(self, registration):
        return "/%s/registrations/%s" % (self.hub.ready["id_scope"], registration)

    def begin(self, registration, payload=None, key=None):
        body = {"registrationId": registration} if payload is None else {"registrationId": registration, "payload": payload}
        status, _, answer = self.ask("PUT", self.path(registration) + "/register", body, self.headers(registration, key))
        assert status == 202 and answer["status"] == "assigning", (status, answer)
        return self.path(registration) + "/operations/" + answer["operationId"]

    def poll(self, operation, registration, key=None):
        status, _, answer = self.ask("GET", operation, None, self.headers(registration, key))
        assert status in (200, 202), (status, answer)
        return answer if status == 200 else None

    def register(self, registration, payload=None, key=None):
        """The registration's state at its end."""
        operation, answer = self.begin(registration, payload, key), []
        wait_for(lambda: answer.append(self.poll(operation, registration, key)) or answer[-1], "the end of " + registration, 40)
        return answer[-1]["registrationState"]

    def shown(self, registration):
        return self.service("GET", "/registrations/" + registration)[2]

    def derive(self, registration):
        return base64.b64encode(hmac.new(base64.b64decode(self.group), registration.encode(), hashlib.sha256).digest()).decode()

    def where(self, device):
        return [name for name, hub in self.hubs().items() if hub.rest("GET", "/devices/" + device)[0] == 200]

    def is_only_in(self, device, host):
        wait_for(lambda: self.where(device) == [host], "%s in %s alone" % (device, host), 30)
