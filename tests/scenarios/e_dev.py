#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rootedge dev up`: the hub of a developer, in memory or in a folder; and what a shell completes."""
import os, signal, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

folder = Folder()


class Up:
    """A hub that is up: its line, and a child process to be ended."""

    def __init__(self, *args):
        self.process = subprocess.Popen([ROOTEDGE, "dev", "up", *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("it did not come up: " + self.process.stderr.read())
        self.line = json.loads(line)
        self.environment = dict(os.environ, ROOTEDGE_HUB=self.line["connectionString"], ROOTEDGE_CA=self.line["caFile"], ROOTEDGE_CONNECT_TO="127.0.0.1")

    def tool(self, *args):
        done = subprocess.run([ROOTEDGE, "hub", *args, "--json"], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done
        return json.loads(done.stdout) if done.stdout else None

    def down(self, number=signal.SIGINT):
        self.process.send_signal(number)
        rest = self.process.communicate(timeout=30 * SLOW)
        assert self.process.returncode == 0 and rest == ("", ""), (self.process.returncode, rest)


def test_01_ephemeral():
    """an ephemeral hub says in one line how to reach it; a device of it connects; when it ends, nothing stays"""
    up = Up("--ephemeral")
    key = up.tool("device", "create", "-d", "dev1")["authentication"]["symmetricKey"]["primaryKey"]
    with Mqtt(up.line["mqttPort"], ca=up.line["caFile"], name="localhost", client_id="dev1", user=username("localhost", "dev1"),
              password=sas("localhost/devices/dev1", key)) as m:
        m.publish("devices/dev1/messages/events/", b"hello")
    up.down()
    assert not os.path.exists(up.line["state"]), up.line


def test_02_folder():
    """in a folder, devices and the root stay; the env file of its folder tells a shell all that the verbs need"""
    state = folder / "dev"
    args = ("--state", state, "--mqtt-port", 0, "--https-port", 0)
    up = Up(*args)
    up.tool("device", "create", "-d", "dev1")
    with open(up.line["caFile"]) as f:
        root = f.read()
    env = run("rootedge", "dev", "env", "--state", state).stdout.strip()
    listed = subprocess.run(["sh", "-c", '. "$1"; "$2" hub device list', "sh", env, ROOTEDGE], stdout=subprocess.PIPE, text=True).stdout
    assert listed.split("\n")[0].startswith("ID ") and listed.split("\n")[1].startswith("dev1 "), listed
    up.down(signal.SIGTERM)
    up = Up(*args)
    assert [d["deviceId"] for d in up.tool("device", "list")] == ["dev1"]
    with open(up.line["caFile"]) as f:
        assert f.read() == root
    up.down()


def test_03_fixed():
    """with --fixed the keys are those of the last time, and others with another text"""
    keys = []
    for text in ("ci", "ci", "other"):
        up = Up("--ephemeral", "--fixed", text)
        keys.append(parse_connection_string(up.line["connectionString"])["SharedAccessKey"])
        assert up.tool("device", "list") == []
        up.down()
    assert keys[0] == keys[1] != keys[2], keys


def test_04_names():
    """a further name is in the certificate, also when the folder had one without it"""
    args = ("--state", folder / "names", "--mqtt-port", 0, "--https-port", 0)
    Up(*args).down()
    up = Up(*args, "--hostname", "hub.test", "--name", "10.1.2.3")
    for name in ("hub.test", "10.1.2.3", "localhost"):
        done = run("rootedge", "doctor", "%s:%d" % (name, up.line["httpsPort"]), "--ca", up.line["caFile"], "--connect-to", "127.0.0.1", check=False)
        assert done.returncode == 0, done
    up.down()


def test_05_faults():
    """faults on purpose are handed to the hub; one that there is none of is told with what there is"""
    up = Up("--ephemeral", "--fault", "throttle=100%")
    done = subprocess.run([ROOTEDGE, "hub", "device", "list"], env=up.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "ThrottlingException" in done.stderr, done
    up.down()
    done = run("rootedge", "dev", "up", "--ephemeral", "--fault", "noise=1%", check=False)
    assert done.returncode == 1 and "throttle=10%" in done.stderr, done


def test_06_hub_dies():
    """when the hub dies, dev up ends with 1 and says where its log is; a wrong call is 2"""
    up = Up("--ephemeral")
    children = run("pgrep", "-P", str(up.process.pid)).stdout.split()
    os.kill(int(children[0]), signal.SIGKILL)
    out, err = up.process.communicate(timeout=30 * SLOW)
    assert up.process.returncode == 1 and "the hub has ended" in err, (up.process.returncode, err)
    assert run("rootedge", "dev", "up", "now", check=False).returncode == 2
    assert run("rootedge", "dev", check=False).returncode == 2


def test_07_completion():
    """bash completes nouns, verbs and options from what --help says"""
    script = run("rootedge", "completion", "bash").stdout
    path = os.path.dirname(ROOTEDGE)

    def complete(*words):
        text = '%s\nPATH="%s:$PATH"; COMP_WORDS=(rootedge %s); COMP_CWORD=%d; _rootedge; echo "${COMPREPLY[@]}"' % (script, path, " ".join("'%s'" % w for w in words), len(words))
        return subprocess.run(["bash", "-c", text], stdout=subprocess.PIPE, text=True).stdout.split()

    assert "hub" in complete("h") and {"device", "module"} <= set(complete("hub", "")), complete("hub", "")
    assert complete("hub", "device", "cr") == ["create"] and complete("hub", "device", "create", "--prim") == ["--primary-thumbprint"]
    assert "linked-hub" in complete("provisioning", "") and complete("provisioning", "enrollment-group", "comp") == ["compute-device-key"]
    assert complete("provisioning", "enrollment", "create", "--initial-twin-t") == ["--initial-twin-tags"]
    assert complete("dev", "") == ["up", "env"] and run("rootedge", "completion", "csh", check=False).returncode == 2


def test_07_b_provisioning():
    """with provisioning its line has all that a device registers by, a device of the group does and connects, and with --fixed the group's key stays"""
    up = Up("--ephemeral", "--provisioning", "--fixed", "contoso")
    group, scope = up.line["groupKey"], up.line["idScope"]
    derived = run("rootedge", "provisioning", "enrollment-group", "compute-device-key", "--key", group, "--registration-id", "dev1").stdout.strip()
    headers = {"Authorization": sas("%s/registrations/dev1" % scope, derived, policy="registration", encode=False)}
    path = "/%s/registrations/dev1" % scope
    ask = lambda method, rest: https(up.line["provisioningPort"], method, path + rest + "?api-version=2021-06-01", {"registrationId": "dev1"}, headers, ca=up.line["caFile"])
    assert ask("PUT", "/register")[0] == 202
    assert ask("POST", "")[2]["status"] == "assigned"
    Mqtt(up.line["mqttPort"], ca=up.line["caFile"], name="localhost", client_id="dev1", user=username("localhost", "dev1"), password=sas("localhost/devices/dev1", derived)).close()
    listed = subprocess.run(["sh", "-c", '. "$1/env"; "$2" provisioning registration list -g dev', "sh", up.line["state"], ROOTEDGE], stdout=subprocess.PIPE, text=True).stdout
    assert listed.splitlines()[1].split()[:4] == ["dev1", "assigned", "localhost", "dev1"], listed
    up.down()
    up = Up("--ephemeral", "--provisioning", "--fixed", "contoso")
    assert up.line["groupKey"] == group
    up.down()
    up = Up("--ephemeral")
    assert "idScope" not in up.line
    up.down()


def test_08_seed():
    """a hub begins with the devices of a file, with their tags; a seed that is not taken ends it, and says where it stands why"""
    seed = folder / "seed.json"
    with open(seed, "w") as f:
        json.dump([{"deviceId": "s1", "tags": {"floor": 1}, "properties": {"desired": {"rate": 5}}}, {"deviceId": "s2", "tags": {"floor": 2}}, {"deviceId": "s3"}], f)
    state = folder / "seeded"
    args = ("--state", state, "--mqtt-port", 0, "--https-port", 0, "--seed", seed)
    up = Up(*args)
    assert [d["deviceId"] for d in up.tool("query", "-q", "SELECT deviceId FROM devices WHERE tags.floor >= 1")] == ["s1", "s2"]
    assert up.tool("twin", "show", "-d", "s1")["properties"]["desired"]["rate"] == 5
    key = up.tool("device", "show", "-d", "s3")["authentication"]["symmetricKey"]["primaryKey"]
    up.down()
    up = Up(*args)
    assert up.tool("device", "show", "-d", "s3")["authentication"]["symmetricKey"]["primaryKey"] == key
    up.down()
    with open(seed, "w") as f:
        f.write('[{"deviceId": "bad id"}]')
    done = run("rootedge", "dev", "up", *map(str, args), check=False)
    assert done.returncode == 1 and "the seed was not taken" in done.stderr and state in done.stderr, done


def test_99_stop():
    """the folder goes"""
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
