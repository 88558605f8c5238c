#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scheduled jobs over REST (hub 4.5): twins changed and methods called on all devices of a condition, from a time on, what became of each, cancelled ones, and jobs that go on
after kill -9."""
import datetime, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = None


def rest(method, path, body=None, status=200, **headers):
    got, head, answer = hub.rest(method, path, body, {k.replace("_", "-"): str(v) for k, v in headers.items()})
    assert got == status, (method, path, got, answer)
    return head, answer


def at(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def update(id, condition, tags, start=None, status=200, **more):
    return rest("PUT", "/jobs/v2/" + id, dict({"jobId": id, "type": "scheduleUpdateTwin", "updateTwin": {"etag": "*", "tags": tags}, "queryCondition": condition,
                                               "startTime": start, "maxExecutionTimeInSeconds": 60}, **more), status=status)[1]


def ended(id, status="completed"):
    job = wait_for(lambda: (lambda j: j if j["endTime"] else None)(rest("GET", "/jobs/v2/" + id)[1]), "the job %s to end" % id)
    assert job["status"] == status, job
    return job


def outcomes(id):
    return {row["deviceId"]: row for row in rest("POST", "/devices/query", {"query": "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '%s'" % id})[1]}


def test_00_start():
    """a hub starts with a few devices"""
    global hub, folder, pki
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    for id in ("dev1", "dev2", "dev3"):
        hub.create_device(id)


def test_01_twins():
    """a job changes the twins of its condition, tells what became of each, and its name is taken"""
    made = update("j1", "deviceId IN ['dev1', 'dev2']", {"n": 1})
    assert made["jobId"] == "j1" and made["status"] in ("scheduled", "running"), made
    job = ended("j1")
    assert job["deviceJobStatistics"] == {"deviceCount": 2, "succeededCount": 2, "failedCount": 0, "runningCount": 0, "pendingCount": 0}, job
    assert [rest("GET", "/twins/" + d)[1]["tags"] for d in ("dev1", "dev2", "dev3")] == [{"n": 1}, {"n": 1}, {}]
    assert {d: (row["status"], row["jobType"]) for d, row in outcomes("j1").items()} == {d: ("completed", "scheduleUpdateTwin") for d in ("dev1", "dev2")}
    assert update("j1", "*", {"n": 2}, status=409)["errorCode"] == 409104
    assert update("j2", "tags.n = 1", {"x" * 2000: 1})["jobId"] == "j2"
    assert ended("j2")["deviceJobStatistics"]["failedCount"] == 2 and "description" in outcomes("j2")["dev1"]["error"]


def test_02_methods():
    """a job calls a method on each device: who is connected answers, who is not has failed"""
    key = hub.rest("GET", "/devices/dev1")[2]["authentication"]["symmetricKey"]["primaryKey"]
    with hub.mqtt("dev1", password=hub.device_token("dev1", key)) as device:
        device.send(subscribe_packet([("$iothub/methods/POST/#", 0)]))
        assert device.receive()[0] == 0x90
        rest("PUT", "/jobs/v2/m1", {"jobId": "m1", "type": "scheduleDeviceMethod", "queryCondition": "deviceId IN ['dev1', 'dev2']", "maxExecutionTimeInSeconds": 60,
                                    "cloudToDeviceMethod": {"methodName": "reboot", "payload": {"in": 5}, "responseTimeoutInSeconds": 20}})
        kind, packet = device.receive()
        topic = packet[2:2 + int.from_bytes(packet[:2], "big")].decode()
        assert topic.startswith("$iothub/methods/POST/reboot/?$rid=") and json.loads(packet[2 + len(topic):]) == {"in": 5}
        device.publish("$iothub/methods/res/200/?$rid=" + topic.split("=")[1], b'{"done":true}', qos=0)
        job = ended("m1")
    assert job["deviceJobStatistics"]["succeededCount"] == 1 and job["deviceJobStatistics"]["failedCount"] == 1
    found = outcomes("m1")
    assert found["dev1"]["outcome"] == {"deviceMethodResponse": {"status": 200, "payload": {"done": True}}} and "not connected" in found["dev2"]["error"]["description"]


def test_03_later():
    """a job waits for its time, can be cancelled before and not after, and is listed by type and status, page by page"""
    update("later", "*", {"n": 9}, start=at(3600))
    assert rest("GET", "/jobs/v2/later")[1]["status"] == "scheduled"
    head, page = rest("GET", "/jobs/v2/query?jobType=scheduleUpdateTwin", x_ms_max_item_count=2)
    assert [j["jobId"] for j in page] == ["j1", "j2"] and head["x-ms-item-type"] == "JobResponse"
    head, page = rest("GET", "/jobs/v2/query?jobType=scheduleUpdateTwin", x_ms_max_item_count=2, x_ms_continuation=head["x-ms-continuation"])
    assert [j["jobId"] for j in page] == ["later"] and head["x-ms-continuation"] is None
    assert [j["jobId"] for j in rest("GET", "/jobs/v2/query?jobStatus=scheduled")[1]] == ["later"]
    assert rest("POST", "/jobs/v2/later/cancel")[1]["status"] == "cancelled"
    assert rest("POST", "/jobs/v2/later/cancel", status=405)[1]["errorCode"] == 405102
    rest("GET", "/jobs/v2/query", status=400, x_ms_continuation="x")


def test_04_kill():
    """a job that was acknowledged is done, also when the hub is killed at once; one that outlives its time ends as failed"""
    update("k1", "*", {"killed": True})
    update("k2", "*", {"late": True}, start="2020-01-01T00:00:00Z")
    hub.process.kill()
    hub.process.wait()
    hub.start()
    assert ended("k1")["deviceJobStatistics"]["succeededCount"] == 3
    assert all(rest("GET", "/twins/" + d)[1]["tags"]["killed"] for d in ("dev1", "dev2", "dev3"))
    assert ended("k2", "failed")["failureReason"]


def test_05_refused():
    """what is no job is refused, and so are jobs that this hub does not know"""
    good = {"type": "scheduleUpdateTwin", "updateTwin": {"tags": {}}, "queryCondition": "*"}
    for extra in ({"type": "dance"}, {"type": None}, {"queryCondition": "a = = 1"}, {"queryCondition": None}, {"updateTwin": None}, {"updateTwin": 1}, {"startTime": "soon"},
                  {"maxExecutionTimeInSeconds": 0}, {"maxExecutionTimeInSeconds": "1"}, {"jobId": "other"}, {"type": "scheduleDeviceMethod"},
                  {"type": "scheduleDeviceMethod", "cloudToDeviceMethod": {"methodName": ""}},
                  {"type": "scheduleDeviceMethod", "cloudToDeviceMethod": {"methodName": "m", "responseTimeoutInSeconds": 1}}):
        assert rest("PUT", "/jobs/v2/bad", dict(good, **extra), status=400)[1]["errorCode"] == 400004, extra
    assert rest("GET", "/jobs/v2/bad", status=404)[1]["errorCode"] == 404002
    assert rest("POST", "/jobs/create", {"type": "export"}, status=404)[1]["errorCode"] == 404013
    assert rest("POST", "/devices/query", {"query": "SELECT jobId FROM devices.jobs"}, status=400)[1]["errorCode"] == 400004


if __name__ == "__main__":
    run_all(globals())
