# SPDX-License-Identifier: Apache-2.0
"""A box with keyd, certd and identityd, and what asks identityd; and a cloud that is not ours, which answers over HTTPS what a test tells it to."""
import base64, http.server, json, os, ssl, subprocess, sys, threading
from rootedge_test import *

V = "api-version=2022-08-01"
ME = os.getuid()


def ask_as(uid, socket_path, method, path, body=None):
    """(status, body) for a process of another user; only root can."""
    code = "import sys, json; sys.path.insert(0, %r)\nfrom rootedge_test import *\ns, _, a = unix_http(%r, %r, %r, %r)\nprint(json.dumps([s, a if not isinstance(a, bytes) else a.decode()]))" % (
        os.path.dirname(os.path.abspath(__file__)), socket_path, method, path, body)
    done = subprocess.run(["/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable, "-c", code], capture_output=True, text=True, user=uid, group=uid, extra_groups=[],
                          timeout=60 * SLOW)
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stdout))


class At(Folder):
    """A folder that others make and remove."""

    def __init__(self, path):
        self.path = path


class Box:
    """Its folder stays over restarts.  `config` is identityd's, beside what is always there; `keys` and `certs` are preloaded, `issuance` is certd's."""

    def __init__(self, folder, name, roots, keys=None, certs=None, issuance=None, tpm=None, env=None, **config):
        os.makedirs(folder / name, exist_ok=True)
        os.chmod(folder / name, 0o755)
        self.folder, self.name = At(folder / name), name
        self.sock, self.state, self.tpmd = self.folder / "id.sock", self.folder / "state", self.folder / "tpmd.sock"
        self.env, self.roots, self.config = env or {}, roots, config
        self.write("keyd", dict({
            "dir": self.folder / "keys", "preloaded_keys": keys or {},
            "principals": [{"name": "identityd", "uid": ME, "ids": ["aziot_identityd_master_id", "device-id*"]}, {"name": "certd", "uid": ME, "ids": ["local-ca", "est-*"]}],
            "sockets": [{"path": self.folder / "keyd-%s.sock" % p, "principal": p} for p in ("identityd", "certd")]},
            **({"tpm": {"tcti": tpm, "socket": self.tpmd, "principal": "identityd"}} if tpm else {})))
        self.write("certd", {"dir": self.folder / "certs", "socket": self.folder / "certd.sock", "keyd": self.folder / "keyd-certd.sock", "preloaded_certs": certs or {},
                             "cert_issuance": issuance or {}, "principals": [{"name": "me", "uid": ME, "ids": ["*"]}]})
        self.has_tpm, self.identityd = bool(tpm), None
        self.keyd, self.certd = self.service("keyd"), self.service("certd")
        self.start()

    def write(self, name, config):
        with open(self.folder / (name + ".json"), "w") as f:
            json.dump(config, f)

    def service(self, name, **kw):
        return Service(self.folder, name, "--config", self.folder / (name + ".json"), env=dict({"ROOTEDGE_LOG": "debug,json"}, **self.env), **kw)

    def start(self, **changes):
        """identityd, with its configuration changed from now on."""
        self.config = {k: v for k, v in dict(self.config, **changes).items() if v is not None}
        self.write("identityd", dict({
            "dir": self.state, "socket": self.sock, "keyd": self.folder / "keyd-identityd.sock", "certd": self.folder / "certd.sock", "hub_address": "127.0.0.1",
            "anchors": self.roots, "hostname": "box.local", "principals": [{"name": "aziot-edge", "uid": 61843}]}, **({"tpmd": self.tpmd} if self.has_tpm else {}), **self.config))
        self.identityd = self.service("identityd")

    def change(self, **changes):
        """What its file says, while it runs."""
        with open(self.folder / "identityd.json") as f:
            config = dict(json.load(f), **changes)
        with open(self.folder / "identityd.new", "w") as f:
            json.dump(config, f)
        os.rename(self.folder / "identityd.new", self.folder / "identityd.json")

    def restart(self, **changes):
        self.identityd.stop()
        self.start(**changes)

    def stop(self):
        for s in (self.identityd, self.certd, self.keyd):
            if s and s.process.poll() is None:
                s.stop()

    def ask(self, method, path, body=None, version=V, headers=None):
        status, _, answer = unix_http(self.sock, method, path + ("&" if "?" in path else "?") + version, body, headers)
        return status, answer

    def ask_as(self, uid, method, path, body=None):
        return ask_as(uid, self.sock, method, path + ("&" if "?" in path else "?") + V, body)

    def device(self):
        return self.ask("POST", "/identities/device", {"type": "aziot"})

    def is_device(self, device, hub, seconds=30):
        """The spec, once it is that device of that hub."""
        def look():
            status, answer = self.device()
            return answer["spec"] if status == 200 and (answer["spec"]["deviceId"], answer["spec"]["hubName"]) == (device, hub) else None
        return wait_for(look, "%s of %s, and not %s\n%s" % (device, hub, self.device(), self.log()[-1500:]), seconds)

    def module(self, method, name="pump", query="", body=True):
        body = {"type": "aziot", "moduleId": name} if body and method in ("POST", "PUT") else None
        return self.ask(method, "/identities/modules" + ("" if method == "POST" else "/" + name) + query, body)

    def log(self):
        return self.identityd.log_text()

    def said(self, words, before=0):
        wait_for(lambda: words in self.log()[before:], "'%s' in the log\n%s" % (words, self.log()[-1500:]), 30)

    def device_token(self, handle, resource):
        """A token signed by the key behind a handle, which never leaves keyd."""
        sr, se = urllib.parse.quote(resource, safe=""), int(time.time()) // 3600 * 3600 + 7200
        text = base64.b64encode(("%s\n%d" % (sr, se)).encode()).decode()
        status, _, answer = unix_http(self.folder / "keyd-identityd.sock", "POST", "/sign?api-version=2021-05-01",
                                      {"keyHandle": handle, "algorithm": "HMAC-SHA256", "parameters": {"message": text}})
        assert status == 200, answer
        return "SharedAccessSignature sr=%s&sig=%s&se=%d" % (sr, urllib.parse.quote(answer["signature"], safe=""), se)

    def kept(self):
        try:
            with open(os.path.join(self.state, "device_info")) as f:
                return json.load(f)
        except FileNotFoundError:
            return None


class Cloud:
    """An HTTPS server: answer(method, path, headers, body) gives (status, headers, body); body may be what JSON is made of.  `asked` has what came."""

    def __init__(self, pki, answer, name="cloud.local", port=0):
        cert, key = pki.make("server", name, "--san", "127.0.0.1", "--san", "localhost", file="cloud-" + name)
        self.answer, self.asked = answer, []
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                cloud.asked.append((self.command, self.path, dict(self.headers), body))
                answer = cloud.answer(self.command, self.path.split("?")[0], self.headers, body)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response_only(status)
                for line in dict({"Content-Type": "application/json", "Content-Length": str(len(body))}, **headers).items():
                    self.send_header(*line)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = serve

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def seen(self):
        """What was asked since the last look."""
        found, self.asked[:] = list(self.asked), []
        return found

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
