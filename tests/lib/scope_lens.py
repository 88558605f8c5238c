# SPDX-License-Identifier: Apache-2.0
"""What a gateway and the hub say to each other about a scope: the hub's HTTPS seen, and changed on the way, by somebody who has the hub's key."""
import http.server
from rootedge_test import *


class Lens:
    """On a port of its own it passes each request on to the hub.  `asked` has (path, question, status, answer) of the questions for lists; edit(answer) may change one."""

    def __init__(self, hub):
        self.hub, self.asked, self.edit = hub, [], None
        lens = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                lens.pass_on(self)
            do_GET = do_PUT = do_DELETE = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(hub.args[hub.args.index("--cert") + 1], hub.args[hub.args.index("--key") + 1])
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def pass_on(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "connection", "content-length")}
        try:
            status, said, answer = https(self.hub.https_port, request.command, request.path, body or None, headers, ca=self.hub.pki.root)
        except OSError:
            return
        if "devicesAndModulesInTargetDeviceScope" in request.path:
            if self.edit and status == 200:
                answer = self.edit(answer)
            self.asked.append((request.path, json.loads(body), status, answer))
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        request.send_response(status)
        for name in ("ETag", "Content-Type", "iothub-errorcode"):
            if said[name]:
                request.send_header(name, said[name])
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
