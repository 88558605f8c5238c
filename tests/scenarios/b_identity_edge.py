#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A whole edge device that does not know who it is: provisioning tells it, by a symmetric key or by its TPM, and then it is a gateway; a start without a network; and a box without any hub,
whose processes have local identities."""
import glob, http.client, os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_provisioning import *
from identity_box import ask_as
from peers import refused_port
from tokens import Swtpm

site = folder = edge = None
ME, PUMP, TOOL = os.getuid(), 70001, 70002


class Box(Service):
    """`rootedge edge` with these lines beside what every one here has."""

    def __init__(self, name, text, wait=True):
        self.state, self.path = folder / ("edge-" + name), folder / (name + ".toml")
        with open(self.path, "w") as f:
            f.write('hostname = "edgegateway.local"\ntrust_bundle_cert = "file://%s"\n%s' % (site.pki.root, text))
        super().__init__(folder, "edge", "--config", self.path, "--state", self.state, env={"ASAN_OPTIONS": "detect_leaks=0"}, wait=wait)

    def socket(self, name):
        return wait_for(lambda: glob.glob(os.path.join(self.state, "run", "*", name + ".sock")), "the socket " + name)[0]

    def bundle(self):
        certs = os.path.join(self.state, "certd", "certs")
        with open(folder / "bundle.pem", "w") as out:
            for name in [site.pki.root] + [os.path.join(certs, n) for n in os.listdir(certs) if n.startswith("aziotedgedca")]:
                with open(name) as f:
                    out.write(f.read())
        return folder / "bundle.pem"


def gateway(attestation, port=0):
    return """
[provisioning]
source = "dps"
global_endpoint = "https://localhost:%d"
id_scope = "%s"
payload = { uri = "file://%s" }
[provisioning.attestation]
%s
[upstream]
address = "127.0.0.1"
https_port = %d
mqtt_port = %d
[gateway]
address = "127.0.0.1"
mqtt_port = %d
https_port = 0
""" % (site.hub.ready["provisioning_port"], site.hub.ready["id_scope"], folder / "payload.json", attestation, site.hub.https_port, site.hub.mqtt_port, port)


def sensor_sends(edge, gateway_id, name):
    """A device below the gateway, whose message reaches the hub."""
    scope = site.hub.rest("GET", "/devices/" + gateway_id)[2]["deviceScope"]
    key = site.hub.create_device(name, deviceScope=scope)["authentication"]["symmetricKey"]["primaryKey"]

    def connect():
        try:
            return Mqtt(edge.ready["mqtt_port"], ca=edge.bundle(), name="edgegateway.local", client_id=name, user=username(HOME, name), password=sas("%s/devices/%s" % (HOME, name), key))
        except (Refused, OSError, EOFError):
            return None
    client = wait_for(connect, "the gateway takes " + name, 60)
    client.publish("devices/%s/messages/events/" % name, b"21.5")
    client.close()
    wait_for(lambda: [e["body"] for e in site.hub.events("--device", name)] == ["21.5"], "its message", 60)


def test_00_start():
    """a hub with provisioning starts"""
    global site, folder
    site, folder = Site(), Folder()
    with open(folder / "payload.json", "w") as f:
        f.write('{"line": 1}')


def test_00_nobody_yet():
    """while provisioning is out of reach the sockets answer all the same: 503 with why for what needs an identity, and what needs none at once; and the end comes at once"""
    module = '[modules.tool]\nuid = %d\n' % (TOOL if ME == 0 else ME)
    text = gateway('method = "symmetric_key"\nregistration_id = "gw-1"\nsymmetric_key = { value = "%s" }' % site.group).replace(":%d\"" % site.hub.ready["provisioning_port"], ":%d\"" % refused_port())
    box = Box("nobody", text + module, wait=False)
    socket_ = os.path.join(box.state, "edged", "mnt", "tool.sock")

    def tool(method, path, body=None):
        return ask_as(TOOL, socket_, method, path + "?api-version=2022-08-03", body) if ME == 0 else (lambda a: (a[0], a[2]))(unix_http(socket_, method, path + "?api-version=2022-08-03", body))

    def first():
        try:
            return tool("GET", "/trust-bundle") if os.path.exists(socket_) else None
        except (OSError, http.client.HTTPException):
            return None
    status, bundle = wait_for(first, "an answer", 30)
    assert status == 200 and "BEGIN CERTIFICATE" in bundle["certificate"], bundle
    wait_for(lambda: "who this device is, is not known yet" in box.log_text(), "edged waits", 30)
    for path, body in (("/modules/tool/genid/1/sign", {"keyId": "primary", "algo": "HMACSHA256", "data": "eA=="}), ("/modules/tool/genid/1/certificate/server", {"commonName": "tool"}),
                       ("/modules/tool/certificate/identity", None)):
        status, answer = tool("POST", path, body)
        assert status == 503 and answer["message"].startswith("who this device is, is not known yet: "), (path, status, answer)
    assert tool("GET", "/modules")[0] == 200 and tool("GET", "/renewals")[1]["renewals"][0]["id"] == "aziot-edged-ca"
    before = time.monotonic()
    assert box.stop() in (0, None)
    assert time.monotonic() - before < 1 * SLOW


def test_01_key():
    """with a symmetric key: it waits, with all but its gateway, for provisioning to know it; then it is a gateway, by the hub and the id that it was told"""
    global edge
    edge = Box("key", gateway('method = "symmetric_key"\nregistration_id = "gw-1"\nsymmetric_key = { value = "%s" }' % site.group) + """
[[principal]]
name = "pump"
uid = %d
idtype = ["module"]
""" % PUMP, wait=False)
    wait_for(lambda: "the enrollment is not there" in edge.log_text(), "a reason in the log\n" + edge.log_text()[-2000:], 30)
    site.enroll("gw-1", deviceId="EdgeGateway", iotHubs=[HOME], capabilities={"iotEdge": True})
    edge.ready = edge.wait_ready(90)
    assert site.hub.rest("GET", "/devices/EdgeGateway")[0] == 200
    sensor_sends(edge, "EdgeGateway", "TempSensor")
    assert site.group not in edge.log_text()


def test_01_host_process():
    """a process of the box, which is none of edged's modules, gets its identity from identityd by its user, has keyd sign with it, and is let in by the hub; another user is not"""
    if ME != 0 or not edge.ready["separate_users"]:
        raise Skip("only root can ask as others")
    wait_for(lambda: site.hub.rest("GET", "/devices/EdgeGateway/modules/pump")[0] == 200, "its module")
    path = "/identities/identity?api-version=2022-08-01"
    status, identity = wait_for(lambda: (lambda a: a if a[0] == 200 else None)(ask_as(PUMP, edge.socket("identityd"), "GET", path)), "its identity", 30)
    spec = identity["spec"]
    assert (spec["moduleId"], spec["deviceId"], spec["auth"]["type"]) == ("pump", "EdgeGateway", "sas"), spec
    assert ask_as(PUMP + 1, edge.socket("identityd"), "GET", path)[0] == 401
    resource = urllib.parse.quote("%s/devices/EdgeGateway/modules/pump" % HOME, safe="")
    se = int(time.time()) + 600
    body = {"keyHandle": spec["auth"]["keyHandle"], "algorithm": "HMAC-SHA256", "parameters": {"message": base64.b64encode(("%s\n%d" % (resource, se)).encode()).decode()}}
    status, answer = ask_as(PUMP, edge.socket("keyd"), "POST", "/sign?api-version=2021-05-01", body)
    assert status == 200, (status, answer, edge.log_text()[-1500:])
    token = "SharedAccessSignature sr=%s&sig=%s&se=%d" % (resource, urllib.parse.quote(answer["signature"], safe=""), se)
    client = Mqtt(site.hub.mqtt_port, ca=site.pki.root, client_id="EdgeGateway/pump", user=username(HOME, "EdgeGateway", "pump"), password=token)
    client.publish("devices/EdgeGateway/modules/pump/messages/events/", b"flow")
    client.close()


def test_02_offline():
    """started without hub and provisioning it is the gateway that it was, and sends on what it took when they are back"""
    edge.stop()
    at = site.hub.args.index("--provisioning-port") + 1
    site.hub.args[at] = str(site.hub.ready["provisioning_port"])
    site.hub.stop()
    edge.start()
    assert "EdgeGateway of %s, as was kept" % HOME in edge.log_text()
    site.hub.start()
    sensor_sends(edge, "EdgeGateway", "Second")
    assert edge.stop() == 0


def test_02_moved():
    """sent to another hub by provisioning, it begins again as what it is there: its modules are made, and its gateway is told"""
    edge.start()
    site.enroll("gw-1", deviceId="EdgeGateway", iotHubs=[site.far], capabilities={"iotEdge": True})
    status, _, answer = unix_http(edge.socket("identityd"), "POST", "/identities/device/reprovision?api-version=2022-08-01", {"type": "aziot"})
    assert status == 204, (status, answer)
    wait_for(lambda: site.other.rest("GET", "/devices/EdgeGateway/modules/$edgeHub")[0] == 200, "its gateway's module in the other hub\n" + edge.log_text()[-2000:], 90)

    def told():
        fields = edge.roles().get("gateway")
        try:
            with open("/proc/%s/cmdline" % fields["Pid"].strip()) as f:
                return site.far in f.read().split("\0")
        except (TypeError, OSError):
            return False  # between the one and the next
    wait_for(told, "the gateway is started for the other hub", 60)
    assert edge.stop() == 0


def test_03_tpm():
    """with its TPM, which keyd alone speaks to: the endorsement key is read from its socket and enrolled, and the device is a gateway"""
    with SubFolder(folder, "chip") as chip, Swtpm(chip) as tpm:
        box = Box("tpm", gateway('method = "tpm"\nregistration_id = "gw-2"') + '[tpm]\ntcti = "%s"\nauth_key_index = "0x00_02_00"\n' % tpm.tcti, wait=False)
        path = box.socket("tpmd")
        ek = []

        def look():
            try:
                status, _, answer = unix_http(path, "GET", "/get_tpm_keys?api-version=2020-09-01")
            except OSError:
                return False
            ek.append(answer.get("endorsement_key"))
            return status == 200
        wait_for(look, "the TPM's keys\n" + box.log_text()[-2000:], 60)
        status, _, e = site.service("PUT", "/enrollments/gw-2", {"attestation": {"type": "tpm", "tpm": {"endorsementKey": ek[-1]}}, "iotHubs": [HOME], "capabilities": {"iotEdge": True}})
        assert status == 200, e
        box.ready = box.wait_ready(90)
        sensor_sends(box, "gw-2", "Third")
        assert box.stop() == 0


def test_04_none():
    """without a hub: keys, certificates and local identities, no gateway and no edged"""
    ca = site.pki.make("intermediate", "site CA", file="site")
    if ME == 0:
        os.chown(ca[1], 61840, 61840)
    box = Box("none", """
[provisioning]
source = "none"
[localid]
domain = "plant.example"
[cert_issuance.local_ca]
cert = "file://%s"
pk = "file://%s"
[[principal]]
name = "pump"
uid = %d
idtype = ["local"]
localid = { type = "x509", attributes = "server" }
""" % (ca[0], ca[1], PUMP))
    assert set(box.roles()) == {"keyd", "certd", "identityd"}, box.roles()
    if ME == 0:
        status, _, answer = unix_http(box.socket("identityd"), "GET", "/identities/modules/pump?type=local&api-version=2022-08-01")
        assert status == 200 and answer["spec"]["moduleId"] == "pump", (status, answer, box.log_text()[-2000:])
        with open(folder / "pump.pem", "w") as f:
            f.write(answer["spec"]["auth"]["certificate"])
        assert "pump.edgegateway.local.plant.example" in run("openssl", "x509", "-noout", "-subject", "-in", folder / "pump.pem").stdout
    assert box.stop() == 0


def test_99_end():
    """everything stops in order"""
    site.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all()
