#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Renewal while an edge device runs: the Edge CA follows itself at its threshold, the gateway shows a certificate of the new one at once and drops nobody, what it replaced stays in the
trust bundle until its end; and a clock that is wrong for a while costs no certificate."""
import json, os, re, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from renewal_story import *
from est_server import EstServer

NEXT = "aziot-edged-ca-temp"


def test_01_while_it_runs():
    """at its threshold the Edge CA has a successor, which stands in the trust bundle for eleven days before it takes over: who looked meanwhile trusts both.  Then the gateway shows a certificate
    of the new one without a restart, and a device that is connected stays so"""
    with Story() as it:
        first = it.renewal()
        assert first["status"] == "good" and first["renews"] and first["attempts"] == 0 and first["last_error"] is None, first
        assert abs(parse_time(first["next_attempt"]) - it.now() - 83 * DAY) < DAY / 2, first
        old, old_pem = first["sha256"], it.ca()
        assert it.bundle()[0] == old and it.is_under(it.leaf(), old_pem)
        key = new_key()
        it.edge.create_child("sensor", {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}})
        token = sas("%s/devices/sensor" % it.hub.hostname, key, expires=int(time.time()) + 1000 * DAY)
        with it.edge.mqtt("sensor", password=token) as device:
            device.publish("devices/sensor/messages/events/", b"before")
            assert it.move(71)["sha256"] == old and it.bundle().count(old) == len(it.bundle()) - 1, "nobody is to follow yet"
            pids = {n: it.edge.role(n) for n in ("edged", "certd", "keyd", "gateway")}
            it.move(73)
            next_ = it.settle(NEXT)
            assert it.renewal()["sha256"] == old and next_["status"] == "good" and next_["sha256"] in it.bundle() and it.bundle()[0] == old, (next_, it.bundle())
            with_both = it.ask("/trust-bundle")["certificate"]
            assert it.is_under(it.wait_leaf(old_pem), with_both), "who knows the old root alone is served by it"
            assert it.move(82)["sha256"] == old and it.settle(NEXT)["sha256"] == next_["sha256"] and it.is_under(it.leaf(), old_pem)
            new = it.move(84)["sha256"]
            assert new == next_["sha256"], "who follows is who was shown"
            it.wait_leaf(it.ca())
            assert it.is_under(it.leaf(), with_both), "who looked while both stood there trusts it"
            assert not it.is_under(it.leaf(), old_pem)
            device.publish("devices/sensor/messages/events/", b"after")
        assert {n: it.edge.role(n) for n in pids} == pids, "nothing was restarted"
        bundle = it.bundle()
        assert bundle[0] == new and bundle.count(old) == 1, bundle
        assert parse_time(it.renewal()["not_after"]) > it.now() + 75 * DAY
        it.move(91)
        assert old not in it.bundle() and new in it.bundle(), "what has ended leaves the bundle"


def test_02_same_key():
    """with rotate_key = false the new certificate is for the same key, and a device that knows only the old root still lets the gateway in until that has ended"""
    with Story("[edge_ca]\nauto_renew = { rotate_key = false, threshold = \"50%\" }\n") as it:
        old, old_pem = it.renewal()["sha256"], it.ca()
        assert it.move(46)["sha256"] != old
        new_pem = it.ca()
        leaf = it.wait_leaf(new_pem)
        assert openssl("x509", "-noout", "-pubkey", input=new_pem) == openssl("x509", "-noout", "-pubkey", input=old_pem)
        assert it.is_under(leaf, old_pem) and not it.is_under(leaf, old_pem, time.time() + 91 * DAY)


def test_03_year_ahead():
    """a clock that is a year ahead for a while has the Edge CA renewed, and back in its own time the one before it is in force again, with its key"""
    with Story() as it:
        old, old_pem = it.renewal()["sha256"], it.ca()
        ahead = it.move(365)["sha256"]
        assert ahead != old
        it.wait_leaf(it.ca())
        back = it.move(1)
        assert back["sha256"] == old and back["status"] == "good", back
        it.wait_leaf(old_pem)
        assert "because the clock was set" in it.edge.log_text()
        assert it.edge.stop() == 0
        it.edge.start()
        assert it.settle()["sha256"] == old
        it.wait_leaf(old_pem)


def test_04_year_behind():
    """a clock that is a year behind for a moment makes nothing new, and what the gateway shows stays valid for those whose clock is right"""
    with Story() as it:
        old, leaf = it.renewal()["sha256"], it.leaf()
        it.set_clock(-365)
        wait_for(lambda: it.renewal()["status"] == "not begun", "edged noticing it", 20)
        assert it.renewal()["sha256"] == old and it.leaf() == leaf
        back = it.move(1)
        assert back["sha256"] == old and back["status"] == "good" and it.leaf() == leaf


def test_05_year_behind_for_long():
    """a clock that stays a year behind is believed in the end: there is an Edge CA for that time, and when it is set right the one before it is in force again"""
    with Story() as it:
        old, old_pem = it.renewal()["sha256"], it.ca()
        it.set_clock(-365)
        other = wait_for(lambda: (lambda r: r if r["sha256"] not in (None, old) else None)(it.renewal()), "another Edge CA", 100)
        assert other["status"] == "good", other
        it.wait_leaf(it.ca())
        assert it.move(1)["sha256"] == old
        it.wait_leaf(old_pem)


def test_06_1970():
    """a device that boots in 1970 without a network starts, keeps its Edge CA, shows a certificate that is valid for those whose clock is right, and goes on with it when its clock is set"""
    with Story() as it:
        old, old_pem = it.renewal()["sha256"], it.ca()
        assert it.edge.stop() == 0 and it.hub.stop() == 0
        it.set_clock(-time.time() / DAY + 1)
        it.edge.start()
        found = it.renewal()
        assert found["sha256"] == old and found["status"] == "not begun" and found["attempts"] == 0, found
        leaf = it.leaf()
        assert it.is_under(leaf, old_pem, time.time()) and it.is_under(leaf, old_pem, time.time() + 25 * DAY)
        assert "is it set?" in it.edge.log_text()
        assert it.move(1)["sha256"] == old
        assert it.is_under(it.leaf(), old_pem)


def test_07_preloaded():
    """an Edge CA that was given as a file is never renewed here, and is warned about when its end is near"""
    with Folder() as given:
        pki = Pki(given)
        cert, key = pki.make("edge-ca", "my Edge CA", "--days", 100, file="edgeca")
        if os.getuid() == 0:
            os.chown(key, 61840, 61840)
        with Story('[edge_ca]\ncert = "file://%s"\npk = "file://%s"\n' % (cert, key)) as it:
            first = it.renewal()
            assert first["renews"] is False and first["next_attempt"] is None and first["status"] == "good", first
            near = it.move(97)
            assert near["sha256"] == first["sha256"] and near["status"] in ("late", "urgent"), near
            wait_for(lambda: "put its successor there" in it.edge.log_text(), "the warning", 20)


def test_08_issuer_away():
    """an EST server that is away for weeks: attempts come closer as the end does, and go on behind it; what is in force serves until its end, and when the server is back all is well by itself"""
    with Folder() as made:
        est = EstServer(made)
        est.days = 100
        boot_pem, boot_key = est.bootstrap_ca.leaf("bootstrap", "/CN=bootstrap", ["extendedKeyUsage=clientAuth"])
        with Story("""[edge_ca]
method = "est"
url = "%s/edgeca"
[cert_issuance.est]
trusted_certs = ["file://%s"]
[cert_issuance.est.auth]
bootstrap_identity_cert = "file://%s"
bootstrap_identity_pk = "file://%s"
""" % (est.url, est.tls_root.pem, boot_pem, boot_key)) as it:
            first = it.renewal()
            assert first["status"] == "good", first
            est.stop()
            attempts, gaps = 0, []
            for day, status in ((81, "due"), (86, "due"), (91, "late"), (95.6, "late"), (98.1, "urgent"), (99.2, "urgent"), (99.7, "urgent")):
                found = it.move(day)
                assert found["sha256"] == first["sha256"] and found["status"] == status and found["last_error"], (day, found)
                assert found["attempts"] > attempts, (day, found)
                attempts = found["attempts"]
                gaps.append(parse_time(found["next_attempt"]) - it.now())
                it.wait_leaf(it.ca())
            assert gaps[0] > 3 * DAY and gaps[-1] < DAY / 2 and min(gaps) > 0, gaps
            over = it.move(103)
            assert over["status"] == "ended" and over["attempts"] > attempts and parse_time(over["next_attempt"]) - it.now() < 800, over
            assert any('"error"' in line and "aziot-edged-ca is ended" in line for line in it.edge.log_text().splitlines())
            est.days = 300
            est.start()
            back = it.move(103.01)
            assert back["status"] == "good" and back["attempts"] == 0 and back["last_error"] is None and back["sha256"] != first["sha256"], back
            it.wait_leaf(it.ca())
            assert it.renewals("certd")["est-id"]["status"] == "good"
        est.stop()


def test_09_command():
    """rootedge renewals tells people, programs and Prometheus what there is, whether the device runs or not, and its exit status whether all is valid"""
    with Story() as it:
        it.renewal()

        def renewals(*options, status=0):
            done = run("rootedge", "renewals", "--state", it.edge.state, *options, check=False)
            assert done.returncode == status, done
            return done.stdout.splitlines()
        head, *lines = renewals()
        assert head.split() == ["CERTIFICATE", "OF", "STATUS", "ENDS", "(UTC)", "RENEWED", "NEXT"], head
        assert [line.split()[:3] for line in lines] == [["device-id", "identityd", "good"], ["aziot-edged-ca", "edged", "good"], [NEXT, "edged", "good"]] and lines[0].rstrip().endswith("not here"), lines
        found = {r["id"]: r for r in map(json.loads, renewals("--json"))}
        assert found["aziot-edged-ca"]["sha256"] == it.renewal()["sha256"] and found["device-id"]["renews"] is False, found
        metrics = renewals("--metrics")
        assert 'rootedge_certificate_valid{id="aziot-edged-ca",role="edged"} 1' in metrics, metrics
        assert 'rootedge_certificate_next_attempt_seconds{id="device-id",role="identityd"} 0' in metrics, metrics
        assert all(line.startswith("# ") or re.fullmatch(r'[a-z_]+\{id="[^"]+",role="[a-z]+"\} \d+', line) for line in metrics), metrics
        assert it.edge.stop() == 0
        it.set_clock(400)
        assert [line.split()[2] for line in renewals(status=1)[1:]] == ["ended"] * 3
        assert 'rootedge_certificate_valid{id="aziot-edged-ca",role="edged"} 0' in renewals("--metrics", status=1)
        with open(os.path.join(it.edge.state, "edged", "renewals.json"), "w") as f:
            f.write("{")
        assert run("rootedge", "renewals", "--state", it.edge.state, check=False).returncode == 1
        done = run("rootedge", "renewals", "--state", it.folder / "nothing", check=False)
        assert done.returncode == 1 and "no service of an edge device" in done.stderr, done
        assert run("rootedge", "renewals", "--stat", "x", check=False).returncode == 2
        it.edge.start()  # for the end of the story


if __name__ == "__main__":
    run_all(globals())
