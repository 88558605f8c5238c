#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unmodified device SDK on port 443 alone: MQTT over WebSocket, and file upload with the storage client that it brings (interop.py says how the names and ports come about)."""
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from interop import HUB, Story, enter_namespaces
from rootedge_test import *

story = cert = cert_key = key = None


def test_1_start():
    """a hub with a key device and a certificate device starts on port 443"""
    global story, cert, cert_key, key
    story = Story()
    key, cert, cert_key = story.new_devices("web")


def arrived(device):
    events = story.events_of(device)
    assert sorted((e["properties"]["n"], len(e["body"] or "")) for e in events) == sorted(("%d.%d" % (r, i), n) for r in range(5) for i, n in enumerate((0, 1, 100, 10000, 200000)))


def test_2_websocket_sas():
    """azure-iot-device sends over WebSocket by SAS, small and large, and all arrive as sent"""
    story.node("web.js", WHAT="send", DEVICE="web-sas", KEY=key)
    arrived("web-sas")


def test_3_websocket_x509():
    """azure-iot-device sends over WebSocket by X.509, small and large, and all arrive as sent"""
    story.node("web.js", WHAT="send", DEVICE="web-x509", CERT=cert, CERT_KEY=cert_key)
    arrived("web-x509")


def test_4_websocket_refused():
    """azure-iot-device with a wrong key, and with a certificate of somebody else, sees UnauthorizedError over WebSocket as well"""
    story.node("web.js", DEVICE="web-sas", KEY=new_key(), EXPECT="refused")
    wrong, wrong_key = story.pki.make("device", "web-x509", file="impostor")
    story.node("web.js", DEVICE="web-x509", CERT=wrong, CERT_KEY=wrong_key, EXPECT="refused")


def uploaded(name, size):
    """The service is told of it, and reads what was sent."""
    status, headers, note = story.rest("GET", "/messages/serviceBound/filenotifications")
    assert status == 200 and (note["blobName"], note["blobSizeInBytes"]) == (name, size), note
    assert story.rest("DELETE", "/messages/serviceBound/filenotifications/" + headers["ETag"].strip('"'))[0] == 204
    status, _, body = story.rest("GET", urllib.parse.urlsplit(note["blobUri"]).path)
    pattern = b"all work and no play "
    assert status == 200 and body == (pattern * (size // len(pattern) + 1))[:size], (status, len(body))


def test_5_upload_sas():
    """uploadToBlob by SAS of a file in one block, and of one in six blocks of 4 MiB"""
    for name, size in (("small.txt", 1000), ("dir/large one.bin", 22 << 20)):
        story.node("web.js", WHAT="upload", DEVICE="web-sas", KEY=key, BLOB=name, SIZE=str(size))
        uploaded("web-sas/" + name, size)


def test_6_upload_x509():
    """uploadToBlob by X.509"""
    story.node("web.js", WHAT="upload", DEVICE="web-x509", CERT=cert, CERT_KEY=cert_key, BLOB="by certificate", SIZE=str(5 << 20))
    uploaded("web-x509/by certificate", 5 << 20)


def test_7_upload_refused():
    """uploadToBlob with a wrong key fails, and the service hears of nothing"""
    try:
        story.node("web.js", WHAT="upload", DEVICE="web-sas", KEY=new_key(), BLOB="x", SIZE="10")
    except AssertionError as e:
        assert "BlobSasError" in str(e) and "IotHubUnauthorizedAccess" in str(e), e
    else:
        raise AssertionError("uploaded with a wrong key")
    assert story.rest("GET", "/messages/serviceBound/filenotifications")[0] == 204


def test_8_curl():
    """curl uploads by the link in the C client's steps: block, list, notification in a body"""
    token = sas("%s/devices/web-sas" % HUB, key)
    curl = lambda *args: run("curl", "-sS", "--cacert", story.pki.root, "-w", "\n%{http_code}", *args).stdout.rsplit("\n", 1)
    answer, status = curl("-H", "Authorization: " + token, "-H", "Content-Type: application/json", "-d", '{"blobName":"curl.txt"}',
                          "https://%s/devices/web-sas/files/?api-version=2016-11-14" % HUB)
    assert status == "200", answer
    answer = json.loads(answer)
    url = "https://%(hostName)s/%(containerName)s/%(blobName)s%(sasToken)s" % answer
    assert curl("-X", "PUT", "--data-binary", "all work and no", url + "&comp=block&blockid=MDAwMDAw")[1] == "201"
    assert curl("-X", "PUT", "-d", '<?xml version="1.0" encoding="utf-8"?>\n<BlockList><Latest>MDAwMDAw</Latest></BlockList>', url + "&comp=blocklist")[1] == "201"
    assert curl("-H", "Authorization: " + token, "-d", json.dumps({"correlationId": answer["correlationId"], "isSuccess": True, "statusCode": 201, "statusDescription": "Created"}),
                "https://%s/devices/web-sas/files/notifications/?api-version=2016-11-14" % HUB)[1] == "204"
    uploaded("web-sas/curl.txt", 15)


def test_9_twins_and_methods():
    """twins, methods and commands over WebSocket, of a device and of a module, also after the token was renewed without subscribing again"""
    connection = dict(KEY=story.new_devices("ws")[0], DEVICE="ws-sas", WEBSOCKET="1", HUB_LOG=story.hub.log_path)
    assert story.node("twin.js", CONNECTION_STRING=story.connection_string, **connection) == {"opened": 2}
    token = sas(HUB, story.policy_key(), policy="iothubowner", encode=False)
    assert story.node("commands.js", TOKEN=token, **connection) == {"received": 43}
    connection["KEY"] = story.rest("PUT", "/devices/ws-sas/modules/filter", {})[2]["authentication"]["symmetricKey"]["primaryKey"]
    story.node("twin.js", MODULE="filter", CONNECTION_STRING=story.connection_string, **connection)


def test_99_end():
    """everything stops in order"""
    story.hub.stop()
    story.folder.__exit__()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "inside":
        sys.argv.pop(1)
        run_all(globals())
    enter_namespaces(os.path.abspath(__file__))
