#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that takes a second for whatever is to be durable, as a worn card does: devices wait for their acknowledgements and for nothing else.  The gateway goes on letting them in, answering them,
and passing on methods and messages; and what it acknowledged is there after a kill -9."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from listener_of_gateway import *
from pump import Pump

MS = 1000
it = None


def set_slow(ms):
    with open(it.slow + ".new", "w") as f:
        f.write("%d\n" % ms)
    os.chmod(it.slow + ".new", 0o644)
    os.rename(it.slow + ".new", it.slow)


def seconds(what):
    begun = time.monotonic()
    what()
    return time.monotonic() - begun


def longest(what, n=10):
    return max(seconds(what) for _ in range(n))


def arrived_of_busy():
    return [int(e["body"]) for e in it.events("busy", None)]


def ping():
    it.quiet.hears_nothing()


def call():
    call = Call(it, "quiet", "hello")
    name, rid, _ = it.quiet.request()
    it.quiet.reply(rid)
    assert call.answer()[0] == 200, call.got


def test_1_start():
    """a gateway starts, with a device that keeps a hundred messages in flight and one that listens"""
    global it
    it = Site()
    it.edge.stop()
    # Where the gateway's sandbox lets it read; the other roles can't, and go on without.
    shim, it.slow = (os.path.join(it.edge.state, "gateway", name) for name in ("slow_disk.so", "slow"))
    shutil.copy(os.path.join(BUILD, "tests", "slow_disk.so"), shim)
    it.edge.env.update(LD_PRELOAD=shim, SLOW_DISK=it.slow)
    it.edge.start()
    it.busy, it.other = it.key("busy"), it.key("other")
    it.quiet = Device(it, "quiet", it.key("quiet")).connect(METHODS, RESULTS)
    wait_for(lambda: invoke_soon(it, "quiet", "first") and it.quiet.request(), "a method")
    it.pump = Pump("busy", lambda: it.edge.mqtt("busy", password=it.token("busy", it.busy)), window=100)
    it.pump.start()
    wait_for(lambda: len(it.pump.acked) > 500, "five hundred acknowledgements")


def test_2_slow():
    """nobody but who waits for an acknowledgement waits for the disk: a new connection, a ping, a method of a service, the operator"""
    set_slow(MS)
    at = len(it.pump.acked)
    wait_for(lambda: len(it.pump.acked) > at + 100, "acknowledgements by the slow disk", 30)
    with it.edge.mqtt("other", password=it.token("other", it.other)) as m:
        assert seconds(lambda: m.publish("devices/other/messages/events/", b"slow")) >= MS / 1000, "the disk is not slow"
    found = {
        "ping": longest(ping),
        "connect": longest(lambda: it.edge.mqtt("other", password=it.token("other", it.other)).close()),
        "method": longest(call),
        "status": longest(lambda: run("rootedge", "gateway", "status", "--state", it.edge.state, "--json"), 3),
    }
    print("# " + ", ".join("%s %.0f ms" % (k, v * 1000) for k, v in found.items()))
    assert all(v < MS / 1000 * SLOW for v in found.values()), found
    assert it.pump.connections == 1, it.pump.connections


def test_3_passed_on():
    """messages go on to the hub, as many as are acknowledged"""
    at = len(it.pump.acked)
    wait_for(lambda: len(it.pump.acked) > at + 300, "acknowledgements", 60)
    wait_for(lambda: len(arrived_of_busy()) >= at + 200, "them at the hub", 30)


def test_4_killed():
    """after a kill -9 in the midst of it all that was acknowledged arrives, in order"""
    os.kill(it.edge.role("gateway"), signal.SIGKILL)
    at = len(it.pump.acked)
    wait_for(lambda: it.pump.connections > 1 and len(it.pump.acked) > at + 200, "the gateway", 90)
    set_slow(0)
    it.pump.finish(60 * SLOW)
    wait_for(lambda: not set(it.pump.acked) - set(arrived_of_busy()), "all that was acknowledged", 60)
    order = list(dict.fromkeys(arrived_of_busy()))
    assert order == sorted(order)


def test_5_end():
    """everything stops in order"""
    it.quiet.leave()
    it.stop()


if __name__ == "__main__":
    run_all(globals())
