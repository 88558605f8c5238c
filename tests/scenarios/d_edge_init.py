#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rootedge edge init --parent`: what it says of a parent that is not what it should be, what it writes when it is, and that an edge device starts by that; `rootedge edge bundle`, and what
`rootedge edge status` says of the parent."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *
from peers import Stranger

it = key = child = mqtt = None


def init(*more, parent=None, ca=None, expect=0, string=None, connect_to="127.0.0.1", config="child.toml", ports=None, clock=None):
    """Its output; the connection string comes from standard input."""
    https, mqtt = ports or (it.edge.https_port, it.edge.mqtt_port)
    string = string or "HostName=%s;DeviceId=child;SharedAccessKey=%s" % (it.hub.hostname, key)
    tool = ("faketime", "-f", clock, ROOTEDGE) if clock else ("rootedge",)
    env = dict(os.environ, FAKETIME_DONT_FAKE_MONOTONIC="1", ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0") if clock else None
    done = run(*tool, "edge", "init", "--parent", parent or it.edge.hostname, "--ca", ca or it.folder / "parent.pem", "-s", "-", "--hostname", "child.local", "--connect-to", connect_to,
               "--https-port", https, "--mqtt-port", mqtt, "--config", it.folder / config, *more, check=False, input=string + "\n", env=env)
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    assert key not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_00_start():
    """a parent runs; its bundle is what its devices trust it by"""
    global it, key
    it = Site()
    it.hub.create_device("child", capabilities={"iotEdge": True}, parentScopes=[it.edge.scope])
    key = it.hub.rest("GET", "/devices/child")[2]["authentication"]["symmetricKey"]["primaryKey"]
    run("rootedge", "edge", "bundle", "--state", it.edge.state, "--out", it.folder / "parent.pem")
    shown = run("rootedge", "edge", "bundle", "--state", it.edge.state).stdout
    with open(it.folder / "parent.pem") as f:
        assert f.read() == shown and shown.count("BEGIN CERTIFICATE") == 2, shown
    ssl.create_default_context(cafile=it.folder / "parent.pem").wrap_socket(socket.create_connection(("127.0.0.1", it.edge.https_port)), server_hostname=it.edge.hostname).close()


def test_01_what_is_wrong():
    """another name, another root, nobody there, a port that is something else, a wrong key, a device that is no child, or no gateway: each is said in words, and nothing is written"""
    stranger = it.hub.create_device("stranger", capabilities={"iotEdge": True})["authentication"]["symmetricKey"]["primaryKey"]
    leaf = it.key("leaf")
    string = "HostName=%s;DeviceId=%s;SharedAccessKey=%s"
    with socket.create_server(("127.0.0.1", 0)) as quiet:
        free = quiet.getsockname()[1]
    for how, words in (({"parent": "other.local"}, "NAME_MISMATCH"), ({"ca": it.hub.pki.root}, "TRUST_UNKNOWN_ISSUER"), ({"ports": (free, free)}, "CONNECT_FAILED"),
                       ({"ports": (it.hub.https_port, it.edge.mqtt_port)}, "NAME_MISMATCH"), ({"ports": (it.edge.https_port, it.edge.https_port)}, "NOT_MQTT"), ({"string": string % (it.hub.hostname, "child", new_key())}, "does not let child in"),
                       ({"string": string % (it.hub.hostname, "stranger", stranger)}, "does not let stranger in"), ({"string": string % (it.hub.hostname, "leaf", leaf)}, "not as a gateway below it"),
                       ({"string": string % ("other.hub", "child", key)}, "does not let child in")):
        said = init(expect=3, **how)
        assert words in said and "Nothing is written" in said, (how, said)
        assert not os.path.exists(it.folder / "child.toml")


def connack_in_pieces(s):
    heard = s.recv(1024)
    for piece in (b"\x20", b"\x02\x00\x05"):
        s.sendall(piece)
    return heard + s.recv(1024)


def silence(s):
    return s.recv(1024) + s.recv(1024)


def http_error(s):
    heard = s.recv(1024)
    s.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    return heard


def without_end(s):
    try:
        while True:
            s.sendall(b"\x30" * 65536)
    except OSError:
        return s.recv(0)


def test_01_no_mqtt():
    """what proves to be the parent at its MQTT port and speaks no MQTT is said to, with what it answered; any CONNACK will do, and nothing but a CONNECT without a name is told to it"""
    hello = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
    cert, cert_key = it.pki.make("server", it.edge.hostname, file="strange")
    ca = it.folder / "two.pem"
    with open(ca, "w") as f:
        f.write(open(it.folder / "parent.pem").read() + open(it.folder / "root.pem").read())
    for answer, words in ((connack_in_pieces, None), (http_error, "its answer begins with 'HTTP/1.1 400 Bad Request'"), (lambda s: s.recv(1024), "it closed the connection when it was greeted in MQTT"),
                          (silence, "it did not answer in time when it was greeted in MQTT"), (without_end, "its answer begins with '0000")):
        with Stranger(answer, cert, cert_key) as server:
            said = init(ports=(it.edge.https_port, server.port), ca=ca, expect=3 if words else 0, config="strange.toml")
        assert ("NOT_MQTT" in said and words in said and "Nothing is written" in said) if words else "✓ MQTT at edgegateway.local" in said, (words, said)
        assert server.heard == [hello] or answer is without_end, server.heard


def test_02_called_wrongly():
    """options that are missing or contradict each other, a file that is no bundle, a string that is none"""
    for args in ([], ["--parent", "x"], ["--parent", "x", "--ca", it.folder / "parent.pem"], ["--parent", "x", "--ca", it.folder / "parent.pem", "--hub", "h"],
                 ["--parent", "x", "--ca", it.folder / "nothing.pem", "-s", "HostName=h;DeviceId=d;SharedAccessKey=AAAA"], ["--parent", "x", "--ca", it.folder / "parent.pem", "-s", "rubbish"],
                 ["--parent", "x", "--ca", it.folder / "parent.pem", "-s", "HostName=h;DeviceId=d;x509=true"], ["--parent", "x", "--ca", it.folder / "parent.pem", "-s", "-", "-d", "y"], ["child"]):
        done = run("rootedge", "edge", "init", *args, check=False, input="")
        assert done.returncode == 2 and done.stderr, (args, done.returncode, done.stdout, done.stderr)


def test_03_good():
    """a good parent is said to be, the configuration is written without the key in it, and is not replaced but by force"""
    said = init()
    assert "HTTPS at edgegateway.local" in said and "MQTT at edgegateway.local" in said and "it lets child in" in said, said
    it.said("MQTT_CLIENT_ID_MISMATCH")  # what the question about MQTT leaves there
    with open(it.folder / "child.toml") as f:
        text = f.read()
    assert 'parent_hostname = "edgegateway.local"' in text and key not in text and it.folder / "parent.pem" in text, text
    assert "is there already" in init(expect=1)
    init("--force")
    assert os.path.exists(it.folder / "child.toml.old")
    said = init("--unchecked", parent="nowhere.local", config="unchecked.toml")
    assert "✗" not in said and os.path.exists(it.folder / "unchecked.toml")


def test_04_by_certificate():
    """for a device that is known by its certificate the same"""
    cert, cert_key = it.pki.make("device", "child2")
    it.hub.create_x509_device("child2", thumbprint(cert), capabilities={"iotEdge": True}, parentScopes=[it.edge.scope])
    args = ["--parent", it.edge.hostname, "--ca", it.folder / "parent.pem", "--hub", it.hub.hostname, "--device-id", "child2", "--connect-to", "127.0.0.1", "--https-port", it.edge.https_port,
            "--mqtt-port", it.edge.mqtt_port, "--config", it.folder / "child2.toml"]
    said = run("rootedge", "edge", "init", *args, "--cert", cert, "--key", cert_key).stdout
    assert "it lets child2 in" in said and run("rootedge", "config", "check", "--config", it.folder / "child2.toml").returncode == 0
    other, other_key = it.pki.make("device", "child2", file="other")
    done = run("rootedge", "edge", "init", *args, "--force", "--cert", other, "--key", other_key, check=False)
    assert done.returncode == 3 and "does not let child2 in" in done.stdout, done


def test_04_time():
    """a token or certificate that had ended, or not begun, by the parent's clock is said to be why it does not let the device in; what else it may be is told by nothing that the parent says"""
    if not shutil.which("faketime"):
        raise Skip("there is no faketime")
    said = init("--force", expect=3, clock="-600s")
    assert "does not let child in: by its clock" in said and "the token that was made here" in said and "clock that is wrong" in said and "parentScopes" not in said, said
    said = init("--force", expect=3, clock="-60s", string="HostName=%s;DeviceId=child;SharedAccessKey=%s" % (it.hub.hostname, new_key()))
    assert "does not let child in, and tells why" in said and "parentScopes" in said and "judged by that" in said, said
    said = init("--force", expect=3, string="HostName=%s;DeviceId=child;SharedAccessKey=%s" % (it.hub.hostname, new_key()))
    assert "gateway device show child" in said and "its clock" not in said.lower(), said
    shown = run("rootedge", "gateway", "device", "show", "child", "--state", it.edge.state, check=False).stdout
    assert "SAS_BAD_SIGNATURE" in shown, shown
    begin, end = (time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * 86400)) for days in (2, 7))
    for dates, words in ((("2024-01-01", "2024-02-01"), "has ended (2024-02-01"), ((begin, end), "has not begun (%s" % begin)):
        cert, cert_key = it.pki.make("device", "child3", "--not-before", dates[0], "--not-after", dates[1])
        done = run("rootedge", "edge", "init", "--parent", it.edge.hostname, "--ca", it.folder / "parent.pem", "--hub", it.hub.hostname, "--device-id", "child3", "--connect-to", "127.0.0.1",
                   "--https-port", it.edge.https_port, "--mqtt-port", it.edge.mqtt_port, "--config", it.folder / "child3.toml", "--cert", cert, "--key", cert_key, check=False)
        assert done.returncode == 3 and "does not let child3 in: by its clock" in done.stdout and words in done.stdout, done


def status_of_child(*more):
    return run("rootedge", "edge", "status", "--state", it.folder / "child-state", *more, check=False)


def test_05_starts():
    """an edge device starts by what was written, and its status says that both ports of the parent are well"""
    global child, mqtt
    mqtt = Proxy(lambda: it.edge.mqtt_port)
    with open(it.folder / "child.toml") as f:
        text = f.read().replace("mqtt_port = %d" % it.edge.mqtt_port, "mqtt_port = %d" % mqtt.port)
    with open(it.folder / "child.toml", "w") as f:
        f.write(text + '[gateway]\naddress = "127.0.0.1"\nmqtt_port = 0\nhttps_port = 0\n')
    child = Service(SubFolder(it.folder, "child"), "edge", "--config", it.folder / "child.toml", "--state", it.folder / "child-state", env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert it.hub.rest("GET", "/devices/child/modules/$edgeHub")[2]["authentication"]["type"] == "sas"
    status = status_of_child().stdout
    assert "The gateway above, edgegateway.local" in status and "✓ HTTPS at edgegateway.local" in status and "✓ MQTT at edgegateway.local:%d" % mqtt.port in status, status
    assert json.loads(status_of_child("--json").stdout)["parent"] == {"name": "edgegateway.local", "well": True}


def test_06_mqtt_is_another():
    """what answers at the parent's MQTT port and is another is told by name, though its HTTPS port is well"""
    mqtt.target = lambda: it.hub.mqtt_port
    done = status_of_child()
    assert done.returncode == 1 and "✓ HTTPS at edgegateway.local" in done.stdout and "MQTT at edgegateway.local:%d:" % mqtt.port in done.stdout, done
    assert "NAME_MISMATCH" in done.stdout and "[upstream] mqtt_port" in done.stdout, done


def test_06_mqtt_is_https():
    """the parent's own HTTPS port is no MQTT port, whoever it is of"""
    mqtt.target = lambda: it.edge.https_port
    done = status_of_child()
    assert done.returncode == 1 and "✓ HTTPS at edgegateway.local" in done.stdout and "MQTT at edgegateway.local:%d:" % mqtt.port in done.stdout, done
    assert "NOT_MQTT" in done.stdout and "too" not in done.stdout, done
    assert json.loads(status_of_child("--json").stdout)["parent"]["well"] is False


def test_07_mqtt_is_shut():
    """a parent whose MQTT port is shut on the way is not well, and it is said which port"""
    mqtt.close()
    done = status_of_child()
    assert done.returncode == 1 and "✓ HTTPS at edgegateway.local" in done.stdout and "MQTT at edgegateway.local:%d:" % mqtt.port in done.stdout, done
    assert "CONNECT_FAILED" in done.stdout and "[upstream] mqtt_port" in done.stdout, done
    assert json.loads(status_of_child("--json").stdout)["parent"]["well"] is False


def test_08_nobody_there():
    """of a parent that is down it is said once that nobody is there, and that the other port is no better"""
    it.edge.stop()
    done = status_of_child()
    assert done.returncode == 1 and "CONNECT_FAILED" in done.stdout and "✗ MQTT at edgegateway.local:%d: CONNECT_FAILED, too" % mqtt.port in done.stdout, done
    assert child.stop() == 0


def test_99_end():
    """everything stops in order"""
    it.stop()


if __name__ == "__main__":
    run_all(globals())
