# SPDX-License-Identifier: Apache-2.0
"""Hardware for keys, in software: PKCS #11 tokens of SoftHSM 2 that can be pulled out and put back, and a TPM 2.0 (swtpm) that can be switched off."""
import os, random, shutil, socket, subprocess
from rootedge_test import *

PIN = "pin-4f1d07"  # nothing else looks like it, so that it can be searched for
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")


class SoftHsm:
    """One token in a folder of its own; whoever is in `group` may use it, where root plays all parts."""

    def __init__(self, folder, label="Edge", group=None):
        self.module = next((m for m in MODULES if os.path.exists(m)), None)
        if not self.module or not shutil.which("softhsm2-util"):
            raise Skip("SoftHSM 2 (softhsm2) is not installed")
        self.label, self.group = label, group
        self.dir, self.pocket, self.conf = folder / "tokens", folder / "pocket", folder / "softhsm2.conf"
        os.makedirs(self.dir, exist_ok=True)
        with open(self.conf, "w") as f:
            f.write("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n" % self.dir)
        os.chmod(self.conf, 0o644)
        self.env = {"SOFTHSM2_CONF": self.conf}
        self.util("--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "567890")

    def util(self, *args):
        done = subprocess.run(["softhsm2-util", *args], capture_output=True, text=True, env=dict(os.environ, **self.env))
        assert done.returncode == 0, (args, done.stdout, done.stderr)
        if self.group and os.getuid() == 0:
            subprocess.run(["chgrp", "-R", self.group, self.dir], check=True)
            subprocess.run(["chmod", "-R", "u=rwX,g=rwX,o=", self.dir], check=True)

    def take_key(self, pem, object, id="01"):
        """A private key of a PEM file, from then on in the token."""
        pkcs8 = pem + ".p8"
        run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", pem, "-out", pkcs8)
        self.util("--import", pkcs8, "--token", self.label, "--label", object, "--id", id, "--pin", PIN)

    def uri(self, object=None):
        return "pkcs11:token=%s%s?pin-value=%s" % (self.label, ";object=" + object if object else "", PIN)

    def pull(self):
        os.rename(self.dir, self.pocket)

    def put_back(self):
        os.rename(self.pocket, self.dir)

    def labels(self):
        """How many objects it has, by what SoftHSM keeps of each."""
        return sum(n.endswith(".object") and n != "token.object" for _, _, names in os.walk(self.dir) for n in names)


class Swtpm:
    """A TPM 2.0 on two ports of this machine.  The same state is the same TPM."""

    def __init__(self, folder):
        if not shutil.which("swtpm"):
            raise Skip("swtpm is not installed")
        self.folder = folder
        while True:
            self.port = random.randrange(20000, 32000, 2)  # a pair, below the ports that connections take
            self.tcti = "swtpm:host=127.0.0.1,port=%d" % self.port
            self.on()
            if self.process.poll() is None:
                return

    def on(self, name="tpm"):
        os.makedirs(self.folder / name, exist_ok=True)
        self.process = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.folder / name, "--server", "type=tcp,port=%d" % self.port,
                                         "--ctrl", "type=tcp,port=%d" % (self.port + 1), "--flags", "not-need-init"], preexec_fn=parent_death, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.process.poll() is not None or self.answers(), "swtpm answers", 20)

    def answers(self):
        """To TPM2_GetCapability, if only with an error, because nobody has started it yet."""
        with socket.socket() as s:
            s.settimeout(1)
            try:
                s.connect(("127.0.0.1", self.port))
                s.sendall(bytes.fromhex("8001000000160000017a000000060000010000000001"))
                return len(s.recv(64)) >= 10
            except OSError:
                return False

    def off(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.off()
