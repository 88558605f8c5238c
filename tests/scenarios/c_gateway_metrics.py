#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the gateway tells its own box: metrics by the original's names and ours, health and readiness, on a port and on the operator's socket."""
import http.client, os, re, shutil, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from listener_of_gateway import *
from site_of_gateway import *

it = None
TOPIC = "devices/dev1/messages/events/"
LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("gateway", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


def ask(path, method="GET", socket_path=None, headers=None):
    connection = UnixConnection(socket_path) if socket_path else http.client.HTTPConnection("127.0.0.1", it.metrics_port, timeout=20)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        connection.close()


def control():
    return os.path.join(it.edge.state, "gateway", "control.sock")


def parse(text):
    """{name: [({label: value}, number)]}; every line must be one of Prometheus's text format, each family with HELP and TYPE before it, in one piece."""
    families, series, kinds = [], {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds, name
            kinds[name] = kind
            families.append(name)
            continue
        if line.startswith("# HELP "):
            continue
        found = LINE.fullmatch(line)
        assert found, line
        name, labels, number = found.groups()
        base = re.sub("_(sum|count)$", "", name)
        assert families and (families[-1] == name or (families[-1] == base and kinds[base] == "summary")), line
        series.setdefault(name, []).append((dict(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', labels or "")), float(number)))
    return series


def metrics():
    status, kind, text = ask("/metrics")
    assert status == 200 and kind == "text/plain; version=0.0.4; charset=utf-8", (status, kind)
    return parse(text)


def value(name, series=None, **labels):
    """The number of the series with these labels; 0 when there is none."""
    found = [n for l, n in (series or metrics()).get(name, []) if all(l.get(k) == v for k, v in labels.items())]
    assert len(found) <= 1, (name, labels, found)
    return found[0] if found else 0


def ready():
    status, _, text = ask("/readyz")
    answer = json.loads(text)
    assert answer["ready"] == (status == 200), (status, answer)
    return answer


def test_00_start():
    """a gateway with a port for metrics starts; two devices come and send, a stranger is refused"""
    global it
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="re-metrics-")
    os.chmod(folder, 0o755)
    routes = os.path.join(folder, "routes.json")
    short = {"route": "FROM /messages/* WHERE kind = 'short' INTO $upstream", "timeToLiveSecs": 1}
    with open(routes, "w") as f:
        json.dump({"schemaVersion": "1.1", "routes": {"most": "FROM /messages/* WHERE NOT is_defined(kind) INTO $upstream", "short": short}}, f)
    it = Site(proxy=True, gateway='metrics_port = %d\nmax_queue_mib = 8\nroutes = "%s"' % (port, routes))
    it.aside = folder
    it.metrics_port = port
    it.dev1 = it.x509("dev1")
    it.sas1 = it.key("sas1")
    with it.edge.mqtt("dev1", **it.dev1) as m:
        m.publish(TOPIC, b"x" * 1000)
        m.publish(TOPIC, b"hello")
        it.arrived("hello")
    with it.edge.mqtt("sas1", password=it.token("sas1", it.sas1)) as m:
        m.publish("devices/sas1/messages/events/", b"from sas1")
        it.arrived("from sas1")
    try:
        it.edge.mqtt("nobody", password=it.token("nobody", it.sas1))
    except Refused:
        pass


def test_01_names():
    """what has happened is counted under the original's names, with its common labels"""
    wait_for(lambda: value("edgehub_connected_clients") == 0, "both to have left")
    m = metrics()
    assert value("edgehub_client_connect_success_total", m, id="dev1") == 1 and value("edgehub_client_connect_success_total", m, id="sas1") == 1
    assert value("edgehub_client_disconnect_total", m, id="dev1") == 1
    assert value("edgehub_messages_received_total", m, id="dev1") == 2 and value("edgehub_messages_received_total", m, id="sas1") == 1
    wait_for(lambda: value("edgehub_messages_sent_total", to="upstream", **{"from": "dev1"}) == 2, "two that the hub has acknowledged")
    m = metrics()
    for name in ("edgehub_message_send_duration_seconds", "edgehub_message_process_duration_seconds"):
        assert value(name + "_count", m, to="upstream", **{"from": "dev1"}) == 2, (name, m.get(name + "_count"))
    sent, processed = [value("edgehub_message_%s_duration_seconds_sum" % w, m, to="upstream", **{"from": "dev1"}) for w in ("send", "process")]
    assert 0 <= sent <= processed < 60 * SLOW, (sent, processed)
    assert value("edgehub_message_size_bytes_sum", m, id="dev1") == 1005 and value("edgehub_message_size_bytes_count", m, id="dev1") == 2
    labels = m["edgehub_client_connect_success_total"][0][0]
    assert labels["iothub"] == it.hub.hostname and labels["edge_device"] == "EdgeGateway" and re.fullmatch("[0-9a-f-]{36}", labels["instance_number"]), labels


def test_01_b_twins():
    """twins that are asked for, and what is reported, are counted, with how long they took"""
    device = Device(it, "sas1", it.sas1).connect(RESULTS)
    device.twin()
    for n in range(2):
        assert device.report({"n": n})[0] == 204
    device.leave()
    m = metrics()
    for name, label, n in (("gettwin", "source", 1), ("reported_properties", "target", 2)):
        of = {"id": "sas1", label: "edge_hub"}
        took = "edgehub_gettwin_duration_seconds_count" if name == "gettwin" else "edgehub_reported_properties_update_duration_seconds_count"
        assert value("edgehub_%s_total" % name, m, **of) == value(took, m, id="sas1") == n, (name, m.get("edgehub_%s_total" % name), m.get(took))


def test_02_strangers():
    """an id that the hub has no record of is no label: whoever knocks may choose any"""
    m = metrics()
    assert value("edgehub_client_connect_failed_total", m, id="unknown", reason="not_authenticated") == 1, m["edgehub_client_connect_failed_total"]
    assert value("rootedge_gateway_verdicts_total", m, reason="DEVICE_UNKNOWN", method="sas") == 1, m["rootedge_gateway_verdicts_total"]
    assert value("rootedge_gateway_verdicts_total", m, reason="OK", method="certificate") == 1
    assert not any("nobody" in str(s) for s in m.values())


def test_03_ours():
    """certificate, scope, queue, disk and the hub are measured"""
    m = metrics()
    ends = value("rootedge_certificate_not_after_seconds", m, id="edgehub-server", role="gateway")
    assert time.time() < ends and value("rootedge_certificate_valid", m, id="edgehub-server", role="gateway") == 1
    assert value("rootedge_gateway_scope_records", m) >= 2 and 0 <= value("rootedge_gateway_scope_age_seconds", m) < 300
    assert value("rootedge_gateway_queue_limit_bytes", m) == 8 << 20 and value("rootedge_gateway_queue_bytes", m) > 0
    assert value("rootedge_gateway_disk_free_bytes", m) > 0 and value("rootedge_gateway_hub_reachable", m) == 1
    wait_for(lambda: value("edgehub_queue_length", endpoint="iothub") == 0, "an empty queue")


def test_04_ready():
    """it is alive and ready, and says so in words"""
    status, kind, text = ask("/healthz")
    assert status == 200 and json.loads(text)["alive"] is True and kind.startswith("application/json"), (status, kind, text)
    answer = ready()
    assert answer["ready"] and set(answer["checks"]) == {"certificate", "keys", "scope", "queue"}, answer
    assert "valid until" in answer["checks"]["certificate"]["says"], answer


def test_05_away():
    """while the hub is away the gateway stays ready, what waits is counted with its age, and the loss of the hub once"""
    it.cut_off()
    with it.edge.mqtt("dev1", **it.dev1) as m:
        for i in range(5):
            m.publish(TOPIC, b"kept %d" % i)
        wait_for(lambda: value("rootedge_gateway_hub_reachable") == 0, "the loss to be noticed")
        wait_for(lambda: value("edgehub_queue_length", endpoint="iothub") == 5, "five that wait")
        assert value("edgehub_connected_clients") == 1 and ready()["ready"]
        wait_for(lambda: value("rootedge_gateway_hub_away_seconds") > 0 and value("rootedge_gateway_queue_oldest_seconds") > 0, "some time to pass")
        assert value("edgehub_offline_count_total", id="EdgeGateway/$edgeHub") == 1
        it.reconnect()
        it.arrived("kept 4")
        wait_for(lambda: value("edgehub_queue_length", endpoint="iothub") == 0 and value("rootedge_gateway_hub_reachable") == 1, "all to be well")
    assert value("edgehub_offline_duration_seconds_count", id="EdgeGateway/$edgeHub") == 1


def test_05_b_dropped():
    """what no route takes, and what has expired, is counted by who had sent it"""
    def of(reason):
        return {l["from"]: n for l, n in metrics().get("edgehub_messages_dropped_total", []) if l["reason"] == reason and n > 0}
    it.cut_off()
    with it.edge.mqtt("dev1", **it.dev1) as m, it.edge.mqtt("sas1", password=it.token("sas1", it.sas1)) as other:
        for i in range(3):
            m.publish(TOPIC + "kind=short", b"short %d" % i)
            m.publish(TOPIC + "kind=nobodys", b"nobody's %d" % i)
        other.publish("devices/sas1/messages/events/kind=short", b"short")
        other.publish("devices/sas1/messages/events/kind=nobodys", b"nobody's")
        wait_for(lambda: of("ttl_expiry") == {"dev1": 3, "sas1": 1}, "those of a second to expire")
        assert of("no_route") == {"dev1": 3, "sas1": 1}, of("no_route")
        it.reconnect()
        wait_for(lambda: value("rootedge_gateway_hub_reachable") == 1, "the hub to be back")


def test_06_socket():
    """the operator's socket has the same, and is for its own user: of mode 0600"""
    assert os.stat(control()).st_mode & 0o777 == 0o600
    status, _, text = ask("/metrics", socket_path=control())
    assert status == 200 and "edgehub_connected_clients" in text
    assert ask("/readyz", socket_path=control())[0] == 200
    if os.getuid() == 0:  # the folder keeps others away; so does the gateway, should somebody open the folder
        os.chmod(os.path.dirname(control()), 0o711)
        os.chmod(control(), 0o666)
        pid = os.fork()
        if pid == 0:
            try:
                os.setresuid(65534, 65534, 65534)
                os._exit(0 if ask("/metrics", socket_path=control())[0] == 403 else 1)
            except BaseException:
                os._exit(2)
        assert os.waitpid(pid, 0)[1] == 0
        os.chmod(control(), 0o600)
        os.chmod(os.path.dirname(control()), 0o700)


def test_07_bad_requests():
    """what is not there is 404, another method 405, and what is no HTTP, or comes too slowly or in too many connections, ends without harm"""
    assert ask("/")[0] == 404 and ask("/metrics/x")[0] == 404 and ask("/%00")[0] in (400, 404)
    assert ask("/metrics", "POST")[0] == 405 and ask("/readyz", "DELETE")[0] == 405
    assert ask("/metrics?x=1")[0] == 200
    for junk in (b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET /metrics\r\n\r\n", b"GET /metrics HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"A" * 100000, b"\r\n" * 5000):
        with socket.create_connection(("127.0.0.1", it.metrics_port), timeout=20) as s:
            try:
                s.sendall(junk)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    many = [socket.create_connection(("127.0.0.1", it.metrics_port), timeout=20) for _ in range(200)]
    for s in many:
        s.close()
    wait_for(lambda: ask_softly("/healthz"), "the port to be free again")


def ask_softly(path):
    try:
        return ask(path)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_07_b_keyd_hangs():
    """a keyd that does not answer could let nobody in, and so it is not ready, in words, though nobody comes; it is ready again when keyd goes on"""
    keyd = it.edge.role("keyd")
    assert ready()["checks"]["keys"] == {"ok": True, "says": "keyd answers"}
    os.kill(keyd, signal.SIGSTOP)
    try:
        answer = wait_for(lambda: not ready()["ready"] and ready(), "not to be ready", 60)
        assert "keyd has not answered for" in answer["checks"]["keys"]["says"], answer
        status = run("rootedge", "status", "--state", it.edge.state, check=False)
        assert status.returncode == 1 and "it is not ready: keys: keyd has not answered for" in status.stdout, status
        seconds = lambda: int(re.search(r"for (\d+) s", ready()["checks"]["keys"]["says"]).group(1))
        wait_for(lambda: seconds() >= 20, "the second question to wait, of one silence", 60)
    finally:
        os.kill(keyd, signal.SIGCONT)
    wait_for(lambda: ready()["ready"], "to be ready again", 60)
    it.edge.mqtt("dev1", **it.dev1).close()


def flood(device, **how):
    """Until it is refused."""
    try:
        with it.edge.mqtt(device, **how) as m:
            while True:
                m.publish("devices/%s/messages/events/" % device, b"y" * 100000)
    except (EOFError, OSError):
        pass


def test_08_full():
    """a queue that is full makes it not ready, in words; it is ready again when there is place"""
    keys = {"flood%d" % i: it.key("flood%d" % i) for i in range(5)}
    for device, key in keys.items():
        it.edge.mqtt(device, password=it.token(device, key)).close()
    it.cut_off()
    for device, key in keys.items():
        flood(device, password=it.token(device, key))
    answer = wait_for(lambda: not ready()["ready"] and ready(), "not to be ready")
    assert "messages can't be stored" in answer["checks"]["queue"]["says"], answer
    m = metrics()
    refused = {l["from"]: n for l, n in m["edgehub_messages_unack_total"] if l["reason"] == "storage_failure"}
    assert refused and set(refused) <= set(keys), refused
    assert value("rootedge_gateway_violations_total", m, reason="QUEUE_FULL") >= 1, m["rootedge_gateway_violations_total"]
    assert value("rootedge_gateway_queue_refused_total", m) >= sum(refused.values()), m["rootedge_gateway_queue_refused_total"]
    it.reconnect()
    wait_for(lambda: ready()["ready"], "to be ready again", 60)


def test_09_restart():
    """without a port in the configuration there is none, and the socket still answers"""
    it.edge.stop()
    path = it.edge.args[it.edge.args.index("--config") + 1]
    text = open(path).read()
    open(path, "w").write(re.sub("metrics_port = [0-9]+\n", "", text))
    it.edge.start()
    assert not ask_softly("/metrics")
    assert ask("/readyz", socket_path=control())[0] in (200, 503)


def test_99_stop():
    """all of it stops"""
    it.stop()
    shutil.rmtree(it.aside)


if __name__ == "__main__":
    run_all(globals())
