#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Devices that register again move to another hub, with their data or without, and back; they stay where their enrollment says so; and no kill leaves one that is nowhere."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_provisioning import *

site = None
FIRST = {"tags": {"line": 1}, "properties": {"desired": {"rate": 5}}}
RESET = {"updateHubAssignment": True, "migrateDeviceData": False}
NEVER = {"updateHubAssignment": False, "migrateDeviceData": False}


def settled(registration, substatus=None):
    wait_for(lambda: site.shown(registration)["status"] == "assigned", registration, 40)
    if substatus:
        assert site.shown(registration)["substatus"] == substatus, site.shown(registration)


def lives(device, key, hub):
    """It connects there, reports, and its back end changes what it has."""
    client = Mqtt(hub.mqtt_port, ca=site.pki.root, client_id=device, user=username(hub.hostname, device), password=sas("%s/devices/%s" % (hub.hostname, device), key))
    client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", json.dumps({"firmware": "2.1"}).encode(), qos=0)
    wait_for(lambda: hub.rest("GET", "/twins/" + device)[2]["properties"]["reported"].get("firmware") == "2.1", "what it reports")
    client.close()
    hub.rest("PATCH", "/twins/" + device, {"tags": {"line": 2, "place": "hall"}, "properties": {"desired": {"rate": 7}}})


def data(hub, device):
    twin = hub.rest("GET", "/twins/" + device)[2]
    values = lambda section: {k: v for k, v in section.items() if not k.startswith("$")}
    return twin["tags"], values(twin["properties"]["desired"]), values(twin["properties"]["reported"])


def test_00_start():
    """two hubs start, one of them with provisioning"""
    global site
    site = Site(gate=True)


def test_01_same_hub():
    """who registers again and belongs to the same hub keeps all, whatever the policy says of data"""
    for policy in None, RESET, NEVER:
        site.enroll("still", iotHubs=[HOME], initialTwin=FIRST, **({"reprovisionPolicy": policy} if policy else {}))
        assert site.register("still")["substatus"] == "initialAssignment"
        assert data(site.hub, "still")[0] == ({"line": 1} if policy is None else {"line": 9})
        site.hub.rest("PATCH", "/twins/still", {"tags": {"line": 9}})
    generation = site.hub.rest("GET", "/devices/still")[2]["generationId"]
    assert site.register("still")["assignedHub"] == HOME and site.hub.rest("GET", "/devices/still")[2]["generationId"] == generation


def test_02_migrate():
    """with migrateDeviceData, which is the default, it moves with tags, desired and reported properties, and back again, and is out of the hub that it left"""
    site.enroll("mover", iotHubs=[HOME], initialTwin=FIRST, capabilities={"iotEdge": True})
    assert site.register("mover")["substatus"] == "initialAssignment"
    lives("mover", site.group, site.hub)
    for host in site.far, HOME:
        site.enroll("mover", iotHubs=[host], initialTwin=FIRST, capabilities={"iotEdge": True})
        state = site.register("mover")
        assert (state["assignedHub"], state["substatus"]) == (host, "deviceDataMigrated"), state
        site.is_only_in("mover", host)
        assert data(site.hubs()[host], "mover") == ({"line": 2, "place": "hall"}, {"rate": 7}, {"firmware": "2.1"}), data(site.hubs()[host], "mover")
        record = site.hubs()[host].rest("GET", "/devices/mover")[2]
        assert record["capabilities"]["iotEdge"] is True and record["authentication"]["symmetricKey"]["primaryKey"] == site.group, record
        lives("mover", site.group, site.hubs()[host])


def test_03_reset():
    """without, it begins in the other hub with what its enrollment says"""
    site.enroll("reset", iotHubs=[HOME], initialTwin=FIRST)
    site.register("reset")
    lives("reset", site.group, site.hub)
    for host in site.far, HOME:
        site.enroll("reset", iotHubs=[host], initialTwin=FIRST, reprovisionPolicy=RESET)
        state = site.register("reset")
        assert (state["assignedHub"], state["substatus"]) == (host, "deviceDataReset"), state
        site.is_only_in("reset", host)
        assert data(site.hubs()[host], "reset") == ({"line": 1}, {"rate": 5}, {}), data(site.hubs()[host], "reset")
        lives("reset", site.group, site.hubs()[host])


def test_04_never():
    """with updateHubAssignment false it stays as long as it is there, in either hub, and goes where its enrollment says once it is not"""
    for n, (now, then) in enumerate(((HOME, site.far), (site.far, HOME))):
        name = "never-%d" % n
        site.enroll(name, iotHubs=[now], reprovisionPolicy=NEVER)
        site.register(name)
        site.enroll(name, iotHubs=[then], reprovisionPolicy=NEVER)
        state = site.register(name)
        assert (state["assignedHub"], state["substatus"]) == (now, "initialAssignment"), state
        assert site.hubs()[now].rest("DELETE", "/devices/" + name, headers={"If-Match": "*"})[0] == 204
        assert site.register(name)["assignedHub"] == then
        site.is_only_in(name, then)


def test_05_gone():
    """one that was deleted in its hub by hand is made again where it belongs, with what its enrollment says"""
    for name, hosts in ("gone", [HOME, HOME]), ("gone-far", [HOME, site.far]):
        site.enroll(name, iotHubs=hosts[:1], initialTwin=FIRST)
        site.register(name)
        site.hub.rest("DELETE", "/devices/" + name, headers={"If-Match": "*"})
        site.enroll(name, iotHubs=hosts[1:], initialTwin=FIRST)
        state = site.register(name)
        assert (state["assignedHub"], state["substatus"]) == (hosts[1], "initialAssignment" if hosts[1] == HOME else "deviceDataReset"), state
        assert data(site.hubs()[hosts[1]], name)[0] == {"line": 1}


def test_06_known_to_the_hub():
    """a device that the hub has already and that trusts what the enrollment says is told as re-provisioned, in either hub"""
    for n, (host, hub) in enumerate(site.hubs().items()):
        name = "known-%d" % n
        hub.create_device(name, {"type": "sas", "symmetricKey": {"primaryKey": site.group, "secondaryKey": site.group}})
        site.enroll(name, iotHubs=[host])
        assert site.register(name)["substatus"] == "reprovisionedToInitialAssignment"


def test_07_disabled():
    """a device that an operator has disabled in its hub stays disabled wherever it moves"""
    for policy in {}, {"reprovisionPolicy": RESET}:
        name = "off-%d" % len(policy)
        site.enroll(name, iotHubs=[HOME], **policy)
        site.register(name)
        record = site.hub.rest("GET", "/devices/" + name)[2]
        assert site.hub.rest("PUT", "/devices/" + name, dict(record, status="disabled", statusReason="stolen"), {"If-Match": "*"})[0] == 200
        site.enroll(name, iotHubs=[site.far], **policy)
        assert site.register(name)["assignedHub"] == site.far
        record = site.other.rest("GET", "/devices/" + name)[2]
        assert record["status"] == "disabled" and record["statusReason"] == "stolen", record


def test_08_somebody_elses():
    """where the other hub has a device of that name that was not provisioned here, the move fails, and the device stays where it is and as it is"""
    for n, (here, there) in enumerate(((HOME, site.far), (site.far, HOME))):
        name = "taken-%d" % n
        site.enroll(name, iotHubs=[here])
        site.register(name)
        mine = site.hubs()[there].create_device(name)
        site.enroll(name, iotHubs=[there])
        if there == HOME:
            status, _, answer = site.ask("PUT", site.path(name) + "/register", {}, site.headers(name))
            state = site.register(name) if status == 202 else answer
        else:
            state = site.register(name)
        assert state["errorCode"] == 409203, state
        assert site.hubs()[there].rest("GET", "/devices/" + name)[2]["authentication"] == mine["authentication"]
        assert site.hubs()[here].rest("GET", "/devices/" + name)[0] == 200
        site.enroll(name, iotHubs=[here])
        assert site.register(name)["assignedHub"] == here


def test_09_old_hub_away():
    """while the hub that it leaves is away it stays there and is being assigned; once it is back the move ends without another question of the device"""
    site.enroll("waits", iotHubs=[site.far], initialTwin=FIRST)
    site.register("waits")
    lives("waits", site.group, site.other)
    site.gate.hold(0, False)
    site.enroll("waits", iotHubs=[HOME], initialTwin=FIRST)
    operation = site.begin("waits")
    assert site.poll(operation, "waits") is None and site.hub.rest("GET", "/devices/waits")[0] == 404
    site.gate.open()
    settled("waits", "deviceDataMigrated")
    site.is_only_in("waits", HOME)
    assert data(site.hub, "waits")[1:] == ({"rate": 7}, {"firmware": "2.1"})


def test_09_b_again():
    """who registers again while the hub that it left is away, and so has it still, keeps its hub and its data"""
    site.enroll("twice", iotHubs=[site.far], initialTwin=FIRST)
    site.register("twice")
    lives("twice", site.group, site.other)
    site.gate.hold(2, False)
    site.enroll("twice", iotHubs=[HOME], initialTwin=FIRST)
    for _ in range(2):
        state = site.register("twice")
        assert (state["assignedHub"], state["substatus"]) == (HOME, "deviceDataMigrated"), state
        assert data(site.hub, "twice") == ({"line": 2, "place": "hall"}, {"rate": 7}, {"firmware": "2.1"}), data(site.hub, "twice")
    assert site.where("twice") == [HOME, site.far]
    site.gate.open()
    site.is_only_in("twice", HOME)


def test_10_kill():
    """kill -9 before and after each call of a move, in both directions: at no moment it is nowhere, and after the next start the move ends by itself, with all data"""
    for here, there, calls in (HOME, site.far, 2), (site.far, HOME, 3):
        for n in range(calls):
            for answer in False, True:
                name = "killed-%s-%d-%d" % ("to" if there == site.far else "from", n, answer)
                site.enroll(name, iotHubs=[here], initialTwin=FIRST)
                site.register(name)
                lives(name, site.group, site.hubs()[here])
                site.enroll(name, iotHubs=[there], initialTwin=FIRST)
                site.gate.hold(n, answer)
                site.begin(name)
                assert site.gate.hit.wait(20), name
                site.hub.kill9()
                site.start()
                assert site.where(name), "%s is nowhere" % name
                site.gate.open()
                settled(name, "deviceDataMigrated")
                site.is_only_in(name, there)
                assert data(site.hubs()[there], name) == ({"line": 2, "place": "hall"}, {"rate": 7}, {"firmware": "2.1"}), (name, data(site.hubs()[there], name))


def test_11_stuck():
    """what is being assigned is gone on with by a timer, over a restart too, and what a removed enrollment has left fails"""
    site.gate.hold(0, False)
    for name in "stuck", "orphan":
        site.enroll(name, iotHubs=[site.far])
        site.begin(name)
    site.hub.kill9()
    site.start()
    assert site.service("DELETE", "/enrollments/orphan")[0] == 204
    site.gate.open()
    settled("stuck", "initialAssignment")
    site.is_only_in("stuck", site.far)
    wait_for(lambda: site.shown("orphan")["status"] == "failed", "the orphan", 30)
    assert site.shown("orphan")["errorCode"] == 404201 and not site.where("orphan"), site.shown("orphan")


def test_12_one_is_slow():
    """a linked hub that does not answer keeps nobody waiting who is for another one"""
    site.gate.hold(0, False)
    for i in range(12):
        site.enroll("slow-%d" % i, iotHubs=[site.far])
        site.begin("slow-%d" % i)
    site.enroll("quick", iotHubs=[HOME])
    assert site.register("quick")["assignedHub"] == HOME
    site.gate.open()
    for i in range(12):
        settled("slow-%d" % i)


def test_13_unlinked():
    """a registration whose hub is linked no longer is told so when it is to move, and stays"""
    site.enroll("left", iotHubs=[site.far])
    site.register("left")
    site.enroll("left", iotHubs=[HOME])
    assert site.service("DELETE", "/linkedHubs/" + site.far)[0] == 204
    status, _, answer = site.ask("PUT", site.path("left") + "/register", {}, site.headers("left"))
    assert status == 409 and answer["errorCode"] == 409203, answer
    assert site.other.rest("GET", "/devices/left")[0] == 200 and site.hub.rest("GET", "/devices/left")[0] == 404
    site.link()
    assert site.register("left")["substatus"] == "deviceDataMigrated"


def test_14_renamed():
    """when our hub gets another name its devices have not moved"""
    site.enroll("named", initialTwin=FIRST, allocationPolicy="static", reprovisionPolicy=RESET)
    assert site.register("named")["assignedHub"] == HOME
    site.hub.rest("PATCH", "/twins/named", {"tags": {"line": 9}})
    site.hub.stop()
    site.start("renamed.local")
    state = site.register("named")
    assert (state["assignedHub"], state["substatus"]) == ("renamed.local", "initialAssignment"), state
    assert data(site.hub, "named")[0] == {"line": 9}


def test_15_end():
    """both stop in order, and no key is in the log"""
    assert site.group not in site.hub.log_text() and "sig=" not in site.hub.log_text()
    site.stop()


if __name__ == "__main__":
    run_all(globals())
