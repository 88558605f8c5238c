#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The installed units under a real systemd: daemons that start with their first connection, as users of their own, with nothing that they don't need; and what the operator sees of them."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *
from systemd_box import SystemdBox

folder = Folder()
V = "?api-version=2020-09-01"
LOCAL = {"keyd": ("aziotks", []), "certd": ("aziotcs", ["aziotks"]), "identityd": ("aziotid", ["aziotks", "aziotcs", "aziottpm"]), "edged": ("iotedge", ["aziotks", "aziotcs", "aziotid"])}
CONFIG = """hostname = "edgegateway.local"
[provisioning]
source = "manual"
connection_string = "HostName=127.0.0.1;DeviceId=EdgeGateway;SharedAccessKey=%s"
[upstream]
address = "127.0.0.1"
https_port = 9
[gateway]
enabled = false
[modules.tool]
uid = 0
[modules.meter]
uid = 4711
executable = "/usr/bin/python3"
"""
boxes = []


def box():
    if not boxes:
        raise Skip("no systemd here")
    return boxes[0]


def roles():
    done = box().run("rootedge", "status", "--json", check=False)
    found = {r["name"]: r for r in json.loads(done.stdout)["roles"]}
    assert done.returncode == any(r["failed"] for r in found.values()), done
    return found


def test_01_boot():
    """systemd starts, and has made a user for each daemon from what was installed"""
    done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", folder / "root"], capture_output=True, text=True, timeout=120 * SLOW)
    assert done.returncode == 0, done.stdout + done.stderr
    boxes.append(SystemdBox(folder, folder / "root"))
    for user, groups in LOCAL.values():
        assert box().run("id", "-u", user).stdout.strip() != "0"
    assert box().run("id", "-u", "edgehubuser").stdout.strip() == "13623" and box().run("id", "-u", "edgeagentuser").stdout.strip() == "13622"


def test_02_sockets():
    """the device is started: sockets lie where the original has them, each for its group; what nobody has asked is ready and not running"""
    box().write("/etc/aziot/config.toml", CONFIG % new_key())
    box().run("systemctl", "start", "rootedge-keyd.socket", "rootedge-certd.socket", "rootedge-identityd.socket")
    for path, user, group, mode in (("/run/aziot/keyd.sock", "aziotks", "aziotks", "660"), ("/run/aziot/certd.sock", "aziotcs", "aziotcs", "660"), ("/run/aziot/identityd.sock", "aziotid", "aziotid", "660")):
        assert box().run("stat", "-c", "%U %G %a", path).stdout.split() == [user, group, mode], path
    assert [roles()[r]["state"] for r in ("keyd", "certd", "identityd")] == ["Ready"] * 3
    box().run("systemctl", "start", "rootedge-edge.target")
    for path, user, mode in (("/run/iotedge/mgmt.sock", "edgeagentuser", "660"), ("/run/iotedge/workload.sock", "iotedge", "666")):
        assert box().run("stat", "-c", "%U %G %a", path).stdout.split() == [user, "iotedge", mode], path
    found = wait_for(lambda: (lambda r: r if all(r[n]["state"] == "Running" for n in LOCAL) else None)(roles()), "the daemons", 60)
    assert found["config"]["state"] == "Done" and found["gateway"]["state"] == "Not configured" and not any(r["failed"] for r in found.values()), found
    for role in LOCAL:
        assert found[role]["state"] == "Running" and found[role]["pid"] > 1, found[role]


def test_03_privileges():
    """each daemon is its own user, with a filter of system calls, without capabilities, in groups for those it asks"""
    for role, (user, groups) in LOCAL.items():
        fields = box().status_of("rootedge-%s.service" % role)
        uid = box().run("id", "-u", user).stdout.strip()
        assert fields["Uid"].split() == [uid] * 4, (role, fields["Uid"])
        gids = {box().run("id", "-g", g).stdout.strip() for g in [user, *groups]}
        assert set(fields["Groups"].split()) | {fields["Gid"].split()[0]} == gids, (role, fields["Groups"], gids)
        assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2", role
        assert all(int(fields[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")), role
    keyd = "/proc/%s" % box().outside(box().show("rootedge-keyd.service", "MainPID"))
    with open(keyd + "/net/dev") as f:
        assert [line.split(":")[0].strip() for line in f if ":" in line] == ["lo"], "keyd has no network"
    assert os.readlink(keyd + "/ns/net") != os.readlink("/proc/%d/ns/net" % box().pid)


def test_04_groups():
    """membership of a service's group is the permission to connect to its socket, and nothing more: what one may do there, the service decides"""
    gid = box().run("id", "-g", "aziotks").stdout.strip()
    assert box().http("/run/aziot/keyd.sock", "GET", "/nothing" + V, user=4711) == ("Error", 13)
    assert box().http("/run/aziot/keyd.sock", "GET", "/nothing" + V, user=4711, groups=gid)[0] == 404
    assert box().http("/run/aziot/keyd.sock", "GET", "/keypair/aziot-edged-ca" + V, user=4711, groups=gid)[0] == 401
    assert box().http("/run/aziot/keyd.sock", "GET", "/nothing" + V, user="aziotcs", groups=gid)[0] == 404


def test_05_work():
    """behind all of that the daemons do their work: a module's certificate, signed by an Edge CA whose key is in keyd, and its trust bundle"""
    status, answer = box().http("/var/lib/aziot/edged/mnt/tool.sock", "POST", "/modules/tool/certificate/identity?api-version=2022-08-03", {})
    assert status == 201 and "BEGIN CERTIFICATE" in answer, (status, answer)
    owner = box().run("sh", "-c", "stat -c '%U %a' /var/lib/aziot/keyd/keys/*.key /var/lib/aziot/keyd").stdout.splitlines()
    assert set(owner[:-1]) == {"aziotks 600"} and owner[-1] == "aziotks 700", owner
    config = box().run("stat", "-c", "%U %G %a", "/var/lib/aziot/config/keyd", "/var/lib/aziot/config/keyd/config.json").stdout.splitlines()
    assert config == ["root aziotks 710", "aziotks aziotks 600"], config


def test_05_programs():
    """a module that is known by its program, of another user: a process that can do nothing else tells edged, also after it was started again; another program of that user is nobody"""
    socket_, path = "/var/lib/aziot/edged/mnt/meter.sock", "/modules/meter/certificate/identity?api-version=2022-08-03"

    def other():
        return box().run("setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", socket_, "-X", "POST", "http://x" + path).stdout
    assert box().http(socket_, "POST", path, {}, user=4711)[0] == 201 and other() == "403" and box().http(socket_, "POST", path, {})[0] == 403
    fields = box().status_of("rootedge-programs.service")
    assert fields["Uid"].split()[0] == box().run("id", "-u", "rootedge-programs").stdout.strip() and int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 1 << 19 and fields["Seccomp"] == "2", fields
    box().run("systemctl", "kill", "--signal=KILL", "rootedge-programs.service")
    assert box().http(socket_, "POST", path, {}, user=4711)[0] == 201 and other() == "403"
    assert box().run("stat", "-c", "%U %a", "/run/aziot/programs.sock").stdout.split() == ["iotedge", "600"]


def test_06_restart():
    """restart, and an end by a signal: the socket stays and nobody is refused; a daemon that hangs is noticed by its watchdog"""
    inode = box().run("stat", "-c", "%i", "/run/aziot/keyd.sock").stdout
    pid = box().show("rootedge-keyd.service", "MainPID")
    box().run("rootedge", "restart", "keyd")
    box().run("systemctl", "kill", "--signal=KILL", "rootedge-certd.service")
    assert box().http("/run/aziot/certd.sock", "GET", "/nothing" + V)[0] == 404
    assert box().http("/run/aziot/keyd.sock", "GET", "/nothing" + V)[0] == 404
    assert box().show("rootedge-keyd.service", "MainPID") != pid and box().run("stat", "-c", "%i", "/run/aziot/keyd.sock").stdout == inode
    wait_for(lambda: box().show("rootedge-certd.service", "NRestarts") == "1", "certd's restart")
    box().write("/etc/systemd/system/rootedge-keyd.service.d/50-test.conf", "[Service]\nWatchdogSec=2\n", "644")
    box().run("systemctl", "daemon-reload")
    box().run("rootedge", "restart", "keyd")
    pid = box().show("rootedge-keyd.service", "MainPID")
    beats = set()
    wait_for(lambda: beats.add(box().show("rootedge-keyd.service", "WatchdogTimestampMonotonic")) or len(beats) > 4, "its watchdog to be fed", 20)
    assert box().show("rootedge-keyd.service", "MainPID") == pid
    box().run("systemctl", "kill", "--signal=STOP", "rootedge-keyd.service")
    wait_for(lambda: box().show("rootedge-keyd.service", "MainPID") not in ("0", pid), "the watchdog", 30)
    assert box().http("/run/aziot/keyd.sock", "GET", "/nothing" + V)[0] == 404


def test_07_logs():
    """logs come from the journal, of one daemon or of all, in the words of the daemons"""
    text = box().run("rootedge", "logs", "edged", "--tail", "1000").stdout
    assert "Who may sign module certificates?" in text and "keyd" not in text.replace("keyd.sock", ""), text
    assert box().run("rootedge", "logs", "--since", "2100-01-01").stdout.strip() in ("", "-- No entries --")


def test_07_apply():
    """rootedge config apply starts those units again whose orders change, and no other; with a mistake none"""
    good = CONFIG % new_key()
    box().write("/etc/aziot/config.toml", good)
    box().run("rootedge", "config", "apply")

    def pids():
        return {role: box().show("rootedge-%s.service" % role, "MainPID") for role in LOCAL}
    before = pids()
    assert "nothing changes by it" in box().run("rootedge", "config", "apply").stdout and pids() == before
    box().write("/etc/aziot/config.toml", good + "[aziot_max_requests]\ncertd = 9\n")
    done = box().run("rootedge", "config", "apply")
    assert "certd serves with what is new" in done.stdout, done.stdout
    after = pids()
    assert [r for r in LOCAL if after[r] != before[r]] == ["certd"], (before, after)
    assert '"max_requests":9' in box().run("cat", "/var/lib/aziot/config/certd/config.json").stdout.replace(" ", "")
    box().write("/etc/aziot/config.toml", good + "[aziot_max_requests]\ncertd = 0\n")
    done = box().run("rootedge", "config", "apply", check=False)
    assert done.returncode == 1 and "0 is not between 1 and 10000" in done.stderr + done.stdout and pids() == after, done
    box().write("/etc/aziot/config.toml", good)
    box().run("rootedge", "config", "apply")


def test_08_bad_settings():
    """a mistake in config.toml: what it says is not tried again and again, status shows the mistake with its line, and after it is mended a restart is enough"""
    good = CONFIG % new_key()
    box().write("/etc/aziot/config.toml", good.replace("hostname", "hostnam", 1))
    box().run("rootedge", "restart", check=False)
    done = wait_for(lambda: (lambda d: d if "config: Down" in d.stdout else None)(box().run("rootedge", "status", check=False)), "status to say so")
    assert done.returncode == 1 and "status 153" in done.stdout and "config.toml:1: hostnam" in done.stdout and "did you mean `hostname`" in done.stdout, done.stdout
    assert box().show("rootedge-config.service", "ExecMainStatus") == "153"
    box().write("/etc/aziot/config.toml", good)
    box().run("systemctl", "reset-failed")
    box().run("rootedge", "restart")
    wait_for(lambda: roles()["edged"]["state"] == "Running", "edged", 60)


def test_09_hub():
    """a hub on ports below 1024 that is no root: systemd opens them"""
    pki = Pki(folder)
    cert, key = pki.make("server", "contosoiothub.local", "--san", "127.0.0.1", file="hub")
    for name, path in (("hub.pem", cert), ("hub.key", key)):
        with open(path) as f:
            box().write("/etc/rootedge/" + name, f.read(), "640")
        box().run("chgrp", "rootedge-hub", "/etc/rootedge/" + name)
    box().write("/etc/rootedge/hub.env", 'ROOTEDGE_HUB="--hostname contosoiothub.local --cert /etc/rootedge/hub.pem --key /etc/rootedge/hub.key"\n', "644")
    box().run("systemctl", "start", "rootedge-hub.socket")
    code = "import http.client, ssl\nc = http.client.HTTPSConnection('127.0.0.1', context=ssl._create_unverified_context(), timeout=30)\nc.request('GET', '/devices/x?api-version=2021-04-12')\nprint(c.getresponse().status)\n"
    assert box().run("/usr/bin/python3", "-c", code).stdout.strip() == "401"
    fields = box().status_of("rootedge-hub.service")
    assert fields["Uid"].split()[0] == box().run("id", "-u", "rootedge-hub").stdout.strip() and int(fields["CapEff"], 16) == 0 and fields["Seccomp"] == "2"
    box().run("systemctl", "reload", "rootedge-hub.service")
    assert box().show("rootedge-hub.service", "ActiveState") == "active"
    with open(pki.root) as f:
        box().write("/etc/rootedge/root.pem", f.read(), "644")


def test_09b_gateway():
    """a gateway that no supervisor started finds its identity by edged's management API, and its key is in keyd; list shows the modules"""
    owner = box().run("rootedge", "hub", "connection-string", "--state", "/var/lib/rootedge/hub").stdout.strip()
    device = box().run("rootedge", "hub", "device", "create", "--device-id", "EdgeGateway", "--edge-enabled", "--hub", owner, "--ca", "/etc/rootedge/root.pem", "--connect-to", "127.0.0.1", "--json").stdout
    key = json.loads(device)["authentication"]["symmetricKey"]["primaryKey"]
    config = (CONFIG % key).replace("HostName=127.0.0.1", "HostName=contosoiothub.local").replace("https_port = 9", "https_port = 443\nmqtt_port = 8883").replace("enabled = false", 'address = "127.0.0.1"\nmqtt_port = 18883\nhttps_port = 18443')
    box().write("/etc/aziot/config.toml", 'trust_bundle_cert = "file:///etc/rootedge/root.pem"\n' + config)
    box().run("rootedge", "restart")
    found = wait_for(lambda: roles() if roles()["gateway"]["state"] == "Running" else None, "the gateway", 60)
    assert not any(r["failed"] for r in found.values()), found
    fields = box().status_of("rootedge-gateway.service")
    assert fields["Uid"].split()[0] == "13623" and int(fields["CapEff"], 16) == 1 << 10 and fields["Seccomp"] == "2" and fields["NoNewPrivs"] == "1"
    code = "import socket, ssl\ns = ssl._create_unverified_context().wrap_socket(socket.create_connection(('127.0.0.1', 18883)), server_hostname='edgegateway.local')\nprint(s.version())\n"
    wait_for(lambda: box().run("/usr/bin/python3", "-c", code, check=False).stdout.startswith("TLSv1"), "its port", 60)
    listed = box().run("rootedge", "list").stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["NAME", "edgeHub", "tool", "meter"], listed
    assert box().http("/run/iotedge/workload.sock", "GET", "/trust-bundle?api-version=2022-08-03", user=4711)[0] in (200, 403)
    box().run("systemctl", "stop", "rootedge-hub.service", "rootedge-hub.socket")


def test_09c_tpm():
    """provisioned by its TPM: keyd's unit reaches it, identityd's asks keyd at tpmd.sock, and nobody else gets an answer there"""
    if not box().run("sh", "-c", "command -v swtpm", check=False).stdout:
        raise Skip("swtpm is not installed")
    options = "--hostname contosoiothub.local --cert /etc/rootedge/hub.pem --key /etc/rootedge/hub.key --provisioning --id-scope 0neTPM"
    box().write("/etc/rootedge/hub.env", 'ROOTEDGE_HUB="%s"\n' % options, "644")
    box().run("systemctl", "start", "rootedge-hub.socket", "rootedge-hub.service")
    box().run("sh", "-c", "mkdir /run/chip && chown aziotks /run/chip")
    box().run("systemd-run", "--unit=chip", "--uid=aziotks", "--gid=aziotks", "swtpm", "socket", "--tpm2", "--tpmstate", "dir=/run/chip", "--server", "type=unixio,path=/run/chip/tpm",
              "--ctrl", "type=unixio,path=/run/chip/tpm.ctrl", "--flags", "not-need-init")
    box().write("/etc/aziot/config.toml", """hostname = "edgegateway.local"
trust_bundle_cert = "file:///etc/rootedge/root.pem"
[provisioning]
source = "dps"
global_endpoint = "https://127.0.0.1:8444"
id_scope = "0neTPM"
[provisioning.attestation]
method = "tpm"
registration_id = "gw-tpm"
[tpm]
tcti = "swtpm:path=/run/chip/tpm"
[upstream]
address = "127.0.0.1"
https_port = 443
mqtt_port = 8883
[gateway]
address = "127.0.0.1"
mqtt_port = 18883
https_port = 18443
""")
    box().run("rootedge", "restart")
    answers = []
    wait_for(lambda: answers.append(box().http("/run/aziot/tpmd.sock", "GET", "/get_tpm_keys" + V)) or answers[-1][0] == 200, "the TPM's keys", 60)
    gid = box().run("id", "-g", "aziotks").stdout.strip()
    assert box().http("/run/aziot/tpmd.sock", "GET", "/get_tpm_keys" + V, user=4711) == ("Error", 13)
    assert box().http("/run/aziot/tpmd.sock", "GET", "/get_tpm_keys" + V, user=4711, groups=gid)[0] == 401
    login = box().run("rootedge", "provisioning", "connection-string", "--state", "/var/lib/rootedge/hub").stdout.strip()
    box().run("rootedge", "provisioning", "enrollment", "create", "--enrollment-id", "gw-tpm", "--endorsement-key", json.loads(answers[-1][1])["endorsement_key"], "--edge-enabled", "true",
              "--login", login, "--ca", "/etc/rootedge/root.pem", "--connect-to", "127.0.0.1")

    def device():
        return box().http("/run/aziot/identityd.sock", "POST", "/identities/device" + V, {"type": "aziot"})
    status, answer = wait_for(lambda: (lambda a: a if a[0] == 200 else None)(device()), "the device\n" + box().run("rootedge", "logs", "identityd", "--tail", "20").stdout, 90)
    spec = json.loads(answer)["spec"]
    assert (status, spec["deviceId"], spec["hubName"], spec["auth"]["type"]) == (200, "gw-tpm", "contosoiothub.local", "tpm"), answer
    code = "import socket, ssl\ns = ssl._create_unverified_context().wrap_socket(socket.create_connection(('127.0.0.1', 18883)), server_hostname='edgegateway.local')\n"
    wait_for(lambda: box().run("/usr/bin/python3", "-c", code, check=False).returncode == 0, "its gateway", 60)
    assert not any(r["failed"] for r in roles().values()), roles()
    box().run("systemctl", "stop", "chip.service", "rootedge-hub.service", "rootedge-hub.socket")


def test_10_stop():
    """all ends when the target does, in order and without a failure"""
    box().run("systemctl", "stop", "rootedge-edge.target")
    ends = lambda: [[box().show("rootedge-%s.service" % role, name) for name in ("ActiveState", "Result")] for role in LOCAL]
    wait_for(lambda: ends() == [["inactive", "success"]] * len(LOCAL), "all of them to have ended: systemctl waits for the target, and keyd for those who ask it")
    assert box().run("sh", "-c", "ls /run/aziot /run/iotedge").stdout.split() == ["/run/aziot:", "/run/iotedge:"]


def test_99_end():
    """nothing is left"""
    for b in boxes:
        b.close()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
