#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What every service does for whoever starts it: sockets that are handed over (by systemd's own systemd-socket-activate), the words of sd_notify, and an end in order."""
import fcntl, os, select, shutil, signal, socket, struct, subprocess, sys, termios, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from keyd_client import Keyd, V

folder = Folder()


class Ear:
    """$NOTIFY_SOCKET."""

    def __init__(self, name):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(name)

    def hear(self, word, seconds=20):
        """The datagram that has this word, and those before it."""
        heard, end = [], time.monotonic() + seconds * SLOW
        while True:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.sock], [], [], left)[0], (word, heard)
            heard.append(self.sock.recv(4096).decode())
            if word in heard[-1].split("\n"):
                return heard


def activated(listen, *command, env=None):
    tool = shutil.which("systemd-socket-activate")
    if not tool:
        raise Skip("no systemd-socket-activate here (package systemd)")
    # It passes on but a few variables.
    passed = dict({"ROOTEDGE_LOG": "info,json"}, **{k: v for k, v in os.environ.items() if k in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "ROOTEDGE_CLOCK_FILE")}, **(env or {}))
    log = open(folder / "activated.log", "ab")
    return subprocess.Popen([tool, *sum((["-l", str(l)] for l in listen), []), *sum((["-E", "%s=%s" % e] for e in passed.items()), []), *map(str, command)], stdout=log, stderr=log,
                            preexec_fn=parent_death)


def text_of(name):
    with open(folder / name, errors="replace") as f:
        return f.read()


def write_keyd(name, sock):
    config = folder / (name + ".json")
    with open(config, "w") as f:
        json.dump({"dir": folder / (name + "-keys"), "principals": [{"name": "me", "uid": os.getuid(), "ids": ["*"]}], "sockets": [{"path": sock}]}, f)
    return config


def test_01_unix():
    """a unix socket that is handed over is the one that the configuration names: who connects before keyd runs is answered, and the socket stays when keyd ends"""
    sock = folder / "handed.sock"
    process = activated([sock], ROOTEDGE, "keyd", "--config", write_keyd("handed", sock))
    try:
        wait_for(lambda: os.path.exists(sock), "the socket")
        inode = os.stat(sock).st_ino
        status, _, _ = unix_http(sock, "POST", "/keypair" + V, {"keyId": "first", "preferredAlgorithms": "ec-p256"})
        assert status == 200, (status, text_of("activated.log"))
        assert os.stat(sock).st_ino == inode
        process.terminate()
        assert process.wait(20 * SLOW) == 0, text_of("activated.log")
        assert os.stat(sock).st_ino == inode, "not ours to remove"
    finally:
        process.kill()
        process.wait()


def test_02_tcp():
    """TCP sockets are known by their ports: a hub that may not bind a thing serves MQTT and HTTPS, on all of its loops"""
    pki = Pki(folder)
    cert, key = pki.make("server", "contosoiothub.local", "--san", "127.0.0.1", file="hub")
    mqtt, https_port = own_port(), own_port()
    process = activated(["127.0.0.1:%d" % https_port, "127.0.0.1:%d" % mqtt], ROOTEDGE, "hub", "--state", folder / "hub", "--hostname", "contosoiothub.local", "--mqtt-port", mqtt,
                        "--https-port", https_port, "--cert", cert, "--key", key, "--loops", 3)
    try:
        wait_for(lambda: process.poll() is None and "Listening on 127.0.0.1:%d" % mqtt in text_of("activated.log"), "systemd-socket-activate")
        # The first connection starts the hub, and waits for it.
        status, _, _ = https(https_port, "GET", "/devices/x?api-version=2021-04-12", ca=pki.root)
        assert status == 401, status
        found = [https(https_port, "GET", "/devices/x?api-version=2021-04-12", ca=pki.root)[0] for _ in range(12)]
        assert found == [401] * 12, found
        with Mqtt(mqtt, ca=pki.root, connect=False) as client:
            client.send(connect_packet("x", username("contosoiothub.local", "x"), "no token"))
            assert client.receive()[1][1] == 5
        process.terminate()
        assert process.wait(20 * SLOW) == 0, text_of("activated.log")
    finally:
        process.kill()
        process.wait()


def connects(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


def test_03_not_ours():
    """what was meant for another process is not used, and what is no listening socket is said so"""
    with socket.socketpair()[0] as other:
        fd = other.fileno()
        sock = folder / "own.sock"
        # A plain sh knows no descriptor above 9.
        shell = 'exec 3<&%d; export LISTEN_FDS=1; LISTEN_PID=%%s exec "$@"' % fd
        for pid, warned in (("1", False), ("$$", True)):
            with Service(folder, "keyd", "--config", write_keyd("own", sock), wait=False, program=["bash", "-c", shell % pid, "sh", ROOTEDGE, "keyd"]) as keyd:
                wait_for(lambda: connects(sock), "keyd's own socket")
                assert unix_http(sock, "GET", "/keypair/none" + V)[0] == 400
            assert ("is no listening socket" in keyd.log_text()) == warned, keyd.log_text()
            os.remove(keyd.log_path)


def test_04_notify():
    """systemd hears that it serves, that it is alive, and that it ends, in this order"""
    for name in (folder / "notify", "\0rootedge-test-%d" % os.getpid()):
        ear = Ear(name)
        with Keyd(folder, {}, env={"NOTIFY_SOCKET": name.replace("\0", "@"), "WATCHDOG_USEC": "300000"}) as keyd:
            assert ear.hear("READY=1")[0].startswith("READY=1\n")
            for _ in range(3):
                ear.hear("WATCHDOG=1", 2)
        ear.hear("STOPPING=1")


def test_05_reload():
    """a hub that reads its certificate again says so before and after"""
    with HubWithEar() as hub:
        hub.ear.hear("READY=1")
        hub.process.send_signal(signal.SIGHUP)
        assert any(line.startswith("MONOTONIC_USEC=") for line in hub.ear.hear("RELOADING=1")[-1].split("\n"))
        hub.ear.hear("READY=1")


class HubWithEar(Hub):
    def __init__(self):
        self.ear = Ear(folder / "reload")
        super().__init__(folder, Pki(folder), env={"NOTIFY_SOCKET": folder / "reload"})


def opened(keyd, *pieces):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20 * SLOW)
    s.connect(keyd.sock)
    for piece in pieces:
        s.sendall(piece)
    wait_for(lambda: struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, b"\0" * 4))[0] == 0, "keyd to read it")
    return s


def post(id, algorithm):
    body = json.dumps({"keyId": id, "preferredAlgorithms": algorithm}).encode()
    return b"POST /keypair%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (V.encode(), len(body)), body


def test_06_end_in_order():
    """SIGTERM: what is being done is finished and answered, idle connections are closed, new ones are not taken"""
    with Keyd(folder, {}) as keyd:
        idle = opened(keyd, b"GET /keypair/none" + V.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 400")
        head, body = post("late", "ec-p256")
        late = opened(keyd, head, body[:10])
        slow = [opened(keyd, *post("slow%d" % i, "rsa-2048")) for i in range(3)]
        keyd.process.terminate()
        assert idle.recv(1) == b""
        assert not os.path.exists(keyd.sock)
        late.sendall(body[10:])
        for s in [late, *slow]:
            assert s.recv(4096).startswith(b"HTTP/1.1 200")
            assert s.recv(4096) == b"", "and nothing after it"
        assert keyd.process.wait(10 * SLOW) == 0


def test_07_limit():
    """a request that doesn't come to its end does not hold up the service's: after a few seconds it is cut off, and the log says so"""
    with Keyd(folder, {}) as keyd:
        half = socket.socket(socket.AF_UNIX)
        half.connect(keyd.sock)
        half.sendall(b"POST /keypair" + V.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        assert keyd.ask("GET", "/keypair/none")[0] == 400
        before = time.monotonic()
        keyd.process.terminate()
        assert keyd.process.wait(12 * SLOW) == 0
        assert time.monotonic() - before > 2, "it was given some time"
        half.close()


def test_08_filter():
    """each service, whoever started it, has a filter of system calls and gains nothing by exec"""
    pki = Pki(folder)
    cert, key = pki.make("server", "contosoiothub.local", "--san", "127.0.0.1", file="hub")
    common = ["--hostname", "contosoiothub.local", "--address", "127.0.0.1", "--cert", cert, "--key", key]
    for name, args in (("hub", ["--mqtt-port", 0, "--https-port", 0, *common]), ("provisioning", ["--port", 0, "--mqtt-port", 0, "--hubs-ca", pki.root, *common]), ("keyd", ["--config", write_keyd("filter", folder / "filter.sock")])):
        state = [] if name == "keyd" else ["--state", folder / ("filter-" + name)]
        with Service(folder, name, *state, *args) as service:
            with open("/proc/%d/status" % service.process.pid) as f:
                fields = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
            assert fields["Seccomp"] == "2" and fields["NoNewPrivs"] == "1", (name, fields)


if __name__ == "__main__":
    run_all(globals())
