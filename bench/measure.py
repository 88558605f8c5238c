# SPDX-License-Identifier: Apache-2.0
"""Looking at a process from outside: what it has cost, and what memory it holds.

Instructions are the figure to trust, for they repeat within a percent while time does not on a shared machine.  They come from the processor's counters where perf can read
them; elsewhere the server runs under callgrind, which counts user instructions alone, of a processor without the newest of OpenSSL's short cuts."""
import ctypes, glob, os, platform, re, struct, subprocess, sys

TICKS = os.sysconf("SC_CLK_TCK")
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}.get(platform.machine())


def threads(pid):
    return [int(t) for t in os.listdir("/proc/%d/task" % pid)]


def cpu_us(pid):
    """What all its threads have run, in microseconds (schedstat: nanoseconds, without the time they waited for a core)."""
    total = 0
    for tid in threads(pid):
        with open("/proc/%d/task/%d/schedstat" % (pid, tid)) as f:
            total += int(f.read().split()[0])
    return total / 1000


def cpu_us_of_threads(pid):
    """The same for each thread by its name; the first one has the program's."""
    spent = {}
    for tid in threads(pid):
        with open("/proc/%d/task/%d/comm" % (pid, tid)) as name, open("/proc/%d/task/%d/schedstat" % (pid, tid)) as stat:
            spent["loop-0" if tid == pid else name.read().strip()] = int(stat.read().split()[0]) / 1000
    return spent


def user_and_kernel(pid):
    """(user, kernel) seconds since the start, in ticks of the clock: good for a proportion."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def memory_kb(pid):
    """(resident, proportional): the first counts shared libraries in full, the second this process's share of them."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        text = f.read()
    return tuple(int(re.search(r"^%s:\s+(\d+)" % name, text, re.M).group(1)) for name in ("Rss", "Pss"))


def own_kb(pid):
    """What is in memory for this process only, libraries' code apart."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return int(re.search(r"^Private_Dirty:\s+(\d+)", f.read(), re.M).group(1))


def shared_kb(pids):
    """Proportional memory of each of these processes, as if there were no others: a page that two of them have is half of it in each, whoever else has it too.  So the figure does not depend
    on who else happens to use the same libraries.  Root's to read."""
    size = os.sysconf("SC_PAGE_SIZE")
    pages = {}
    for pid in pids:
        frames = pages[pid] = []
        with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/pagemap" % pid, "rb", buffering=0) as map:
            for line in maps:
                start, end = (int(x, 16) // size for x in line.split()[0].split("-"))
                if end * size > 1 << 63:
                    continue  # vsyscall
                map.seek(start * 8)
                for (entry,) in struct.iter_unpack("<Q", map.read((end - start) * 8)):
                    if entry >> 63:
                        frames.append(entry & (1 << 55) - 1)
    n = {}
    for frames in pages.values():
        for frame in set(frames):
            n[frame] = n.get(frame, 0) + 1
    return {pid: sum(size / n[f] for f in set(frames)) / 1024 for pid, frames in pages.items()}


class PerfCounters:
    """User and kernel instructions of the threads that the process has now and will have."""
    name = "perf"

    def __init__(self, pid):
        self.user, self.kernel = self.open(pid, "user"), self.open(pid, "kernel")

    @staticmethod
    def open(pid, what):
        libc = ctypes.CDLL(None, use_errno=True)
        inherit, exclude = 1 << 1, (1 << 5 if what == "user" else 1 << 4) | 1 << 6  # the other side, and the hypervisor
        # struct perf_event_attr of linux/perf_event.h, version 0: type hardware, 64 bytes, config instructions
        attr = struct.pack("<IIQQQQQIIQ", 0, 64, 1, 0, 0, 0, inherit | exclude, 0, 0, 0)
        fds = [libc.syscall(PERF_EVENT_OPEN, attr, tid, -1, -1, 8) for tid in threads(pid)] if PERF_EVENT_OPEN else [-1]
        if min(fds) < 0:
            raise OSError(ctypes.get_errno(), "perf counters are not to be had here")
        return fds

    @classmethod
    def are_there(cls):
        try:
            cls(os.getpid())
            return True
        except OSError:
            return False

    def read(self):
        return [sum(struct.unpack("<Q", os.read(fd, 8))[0] for fd in fds) for fds in (self.user, self.kernel)]

    def count(self, work):
        before = self.read()
        work()
        return [b - a for a, b in zip(before, self.read())]


class Callgrind:
    """User instructions of a server that was started with `prefix`."""
    name = "callgrind"

    def __init__(self, pid):
        self.pid = pid

    @staticmethod
    def prefix(folder):
        return ["valgrind", "--tool=callgrind", "--callgrind-out-file=%s/callgrind.out" % folder, "-q"]

    def control(self, *args):
        done = subprocess.run(["callgrind_control", *args, str(self.pid)], capture_output=True, text=True)
        if done.returncode:
            sys.exit("bench: callgrind_control: " + done.stdout + done.stderr)

    def count(self, work):
        self.control("-z")
        work()
        return [self.read(), None]

    def read(self, *beside):
        """Without what these functions took, and all that they called."""
        self.control("--dump=bench")
        with open("/proc/%d/cmdline" % self.pid) as f:
            out = re.search(r"--callgrind-out-file=([^\0]*)", f.read()).group(1)
        newest = max(glob.glob(out + ".*"), key=os.path.getmtime)
        with open(newest) as f:
            text = f.read()
        return int(re.search(r"^(?:totals|summary): (\d+)", text, re.M).group(1)) - sum(self.cost_of_calls(text, name) for name in beside)

    @staticmethod
    def cost_of_calls(text, function):
        """A name stands in a dump once, behind the number that it has from then on; behind "calls=", the next line ends with what they have cost."""
        number = re.search(r"^c?fn=(\(\d+\)) %s$" % re.escape(function), text, re.M)
        calls = number and re.findall(r"^cfn=%s(?: .*)?\ncalls=.*\n\S+ (\d+)$" % re.escape(number.group(1)), text, re.M)
        return sum(map(int, calls or ()))


class Load:
    """bench/load.c, which does one command after the other."""

    def __init__(self, tool, folder, n_devices):
        self.folder = folder
        self.process = subprocess.Popen([tool, folder, str(n_devices)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(self.process.pid, {max(os.sched_getaffinity(0))})
        self.answer("ready")

    def answer(self, expected):
        line = self.process.stdout.readline()
        if not line.startswith(expected):
            sys.exit("bench: the load ended")
        return line

    def do(self, command, *args, expect=None):
        line = " ".join([command, *map(str, args)])
        print("$ load: " + line, file=sys.stderr)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer(expect or command)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
