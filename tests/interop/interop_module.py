#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unmodified ModuleClient.fromEnvironment of azure-iot-device is a module of an edge device, known by the program that it runs (interop.py says how the names and ports come about)."""
import os, shutil, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from interop import GATEWAY, HUB, Story, enter_namespaces
from rootedge_test import *

story = None


def environment(module, socket_path, gateway=None):
    """What IoT Edge tells a module (edge-services 2.5)."""
    return dict({"IOTEDGE_WORKLOADURI": "unix://" + socket_path, "IOTEDGE_AUTHSCHEME": "sasToken", "IOTEDGE_APIVERSION": "2022-08-03", "IOTEDGE_DEVICEID": "EdgeGateway", "IOTEDGE_MODULEID": module,
                 "IOTEDGE_IOTHUBHOSTNAME": HUB, "IOTEDGE_MODULEGENERATIONID": story.rest("GET", "/devices/EdgeGateway/modules/" + module)[2]["generationId"], "HUB_LOG": story.hub.log_path,
                 "CONNECTION_STRING": story.connection_string}, **({"IOTEDGE_GATEWAYHOSTNAME": gateway} if gateway else {}))


def events(module):
    out = run("rootedge", "hub", "events", "--state", story.folder / "hub", "--json", "--device", "EdgeGateway").stdout
    return [e for e in map(json.loads, out.splitlines()) if e["annotations"].get("iothub-connection-module-id") == module]


def arrived(module, n):
    """The first ten of them are at the hub, exactly as they were sent."""
    all = wait_for(lambda: (lambda e: e if len(e) >= n else None)(events(module)), "%d events of %s" % (n, module), 30)
    assert len(all) == n, all
    for i, event in enumerate(all[:10]):
        assert event["body"] == {"n": i, "text": 'grüße & "quotes"'} and event["properties"] == {"n": str(i), "weird key&=%": "value/with+all #?&=% ü", "empty": ""}, event
    return all


def test_1_hub():
    """straight to the hub by a token that edged signs on the socket of all modules: events, an output, twin and direct methods, also with the next token"""
    global story
    story = Story()
    node = os.path.realpath(shutil.which("node"))
    story.start_edge('[modules.sensor]\nexecutable = "%s"\n[modules.forward]\nexecutable = "%s"\n[modules.other]\nexecutable = "/usr/bin/true"\n' % (node, node))
    assert story.node("module.js", **environment("sensor", story.edge.ready["workload"])) == {"opened": 2}
    last = arrived("sensor", 11)[-1]
    assert last["systemProperties"]["iothub-outputname"] == "out1" and last["body"] == "from an output", last
    assert story.rest("GET", "/twins/EdgeGateway/modules/sensor")[2]["properties"]["reported"]["round"] == 2


def test_2_gateway():
    """through the gateway, which knows the modules of its own device, on the module's own socket: events, and invokeMethod of a device below the gateway and of a module"""
    scope = story.rest("GET", "/devices/EdgeGateway")[2]["deviceScope"]
    leaf = story.rest("PUT", "/devices/leaf", {"deviceId": "leaf", "deviceScope": scope})[2]
    story.node("module.js", LEAF="leaf", LEAF_KEY=leaf["authentication"]["symmetricKey"]["primaryKey"], **environment("forward", os.path.join(story.edge.ready["mnt"], "forward.sock"), GATEWAY))
    arrived("forward", 10)


def test_3_refused():
    """the same program gets no token for a module that is another program"""
    assert story.node("module.js", EXPECT="refused", **environment("other", story.edge.ready["workload"])) == {"refused": True}
    assert "module other, process" in story.edge.log_text() and not events("other")


def test_4_routes():
    """outputs and inputs of two modules by the routes in the twin of $edgeHub: a filter between a device and the hub, messages for a module that is away, urgent ones first"""
    to_filter = 'INTO BrokeredEndpoint("/modules/forward/inputs/%s")'
    routes = {"warm": "FROM /messages/events WHERE $body.temperature > 30 " + to_filter % "warm", "alarms": {"route": "FROM /messages/modules/forward/outputs/alarms INTO $upstream", "priority": 0, "timeToLiveSecs": 86400},
              "readings": {"route": "FROM /messages/modules/sensor/outputs/readings " + to_filter % "readings", "priority": 5},
              "urgent": {"route": "FROM /messages/modules/sensor/outputs/readings WHERE urgent = 'yes' " + to_filter % "readings", "priority": 0}}
    hub = "/twins/EdgeGateway/modules/$edgeHub"
    desired = {"schemaVersion": "1.1", "routes": routes, "storeAndForwardConfiguration": {"timeToLiveSecs": 7200}}
    version = story.rest("PATCH", hub, {"properties": {"desired": desired}}, {"If-Match": "*"})[2]["properties"]["desired"]["$version"]
    status = wait_for(lambda: (lambda r: r if r.get("lastDesiredVersion") == version else None)(story.rest("GET", hub)[2]["properties"]["reported"]), "the routes to be taken", 30)
    assert status["lastDesiredStatus"]["code"] == 200, status
    mnt = story.edge.ready["mnt"]
    modules = {m: environment(m, os.path.join(mnt, m + ".sock"), GATEWAY) for m in ("sensor", "forward")}
    key = story.rest("GET", "/devices/leaf")[2]["authentication"]["symmetricKey"]["primaryKey"]
    before = len(events("sensor"))
    got = story.node("routes.js", MODULES=json.dumps(modules), LEAF="leaf", LEAF_KEY=key)
    assert [(m["input"], m["body"], m["properties"].get("unit"), m["type"]) for m in got["first"]] == [("warm", {"temperature": t}, "°C", "application/json") for t in (31, 32, 33)], got
    assert [(m["input"], m["properties"]["urgent"], m["body"]["n"]) for m in got["second"]] == [("readings", u, n) for u in ("yes", "no") for n in range(4)], got
    alarms = wait_for(lambda: (lambda e: e if len(e) >= 3 else None)([e for e in events("forward") if e["systemProperties"].get("iothub-outputname") == "alarms"]), "the alarms", 30)
    assert [e["body"] for e in alarms] == [{"alarm": t} for t in (31, 32, 33)] and all(e["properties"] == {"of": "leaf"} for e in alarms), alarms
    assert len(events("sensor")) == before and not story.events_of("leaf"), "more went to the hub than was to go there"


def test_99_end():
    """everything stops in order"""
    assert story.edge.stop() == 0
    story.hub.stop()
    story.folder.__exit__()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "inside":
        sys.argv.pop(1)
        run_all(globals())
    enter_namespaces(os.path.abspath(__file__))
