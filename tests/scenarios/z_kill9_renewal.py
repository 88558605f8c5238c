#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A renewal of the Edge CA, cut at every step: edged is killed before and after each change that it asks keyd and certd for, or the service that it asks is gone at that moment, or the disk is
full.  Whatever is left, the next start has a certificate and a key that belong together, goes on with what there is, and what was issued before is still trusted."""
import http.client, json, os, re, shutil, socket, socketserver, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from tokens import *

DAY = 86400
CA = "aziot-edged-ca"
ME = os.getuid()


def openssl(*args, input=None):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, input=input, timeout=60 * SLOW)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def certificates(pem):
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", pem, re.S)


def fingerprint(pem):
    return openssl("x509", "-noout", "-fingerprint", "-sha256", input=pem).split("=")[1].strip().replace(":", "")


class Between:
    """Stands between edged and a service.  Every change that is asked for is told to `on_change(method, path, forward)`, which may not come back with an answer."""

    def __init__(self, path, behind, on_change):
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while outer.pass_on(self):
                    pass

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a caller that was killed

        self.behind, self.on_change = behind, on_change
        self.server = Server(path, Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def pass_on(self, handler):
        line = handler.rfile.readline()
        if not line:
            return False
        method, path, _ = line.decode().split(" ")
        headers = http.client.parse_headers(handler.rfile)
        body = handler.rfile.read(int(headers.get("Content-Length") or 0))

        def forward():
            connection = http.client.HTTPConnection("localhost", timeout=20 * SLOW)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(20 * SLOW)
            connection.sock.connect(self.behind)
            connection.request(method, path, body or None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            return answer.status, data

        reads = method == "GET" or path.startswith(("/sign", "/parameters"))
        got = forward() if reads else self.on_change(method, path, forward)
        if not got:
            return False
        status, data = got
        handler.wfile.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n" % (status, len(data)) + data)
        return True


class Box:
    """keyd, certd and edged, with a module that is this test."""

    def __init__(self, folder, rotate=True, keyd={}, env={}):
        self.folder, self.log, self.plan, self.env = folder, [], None, env
        self.clock = folder / "clock"
        self.set_clock(0)
        os.environ["ROOTEDGE_CLOCK_FILE"] = self.clock
        self.state = folder / "state"
        os.mkdir(self.state)
        self.paths = {n: folder / (n + ".sock") for n in ("keyd-certd", "keyd-edged", "certd", "keyd-between", "certd-between", "tool")}
        self.write("keyd.json", keyd | {"dir": os.path.join(self.state, "keys"), "principals": [{"name": "certd", "uid": ME, "ids": [CA, CA + "-temp"]}, {"name": "edged", "uid": ME, "ids": [
            CA + "*", "iotedge_master_encryption_id"]}], "sockets": [{"path": self.paths["keyd-certd"], "principal": "certd"}, {"path": self.paths["keyd-edged"], "principal": "edged"}]})
        self.write("certd.json", {"dir": os.path.join(self.state, "certs"), "socket": self.paths["certd"], "keyd": self.paths["keyd-certd"],
                                  "preloaded_certs": {"aziot-edged-trust-bundle": [CA, CA + "-previous", CA + "-temp"]},
                                  "cert_issuance": {CA: {"method": "self_signed", "common_name": "Edge CA", "expiry_days": 90}},
                                  "principals": [{"name": "edged", "uid": ME, "ids": [CA, CA + "-temp", CA + "-previous", "aziot-edged/module/*"]}]})
        self.write("edged.json", {"dir": self.state, "keyd": self.paths["keyd-between"], "certd": self.paths["certd-between"], "identityd": folder / "nobody.sock", "hub_name": "hub",
                                  "device_id": "box", "edge_ca_common_name": "Edge CA", "edge_ca_form": "quickstart", "edge_ca_auto_renew": {"rotate_key": rotate},
                                  "modules": [{"id": "tool", "socket": self.paths["tool"], "uid": ME, "names": []}]})
        Between(self.paths["keyd-between"], self.paths["keyd-edged"], self.on_change)
        Between(self.paths["certd-between"], self.paths["certd"], self.on_change)
        self.start()
        self.first = self.renewal()["sha256"]
        self.first_leaf, self.first_ca = certificates(self.issue())[0], certificates(self.bundle())[0]
        self.stop()
        shutil.copytree(self.state, folder / "kept")

    def write(self, name, config):
        with open(self.folder / name, "w") as f:
            json.dump(config, f)

    def set_clock(self, days):
        fd = os.open(self.clock, os.O_WRONLY | os.O_CREAT, 0o644)
        os.truncate(fd, os.write(fd, b"%d\n" % int(days * DAY)))
        os.close(fd)

    def on_change(self, method, path, forward):
        step = len(self.log)
        self.log.append("%s %s" % (method, path.split("?")[0]))
        how, at = self.plan or ("pass", -1)
        if step != at:
            return forward()
        if how.endswith("after"):
            forward()
        if how.startswith("kill"):
            self.edged.process.kill()
        return None

    def service(self, name):
        return Service(self.folder, name, "--config", self.folder / (name + ".json"), env={"ASAN_OPTIONS": "detect_leaks=0"} | self.env)

    def start(self):
        self.keyd, self.certd, self.edged = self.service("keyd"), self.service("certd"), self.service("edged")

    def stop(self):
        for s in (self.edged, self.certd, self.keyd):
            s.stop()

    def reset(self):
        """As on the first day."""
        shutil.rmtree(self.state)
        shutil.copytree(self.folder / "kept", self.state)
        self.set_clock(0)
        self.log.clear()

    def ask(self, method, path, body=None):
        return unix_http(self.paths["tool"], method, path + "?api-version=2022-08-03", body)

    def renewal(self):
        status, _, body = self.ask("GET", "/renewals")
        assert status == 200, (status, body)
        return body["renewals"][0]

    def bundle(self):
        status, _, body = self.ask("GET", "/trust-bundle")
        assert status == 200, (status, body)
        return body["certificate"]

    def issue(self):
        status, _, body = self.ask("POST", "/modules/tool/certificate/identity", {})
        assert status == 201, (status, body)
        return body["certificate"]

    def verify(self, leaf):
        with open(self.folder / "bundle.pem", "w") as f:
            f.write(self.bundle())
        out = subprocess.run(["openssl", "verify", "-no_check_time", "-CAfile", self.folder / "bundle.pem"], capture_output=True, text=True, input=leaf)
        assert "OK" in out.stdout, (out.stdout, out.stderr)

    def check(self, renewed=True):
        """Certificate and key belong together, what they issue is trusted, and what was issued before still is."""
        now = self.renewal()["sha256"]
        assert (now != self.first) == renewed, (now, self.first, renewed)
        self.verify(certificates(self.issue())[0])
        self.verify(self.first_leaf)

    def is_through(self):
        """The last change of a renewal was asked for.  Whether the successor is made ahead or with the renewal is up to who looks first, so one renewal has a step more than another."""
        return any(line.startswith("DELETE") for line in self.log)

    def check_tidy(self, rotates):
        names = sorted(n.split("-")[0] for d in ("keys", "certs") for n in os.listdir(os.path.join(self.state, d)) if n.startswith("aziotedgedca"))
        assert names == sorted(["aziotedgedca", "aziotedgedca", "aziotedgedcaprevious"] + ["aziotedgedcaprevious"] * rotates), names


def changes_of_a_renewal(box):
    """What edged asks for, when nothing goes wrong."""
    box.reset()
    box.plan = None
    box.start()
    box.log.clear()
    box.set_clock(84)
    wait_for(lambda: box.renewal()["sha256"] != box.first, "the renewal", 20)
    wait_for(box.is_through, "its last step", 20)
    log = list(box.log)
    box.check()
    box.stop()
    return log


def cut(box, how, step, rotates):
    box.reset()
    box.plan = None
    box.start()
    box.log.clear()
    box.plan = (how, step)
    box.set_clock(84)
    wait_for(lambda: box.edged.process.poll() is not None or len(box.log) <= step and box.is_through(), "edged being killed at step %d" % step, 20)
    box.plan = None
    box.edged.kill9()
    box.edged = box.service("edged")
    wait_for(lambda: box.renewal()["sha256"] != box.first and box.renewal()["status"] == "good", "the renewal after a kill (%s %d)" % (how, step), 20)
    box.check()
    box.stop()
    box.check_tidy(rotates)


def test_1_kill9():
    """edged is killed before and after every change of a renewal with a new key: the next start goes on, and nothing is lost"""
    with Folder() as folder:
        box = Box(folder)
        log = changes_of_a_renewal(box)
        assert len(log) >= 7 and log[0].startswith("POST /keypair") and log[-1].startswith("DELETE"), log
        for step in range(len(log)):
            for how in ("kill before", "kill after"):
                try:
                    cut(box, how, step, True)
                except BaseException as e:
                    raise AssertionError("%s step %d of %s: %s\n%s" % (how, step, log, e, box.edged.log_text()[-3000:]))
                assert box.edged.log_text().count("Sanitizer") == 0


def test_2_kill9_same_key():
    """the same with the key that it has"""
    with Folder() as folder:
        box = Box(folder, rotate=False)
        log = changes_of_a_renewal(box)
        assert len(log) == 4, log
        for step in range(len(log)):
            for how in ("kill before", "kill after"):
                cut(box, how, step, False)


def test_3_gone():
    """keyd or certd is gone at any step, before or after it did what was asked: edged goes on with what it has, and ends the renewal at the next attempt"""
    with Folder() as folder:
        box = Box(folder)
        log = changes_of_a_renewal(box)
        for step in range(len(log)):
            for how in ("gone before", "gone after"):
                box.reset()
                box.plan = None
                box.start()
                box.log.clear()
                box.plan = (how, step)
                box.set_clock(84)
                wait_for(lambda: len(box.log) > step or box.is_through(), "step %d" % step, 20)
                box.plan = None  # what is asked for now is no step of the renewal
                box.verify(certificates(box.issue())[0])
                for day in (79.5, 84):
                    box.set_clock(day)
                    wait_for(lambda: box.renewal()["checked"] and box.renewal()["checked"][:10] == time.strftime("%Y-%m-%d", time.gmtime(time.time() + day * DAY)), "a look", 20)
                    box.verify(certificates(box.issue())[0])
                box.check()
                assert box.renewal()["attempts"] == 0 and box.renewal()["last_error"] is None, box.renewal()
                box.stop()


def fill(path):
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass


def test_4_disk_full():
    """on a full disk the renewal fails, loudly, and what is in force stays so; with room again it comes by itself"""
    if os.environ.get("RE_INSIDE") != "1":
        raise Skip("namespaces are denied here")
    with Folder() as folder:
        box = Box(folder)
        small = folder / "small"
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
        shutil.rmtree(box.state)
        box.state = os.path.join(small, "state")
        os.symlink(box.state, folder / "state")
        shutil.copytree(folder / "kept", box.state)
        box.start()
        filler = os.path.join(small, "filler")
        fill(filler)
        box.set_clock(84)
        failed = wait_for(lambda: (lambda r: r if r["attempts"] else None)(box.renewal()), "an attempt that fails", 20)
        assert failed["sha256"] == box.first and failed["status"] == "due", failed
        assert "No space left" in box.keyd.log_text() + box.certd.log_text() + box.edged.log_text()
        os.unlink(filler)
        box.check(renewed=False)
        box.set_clock(88)
        wait_for(lambda: box.renewal()["sha256"] != box.first, "the renewal", 20)
        box.check()
        box.stop()
        box.check_tidy(True)
        subprocess.run(["umount", small], check=True)


def renew_and_restore(box):
    box.start()
    box.set_clock(84)
    wait_for(lambda: box.renewal()["sha256"] != box.first, "the renewal", 30)
    box.check()
    box.set_clock(500)
    second = box.renewal()["sha256"]
    wait_for(lambda: box.renewal()["sha256"] != second, "the renewal while the clock is ahead", 30)
    box.verify(certificates(box.issue())[0])
    box.set_clock(85)
    wait_for(lambda: box.renewal()["sha256"] == second, "the one before it again", 30)
    box.check()
    box.stop()
    box.start()
    assert box.renewal()["sha256"] == second
    box.check()
    box.stop()


def test_5_token():
    """keys in a PKCS #11 token are renewed within it, one is put back when the clock was wrong, and none of them lands in a file"""
    with Folder() as folder:
        hsm = SoftHsm(folder)
        box = Box(folder, keyd={"pkcs11_lib_path": hsm.module, "pkcs11_base_slot": hsm.uri()}, env=hsm.env)
        renew_and_restore(box)
        assert not [n for n in os.listdir(os.path.join(box.state, "keys")) if n.startswith("aziotedgedca")]


def test_6_tpm():
    """the same with keys in a TPM"""
    with Folder() as folder, Swtpm(folder) as tpm:
        renew_and_restore(Box(folder, keyd={"tpm": {"base": True, "tcti": tpm.tcti}}))


if __name__ == "__main__":
    if os.environ.get("RE_INSIDE") != "1" and subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True).returncode == 0:
        os.environ["RE_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--mount", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    run_all(globals())
