#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the operator of an edge device sees and does without systemd: status, restart, logs, reprovision; and what the supervisor does about roles that end.  Twice: as root, where each
role has a user of its own, and as an ordinary user.  There is no hub: nothing of this needs one."""
import fcntl, os, shutil, signal, socket, stat, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

ROOT_USER = os.getuid() == 0
ORDINARY = 4851 if ROOT_USER else os.getuid()
ROLES = ["keyd", "certd", "identityd", "edged"]
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # which traces its own process: the roles' sandbox forbids that
folder = Folder()
CONFIG = """hostname = "edgegateway.local"
trust_bundle_cert = "file://%s"
[provisioning]
source = "manual"
connection_string = "HostName=127.0.0.1;DeviceId=EdgeGateway;SharedAccessKey=%s"
[upstream]
address = "127.0.0.1"
https_port = 9
[gateway]
enabled = false
"""


class Box(Service):
    def __init__(self, name, uid, programs=None, wait=True):
        self.uid, self.state, self.config = uid, folder / name, folder / (name + ".toml")
        os.mkdir(self.state)
        os.chmod(self.state, 0o755)
        os.chown(self.state, uid, uid)
        self.write(CONFIG % (Pki(folder).root, new_key()))
        self.become = [] if uid == os.getuid() else ["setpriv", "--reuid=%d" % uid, "--regid=%d" % uid, "--clear-groups", "--pdeathsig=KILL"]
        super().__init__(folder, name, "--config", self.config, "--state", self.state, program=self.become + [install(), ], wait=wait)
        self.logs_seen = 0

    def write(self, text):
        with open(self.config, "w") as f:
            f.write(text)
        os.chown(self.config, self.uid, self.uid)

    def rootedge(self, *args, check=True):
        done = subprocess.run([*self.become, folder / "programs/cmd/rootedge", *args, "--state", self.state], capture_output=True, text=True, timeout=90 * SLOW)
        assert not check or done.returncode == 0, (args, done)
        return done

    def status(self):
        done = self.rootedge("status", "--json", check=False)
        roles = {r["name"]: r for r in json.loads(done.stdout)["roles"]}
        assert done.returncode == any(r["failed"] for r in roles.values()), done
        return roles

    def ask(self, role, path="/keypair/none?api-version=2020-09-01"):
        return unix_http(self.status()[role]["socket"], "GET", path)


def install(**others):
    """Executables where every user reaches them; a role may be another program."""
    programs = folder / "programs"
    if not os.path.exists(programs):
        os.makedirs(programs + "/cmd")
        shutil.copy(os.path.join(BUILD, "cmd", "rootedge"), programs + "/cmd/rootedge")
        for role in ROLES + ["edge"]:
            os.makedirs("%s/svc/%s" % (programs, role))
            shutil.copy(os.path.join(BUILD, "svc", role, "rootedge-" + role), "%s/svc/%s/" % (programs, role))
        subprocess.run(["chmod", "-R", "a+rX", programs], check=True)
    return programs + "/svc/edge/rootedge-edge"


class Replaced:
    """For a time a role is a shell script."""

    def __init__(self, role, script):
        self.path, self.script = "%s/svc/%s/rootedge-%s" % (folder / "programs", role, role), script

    def __enter__(self):
        os.rename(self.path, self.path + ".real")
        with open(self.path, "w") as f:
            f.write("#!/bin/sh\n" + self.script)
        os.chmod(self.path, 0o755)

    def __exit__(self, *_):
        os.rename(self.path + ".real", self.path)


boxes = []


def test_01_start():
    """a box as root, and one as an ordinary user"""
    for name, uid in ([("r", 0)] if ROOT_USER else []) + [("u", ORDINARY)]:
        boxes.append(Box(name, uid))


def test_02_status():
    """status: each daemon with its process, memory, uptime and socket, for people and as JSON"""
    for box in boxes:
        roles = box.status()
        assert list(roles) == ROLES
        for name, fields in box.roles().items():
            role = roles[name]
            assert role["state"] == "Running" and role["pid"] == int(fields["Pid"]) and role["restarts"] == 0 and role["for_s"] >= 0, role
            assert 500 < role.get("pss_kib", role.get("rss_kib")) < 200000 and stat.S_ISSOCK(os.stat(role["socket"]).st_mode), role
        text = box.rootedge("status").stdout
        lines = text.splitlines()
        assert lines[0].split() == ["NAME", "STATE", "PID", "MEMORY", "SINCE", "RESTARTS", "SOCKET"] and lines[5] == "", text
        assert [line.split()[:2] for line in lines[1:5]] == [[role, "Running"] for role in ROLES], text
        assert lines[6].split()[0] == "CERTIFICATE" and any(line.split()[:3] == ["aziot-edged-ca", "edged", "good"] for line in lines[7:]), text
        assert box.rootedge("edge", "status").stdout.splitlines()[0] == lines[0]


def test_02b_list():
    """list: modules by the management API, also at a socket that is named"""
    for box in boxes:
        assert box.rootedge("list").stdout.splitlines()[0].split() == ["NAME", "STATUS", "DESCRIPTION", "Config"]
        listed = json.loads(box.rootedge("list", "--json").stdout)
        assert listed["modules"] == [], listed
        done = subprocess.run([folder / "programs/cmd/rootedge", "list"], capture_output=True, text=True, env=dict(os.environ, IOTEDGE_HOST="unix://" + box.control(verb="status")["management"]))
        assert done.returncode == 0 and done.stdout.startswith("NAME"), done


def test_03_restart_one():
    """restart: one daemon alone, on the socket that it had; who asks meanwhile waits, and nobody is refused"""
    for box in boxes:
        before, sock = box.status(), box.status()["keyd"]["socket"]
        inode, answers, going = os.stat(sock).st_ino, [], [True]

        def ask():
            while going[0]:
                try:
                    answers.append(unix_http(sock, "GET", "/nothing?api-version=2020-09-01")[0])
                except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                    answers.append("cut")  # it had not been read when keyd ended
                except OSError as e:
                    answers.append(repr(e))
        thread = threading.Thread(target=ask)
        thread.start()
        box.rootedge("restart", "keyd")
        going[0] = False
        thread.join()
        after = box.status()
        assert after["keyd"]["pid"] != before["keyd"]["pid"] and after["keyd"]["restarts"] == 1 and after["keyd"]["state"] == "Running"
        assert all(after[r]["pid"] == before[r]["pid"] for r in ROLES[1:]) and os.stat(sock).st_ino == inode
        assert set(answers) <= {404, "cut"} and 404 in answers and answers.count("cut") <= 1, answers


def test_04_killed():
    """a daemon that is killed comes back by itself, and who asks before it does waits for it"""
    for box in boxes:
        os.kill(box.status()["certd"]["pid"], signal.SIGKILL)
        wait_for(lambda: box.status()["certd"]["state"] != "Running" or box.status()["certd"]["restarts"] == 1, "the end of certd")
        assert box.ask("certd", "/nothing?api-version=2020-09-01")[0] == 404
        wait_for(lambda: box.status()["certd"]["state"] == "Running", "certd")
        assert "certd was killed by signal 9 (Killed), starting it again in" in box.log_text()


def test_05_keeps_ending():
    """one that keeps ending: status says so with its last words and ends with 1, the log says that somebody should look; once it can, it serves"""
    for box in boxes[-1:]:
        with Replaced("certd", "echo the disk is on fire >&2\nexit 3\n"):
            box.rootedge("restart", "edged")
            os.kill(box.status()["certd"]["pid"], signal.SIGKILL)
            wait_for(lambda: "certd ended with status 3" in box.log_text(), "its end")
            done = box.rootedge("status", check=False)
            assert done.returncode == 1 and "certd: Down - failed" in done.stdout and "the disk is on fire" in done.stdout, done.stdout
            wait_for(lambda: "time in a row" in box.log_text(), "five ends", 40)
            line = next(l for l in box.log_text().splitlines() if "time in a row" in l)
            assert "the disk is on fire" in line and "somebody should look" in line, line
            role = box.status()["certd"]
            assert role["state"] == "Down - keeps ending" and role["said"] == "the disk is on fire" and role["failed"], role
            assert box.status()["keyd"]["state"] == "Running"
        box.rootedge("restart", "certd")
        assert box.status()["certd"]["state"] == "Running"


def test_06_exit_codes():
    """153: refused settings are not tried again until the operator says so; 154: at once"""
    for box in boxes:
        with Replaced("certd", "echo what is this >&2\nexit 153\n"):
            os.kill(box.status()["certd"]["pid"], signal.SIGKILL)
            wait_for(lambda: box.status()["certd"]["state"] == "Down - settings refused", "certd's refusal")
            n = box.status()["certd"]["restarts"]
            assert "certd refuses its settings and is not started again; it said: what is this" in box.log_text()
        again = box.folder_of_marks("again")
        with Replaced("certd", 'test -e %s || { touch %s; exit 154; }\nexec "$0".real "$@"\n' % (again, again)):
            box.rootedge("restart", "certd")
        assert box.status()["certd"]["state"] == "Running" and box.status()["certd"]["restarts"] == n + 1


def folder_of_marks(self, name):
    """Where certd itself may write."""
    return "%s/certd/certs/%s" % (self.state, name)


Box.folder_of_marks = folder_of_marks


def test_07_logs():
    """logs: all in the order of time, one, the last lines, since when; the files are the operator's alone"""
    for box in boxes[-1:]:
        lines = box.rootedge("logs").stdout.splitlines()
        times = [json.loads(l)["time"] for l in lines if l.startswith("{")]
        assert len(times) > 10 and times == sorted(times)
        assert {json.loads(l)["role"] for l in lines if l.startswith("{")} >= {"edge"} and any("the disk is on fire" == l for l in lines)
        keyd = box.rootedge("logs", "keyd").stdout.splitlines()
        assert all(json.loads(l)["role"] == "keyd" for l in keyd), keyd
        assert box.rootedge("logs", "edge", "--tail", "2").stdout.splitlines() == box.rootedge("logs", "edge").stdout.splitlines()[-2:]
        assert box.rootedge("logs", "--since", "1d").stdout.splitlines() == lines and box.rootedge("logs", "--since", "2100-01-01").stdout == ""
        for args in (("logs", "kexd"), ("logs", "--since", "yesterday"), ("restart", "certt"), ("status", "x")):
            done = box.rootedge(*args, check=False)
            assert done.returncode in (1, 2) and done.stderr.count("\n") == 1, done
        assert "did you mean 'keyd'?" in box.rootedge("logs", "kexd", check=False).stderr
        for name in os.listdir(box.state + "/logs"):
            st = os.stat(box.state + "/logs/" + name)
            assert st.st_mode & 0o7777 == 0o600 and st.st_uid == box.uid, name


def test_08_follow():
    """logs -f goes on with what is said next, also in the next file"""
    for box in boxes[-1:]:
        process = subprocess.Popen([*box.become, folder / "programs/cmd/rootedge", "logs", "-f", "--tail", "1", "edge", "--state", box.state], stdout=subprocess.PIPE, preexec_fn=parent_death)
        os.set_blocking(process.stdout.fileno(), False)
        said = []

        def has(word):
            said.append((process.stdout.read() or b"").decode())
            return word in "".join(said)
        wait_for(lambda: has("\n"), "the last line")
        box.rootedge("restart", "identityd")
        wait_for(lambda: has("identityd serves"), "the line about identityd")
        with open(box.state + "/logs/edge.log", "ab") as f:
            f.write((b"x" * 1023 + b"\n") * 2100)
        box.rootedge("restart", "identityd")
        box.rootedge("restart", "edged")
        wait_for(lambda: has("edged serves"), "what is in the next file")
        assert os.path.getsize(box.state + "/logs/edge.log.1") > 2100 * 1024
        process.kill()
        process.wait()


def test_09_ceiling():
    """whatever a role says, its logs take no more than their ceiling, and the others are watched meanwhile"""
    for box in boxes[-1:]:
        with Replaced("certd", "yes this is said again and again and again and again and again and again and again | head -c 12000000 >&2\nexit 1\n"):
            os.kill(box.status()["certd"]["pid"], signal.SIGKILL)
            wait_for(lambda: "said again" in box.status()["certd"].get("said", ""), "the flood", 60)
            sizes = [os.path.getsize("%s/logs/%s" % (box.state, n)) for n in ("certd.log", "certd.log.1")]
            assert max(sizes) <= 2 * 1024 * 1024 and sum(sizes) > 2 * 1024 * 1024, sizes
        box.rootedge("restart", "certd")
        with open(box.log_path, "w"):
            pass


def test_10_control():
    """the supervisor's socket: neither junk, nor silence, nor a crowd keeps it from its work; only root and its own user are heard"""
    for box in boxes:
        with open(box.state + "/run/control") as f:
            path = f.read().strip()
        assert os.stat(box.state + "/run/control").st_mode & 0o7777 == 0o600 and os.stat(path).st_mode & 0o7777 == 0o600
        for junk in (b"\n", b"{}\n", b"{\n", b'{"verb":"stop"}\n', b'{"verb":1}\n', b'{"verb":"restart","role":"../keyd"}\n', b"[" * 3000 + b"\n", b'{"verb":"status","verb":"status"}\n', b"\0\xff\n"):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10 * SLOW)
                s.connect(path)
                s.sendall(junk)
                assert "error" in json.loads(s.makefile().read()), junk
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10 * SLOW)
            s.connect(path)
            s.sendall(b"x" * 5000)
            assert s.makefile().read() == ""
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(12)]
        for s in crowd:
            s.setblocking(False)
            s.connect_ex(path)
        os.kill(box.status()["certd"]["pid"], 0)
        for s in crowd:
            s.close()
        if ROOT_USER:
            code = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ntry: s.connect(sys.argv[1])\nexcept OSError as e: print(e.errno)\n"
            done = subprocess.run(["setpriv", "--reuid=%d" % (ORDINARY + 1), "--clear-groups", "/usr/bin/python3", "-c", code, path], capture_output=True, text=True)
            assert done.stdout.strip() == "13", done
            done = subprocess.run(["setpriv", "--reuid=%d" % (ORDINARY + 1), "--clear-groups", folder / "programs/cmd/rootedge", "status", "--state", box.state], capture_output=True, text=True)
            assert done.returncode == 1 and done.stderr.startswith("rootedge status: "), done


def test_11_anew():
    """restart without a name, and SIGHUP: everything anew from config.toml; with mistakes in it everything goes on as it was, and says why"""
    for box in boxes:
        with open(box.config) as f:
            good = f.read()
        before = box.status()
        box.write(good.replace("hostname", "hostnam", 1))
        done = box.rootedge("restart", check=False)
        assert done.returncode == 1 and "hostnam" in done.stderr and "did you mean" in done.stderr, done
        box.process.send_signal(signal.SIGHUP)
        wait_for(lambda: box.log_text().count("everything goes on as it was") == 2, "the supervisor's refusal")
        assert {r["pid"] for r in box.status().values()} == {r["pid"] for r in before.values()}
        box.write(good + '[modules.second]\nuid = %d\n' % box.uid)
        box.rootedge("restart")
        after = box.status()
        assert not {r["pid"] for r in after.values()} & {r["pid"] for r in before.values()}
        assert os.path.exists(box.ready["mnt"] + "/second.sock") and box.process.poll() is None


def test_12_reprovision():
    """reprovision asks identityd, and edged is started again"""
    for box in boxes:
        before = box.status()
        assert box.rootedge("reprovision").stdout == "this device has asked anew who it is\n"
        after = box.status()
        assert after["edged"]["pid"] != before["edged"]["pid"] and after["identityd"]["pid"] == before["identityd"]["pid"]


def test_13_hangs():
    """one that ignores SIGTERM is killed after a while, and the others are ended before and after it in order"""
    box = boxes[-1]
    with Replaced("certd", 'trap "" TERM\necho "{}" >&2\nwhile :; do sleep 0.1; done\n'):
        os.kill(box.status()["certd"]["pid"], signal.SIGKILL)
        wait_for(lambda: box.status()["certd"]["state"] == "Starting", "certd that hangs")
        before = time.monotonic()
        assert box.stop(40) == 0
        assert time.monotonic() - before > 5 and "certd does not end, it is killed" in box.log_text()


def test_14_ended():
    """of a device that has ended there is no status, and its logs are still told"""
    box = boxes[-1]
    done = box.rootedge("status", check=False)
    assert done.returncode == 1 and "no edge device runs with the state folder" in done.stderr, done
    assert "certd does not end" in box.rootedge("logs", "edge").stdout


def test_15_damaged_state():
    """a state folder in which a role has laid traps is given away without following them"""
    if not ROOT_USER:
        raise Skip("needs root")
    box = boxes[0]
    box.stop()
    victim, second = folder / "victim", box.state + "/keyd/keys/second"
    for name in (victim, folder / "linked"):
        with open(name, "w") as f:
            f.write("x")
    os.link(victim, second)
    os.symlink(folder / "linked", box.state + "/keyd/keys/link")
    box.start()
    assert os.stat(victim).st_uid == 0 and os.stat(folder / "linked").st_uid == 0
    box.stop()
    shutil.rmtree(box.state + "/certd")
    os.symlink(folder.path, box.state + "/certd")
    box.start(wait=False)
    assert box.process.wait(20 * SLOW) == 1 and "no link to one" in box.log_text()
    os.close(box.ready_fd)
    box.ready_fd = None
    assert os.stat(folder.path).st_uid == 0


def test_16_resolver():
    """as one user the roles see no more of /etc than what resolves names; when one of these files is replaced, those who use it are started again, and see the new one"""
    if not ROOT_USER:
        raise Skip("needs root, for an /etc of its own")
    shell = 'mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w && mount -t overlay -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w overlay /etc && exec "$@"'
    os.mkdir(folder / "n")
    os.chown(folder / "n", ORDINARY, ORDINARY)
    box = boxes[-1]
    become = ["setpriv", "--reuid=%d" % ORDINARY, "--regid=%d" % ORDINARY, "--clear-groups", "--pdeathsig=KILL"]
    with Service(folder, "n", "--config", box.config, "--state", folder / "n", program=["unshare", "--mount", "sh", "-c", shell, "sh", *become, install()]) as edge:
        before = {r["name"]: r["pid"] for r in edge.control(verb="status")["roles"]}
        etc = "/proc/%d/root/etc/" % edge.process.pid
        for name in ("unrelated", "hosts"):
            with open(etc + name + ".new", "w") as f:
                f.write("127.0.0.1 localhost\n")
            os.rename(etc + name + ".new", etc + name)
        wait_for(lambda: "a file of /etc was replaced" in edge.log_text(), "the supervisor to notice")
        def all_again():
            roles = edge.control(verb="status")["roles"]
            return roles if all(r["state"] == "Running" for r in roles) and any(r["restarts"] for r in roles) else None
        after = wait_for(all_again, "all to serve")
        assert {r["name"] for r in after if r["pid"] != before[r["name"]]} == {"identityd"}, (before, after)
    with open(edge.log_path) as f:
        assert f.read().count("a file of /etc was replaced") == 1


def test_99_end():
    """nothing is left"""
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
