#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unmodified device SDK receives commands over MQTT (interop.py says how the names and ports come about)."""
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


def test_2_feedback():
    """the service hears that what the device received was a success"""
    path, token = "/messages/serviceBound/feedback", None

    def get():
        status, headers, records = story.rest("GET", path)
        return (headers["ETag"].strip('"'), records) if status == 200 else None

    token, records = wait_for(get, "feedback", 30)
    assert [(r["originalMessageId"], r["statusCode"], r["deviceId"]) for r in records] == [("m 1", "Success", "node-commands")], records
    assert story.rest("DELETE", path + "/" + token)[0] == 204


def test_99_end():
    """everything stops in order"""
    story.hub.stop()
    story.folder.__exit__()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "inside":
        sys.argv.pop(1)
        run_all(globals())
    enter_namespaces(os.path.abspath(__file__))
