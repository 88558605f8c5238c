#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that gets full while certificates are issued: what can't be written down is not given out, what was given out is written down, nothing is there twice, and with room again it goes on
without a restart.  The state lies on a small tmpfs in a mount namespace of the test's own; where that is denied it skips."""
import os, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from est_client import *

CONFIG = """
[issuer.plant]
certificate = "root.pem"
key = "root.key"

[[label]]
profile = "device"
passwords = true
may = ["{id}"]
"""
folder = pki = est = None


class Est(Service):
    def __init__(self, **kw):
        self.state = os.path.join(folder / "small", "est")
        super().__init__(folder, "est", "--config", folder / "est.toml", "--state", self.state, "--address", "127.0.0.1", "--port", 0, "--cert", folder / "server.pem", "--key",
                         folder / "server.key", program=[ROOTEDGE, "est"], **kw)


def fill():
    with open(os.path.join(folder / "small", "filler"), "ab", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 512)
        except OSError:
            pass


def make_room():
    os.unlink(os.path.join(folder / "small", "filler"))


def client():
    return EstClient(folder, pki.root, est.ready["port"])


def verb(*words, **kw):
    return run("rootedge", "est", words[0], "--state", est.state, *words[1:], **kw)


def journal():
    done = run("rootedge", "ca", "issued", "--journal", os.path.join(est.state, "issued.db"), "--json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def audit():
    return run("rootedge", "ca", "audit", "--journal", os.path.join(est.state, "issued.db"))


def serial(pem):
    return openssl("x509", "-noout", "-serial", input=pem.encode()).decode().strip().split("=")[1]


def until_refused(n=200):
    """Certificates until one is not given: SQLite has some room in files of its own."""
    for i in range(n):
        name = "fill-%d-%d" % (len(journal()), i)
        answer = client().enroll(name, key=folder / "one.key", csr=make_csr("dev-1", client().make_key(name)), user="line:secret")
        if answer.status != 200:
            return answer
    raise AssertionError("the disk is not full")


def test_00_start():
    """on a small disk"""
    global folder, pki, est
    folder = Folder()
    pki = Pki(folder)
    os.mkdir(folder / "small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder / "small"], check=True)
    pki.make("server", "est.test", file="server")
    with open(folder / "est.toml", "w") as f:
        f.write(CONFIG)
    est = Est()
    verb("user", "line", "--may", "dev-*", input="secret\n")


def test_01_full():
    """with the disk full a request is 503 with Retry-After, the journal as it was and sound; what needs no writing is answered; with room the same request gets its certificate"""
    password = verb("one-time", "dev-2").stdout.strip()
    known = make_csr("dev-1", client().make_key("dev-1"))
    client().keep(client().enroll("", csr=known, user="line:secret"), "dev-1")
    fill()
    answer = until_refused()
    assert answer.status == 503 and int(answer.headers["retry-after"]) > 0, (answer.status, answer.body)
    n, csr = len(journal()), make_csr("dev-3", client().make_key("dev-3"))
    for _ in range(3):
        assert client().enroll("", csr=csr, user="line:secret").status == 503
    assert client().enroll("dev-2", user=":" + password).status == 503
    assert len(journal()) == n, "nothing half issued"
    audit()
    assert client().curl("/cacerts").status == 200 and client().curl("/plant.crl", base="/crl").status == 200
    assert client().enroll("", csr=known, user="line:secret").status == 200, "the same request has been issued: it needs no room"
    assert "full" in est.log_text() or "No space" in est.log_text()
    make_room()
    got = [client().enroll("", csr=csr, user="line:secret") for _ in range(2)]
    assert [a.status for a in got] == [200, 200] and got[0].body == got[1].body
    assert len(journal()) == n + 1, "once"
    audit()
    # the password may have been spent before the journal was found to be full: then it is used up, and nobody has a certificate for it
    assert client().enroll("dev-2", user=":" + password).status in (200, 401)
    assert sum(e["requester"] == "dev-2" for e in journal()) <= 1


def test_02_meanwhile():
    """eight clients ask while the disk gets full and empty again, and the server is killed in the middle: each certificate that somebody has is in the journal, once, and the journal is sound"""
    global est
    given, troubles, over = [], [], threading.Event()
    keys = [client().make_key("load-%d" % i) for i in range(8)]

    def ask(i):
        n = 0
        while not over.is_set():
            n += 1
            csr = make_csr("dev-load-%d" % i, keys[i], "-addext", "keyUsage=digitalSignature" if n % 2 else "extendedKeyUsage=clientAuth")
            try:
                answer = client().enroll("", csr=csr, user="line:secret")
            except (AssertionError, subprocess.TimeoutExpired):
                continue  # it was killed
            if answer.status == 200:
                given.append(serial(answer.certs()[0]))
            elif answer.status != 503:
                troubles.append((answer.status, answer.body))
    threads = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(8)]
    for t in threads:
        t.start()
    for round in range(3):
        enough = len(given) + 8
        wait_for(lambda: len(given) >= enough, "certificates are given", 60)
        fill()
        n = est.log_text().count("no certificate for")
        wait_for(lambda: est.log_text().count("no certificate for") > n + 8, "they are not", 60)
        if round == 1:
            est.kill9()
            make_room()
            est.start()
        else:
            make_room()
    over.set()
    for t in threads:
        t.join()
    assert not troubles, troubles[:3]
    written = [e["certificate"]["serial"].replace(":", "").upper() for e in journal()]
    assert len(set(written)) == len(written)
    assert set(given) <= set(written), set(given) - set(written)
    audit()


def test_99_stop():
    """it ends in order"""
    assert est.stop() == 0
    subprocess.run(["umount", folder / "small"], check=True)
    folder.__exit__()


if __name__ == "__main__":
    if os.environ.get("RE_INSIDE") != "1":
        probe = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True, text=True)
        if probe.returncode != 0:
            print("1..1\nok 1 - a full disk # SKIP namespaces are denied here: " + probe.stderr.strip().replace("\n", " "))
            sys.exit(0)
        os.environ["RE_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--mount", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    run_all(globals())
