#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs of `rootedge hub` for its operator: devices over REST, events from the log, connection strings."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = None


def device(verb, *args, check=True):
    """`rootedge hub device VERB ...` with the hub's connection string, on its free port."""
    text = run("rootedge", "hub", "connection-string", "--state", hub.state).stdout.strip()
    text = text.replace("HostName=" + hub.hostname, "HostName=%s:%d" % (hub.hostname, hub.https_port))
    done = run("rootedge", "hub", "device", verb, "--hub", text, "--ca", pki.root, "--connect-to", "127.0.0.1", "--json", *args, check=check)
    return json.loads(done.stdout) if check and done.stdout else done


def test_00_start():
    """a hub starts"""
    global hub, folder, pki
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)


def test_01_devices():
    """devices are created, shown, changed, listed and deleted in the words of az iot hub device-identity"""
    cert, _ = pki.make("device", "leaf")
    gateway = device("create", "--device-id", "gw", "--edge-enabled")
    assert gateway["capabilities"]["iotEdge"] and gateway["authentication"]["type"] == "sas", gateway
    leaf = device("create", "--device-id", "leaf", "--parent", "gw", "--primary-thumbprint", thumbprint(cert))
    assert leaf["authentication"]["x509Thumbprint"]["primaryThumbprint"] == thumbprint(cert) and leaf["deviceScope"] == gateway["deviceScope"], leaf
    assert device("update", "--device-id", "leaf", "--status", "disabled")["status"] == "disabled"
    shown = device("show", "--device-id", "leaf")
    assert shown["status"] == "disabled" and shown["deviceScope"] == gateway["deviceScope"], shown
    assert [d["deviceId"] for d in device("list")] == ["gw", "leaf"]
    device("delete", "--device-id", "leaf")
    assert [d["deviceId"] for d in device("list")] == ["gw"]


def test_02_device_errors():
    """what goes wrong is said in a sentence, with status 1; a wrong call with status 2"""
    done = device("show", "--device-id", "nobody", check=False)
    assert done.returncode == 1 and done.stderr == "rootedge hub device show: there is no device nobody (404 DeviceNotFound)\n", done
    assert device("create", check=False).returncode == 1
    assert device("destroy", check=False).returncode == 2
    done = device("craete", check=False)
    assert done.returncode == 2 and "there is no verb 'craete'; did you mean 'create'?" in done.stderr, done
    assert run("rootedge", "hub", "evnts", check=False).returncode == 2


def test_03_connection_strings():
    """a device's and a policy's connection string work; one of nobody is an error"""
    parts = parse_connection_string(run("rootedge", "hub", "connection-string", "--state", hub.state, "--device", "gw").stdout)
    assert parts["HostName"] == hub.hostname and parts["DeviceId"] == "gw", parts
    hub.mqtt("gw", password=hub.device_token("gw", parts["SharedAccessKey"])).close()
    for args in (("--device", "nobody"), ("--policy", "nobody")):
        done = run("rootedge", "hub", "connection-string", "--state", hub.state, *args, check=False)
        assert done.returncode == 1 and "nobody" in done.stderr, done


def test_04_events():
    """events are printed as a table or as JSON, from an offset, of one device, while the hub runs and after it stopped"""
    keys = {d: hub.create_device(d)["authentication"]["symmetricKey"]["primaryKey"] for d in ("one", "two")}
    for d, k in keys.items():
        with hub.mqtt(d, password=hub.device_token(d, k)) as m:
            m.publish("devices/%s/messages/events/level=high" % d, b"from %s \x1b[31m" % d.encode())
            m.publish("devices/%s/messages/events/" % d, b"\xff\xfe\x00")
    with hub.mqtt("one", password=hub.device_token("one", keys["one"])) as m:
        m.publish("devices/one/messages/events/$.ct=application%2Fjson&$.ce=utf-8", b'{"temperature":22.1, "on":true}')
    for _ in ("while it runs", "after it stopped"):
        events = hub.events()
        assert [e["offset"] for e in events] == [0, 1, 2, 3, 4], events
        assert events[4]["body"] == {"temperature": 22.1, "on": True}, events[4]
        assert events[1]["bodyEncoding"] == "base64" and base64.b64decode(events[1]["body"]) == b"\xff\xfe\x00", events[1]
        assert [e["offset"] for e in hub.events("--from", 3)] == [3, 4]
        assert [e["offset"] for e in hub.events("--device", "two")] == [2, 3]
        table = run("rootedge", "hub", "events", "--state", hub.state).stdout
        assert len(table.splitlines()) == 5 and "from one .[31m  level=high" in table and "\x1b" not in table, table
        assert table.splitlines()[4].endswith('  {"temperature":22.1, "on":true}'), table  # not 22.100000000000001
        hub.stop()
    hub.start()
    done = run("rootedge", "hub", "events", "--state", folder / "nothing", check=False)
    assert done.returncode == 1 and folder / "nothing" in done.stderr, done


def test_05_follow():
    """--follow prints an event as soon as it is acknowledged"""
    key = hub.rest("GET", "/devices/one")[2]["authentication"]["symmetricKey"]["primaryKey"]
    with subprocess.Popen([ROOTEDGE, "hub", "events", "--state", hub.state, "--follow", "--json", "--from", "5"], stdout=subprocess.PIPE, text=True, preexec_fn=parent_death) as tail:
        with hub.mqtt("one", password=hub.device_token("one", key)) as m:
            for i in range(3):
                m.publish("devices/one/messages/events/", b"live %d" % i)
                assert select.select([tail.stdout], [], [], 10 * SLOW)[0], "nothing was printed"
                assert json.loads(tail.stdout.readline())["body"] == "live %d" % i
        tail.kill()


def verb(*args, check=True):
    """`rootedge hub NOUN VERB ...`, with the hub in the environment."""
    text = run("rootedge", "hub", "connection-string", "--state", hub.state).stdout.strip()
    text = text.replace("HostName=" + hub.hostname, "HostName=%s:%d" % (hub.hostname, hub.https_port))
    env = dict(os.environ, ROOTEDGE_HUB=text, ROOTEDGE_CA=pki.root, ROOTEDGE_CONNECT_TO="127.0.0.1")
    done = subprocess.run([ROOTEDGE, "hub", *args, "--json"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 or not check, (args, done.stderr)
    return (json.loads(done.stdout) if done.stdout else None) if check else done


def remote(*args, check=True):
    """`rootedge hub events` over REST."""
    text = run("rootedge", "hub", "connection-string", "--state", hub.state, "--policy", "service").stdout.strip()
    text = text.replace("HostName=" + hub.hostname, "HostName=%s:%d" % (hub.hostname, hub.https_port))
    return ["rootedge", "hub", "events", "--hub", text, "--ca", pki.root, "--connect-to", "127.0.0.1", *map(str, args)]


def offsets(*args):
    return [json.loads(line)["offset"] for line in run(*args).stdout.splitlines()]


def test_06_from_a_running_hub():
    """over REST come the same events as from the folder, to the end of what there is"""
    assert run(*remote("--json")).stdout == run("rootedge", "hub", "events", "--state", hub.state, "--json").stdout
    assert offsets(*remote("--json", "--from", 6)) == [6, 7]
    assert offsets(*remote("--json", "--device", "two")) == [2, 3]
    assert offsets(*remote("--json", "--from", "latest")) == []
    assert offsets(*remote("--json", "--source", "deviceLifecycleEvents")) == []
    assert "from one .[31m  level=high" in run(*remote()).stdout
    e = hub.events()[3]
    same = ["--json", "--partition", e["partition"], "--from", "sequence:%d" % e["sequenceNumber"]]
    got = offsets(*remote(*same))
    assert got[0] == 3 and got == [x["offset"] for x in hub.events(*same[1:])], got
    done = run(*remote("--from", "sequence:99", "--partition", 0), check=False)
    assert done.returncode == 1 and "no sequence number 99" in done.stderr, done
    assert run(*remote("--from", "yesterday"), check=False).returncode == 1
    assert run(*remote("--checkpoint"), check=False).returncode == 2
    assert run("rootedge", "hub", "events", "--state", hub.state, "--from", "yesterday", check=False).returncode == 1


def test_07_groups():
    """a group goes on behind what it printed, from the folder and from the hub alike"""
    folder_way = ["rootedge", "hub", "events", "--state", hub.state]
    group = ["--json", "--consumer-group", "tool", "--checkpoint"]
    assert offsets(*folder_way, *group, "--partition", 0) + offsets(*folder_way, *group, "--partition", 0) == [e["offset"] for e in hub.events() if e["partition"] == 0]
    rest = offsets(*folder_way, *group)
    assert rest == [e["offset"] for e in hub.events() if e["partition"] != 0]
    assert offsets(*folder_way, *group) == []
    key = hub.rest("GET", "/devices/one")[2]["authentication"]["symmetricKey"]["primaryKey"]
    with hub.mqtt("one", password=hub.device_token("one", key)) as m:
        m.publish("devices/one/messages/events/", b"new")
    assert offsets(*remote(*group)) == [8]
    assert offsets(*remote(*group)) == [] and offsets(*folder_way, *group) == []


def test_08_follow_a_hub():
    """--follow over REST survives the hub's restart, and loses and repeats nothing"""
    hub.stop()
    hub.start()
    key = hub.rest("GET", "/devices/one")[2]["authentication"]["symmetricKey"]["primaryKey"]
    args = remote("--json", "--follow", "--from", 9)
    with subprocess.Popen([ROOTEDGE, *args[1:]], stdout=subprocess.PIPE, text=True, preexec_fn=parent_death) as tail:
        for i in range(3):
            with hub.mqtt("one", password=hub.device_token("one", key)) as m:
                m.publish("devices/one/messages/events/", b"live %d" % i)
                m.publish("devices/one/messages/events/", b"again %d" % i)
            assert json.loads(tail.stdout.readline())["body"] == "live %d" % i
            assert json.loads(tail.stdout.readline())["body"] == "again %d" % i
            hub.kill9()
            hub.start()
        tail.kill()


def test_09_environment():
    """events come from the hub that the environment names, and from the folder that was given in spite of it"""
    text = run("rootedge", "hub", "connection-string", "--state", hub.state).stdout.strip().replace("HostName=" + hub.hostname, "HostName=%s:%d" % (hub.hostname, hub.https_port))
    env = dict(os.environ, ROOTEDGE_HUB=text, ROOTEDGE_CA=pki.root, ROOTEDGE_CONNECT_TO="127.0.0.1")
    ask = lambda *args: subprocess.run([ROOTEDGE, "hub", "events", "--json", *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert ask().returncode == 0 and len(ask().stdout.splitlines()) == len(hub.events()), ask()
    assert ask("--state", folder / "nothing").returncode == 1


def test_10_modules():
    """a module gets another credential, by its etag if that is given; nothing to change is an error"""
    device("create", "--device-id", "m")
    made = verb("module", "create", "-d", "m", "-m", "m1")
    assert verb("module", "update", "-d", "m", "-m", "m1", "--auth-method", "x509_ca", "-e", made["etag"])["authentication"]["type"] == "certificateAuthority"
    done = verb("module", "update", "-d", "m", "-m", "m1", "--auth-method", "shared_private_key", "-e", made["etag"], check=False)
    assert done.returncode == 1 and "PreconditionFailed" in done.stderr, done
    assert verb("module", "show", "-d", "m", "-m", "m1")["authentication"]["type"] == "certificateAuthority"
    assert verb("module", "update", "-d", "m", "-m", "m1", check=False).returncode == 1
    assert verb("module", "update", "-d", "m", "-m", "m2", "--auth-method", "x509_ca", check=False).returncode == 1


def test_11_connection_strings_over_rest():
    """a device's connection string over REST is that from the folder, with either key; of a certificate device it says x509=true"""
    strings = [verb("device", "show-connection-string", "-d", "m", "--key-type", t)["connectionString"] for t in ("primary", "secondary")]
    assert strings[0] == run("rootedge", "hub", "connection-string", "--state", hub.state, "--device", "m").stdout.strip() != strings[1], strings
    keys = hub.rest("GET", "/devices/m")[2]["authentication"]["symmetricKey"]
    assert [parse_connection_string(s)["SharedAccessKey"] for s in strings] == [keys["primaryKey"], keys["secondaryKey"]]
    assert verb("device", "show-connection-string", "-d", "m", "-m", "m1")["connectionString"] == "HostName=%s;DeviceId=m;ModuleId=m1;x509=true" % hub.hostname
    assert verb("device", "show-connection-string", "-d", "nobody", check=False).returncode == 1
    assert verb("device", "show-connection-string", "-d", "m", "--key-type", "third", check=False).returncode == 1


def test_12_configurations():
    """a configuration is made, applied, changed, measured and deleted; its update leaves what was not given"""
    for i in (1, 2):
        device("create", "--device-id", "floor%d" % i)
        verb("twin", "update", "-d", "floor%d" % i, "--tags", '{"floor": %d}' % i)
    content = folder / "content.json"
    with open(content, "w") as f:
        json.dump({"content": {"deviceContent": {"properties.desired.rate": 7}}}, f)
    made = verb("configuration", "create", "-c", "c1", "-k", "@" + content, "--target-condition", "tags.floor = 2", "--priority", "3", "-m",
                '{"all": "SELECT deviceId FROM devices"}', "--labels", '{"a": "b"}')
    assert (made["priority"], made["labels"], made["content"]["deviceContent"]) == (3, {"a": "b"}, {"properties.desired.rate": 7}), made
    wait_for(lambda: verb("configuration", "show", "-c", "c1")["systemMetrics"]["results"]["appliedCount"] == 1, "it to be applied")
    assert verb("twin", "show", "-d", "floor2")["properties"]["desired"]["rate"] == 7
    metric = verb("configuration", "show-metric", "-c", "c1", "-m", "all")
    assert {"floor1", "floor2"} <= {row["deviceId"] for row in metric["result"]}, metric
    assert [row["deviceId"] for row in verb("configuration", "show-metric", "-c", "c1", "-m", "appliedCount", "--metric-type", "system")["result"]] == ["floor2"]
    changed = verb("configuration", "update", "-c", "c1", "--priority", "0")
    assert (changed["priority"], changed["targetCondition"], changed["labels"], changed["metrics"]["queries"]) == (0, "tags.floor = 2", {"a": "b"}, made["metrics"]["queries"])
    assert [c["id"] for c in verb("configuration", "list")] == ["c1"]
    for wrong in (("show-metric", "-c", "c1", "-m", "none"), ("show-metric", "-c", "c1", "-m", "all", "--metric-type", "x"), ("update", "-c", "c1", "--priority", "-1"),
                  ("update", "-c", "c1", "--priority", "5", "-e", made["etag"]), ("delete", "-c", "c1", "-e", made["etag"]), ("create", "-c", "c2", "-k", "{"),
                  ("create", "-c", "c2"), ("show",), ("show", "-c", "c2")):
        done = verb("configuration", *wrong, check=False)
        assert done.returncode == 1 and done.stderr.startswith("rootedge hub configuration " + wrong[0]), (wrong, done)
    verb("configuration", "delete", "-c", "c1")
    assert verb("configuration", "list") == []


def test_13_jobs():
    """a job changes twins, another is cancelled, and lists are by type and state"""
    verb("job", "create", "--job-id", "j1", "--job-type", "scheduleUpdateTwin", "-q", "tags.floor = 1", "--twin-patch", '{"tags": {"done": true}}')
    wait_for(lambda: verb("job", "show", "--job-id", "j1")["status"] == "completed", "the job")
    assert verb("twin", "show", "-d", "floor1")["tags"] == {"floor": 1, "done": True}
    made = verb("job", "create", "--job-id", "j2", "--job-type", "scheduleDeviceMethod", "-q", "*", "--method-name", "reboot", "--method-payload", '{"in": 5}', "--ttl", "60",
                "--start-time", "2099-01-01T00:00:00Z")
    assert made["cloudToDeviceMethod"]["payload"] == {"in": 5} and made["maxExecutionTimeInSeconds"] == 60, made
    assert verb("job", "cancel", "--job-id", "j2")["status"] == "cancelled"
    assert {j["jobId"] for j in verb("job", "list")} == {"j1", "j2"} and len(verb("job", "list", "--top", "1")) == 1
    assert [j["jobId"] for j in verb("job", "list", "--job-status", "cancelled")] == [j["jobId"] for j in verb("job", "list", "--job-type", "scheduleDeviceMethod")] == ["j2"]
    assert verb("job", "list", "--job-status", "a b&jobStatus=cancelled") == []
    for wrong in (("create", "--job-id", "j3", "--job-type", "nonsense", "-q", "*"), ("create", "--job-id", "j3", "--job-type", "scheduleUpdateTwin", "-q", "*"),
                  ("create", "--job-id", "j3", "--job-type", "scheduleDeviceMethod", "-q", "*"), ("show", "--job-id", "j3"), ("cancel", "--job-id", "j2"), ("cancel",)):
        done = verb("job", *wrong, check=False)
        assert done.returncode == 1 and done.stderr.startswith("rootedge hub job " + wrong[0]), (wrong, done)


def test_14_files():
    """file notifications are shown and taken: the second time there are none"""
    key = hub.rest("GET", "/devices/one")[2]["authentication"]["symmetricKey"]["primaryKey"]
    token = {"Authorization": hub.device_token("one", key)}
    status, _, place = https(hub.https_port, "POST", "/devices/one/files?api-version=2021-04-12", {"blobName": "log.txt"}, token, ca=pki.root)
    assert status == 200, place
    status, _, _ = https(hub.https_port, "PUT", "/%s/%s%s" % (place["containerName"], urllib.parse.quote(place["blobName"]), place["sasToken"]), b"hello", {"x-ms-blob-type": "BlockBlob"}, ca=pki.root)
    assert status == 201, status
    done = {"correlationId": place["correlationId"], "isSuccess": True, "statusCode": 200, "statusDescription": ""}
    status, _, answer = https(hub.https_port, "POST", "/devices/one/files/notifications?api-version=2021-04-12", done, token, ca=pki.root)
    assert status == 204, answer
    taken = verb("file", "notifications")
    assert [(n["deviceId"], n["blobSizeInBytes"]) for n in taken] == [("one", 5)], taken
    assert verb("file", "notifications") == []


def test_15_why():
    """why says what a known device was last refused for, as a verdict; nothing of one that was not, and 404 of a stranger"""
    key = hub.create_device("late")["authentication"]["symmetricKey"]["primaryKey"]
    assert verb("device", "why", "-d", "late")["verdict"] is None
    try:
        hub.mqtt("late", password=hub.device_token("late", new_key()))
        raise AssertionError("was let in")
    except Refused as e:
        assert e.code == 5, e.code
    answer = verb("device", "why", "-d", "late")
    assert [c["reason"] for c in answer["verdict"]["checks"] if not c["passed"]] == ["SAS_BAD_SIGNATURE"] and answer["refusedTime"], answer
    env = dict(os.environ, ROOTEDGE_HUB=run("rootedge", "hub", "connection-string", "--state", hub.state).stdout.strip().replace("HostName=" + hub.hostname, "HostName=%s:%d" % (hub.hostname, hub.https_port)),
               ROOTEDGE_CA=pki.root, ROOTEDGE_CONNECT_TO="127.0.0.1")
    page = subprocess.run([ROOTEDGE, "hub", "device", "why", "-d", "late"], env=env, stdout=subprocess.PIPE, text=True).stdout
    assert "SAS_BAD_SIGNATURE" in page and key not in page, page
    done = verb("device", "why", "-d", "nobody", check=False)
    assert done.returncode == 1 and "DeviceNotFound" in done.stderr, done
    assert verb("device", "why", "-d", "m", "-m", "m1")["verdict"] is None
    assert hub.rest("GET", "/devices/late/why", policy="device")[0] == 401
    device("delete", "--device-id", "late")
    device("create", "--device-id", "late")
    assert verb("device", "why", "-d", "late")["verdict"] is None


def test_99_stop():
    """the hub stops in order"""
    code = hub.stop()
    assert code == 0, code
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
