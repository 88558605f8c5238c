#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What asks a hub over HTTPS goes through the proxy that the environment names, and not where NO_PROXY spares the hub; the hub is judged behind the proxy as it is without."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from peers import *

folder = Folder()
pki = Pki(folder)
hub = Hub(folder, pki)
hub.create_x509_device("TempSensor", thumbprint(pki.make("device", "TempSensor")[0]))


def hub_list(check=True, connect_to="127.0.0.1", **env):
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return run("rootedge", "hub", "device", "list", "--hub", "HostName=%s:%d;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (hub.hostname, hub.https_port, hub.policy()),
               "--ca", pki.root, *(["--connect-to", connect_to] if connect_to else []), check=check, env=clean | env)


def test_01_through():
    """the hub is asked through the proxy, which hears CONNECT and where to, and no token"""
    with ConnectProxy() as proxy:
        assert "TempSensor" in hub_list(HTTPS_PROXY="http://127.0.0.1:%d" % proxy.port).stdout
        assert "TempSensor" in hub_list(all_proxy="127.0.0.1:%d" % proxy.port, connect_to=None).stdout
        assert [head.split("\r\n")[0] for head in proxy.heads] == ["CONNECT 127.0.0.1:%d HTTP/1.1" % hub.https_port, "CONNECT %s:%d HTTP/1.1" % (hub.hostname, hub.https_port)], proxy.heads
        assert "SharedAccess" not in "".join(proxy.heads)


def test_02_spared():
    """a hub that NO_PROXY names, or the domain it is in, is asked directly"""
    with ConnectProxy() as proxy:
        for names in (hub.hostname, "example.org, local", ".local", "*"):
            assert "TempSensor" in hub_list(HTTPS_PROXY="http://127.0.0.1:%d" % proxy.port, NO_PROXY=names).stdout
        assert not proxy.heads
        hub_list(HTTPS_PROXY="http://127.0.0.1:%d" % proxy.port, NO_PROXY="example.org")
        assert len(proxy.heads) == 1


def test_03_user():
    """a proxy's user and password are sent to it; without them its refusal is told, and neither is shown"""
    with ConnectProxy(user="me:p@ss") as proxy:
        assert "TempSensor" in hub_list(HTTPS_PROXY="http://me:p%%40ss@127.0.0.1:%d" % proxy.port).stdout
        done = hub_list(check=False, HTTPS_PROXY="http://me:hunter2@127.0.0.1:%d" % proxy.port)
        assert done.returncode == 1 and "the proxy 127.0.0.1:%d: " % proxy.port in done.stderr and "407" in done.stderr and "hunter2" not in done.stderr, done


def test_04_judged():
    """a proxy that leads to somebody else is found out, and hears no token"""
    with Stranger(lambda s: s.recv(65536), *pki.make("server", "fabrikam.local")) as other, ConnectProxy(elsewhere=other.port) as proxy:
        done = hub_list(check=False, HTTPS_PROXY="http://127.0.0.1:%d" % proxy.port)
        assert done.returncode == 1 and "NAME_MISMATCH" in done.stderr and len(proxy.heads) == 1, done
    assert other.heard in ([], [b""]), other.heard


def test_05_absent():
    """a proxy that is not there, and one of another kind, are told as such"""
    done = hub_list(check=False, HTTPS_PROXY="http://127.0.0.1:%d" % refused_port())
    assert done.returncode == 1 and "the proxy 127.0.0.1:" in done.stderr and "refused" in done.stderr, done
    done = hub_list(check=False, HTTPS_PROXY="socks5://127.0.0.1:1")
    assert done.returncode == 1 and "only http:// proxies" in done.stderr, done


def test_06_edge():
    """an edge device proves itself to the hub through the proxy, by a certificate whose key is in keyd, and its gateway asks for its devices and carries their lines that way"""
    with ConnectProxy() as proxy:
        os.environ["HTTPS_PROXY"] = "http://127.0.0.1:%d" % proxy.port
        try:
            edge = Edge(folder, hub)
        finally:
            del os.environ["HTTPS_PROXY"]
        device = pki.make("device", "Child")
        edge.create_x509_child("Child", thumbprint(device[0]))
        with edge.mqtt("Child", cert=device[0], key=device[1]):
            pass
        assert len(proxy.heads) >= 2 and all("CONNECT 127.0.0.1:%d " % hub.https_port in head for head in proxy.heads), proxy.heads
        wait_for(lambda: "one connection to the hub carries all devices" in edge.log_text(), "one connection through the proxy", 30)
        edge.stop()


def test_99_end():
    """the folder goes"""
    hub.stop()
    folder.__exit__()


if __name__ == "__main__":
    run_all(globals())
