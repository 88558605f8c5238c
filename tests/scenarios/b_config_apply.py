#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rootedge config apply: a device that runs takes over what config.toml says now, and only what changes is started again.  atk-28: what is not good changes nothing, whoever asks for it."""
import json, os, signal, stat, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

ROLES = ["keyd", "certd", "identityd", "edged", "gateway"]


class Story:
    def __init__(self):
        self.folder = Folder()
        self.pki = Pki(self.folder)
        self.hub = Hub(self.folder, self.pki)
        self.edge = Edge(self.folder, self.hub)
        self.path = self.folder / "EdgeGateway.toml"
        with open(self.path) as f:
            self.good = f.read()
        self.write(self.good)

    def write(self, text):
        with open(self.path, "w") as f:
            f.write(text)
        os.chmod(self.path, 0o600)

    def apply(self, *args, check=True):
        return run("rootedge", "config", "apply", "--config", self.path, "--state", self.edge.state, *args, check=check)

    def pids(self):
        return {role["name"]: role.get("pid") for role in self.edge.control(verb="status")["roles"]}

    def changed(self, what):
        """The roles that have another process after this."""
        before = self.pids()
        what()
        after = self.pids()
        assert sorted(after) == sorted(ROLES) and all(after.values()), after
        return [name for name in ROLES if before[name] != after[name]]

    def told(self, role):
        with open(os.path.join(self.edge.state, "config", role, "config.json")) as f:
            return json.load(f)

    def orders(self):
        found = {}
        for place, _, names in os.walk(os.path.join(self.edge.state, "config")):
            for name in names:
                path = os.path.join(place, name)
                with open(path, "rb") as f:
                    found[path] = (f.read(), stat.S_IMODE(os.stat(path).st_mode), os.stat(path).st_uid)
        return found

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.edge.stop()
            self.hub.stop()
        else:
            print("#", self.edge.log_text()[-3000:].replace("\n", "\n# "))
            self.edge.process.kill()
            self.hub.process.kill()
        self.folder.__exit__()


def test_1_only_what_changes():
    """what changes for one daemon starts that one again, and no other; a connection of a device to the gateway lives through the others'"""
    with Story() as story:
        device, key = story.pki.make("device", "TempSensor")
        story.edge.create_x509_child("TempSensor", thumbprint(device))
        with story.edge.mqtt("TempSensor", cert=device, key=key) as sensor:
            assert story.changed(story.apply) == []
            assert "nothing changes by it" in story.apply().stdout
            story.write(story.good + "[aziot_max_requests]\ncertd = 9\n[cert_issuance.vpn]\nmethod = \"self_signed\"\n")
            assert story.changed(story.apply) == ["keyd", "certd"]  # keyd lets certd use the key vpn
            assert story.told("certd")["cert_issuance"]["vpn"]["method"] == "self_signed"
            story.write(story.good + "[modules.tool]\nuid = %d\n" % os.getuid())
            assert "edged" in story.changed(story.apply)
            assert os.path.exists(os.path.join(story.edge.state, "edged/mnt/tool.sock"))
            sensor.publish("devices/TempSensor/messages/events/")
            gateway = story.pids()["gateway"]
            told = "the gateway's certificate has its new names within seconds"
            for names in ("gw2.local", "gw3.local"):
                story.write(story.good.replace("[gateway]\n", "[gateway]\nnames = [\"%s\"]\n" % names))
                done = story.apply().stdout
                assert done.count(told) == 1 and "gateway serves" not in done, done
                assert "nothing changes by it" in story.apply().stdout
            story.write(story.good.replace("[gateway]\n", "[gateway]\nnames = [\"256.1.1.1\"]\n"))
            done = story.apply(check=False)
            assert done.returncode == 1 and "'256.1.1.1' is no IPv4 address" in done.stderr and told not in done.stdout, done
            assert story.pids()["gateway"] == gateway
            sensor.publish("devices/TempSensor/messages/events/")
        story.write(story.good.replace("[gateway]\n", "[gateway]\nmax_queue_mib = 7\n"))
        done = story.apply().stdout
        assert "gateway serves with what is new" in done and told in done, done  # back to no name
        with story.edge.mqtt("TempSensor", cert=device, key=key) as sensor:  # on the port where it was
            sensor.publish("devices/TempSensor/messages/events/")


def test_2_config_d_and_files():
    """a file of config.d, another content of a file that is named, and a new trust bundle reach those who use them"""
    with Story() as story:
        os.mkdir(story.folder / "config.d")
        with open(story.folder / "config.d/10.toml", "w") as f:
            f.write("[aziot_max_requests]\nidentityd = 9\n" if os.getuid() == 0 else "[upstream]\nhttps_port = %d\n[cert_issuance.x]\nmethod = \"self_signed\"\n" % story.hub.https_port)
        assert story.changed(story.apply) == (["identityd"] if os.getuid() == 0 else ["keyd", "certd"])
        other, _ = story.pki.make("edge-ca", "Other CA")
        with open(story.pki.root, "a") as bundle, open(other) as f:
            bundle.write(f.read())
        changed = story.changed(story.apply)
        assert "identityd" in changed and "gateway" not in changed, changed  # that one takes it over while it runs
        for name in ("hub-roots.pem", "config/gateway/hub-roots.pem"):
            with open(os.path.join(story.edge.state, name)) as f:
                assert f.read().count("BEGIN CERTIFICATE") == 2


def test_3_what_is_not_good():
    """an error in config.toml, in a file that it names or in its mode changes nothing, by the command, by SIGHUP, and by a request past the command"""
    with Story() as story:
        before = story.orders()
        for text, part in ((story.good + "hostnam = 1\n[gatewy]\n", "unknown key"), (story.good.replace("EdgeGateway.pem", "nothing.pem"), "nothing.pem: No such file"),
                           (story.good + "[edge_ca]\ncert = \"%s\"\npk = \"%s\"\n" % (story.folder / "EdgeGateway.pem", story.folder / "root.key"), "does not belong"), ("", "provisioning.source"),
                           ("\0" * 500, "config apply")):
            story.write(text)
            done = story.apply(check=False)
            assert done.returncode == 1 and part in done.stderr and "nothing is changed" in done.stderr, done
            assert story.changed(lambda: story.edge.control(verb="apply")) == []
            seen = story.edge.log_text().count("everything goes on as it was")
            story.edge.process.send_signal(signal.SIGHUP)
            wait_for(lambda: story.edge.log_text().count("everything goes on as it was") > seen, "the refusal in the log")
            assert story.orders() == before
        orders = os.path.join(story.edge.state, "config/edged/config.json")
        os.rename(orders, orders + ".aside")
        os.mkdir(orders)  # what comes after others that could be written can't be
        story.write(story.good + "[aziot_max_requests]\ncertd = 9\nkeyd = 9\n[iotedge_max_requests]\nworkload = 9\n")
        done = story.apply(check=False)
        assert done.returncode == 1 and "config.json" in done.stderr, done
        os.rmdir(orders)
        os.rename(orders + ".aside", orders)
        assert story.orders() == before and story.changed(lambda: None) == []
        os.remove(story.path)
        assert story.apply(check=False).returncode == 1 and story.changed(lambda: story.edge.control(verb="apply")) == []
        story.write(story.good)
        os.chmod(story.path, 0o666)
        assert "everybody may write" in story.apply(check=False).stderr
        os.chmod(story.path, 0o600)
        assert story.changed(story.apply) == [] and story.orders() == before


def test_4_all_anew():
    """without the gateway, or with other users, all of the device is started anew, and back"""
    with Story() as story:
        before = story.pids()
        story.write(story.good.replace("[gateway]\n", "[gateway]\nenabled = false\n"))
        assert "started anew" in story.apply().stdout
        now = story.pids()
        assert "gateway" not in now and all(now[r] and now[r] != before[r] for r in now), now
        story.write(story.good + ("[privileges]\nfirst_uid = 61900\n" if os.getuid() == 0 else ""))
        if os.getuid() == 0:
            os.chown(story.folder / "EdgeGateway.key", 61900, 61900)
        assert "started anew" in story.apply().stdout
        assert sorted(story.pids()) == sorted(ROLES)
        if os.getuid() == 0:
            assert story.told("keyd")["principals"][0]["uid"] == 61901
            assert {int(f["Uid"].split()[0]) for f in story.edge.roles().values()} == set(range(61900, 61905))


def test_5_another_device():
    """another file than the device was started with is not taken for its own; where no device runs that is said, and nothing is made"""
    with Story() as story:
        other = story.folder / "other.toml"
        with open(other, "w") as f:
            f.write(story.good)
        os.chmod(other, 0o600)
        done = run("rootedge", "config", "apply", "--config", other, "--state", story.edge.state, check=False)
        assert done.returncode == 1 and "has its configuration from " + story.path in done.stderr, done
        done = run("rootedge", "config", "apply", "--config", other, "--state", story.folder / "none")
        assert "`rootedge edge` starts one" in done.stdout and not os.path.exists(story.folder / "none"), done


def test_6_modes():
    """what the roles read is theirs alone, 0600, in folders of root's; keys are copies that nobody else reads"""
    with Story() as story:
        story.write(story.good + "[cert_issuance.est.auth]\nusername = \"u\"\npassword = \"9f31c0de\"\n")
        story.apply()
        config = os.path.join(story.edge.state, "config")
        for path, (content, mode, uid) in story.orders().items():
            role = os.path.relpath(path, config).split("/")[0]
            assert mode == (0o644 if path.endswith((".cer", "/hub-roots.pem", "/gateway/names")) else 0o600), (path, oct(mode))
            assert uid == (61840 + ROLES.index(role) if os.getuid() == 0 else os.getuid()), (path, uid)
            assert (b"9f31c0de" in content) == path.endswith("certd/config.json"), path
        story.write(story.good + "[preloaded_keys]\nspare = \"file://%s\"\n" % (story.folder / "root.key"))
        story.apply()
        copies = os.path.join(config, "keyd/preloaded")
        assert any(n.startswith("spare-") for n in os.listdir(copies)) == (os.getuid() == 0)
        story.write(story.good)
        story.apply()
        assert not any(n.startswith("spare-") for n in os.listdir(copies)) and "spare" not in json.dumps(story.told("keyd")), "what has left config.toml is gone"
        assert "9f31c0de" not in story.edge.log_text() + story.apply().stdout


def test_7_subject():
    """an Edge CA with another subject is made anew, with all of its attributes"""
    with Story() as story:
        story.write(story.good + "[edge_ca]\nsubject = { CN = \"Contoso Edge\", O = \"Contoso\", C = \"DE\" }\n")
        story.apply()
        certs = os.path.join(story.edge.state, "certd/certs")

        def subject():
            path = os.path.join(certs, next(n for n in os.listdir(certs) if n.startswith("aziotedgedca-")))
            return subprocess.run(["openssl", "x509", "-in", path, "-noout", "-subject"], capture_output=True, text=True).stdout
        wait_for(lambda: "C = DE, CN = Contoso Edge, O = Contoso" in subject(), "the Edge CA's new name")


if __name__ == "__main__":
    run_all(globals())
