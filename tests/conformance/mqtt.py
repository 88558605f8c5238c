#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Third-party MQTT packet sequences and fuzz seeds against a server of ours.  They are not part of this repository: they are looked for beside it.

mqtt.known lists by id where we differ from the 3.1.1 sequences, how, and which rule of the hub's contract wants the difference; the suite passes exactly when
the differences are those.  Sequences of other protocol versions, and the seeds, are played to be survived.

Without arguments a hub is started, with --gateway a hub and a gateway before it.  With --port it is any server, to which --client-id and --user (and --password, or --cert and --key) must let us in:
    mqtt.py --port 8883 --ca root.pem --client-id dev1 --user "hub/dev1/?api-version=2021-04-12" --cert dev1.pem --key dev1.key [--known FILE]"""
import argparse, glob, os, queue, sys, threading
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from rootedge_test import *

SUITE = os.path.join(ROOT, "..", "shared", "suites", "mqtt")
WORKERS = 4
SILENCE = 2 * SLOW  # s without a byte after which we ask by PINGREQ whether there will be any

# What a hub allows in place of the corpus's topics: filters by name; what is published goes to the device's own events (its text becomes the property bag).
FILTERS = {"p": "devices/%s/messages/devicebound/#", "q": "$iothub/methods/POST/#", "test": "$iothub/twin/res/#", "subpub/nap": "devices/%s/messages/devicebound/#",
           "subpub/qos1": "devices/%s/messages/devicebound/#", "subpub/qos2": "devices/%s/messages/devicebound/#", "drash/1/#": "devices/%s/messages/devicebound/#",
           "erash/2/#": "$iothub/methods/POST/#", "crash/3/#": "$iothub/twin/res/#"}
EVENTS = "devices/%s/messages/events/"


class Differs(Exception):
    pass


class Who:
    """An identity that the server lets in."""

    def __init__(self, port, ca, client_id, user, password=None, cert=None, key=None, host="127.0.0.1"):
        self.port, self.ca, self.client_id, self.user, self.password, self.cert, self.key, self.host = port, ca, client_id, user, password, cert, key, host

    def dial(self):
        return Mqtt(self.port, ca=self.ca, cert=self.cert, key=self.key, host=self.host, connect=False).sock

    def login(self):
        s = self.dial()
        s.sendall(connect_packet(self.client_id, self.user, self.password, clean=True))
        answer = take(s, 4)
        if answer != b"\x20\x02\x00\x00":
            raise Differs("the implied CONNECT was answered %s" % answer.hex())
        return s


# -- The corpus's packet language: hex bytes, iN 8 bits, HN kN mN sN 16 bits, LN 32 bits, rN vN a length of 7 bits a byte, 'text' ----------------------------------

def words(text):
    out, at = [], 0
    while at < len(text):
        if text[at] == " ":
            at += 1
            continue
        if text[at] == "'":
            end = text.index("'", at + 1)
            out.append(["text", text[at + 1:end].encode(), "'"])
            at = end + 1
            continue
        end = (text + " ").index(" ", at)
        word, at = text[at:end], end
        kind = {"i": "!B", "H": "!H", "k": "!H", "m": "!H", "s": "!H", "L": "!L", "r": "length", "v": "length"}.get(word[0])
        out.append([kind, int(word[1:]), word[0]] if kind else ["bytes", bytes.fromhex(word), ""])
    return out


def length(n):
    return packet(0, b"\0" * n)[1:-n] if n and n < 1 << 20 else bytes([n >> shift & 127 | (128 if n >> shift + 7 else 0) for shift in range(0, 35, 7) if n >> shift or not shift])


def adapt(tokens, who):
    """Put the hub's names in place of the corpus's; every length grows by the same number of bytes, so that a wrong one stays wrong."""
    first = tokens[0][1][0] >> 4
    connect_names = iter([who.client_id, who.user, who.password or ""])
    has_user = first == 1 and any(t[0] == "bytes" and t[1][-1] & 0x80 and after[2] == "k" for t, after in zip(tokens, tokens[1:]))
    grown = 0
    for before, t in zip(tokens, tokens[1:]):
        if before[2] != "s" or t[0] not in ("text", "bytes") or before[1] != len(t[1]):
            continue
        new = t[1]
        if has_user and t[1] == b"p":
            new = next(connect_names, "p").encode()
        elif first in (8, 10) and t[1].decode("latin-1") in FILTERS:
            filter = FILTERS[t[1].decode()]
            new = (filter % who.client_id if "%" in filter else filter).encode()
        elif first == 3 and t[1][:1] not in b"+#$":
            new = (EVENTS % who.client_id).encode() + t[1]
        before[1] += len(new) - len(t[1])
        grown += len(new) - len(t[1])
        t[1] = new
    for t in tokens:
        if t[0] == "length":
            t[1] += grown
            break


def encode(text, who=None):
    tokens = words(text)
    if who:
        adapt(tokens, who)
    return b"".join(t[1] if t[0] in ("text", "bytes") else length(t[1]) if t[0] == "length" else struct.pack(t[0], t[1]) for t in tokens)


# -- Playing --------------------------------------------------------------------------------------------------------------------------------------------------------

def read(s, n, seconds):
    """Up to n bytes; b"" at the end of the stream, None after this long without any."""
    s.settimeout(seconds)
    try:
        return s.recv(n)
    except (TimeoutError, socket.timeout):
        return None
    except OSError:
        return b""


def take(s, n, probe=False):
    """Exactly n bytes.  Silence is not waited out: what was sent before is answered before a PINGREQ is."""
    got, asked = b"", not probe
    while len(got) < n:
        piece = read(s, n - len(got), 15 * SLOW if asked else SILENCE)
        if piece is None and not asked:
            asked = True
            s.sendall(b"\xc0\x00")
            continue
        if piece is None:
            raise Differs("silence, also to a PINGREQ")
        if not piece:
            raise Differs("closed" + (" after " + got.hex() if got else ""))
        got += piece
        if probe and asked and got.endswith(b"\xd0\x00"):
            raise Differs("got %s and no more" % got[:-2].hex() if got[2:] else "nothing came")
    return got


def expect(s, want):
    try:
        got = take(s, len(want), probe=True)
    except OSError:
        raise Differs("closed, wanted %s" % want.hex())
    except Differs as e:
        raise Differs("%s, wanted %s" % (e, want.hex()))
    if got != want:
        raise Differs("got %s, wanted %s" % (got.hex(), want.hex()))


def expect_close(s, connected):
    """The end of the stream; before CONNECT a CONNACK that refuses may precede it."""
    try:
        got = read(s, 4, SILENCE)
        if got is None:
            s.sendall(b"\xc0\x00")
            got = read(s, 4, 15 * SLOW)
        if not connected and got and got[:3] == b"\x20\x02\x00" and got[3] in (1, 2, 4, 5):
            got = read(s, 1, 15 * SLOW)
    except OSError:
        return
    if got is None or got:
        raise Differs("got %s, wanted the end" % got.hex() if got else "neither closed nor answering")


def step(s, m, who):
    if m["type"] == "send":
        s.sendall(encode(m["payload"], who))
    elif m["type"] == "recv":
        expect(s, encode(m["payload"], who))
    elif m["type"] == "external_publish":  # nobody else may publish to a device's topic: it does so itself
        s.sendall(publish_packet(EVENTS % who.client_id, m["payload"].encode(), m["qos"], 1))
        if m["qos"] == 1:
            expect(s, b"\x40\x02\x00\x01")
    else:
        raise Differs("a step of kind %s, which this player does not know" % m["type"])


def play(who, test):
    """Raises Differs."""
    with (who.login() if test["connect"] else who.dial()) as s:
        try:
            for m in test["msgs"]:
                step(s, m, who)
        except OSError:
            if not test["expect_disconnect"]:
                raise Differs("closed early")
            return
        if test["expect_disconnect"]:
            expect_close(s, test["connect"])
        else:
            s.sendall(b"\xc0\x00")
            expect(s, b"\xd0\x00")


def hurl(who, logged_in, data):
    """Send this and look no further than until it was taken or refused."""
    with (who.login() if logged_in else who.dial()) as s:
        try:
            s.sendall(data)
            s.unwrap()
        except (OSError, ValueError):
            pass


def corpus():
    for path in sorted(glob.glob(os.path.join(SUITE, "data", "*.json"))):
        with open(path) as f:
            groups = json.load(f)
        for group in groups:
            for test in group["tests"]:
                if group.get("disable") or test.get("disable"):
                    continue
                given = {k: test.get(k, group.get(k, default)) for k, default in (("ver", 4), ("connect", True), ("expect_disconnect", True))}
                yield dict(test, id=(group["group"] + " " + test["name"]).strip(), **given)


def share(identities, work, do):
    """Each identity does its share at the same time as the others.  Returns [(item, exception)] of what raised."""
    waiting, bad = queue.Queue(), []
    for item in work:
        waiting.put(item)

    def worker(who):
        while True:
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                do(who, item)
            except Exception as e:
                bad.append((item, e))

    threads = [threading.Thread(target=worker, args=(w,)) for w in identities]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return bad


# -- The tests --------------------------------------------------------------------------------------------------------------------------------------------------------

hub = edge = folder = options = pid = None
identities = []


def start():
    """Servers of our own, and devices that they know."""
    global hub, edge, folder, pid
    folder = Folder()
    hub = Hub(folder, Pki(folder))
    edge = Edge(folder, hub) if options.gateway else None
    pid = edge and edge.role("gateway")
    server, ca, create = (edge, edge.trust_bundle(), edge.create_child) if edge else (hub, hub.pki.root, hub.create_device)
    for i in range(WORKERS):
        device = "dev%d" % i
        key = create(device)["authentication"]["symmetricKey"]["primaryKey"]
        identities.append(Who(server.mqtt_port, ca, device, username(hub.hostname, device), hub.device_token(device, key)))


def read_known(path):
    with open(path) as f:
        rows = [line.rstrip("\n").split("\t") for line in f if line.strip() and not line.startswith("#")]
    assert all(len(row) == 3 and row[2] for row in rows), "each line is: id, tab, our answer, tab, the rule that wants it"
    return {id: answer for id, answer, _ in rows}


def test_00_server():
    """the server lets us in"""
    if not os.path.isdir(os.path.join(SUITE, "data")):
        raise Skip("the suites are not beside the repository (../shared/suites/mqtt)")
    if options.port:
        identities.append(Who(options.port, options.ca, options.client_id, options.user, options.password, options.cert, options.key, options.host))
    else:
        start()
    for who in identities:
        who.login().close()


def test_01_sequences():
    """each MQTT 3.1.1 sequence passes, or differs as the list of known differences says"""
    if not identities:
        raise Skip("the suites are not here")
    tests = [t for t in corpus() if t["ver"] == 4]
    assert len(tests) > 300, len(tests)
    known = read_known(options.known)
    why = {test["id"]: str(e) if isinstance(e, Differs) else repr(e) for test, e in share(identities, tests, play)}
    answers = {id: text.split(", wanted ")[0] for id, text in why.items()}
    wrong = sorted(id for id in set(answers) | set(known) if answers.get(id) != known.get(id))
    for id in wrong:
        print("# %s: %s; listed: %s" % (id, why.get(id, "passes"), known.get(id, "no")))
    assert not wrong, "%d sequences end otherwise than %s says" % (len(wrong), options.known)
    print("# %d pass, %d differ as listed" % (len(tests) - len(answers), len(answers)))


def test_02_other_versions():
    """the sequences of other protocol versions are survived, before and after CONNECT"""
    if not identities:
        raise Skip("the suites are not here")
    data = [b"".join(encode(m["payload"]) for m in t["msgs"] if m["type"] == "send") for t in corpus() if t["ver"] != 4]
    bad = share(identities, [(after, d) for d in data for after in (False, True)], lambda who, item: hurl(who, *item))
    assert not bad, bad[:3]
    print("# %d sequences" % len(data))


def test_03_seeds():
    """the fuzz seeds are survived, before and after CONNECT"""
    if not identities:
        raise Skip("the suites are not here")
    data = []
    for path in sorted(glob.glob(os.path.join(SUITE, "seeds", "*", "*.bin"))):
        with open(path, "rb") as f:
            data.append(f.read())
    bad = share(identities, [(after, d) for d in data for after in (False, True)], lambda who, item: hurl(who, *item))
    assert len(data) > 1000 and not bad, (len(data), bad[:3])
    print("# %d seeds" % len(data))


def test_04_still_there():
    """after all this a device is served, and servers of ours stop in order"""
    if not identities:
        raise Skip("the suites are not here")
    who = identities[0]
    with who.login() as s:
        s.sendall(publish_packet(EVENTS % who.client_id, b"still here", id=7))
        expect(s, b"\x40\x02\x00\x07")
    if hub:
        wait_for(lambda: hub.events()[-1]["body"] == "still here", "the message at the hub", 30)
        assert edge is None or edge.role("gateway") == pid, "the gateway was started again"
        for server in filter(None, (edge, hub)):
            assert server.process.poll() is None and server.stop() == 0
        folder.__exit__()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int)
    parser.add_argument("--gateway", action="store_true")
    parser.add_argument("--known", default=os.path.join(HERE, "mqtt.known"))
    for name in ("--ca", "--cert", "--key", "--client-id", "--user", "--password"):
        parser.add_argument(name)
    options = parser.parse_args()
    del sys.argv[1:]
    run_all(globals())
