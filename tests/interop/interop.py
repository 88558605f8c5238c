#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unmodified Azure IoT SDKs against the hub and the gateway.

Their REST and WebSocket clients know port 443 only, so the whole story runs in a user, network and mount namespace of its own, with the real ports: the hub
on 127.0.0.2, the gateway on 127.0.0.3, and a hosts file that names them.  Where namespaces are denied, or npm's packages can't be had, it skips and says so."""
import fcntl, json, os, shutil, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

HERE = os.path.dirname(os.path.abspath(__file__))
HUB, GATEWAY, GATEWAY_TOO = "contosoiothub.azure-devices.test", "edgegateway.local", "gw2.local"
PROVISIONING = "contosodps.azure-devices-provisioning.test"
MODULES = os.path.join(ROOT, "build", "interop")


def install_packages():
    """npm ci into the build folder, once per lock file and one at a time."""
    os.makedirs(MODULES, exist_ok=True)
    lock = open(os.path.join(MODULES, "lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX)  # until it is garbage
    stamp = os.path.join(MODULES, "installed")
    want = open(os.path.join(HERE, "package-lock.json")).read()
    if os.path.exists(stamp) and open(stamp).read() == want:
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(HERE, name), MODULES)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"], cwd=MODULES, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise Skip("npm could not install the SDKs: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    with open(stamp, "w") as f:
        f.write(want)


def enter_namespaces(script=os.path.abspath(__file__)):
    """Re-run this script where ports 443 and 8883 and /etc/hosts are ours alone."""
    probe = subprocess.run(["unshare", "--user", "--map-root-user", "--net", "--mount", "ip", "link", "set", "lo", "up"], capture_output=True, text=True)
    if probe.returncode != 0:
        print("1..1\nok 1 - unmodified SDKs # SKIP namespaces are denied here: " + probe.stderr.strip().replace("\n", " "))
        sys.exit(0)
    try:
        install_packages()
    except Skip as why:
        print("1..1\nok 1 - unmodified SDKs # SKIP %s" % why)
        sys.exit(0)
    os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--net", "--mount", sys.executable, script, "inside", *sys.argv[1:]])


class Story:
    """Hub, edge and gateway as an SDK finds them, started once."""

    def __init__(self):
        self.folder = Folder()
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        hosts = self.folder / "hosts"
        with open(hosts, "w") as f:
            f.write("127.0.0.1 localhost\n127.0.0.2 %s\n127.0.0.3 %s %s\n127.0.0.4 %s\n" % (HUB, GATEWAY, GATEWAY_TOO, PROVISIONING))
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
        self.pki = Pki(self.folder)
        cert, key = self.pki.make("server", HUB, "--san", PROVISIONING, file="hubcert")
        self.hub = Service(self.folder, "hub", "--state", self.folder / "hub", "--hostname", HUB, "--address", "127.0.0.2", "--cert", cert, "--key", key,
                           "--provisioning", "--provisioning-hostname", PROVISIONING, "--provisioning-address", "127.0.0.4", "--provisioning-port", "443",
                           "--provisioning-mqtt-port", "8883")
        self.connection_string = run("rootedge", "hub", "connection-string", "--state", self.folder / "hub").stdout.strip()
        self.key = None

    def policy_key(self):
        return parse_connection_string(self.connection_string)["SharedAccessKey"]

    def rest(self, method, path, body=None, headers=None):
        return https(443, method, path + "?api-version=2021-04-12", body, {"Authorization": sas(HUB, self.policy_key(), policy="iothubowner", encode=False), **(headers or {})},
                     ca=self.pki.root, host="127.0.0.2")

    def node(self, script, ahead_s=0, **env):
        """ahead_s: by a clock that is so far ahead, as that of the services may be."""
        clock = ["faketime", "-f", "+%ds" % ahead_s] if ahead_s else []
        done = subprocess.run([*clock, "node", os.path.join(HERE, script)], capture_output=True, text=True, timeout=120 * SLOW,
                              env=dict(os.environ, NODE_PATH=os.path.join(MODULES, "node_modules"), NODE_EXTRA_CA_CERTS=self.pki.root, CA=self.pki.root, HUB=HUB,
                                       GATEWAY=GATEWAY, FAKETIME_DONT_FAKE_MONOTONIC="1", **env))
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def new_devices(self, name):
        """A device NAME-sas, whose key is returned, and a device NAME-x509, with the paths of its certificate and key."""
        cert, cert_key = self.pki.make("device", name + "-x509")
        status, _, answer = self.rest("PUT", "/devices/%s-sas" % name, {"deviceId": name + "-sas"})
        assert status == 200, answer
        prints = dict.fromkeys(("primaryThumbprint", "secondaryThumbprint"), thumbprint(cert))
        status, _, refusal = self.rest("PUT", "/devices/%s-x509" % name, {"deviceId": name + "-x509", "authentication": {"type": "selfSigned", "x509Thumbprint": prints}})
        assert status == 200, refusal
        return answer["authentication"]["symmetricKey"]["primaryKey"], cert, cert_key

    def events_of(self, device):
        out = run("rootedge", "hub", "events", "--state", self.folder / "hub", "--json", "--device", device).stdout
        return [json.loads(l) for l in out.splitlines()]

    def start_edge(self, modules=""):
        cert, key = self.pki.make("device", "EdgeGateway", file="edgegateway")
        status, _, edge = self.rest("PUT", "/devices/EdgeGateway", {"deviceId": "EdgeGateway", "capabilities": {"iotEdge": True}, "authentication": {
            "type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint(cert), "secondaryThumbprint": thumbprint(cert)}}})
        assert status == 200, edge
        self.pki.make("edge-ca", "iotedged workload ca edgegateway", file="edgeca")
        config = self.folder / "config.toml"
        with open(config, "w") as f:
            f.write('hostname = "%s"\ntrust_bundle_cert = "file://%s"\n\n[provisioning]\nsource = "manual"\niothub_hostname = "%s"\ndevice_id = "EdgeGateway"\n\n'
                    '[provisioning.authentication]\nmethod = "x509"\nidentity_cert = "file://%s"\nidentity_pk = "file://%s"\n\n'
                    '[edge_ca]\ncert = "file://%s"\npk = "file://%s"\n\n[gateway]\naddress = "127.0.0.3"\n%s'
                    % (GATEWAY, self.pki.root, HUB, cert, key, self.folder / "edgeca.pem", self.folder / "edgeca.key", modules))
        self.edge = Service(self.folder, "edge", "--config", config, "--state", self.folder / "edge")
        return edge["deviceScope"]

    def adopt(self, device, scope):
        status, _, record = self.rest("GET", "/devices/" + device)
        assert status == 200
        record["deviceScope"] = scope
        status, _, body = https(443, "PUT", "/devices/%s?api-version=2021-04-12" % device, record, {"If-Match": "*", "Authorization": sas(HUB, self.policy_key(),
                                policy="iothubowner", encode=False)}, ca=self.pki.root, host="127.0.0.2")
        assert status == 200, body

    def arrived(self, device, n):
        """All messages of the client are at the hub, exactly as it sent them."""
        events = wait_for(lambda: (lambda e: e if len(e) >= n else None)(self.events_of(device)), "%d events of %s" % (n, device), 30)
        assert len(events) == n, len(events)
        for i, event in enumerate(sorted(events, key=lambda e: int(e["properties"]["n"]))):
            assert event["body"] == {"n": i, "text": 'grüße & "quotes"'}, event
            assert event["properties"] == {"n": str(i), "weird key&=%": "value/with+all #?&=% ü", "empty": ""}, event
            system = event["systemProperties"]
            assert (system["message-id"], system["content-type"], system["content-encoding"]) == ("id-%d" % i, "application/json", "utf-8"), event


story = None


def test_1_registry():
    """the Registry client of azure-iothub creates, reads, updates, lists and deletes devices"""
    global story
    story = Story()
    story.cert, story.cert_key = story.pki.make("device", "node-x509")
    answer = story.node("registry.js", CONNECTION_STRING=story.connection_string,
                        THUMBPRINTS=json.dumps({"primaryThumbprint": thumbprint(story.cert), "secondaryThumbprint": thumbprint(story.cert)}))
    story.key = answer["key"]


def test_1_b_registry_bulk():
    """the Registry client adds, updates and removes a hundred devices at once, and modules; a key that was regenerated since lets the SDK in no longer, the new one does"""
    old = story.node("registry_bulk.js", CONNECTION_STRING=story.connection_string)["key"]
    status, _, body = story.rest("POST", "/devices/keys/regenerate", {"policyKey": "both", "devices": [{"id": "bulk-3"}, {"id": "bulk-nobody"}]})
    assert status == 207 and body["rotatedKeys"][0]["id"] == "bulk-3" and body["errors"][0]["errorCode"] == "DeviceNotFound", body
    story.node("device.js", MODE="sas", DEVICE="bulk-3", KEY=old, EXPECT="refused")
    story.node("device.js", MODE="sas", DEVICE="bulk-3", KEY=body["rotatedKeys"][0]["primaryKey"])
    story.arrived("bulk-3", 100)


def test_1_c_operations():
    """the clients see modules by etag, the codes of what is unknown or not there, 401 for a wrong key; module outputs, an upload by hand and a renewed token work"""
    story.node("operations.js", CONNECTION_STRING=story.connection_string)
    events = story.events_of("ops")
    assert [e["body"] for e in events] == ["from an output", "before", "after"], events
    assert events[0]["systemProperties"]["iothub-outputname"] == "out1" and events[0]["annotations"]["iothub-connection-module-id"] == "m1", events[0]


def test_2_device_sas():
    """azure-iot-device sends 100 messages straight to the hub by SAS, and all arrive as sent"""
    story.node("device.js", MODE="sas", DEVICE="node-sas", KEY=story.key)
    story.arrived("node-sas", 100)


def test_3_device_x509():
    """azure-iot-device sends 100 messages straight to the hub by X.509, and all arrive as sent"""
    story.node("device.js", MODE="x509", DEVICE="node-x509", CERT=story.cert, CERT_KEY=story.cert_key)
    story.arrived("node-x509", 100)


def test_4_device_refused():
    """azure-iot-device with a wrong key, and with a certificate of somebody else, sees UnauthorizedError"""
    story.node("device.js", MODE="sas", DEVICE="node-sas", KEY=new_key(), EXPECT="refused")
    cert, key = story.pki.make("device", "node-x509", file="impostor")
    story.node("device.js", MODE="x509", DEVICE="node-x509", CERT=cert, CERT_KEY=key, EXPECT="refused")


def test_4_signed_by_ca():
    """azure-iot-device with leaf and two intermediates in one PEM is let in by a registered CA, and sees UnauthorizedError once that has left"""
    story.pki.make("intermediate", "Factory", file="factory")
    story.pki.make("intermediate", "Line 1", issuer="factory", file="line1")
    story.pki.make("intermediate", "Line 1 night shift", issuer="line1", file="night")
    leaf, key = story.pki.make("device", "node-ca", issuer="night")
    chain = story.folder / "node-ca-chain.pem"
    with open(chain, "w") as f:
        for path in (leaf, story.folder / "line1.pem", story.folder / "night.pem"):
            with open(path) as part:
                first = part.read().split("-----END CERTIFICATE-----")[0]
            f.write(first + "-----END CERTIFICATE-----\n")
    with open(story.folder / "factory.pem") as f:
        ca = f.read()
    status, _, made = story.rest("PUT", "/certificates/factory", {"properties": {"certificate": ca, "isVerified": True, "scope": {"devices": ["node-*"]}}})
    assert status == 200, made
    story.rest("PUT", "/devices/node-ca", {"deviceId": "node-ca", "authentication": {"type": "certificateAuthority"}})
    story.node("device.js", MODE="x509", DEVICE="node-ca", CERT=chain, CERT_KEY=key)
    story.arrived("node-ca", 100)
    story.node("device.js", MODE="x509", DEVICE="node-ca", CERT=chain, CERT_KEY=key, COUNT="1")
    status, _, _ = story.rest("PUT", "/certificates/factory", {"properties": {"isVerified": False}}, {"If-Match": "*"})
    assert status == 200
    story.node("device.js", MODE="x509", DEVICE="node-ca", CERT=chain, CERT_KEY=key, EXPECT="refused")


def test_5_gateway_sas():
    """azure-iot-device sends 100 messages through the gateway by SAS (GatewayHostName), and all arrive as sent"""
    scope = story.start_edge()
    story.rest("PUT", "/devices/leaf-sas", {"deviceId": "leaf-sas", "deviceScope": scope})
    leaf = story.rest("GET", "/devices/leaf-sas")[2]
    story.node("device.js", MODE="sas-gateway", DEVICE="leaf-sas", KEY=leaf["authentication"]["symmetricKey"]["primaryKey"])
    story.arrived("leaf-sas", 100)


def test_6_gateway_x509():
    """azure-iot-device sends 100 messages through the gateway by X.509 (gatewayHostName of its provider), and all arrive as sent"""
    cert, key = story.pki.make("device", "leaf-x509")
    scope = story.rest("GET", "/devices/EdgeGateway")[2]["deviceScope"]
    story.rest("PUT", "/devices/leaf-x509", {"deviceId": "leaf-x509", "deviceScope": scope, "authentication": {"type": "selfSigned", "x509Thumbprint": {
        "primaryThumbprint": thumbprint(cert), "secondaryThumbprint": thumbprint(cert)}}})
    story.node("device.js", MODE="x509-gateway", DEVICE="leaf-x509", CERT=cert, CERT_KEY=key)
    story.arrived("leaf-x509", 100)


def test_7_mosquitto_pub():
    """mosquitto_pub with --cert, --key and --cafile publishes through the gateway"""
    cert, key = story.folder / "leaf-x509.pem", story.folder / "leaf-x509.key"
    run("mosquitto_pub", "-h", GATEWAY, "-p", "8883", "--cafile", story.pki.root, "--cert", cert, "--key", key, "-i", "leaf-x509", "-u", username(HUB, "leaf-x509"),
        "-q", "1", "-t", "devices/leaf-x509/messages/events/from=mosquitto", "-m", "hello", "-V", "mqttv311")
    wait_for(lambda: [e for e in story.events_of("leaf-x509") if e["properties"].get("from") == "mosquitto"], "the message of mosquitto_pub", 30)


def test_7_b_websocket():
    """azure-iot-device sends 100 messages through the gateway on port 443 by SAS and by X.509, and sees UnauthorizedError with a wrong key"""
    scope = story.rest("GET", "/devices/EdgeGateway")[2]["deviceScope"]
    key = story.rest("PUT", "/devices/ws-sas", {"deviceId": "ws-sas", "deviceScope": scope})[2]["authentication"]["symmetricKey"]["primaryKey"]
    cert, cert_key = story.pki.make("device", "ws-x509")
    story.rest("PUT", "/devices/ws-x509", {"deviceId": "ws-x509", "deviceScope": scope, "authentication": {"type": "selfSigned", "x509Thumbprint": {
        "primaryThumbprint": thumbprint(cert), "secondaryThumbprint": thumbprint(cert)}}})
    story.node("device.js", MODE="sas-gateway", WEBSOCKET="1", DEVICE="ws-sas", KEY=key)
    story.node("device.js", MODE="x509-gateway", WEBSOCKET="1", DEVICE="ws-x509", CERT=cert, CERT_KEY=cert_key)
    story.node("device.js", MODE="sas-gateway", WEBSOCKET="1", DEVICE="ws-sas", KEY=new_key(), EXPECT="refused")
    story.arrived("ws-sas", 100)
    story.arrived("ws-x509", 100)


def test_8_twins_and_methods():
    """azure-iot-device and azure-iothub share a twin and call methods, also after the device has renewed its token without subscribing again"""
    key = story.rest("PUT", "/devices/node-twin", {"deviceId": "node-twin"})[2]["authentication"]["symmetricKey"]["primaryKey"]
    answer = story.node("twin.js", DEVICE="node-twin", KEY=key, CONNECTION_STRING=story.connection_string, HUB_LOG=story.hub.log_path)
    assert answer == {"opened": 2}, answer


def test_9_twins_and_methods_of_a_module():
    """a module's twin and methods are its own, with the same clients"""
    key = story.rest("PUT", "/devices/node-twin/modules/filter", {"deviceId": "node-twin", "moduleId": "filter"})[2]["authentication"]["symmetricKey"]["primaryKey"]
    story.node("twin.js", DEVICE="node-twin", MODULE="filter", KEY=key, CONNECTION_STRING=story.connection_string, HUB_LOG=story.hub.log_path)
    assert "firmware" in story.rest("GET", "/twins/node-twin/modules/filter")[2]["properties"]["reported"]


def test_90_queries_and_configurations():
    """the clients of azure-iothub query page by page, keep configurations that are applied, give a gateway its content, and schedule jobs"""
    assert story.node("query.js", CONNECTION_STRING=story.connection_string)["pages"] == 3


def test_91_digital_twin():
    """azure-iothub's DigitalTwinClient patches and reads a digital twin, and calls commands of the model and of a component"""
    key = story.rest("PUT", "/devices/node-pnp", {"deviceId": "node-pnp"})[2]["authentication"]["symmetricKey"]["primaryKey"]
    answer = story.node("digital_twin.js", DEVICE="node-pnp", KEY=key, CONNECTION_STRING=story.connection_string)
    assert answer["twin"]["thermostat1"]["$metadata"]["target"]["desiredValue"] == 20.5, answer
    assert answer["root"] == {"status": 207, "payload": {"did": "reboot", "with": {"delay": 3}}} and answer["component"]["payload"]["did"] == "thermostat1*report", answer


def test_93_provisioning():
    """azure-iot-provisioning-service enrolls, azure-iot-provisioning-device registers over HTTP by key and certificate, alone and in groups, and azure-iot-device connects"""
    text = run("rootedge", "hub", "connection-string", "--state", story.folder / "hub", "--policy", "provisioningserviceowner").stdout.strip()
    run("rootedge", "cert", "root", "--name", "plant CA", "--out", story.folder / "plant.pem", "--key-out", story.folder / "plant.key")
    own, own_key = story.pki.make("device", "prov-cert")
    leaf, leaf_key = story.pki.make("device", "prov-leaf", issuer="plant")
    story.node("provisioning.js", SERVICE=text.replace(HUB, PROVISIONING), PROVISIONING=PROVISIONING, ID_SCOPE=story.hub.ready["id_scope"], OWN=own, OWN_KEY=own_key,
               LEAF=leaf, LEAF_KEY=leaf_key, PLANT=story.folder / "plant.pem")


def test_94_enrollments():
    """azure-iot-provisioning-service pages through enrollments and groups, sends many at once, and deletes by etag"""
    text = run("rootedge", "hub", "connection-string", "--state", story.folder / "hub", "--policy", "provisioningserviceowner").stdout.strip()
    story.node("enrollments.js", SERVICE=text.replace(HUB, PROVISIONING))


def registers(transport):
    """The device client over MQTT with everything it may be enrolled by: its own names and CA for each transport."""
    name = transport.lower()
    text = run("rootedge", "hub", "connection-string", "--state", story.folder / "hub", "--policy", "provisioningserviceowner").stdout.strip()
    run("rootedge", "cert", "root", "--name", name + " CA", "--out", story.folder / (name + ".pem"), "--key-out", story.folder / (name + ".key"))
    own, own_key = story.pki.make("device", name + "-cert")
    leaf, leaf_key = story.pki.make("device", name + "-leaf", issuer=name)
    story.node("provisioning_mqtt.js", TRANSPORT=transport, SERVICE=text.replace(HUB, PROVISIONING), PROVISIONING=PROVISIONING, ID_SCOPE=story.hub.ready["id_scope"],
               OWN=own, OWN_KEY=own_key, LEAF=leaf, LEAF_KEY=leaf_key, PLANT=story.folder / (name + ".pem"))


def test_95_provisioning_mqtt():
    """azure-iot-provisioning-device-mqtt registers over MQTT by key and certificate, alone and in groups, and hears when it may not"""
    registers("Mqtt")


def test_96_provisioning_websocket():
    """the same over WebSocket on port 443"""
    registers("MqttWs")


def test_97_provisioning_tpm():
    """azure-iot-provisioning-device registers by TPM over HTTP: its challenge is activated in a TPM, which signs for it and for azure-iot-device"""
    import soft_tpm
    if soft_tpm.why_not():
        raise Skip(soft_tpm.why_not())
    tpms = []
    for name in "tpm", "tpm2":
        os.mkdir(story.folder / name)
        tpms.append(soft_tpm.SoftTpm(story.folder / name))
        wait_for(tpms[-1].is_up, "the TPM " + name)
        tpms[-1].make_keys("rsa")
    text = run("rootedge", "hub", "connection-string", "--state", story.folder / "hub", "--policy", "provisioningserviceowner").stdout.strip()
    story.node("provisioning_tpm.js", SERVICE=text.replace(HUB, PROVISIONING), PROVISIONING=PROVISIONING, ID_SCOPE=story.hub.ready["id_scope"], TPM=story.folder / "tpm",
               OTHER_TPM=story.folder / "tpm2", SOFT_TPM=soft_tpm.__file__)
    assert [e["body"] for e in story.events_of("prov-tpm-device")] == ["signed in the TPM"] * 3
    for tpm in tpms:
        tpm.close()


def test_99_end():
    """everything stops in order"""
    if hasattr(story, "edge"):
        story.edge.stop()
    story.hub.stop()
    story.folder.__exit__()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "inside":
        sys.argv.pop(1)
        run_all(globals())
    enter_namespaces()
