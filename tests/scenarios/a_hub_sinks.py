#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the hub itself passes events on to: a web hook that fails, hangs and comes back, and standard output.  Each event comes at least once and in order, whatever is killed, and
devices notice nothing of it."""
import http.server, os, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

folder = pki = hub = key = hook = None


class Hook:
    """A server that takes batches, or answers what it is told to."""

    def __init__(self, cert, keyfile, port=0):
        self.batches, self.mood, self.release = [], 200, threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"].startswith("application/json")
                mood = outer.mood
                if mood == "hang":
                    outer.hung = True
                    outer.release.wait(60)
                    return
                if mood == 200:
                    outer.batches.append(json.loads(body))
                else:
                    outer.refused = getattr(outer, "refused", 0) + 1
                self.send_response(mood)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # the hub that hangs up is what some tests want
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, keyfile)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def numbers(self):
        return [int(e["properties"]["n"]) for batch in list(self.batches) for e in batch]

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def send(numbers):
    with hub.mqtt("dev1", password=hub.device_token("dev1", key)) as m:
        for i in numbers:
            m.publish("devices/dev1/messages/events/n=%d" % i, b"{}")


def in_order(numbers):
    """Without those that came again, they only grow by one."""
    fresh = []
    for n in numbers:
        if not fresh or n > fresh[-1]:
            fresh.append(n)
    return fresh


def test_00_start():
    """a hub with a web hook starts, also where events were before, which are not sent"""
    global folder, pki, hub, key, hook
    folder = Folder()
    pki = Pki(folder)
    cert, keyfile = pki.make("server", "hook.example", file="hook")
    hook = Hook(cert, keyfile)
    hub = Hub(folder, pki)
    key = hub.create_device("dev1")["authentication"]["symmetricKey"]["primaryKey"]
    send(range(5))
    hub.stop()
    hub.args += ["--sink", "https://hook.example:%d/events?code=planted-secret" % hook.port, "--sink-ca", pki.root, "--sink-connect-to", "127.0.0.1", "--sink", "stdout"]
    hub.start()


def test_01_delivers():
    """events come in arrays, in order, as in streams, and on standard output a line each"""
    send(range(5, 300))
    wait_for(lambda: len(hook.numbers()) >= 295, "all of them")
    assert hook.numbers() == list(range(5, 300))
    assert max(len(b) for b in hook.batches) <= 100
    e = hook.batches[0][0]
    assert e["offset"] == 5 and e["sequenceNumber"] == 5 and e["annotations"]["iothub-connection-device-id"] == "dev1", e

    def printed():
        return [int(json.loads(l)["properties"]["n"]) for l in hub.log_text().splitlines() if l.startswith('{"offset"')]
    wait_for(lambda: len(printed()) >= 295, "the lines")
    assert printed() == list(range(5, 300))
    assert hub.rest("GET", "/events/consumerGroups")[2]["consumerGroups"][1]["consumerGroup"] == "$webhook"


def test_02_fails_and_recovers():
    """while it answers 503, 400 or not at all, devices go on; then it gets all, in order"""
    done = 300
    for mood in (503, 400, "hang"):
        hook.mood, hook.refused, hook.hung = mood, 0, False
        send(range(done, done + 20))
        done += 20
        wait_for(lambda: hook.refused or hook.hung, "the sink to try")
        hook.mood = 200
        hook.release.set()
        wait_for(lambda: in_order(hook.numbers())[-1] == done - 1, "all of them after " + str(mood), 60)
        hook.release.clear()
    assert in_order(hook.numbers()) == list(range(5, done)), hook.numbers()
    assert "will be sent again" in hub.log_text() and "are taken again" in hub.log_text()
    assert "planted-secret" not in hub.log_text()


def test_03_kill9():
    """kill -9 of the hub while the hook is down, and of both: nothing is left out"""
    last = hook.numbers()[-1] + 1
    hook.mood = 503
    send(range(last, last + 30))
    hub.kill9()
    hub.start()
    send(range(last + 30, last + 40))
    hook.mood = 200
    wait_for(lambda: in_order(hook.numbers())[-1] == last + 39, "all of them", 60)
    for round in range(3):
        send(range(last + 40 + 50 * round, last + 90 + 50 * round))
        hub.kill9()
        hub.start()
    wait_for(lambda: in_order(hook.numbers())[-1] == last + 189, "all of them", 60)
    assert in_order(hook.numbers()) == list(range(5, last + 190))


def test_04_server_is_judged():
    """a server of another root is told nothing"""
    other = Folder()
    stranger = Pki(other)
    cert, keyfile = stranger.make("server", "hook.example", file="hook")
    hub.stop()
    false_hook = Hook(cert, keyfile)
    at = hub.args.index("--sink") + 1
    right = hub.args[at]
    hub.args[at] = "https://hook.example:%d/events?code=planted-secret" % false_hook.port
    hub.start()
    last = hook.numbers()[-1] + 1
    send(range(last, last + 3))
    wait_for(lambda: hub.log_text().count("will be sent again") >= 2, "the sink to say so")
    assert not false_hook.batches and "planted-secret" not in hub.log_text()
    hub.stop()
    hub.args[at] = right
    hub.start()
    wait_for(lambda: in_order(hook.numbers())[-1] == last + 2, "the right one to get them", 60)
    false_hook.close()


def test_05_stops():
    """a hub whose hook hangs stops at once"""
    hook.mood, hook.hung = "hang", False
    last = in_order(hook.numbers())[-1] + 1
    send(range(last, last + 3))
    wait_for(lambda: hook.hung, "the sink to hang")
    start = time.monotonic()
    hub.stop()
    assert time.monotonic() - start < 5 * SLOW
    hook.close()


def test_06_pipe_that_nobody_reads():
    """a hub whose standard output is a full pipe serves devices, and stops"""
    h = [a for a in hub.args]
    del h[h.index("--sink"):]
    r, w = os.pipe()
    rr, rw = os.pipe()
    os.set_inheritable(rw, True)
    p = subprocess.Popen([ROOTEDGE, "hub", *h, "--sink", "stdout", "--ready-fd", str(rw)], stdout=w, stderr=subprocess.DEVNULL, pass_fds=[rw], preexec_fn=parent_death)
    os.close(rw)
    hub.ready = json.loads(os.read(rr, 4096))
    send(range(10000, 10400))
    p.terminate()
    assert p.wait(10 * SLOW) == 0
    os.close(w)
    with os.fdopen(r) as f:
        lines = f.read().splitlines()
    numbers = [int(json.loads(l)["properties"]["n"]) for l in lines[:-1]]
    assert len(numbers) > 50 and numbers == list(range(10000, 10000 + len(numbers))), numbers


def test_07_bad_options():
    """sinks that can't be are refused at the start"""
    for args, words in ((["--sink", "http://x/"], "https://"), (["--sink", "https://x/"], "--sink-ca"), (["--sink", "file:/x"], "https://"),
                        (["--sink", "stdout", "--sink", "stdout"], "one web hook"), (["--sink", "https://x/", "--sink-ca", "/nowhere"], "/nowhere"), (["--event-sources", "smoke"], "smoke"),
                        (["--partitions", "33"], "partitions")):
        base = [a for a in hub.args]
        del base[base.index("--sink"):]
        done = run("rootedge", "hub", *base, *args, check=False)
        assert done.returncode in (1, 2) and words in done.stderr, (args, done.stderr)


if __name__ == "__main__":
    run_all(globals())
