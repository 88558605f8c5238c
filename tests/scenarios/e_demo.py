#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rootedge demo, the story of the two documents: the five questions are answered by the processes that have to decide, the same doors stay shut for others, and nothing is left
behind, whatever ends it."""
import os, pty, re, signal, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # which traces its own process: the roles' sandbox forbids that
os.environ.pop("NO_COLOR", None)
CHAIN = ["my_private_root_CA", "my_optional_intermediate_CA", "iotedged workload ca edgegateway", "edgegateway.local"]
ANSWERS = {  # the five questions, and who answers each
    1: ("Am I really talking to contosoiothub.local?", "edge"),
    2: ("Is this really EdgeGateway?", "hub"),
    3: ("Am I really talking to edgegateway.local?", "device"),
    4: ("Is this really TempSensor?", "gateway"),
    5: ("Who may sign module certificates?", "edge"),
}
REFUSALS = [("An impostor", "gateway", "THUMBPRINT_MISMATCH"), ("A wrong name", "device", "NAME_MISMATCH"), ("An unknown root", "device", "TRUST_UNKNOWN_ISSUER")]


class Place(Folder):
    """Where a demo runs: its temporary folder, home and working directory, in which it should leave nothing."""

    def __init__(self):
        super().__init__()
        for name in ("tmp", "home", "cwd"):
            os.mkdir(self / name)
            os.chmod(self / name, 0o711)
        self.env = dict(os.environ, TMPDIR=self / "tmp", HOME=self / "home")

    def processes(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    line = f.read()
                with open("/proc/%s/stat" % pid) as f:
                    is_dead = f.read().rpartition(")")[2].split()[0] in "ZX"
            except OSError:
                continue
            if self.path.encode() in line and int(pid) != os.getpid() and not is_dead:
                found.append((int(pid), line.replace(b"\0", b" ").decode()))
        return found

    def pid_of(self, role):
        pids = [pid for pid, line in self.processes() if line.split()[0].endswith("rootedge-" + role)]
        assert len(pids) == 1, (role, self.processes())
        return pids[0]

    def check_empty(self):
        wait_for(lambda: not self.processes(), "the end of all processes: %s" % self.processes())
        left = [os.path.join(at, name) for at, dirs, files in os.walk(self.path) for name in dirs + files]
        assert sorted(left) == sorted(self / n for n in ("tmp", "home", "cwd")), left

    def demo(self, *args, **kw):
        return Demo(self, args, **kw)

    def run(self, *args):
        with self.demo(*args) as demo:
            return demo.finish()

    def __exit__(self, kind, *_):
        for pid, _ in self.processes() if kind else []:
            os.kill(pid, signal.SIGKILL)
        super().__exit__()


class Demo:
    """A running demo.  finish() gives (status, standard output, standard error) when it has ended."""

    def __init__(self, place, args, stdout=subprocess.PIPE):
        self.text = b""
        self.process = subprocess.Popen([ROOTEDGE, "demo", *args], cwd=place / "cwd", env=place.env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
                                        bufsize=0, preexec_fn=parent_death)

    def read_until(self, mark):
        """What it printed, when a line that begins with mark is there and complete."""
        found = re.compile(b"^" + re.escape(mark.encode()) + b".*\n", re.M)
        while not found.search(self.text):
            assert select.select([self.process.stdout], [], [], 60 * SLOW)[0], "waited in vain for %r after\n%s" % (mark, self.text.decode())
            piece = self.process.stdout.read(65536)
            assert piece, "it ended before %r\n%s%s" % (mark, self.text.decode(), self.process.stderr.read().decode())
            self.text += piece
        return self.text.decode()

    def finish(self, send=None):
        if send:
            self.process.send_signal(send)
        out, err = self.process.communicate(timeout=100 * SLOW)
        return self.process.returncode, (self.text + (out or b"")).decode(), err.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def sections(page):
    """The part of each question: number to its lines."""
    out, now = {}, None
    for line in page.splitlines():
        if line[:1] and not line.startswith(" "):
            now = int(line[0]) if re.match(r"[1-5]  ", line) else None
            out.setdefault(now, [])
        if now:
            out[now].append(line)
    return out


def verdicts(state):
    """All verdicts that the processes wrote, as {(who, question): the last accepted or refused one}."""
    out = {}
    for name in os.listdir(state + "/logs"):
        with open("%s/logs/%s" % (state, name)) as f:
            for line in f:
                try:
                    v = json.loads(line)["verdict"]
                except (ValueError, KeyError, TypeError):
                    continue
                out.setdefault((v["who"], v["question"], v["accepted"]), v)
    return out


def test_01_story():
    """the five questions are answered with yes by those who decide, three others are refused with their reason, five readings arrive, and nothing is left behind"""
    with Place() as place:
        status, out, err = place.run()
        assert status == 0 and err == "" and "\x1b" not in out, (out, err)
        part = sections(out)
        for n, (question, who) in ANSWERS.items():
            assert part[n][0] == "%d  %s" % (n, question) and re.search(r"✓ .*says \w+ \(%s\)" % who, part[n][1]), part[n]
        names = [re.match(r" *(?:└─ )?CN=(.*?)  ", line).group(1) for line in part[3] if "CN=" in line]
        assert names == CHAIN and [line.index("CN=") for line in part[3] if "CN=" in line] == [5, 8, 11, 14], part[3]
        for title, who, reason in REFUSALS:
            assert re.search(r"\n   %s: .*\n   ✗ no, says \w+ \(%s\): %s\n" % (title, who, reason), out), (title, out)
        assert "✓ 5 of 5 readings" in out and "✓ Five questions answered" in out, out
        assert len(out.splitlines()) <= 76, len(out.splitlines())
        place.check_empty()


def test_02_evidence():
    """what the page shows stands in the verdicts that the processes wrote, and the thumbprints are those of the files"""
    with Place() as place:
        state = place / "state"
        status, out, err = place.run("--state", state)
        assert status == 0, (out, err)
        assert not place.processes() and os.listdir(place / "tmp") == []
        part, said = sections(out), verdicts(state)
        for n, (question, who) in ANSWERS.items():
            v = said[who, question, True]
            assert [l.split("  (")[0] for l in v["chain"]] == [re.search(r"CN=.*?(?=  )", l).group(0) for l in reversed(part[n][2:]) if "CN=" in l], (v["chain"], part[n])
        for n, name in ((2, "EdgeGateway"), (4, "TempSensor")):
            shown = [line.split()[-1] for line in part[n] if re.search("on record|shown", line)]
            assert shown == [thumbprint("%s/%s.cert.pem" % (state, name))] * 2, (shown, part[n])
        impostor, record = thumbprint(state + "/impostor.cert.pem"), [thumbprint("%s/TempSensor%s.cert.pem" % (state, s)) for s in ("", "-secondary")]
        assert re.search(r"on record +%s\n +or +%s\n +shown +%s\n" % (*record, impostor), out), out
        assert said["gateway", ANSWERS[4][0], False]["cause"] == "THUMBPRINT_MISMATCH"
        assert "TempSensor" in run("rootedge", "hub", "events", "--state", state + "/hub").stdout


def command(page, beginning):
    """A command that the page proposes, in the folder and environment that it proposes."""
    lines = [line for line in page.splitlines() if line.startswith((beginning, "cd "))]
    assert len(lines) == 2, (beginning, page)
    done = subprocess.run(["sh", "-ec", "\n".join(lines)], capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == 0, (lines, done.stdout, done.stderr)
    return done.stdout + done.stderr


def test_03_keep():
    """--keep: what it proposes to try works as it is printed; openssl sees depth 3 to 0 with exactly those names, and the fingerprint that the hub has; Ctrl-C ends it with 0"""
    with Place() as place:
        with place.demo("--keep") as demo:
            page = demo.read_until("     device ")
            seen = command(page, "openssl s_client")
            assert re.findall(r"^depth=(\d) CN = (.*)$", seen, re.M) == [(str(3 - i), name) for i, name in enumerate(CHAIN)], seen
            assert "Verified peername: edgegateway.local" in seen and "Verify return code: 0 (ok)" in seen, seen
            assert command(page, "rootedge doctor").startswith("✓ "), page
            fingerprint = command(page, "openssl x509").strip().split("=")[1]
            record = command(page, "rootedge hub device show")
            assert "primaryThumbprint: " + fingerprint.replace(":", "") in record and fingerprint.count(":") == 31, (fingerprint, record)
            if shutil.which("mosquitto_pub"):
                command(page, "mosquitto_pub")
                state = re.search(r"^cd '(.*)' &&", page, re.M).group(1)
                wait_for(lambda: '"temperature":19.5' in run("rootedge", "hub", "events", "--state", state + "/hub").stdout, "the reading that mosquitto_pub sent")
            assert re.search(r"service +HostName=contosoiothub.local:\d+;SharedAccessKeyName=iothubowner;", page), page
            assert demo.finish(signal.SIGINT)[0] == 0
        place.check_empty()


def test_04_signals():
    """SIGTERM, SIGINT and SIGHUP at any point of the story end all of it, and the folder goes"""
    for sent, mark in ((signal.SIGTERM, "A hub"), (signal.SIGTERM, "2  "), (signal.SIGINT, "4  "), (signal.SIGHUP, "Telemetry"), (signal.SIGTERM, "Connection strings")):
        with Place() as place:
            with place.demo("--keep") as demo:
                demo.read_until(mark)
                status, out, err = demo.finish(sent)
                assert (status, err) == ((0, "") if "It goes on" in out else (1, "rootedge demo: interrupted\n")), (mark, status, out, err)
            place.check_empty()
    with Place() as place:  # before the first word: certificates, or a hub that starts
        with place.demo() as demo:
            wait_for(lambda: os.listdir(place / "tmp"), "its folder")
            assert demo.finish(signal.SIGTERM) == (1, "", "rootedge demo: interrupted\n")
        place.check_empty()


def test_05_deaths():
    """a role that dies is named, with status 1, and nothing stays; when the demo itself is killed, all of it dies with it"""
    for role, mark in (("hub", "A hub"), ("edge", "1  "), ("hub", "Connection strings"), ("edge", "Connection strings")):
        with Place() as place:
            with place.demo("--keep") as demo:
                demo.read_until(mark)
                os.kill(place.pid_of(role), signal.SIGKILL)
                status, _, err = demo.finish()
                assert status == 1 and "the %s ended before its time" % role in err, (status, err)
            place.check_empty()
    with Place() as place:
        with place.demo("--keep") as demo:
            demo.read_until("Connection strings")
            assert len(place.processes()) >= 7, place.processes()
            demo.process.kill()
        wait_for(lambda: not place.processes(), "the end of all processes")


def test_06_output():
    """nobody who reads: it still cleans up; colours on a terminal, and none with NO_COLOR"""
    with Place() as place:
        with place.demo() as demo:
            demo.process.stdout.close()
            demo.process.wait(100 * SLOW)
        place.check_empty()
        for extra, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
            place.env.update(extra)
            ours, theirs = pty.openpty()
            with place.demo(stdout=theirs) as demo:
                os.close(theirs)
                text = b""
                while True:
                    try:
                        piece = os.read(ours, 65536)
                    except OSError:  # EIO: the terminal has no writer any more
                        break
                    text += piece
                assert demo.finish()[0] == 0, text
            os.close(ours)
            assert (b"\x1b[32m" in text) == coloured and "✓ Five questions".encode() in text, text
        place.check_empty()


def test_07_folders():
    """a folder with something in it is refused and left alone; a wrong call is 2; a name with a blank works"""
    with Place() as place:
        with open(place / "cwd" + "/mine", "w") as f:
            f.write("dear to me")
        status, _, err = place.run("--state", ".")
        assert status == 1 and "new or empty" in err and os.listdir(place / "cwd") == ["mine"], (status, err)
        for word, why in (("--kep", "--keep"), ("now", "takes options only")):
            status, _, err = place.run(word)
            assert status == 2 and why in err, (word, status, err)
        status, out, err = place.run("--state", "it's my demo")
        assert status == 0 and os.path.isdir(place / "cwd" + "/it's my demo/hub"), (out, err)


if __name__ == "__main__":
    run_all(globals())
