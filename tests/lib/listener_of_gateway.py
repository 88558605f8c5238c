# SPDX-License-Identifier: Apache-2.0
"""What a device of a gateway hears, packet by packet, and what services do to it at the hub."""
from site_of_gateway import *

METHODS, RESULTS, DESIRED = "$iothub/methods/POST/#", "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"


class Said:
    """A PUBLISH from the server."""

    def __init__(self, first, body):
        assert first & 0xf0 == 0x30, (first, body)
        n = struct.unpack("!H", body[:2])[0]
        self.topic, rest, self.id = body[2:2 + n].decode(), body[2 + n:], None
        if first & 6:
            self.id, rest = struct.unpack("!H", rest[:2])[0], rest[2:]
        self.payload = rest


class Device:
    """A device or module that listens at the gateway: one connection at a time, with what it subscribed to kept by the gateway (clean session 0)."""

    def __init__(self, it, device, key, module=None, edge=None):
        self.edge = edge or it.edge
        self.it, self.device, self.key, self.module, self.mqtt, self.rid = it, device, key, module, None, 0
        self.path = device if module is None else "%s/modules/%s" % (device, module)

    def connect(self, *filters, clean=False):
        self.leave()
        self.mqtt = self.edge.mqtt(self.device, self.module, password=self.it.token(self.device, self.key, self.module), clean=clean)
        if filters:
            self.listen(*filters)
        return self

    def listen(self, *filters):
        self.mqtt.send(subscribe_packet([(f, 1 if "devicebound" in f else 0) for f in filters], 9))
        kind, body = self.mqtt.receive()
        assert kind == 0x90 and 0x80 not in body[2:], (kind, body)

    def silence(self, *filters):
        self.mqtt.send(packet(0xa2, struct.pack("!H", 8) + b"".join(struct.pack("!H", len(f)) + f.encode() for f in filters)))
        assert self.mqtt.receive() == (0xb0, b"\0\x08")

    def leave(self):
        if self.mqtt:
            self.mqtt.close()
        self.mqtt = None

    def commands(self):
        return "devices/%s/messages/devicebound/#" % self.path

    def hear(self, seconds=20):
        return Said(*self.mqtt.receive(seconds))

    def hears_nothing(self):
        """Up to the answer to a PINGREQ."""
        self.mqtt.send(packet(0xc0))
        got = self.mqtt.receive()
        assert got == (0xd0, b""), got

    def take(self):
        """A command, acknowledged."""
        said = self.hear()
        self.mqtt.send(packet(0x40, struct.pack("!H", said.id)))
        return said

    def request(self):
        """Method, rid and payload of the next request."""
        said = self.hear()
        name, rid = said.topic[len("$iothub/methods/POST/"):].split("/?$rid=")
        return name, rid, said.payload

    def reply(self, rid, status=200, payload=b"{}"):
        self.mqtt.send(publish_packet("$iothub/methods/res/%d/?$rid=%s" % (status, rid), payload, 0))

    def ask(self, topic, payload):
        """Status and body of the answer; what comes before it is kept for hear()."""
        self.rid += 1
        self.mqtt.send(publish_packet("%s?$rid=%d" % (topic, self.rid), payload, 0))
        while True:
            said = self.hear(40)
            if said.topic.startswith("$iothub/twin/res/") and "?$rid=%d" % self.rid in said.topic:
                return int(said.topic.split("/")[3]), json.loads(said.payload) if said.payload else None
            self.seen.append(said)

    seen = []

    def twin(self):
        status, body = self.ask("$iothub/twin/GET/", b" ")
        assert status == 200, (status, body)
        return body

    def report(self, patch):
        return self.ask("$iothub/twin/PATCH/properties/reported/", json.dumps(patch).encode())

    def desired(self, seconds=30):
        """The next change of desired properties."""
        said = self.hear(seconds)
        assert said.topic.startswith("$iothub/twin/PATCH/properties/desired/?$version="), said.topic
        patch = json.loads(said.payload)
        assert said.topic.endswith("=%d" % patch["$version"]), said.topic
        return patch


class Call(threading.Thread):
    """A service's call of a method at the hub, on a thread of its own."""

    def __init__(self, it, path, name, payload=None, response=30, connect=0):
        super().__init__(daemon=True)
        self.it, self.path, self.body = it, path, {"methodName": name, "payload": payload, "responseTimeoutInSeconds": response, "connectTimeoutInSeconds": connect}
        self.start()

    def run(self):
        try:
            status, _, body = self.it.hub.rest("POST", "/twins/%s/methods" % self.path, self.body)
            self.got = status, body
        except (OSError, http.client.HTTPException) as why:
            self.got = 0, str(why)

    def answer(self):
        self.join(60 * SLOW)
        assert not self.is_alive(), "no answer"
        return self.got


def invoke_soon(it, path, name, payload=None):
    """A call as soon as the hub finds the device connected, which is a moment after it listens at the gateway: the subscription travels behind it."""
    return Call(it, path, name, payload, connect=30)


def send_command(it, path, body, **headers):
    status, _, answer = it.hub.rest("POST", "/devices/%s/messages/devicebound" % path, body, {"iothub-" + k.replace("_", "-"): v for k, v in headers.items()})
    assert status == 201, (status, answer)


def pending(it, device):
    return it.hub.rest("GET", "/devices/" + device)[2]["cloudToDeviceMessageCount"]
