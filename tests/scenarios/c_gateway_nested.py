#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A gateway below another one (parent_hostname): whoever it speaks to proves the parent's name, and all that it says of itself is about the hub."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

PARENT = "edgeparent.local"


class ParentsPapers(Pki):
    """What stands in the parent's place proves the parent's name."""

    def make(self, kind, name, *args, **kw):
        return super().make(kind, PARENT if kind == "server" else name, *args, **kw)


class Story:
    def __init__(self, changes):
        self.folder = Folder()
        self.pki = ParentsPapers(self.folder)
        self.hub = Hub(self.folder, self.pki)
        self.edge = Edge(self.folder, self.hub, changes=changes, wait=bool(changes))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for service in (self.edge, self.hub):
            if kind is None:
                service.stop()
            else:
                service.process.kill()
        self.folder.__exit__()


def test_1_through_the_parent():
    """scope, module identities and messages go to the parent under its name, with tokens and names of the hub"""
    with Story({"parent_hostname": '"%s"' % PARENT}) as story:
        device, key = story.pki.make("device", "TempSensor")
        story.edge.create_x509_child("TempSensor", thumbprint(device))
        with story.edge.mqtt("TempSensor", cert=device, key=key) as sensor:
            sensor.publish("devices/TempSensor/messages/events/", b"21.5")
        wait_for(lambda: [e for e in story.hub.events() if "TempSensor" in json.dumps(e)], "the message at the hub", 30)
        assert PARENT in story.edge.log_text()


def test_2_no_parent():
    """without parent_hostname the same server is not taken for the hub"""
    with Story(None) as story:
        wait_for(lambda: "NAME_MISMATCH" in story.edge.reasons(), "the refusal of the name", 60)
        assert not story.edge.ready


if __name__ == "__main__":
    run_all(globals())
