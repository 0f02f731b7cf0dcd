"""Floods of HTTP/2: what costs the sender little and the proxy much ends its connection, and harms nobody else.

Each attack is bounded to 20,000 frames or 15 seconds on one connection, in front of one worker.
"""
import itertools
import struct

import pytest

from attacker import (ACK, CALM, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS,
                      FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PADDED, PING, POST, PRIORITY, PRIORITY_FLAG,
                      PRIORITY_UPDATE, PROTOCOL_ERROR, SETTINGS, STREAM_CLOSED, Attacker, Bill, GoodClient, cuts,
                      frame, head, indexing, literal, reset, streams, update, wait_cut)
from lab import wait_until

CPU_S = 0.5
RSS_KIB = 16 * 1024
WORST_S = 1.0
OPEN_POST = END_HEADERS
WHOLE_GET = END_HEADERS | END_STREAM


@pytest.fixture
def siege(start, emulator, certs, slow):
    """siege(frames, reasons, …): the attack, the cut and its price; returns the attacker."""
    def lay(frames, reasons, codes=(CALM,), read=True, delay_ms=0, settings=b"", limits=None, opening=b""):
        more = {"limits": limits} if limits else {}
        proxy = start({"one": emulator("one", delay_ms=0).url}, workers=1, **more)
        with GoodClient(proxy.port, certs.ca) as good:
            # The worker's buffers have grown to their usual size before memory is looked at.
            wait_until(lambda: len(good.times) > 50, 20, "the good client's first answers")
            assert good.error is None, good.error
            with Attacker(proxy.port, certs.ca, settings) as attacker:
                bill = Bill(proxy.process)
                attacker.send(opening)
                attacker.flood(frames, read)
                is_over = attacker.wait_end(5 * slow)
                cpu, own, growth = bill.spent()
                text = (f"{attacker.sent} frames sent, GOAWAY {attacker.goaway}, ended {is_over}, cuts {cuts(proxy)}, "
                        f"resets {attacker.resets}, CPU {cpu:.2f} s for {own:.2f} s, memory +{growth} KiB, "
                        f"worst {good.worst * 1000:.0f} ms of {len(good.times)}")
                print(text)
                if reasons:
                    assert is_over or attacker.goaway is not None, text
                    assert attacker.goaway is None or attacker.goaway in codes, text
                    wait_cut(proxy, reasons)
                assert cpu <= max(CPU_S, own) * slow, text
                assert growth <= RSS_KIB or slow > 1, text
                assert good.worst < WORST_S * slow, text
        assert set(cuts(proxy)) <= set(reasons), (cuts(proxy), "the good client was cut too, or for another reason")
        wait_until(lambda: proxy.metric("isochrone_exchanges_in_flight") == 0, 20, "the exchanges' end")
        return attacker
    return lay


def repeated(data, count=1):
    """The same frames again and again, in batches so that making them costs nothing."""
    times = max(1, min(256, 16 * 1024 // len(data)))
    return itertools.repeat((count * times, data * times))


def each_stream(make, count):
    """make(stream id) -> bytes of so many frames, for one stream after the other."""
    return ((count, make(sid)) for sid in streams())


# ---- Resets ----

def test_rapid_reset(siege):
    """CVE-2023-44487."""
    siege(each_stream(lambda s: frame(HEADERS, WHOLE_GET, s, GET) + reset(s), 2), {"resets"})


def test_reset_of_uploads(siege):
    siege(each_stream(lambda s: frame(HEADERS, OPEN_POST, s, POST) + frame(DATA, 0, s, b"x") + reset(s, 0), 3),
          {"resets"})


def test_made_you_reset_by_an_empty_window_update(siege):
    """CVE-2025-8671: the proxy itself is made to reset."""
    siege(each_stream(lambda s: frame(HEADERS, OPEN_POST, s, POST) + update(s, 0), 2),
          {"resets", "protocol", "window_update"}, (CALM, PROTOCOL_ERROR))


def test_made_you_reset_by_a_window_beyond_its_maximum(siege):
    siege(each_stream(lambda s: frame(HEADERS, OPEN_POST, s, POST) + update(s, (1 << 31) - 1), 2), {"resets"})


def test_made_you_reset_by_data_beyond_the_end(siege):
    siege(each_stream(lambda s: frame(HEADERS, WHOLE_GET, s, GET) + frame(DATA, 0, s, b"x"), 2),
          {"resets", "protocol"}, (CALM, STREAM_CLOSED))


def test_made_you_reset_by_headers_beyond_the_end(siege):
    siege(each_stream(lambda s: frame(HEADERS, WHOLE_GET, s, GET) + frame(HEADERS, WHOLE_GET, s, b"\x82"), 2),
          {"resets", "protocol"}, (CALM, STREAM_CLOSED, PROTOCOL_ERROR))


def test_made_you_reset_by_a_body_longer_than_said(siege):
    block = head(b"POST", b"/", (b"content-length", b"1"))
    siege(each_stream(lambda s: frame(HEADERS, OPEN_POST, s, block) + frame(DATA, 0, s, b"xy"), 2), {"resets"})


def test_made_you_reset_by_a_body_shorter_than_said(siege):
    block = head(b"POST", b"/", (b"content-length", b"2"))
    siege(each_stream(lambda s: frame(HEADERS, OPEN_POST, s, block) + frame(DATA, END_STREAM, s, b"x"), 2), {"resets"})


def test_made_you_reset_by_a_content_length_without_a_body(siege):
    block = head(b"POST", b"/", (b"content-length", b"9"))
    siege(each_stream(lambda s: frame(HEADERS, WHOLE_GET, s, block), 1), {"resets"})


def test_made_you_reset_by_malformed_heads(siege):
    block = head(b"GET", b"/", (b"connection", b"close"))
    siege(each_stream(lambda s: frame(HEADERS, WHOLE_GET, s, block), 1), {"resets"}, (CALM, PROTOCOL_ERROR))


def test_made_you_reset_by_padding_or_priorities_that_do_not_fit(siege):
    """A PRIORITY of 4 bytes is a stream error (RFC 9113 section 6.3); libraries make a connection error of it."""
    siege(each_stream(lambda s: frame(HEADERS, OPEN_POST, s, POST) + frame(PRIORITY, 0, s, b"\0\0\0\1"), 2),
          {"resets", "priority", "protocol"}, (CALM, FRAME_SIZE_ERROR, PROTOCOL_ERROR))


def test_streams_beyond_the_limit(siege):
    """10,000 streams at once: what exceeds the limit is refused, and that is work too."""
    made = siege(itertools.islice(each_stream(lambda s: frame(HEADERS, OPEN_POST, s, POST), 1), 10_000), {"resets"})
    assert made.resets.keys() <= {7}, made.resets


# ---- Header blocks ----

def block_without_end(piece):
    """HEADERS and then CONTINUATIONs that never say END_HEADERS."""
    yield 1, frame(HEADERS, END_STREAM, 1, GET)
    yield from repeated(frame(CONTINUATION, 0, 1, piece))


BLOCK_CUTS = {"continuation", "header_memory", "empty_frames"}
BLOCK_CODES = (CALM, PROTOCOL_ERROR, COMPRESSION_ERROR)


@pytest.mark.parametrize("piece", [literal(b"a", b"b"), literal(b"x-a", b"b" * 4000) * 4, b""],
                         ids=["tiny", "16KiB", "empty"])
def test_continuations_without_end(siege, piece):
    """CVE-2024-27316 and its kin."""
    assert len(piece) <= 16384
    siege(block_without_end(piece), BLOCK_CUTS, BLOCK_CODES)


def test_continuations_within_one_field(siege):
    """A field of half a megabyte that is cut into CONTINUATIONs of 10 bytes: nothing is decoded for long."""
    def frames():
        yield 1, frame(HEADERS, END_STREAM, 1, GET + b"\0" + b"\1a" + b"\x7f\x81\xfe\x1f")
        yield from repeated(frame(CONTINUATION, 0, 1, b"b" * 10))
    siege(frames(), BLOCK_CUTS | {"protocol"}, BLOCK_CODES)


def test_huge_heads_by_many_continuations(siege):
    """Heads of 1 MiB that do end."""
    piece = literal(b"x-a", b"b" * 4000) * 4

    def one(sid):
        return (frame(HEADERS, END_STREAM, sid, GET) + frame(CONTINUATION, 0, sid, piece) * 63 +
                frame(CONTINUATION, END_HEADERS, sid, piece))
    siege(each_stream(one, 65), BLOCK_CUTS, BLOCK_CODES)


def test_hpack_bomb(siege):
    """A dynamic entry of 4,000 bytes, named by one byte 16,000 times: 64 MB in a frame."""
    def frames():
        yield 1, frame(HEADERS, WHOLE_GET, 1, GET + indexing(b"x", b"y" * 3990))
        yield from each_stream(lambda s: frame(HEADERS, WHOLE_GET, s + 2, GET + b"\xbe" * 16000), 1)
    siege(frames(), {"header_memory"}, BLOCK_CODES)


def test_hpack_bomb_in_trailers(siege):
    def frames():
        yield 1, frame(HEADERS, WHOLE_GET, 1, GET + indexing(b"x", b"y" * 3990))
        yield from each_stream(lambda s: frame(HEADERS, OPEN_POST, s + 2, POST) +
                               frame(HEADERS, WHOLE_GET, s + 2, b"\xbe" * 16000), 2)
    siege(frames(), {"header_memory", "resets"}, BLOCK_CODES)


def test_hpack_bomb_for_a_refused_stream(siege):
    """Beyond the limit of streams a block is still decoded, for nobody."""
    def frames():
        yield 1, frame(HEADERS, OPEN_POST, 1, POST + indexing(b"x", b"y" * 3990))
        for sid in range(3, 259, 2):
            yield 1, frame(HEADERS, OPEN_POST, sid, POST)
        yield from each_stream(lambda s: frame(HEADERS, OPEN_POST, s + 260, b"\xbe" * 16000), 1)
    siege(frames(), {"header_memory", "resets"}, BLOCK_CODES)


def crumbs(sid):
    """A head of 20 KB on the wire, five thousand fields and 200 KB by its decoded size."""
    crumb = b"\x0f\x11\x01a"  # cookie by its number in the static table, not indexed
    return frame(HEADERS, END_STREAM, sid, GET + crumb * 4000) + frame(CONTINUATION, END_HEADERS, sid, crumb * 1000)


def test_cookie_crumbs_are_refused(siege):
    """Now and then a head that is too large is no attack: it gets its answer."""
    made = siege(itertools.islice(each_stream(crumbs, 2), 20), set(), limits={"header_count": 100})
    assert made.statuses == [431] * 20, made.statuses


def test_cookie_crumbs_for_ever(siege):
    """Head after head that is only refused: the decoding costs more than the sending."""
    siege(each_stream(crumbs, 2), {"header_memory", "resets", "continuation"}, BLOCK_CODES)


@pytest.mark.parametrize("name,value", [(b"", b""), (b"", b"x"), (b"x", b"")], ids=["both", "name", "value"])
def test_fields_of_no_length(siege, name, value):
    """CVE-2019-9516: fields that seem to need no memory, in a block that goes on."""
    piece = literal(name, value) * (16000 // len(literal(name, value)))
    siege(block_without_end(piece), BLOCK_CUTS, BLOCK_CODES)


def test_fields_without_a_name_by_index(siege):
    """A nameless entry of 4,000 bytes, named thousands of times in each of many heads."""
    def frames():
        yield 1, frame(HEADERS, WHOLE_GET, 1, GET + indexing(b"", b"y" * 3990))
        yield from each_stream(lambda s: frame(HEADERS, WHOLE_GET, s + 2, GET + b"\xbe" * 16000), 1)
    siege(frames(), {"header_memory", "resets"}, BLOCK_CODES)


# ---- Control frames ----

SMALL_SETTINGS = struct.pack(">HI", 4, 65535)
TABLE = struct.pack(">HI", 1, 0) + struct.pack(">HI", 1, 4096)
WINDOWS = struct.pack(">HI", 4, 0) + struct.pack(">HI", 4, 65535)


@pytest.mark.parametrize("payload", [b"", SMALL_SETTINGS, TABLE * 16, WINDOWS * 16],
                         ids=["empty", "one", "tables", "windows"])
def test_settings(siege, payload):
    """CVE-2019-9515."""
    siege(repeated(frame(SETTINGS, 0, 0, payload)), {"settings"})


def test_settings_with_thousands_of_entries(siege):
    siege(repeated(frame(SETTINGS, 0, 0, SMALL_SETTINGS * 2700)), {"settings", "protocol"}, (CALM, PROTOCOL_ERROR))


def test_settings_whose_acknowledgements_are_not_read(siege):
    siege(repeated(frame(SETTINGS, 0, 0, SMALL_SETTINGS)), {"settings"}, read=False)


def test_settings_windows_of_many_streams(siege):
    """Each change of the windows visits every open stream."""
    opening = b"".join(frame(HEADERS, OPEN_POST, s, POST) for s in range(1, 257, 2))
    siege(repeated(frame(SETTINGS, 0, 0, WINDOWS * 16)), {"settings"}, opening=opening)


def test_pings(siege):
    """CVE-2019-9512."""
    siege(repeated(frame(PING, 0, 0, b"12345678")), {"ping"})


def test_pings_that_are_not_read(siege):
    siege(repeated(frame(PING, 0, 0, b"12345678")), {"ping"}, read=False)


def test_pings_that_answer_nothing(siege):
    siege(repeated(frame(PING, ACK, 0, b"12345678")), {"ping"})


def test_priorities(siege):
    """CVE-2019-9513."""
    siege(repeated(frame(PRIORITY, 0, 3, b"\0\0\0\1\x10")), {"priority"})


def test_priorities_of_many_streams(siege):
    siege(each_stream(lambda s: frame(PRIORITY, 0, s + 2, struct.pack(">IB", s, 16)), 1), {"priority"})


def test_priority_updates(siege):
    siege(repeated(frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x03u=1")), {"priority"})


@pytest.mark.parametrize("payload", [b"", b"x" * 16000], ids=["empty", "16KiB"])
def test_unknown_frames(siege, payload):
    siege(repeated(frame(0xbb, 0, 0, payload)), {"priority"})


def test_unknown_frames_of_many_kinds(siege):
    """Numbers that later documents gave away: ALTSVC, ORIGIN, and what nobody uses."""
    siege(((4, frame(10, 0, 0, b"\0\0") + frame(12, 0, 0) + frame(0x21, 0, sid) + frame(0xff, 0xff, sid, b"?"))
           for sid in streams()), {"priority"})


def test_window_updates_of_one(siege):
    siege(repeated(update(0, 1)), {"window_update"})


def test_window_updates_of_a_stream(siege):
    siege(repeated(update(1, 1)), {"window_update"}, opening=frame(HEADERS, OPEN_POST, 1, POST))


# ---- Frames without content ----

OPEN = frame(HEADERS, OPEN_POST, 1, POST)


def test_empty_data(siege):
    """CVE-2019-9518."""
    siege(repeated(frame(DATA, 0, 1)), {"empty_frames"}, opening=OPEN)


@pytest.mark.parametrize("padding", [0, 255])
def test_data_of_padding_alone(siege, padding):
    """Its length is not nothing, its content is."""
    # Padding counts against the windows, which this client does not look at.
    siege(repeated(frame(DATA, PADDED, 1, bytes((padding,)) + bytes(padding))),
          {"empty_frames", "protocol"} if padding else {"empty_frames"}, (CALM, FLOW_CONTROL_ERROR), opening=OPEN)


def test_empty_trailers(siege):
    """Requests that each end in HEADERS without content."""
    siege(each_stream(lambda s: frame(HEADERS, OPEN_POST, s, POST) + frame(HEADERS, WHOLE_GET, s), 2),
          {"empty_frames"})


def test_empty_headers_that_end_nothing(siege):
    """Trailers without END_STREAM are malformed, one after the other on one stream."""
    siege(repeated(frame(HEADERS, END_HEADERS, 1)), {"empty_frames", "resets", "protocol"},
          (CALM, PROTOCOL_ERROR, STREAM_CLOSED), opening=OPEN)


def test_empty_continuations_behind_padding(siege):
    """HEADERS of padding and priority alone, then the block in a CONTINUATION: requests without end."""
    empty = b"\x02" + struct.pack(">IB", 0, 16) + b"\0\0"

    def one(sid):
        return frame(HEADERS, END_STREAM | PADDED | PRIORITY_FLAG, sid, empty) + \
            frame(CONTINUATION, END_HEADERS, sid, GET)
    siege(each_stream(one, 2), {"empty_frames", "resets"})


# ---- What is no flood ----

def test_a_busy_client_is_left_alone(start, emulator, h2):
    """Thousands of requests, each with its window updates, pings now and then and some cancelled streams."""
    proxy = start({"one": emulator("one").url}, workers=1)
    client = h2(proxy)
    for number in range(1500):
        if number % 10 == 0:
            client.conn.ping(b"12345678")
        if number % 15 == 0:
            sid = client.start("GET", "/")
            client.conn.reset_stream(sid, CANCEL)
        assert client.post("/", b"{}").status == 200
    assert client.get("/?bytes=4194304").received == 4194304
    assert not cuts(proxy) and client.goaway is None


def test_the_limits_are_those_of_the_configuration(start, emulator, certs, slow):
    """Twenty resets pass where thirty are allowed; fifty more do not."""
    proxy = start({"one": emulator("one").url}, workers=1, limits={"h2_resets": 30})
    with Attacker(proxy.port, certs.ca) as attacker:
        attacker.flood(each_stream(lambda s: frame(HEADERS, WHOLE_GET, s, GET) + reset(s), 2), most=40)
        assert not attacker.wait_end(0.5) and not cuts(proxy)
        attacker.flood((2, frame(HEADERS, WHOLE_GET, s, GET) + reset(s)) for s in range(101, 201, 2))
        assert attacker.wait_end(5 * slow)
    assert cuts(proxy) == {"resets": 1}


@pytest.mark.parametrize("flood,limits", [
    (frame(PING, 0, 0, b"12345678"), {"h2_control_frames": 20}),
    (frame(SETTINGS), {"h2_control_frames": 20}),
    (frame(PRIORITY, 0, 3, b"\0\0\0\1\x10"), {"h2_control_frames": 20}),
    (frame(DATA, 0, 1), {"h2_empty_frames": 20}),
    (update(0, 1), {"h2_control_frames": 20}),
], ids=["ping", "settings", "priority", "empty", "update"])
def test_a_cut_says_why(start, emulator, certs, slow, flood, limits):
    """A client that listens is told ENHANCE_YOUR_CALM, and then the connection is ended in order."""
    proxy = start({"one": emulator("one").url}, workers=1, limits=limits)
    with Attacker(proxy.port, certs.ca) as attacker:
        attacker.send(OPEN)
        attacker.flood(itertools.repeat((1, flood), 60))
        assert attacker.wait_end(5 * slow)
        assert attacker.goaway == CALM, (attacker.goaway, cuts(proxy))


def test_a_cut_connection_costs_nothing_until_it_is_gone(start, emulator, certs, slow):
    """The client keeps its socket after the cut: the proxy waits for it without work, and not for long."""
    proxy = start({"one": emulator("one").url}, workers=1, limits={"h2_control_frames": 20})
    with Attacker(proxy.port, certs.ca) as attacker:
        bill = Bill(proxy.process)
        attacker.flood(itertools.repeat((1, frame(PING, 0, 0, b"12345678")), 60))
        wait_cut(proxy, {"ping"}, 5 * slow)
        wait_until(lambda: proxy.metric("isochrone_downstream_connections") == 0, 10 * slow, "the socket's end",
                   every=0.1)
        assert bill.spent()[0] < 0.2 * slow, bill.spent()
