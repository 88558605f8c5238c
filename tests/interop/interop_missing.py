#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the original does not test (the end of gateway 8.2), with unmodified SDK clients as the devices: the gateway's certificate swapped under load, two names, a device's certificate renewed, chains
that are wrong, more clients than may be connected come and gone, a storm of them, a kept scope that can't be read, a clock that is set, the hub refusing the gateway itself."""
import os, signal, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import interop_gateway as clients_of
from interop import GATEWAY, HUB, Story, enter_namespaces
from rootedge_test import *

FURTHER, LOAD, STORM, DAY, DISK_MIB = "gw2.local", 50, 1000, 86400, 64
story = None
n_devices = 0


def child(id, **more):
    status, _, body = story.rest("PUT", "/devices/" + id, dict({"deviceId": id, "deviceScope": story.scope}, **more))
    assert status == 200, body
    return body


def by_key():
    global n_devices
    n_devices += 1
    id = "key%d" % n_devices
    return {"device": id, "key": child(id)["authentication"]["symmetricKey"]["primaryKey"]}


def by_cert(id, made, primary=None):
    cert, key = made
    if primary:
        child(id, authentication={"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": primary, "secondaryThumbprint": primary}})
    return {"device": id, "cert": cert, "certKey": key}


def matrix(*cases, ahead_s=0, **more):
    cases = [dict({"name": "case %d" % i, "gateway": GATEWAY, "ca": str(story.pki.root)}, **case, **more) for i, case in enumerate(cases)]
    assert story.node("matrix.js", ahead_s, CASES=json.dumps(cases), CONNECTION_STRING=story.connection_string) == {"done": len(cases)}


def shown():
    """The certificate that the gateway shows."""
    return ssl.get_server_certificate(("127.0.0.3", 8883))


def verdicts(peer):
    return [v["accepted"] for v in story.edge.events() if v["question"].startswith("Is this really") and v["peer"] == peer]


def place_of(one):
    """CONNACK; by a client of ours, because the SDK's would try for minutes."""
    try:
        Mqtt(8883, ca=story.pki.root, host="127.0.0.3", name=GATEWAY, client_id=one["device"], user="%s/%s/?api-version=2021-04-12" % (HUB, one["device"]),
             password=sas("%s/devices/%s" % (HUB, one["device"]), one["key"])).close()
        return 0
    except Refused as e:
        return e.code


def restart(change):
    story.edge.stop()
    change()
    story.edge.start()


def set_clock(seconds):
    fd = os.open(story.clock, os.O_WRONLY)
    os.truncate(fd, os.write(fd, b"%d\n" % seconds))
    os.close(fd)


def test_01_start():
    """a hub, a gateway with two names that follows the addresses of the box, and an SDK client that stays connected"""
    global story
    folder = Folder()
    os.environ["ROOTEDGE_CLOCK_FILE"] = clock = folder / "clock"
    with open(clock, "w") as f:
        f.write("0\n")
    story = clients_of.story = Story()
    story.clock, story.clock_folder = clock, folder
    with open(story.folder / "hosts", "a") as f:
        f.write("127.0.0.3 %s\n" % FURTHER)
    subprocess.run(["ip", "link", "add", "re0", "type", "veth", "peer", "name", "re1"], check=True)
    subprocess.run(["ip", "link", "set", "re0", "up"], check=True)
    os.mkdir(story.folder / "edge")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MIB, "none", story.folder / "edge"], check=True)
    story.scope = story.start_edge('names = ["auto", "%s"]\nmax_clients = %d\n' % (FURTHER, STORM + 1))
    story.stays = clients_of.Client("stays", MODE="sas", KEY=child("stays")["authentication"]["symmetricKey"]["primaryKey"])
    clients_of.clients["stays"] = story.stays
    clients_of.rounds()


def test_02_swapped():
    """hot certificate swap under load: fifty clients send without a pause, on the same connections, none of their messages is lost or doubled, and new ones are shown the new certificate"""
    loaded = [by_key() for _ in range(LOAD)]
    everybody = ["stays"] + [one["device"] for one in loaded]
    with clients_of.Program("load", "load.js", CASES=json.dumps(loaded)) as node:
        assert node.says() == {"connected": LOAD}
        opened = {name: len(verdicts(name)) for name in everybody}
        for i in (1, 2):
            before = shown()
            subprocess.run(["ip", "addr", "add", "10.55.0.%d/32" % i, "dev", "re0"], check=True)
            story.stays.tell("round")
            wait_for(lambda: shown() != before, "another certificate", 30)
            story.stays.n += 1
            assert story.stays.says() == {"round": story.stays.n}
            clients_of.rounds()
            matrix(by_key())
        node.tell("enough")
        sent = node.says()["sent"]
    assert {name: len(verdicts(name)) for name in everybody} == opened, "they had to connect again"
    for one, n in zip(loaded, sent):
        came = lambda: [e["body"] for e in story.events_of(one["device"])]
        wait_for(lambda: len(came()) >= n, "what %s has sent" % one["device"], 60)
        assert came() == [str(k) for k in range(n)], (one["device"], n, came())


def test_03_two_names():
    """the gateway by its further name"""
    matrix(by_key(), gateway=FURTHER)


def test_04_renewed():
    """a device whose certificate was renewed a moment ago gets in with the new one at once, and with the old one no more"""
    old, new = story.pki.make("device", "rotates", file="rotates-old"), story.pki.make("device", "rotates", file="rotates-new")
    matrix(by_cert("rotates", old, thumbprint(old[0])))
    record = story.rest("GET", "/devices/rotates")[2]
    record["authentication"]["x509Thumbprint"] = {"primaryThumbprint": thumbprint(new[0]), "secondaryThumbprint": "A" * 64}
    assert story.rest("PUT", "/devices/rotates", record, {"If-Match": "*"})[0] == 200
    matrix(by_cert("rotates", new))
    matrix(by_cert("rotates", old), refused=True)


def test_05_chains():
    """a certificate that is a server's only, and one below an intermediate that has ended, are refused as UnauthorizedError; a good one of the same CA gets in"""
    story.pki.make("intermediate", "Factory", file="factory")
    old = ("--not-before", "2020-01-01", "--not-after", "2021-01-01")
    with open(story.folder / "factory.pem") as f:
        assert story.rest("PUT", "/certificates/factory", {"properties": {"certificate": f.read(), "isVerified": True}})[0] == 200
    for id in ("good", "server", "below"):
        child(id, authentication={"type": "certificateAuthority"})
    story.pki.make("intermediate", "Old line", issuer="factory", file="line")
    below = story.pki.make("device", "below", issuer="line")
    run("rootedge", "cert", "intermediate", "--name", "Old line", "--issuer", story.folder / "factory.pem", "--issuer-key", story.folder / "factory.key", "--key", story.folder / "line.key", "--out",
        story.folder / "ended.pem", *old)
    with open(below[0]) as f, open(story.folder / "ended.pem") as ended:
        pem = f.read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n" + ended.read()
    with open(below[0], "w") as f:
        f.write(pem)
    matrix(by_cert("good", story.pki.make("device", "good", issuer="factory")))
    matrix(by_cert("server", story.pki.make("server", "server", issuer="factory")), by_cert("below", below), refused=True)


def test_06_storm():
    """a thousand clients, which with the one that stays are as many as may be connected, come and go and come, and one more has no place; after a kill of the gateway all are back by themselves"""
    story.many = [by_key() for _ in range(STORM)]
    more = by_key()
    storm = lambda: clients_of.Program("storm", "storm.js", CASES=json.dumps(story.many))
    with storm() as node:  # these go without a word, and count no more
        assert node.says(300) == {"connected": STORM}
    with storm() as node:
        assert node.says(300) == {"connected": STORM}
        assert place_of(more) == 3
        assert [v for v in story.edge.events() if v["peer"] == more["device"]][-1]["cause"] == "TOO_MANY_CLIENTS"
        os.kill(int(story.edge.roles()["gateway"]["Pid"]), signal.SIGKILL)
        node.tell("again")
        assert node.says(300) == {"sent": "again"}
    for one in (story.many[0], story.many[-1]):
        wait_for(lambda: "again" in [e["body"] for e in story.events_of(one["device"])], "its message", 60)
    clients_of.rounds()


def test_07_store():
    """a kept scope that can't be decrypted is set aside, and the clients are back as if it were not"""
    def damage():
        with open(story.folder / "edge/gateway/scope", "r+b") as f:
            f.seek(60)
            f.write(b"????")
    restart(damage)
    wait_for(lambda: "set aside" in story.edge.log_text(), "the word about it", 30)
    clients_of.rounds()
    matrix(by_key())


def test_08_clock():
    """the clock of the box half an hour ahead, half an hour behind, and right again: the client that is connected goes on"""
    for seconds in (1800, -1800, 0):
        set_clock(seconds)
        clients_of.rounds()


def test_09_own_token():
    """the hub refuses the gateway itself, whose key is another now: it removes nobody, and takes what is sent"""
    uri = "/devices/EdgeGateway/modules/%24edgeHub"
    record = story.rest("GET", uri)[2]
    right = record["authentication"]["symmetricKey"]
    record["authentication"]["symmetricKey"] = {"primaryKey": new_key(), "secondaryKey": new_key()}
    assert story.rest("PUT", uri, record, {"If-Match": "*"})[0] == 200
    at = len(story.edge.log_text())
    matrix(story.many[0], sendOnly=True)
    wait_for(lambda: "its messages wait" in story.edge.log_text()[at:], "the hub's refusal", 60)
    matrix(*story.many[:20], sendOnly=True)
    assert "given up" not in story.edge.log_text()[at:]
    record["authentication"]["symmetricKey"] = right
    assert story.rest("PUT", uri, record, {"If-Match": "*"})[0] == 200
    wait_for(lambda: story.events_of(story.many[19]["device"])[-1]["body"] == "from case 19", "what was taken meanwhile", 120)


def test_10_month():
    """renewal while offline for longer than 24.8 days: by then the gateway shows another certificate, clients whose clock goes with it are let in, and what they send arrives when the hub is back"""
    assert story.hub.stop() == 0
    before = shown()
    set_clock(25 * DAY)
    wait_for(lambda: shown() != before, "another certificate", 60)
    set_clock(30 * DAY)
    matrix(*story.many[20:40], ahead_s=30 * DAY, sendOnly=True)
    story.hub.start()
    for one in story.many[20], story.many[39]:
        wait_for(lambda: story.events_of(one["device"])[-1]["body"].startswith("from case"), "its message", 90)


def test_11_full():
    """a full disk: nothing is acknowledged that could be lost, and what a client sends is there once there is room"""
    filler, one = story.folder / "edge/filler", story.many[40]
    os.makedirs(os.path.dirname(filler), exist_ok=True)
    with open(filler, "wb", buffering=0) as f:
        try:
            while f.write(b"x" * 4096):
                pass
        except OSError:
            pass
    at = len(story.edge.log_text())
    sending = threading.Thread(target=matrix, args=(one,), kwargs={"ahead_s": 30 * DAY, "sendOnly": True})
    sending.start()
    wait_for(lambda: "stored" in story.edge.log_text()[at:], "the word about it", 60)
    n_before = len(story.events_of(one["device"]))
    os.unlink(filler)
    sending.join()
    wait_for(lambda: len(story.events_of(one["device"])) > n_before and story.events_of(one["device"])[-1]["body"] == "from case 0", "its message", 90)


def test_12_root():
    """root rollover with overlap: the Edge CA goes below another root; who trusts both gets in before and after, who trusts the new one alone gets in after"""
    made = lambda name: str(story.folder / name)
    run("rootedge", "cert", "root", "--name", "the next root", "--out", made("next.pem"), "--key-out", made("next.key"))
    with open(made("both.pem"), "w") as both:
        for root in (story.pki.root, made("next.pem")):
            with open(root) as f:
                both.write(f.read())
    matrix(dict(story.many[50], ca=made("both.pem")), ahead_s=30 * DAY, sendOnly=True)

    def below_the_next():
        story.pki.make("edge-ca", "iotedged workload ca edgegateway", issuer="next", file="edgeca")
    restart(below_the_next)
    matrix(dict(story.many[50], ca=made("both.pem")), dict(story.many[51], ca=made("next.pem")), ahead_s=30 * DAY, sendOnly=True)


def test_99_end():
    """everything stops in order"""
    story.stays.__exit__()
    assert story.edge.stop() == 0 and story.hub.stop() == 0
    story.folder.__exit__()
    story.clock_folder.__exit__()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "inside":
        sys.argv.pop(1)
        run_all(globals())
    enter_namespaces(os.path.abspath(__file__))
