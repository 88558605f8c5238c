#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TPM 2.0 in software (swtpm) with what a device does at provisioning (edge-services 9.5), by tpm2-tools: it has an endorsement key at 0x81010001 and a storage
root key at 0x81000001, activates and imports what the service sends to 0x81000100, and signs with that.

Also a program, for those who are not Python:  soft_tpm.py FOLDER VERB, with VERB one of ek, srk, import, sign; in and out are bytes."""
import base64, os, shutil, signal, struct, subprocess, sys

SLOW = float(os.environ.get("ROOTEDGE_SLOW", "1"))
EK, SRK, KEY = "0x81010001", "0x81000001", "0x81000100"
TOOLS = ("swtpm", "tpm2_createek", "tpm2_createprimary", "tpm2_activatecredential", "tpm2_import", "tpm2_hmac")
TEMPLATE = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"


def why_not():
    """Which of the programs is missing, or None."""
    return next(("%s is not installed" % tool for tool in TOOLS if not shutil.which(tool)), None)


class Refused(Exception):
    """The TPM will not."""


class Client:
    """What speaks to the TPM that runs in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.env = dict(os.environ, TPM2TOOLS_TCTI="swtpm:path=" + os.path.join(folder, "tpm.sock"), TSS2_LOG="all+NONE")

    def path(self, name, content=None):
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, "wb") as f:
                f.write(content)
        return path

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def tool(self, *args):
        done = subprocess.run(args, capture_output=True, text=True, env=self.env, timeout=60 * SLOW)
        if done.returncode != 0:
            raise Refused("%s: %s" % (args[0], done.stderr.strip()))

    def flush(self):
        """Its few slots for objects and sessions are free again."""
        for what in "-t", "-l", "-s":
            self.tool("tpm2_flushcontext", what)

    def public(self, handle):
        """The base64 of TPM2B_PUBLIC."""
        self.tool("tpm2_readpublic", "-c", handle, "-o", self.path("public"))
        return base64.b64encode(self.read("public")).decode()

    def ek(self):
        return self.public(EK)

    def srk(self):
        return self.public(SRK)

    def activate(self, credential):
        """The inner key of TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET; tpm2_makecredential has a head of its own before them."""
        self.path("credential", struct.pack("!II", 0xbadcc0de, 1) + credential)
        session = self.path("session")
        self.tool("tpm2_startauthsession", "--policy-session", "-S", session)
        try:
            self.tool("tpm2_policysecret", "-S", session, "-c", "e")
            self.tool("tpm2_activatecredential", "-c", SRK, "-C", EK, "-i", self.path("credential"), "-o", self.path("inner"), "-P", "session:" + session)
        finally:
            self.flush()
        return self.read("inner")

    def import_key(self, blob):
        """authenticationKey becomes the key that signs."""
        parts = split(base64.b64decode(blob))
        self.path("inner", self.activate(parts[0] + parts[1]))
        self.path("duplicate", parts[2])
        self.path("seed", parts[3])
        self.path("key.pub", parts[4])
        self.tool("tpm2_import", "-C", SRK, "-i", self.path("duplicate"), "-s", self.path("seed"), "-u", self.path("key.pub"), "-k", self.path("inner"),
                  "-r", self.path("key.priv"))
        self.tool("tpm2_load", "-C", SRK, "-u", self.path("key.pub"), "-r", self.path("key.priv"), "-c", self.path("key.ctx"))
        try:
            self.tool("tpm2_evictcontrol", "-C", "o", "-c", KEY)
        except Refused:
            pass  # there was none
        self.tool("tpm2_evictcontrol", "-C", "o", "-c", self.path("key.ctx"), KEY)
        self.flush()

    def sign(self, data):
        self.tool("tpm2_hmac", "-c", KEY, "-g", "sha256", "-o", self.path("hmac"), self.path("data", data))
        self.flush()
        return self.read("hmac")

    def clear(self):
        """A new owner: the storage root key is another one, the endorsement key stays."""
        self.tool("tpm2_clear", "-c", "p")
        self.make_keys("rsa")

    def make_keys(self, kind):
        self.tool("tpm2_createek", "-G", kind, "-c", EK, "-u", self.path("ek.pub"))
        self.flush()
        self.tool("tpm2_createprimary", "-C", "o", "-G", "rsa2048:aes128cfb" if kind == "rsa" else "ecc256:aes128cfb", "-a", TEMPLATE, "-c", self.path("srk.ctx"))
        self.tool("tpm2_evictcontrol", "-C", "o", "-c", self.path("srk.ctx"), SRK)
        self.flush()


def split(blob):
    """The five parts with their sizes in front, and nothing behind them."""
    parts = []
    while blob:
        n = 2 + struct.unpack("!H", blob[:2])[0]
        assert n <= len(blob), (n, len(blob))
        parts.append(blob[:n])
        blob = blob[n:]
    assert len(parts) == 5, len(parts)
    return parts


def with_parent():
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class SoftTpm(Client):
    def __init__(self, folder, kind="rsa"):
        super().__init__(folder)
        os.makedirs(self.path("state"))
        socket = self.path("tpm.sock")
        self.process = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.path("state"), "--server", "type=unixio,path=" + socket,
                                         "--ctrl", "type=unixio,path=" + socket + ".ctrl", "--flags", "not-need-init,startup-clear"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=with_parent)
        self.kind = kind

    def is_up(self):
        return os.path.exists(self.path("tpm.sock")) and os.path.exists(self.path("tpm.sock.ctrl"))

    def close(self):
        self.process.terminate()
        self.process.wait(10 * SLOW)


if __name__ == "__main__":
    tpm, verb = Client(sys.argv[1]), sys.argv[2]
    if verb in ("ek", "srk"):
        sys.stdout.buffer.write(base64.b64decode(tpm.ek() if verb == "ek" else tpm.srk()))
    elif verb == "import":
        tpm.import_key(base64.b64encode(sys.stdin.buffer.read()))
    elif verb == "sign":
        sys.stdout.buffer.write(tpm.sign(sys.stdin.buffer.read()))
