#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A line to the hub that nobody has needed for five minutes goes, also that of a device which has named its model; the next one names it again."""
import os, subprocess, sys, urllib.parse
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from site_of_gateway import *

it = None
MODEL = "dtmi:com:example:Sensor;1"
IDLE = 5 * 60


def n_lines():
    page = subprocess.run([ROOTEDGE, "gateway", "metrics", "--state", str(it.edge.state)], capture_output=True, text=True).stdout
    return [int(l.rsplit(" ", 1)[1]) for l in page.splitlines() if l.startswith("rootedge_gateway_lines{")][0]


def comes(device, key):
    return it.edge.mqtt(device, password=it.token(device, key), user=username(it.hub.hostname, device, None, "&model-id=" + urllib.parse.quote(MODEL)),
                        keep_alive=0)


def model_at_hub(device):
    return it.hub.rest("GET", "/twins/" + device)[2].get("modelId")


def test_1_lines_go():
    """devices that name their model and then say nothing for five minutes leave no line behind, whether they are still connected or not"""
    global it
    it = Site()
    it.before = n_lines()
    it.keys = {"dev%d" % i: it.key("dev%d" % i) for i in range(4)}
    it.known(4)
    it.open = {d: comes(d, k) for d, k in it.keys.items()}
    for d in it.keys:
        wait_for(lambda: model_at_hub(d) == MODEL, "its model", 30)
    it.open.pop("dev3").close()
    assert n_lines() >= it.before + 4
    wait_for(lambda: n_lines() <= it.before, "the lines to go", IDLE + 60)


def test_2_named_again():
    """one that is still connected and sends is known by its model, though its line is another"""
    it.open["dev0"].publish("devices/dev0/messages/events/", b"much later")
    assert it.arrived("much later")["annotations"].get("dt-dataschema") == MODEL


def test_3_another():
    """a device that was deleted and made again has named its model, too, as soon as it is connected"""
    it.delete("dev1")
    assert it.open["dev1"].closed()
    key = it.key("dev1")
    assert model_at_hub("dev1") in (None, "")

    def gets_in():
        try:
            return comes("dev1", key)
        except Refused:
            return None
    it.open["dev1"] = wait_for(gets_in, "the new one to be known", 30)
    wait_for(lambda: model_at_hub("dev1") == MODEL, "its model", 30)


def test_9_end():
    """everything stops in order"""
    for m in it.open.values():
        m.close()
    it.stop()


if __name__ == "__main__":
    run_all(globals())
