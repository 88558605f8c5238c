# SPDX-License-Identifier: Apache-2.0
"""An edge device with a hub, whose common clock a scenario moves; and what its services say of their certificates (GET /renewals)."""
import os, re, ssl, subprocess, time
from rootedge_test import *

DAY = 86400
V = "?api-version=2022-08-03"


def openssl(*args, input=None):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, input=input, timeout=60 * SLOW)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def certificates(pem):
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", pem, re.S)


def parse_time(text):
    return ssl.cert_time_to_seconds(time.strftime("%b %d %H:%M:%S %Y GMT", time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))


class Story:
    """A gateway whose module `tool` is this test, so that the workload API can be asked."""

    def __init__(self, config="", before=None, **kw):
        self.folder = Folder()
        self.clock, self.offset = self.folder / "clock", 0
        self.set_clock(0)
        os.environ["ROOTEDGE_CLOCK_FILE"] = self.clock
        self.pki = Pki(self.folder)
        self.hub = Hub(self.folder, self.pki)
        if before:
            before()
        self.edge = Edge(self.folder, self.hub, config="[modules.tool]\nuid = %d\n%s" % (os.getuid(), config), **kw)
        self.socket = os.path.join(self.edge.state, "edged", "mnt", "tool.sock")

    def set_clock(self, days):
        """In place: the roles' sandbox knows this file, and no other of its name."""
        self.offset = int(days * DAY)
        fd = os.open(self.clock, os.O_WRONLY | os.O_CREAT, 0o644)
        os.fchmod(fd, 0o644)
        os.truncate(fd, os.write(fd, b"%d\n" % self.offset))
        os.close(fd)

    def now(self):
        return time.time() + self.offset

    def ask(self, path):
        status, _, body = unix_http(self.socket, "GET", path + V)
        assert status == 200, (status, body)
        return body

    def role_socket(self, role):
        run_dir = os.path.join(self.edge.state, "run")
        return next(os.path.join(folder, name) for folder, _, names in os.walk(run_dir) for name in names if name == role + ".sock")

    def renewals(self, role):
        """What a role says of its certificates, by their ids."""
        if role == "edged":
            return {r["id"]: r for r in self.ask("/renewals")["renewals"]}
        status, _, body = unix_http(self.role_socket(role), "GET", "/renewals?api-version=2020-09-01")
        assert status == 200, (status, body)
        return {r["id"]: r for r in body["renewals"]}

    def renewal(self, id="aziot-edged-ca", role="edged"):
        return self.renewals(role)[id]

    def settle(self, id="aziot-edged-ca", role="edged"):
        """Until it has been looked at by the time that it is now, and done about it what is done then."""
        return wait_for(lambda: (lambda r: r if r["checked"] and abs(parse_time(r["checked"]) - self.now()) < 120 else None)(self.renewal(id, role)), "a look at the clock", 20)

    def move(self, days, id="aziot-edged-ca", role="edged"):
        self.set_clock(days)
        return self.settle(id, role)

    def bundle(self):
        return [fingerprint(c) for c in certificates(self.ask("/trust-bundle")["certificate"])]

    def leaf(self):
        """What the gateway shows."""
        return certificates(subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.edge.mqtt_port], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                           timeout=60 * SLOW).stdout)[0]

    def is_trusted_by(self, root):
        """Would a device that has had this root all the time, and asks nobody, take what the gateway shows now?"""
        shown = certificates(subprocess.run(["openssl", "s_client", "-showcerts", "-connect", "127.0.0.1:%d" % self.edge.mqtt_port], capture_output=True, text=True,
                                            stdin=subprocess.DEVNULL, timeout=60 * SLOW).stdout)
        with open(self.folder / "shown.pem", "w") as f:
            f.write("".join(shown[1:]))
        done = subprocess.run(["openssl", "verify", "-purpose", "sslserver", "-verify_hostname", self.edge.hostname, "-attime", str(int(self.now())), "-CAfile", root, "-untrusted", self.folder / "shown.pem"],
                              capture_output=True, text=True, input=shown[0])
        return "OK" in done.stdout

    def ca(self):
        """The Edge CA in force, as PEM."""
        return certificates(self.ask("/trust-bundle")["certificate"])[0]

    def is_under(self, leaf, ca, at=None):
        with open(self.folder / "ca.pem", "w") as f:
            f.write(ca)
        done = subprocess.run(["openssl", "verify", "-partial_chain", "-attime", str(int(at or self.now())), "-CAfile", self.folder / "ca.pem"], capture_output=True, text=True, input=leaf)
        return "OK" in done.stdout

    def wait_leaf(self, ca):
        """Until the gateway shows one of this Edge CA, valid now."""
        return wait_for(lambda: (lambda leaf: leaf if self.is_under(leaf, ca) else None)(self.leaf()), "the gateway showing a certificate of its Edge CA", 20)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.edge.stop()
            self.hub.stop()
        else:
            print("# " + "\n# ".join(line[:300] for line in self.edge.log_text().splitlines()[-15:]))
            self.edge.process.kill()
            self.hub.process.kill()
        self.folder.__exit__()


def fingerprint(pem):
    return openssl("x509", "-noout", "-fingerprint", "-sha256", input=pem).split("=")[1].strip().replace(":", "")


def enddate(pem):
    return ssl.cert_time_to_seconds(openssl("x509", "-noout", "-enddate", input=pem).strip().split("=")[1])
