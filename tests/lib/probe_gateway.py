#!/usr/bin/python3 -I
# SPDX-License-Identifier: Apache-2.0
"""Stands in the gateway's place under `rootedge edge` and does what a scenario asks on a socket in its own state folder (b_edge_sandbox.py): one JSON list a line,
answered by what was found or by the name of the errno."""
import ctypes, errno, fcntl, json, os, signal, socket, sys, termios

options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
libc = ctypes.CDLL(None, use_errno=True)
NETLINK_SOCK_DIAG = 4


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def read(path, mode="rb"):
    with open(path, mode) as f:
        return f.read().decode(errors="replace")


def ask(path, request):
    """What a service answers to this request."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path)
        s.sendall(request.encode())
        return b"".join(iter(lambda: s.recv(65536), b"")).decode(errors="replace")


def unix_diag():
    """Every unix socket of the box by name (sock_diag(7)), as ss -x asks."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as s:
        s.bind((0, 0))
        s.send(b"\x28\0\0\0\x14\0\x01\x03\x01\0\0\0\0\0\0\0" + bytes([socket.AF_UNIX, 0, 0, 0]) + b"\xff" * 4 + b"\0" * 4 + b"\x01\0\0\0" + b"\xff" * 8)
        return s.recv(1 << 20).decode(errors="replace")


def watch(path):
    fd = checked(libc.inotify_init1(os.O_CLOEXEC))
    try:
        checked(libc.inotify_add_watch(fd, path.encode(), 0xfff))  # IN_ALL_EVENTS
    finally:
        os.close(fd)


OPERATIONS = {
    "read": read,
    "list": lambda path: sorted(os.listdir(path)),
    "write": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)),
    "truncate": lambda path: os.truncate(path, 0),
    "chmod": os.chmod, "unlink": os.unlink, "rename": os.rename, "link": os.link, "symlink": os.symlink, "mkdir": os.mkdir,
    "ask": ask, "unix_diag": unix_diag,
    "watch": watch,
    "kill": os.kill,
    "session": lambda: [os.getsid(0) == os.getpid(), os.path.samestat(os.fstat(0), os.stat("/dev/null"))],
    "control": lambda request: fcntl.ioctl(2, getattr(termios, request), b"x"),
    "ptrace": lambda pid: checked(libc.ptrace(16, pid, None, None)),  # PTRACE_ATTACH
    "setuid": os.setuid,
    "ids": lambda: [os.getresuid(), os.getresgid(), os.getgroups()],
    "arguments": lambda: sys.argv[1:],
    "environment": lambda: dict(os.environ),
    "descriptors": lambda: sorted(int(fd) for fd in range(256) if is_open(fd)),
}


def is_open(fd):
    try:
        return os.fstat(fd) is not None
    except OSError:
        return False


def answer(line):
    try:
        name, *args = json.loads(line)
        return OPERATIONS[name](*args)
    except OSError as why:
        return errno.errorcode.get(why.errno, str(why))


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
place = os.path.join(options["--state"], "probe.sock")
if os.path.lexists(place):
    os.unlink(place)
listener = socket.socket(socket.AF_UNIX)
listener.bind(place)
listener.listen(8)
os.write(int(options["--ready-fd"]), b'{"ready":true,"mqtt_port":1,"https_port":1}\n')
os.close(int(options["--ready-fd"]))
while True:
    peer, _ = listener.accept()
    for line in peer.makefile():
        peer.sendall(json.dumps(answer(line)).encode() + b"\n")
    peer.close()
