#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unmodified device SDK receives commands over MQTT and HTTPS (interop.py says how the names and ports come about)."""
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from interop import HUB, Story, enter_namespaces
from rootedge_test import *

story = None


def test_1_receive():
    """azure-iot-device receives what waited for it, many in order, and more after it has renewed its token without subscribing again"""
    global story
    story = Story()
    key = story.rest("PUT", "/devices/node-commands", {"deviceId": "node-commands"})[2]["authentication"]["symmetricKey"]["primaryKey"]
    token = sas(HUB, story.policy_key(), policy="iothubowner", encode=False)
    answer = story.node("commands.js", DEVICE="node-commands", KEY=key, TOKEN=token, HUB_LOG=story.hub.log_path)
    assert answer == {"received": 43}, answer


def outcomes(n):
    """{message id: outcome} of n records."""
    all = {}

    def collect():
        status, headers, records = story.rest("GET", "/messages/serviceBound/feedback")
        if status == 200:
            assert story.rest("DELETE", "/messages/serviceBound/feedback/" + headers["ETag"].strip('"'))[0] == 204
            all.update({r["originalMessageId"]: r["statusCode"] for r in records})
        return len(all) >= n

    wait_for(collect, "feedback", 40)
    return all


def test_2_feedback():
    """the service hears that what the device received was a success"""
    assert outcomes(1) == {"m 1": "Success"}


def test_3_https():
    """azure-iot-device asks for commands over HTTPS, and abandons, rejects and completes them"""
    key = story.rest("PUT", "/devices/node-asks", {"deviceId": "node-asks"})[2]["authentication"]["symmetricKey"]["primaryKey"]
    token = sas(HUB, story.policy_key(), policy="iothubowner", encode=False)
    assert story.node("commands_http.js", DEVICE="node-asks", KEY=key, TOKEN=token) == {"received": 5}
    assert outcomes(4) == {"h0": "Success", "h1": "Rejected", "h2": "Success", "h3": "Success"}
    assert story.rest("GET", "/devices/node-asks")[2]["cloudToDeviceMessageCount"] == 0


def test_99_end():
    """everything stops in order"""
    story.hub.stop()
    story.folder.__exit__()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "inside":
        sys.argv.pop(1)
        run_all(globals())
    enter_namespaces(os.path.abspath(__file__))
