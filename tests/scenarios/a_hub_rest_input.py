#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every operation of the service API with bad input (hub 4.3, 4.7).  The operations are read from the tables of routes, so that a new one is tried without being named here.
Whatever is sent: an answer in the form of 4.7 with a status below 500, nothing half-written, and the hub goes on."""
import glob, os, re, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = token = None
VERSION = "?api-version=2021-04-12"


def routes():
    """(method, path with * for an id, who) of every row of every table."""
    found = []
    for path in sorted(glob.glob(os.path.join(ROOT, "svc", "hub", "rest", "rest_*.c"))):
        with open(path) as f:
            found += re.findall(r'^\t\{ "([A-Z]+)", "([^"]+)", (REST_\w+)', f.read(), re.M)
    assert len(found) >= 60, found
    return found


def concrete(pattern, ids):
    ids = iter(ids + ids[-1:] * 3)
    return "/" + "/".join(next(ids) if word == "*" else word for word in pattern.split("/"))


def send(method, path, body=None, **headers):
    headers.setdefault("Authorization", token)
    headers.setdefault("Content-Type", "application/json")
    return https(hub.https_port, method, path, body, {k.replace("_", "-"): v for k, v in headers.items() if v is not None}, ca=pki.root)


def refused(answer, *wanted, said=""):
    status, headers, body = answer
    assert 400 <= status < 500 and (not wanted or status in wanted), (said, status, body)
    assert headers["iothub-errorcode"] and body["Message"].startswith("ErrorCode:" + headers["iothub-errorcode"] + ";"), (said, headers.items(), body)
    assert body["errorCode"] // 1000 == status and body["ExceptionMessage"].startswith("Tracking ID:"), (said, body)


def test_00_start():
    """a hub starts with a gateway, a device and a module"""
    global hub, folder, pki, token
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    hub.create_device("dev1")
    hub.create_device("gw", capabilities={"iotEdge": True})
    assert hub.rest("PUT", "/devices/dev1/modules/mod1", {"deviceId": "dev1", "moduleId": "mod1"})[0] in (200, 201)
    token = sas(hub.hostname, hub.policy(), policy="iothubowner", encode=False)


def registry():
    return hub.rest("GET", "/devices?top=1000")[2], hub.rest("GET", "/devices/dev1/modules")[2]


def test_01_strangers():
    """without a token, with one of another hub, of an unknown policy, or with a wrong signature: 401, before anything else is looked at"""
    key = hub.policy()
    for method, pattern, who in routes():
        path = concrete(pattern, ("dev1", "mod1"))
        for bad in (None, "SharedAccessSignature nonsense", sas("other.hub", key, policy="iothubowner", encode=False), sas(hub.hostname, new_key(), policy="iothubowner", encode=False),
                    sas(hub.hostname, key, policy="nobody", encode=False), sas(hub.hostname, key, policy="iothubowner", encode=False, expires=1000)):
            refused(send(method, path + VERSION, b"{" if method in ("PUT", "POST", "PATCH") else None, Authorization=bad), 401, said=(method, path, bad))


def test_02_version():
    """a missing or strange api-version is 400 InvalidProtocolVersion where one is demanded"""
    for method, pattern, who in routes():
        if who == "REST_SERVICE":
            path = concrete(pattern, ("dev1", "mod1"))
            for query in ("", "?api-version=", "?api-version=1", "?api-version=2021-04-12-beta", "?api-version=20xx-04-12"):
                status, headers, body = answer = send(method, path + query)
                refused(answer, 400, said=(method, path, query))
                assert headers["iothub-errorcode"] == "InvalidProtocolVersion", (method, path, query, body)


def test_03_method():
    """another method than those of a path is 405, another path 404"""
    known = {}
    for method, pattern, who in routes():
        known.setdefault(pattern.lower(), set()).add(method)
    for pattern, methods in known.items():
        path = concrete(pattern, ("dev1", "mod1"))
        for method in {"GET", "PUT", "POST", "DELETE", "PATCH"} - methods:
            overlapping = any(m == method and re.fullmatch(re.escape(p).replace(r"\*", "[^/]+"), path[1:], re.I) for m, p, _ in routes())
            if not overlapping:
                devices = (401,) if method == "GET" and path.endswith("/messages/devicebound") else ()  # who ask for what services send there
                refused(send(method, path + VERSION), 405, *devices, said=(method, path))
        refused(send("GET", path + "/nothing/here/at/all" + VERSION), 404, 405, said=path)


def test_04_bodies():
    """bodies that are no JSON, of another type, too deep, with a key twice, not UTF-8, or with a NUL: 400, and nothing has changed"""
    before = registry()
    bodies = (b"", b"{", b"nonsense", b"[]", b"null", b"1", b'"text"', b'{"a":1,"a":2}', b'{"a":"\xff"}', b'{"a":"\\u0000"}', b"[" * 10000 + b"]" * 10000, b'{"a":' * 200 + b"1" + b"}" * 200,
              b"\xef\xbb\xbf{}", b"{}{}", b"\x00")
    for method, pattern, who in routes():
        if method not in ("PUT", "POST", "PATCH"):
            continue
        for body in bodies:
            path = concrete(pattern, ("fresh1", "fresh2"))
            status = send(method, path + VERSION, body, If_Match=None)
            assert status[0] < 500, (method, path, body, status)
    assert registry() == before, registry()


KEYS = ("deviceId", "moduleId", "status", "statusReason", "authentication", "capabilities", "deviceScope", "parentScopes", "tags", "properties", "etag", "methodName", "payload",
        "responseTimeoutInSeconds", "connectTimeoutInSeconds", "query", "id", "content", "targetCondition", "priority", "labels", "metrics", "type", "jobId", "policyKey", "devices", "certificate",
        "modulesContent", "startTime", "updateTwin", "cloudToDeviceMethod", "queryCondition", "maxExecutionTimeInSeconds", "thumbprint", "consumerGroup", "partition")
VALUES = (None, True, -1, 1e300, "", "x" * 5000, [], {}, [[]], {"": {}}, [None], {"type": 5}, {"symmetricKey": []}, {"x509Thumbprint": "no"}, {"desired": 7}, {"iotEdge": "yes"})


def test_05_types():
    """each member that any operation knows, with each wrong type: refused or taken, never a failure of the hub, and each answer is JSON"""
    for method, pattern, who in routes():
        if method not in ("PUT", "POST", "PATCH") or who != "REST_SERVICE":
            continue
        path = concrete(pattern, ("typed", "typed"))
        for key in KEYS:
            for value in VALUES:
                status, headers, body = send(method, path + VERSION, json.dumps({key: value}).encode(), If_Match="*")
                assert status < 500, (method, path, key, value, status, body)
                assert not body or isinstance(body, (dict, list)), (method, path, key, value, status, body)


def test_06_paths():
    """ids that no id can be, tricks with dots, slashes, NUL and encodings: never taken, never a failure"""
    bad = ("%00", "a%00b", "..", "%2e%2e", "%2E%2E%2Fpolicies", "a%2Fb", "%ff", "%", "%zz", "a%20b", "x" * 129, "%C3%A9", "a%0d%0aX:1", "*", "''")
    for method, pattern, who in routes():
        if "*" not in pattern or who != "REST_SERVICE" or pattern.startswith(("files", "messages")):
            continue
        for id in bad[:-2]:
            status, _, body = send(method, concrete(pattern, (id, id)) + VERSION, b"{}" if method in ("PUT", "POST", "PATCH") else None)
            assert 400 <= status < 500, (method, pattern, id, status, body)
    for path in ("//devices", "/devices//dev1", "/devices/./dev1", "/devices/../devices", "/devices;x=1", "/devices/dev1/", "/devices/dev1?", "/devices/dev1#x", "/\\devices", "/devices/dev1%3fapi-version=1"):
        status = send("GET", path + ("&" if "?" in path else "?") + "api-version=2021-04-12")[0]
        assert status in (200, 400, 404, 405), (path, status)


def test_07_huge():
    """a body beyond the ceiling is refused without being read to its end, and so are a header and a path of that kind"""
    for method, pattern, who in routes():
        if method in ("PUT", "POST", "PATCH") and who == "REST_SERVICE":
            try:
                status = send(method, concrete(pattern, ("dev1", "mod1")) + VERSION, b'{"a":"' + b"x" * (5 << 20) + b'"}')[0]
            except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                continue  # closed while we were still sending
            assert status in (400, 413), (method, pattern, status)
    for path, headers in (("/devices/" + "x" * 70000, {}), ("/devices" + VERSION + "&x=" + "y" * 70000, {}), ("/devices" + VERSION, {"X": "z" * 200000})):
        try:
            assert send("GET", path, **headers)[0] in (400, 413, 414, 431), path[:40]
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass


def test_99_alive():
    """after all of that the same devices are there, and the hub stops in order"""
    assert hub.rest("GET", "/devices/dev1")[0] == 200 and hub.rest("GET", "/devices/dev1/modules/mod1")[0] == 200
    assert hub.stop() == 0
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
