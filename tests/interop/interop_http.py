#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unmodified device SDK over HTTPS (interop.py says how the names and ports come about)."""
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from interop import HUB, Story, enter_namespaces
from rootedge_test import *

story = cert = cert_key = key = None


def test_1_start():
    """a hub with a key device and a certificate device starts on port 443"""
    global story, cert, cert_key, key
    story = Story()
    key, cert, cert_key = story.new_devices("http")


def arrived(device):
    events = sorted(story.events_of(device), key=lambda e: int(e["properties"]["n"]))
    assert len(events) == 10, len(events)
    for i, event in enumerate(events):
        assert event["body"] == {"n": i, "text": 'grüße & "quotes"'}, event
        assert event["properties"] == {"n": str(i), "weird": "value/with+all #?&=%", "empty": ""}, event
        system = event["systemProperties"]
        assert {k: system[k] for k in ("message-id", "correlation-id", "content-type", "content-encoding")} == {
            "message-id": "id-%d" % i, "correlation-id": "c-%d" % i, "content-type": "application/json", "content-encoding": "utf-8"}, event


def test_2_sas():
    """sendEvent by SAS, one after the other and at once: all are there when they are answered, as they were sent"""
    story.node("http.js", WHAT="send", DEVICE="http-sas", KEY=key)
    arrived("http-sas")


def test_3_x509():
    """sendEvent by X.509"""
    story.node("http.js", WHAT="send", DEVICE="http-x509", CERT=cert, CERT_KEY=cert_key)
    arrived("http-x509")


def test_4_batch():
    """sendEventBatch"""
    story.node("http.js", WHAT="batch", DEVICE="http-sas", KEY=key)
    batch = story.events_of("http-sas")[10:]
    assert [(e["body"], e["properties"]) for e in batch] == [("text %d" % i, {"n": str(i)}) for i in range(5)], batch


def test_5_large():
    """a large message arrives, a larger one is a MessageTooLargeError"""
    story.node("http.js", WHAT="large", DEVICE="http-sas", KEY=key)
    assert [len(e["body"]) for e in story.events_of("http-sas")[15:]] == [250000]


def test_6_refused():
    """a wrong key, and the certificate of somebody else, are an UnauthorizedError"""
    story.node("http.js", WHAT="refused", DEVICE="http-sas", KEY=new_key())
    wrong, wrong_key = story.pki.make("device", "http-x509", file="impostor")
    story.node("http.js", WHAT="refused", DEVICE="http-x509", CERT=wrong, CERT_KEY=wrong_key)
    assert len(story.events_of("http-x509")) == 10


def test_9_end():
    """everything stops in order"""
    story.hub.stop()
    story.folder.__exit__()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "inside":
        sys.argv.pop(1)
        run_all(globals())
    enter_namespaces(os.path.abspath(__file__))
