#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The names of the gateway's server certificate: addresses that come and go while devices are connected, and names that somebody asks for in vain."""
import ctypes, errno, os, re, signal, stat, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

CLONE_NEWNET = 0x40000000
it = None
folder = Folder()
clock = folder / "clock"


def ip(*args):
    subprocess.run(["ip"] + list(args), check=True, capture_output=True)


def own_network():
    """A network that nobody else is in, with an interface whose addresses are ours to change."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) < 0:
        raise Skip("no network namespace: " + os.strerror(ctypes.get_errno()))
    ip("link", "set", "lo", "up")
    try:
        ip("link", "add", "re0", "type", "dummy")
    except subprocess.CalledProcessError:
        ip("link", "add", "re0", "type", "veth", "peer", "name", "re1")
    ip("link", "set", "re0", "up")


def need_network():
    if it is None:
        raise Skip("no network of our own")


def proves(name):
    try:
        it.edge.mqtt("dev1", name=name, **it.dev1).close()
        return True
    except ssl.SSLCertVerificationError:
        return False


def named_by(host):
    """Does a device get in with a token that was made for this name of the gateway?"""
    try:
        it.edge.mqtt("byname", password=it.token("byname", it.byname, host=host)).close()
        return True
    except Refused as e:
        assert e.code == 5, e.code
        return False


def attempt(look):
    """False as well while nobody is there, or speaks for somebody else."""
    try:
        return look()
    except (OSError, Refused):
        return False


class Sender(threading.Thread):
    """Publishes over one connection until it is told to end."""

    def __init__(self, device):
        super().__init__(daemon=True)
        self.device, self.n, self.is_over, self.problem = device, 0, False, None
        self.session = it.edge.mqtt(device, password=it.token(device, it.key(device)))
        self.start()

    def run(self):
        try:
            while not self.is_over:
                self.session.publish("devices/%s/messages/events/n=%d" % (self.device, self.n), b"under load")
                self.n += 1
        except Exception as e:
            self.problem = e

    def end(self):
        self.is_over = True
        self.join(30)
        self.session.close()


def test_00_start():
    """with "auto" the addresses of the box are in the certificate, beside the other names"""
    global it
    own_network()
    ip("addr", "add", "10.55.0.1/32", "dev", "re0")
    with open(clock, "w") as f:
        f.write("0\n")
    os.environ["ROOTEDGE_CLOCK_FILE"] = clock  # so that looks come soon
    it = Site(listen=None, gateway='names = ["auto", "gw2.local"]')
    it.dev1, it.byname = it.x509("dev1"), it.key("byname")
    wait_for(lambda: it.edge.mqtt("dev1", **it.dev1).close() is None, "the gateway")
    for name in ("edgegateway.local", "10.55.0.1", "gw2.local"):
        assert proves(name), name
        assert named_by(name), name
    assert not proves("10.55.0.2") and not proves("auto") and not named_by("10.55.0.2") and not named_by("auto")


def test_01_address_changes():
    """an address that comes is in the certificate soon and good in a token, one that goes is not; meanwhile nobody is disconnected, and no message is lost"""
    need_network()
    sender = Sender("sender")
    wait_for(lambda: sender.n > 20, "messages")
    for new, old in (("10.55.0.2", "10.55.0.1"), ("2001:db8::7", "10.55.0.2"), ("10.55.0.1", "2001:db8::7")):
        before = sender.n
        ip("addr", "add", new + ("/64" if ":" in new else "/32"), "dev", "re0", *(("nodad",) if ":" in new else ()))
        ip("addr", "del", old + ("/64" if ":" in old else "/32"), "dev", "re0")
        wait_for(lambda: proves(new), "a certificate for " + new, 20)
        wait_for(lambda: not proves(old), "a certificate without " + old, 20)
        assert named_by(new) and not named_by(old), (new, old)
        wait_for(lambda: sender.n > before + 20, "messages after it")
    sender.end()
    assert sender.problem is None, sender.problem
    wait_for(lambda: len(it.events("sender")) >= sender.n, "%d messages at the hub" % sender.n, 60)
    assert [int(e["properties"]["n"]) for e in it.events("sender")] == list(range(sender.n))
    assert proves("gw2.local")


def test_02_asked_in_vain():
    """a name that a client asks for and the certificate lacks is told once, with what to do; names that it has are not"""
    need_network()
    before = len(it.edge.log_text())
    for _ in range(3):
        assert not proves("plant7.local")
    assert proves("GW2.local")
    it.edge.sync_log()
    lines = [l for l in it.edge.log_text()[before:].splitlines() if "NAME_MISMATCH" in l]
    assert len(lines) == 1 and "plant7.local" in lines[0] and "[gateway] names" in lines[0] and '"level":"warn"' in lines[0], lines


def config_path():
    return it.edge.args[it.edge.args.index("--config") + 1]


def test_02_b_list():
    """names that are written into config.toml, or taken out of it, are soon in the certificate or no more, and good in a token; nobody is disconnected, and the gateway is not started again"""
    need_network()
    gateway, sender = it.edge.role("gateway"), Sender("sender2")
    wait_for(lambda: sender.n > 20, "messages")
    for names, new, old in (('"auto", "gw3.local"', "gw3.local", "gw2.local"), ('"auto", "gw2.local"', "gw2.local", "gw3.local")):
        before = sender.n
        text = re.sub(r'names = \[.*\]', "names = [%s]" % names, open(config_path()).read())
        with open(config_path(), "w") as f:
            f.write(text)
        run("rootedge", "config", "apply", "--config", config_path(), "--state", it.edge.state)
        wait_for(lambda: proves(new), "a certificate for " + new, 30)
        assert not proves(old) and named_by(new) and not named_by(old) and proves("10.55.0.1"), (new, old)
        wait_for(lambda: sender.n > before + 20, "messages after it")
    sender.end()
    assert sender.problem is None, sender.problem
    assert it.edge.role("gateway") == gateway


def renewals_failed():
    page = run("rootedge", "gateway", "metrics", "--state", it.edge.state).stdout
    return [l.rsplit(" ", 1)[1] for l in page.splitlines() if l.startswith("rootedge_certificate_renewals_total{") and 'outcome="failed"' in l]


def test_02_c_early():
    """a gateway that hears of a name before edged does asks again soon, and no renewal has failed"""
    need_network()
    names = os.path.join(it.edge.state, "config", "gateway", "names")
    failed, before = renewals_failed(), len(it.edge.log_text())
    with open(names) as f:
        told = f.read()
    with open(config_path()) as f:
        text = f.read()
    with open(config_path(), "w") as f:
        f.write(text.replace('"gw2.local"', '"gw2.local", "gw4.local"'))
    with open(names + ".new", "w") as f:
        f.write(told + "gw4.local\n")
    os.chmod(names + ".new", stat.S_IMODE(os.stat(names).st_mode))
    os.rename(names + ".new", names)
    wait_for(lambda: "asked again soon" in it.edge.log_text()[before:], "an attempt that is too early", 30)
    run("rootedge", "config", "apply", "--config", config_path(), "--state", it.edge.state)
    wait_for(lambda: proves("gw4.local"), "a certificate for it", 30)
    assert renewals_failed() == failed
    with open(config_path(), "w") as f:
        f.write(text)
    run("rootedge", "config", "apply", "--config", config_path(), "--state", it.edge.state)
    wait_for(lambda: not proves("gw4.local"), "it to be gone", 30)


def public_cert(name, serial):
    """A certificate of a CA that the devices trust, for this DNS name, perhaps a wildcard, and a key of its own: both in the place of the ones before."""
    base = folder / "public"
    with open(base + ".ext", "w") as f:
        f.write("subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n" % name)
    subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=public", "-keyout", base + ".key", "-out", base + ".csr"], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", base + ".csr", "-CA", it.pki.root, "-CAkey", it.pki.root[:-4] + ".key", "-set_serial", str(serial), "-days", "30", "-extfile", base + ".ext",
                    "-out", base + ".pem"], check=True, capture_output=True)
    os.chmod(base + ".key", 0o600)
    return base


def shown(name):
    """The serial number of the certificate that whoever asks for this name is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(("127.0.0.1", it.edge.mqtt_port), 20), server_hostname=name) as s:
        der = s.getpeercert(True)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-serial"], input=der, capture_output=True, check=True).stdout.decode()
    return int(text.strip().split("=")[1], 16)


def test_03_operators_own():
    """a certificate of the operator's own is shown to whoever asks for a name in it, the Edge CA's to all others; when file and key are replaced new connections see it, and open ones live on"""
    need_network()
    base = public_cert("*.plant7.example", 1001)
    path = config_path()
    with open(path, "a") as f:
        f.write('[gateway.server_certs.public]\ncert = "file://%s.pem"\npk = "file://%s.key"\n' % (base, base))
    assert run("rootedge", "config", "check", "--config", path, check=False).returncode == 0
    it.edge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: attempt(lambda: shown("gw.plant7.example") == 1001), "the operator's certificate", 30)
    assert proves("gw.plant7.example") and proves("edgegateway.local") and not proves("a.b.plant7.example")
    assert shown("gw2.local") != 1001
    assert named_by("gw.plant7.example") and not named_by("a.b.plant7.example")
    gateway, session = it.edge.role("gateway"), it.edge.mqtt("dev2", name="gw.plant7.example", **it.x509("dev2"))
    public_cert("*.plant7.example", 1002)
    it.edge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: attempt(lambda: shown("gw.plant7.example") == 1002 and proves("gw.plant7.example")), "the operator's new certificate", 30)
    session.publish("devices/dev2/messages/events/", b"lives on")
    session.close()
    assert it.edge.role("gateway") == gateway and it.edge.role("edged")


def test_04_pair_that_is_none():
    """a certificate whose key is another one is told by `rootedge config check` and changes nothing; the one before stays in use"""
    need_network()
    base = folder / "public"
    shutil.copy(base + ".key", base + ".kept")
    public_cert("*.plant7.example", 1003)
    shutil.copy(base + ".kept", base + ".key")
    checked = run("rootedge", "config", "check", "--config", config_path(), check=False)
    assert checked.returncode != 0 and "gateway.server_certs.public.pk" in checked.stdout + checked.stderr, checked
    it.edge.process.send_signal(signal.SIGHUP)
    it.said("gateway.server_certs.public")
    assert shown("gw.plant7.example") == 1002 and proves("gw.plant7.example")


def status():
    return run("rootedge", "gateway", "status", "--state", it.edge.state, check=False).stdout


def restart_with(https):
    """The edge device again, with this in the place of its line about the HTTPS port."""
    it.edge.stop()
    path = config_path()
    text = open(path).read()
    text = re.sub(r"(\[gateway\]\n(?:address = .*\n)?mqtt_port = ).*\n(https_port = .*\n)?", lambda m: m.group(1) + "0\n" + https, text)
    with open(path, "w") as f:
        f.write(text)
    return it.edge


def test_05_port_443_taken():
    """where nothing is said of the HTTPS port and 443 is another program's, the gateway goes on without it and says so; where 443 is wished for it does not start"""
    need_network()
    with socket.create_server(("127.0.0.1", 443)):
        os.unlink(folder / "public.pem")  # and a certificate beside it that is no more
        restart_with("").start()
        it.said("[gateway.server_certs.public] is left as it was")
        assert not it.edge.ready.get("https_port") and proves("gw2.local")
        it.said("port 443 can't be had, the gateway goes on without it")
        it.said("port 443 can't be opened for the gateway: Address already in use") if os.getuid() == 0 else None
        assert "port 443" in status() and "CLOSED" in status() and "https_port" in status(), status()
        it.edge.sync_log()
        before = len(it.edge.log_text())
        restart_with("https_port = 443\n").start(wait=False)
        wait_for(lambda: "HTTPS ([gateway] https_port)" in it.edge.log_text()[before:], "the gateway's refusal", 30)
    restart_with("").start()
    assert it.edge.ready["https_port"] == 443 and "CLOSED" not in status()


def test_06_listens():
    """unless told otherwise the gateway listens on IPv6 and IPv4; where it listens on IPv4 alone, "auto" are the IPv4 addresses of the box"""
    need_network()
    ip("addr", "add", "2001:db8::9/64", "dev", "re0", "nodad")

    def listens(host):  # the kernel's route to an address comes a moment after it
        try:
            socket.create_connection((host, it.edge.mqtt_port), 20).close()
        except OSError as e:
            assert e.errno == errno.EHOSTUNREACH, e
            return False
        return True
    for host in ("::1", "2001:db8::9", "127.0.0.1", "10.55.0.1"):
        wait_for(lambda: listens(host), host + " to answer", 20)
    wait_for(lambda: proves("2001:db8::9"), "a certificate for the new address", 20)
    it.edge.stop()
    path = config_path()
    text = open(path).read()
    with open(path, "w") as f:
        f.write(text.replace("[gateway]\n", '[gateway]\naddress = "0.0.0.0"\n', 1))
    it.edge.start()
    wait_for(lambda: attempt(lambda: proves("10.55.0.1")), "the gateway", 30)
    assert not proves("2001:db8::9")
    for host, heard in (("10.55.0.1", True), ("2001:db8::9", False)):
        try:
            socket.create_connection((host, it.edge.mqtt_port), 20).close()
            assert heard, host
        except ConnectionRefusedError:
            assert not heard, host


def test_99_stop():
    """all end in order"""
    need_network()
    it.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
