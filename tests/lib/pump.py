# SPDX-License-Identifier: Apache-2.0
"""A device that keeps at least WINDOW messages in flight and a list of what was acknowledged, through any number of broken connections."""
import socket, ssl, struct, threading, time
from rootedge_test import Mqtt, Refused, connect_packet, publish_packet, wait_for


class Pump(threading.Thread):
    """connect() returns a connected Mqtt.  Sequence numbers never repeat, so that whatever is acknowledged can be looked for."""

    def __init__(self, device, connect, window=128):
        super().__init__(daemon=True)
        self.device, self.connect, self.window = device, connect, window
        self.acked, self.next, self.connections, self.ending = [], 0, 0, False
        self.in_flight = 0  # sent and not acknowledged, now

    def run(self):
        while not self.ending:
            try:
                with self.connect() as m:
                    self.connections += 1
                    self.pump(m)
            except (OSError, EOFError, Refused, AssertionError):
                time.sleep(0.02)  # the server is being killed: try again

    def pump(self, m):
        topic = "devices/%s/messages/events/seq=" % self.device
        waiting, id = {}, 0
        while not (self.ending and not waiting):
            batch = b""
            while len(waiting) < self.window and not self.ending:
                id = id % 65535 + 1
                batch += publish_packet(topic + str(self.next), b"%d" % self.next, 1, id)
                waiting[id] = self.next
                self.next += 1
            if batch:
                m.send(batch)
            self.in_flight = len(waiting)
            kind, body = m.receive()
            if kind == 0x40:
                self.acked.append(waiting.pop(struct.unpack("!H", body)[0]))

    def finish(self, seconds=30):
        self.ending = True
        self.join(seconds)


def arrived(events):
    """The sequence numbers of each device's events, in their order."""
    found = {}
    for e in events:
        found.setdefault(e["annotations"]["iothub-connection-device-id"], []).append(int(e["properties"]["seq"]))
    return found


def missing(pump, found):
    """What was acknowledged to the device and is not among what arrived."""
    return sorted(set(pump.acked) - set(found.get(pump.device, [])))
