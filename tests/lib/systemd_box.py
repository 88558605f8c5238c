# SPDX-License-Identifier: Apache-2.0
"""A real systemd as the first process of namespaces of its own: its system is this one, with what is installed on top and writes that vanish.  Needs root, and a cgroup2 hierarchy to be
a part of.  Nothing of it reaches outside: no network but its own loopback, /proc/sys and /sys read-only, and no unit of this machine but journal, users and temporary files."""
import os, shutil, signal, subprocess
from rootedge_test import *

MASKED = """systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-udev-trigger.service systemd-sysctl.service systemd-modules-load.service
kmod-static-nodes.service systemd-random-seed.service systemd-remount-fs.service systemd-logind.service dbus.service dbus.socket systemd-networkd.service systemd-networkd.socket
systemd-timesyncd.service systemd-resolved.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-machine-id-commit.service systemd-update-utmp.service
systemd-pstore.service sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount local-fs.target getty.target
timers.target cryptsetup.target""".split()
BOOT = r"""set -e
work=$1 installed=$2 root=$1/root
mount -t tmpfs -o mode=755 tmpfs "$work"
mkdir "$work/upper" "$work/work" "$root"
chmod 755 "$work/upper"
mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" overlay "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for n in null zero full random urandom; do touch "$root/dev/$n"; mount --bind "/dev/$n" "$root/dev/$n"; done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up
cp -a "$installed/." "$root/"
mkdir -p "$root/etc/systemd/system"
shift 2
for unit in "$@"; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
: > "$root/etc/fstab"
echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
rm -rf "$root/var/log/journal"
container=lxc exec chroot "$root" /lib/systemd/systemd --system --unit=basic.target --log-target=null --show-status=no
"""


def cgroup2():
    with open("/proc/mounts") as f:
        for line in f:
            words = line.split()
            if words[2] == "cgroup2" and os.access(words[1], os.W_OK):
                return words[1]
    raise Skip("no cgroup2 hierarchy to be a part of")


class SystemdBox:
    def __init__(self, folder, installed):
        if os.getuid() != 0 or not os.path.exists("/lib/systemd/systemd") or not shutil.which("nsenter"):
            raise Skip("needs root, systemd and nsenter")
        self.cgroup = os.path.join(cgroup2(), "re-test-%d" % os.getpid())
        os.mkdir(self.cgroup)
        os.mkdir(folder / "box")
        self.log = open(folder / "box.log", "ab")
        self.outer = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--cgroup", "--net", "bash", "-c", BOOT, "boot", folder / "box", installed, *MASKED],
                                      stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=self.enter_cgroup)
        try:
            self.pid = wait_for(self.find_init, "systemd", 20)
            wait_for(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"), "systemd to have started", 40)
        except AssertionError as e:
            self.close()
            with open(folder / "box.log") as f:
                raise Skip("systemd does not start in namespaces here: %s %s" % (e, f.read()[-500:]))

    def enter_cgroup(self):
        parent_death()
        os.setsid()
        with open(self.cgroup + "/cgroup.procs", "w") as f:
            f.write("0")

    def find_init(self):
        with open("/proc/%d/task/%d/children" % (self.outer.pid, self.outer.pid)) as f:
            child = f.read().split()
        if not child:
            assert self.outer.poll() is None, "it has ended"
            return None
        with open("/proc/%s/comm" % child[0]) as f:
            return int(child[0]) if f.read().strip() == "systemd" else None

    def enter(self, args, **kw):
        return subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-p", "-C", "-n", "-i", "-u", "-r", "-w", *map(str, args)], capture_output=True, text=True, **kw)

    def run(self, *args, check=True, **kw):
        """A command inside.  One that doesn't end says what systemd waits for and what the daemons said last."""
        try:
            done = self.enter(args, timeout=80 * SLOW, **kw)
        except subprocess.TimeoutExpired:
            waits = [self.enter(question, timeout=20).stdout for question in (["systemctl", "list-jobs", "--no-pager"], ["ps", "-eo", "pid,ppid,stat,wchan:20,args"], ["journalctl", "--no-pager", "-n", "80"])]
            raise AssertionError("%s did not end\n%s" % (" ".join(map(str, args)), "\n".join(waits))) from None
        assert not check or done.returncode == 0, (args, done)
        return done

    def write(self, path, text, mode="600"):
        self.run("sh", "-c", 'mkdir -p "$(dirname "$0")" && cat > "$0" && chmod %s "$0"' % mode, path, input=text)

    def show(self, unit, name):
        return self.run("systemctl", "show", "--value", "--property=" + name, unit).stdout.strip()

    def http(self, socket_path, method, path, body=None, user=None, groups=None):
        """(status, body) of a request that a user makes inside, or ("Error", errno)."""
        code = """
import http.client, socket, sys, json
c = http.client.HTTPConnection("x", timeout=30)
c.sock = socket.socket(socket.AF_UNIX)
try:
    c.sock.connect(sys.argv[1])
except OSError as e:
    print(json.dumps(["Error", e.errno]))
    sys.exit()
c.request(sys.argv[2], sys.argv[3], sys.argv[4] or None, {"Content-Type": "application/json"})
a = c.getresponse()
print(json.dumps([a.status, a.read().decode()]))
"""
        become = ["setpriv", "--reuid=%s" % user, "--regid=%s" % user, "--groups=%s" % groups if groups else "--clear-groups"] if user else []
        return tuple(json.loads(self.run(*become, "/usr/bin/python3", "-c", code, socket_path, method, path, json.dumps(body) if body is not None else "").stdout))

    def status_of(self, unit):
        """/proc/PID/status of its main process."""
        with open("/proc/%s/status" % self.outside(self.show(unit, "MainPID"))) as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)

    def outside(self, pid):
        """A process of the box by its number out here."""
        for outer in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/status" % outer) as f:
                    ns = next(line.split()[1:] for line in f if line.startswith("NSpid:"))
            except (OSError, StopIteration):
                continue
            if len(ns) == 2 and ns[1] == pid and os.readlink("/proc/%s/ns/pid" % outer) == os.readlink("/proc/%d/ns/pid" % self.pid):
                return outer
        raise AssertionError("no process " + pid)

    def close(self):
        self.outer.kill()
        self.outer.wait()
        self.log.close()

        def gone():
            for d, _, _ in sorted(os.walk(self.cgroup), reverse=True):
                try:
                    os.rmdir(d)
                except OSError:
                    pass
            return not os.path.exists(self.cgroup)
        wait_for(gone, "the end of its control groups", 10)
