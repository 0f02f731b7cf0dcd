"""SIGTERM: what runs is finished, nobody is refused who was let in, and the process ends by itself with 0."""
import json
import signal
import subprocess
import threading
import time

from h2.errors import ErrorCodes

from lab import HOST, NAME, find_h2rate, wait_until
from origin import H1Origin, H2Origin
from product import SLOW


def ended(proxy, seconds=20):
    return wait_until(lambda: not proxy.process.alive(), seconds * SLOW, "the process to end") and \
        proxy.process.popen.returncode


def test_under_load(lab, start, emulator):
    """The successor listens on the same port before the first is told to go, as a binary upgrade or a pod does."""
    regions = {n: emulator(n, 25).url for n in ("one", "two")}
    first = start(regions, workers=1)
    load = subprocess.Popen(
        [find_h2rate(lab.dir), "--connect", f"{HOST}:{first.port}", "--sni", NAME, "--ca", str(lab.certs.ca),
         "--get-rate", "300", "--post-rate", "30", "--seconds", "3", "--out", str(lab.dir / "load")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: first.metric("isochrone_requests_total") > 200, 20, "the load")
    first.send(signal.SIGTERM)
    assert ended(first) == 0, first.stderr
    summary = json.loads(load.communicate(timeout=60)[0])
    lines = [json.loads(x) for x in (lab.dir / "load").read_text().splitlines()]
    # Only those whose new connection found no listener any more may fail; nothing that was taken is lost.
    lost = [x for x in lines if x["status"] != 200 and x.get("error") != "connect"]
    assert not lost, (lost[:5], summary)
    assert sum(x["status"] == 200 for x in lines) > 200


def test_long_exchange_is_finished(start, emulator, h2):
    proxy = start({"one": emulator("one", 1500).url})
    client = h2(proxy)
    sid = client.start("POST", "/", body=b"{}")
    wait_until(lambda: proxy.region("one")["in_flight"] == 1, 10, "the request in flight")
    proxy.send(signal.SIGTERM)
    answer = client.wait(sid)
    assert (answer.status, answer.reset) == (200, None)
    while not client.closed and client.goaway is None:
        client.pump()
    assert client.goaway == 0, "GOAWAY with NO_ERROR"
    assert ended(proxy) == 0


def test_new_connections_are_refused_while_it_drains(start, emulator, h2):
    proxy = start({"one": emulator("one", 2000).url})
    client = h2(proxy)
    sid = client.start("GET", "/")
    wait_until(lambda: proxy.region("one")["in_flight"] == 1, 10, "the request in flight")
    proxy.send(signal.SIGTERM)
    wait_until(lambda: not proxy.listening(), 5 * SLOW, "the listener to close")
    assert client.wait(sid).status == 200
    assert ended(proxy) == 0


def test_idle_clients_do_not_hold_it(start, emulator, h2, h1):
    proxy = start({"one": emulator("one").url})
    clients = [h2(proxy) for _ in range(5)]
    kept = h1(proxy)
    assert kept.request("GET", "/").status == 200
    assert all(c.get("/").status == 200 for c in clients)
    began = time.monotonic()
    proxy.send(signal.SIGTERM)
    assert ended(proxy) == 0
    assert time.monotonic() - began < 5 * SLOW


def test_h1_answer_in_drain_says_close(start, emulator, h1):
    proxy = start({"one": emulator("one", 1500).url})
    client = h1(proxy)
    client.send(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    wait_until(lambda: proxy.region("one")["in_flight"] == 1, 10, "the request in flight")
    proxy.send(signal.SIGTERM)
    answer = client.answer()
    assert answer.status == 200 and answer.get("connection", "").lower() == "close"
    assert ended(proxy) == 0


def test_an_idle_client_may_ask_once_more(start, emulator, h1):
    proxy = start({"one": emulator("one").url})
    kept, silent = h1(proxy), h1(proxy)
    assert kept.request("GET", "/").status == 200
    proxy.send(signal.SIGTERM)
    wait_until(lambda: not proxy.listening(), 5 * SLOW, "the listener to close")
    for client in (kept, silent):
        answer = client.request("GET", "/")
        assert answer.status == 200 and answer.get("connection", "").lower() == "close"
    assert ended(proxy, 5) == 0


def test_an_answer_that_did_not_say_close_leaves_its_connection(start, origin, h1):
    """The drain begins between its head and its end: the client does not know, and may ask once more."""
    go_on = threading.Event()

    def script(sock, request):
        if request.path == "/halves":
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
            go_on.wait(20)
            sock.sendall(b"cd")
        else:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    proxy = start({"one": origin(H1Origin, script, tls=False).url})
    client = h1(proxy)
    client.send(f"GET /halves HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    assert "connection" not in dict(client.head().headers)
    proxy.send(signal.SIGTERM)
    wait_until(lambda: not proxy.listening(), 5 * SLOW, "the listener to close")
    go_on.set()
    assert client._take(4) == b"abcd"
    answer = client.request("GET", "/")
    assert answer.status == 200 and answer.get("connection", "").lower() == "close"
    assert ended(proxy, 5) == 0


def test_what_is_cut_at_the_deadline_is_told_so(lab, start, origin, h2, h1):
    """A waiting request is answered, an answer that is on its way is broken off, and both are in the log."""
    def half(connection, request):
        if request.path == "/half":
            connection.h2.send_headers(request.sid, [(":status", "200")])
            connection.flush()

    one, log = origin(H2Origin, half), lab.path("access.log")
    proxy = start({"one": one.url}, limits={"drain_timeout": "500ms"}, access_log={"path": str(log)})
    client, plain = h2(proxy), h1(proxy)
    waiting, begun = client.start("GET", "/"), client.start("GET", "/half")
    plain.send(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    wait_until(lambda: len(one.served) == 3, 10, "the requests in the region")
    proxy.send(signal.SIGTERM)
    answer, broken, told = client.wait(waiting), client.wait(begun), plain.answer()
    assert answer.status == 504 and b"waits no longer" in answer.body
    assert (broken.status, broken.reset) == (200, ErrorCodes.INTERNAL_ERROR)
    assert told.status == 504 and told.get("connection").lower() == "close"
    assert ended(proxy) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted((x["path"], x["status"]) for x in lines) == [("/", 504), ("/", 504), ("/half", 200)]


def test_sigint_ends_it_too(start, emulator):
    proxy = start({"one": emulator("one").url})
    proxy.send(signal.SIGINT)
    assert ended(proxy) == 0
