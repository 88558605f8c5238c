#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A module that does not acknowledge what comes to its input: it gets it again after half a minute, and nobody waits for it."""
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import c_gateway_routes as story
from c_gateway_routes import *


def test_1_again():
    """what is not acknowledged comes again after 30 seconds and not before, in its order, while another input of the module goes on; then it is acknowledged, and comes no more"""
    story.test_00_start()
    hold(2, a=to_input("filter", "a", "/messages/events", "to = 'a'"), b=to_input("filter", "b", "/messages/events", "to = 'b'"))
    with module("filter", keep_alive=120) as f, leaf() as d:
        for i in range(3):
            d.publish(LEAF + "to=a", b"a%d" % i)
        begun = time.monotonic()
        assert [f.take(ack=False)[2] for i in range(3)] == [b"a0", b"a1", b"a2"]
        while time.monotonic() - begun < 25:
            d.publish(LEAF + "to=b", b"b")
            assert f.take()[::2] == ("b", b"b")
        assert [f.take()[2] for i in range(3)] == [b"a0", b"a1", b"a2"]
        assert 29 < time.monotonic() - begun < 35 * SLOW, time.monotonic() - begun
        d.publish(LEAF + "to=b", b"after")
        assert f.take()[2] == b"after"
    with module("filter") as f, leaf() as d:
        d.publish(LEAF + "to=a", b"next")
        assert f.take()[2] == b"next"


def test_99_end():
    """everything stops in order"""
    story.test_99_end()


if __name__ == "__main__":
    run_all({"test_1_again": test_1_again, "test_99_end": test_99_end})
