"""Memory stays bounded whoever is slow: a client that does not read, a region that does not."""
import threading

from conftest import H1Origin, H2Origin
from h1client import H1Client, client_tls
from lab import NAME, wait_until

MIB = 1 << 20
SIZE = 64 * MIB
# Windows (at most 1 MiB a stream), socket buffers and allocator slack; far from the 64 MiB in transit.
BOUND_KIB = 24 * 1024


def settled_rss(process):
    """RSS once it has stopped growing for half a second: 25 equal samples of 20 ms."""
    seen = []

    def still():
        seen.append(process.rss_kib())
        return len(seen) >= 25 and max(seen[-25:]) - min(seen[-25:]) < 64
    wait_until(still, 30, "the memory to settle", every=0.02)
    return seen[-1]


def check_bound(process, before, slow, most=BOUND_KIB):
    """A sanitizer's quarantine grows with every free: bounds of memory are asked of what is shipped alone."""
    growth = settled_rss(process) - before
    assert growth < most or slow > 1, f"{growth} KiB"


def test_client_that_does_not_read_over_h2(start, emulator, h2, slow):
    proxy = start({"one": emulator("one").url}, workers=1)
    client = h2(proxy, window=65535)
    assert client.get("/").status == 200
    before = settled_rss(proxy.process)
    client.acknowledge = False
    sid = client.start("GET", f"/?bytes={SIZE}")
    while client.conn.remote_flow_control_window(sid) > 0:
        client.pump()
    check_bound(proxy.process, before, slow)
    # It reads on, and gets every byte.
    client.acknowledge = True
    client.conn.increment_flow_control_window(1 << 26, sid)
    client.conn.increment_flow_control_window(1 << 26)
    client.flush()
    assert client.wait(sid, 120).received == SIZE
    check_bound(proxy.process, before, slow)


def test_client_that_does_not_read_over_h1(start, emulator, certs, slow):
    proxy = start({"one": emulator("one").url}, workers=1)
    with H1Client(proxy.port, client_tls(certs.ca, ["http/1.1"]), NAME, 120) as client:
        assert client.request("GET", "/").status == 200
        before = settled_rss(proxy.process)
        client.send(f"GET /?bytes={SIZE} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert client.head().status == 200
        check_bound(proxy.process, before, slow)
        missing = SIZE - len(client.buffer)
        while missing:
            got = len(client.sock.recv(min(MIB, missing)))
            assert got
            missing -= got
        check_bound(proxy.process, before, slow)


def upload(client, sid):
    """Sends on its own thread, because it blocks as it should."""
    def send():
        try:
            client.send(sid, bytes(SIZE), end=True)
        except OSError:
            pass
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def test_region_that_does_not_read_over_h2(start, origin, h2, slow):
    region = origin(H2Origin, lambda c, r: c.respond(r.sid), acknowledge=False)
    proxy = start({"one": {"url": region.url, "host": NAME, "protocol": "h2"}}, workers=1)
    client = h2(proxy, seconds=120)
    assert client.get("/").status == 200
    before = settled_rss(proxy.process)
    sid = client.start("POST", "/", end=False)
    thread = upload(client, sid)
    wait_until(lambda: any(r.method == "POST" and r.body for r in region.requests), 20, "the upload's first bytes")
    check_bound(proxy.process, before, slow)
    assert thread.is_alive(), "64 MiB went somewhere although the region's window is 64 KiB"


def test_region_that_does_not_read_over_h1(start, origin, h2, slow):
    read_on = threading.Event()

    class Sluggish(H1Origin):
        def _body(self, stream, request):
            if request.method == "POST":
                read_on.wait(60)
            H1Origin._body(stream, request)

    region = origin(Sluggish, lambda s, r: s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    proxy = start({"one": {"url": region.url, "host": NAME, "protocol": "http/1.1"}}, workers=1)
    client = h2(proxy, seconds=120)
    assert client.get("/").status == 200
    before = settled_rss(proxy.process)
    sid = client.start("POST", "/", end=False)
    thread = upload(client, sid)
    wait_until(lambda: any(r.method == "POST" for r in region.requests), 20, "the upload's head")
    check_bound(proxy.process, before, slow)
    assert thread.is_alive()
    read_on.set()
    thread.join(60)
    assert not thread.is_alive()
    assert client.wait(sid).status == 200
    assert len(region.served[-1].body) == SIZE


def test_many_clients_that_do_not_read(start, emulator, h2, slow):
    """Eighty answers of 8 MiB wait: 640 MiB if they were kept, 5 MiB by the clients' windows."""
    proxy = start({"one": emulator("one").url}, workers=1, limits={"body_memory": "48MiB"})
    clients = [h2(proxy, window=65535) for _ in range(80)]
    before = settled_rss(proxy.process)
    for client in clients:
        client.acknowledge = False
        client.start("GET", f"/?bytes={8 * MIB}")
    for client in clients:
        while client.conn.remote_flow_control_window(1) > 0:
            client.pump()
    # Streams may hold 1 MiB each until half of the limit is used, 64 KiB from then on.
    check_bound(proxy.process, before, slow, 48 * 1024)
    # Nor do they use up the window that all streams of an upstream connection share, 16 MiB.
    good = h2(proxy)
    assert good.get(f"/?bytes={MIB}").received == MIB
    good.close()
    for client in clients:
        client.close()
    wait_until(lambda: proxy.metric("isochrone_exchanges_in_flight") == 0, 20, "the exchanges' end")
