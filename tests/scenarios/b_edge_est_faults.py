#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""keyd and certd with an EST server, and what may go wrong around them: a disk that is full in the middle of an issuance, an answer that takes ten seconds, a proxy in between, a clock
that is a year off.  None loses a certificate that is good.  The state lies on a small tmpfs in a mount namespace of the test's own; where that is denied it lies in a folder, and what
needs a full disk skips."""
import calendar, json, os, re, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from peers import ConnectProxy
from est_server import EstServer, openssl

if os.environ.get("RE_INSIDE") is None:
    os.environ["RE_INSIDE"] = "0"
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True).returncode == 0:
        os.environ["RE_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--mount", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
V = "?api-version=2020-09-01"
folder = Folder()
small, clock = folder / "small", folder / "clock"
certd_sock = folder / "certd.sock"
est = EstServer(folder)
boot_pem, boot_key = est.bootstrap_ca.leaf("bootstrap", "/CN=bootstrap of EdgeGateway", ["extendedKeyUsage=clientAuth"])
os.mkdir(small)
if os.environ.get("RE_INSIDE") == "1":
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)


def write(name, text):
    with open(folder / name, "w") as f:
        f.write(text)


def set_clock(ahead):
    """The services' clock goes so many seconds before ours, and certd has seen it."""
    write("clock", "%d\n" % ahead)
    if certd:
        wait_for(lambda: abs(certd_time() - time.time() - ahead) < 60, "the clock being set")


def certd_time():
    """As the log has it, of a line that is written now."""
    stored("absent")
    stamp = re.findall(r'"time":"([0-9T:-]+)', certd.log_text())[-1]
    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S"))


certd = None
set_clock(0)
write("keyd.json", json.dumps({
    "dir": small + "/keys", "preloaded_keys": {"est-bootstrap-id": boot_key}, "principals": [{"name": "certd", "uid": os.getuid(), "ids": ["est-*"]}],
    "sockets": [{"path": folder / "keyd-certd.sock", "principal": "certd"}]}))
write("certd.json", json.dumps({
    "dir": small + "/certs", "socket": certd_sock, "keyd": folder / "keyd-certd.sock", "preloaded_certs": {"est-bootstrap-id": boot_pem, "est-server-ca-1": est.tls_root.pem},
    "cert_issuance": {"est": {"urls": {"default": est.url}, "trusted_certs": ["est-server-ca-1"], "auth": {
        "identity_cert": "est-id", "identity_pk": "est-id", "bootstrap_identity_cert": "est-bootstrap-id", "bootstrap_identity_pk": "est-bootstrap-id"}}, "device-id": {"method": "est"}},
    "principals": [{"name": "me", "uid": os.getuid(), "ids": ["*"]}]}))
ENV = {"ROOTEDGE_CLOCK_FILE": clock}
keyd = Service(folder, "keyd", "--config", folder / "keyd.json", env=ENV)
certd = Service(folder, "certd", "--config", folder / "certd.json", env=ENV)


def ask(method, path, body=None):
    status, _, answer = unix_http(certd_sock, method, path + V, body)
    return status, answer


def stored(id):
    return ask("GET", "/certificates/" + id)


def create(id="device-id"):
    request = openssl("req", "-new", "-subj", "/CN=EdgeGateway", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "leaf.key").decode()
    return ask("POST", "/certificates", {"certId": id, "csr": request})


def issued(id="device-id"):
    status, answer = create(id)
    assert status == 201 and stored(id) == (200, {"pem": answer["pem"]}), (status, answer)
    return answer["pem"]


def fill():
    with open(small + "/filler", "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 512)
        except OSError:
            pass


def needs_small_disk():
    if os.environ.get("RE_INSIDE") != "1":
        raise Skip("namespaces are denied here")


def test_01_full_disk():
    """with the disk full the answer is 500 with the cause, the certificate that was there is there, whole, and nothing else lies about; with room again it is made"""
    needs_small_disk()
    issued()
    before, files = stored("device-id"), sorted(os.listdir(small + "/certs"))
    fill()
    status, answer = create()
    assert status == 500 and "No space left" in answer["message"], (status, answer)
    status, answer = create("another")
    assert status == 500, answer
    assert stored("device-id") == before and stored("another")[0] == 400
    assert sorted(os.listdir(small + "/certs")) == files
    os.unlink(small + "/filler")
    assert issued() != before[1]["pem"]


def test_02_full_disk_in_a_renewal():
    """an identity that can't be written down stays as it was, goes on being used, and is renewed once there is room"""
    needs_small_disk()
    old = stored("est-id")
    est.days = 700
    fill()
    set_clock(300 * 86400)
    wait_for(lambda: "can't be renewed" in certd.log_text(), "an attempt", 30)
    assert stored("est-id") == old
    os.unlink(small + "/filler")
    est.requests = []
    issued()
    assert {r.cn[0] for r in est.requests if r.operation == "simpleenroll"} == {"EdgeGateway"}, "by the identity that is there"
    set_clock(320 * 86400)
    wait_for(lambda: stored("est-id") != old, "the renewal", 30)
    issued()


def test_03_full_disk_for_keys():
    """a key that can't be made costs nothing that is there"""
    needs_small_disk()
    ask("DELETE", "/certificates/est-id")
    fill()
    status, answer = create()
    assert status == 500, answer
    os.unlink(small + "/filler")
    issued()


def test_04_slow_answer():
    """an answer that takes ten seconds is waited for, while everybody else is served"""
    issued()
    old, est.drip_s, answers = stored("device-id"), 10, []
    thread = threading.Thread(target=lambda: answers.append(create()))
    thread.start()
    seen = len(est.requests)
    wait_for(lambda: len(est.requests) > seen, "the server being asked", 20)
    start = time.monotonic()
    assert stored("device-id") == old and time.monotonic() - start < 3 * SLOW
    thread.join()
    est.drip_s = 0
    assert answers[0][0] == 201 and time.monotonic() - start > 8, answers


def test_05_proxy():
    """the EST server is asked through the proxy of the environment, its name judged behind it; NO_PROXY spares it"""
    with ConnectProxy(user="edge:pa ss") as proxy:
        for no_proxy, heads in (("", True), ("127.0.0.1", False)):
            certd.stop()
            certd.env = {**ENV, "HTTPS_PROXY": "http://edge:pa%%20ss@127.0.0.1:%d" % proxy.port, "NO_PROXY": no_proxy}
            certd.start()
            proxy.heads.clear()
            issued()
            assert bool(proxy.heads) == heads, proxy.heads
            assert all(h.startswith("CONNECT 127.0.0.1:%d " % est.port) for h in proxy.heads)
            assert "pa ss" not in certd.log_text() and "pa%20ss" not in certd.log_text()
    certd.stop()
    certd.env = ENV
    certd.start()


def test_06_clock():
    """a clock a year ahead or back, or in 1970, and right again: the identity is there or comes back, and the certificate that was good is never lost"""
    set_clock(0)
    est.days = 4000
    ask("DELETE", "/certificates/est-id")
    issued()
    for ahead in (365 * 86400, -365 * 86400, -int(time.time()) + 1000, 0):
        set_clock(ahead)
        before = stored("device-id")
        status, answer = create()
        assert stored("device-id") == ((200, answer) if status == 201 else before), (ahead, status, answer)
    issued()


def test_99_stop():
    """both stop in order"""
    assert certd.stop() == 0 and keyd.stop() == 0
    est.stop()
    if os.environ.get("RE_INSIDE") == "1":
        subprocess.run(["umount", small], check=True)
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
