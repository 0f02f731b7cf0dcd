"""HTTP/2 floods of a region: what it sends without end is no answer, costs little, and harms no other request.

Each is bounded to 20,000 frames on one connection, in front of one worker.
"""
import struct

import pytest

from attacker import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS, Bill, frame, indexing,
                      literal)
from conftest import H2Origin
from lab import HOST, free_port

FRAMES = 20000
CPU_S = 1.0
RSS_KIB = 16 * 1024
OK, EARLY = b"\x88", b"\x08\x03103"


def many(data, count=FRAMES):
    """In pieces of a few KiB."""
    batch = max(1, 8192 // len(data))
    return [data * batch] * (count // batch)


FLOODS = {
    # RFC 9113 10.5.1: a head without end.
    "continuation": lambda sid: [frame(HEADERS, 0, sid, OK), *many(frame(CONTINUATION, 0, sid, literal(b"x-a", b"1" * 100)))],
    "continuation-empty": lambda sid: [frame(HEADERS, 0, sid, OK), *many(frame(CONTINUATION, 0, sid))],
    # RFC 7541 7.3: 4,000 bytes in the table, named 16,000 times by one byte each.
    "hpack-bomb": lambda sid: [frame(HEADERS, END_HEADERS, sid, OK + indexing(b"x-a", b"b" * 4000) + b"\xbe" * 16000)],
    "hpack-bombs": lambda sid: [frame(HEADERS, 0, sid, OK + indexing(b"x-a", b"b" * 4000)),
                                *many(frame(CONTINUATION, 0, sid, b"\xbe" * 8000), 1000)],
    # RFC 9110 15.2: none of these is the answer.
    "interim": lambda sid: many(frame(HEADERS, END_HEADERS, sid, EARLY + literal(b"x-a", b"1" * 50))),
    "interim-in-few-reads": lambda sid: [frame(HEADERS, END_HEADERS, sid, EARLY) * 1000],
    # RFC 9113 10.5: each asks for an answer, and the region does not read.
    "pings": lambda sid: many(frame(PING, 0, 0, b"12345678")),
    "settings": lambda sid: many(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535))),
    # RFC 9113 6.9: beyond what the window of a stream allows.
    "data-beyond-the-window": lambda sid: [frame(HEADERS, END_HEADERS, sid, OK), *many(frame(DATA, 0, sid, bytes(16384)), 200)],
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_region_floods(start, origin, h1, name, slow):
    """The request gets 502 (or a cut, if its head had gone), and the next one an answer."""
    def script(connection, request):
        if request.path == "/next":
            connection.respond(request.sid, body=b"ok")
            return
        for piece in FLOODS[name](request.sid):
            connection.sock.sendall(piece)

    port = free_port()
    region = origin(H2Origin, script, tls=False)
    proxy = start({"one": region.url}, protocol="h2", workers=1, port=port, listeners=[{"address": f"{HOST}:{port}"}])
    client = h1(proxy, tls=False)
    assert client.request("GET", "/next").body == b"ok"
    bill = Bill(proxy.process)
    if name == "data-beyond-the-window":
        client.send(b"GET /flood HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
        assert client.head().status == 200  # and is not read on: the windows do not grow
    else:
        answer = client.request("GET", "/flood")
        assert answer.status == 502, (answer.status, answer.body)
        assert len(answer.informational) <= 64
    again = h1(proxy, tls=False)
    assert again.request("GET", "/next").body == b"ok"
    cpu, own, growth = bill.spent()
    text = f"CPU {cpu:.2f} s for {own:.2f} s, memory +{growth} KiB"
    print(text)
    assert cpu <= max(CPU_S, own) * slow, text
    assert growth <= RSS_KIB or slow > 1, text


def test_data_before_the_regions_settings(start, origin, h1):
    """RFC 9113 3.4: a region's first frame is SETTINGS; who says something else first speaks no HTTP/2."""
    class Rude(H2Origin):
        def serve(self, sock, number):
            sock.sendall(frame(HEADERS, END_HEADERS | END_STREAM, 1, OK) + frame(SETTINGS, 0, 0))
            while sock.recv(65536):
                pass

    port = free_port()
    proxy = start({"one": origin(Rude, None, tls=False).url}, protocol="h2", workers=1, port=port,
                  listeners=[{"address": f"{HOST}:{port}"}])
    assert h1(proxy, tls=False).request("GET", "/next").status == 502
