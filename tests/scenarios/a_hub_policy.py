#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shared access policies while the hub runs, and the verbs `rootedge hub policy` and `rootedge hub ca`."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = None
OWNER = "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect"


def tool(*words, check=True):
    """`rootedge hub NOUN VERB ...` with the owner's connection string, on the hub's free port."""
    text = run("rootedge", "hub", "connection-string", "--state", hub.state).stdout.strip()
    text = text.replace("HostName=" + hub.hostname, "HostName=%s:%d" % (hub.hostname, hub.https_port))
    done = run("rootedge", "hub", *words[:2], "--hub", text, "--ca", pki.root, "--connect-to", "127.0.0.1", "--json", *words[2:], check=check)
    return json.loads(done.stdout) if check and done.stdout else done


def signed(key, policy):
    return {"Authorization": sas(hub.hostname, key, policy=policy, encode=False)}


def status_with(key, policy, path="/devices"):
    return hub.rest("GET", path, headers=signed(key, policy))[0]


def test_00_start():
    """the five policies of the original are there, with keys, for the owner alone"""
    global hub, folder, pki
    folder = Folder()
    pki = Pki(folder)
    hub = Hub(folder, pki)
    status, _, answer = hub.rest("GET", "/policies")
    assert status == 200
    assert {p["keyName"]: p["rights"] for p in answer["value"]} == {"iothubowner": OWNER, "service": "ServiceConnect", "device": "DeviceConnect", "registryRead": "RegistryRead",
                                                                    "registryReadWrite": "RegistryRead, RegistryWrite"}
    for policy in ("service", "device", "registryRead", "registryReadWrite", None):
        assert hub.rest("GET", "/policies", policy=policy)[0] == 401, policy
        assert hub.rest("PUT", "/policies/x", {"rights": OWNER}, policy=policy)[0] == 401, policy


def test_01_create_and_delete():
    """a policy that is made counts at once with its rights and no others, and no longer once it is deleted"""
    made = tool("policy", "create", "--name", "reader", "--permissions", "registryread ServiceConnect")
    assert made["rights"] == "RegistryRead, ServiceConnect", made
    assert status_with(made["primaryKey"], "reader") == status_with(made["secondaryKey"], "reader") == 200
    assert hub.rest("PUT", "/devices/x", {"deviceId": "x"}, signed(made["primaryKey"], "reader"))[0] == 401
    assert hub.rest("PUT", "/policies/reader", {"rights": "RegistryRead"})[0] == 409
    changed = tool("policy", "create", "--name", "reader", "--permissions", "ServiceConnect", "--replace")
    assert changed["primaryKey"] == made["primaryKey"] and status_with(made["primaryKey"], "reader") == 401
    tool("policy", "delete", "--name", "reader")
    assert status_with(made["primaryKey"], "reader", "/statistics/service") == 401
    assert hub.rest("GET", "/policies/reader")[0] == 404
    assert tool("policy", "show", "--name", "reader", check=False).returncode == 1


def test_02_renew():
    """keys are renewed one by one, both, or swapped; the old ones are no good from then on, the other one stays"""
    old = tool("policy", "show", "--name", "registryRead")
    new = tool("policy", "renew-key", "--name", "registryRead", "--renew-key", "primary")
    assert new["primaryKey"] != old["primaryKey"] and new["secondaryKey"] == old["secondaryKey"]
    assert status_with(old["primaryKey"], "registryRead") == 401 and status_with(new["primaryKey"], "registryRead") == status_with(old["secondaryKey"], "registryRead") == 200
    swapped = tool("policy", "renew-key", "--name", "registryRead", "--renew-key", "swap")
    assert (swapped["primaryKey"], swapped["secondaryKey"]) == (new["secondaryKey"], new["primaryKey"])
    both = tool("policy", "renew-key", "--name", "registryRead", "--renew-key", "both")
    assert not {both["primaryKey"], both["secondaryKey"]} & {new["primaryKey"], new["secondaryKey"]}
    assert hub.rest("POST", "/policies/registryRead/regenerate", {"key": "third"})[2]["errorCode"] == 400035


def test_03_last_owner():
    """the last policy with all rights can be neither deleted nor lessened; a second one may take its place"""
    assert hub.rest("DELETE", "/policies/iothubowner")[0] == 409
    assert hub.rest("PUT", "/policies/iothubowner", {"rights": "RegistryRead"}, {"If-Match": "*"})[0] == 409
    second = tool("policy", "create", "--name", "owner2", "--permissions", OWNER)
    assert hub.rest("PUT", "/policies/iothubowner", {"rights": "RegistryRead"}, {"If-Match": "*"})[0] == 200
    assert hub.rest("GET", "/policies")[0] == 401
    assert hub.rest("PUT", "/policies/iothubowner", {"rights": OWNER}, {"If-Match": "*", **signed(second["primaryKey"], "owner2")})[0] == 200


def test_04_bad_input():
    """names, rights and bodies that can't be meant are answered with 400, and nothing is made"""
    before = hub.rest("GET", "/policies")[2]
    for body in ({}, {"rights": 1}, {"rights": ""}, {"rights": "Everything"}, {"rights": "RegistryRead;ServiceConnect"}, b"[]", b"{", b"\xff"):
        assert hub.rest("PUT", "/policies/bad", body)[0] == 400, body
    for name in ("a%20b", "x" * 65, "a%2Fb", "a:b", "%2e%2e"):
        assert hub.rest("PUT", "/policies/" + name, {"rights": "RegistryRead"})[0] == 400, name
    for body in ({}, {"key": 1}, b"[]"):
        assert hub.rest("POST", "/policies/service/regenerate", body)[0] == 400, body
    assert hub.rest("GET", "/policies")[2] == before
    for i in range(40):
        status = hub.rest("PUT", "/policies/many%d" % i, {"rights": "RegistryRead"})[0]
        if status != 200:
            break
    assert status == 403 and i == 32 - len(before["value"]), (status, i)


def test_05_restart():
    """policies and keys are the same after kill -9; the log has the changes, and no key"""
    before = hub.rest("GET", "/policies")[2]
    hub.kill9()
    hub.start()
    assert hub.rest("GET", "/policies")[2] == before
    changes = [(e["name"], e["change"]) for e in Service.events(hub, "policy")]
    assert ("reader", "deleted") in changes and ("registryRead", "keys renewed") in changes, changes
    assert not [k for p in before["value"] for k in (p["primaryKey"], p["secondaryKey"]) if k in hub.log_text()]


def test_06_ca_verbs():
    """rootedge hub ca: create, code, verify, list, show, update, delete, with certificates of rootedge cert"""
    pki.make("intermediate", "Factory CA", file="factory")
    ca = folder / "factory"
    made = tool("ca", "create", "--name", "factory", "--path", ca + ".pem", "--devices", "line-*", "--devices", "press-?", "--kind", "leaf")
    assert made["properties"]["isVerified"] is False
    assert made["properties"]["scope"] == {"kind": "leaf", "devices": ["line-*", "press-?"]}, made
    code = tool("ca", "code", "--name", "factory", "--etag", made["etag"])["properties"]["verificationCode"]
    proof, _ = pki.make("device", code, issuer="factory", file="proof")
    wrong, _ = pki.make("device", code, file="wrong")
    done = tool("ca", "verify", "--name", "factory", "--path", wrong, check=False)
    assert done.returncode == 1 and "ArgumentInvalid" in done.stderr, done.stderr
    assert tool("ca", "verify", "--name", "factory", "--path", proof)["properties"]["isVerified"] is True
    assert [(c["name"], c["properties"]["isVerified"]) for c in tool("ca", "list")] == [("factory", True)]
    hub.create_device("line-1", {"type": "certificateAuthority"})
    cert, key = pki.make("device", "line-1", issuer="factory")
    hub.mqtt("line-1", cert=cert, key=key).close()
    assert tool("ca", "update", "--name", "factory", "--kind", "edge")["properties"]["scope"] == {"kind": "edge"}
    assert tool("ca", "update", "--name", "factory", "--unverified")["properties"]["isVerified"] is False
    assert tool("ca", "update", "--name", "factory", "--verified")["properties"]["isVerified"] is True
    assert tool("ca", "delete", "--name", "factory", "--etag", "AAAA", check=False).returncode == 1
    tool("ca", "delete", "--name", "factory")
    assert tool("ca", "list") == []
    assert tool("ca", "show", "--name", "factory", check=False).returncode == 1
    assert tool("ca", "create", "--name", "factory", check=False).returncode != 0
    assert tool("policy", "authentication") == {"refuseSha1Thumbprints": False}


def test_99_stop():
    """the hub stops in order"""
    hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
