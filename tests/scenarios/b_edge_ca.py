#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Edge CA over time: a device that makes its own renews it before it ends, and is back after it had ended while the device was off."""
import os, re, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

DAY = 86400


def openssl(*args, input=None):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, input=input, timeout=60 * SLOW)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


class Story:
    def __init__(self):
        self.folder = Folder()
        self.clock = self.folder / "clock"
        self.set_clock(0)
        os.chmod(self.clock, 0o644)
        os.environ["ROOTEDGE_CLOCK_FILE"] = self.clock
        self.pki = Pki(self.folder)
        self.hub = Hub(self.folder, self.pki)
        self.edge = Edge(self.folder, self.hub)

    def set_clock(self, days):
        with open(self.clock, "w") as f:
            f.write(str(days * DAY))

    def configure(self, text):
        with open(self.folder / "EdgeGateway.toml", "a") as f:
            f.write("\n" + text)

    def restart(self, days):
        assert self.edge.stop() == 0
        self.set_clock(days)
        self.edge.start()

    def ends(self, pem):
        """Days from today until its end."""
        return (ssl.cert_time_to_seconds(openssl("x509", "-noout", "-enddate", input=pem).strip().split("=")[1]) - time.time()) / DAY

    def ca_pem(self):
        certs = os.path.join(self.edge.state, "certd", "certs")
        with open(os.path.join(certs, next(n for n in os.listdir(certs) if n.startswith("aziotedgedca-")))) as f:
            return f.read()

    def ca(self):
        """(days until the end of the Edge CA, its public key)."""
        pem = self.ca_pem()
        return self.ends(pem), openssl("x509", "-noout", "-pubkey", input=pem)

    def leaf_end(self):
        """Days until the end of what the gateway shows; it was issued by that CA."""
        shown = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.edge.mqtt_port], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60 * SLOW).stdout
        return self.ends(re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", shown, re.S).group())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.edge.stop()
            self.hub.stop()
        else:
            self.edge.process.kill()
            self.hub.process.kill()
        self.folder.__exit__()


def test_1_renewed():
    """a quickstart Edge CA is renewed with a week of its life left with another key, and with the same one where rotate_key is false"""
    for rotate in (True, False):
        with Story() as story:
            end, key = story.ca()
            assert 89 < end < 91, end
            if not rotate:
                story.configure("[edge_ca]\nauto_renew = { rotate_key = false }\n")
            story.restart(70)
            assert story.ca()[1] == key and 89 < story.ca()[0] < 91, "it is not due yet"
            story.restart(84)
            end, now = story.ca()
            assert 173 < end < 175 and (now != key) == rotate and story.leaf_end() > 104, (end, story.leaf_end())
            assert "was renewed; the next renewal is at" in story.edge.log_text()


def test_2_ended():
    """a device that was off until after the end of its Edge CA serves again, with a new one"""
    with Story() as story:
        story.restart(100)
        assert 189 < story.ca()[0] < 191 and story.leaf_end() > 101, (story.ca(), story.leaf_end())


def test_3_name():
    """another name in config.toml is another Edge CA"""
    with Story() as story:
        with open(story.folder / "EdgeGateway.toml", "a") as f:
            f.write('\n[edge_ca]\nmethod = "self_signed"\ncommon_name = "brand new CA"\n')
        story.restart(0)
        shown = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % story.edge.mqtt_port], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
        assert re.search(r"issuer=CN ?= ?brand new CA", shown), shown[:600]


def test_4_taken_out():
    """a CA that was taken out of config.toml signs nothing any more, and nothing of its key stays in keyd's folder"""
    with Story() as story:
        story.pki.make("edge-ca", "iotedged workload ca edgegateway", file="edgeca")
        with open(story.folder / "EdgeGateway.toml") as f:
            without = f.read()
        with open(story.folder / "EdgeGateway.toml", "w") as f:
            f.write(without + '\n[edge_ca]\ncert = "file://%s"\npk = "file://%s"\n' % (story.folder / "edgeca.pem", story.folder / "edgeca.key"))
        story.restart(0)
        assert "iotedged workload ca edgegateway" in story.edge.log_text()
        with open(story.folder / "EdgeGateway.toml", "w") as f:
            f.write(without)
        story.restart(0)
        assert "aziot-edge CA EdgeGateway" in openssl("x509", "-noout", "-subject", input=story.ca_pem())
        if os.getuid() == 0:
            with open(story.folder / "edgeca.key") as f:
                key = f.read()
            for folder, _, names in os.walk(os.path.join(story.edge.state, "keyd")):
                for name in names:
                    if name.endswith(".key"):
                        with open(os.path.join(folder, name), errors="replace") as f:
                            assert f.read() != key, name


def test_5_links():
    """a folder of a role that has become a link is refused with its path, and nothing behind it is touched"""
    with Story() as story:
        assert story.edge.stop() == 0
        victim, certs = story.folder / "victim", os.path.join(story.edge.state, "certd", "certs")
        os.mkdir(victim, 0o700)
        os.rename(certs, certs + ".real")
        os.symlink(victim, certs)
        done = run("rootedge", *["edge", *story.edge.args], check=False)
        assert done.returncode == 1 and certs in done.stderr, done
        assert os.stat(victim).st_mode & 0o777 == 0o700 and not os.listdir(victim)
        os.unlink(certs)
        os.rename(certs + ".real", certs)
        story.edge.start()


def test_6_ed25519():
    """a local CA with an Ed25519 key issues the Edge CA: keyd signs, and what is issued below it is verified by OpenSSL"""
    with Story() as story:
        ca, key = story.folder / "local.pem", story.folder / "local.key"
        openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-days", 3650, "-subj", "/CN=Ed25519 local CA", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", key, "-out", ca)
        if os.getuid() == 0:
            os.chown(key, 61840, 61840)
        with open(story.folder / "EdgeGateway.toml", "a") as f:
            f.write('\n[edge_ca]\nmethod = "local_ca"\ncommon_name = "issued by Ed25519"\n[cert_issuance.local_ca]\ncert = "file://%s"\npk = "file://%s"\n' % (ca, key))
        story.restart(0)
        with open(story.folder / "edge-ca.pem", "w") as f:
            f.write(story.ca_pem())
        assert "ED25519" in openssl("x509", "-noout", "-text", "-in", story.folder / "edge-ca.pem")
        assert "OK" in openssl("verify", "-CAfile", ca, story.folder / "edge-ca.pem")
        shown = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % story.edge.mqtt_port, "-CAfile", ca], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
        assert "Verify return code: 0 (ok)" in shown, shown[-800:]


if __name__ == "__main__":
    run_all(globals())
