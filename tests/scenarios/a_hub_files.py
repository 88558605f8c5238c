#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""File upload: the link a device asks for, blocks and whole blobs as storage clients send them, what became of it, and the notification that services read.  Links allow their one blob until they end;
nothing is kept in memory, nothing half-written is left, and no name leads out of the folder."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from rootedge_test import *

hub = folder = pki = keys = clock = None
V = "?api-version=2021-04-12"
MIB = 1 << 20
NOTES = "/messages/serviceBound/filenotifications"


def test_00_start():
    """a hub starts with room for 64 MiB"""
    global hub, folder, pki, keys, clock
    folder = Folder()
    pki = Pki(folder)
    clock = folder / "clock"
    set_clock(0)
    hub = Hub(folder, pki, "contosoiothub.local", "--files-quota", 64, env={"ROOTEDGE_CLOCK_FILE": clock})
    keys = {d: hub.create_device(d)["authentication"]["symmetricKey"]["primaryKey"] for d in ("dev1", "dev2", "many")}


def set_clock(offset):
    with open(clock + ".new", "w") as f:
        f.write("%d\n" % offset)
    os.rename(clock + ".new", clock)


def send(method, path, body=None, **headers):
    return https(hub.https_port, method, path, body, {k.replace("_", "-"): v for k, v in headers.items()}, ca=pki.root)


def as_device(path, body, device="dev1", signer=None):
    return send("POST", "/devices/" + device + path, body, Authorization=hub.device_token(signer or device, keys[signer or device]))


def begin(name, device="dev1"):
    """(correlation id, path of the blob, link)"""
    status, _, answer = as_device("/files" + V, {"blobName": name}, device)
    assert status == 200, answer
    assert answer["hostName"] == "%s:%d" % (hub.hostname, hub.https_port) and answer["blobName"] == device + "/" + name and answer["sasToken"].startswith("?"), answer
    return answer["correlationId"], "/%s/%s" % (answer["containerName"], urllib.parse.quote(answer["blobName"])), answer["sasToken"]


def put(path, link, data, **headers):
    return send("PUT", path + link, data, **dict({"x_ms_blob_type": "BlockBlob"}, **headers))


def block(path, link, id, data):
    return send("PUT", path + link + "&comp=block&blockid=" + urllib.parse.quote(id, safe=""), data)


def block_list(path, link, ids):
    xml = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><BlockList>%s</BlockList>' % "".join("<Latest>%s</Latest>" % i for i in ids)
    return send("PUT", path + link + "&comp=blocklist", xml, Content_Type="application/xml", x_ms_blob_content_type="text/plain")


def ids(n):
    return [base64.b64encode(b"%048d" % i).decode() for i in range(n)]


def done(id, device="dev1", ok=True):
    return as_device("/files/notifications/" + id + V, {"isSuccess": ok, "statusCode": 200, "statusDescription": "it is there"}, device)


def service(method, path, **kw):
    return hub.rest(method, path, **kw)


def code(answer):
    return answer[0], answer[1].get("x-ms-error-code") or answer[1].get("iothub-errorcode")


def stored():
    return os.listdir(os.path.join(hub.state, "files"))


def next_note():
    status, headers, note = service("GET", NOTES)
    assert status == 200, (status, note)
    assert service("DELETE", NOTES + "/" + headers["ETag"].strip('"'))[0] == 204
    return note


def test_01_blocks():
    """a file in blocks of 4 MiB arrives whole, the service is told of it and reads it with its policy, the device with its link"""
    id, path, link = begin("log/2026 march.txt")
    data = os.urandom(9 * MIB + 17)
    parts = [data[i:i + 4 * MIB] for i in range(0, len(data), 4 * MIB)]
    names = ids(len(parts))
    for name, part in reversed(list(zip(names, parts))):
        assert block(path, link, name, part)[0] == 201
    status, headers, _ = block_list(path, link, names)
    assert status == 201 and headers["ETag"] and headers["Last-Modified"].endswith("GMT") and headers["x-ms-request-id"], headers.items()
    assert done(id)[0] == 204
    note = next_note()
    assert (note["deviceId"], note["blobName"], note["blobSizeInBytes"]) == ("dev1", "dev1/log/2026 march.txt", len(data)), note
    assert note["blobUri"] == "https://%s:%d%s" % (hub.hostname, hub.https_port, path), note
    token = sas(hub.hostname, hub.policy("service"), policy="service", encode=False)
    for answer in (send("GET", path, Authorization=token), send("GET", path + link)):
        assert answer[0] == 200 and answer[2] == data and answer[1]["Content-Type"] == "text/plain", (answer[0], answer[1].items(), len(answer[2]))
        assert answer[1]["ETag"] == headers["ETag"]
    status, headers, body = send("HEAD", path + link)
    assert status == 200 and body == b"" and int(headers["Content-Length"]) == len(data)
    assert len(stored()) == 1, stored()


def test_02_whole():
    """a file in one request, with the paths as the C client writes them, or chunked, replaces what was there"""
    status, _, answer = as_device("/files/?api-version=2016-11-14", {"blobName": "c.bin"})
    assert status == 200, answer
    path, link = "/%s/%s" % (answer["containerName"], answer["blobName"]), answer["sasToken"]
    before = len(stored())
    for data in (b"", b"first", os.urandom(300000), os.urandom(MIB + 1)):
        assert put(path, link, data)[0] == 201
        assert send("GET", path + link)[2] == data
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (data[:10], data[10:]) if c) + b"0\r\n\r\n"
        assert put(path, link, chunked, Transfer_Encoding="chunked")[0] == 201
        assert send("GET", path + link)[2] == data
    assert len(stored()) == before + 1, stored()
    assert as_device("/files/notifications/?api-version=2016-11-14", {"correlationId": answer["correlationId"], "isSuccess": True, "statusCode": 200})[0] == 204
    assert next_note()["blobSizeInBytes"] == MIB + 1


def test_03_certificate():
    """a device with a certificate asks by that, and without it is refused"""
    cert = pki.make("device", "xdev")
    hub.create_x509_device("xdev", thumbprint(cert[0]))
    ask = lambda **kw: https(hub.https_port, "POST", "/devices/xdev/files" + V, {"blobName": "x"}, {}, ca=pki.root, **kw)
    assert ask(cert=cert[0], key=cert[1])[0] == 200
    assert ask()[0] == 401


def test_04_other_devices():
    """another device's token begins nothing and ends nothing, and its correlation id is not known to this one"""
    assert as_device("/files" + V, {"blobName": "x"}, "dev1", signer="dev2")[0] == 401
    id, path, link = begin("mine")
    assert put(path, link, b"x")[0] == 201
    assert code(done(id, "dev2")) == (400, "InvalidFileUploadCorrelationId")
    assert as_device("/files/notifications/" + id + V, {"isSuccess": True}, "dev1", signer="dev2")[0] == 401
    assert done(id)[0] == 204
    assert next_note()["blobName"] == "dev1/mine"
    assert code(done(id)) == (400, "InvalidFileUploadCorrelationId"), "told twice"


def test_05_failed_upload():
    """an upload that failed is ended without a notification; one of which nothing came is no success"""
    id, path, link = begin("failed")
    assert code(done(id)) == (400, "InvalidStorageEndpointOrBlob")
    assert done(id, ok=False)[0] == 204
    assert service("GET", NOTES)[0] == 204


def test_06_bad_requests():
    """wrong bodies and names are refused with what is wrong, and no name is stored as a path"""
    before = set(stored())
    for body in (None, b"", b"{", [], {}, {"blobName": 1}, {"blobName": None}, {"blobName": ""}, *({"blobName": n} for n in ("../x", "a/../../x", "/etc/passwd", "a//b", ".", "a\\b",
                 "a\nb", "x" * 1025, "a/", "\0"))):
        status, headers, answer = as_device("/files" + V, body)
        assert status == 400 and headers["iothub-errorcode"], (body, status, answer)
    for body in (None, {}, {"correlationId": 1, "isSuccess": True}, {"correlationId": "x", "isSuccess": "yes"}, {"isSuccess": True}, {"correlationId": "x", "isSuccess": True, "statusCode": "1"}):
        assert as_device("/files/notifications" + V, body)[0] == 400, body
    assert code(as_device("/files/notifications" + V, {"correlationId": "x" * 5000, "isSuccess": True})) == (400, "InvalidFileUploadCorrelationId")
    _, path, link = begin("a%2e%2e")
    for odd in ("/uploads/../hub", "/uploads/", "/uploads/dev1/..%2f..%2fx", "/uploads/dev1/%2e%2e/x", "/uploads/dev1/x%00y", "/uploads/dev1/%", "/uploads/dev1//x", "/uploads/" + "x" * 3000):
        assert put(odd, link, b"x")[0] in (400, 403), odd
        assert send("GET", odd)[0] in (400, 403), odd
    assert set(stored()) == before


def test_07_links():
    """a link is for its blob, its rights and its time: whatever of it is changed, left out or taken from elsewhere is refused, and the refusal of a large body is heard"""
    _, path, link = begin("linked")
    _, other, other_link = begin("other", "dev2")
    assert put(path, link, b"original")[0] == 201
    parts = dict(p.split("=", 1) for p in link[1:].split("&"))

    def changed(**new):
        return "?" + "&".join("%s=%s" % p for p in dict(parts, **new).items() if p[1] is not None)

    bad = [changed(sig=None), changed(sig=""), changed(sig="A" * 44), changed(se="2099-01-01T00%3A00%3A00Z"), changed(se=None), changed(sp="rwd"), changed(sp=None), changed(sp="r"), "", "?", other_link]
    for wrong in bad:
        assert code(put(path, wrong, b"changed")) == (403, "AuthenticationFailed"), wrong
        assert code(block(path, wrong or "?x=y", ids(1)[0], b"x" * (5 * MIB))) == (403, "AuthenticationFailed"), wrong
        assert send("GET", path + wrong)[0] == 403, wrong
    assert put(other, link, b"x")[0] == 403
    assert send("GET", path, Authorization=sas(hub.hostname, hub.policy("device"), policy="device", encode=False))[0] == 403
    assert send("GET", path, Authorization=sas(hub.hostname, new_key(), policy="service", encode=False))[0] == 403
    assert code(send("GET", "/uploads/dev1/nothing", Authorization=sas(hub.hostname, hub.policy("service"), policy="service", encode=False))) == (404, "BlobNotFound")
    assert code(send("DELETE", path + link)) == (405, "UnsupportedHttpVerb")
    assert send("GET", path + link)[2] == b"original"


def test_08_bad_blocks():
    """bad block ids, lists and types are refused as a storage does, and the blob stays what it was"""
    _, path, link = begin("blocks")
    assert put(path, link, b"original")[0] == 201
    assert code(block(path, link, "not base64!", b"x")) == (400, "InvalidQueryParameterValue")
    assert code(send("PUT", path + link + "&comp=block", b"x")) == (400, "InvalidQueryParameterValue")
    assert code(send("PUT", path + link + "&comp=metadata", b"x")) == (400, "InvalidQueryParameterValue")
    assert code(send("PUT", path + link, b"x")) == (400, "InvalidHeaderValue")
    assert code(put(path, link, b"x", x_ms_blob_type="PageBlob")) == (400, "InvalidHeaderValue")
    assert block(path, link, ids(1)[0], b"one")[0] == 201
    for wrong in (ids(2), ["QUFB"]):
        assert code(block_list(path, link, wrong)) == (400, "InvalidBlockList")
    for xml in (b"", b"<BlockList>", b"{}", b"<BlockList><Latest>&x;</Latest></BlockList>", b"<!DOCTYPE x><BlockList></BlockList>", os.urandom(1000)):
        assert code(send("PUT", path + link + "&comp=blocklist", xml)) == (400, "InvalidBlockList"), xml
    assert send("PUT", path + link + "&comp=blocklist", b"x" * (2 * MIB))[0] == 413
    assert send("GET", path + link)[2] == b"original"
    assert block_list(path, link, ids(1) * 3)[0] == 201
    assert send("GET", path + link)[2] == b"oneoneone"


def test_09_ten_at_a_time():
    """a device has ten uploads at a time, and one more when one has ended"""
    first = begin("0", "many")[0]
    for i in range(9):
        begin(str(i), "many")
    assert code(as_device("/files" + V, {"blobName": "x"}, "many")) == (403, "DeviceMaximumActiveFileUploadLimitExceeded")
    begin("of another device", "dev2")
    assert done(first, "many", ok=False)[0] == 204
    begin("x", "many")


def test_10_expiry():
    """after an hour the link is none any more, the correlation id has expired, and the device may begin again"""
    id, path, link = begin("late")
    assert put(path, link, b"in time")[0] == 201
    set_clock(3601)
    keys_before = dict(keys)
    try:
        wait_for(lambda: send("GET", path + link)[0] == 403, "the end of the link")
        assert put(path, link, b"too late")[0] == 403
        token = lambda d: hub.device_token(d, keys_before[d], expires=int(time.time()) + 7200)
        status, headers, _ = send("POST", "/devices/dev1/files/notifications/" + id + V, {"isSuccess": True}, Authorization=token("dev1"))
        assert (status, headers["iothub-errorcode"]) == (400, "ExpiredFileUploadCorrelationId")
        assert send("POST", "/devices/many/files" + V, {"blobName": "again"}, Authorization=token("many"))[0] == 200
    finally:
        set_clock(0)
    wait_for(lambda: send("GET", path + link)[0] == 200, "the clock as it was")
    assert send("GET", path + link)[2] == b"in time"


def test_11_notifications():
    """a notification is held by whoever took it, is there again when abandoned or the hub was killed, and goes when completed with its lock"""
    id, path, link = begin("told")
    assert put(path, link, b"x")[0] == 201 and done(id)[0] == 204
    status, headers, note = service("GET", NOTES)
    lock = headers["ETag"].strip('"')
    assert status == 200 and note["blobName"] == "dev1/told"
    assert service("GET", NOTES)[0] == 204, "somebody holds it"
    assert service("POST", NOTES + "/" + lock + "/abandon")[0] == 204
    assert code(service("DELETE", NOTES + "/" + lock)) == (412, "DeviceMessageLockLost")
    assert code(service("DELETE", NOTES + "/nonsense")) == (412, "DeviceMessageLockLost")
    status, headers, _ = service("GET", NOTES)
    assert status == 200 and headers["ETag"].strip('"') != lock
    hub.kill9()
    hub.start()
    assert service("DELETE", NOTES + "/" + headers["ETag"].strip('"'))[0] == 204
    assert service("GET", NOTES)[0] == 204
    assert hub.rest("GET", NOTES, policy="registryRead")[0] == 401


def half_an_upload(path, link, announced, sent):
    context = ssl.create_default_context(cafile=pki.root)
    context.check_hostname = False
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", hub.https_port), timeout=20 * SLOW))
    s.sendall(("PUT %s%s HTTP/1.1\r\nHost: x\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: %d\r\n\r\n" % (path, link, announced)).encode() + b"x" * sent)
    return s


def test_12_cut_off():
    """of an upload whose connection ends nothing is left"""
    _, path, link = begin("cut")
    before = set(stored())
    s = half_an_upload(path, link, 8 * MIB, 2 * MIB)
    wait_for(lambda: set(stored()) != before, "a file being written")
    s.close()
    wait_for(lambda: set(stored()) == before, "the file removed")
    assert send("GET", path + link)[0] == 404


def test_13_kill9():
    """killed in the middle of an upload: what was stored is there, blocks too, what was half-written is removed at the start"""
    _, path, link = begin("survivor")
    assert put(path, link, b"old")[0] == 201
    assert block(path, link, ids(1)[0], b"new")[0] == 201
    before = set(stored())
    s = half_an_upload(path, link, 8 * MIB, 2 * MIB)
    wait_for(lambda: set(stored()) != before, "a file being written")
    hub.kill9()
    s.close()
    assert set(stored()) != before
    hub.start()
    assert set(stored()) == before
    assert send("GET", path + link)[2] == b"old"
    assert block_list(path, link, ids(1))[0] == 201
    assert send("GET", path + link)[2] == b"new"


def test_14_large():
    """a large file takes no memory on its way in or out"""
    _, path, link = begin("large")
    send("GET", path + link)
    before = rss()
    data = os.urandom(MIB) * 32
    assert put(path, link, data)[0] == 201
    status, _, body = send("GET", path + link)
    assert status == 200 and body == data
    assert rss() - before < 12 * 1024 or SLOW > 1, rss() - before  # a sanitizer keeps what was freed
    assert put(path, link, b"small")[0] == 201


def rss():
    with open("/proc/%d/status" % hub.process.pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def test_15_quota():
    """when the room for files is used up an upload is refused, what was there stays, and there is room again when something has gone"""
    _, path, link = begin("big1")
    _, path2, link2 = begin("big2", "dev2")
    assert put(path, link, b"x" * (30 * MIB))[0] == 201
    before = set(stored())
    assert code(put(path2, link2, b"x" * (40 * MIB))) == (507, "QuotaExceeded")
    assert set(stored()) == before
    assert send("GET", path2 + link2)[0] == 404
    assert put(path, link, b"x")[0] == 201
    assert put(path2, link2, b"x" * (40 * MIB))[0] == 201
    assert put(path2, link2, b"x")[0] == 201


def test_151_empty_blocks():
    """blocks without a byte in them take room as well, which is free again once they are a blob"""
    global hub, keys
    main, main_keys = hub, keys
    with Folder() as small, Hub(small, Pki(small), "contosoiothub.local", "--files-quota", 1, env={"ROOTEDGE_CLOCK_FILE": small / "clock"}) as hub:
        root, pki.root = pki.root, hub.pki.root
        try:
            keys = {"dev1": hub.create_device("dev1")["authentication"]["symmetricKey"]["primaryKey"]}
            _, path, link = begin("empty")
            for n, id in enumerate(ids(400)):
                answer = block(path, link, id, b"")
                if answer[0] != 201:
                    break
            assert code(answer) == (507, "QuotaExceeded") and 200 <= n <= 256, (n, answer)
            assert code(block_list(path, link, ids(1))) == (507, "QuotaExceeded"), "the blob needs room before its blocks give theirs back"
            assert put(path, link, b"")[0] == 507
            hub.kill9()
            hub.start()
            assert len(stored()) == n
            later = int(time.time()) + 2 * 86400
            with open(small / "clock", "w") as f:
                f.write("%d\n" % 86500)
            token = lambda: hub.device_token("dev1", keys["dev1"], expires=later)
            ask = lambda: send("POST", "/devices/dev1/files" + V, {"blobName": "x"}, Authorization=token())[0] == 200 and len(stored()) == 0
            wait_for(ask, "the old blocks removed")
        finally:
            pki.root, hub, keys = root, main, main_keys


def test_152_device_quota():
    """one device doesn't take the room of the others, hears that it is its own that is used up, also after a restart, and has it again when it replaces what was there"""
    global hub, keys
    main, main_keys = hub, keys
    with Folder() as small, Hub(small, Pki(small), "contosoiothub.local", "--files-quota", 16, "--files-device-quota", 4) as hub:
        root, pki.root = pki.root, hub.pki.root
        try:
            keys = {d: hub.create_device(d)["authentication"]["symmetricKey"]["primaryKey"] for d in ("dev1", "dev2")}
            _, path, link = begin("a")
            _, path2, link2 = begin("b")
            _, path3, link3 = begin("c", "dev2")
            assert put(path, link, b"x" * (3 * MIB))[0] == 201
            for restart in (False, True):
                if restart:
                    hub.kill9()
                    hub.start()
                answer = put(path2, link2, b"x" * (2 * MIB))
                assert code(answer) == (507, "QuotaExceeded") and "of this device" in str(answer[2]), answer
            assert put(path3, link3, b"x" * (3 * MIB))[0] == 201
            assert put(path, link, b"x")[0] == 201
            assert put(path2, link2, b"x" * (2 * MIB))[0] == 201
        finally:
            pki.root, hub, keys = root, main, main_keys


def made_again(device):
    assert hub.rest("DELETE", "/devices/" + device)[0] == 204
    keys[device] = hub.create_device(device)["authentication"]["symmetricKey"]["primaryKey"]


def test_16_deleted_device():
    """with the device its uploads, blobs and notifications are forgotten, and its room is free; no link of it is good for the next one of its name, not even in the middle of an upload"""
    made_again("many")
    for i in range(10):
        begin(str(i), "many")
    keys["gone"] = hub.create_device("gone")["authentication"]["symmetricKey"]["primaryKey"]
    keys["gone0"] = hub.create_device("gone0")["authentication"]["symmetricKey"]["primaryKey"]
    before = set(stored())
    id, path, link = begin("log", "gone")
    _, neighbour, neighbour_link = begin("log", "gone0")
    assert put(neighbour, neighbour_link, b"mine")[0] == 201
    kept = set(stored())
    assert put(path, link, b"old")[0] == 201 and block(path, link, ids(1)[0], b"y" * MIB)[0] == 201 and done(id, "gone")[0] == 204
    sock = half_an_upload(path, link, 2 * MIB, MIB)
    wait_for(lambda: len(stored()) == len(kept) + 3, "half an upload")
    made_again("gone")
    wait_for(lambda: len(stored()) == len(kept) + 1, "the files of the device removed")
    sock.sendall(b"x" * MIB)
    assert sock.recv(4096).startswith(b"HTTP/1.1 403 ")
    sock.close()
    wait_for(lambda: set(stored()) == kept, "half an upload removed")
    assert code(put(path, link, b"stolen")) == (403, "AuthenticationFailed") and send("GET", path + link)[0] == 403
    assert service("GET", path)[0] == 404 and service("GET", NOTES)[0] == 204
    assert code(done(id, "gone")) == (400, "InvalidFileUploadCorrelationId")
    _, path, link = begin("log", "gone")
    assert send("GET", path + link)[0] == 404 and put(path, link, b"new")[0] == 201
    assert send("GET", neighbour + neighbour_link)[0] == 200
    hub.kill9()
    hub.start()
    assert service("GET", path)[0] == 200 and len(stored()) == len(kept) + 1
    assert hub.rest("DELETE", "/devices/gone")[0] == 204
    hub.kill9()  # perhaps before the file is gone
    hub.start()
    assert set(stored()) == kept and before < kept


def test_17_no_files():
    """a hub without room for files says so"""
    hub.stop()
    hub.args[hub.args.index("--files-quota") + 1] = "0"
    hub.log = None
    hub.start()
    assert code(as_device("/files" + V, {"blobName": "x"})) == (400, "DefaultStorageEndpointNotConfigured")


def test_99_end():
    """the hub stops in order"""
    hub.stop()
    folder.__exit__()


run_all(globals())
