# SPDX-License-Identifier: Apache-2.0
"""A reader of server-sent events (the HTML standard, 9.2), on a connection of its own."""
import http.client, json, ssl
from rootedge_test import SLOW


class Refusal(Exception):
    def __init__(self, status, body):
        super().__init__("%d %s" % (status, body))
        self.status, self.body = status, body


class Stream:
    def __init__(self, hub, query="", last=None, policy="service", token=None, path="/events/stream"):
        context = ssl.create_default_context(cafile=hub.pki.root)
        context.check_hostname = False
        self.connection = http.client.HTTPSConnection("127.0.0.1", hub.https_port, context=context, timeout=20 * SLOW)
        headers = {"Authorization": token or hub.service_token(policy), "Accept": "text/event-stream"}
        if last is not None:
            headers["Last-Event-ID"] = last
        self.connection.request("GET", path + ("?" + query if query else ""), headers=headers)
        self.answer = self.connection.getresponse()
        self.last, self.comments = last, 0
        if self.answer.status != 200:
            body = self.answer.read()
            self.close()
            raise Refusal(self.answer.status, json.loads(body))
        assert self.answer.getheader("Content-Type") == "text/event-stream", self.answer.headers

    def line(self):
        line = self.answer.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the stream ended")
        return line.rstrip(b"\n").decode()

    def next(self):
        """The next event, as JSON; its id is in `last`."""
        data = None
        while True:
            line = self.line()
            if line.startswith("id: "):
                self.last = line[4:]
            elif line.startswith("data: "):
                assert data is None
                data = line[6:]
            elif line.startswith(":"):
                self.comments += 1
            elif line == "" and data is not None:
                event = json.loads(data)
                assert self.last == "%d:%d" % (event["partition"], event["sequenceNumber"])
                return event

    def take(self, n):
        return [self.next() for _ in range(n)]

    def ended(self):
        try:
            while True:
                self.line()
        except (EOFError, http.client.IncompleteRead, OSError):
            return True

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
