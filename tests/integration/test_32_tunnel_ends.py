"""How tunnels end (RFC 8441, RFC 6455 section 7.1.1): each direction by itself, and with nothing lost.

Raw peers over all four combinations of protocols, in clear and under TLS: what is said in the same write as an end of
a direction comes out at the other side, before that end; the other direction goes on until it ends as well.
"""
import pytest
from lab import HOST, NAME, free_port, wait_until
from tunnel import SECONDS, H1End, H1Region, H2Client, H2Region, h1_client

CLOSE = bytes([0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe8 ^ 2])  # a masked Close frame, 1000
MUCH = bytes(range(256)) * 8192  # 2 MiB: more than any window or buffer on the way
CLIENTS = {"h1": h1_client, "h2": H2Client}
REGIONS = {"h1": H1Region, "h2": H2Region}


@pytest.fixture(params=["clear", "tls"])
def tls(request):
    return request.param == "tls"


@pytest.fixture(params=["h1-h1", "h1-h2", "h2-h1", "h2-h2"])
def lay(request, start, lab, certs, tls):
    """lay(…): a tunnel through a new proxy, as (client's end, region's end, proxy)."""
    kind, region_kind = request.param.split("-")
    made = []

    def begin(first=b"", end=False, region_first=b"", region_end=False, opened=True, **service):
        region = REGIONS[region_kind](lab, region_first, region_end, tls=tls)
        made.append(region)
        port = free_port()
        more = {} if tls else {"listeners": [{"address": f"{HOST}:{port}", "protocols": ["h2", "http/1.1"]}]}
        proxy = start({"one": {"url": region.url, "host": NAME, "protocol": "h2" if region_kind == "h2" else "http/1.1"}},
                      port=port, workers=1, service=service, **more)
        wait_until(lambda: proxy.region("one")["connections"] > 0, 10, "the region's connection")
        client = CLIENTS[kind](proxy.port, certs.ca if tls else None, first, end)
        made.append(client)
        wait_until(lambda: region.tunnels, SECONDS, "the tunnel in the region")
        assert client.status == (101 if kind == "h1" else 200)
        return client, region.tunnels[0], proxy

    yield begin
    for one in made:
        one.close()
        assert not getattr(one, "errors", None), one.errors


def check_over(proxy):
    """Ended in order on both sides: the exchange is over at once, and counts as whole."""
    wait_until(lambda: proxy.metric("isochrone_exchanges_in_flight") == 0, 10, "the tunnel's end")


def test_the_client_ends_first(lay):
    client, region, proxy = lay()
    client.send(b"hello")
    region.check_got(b"hello", end=False)
    client.send(CLOSE, end=True)
    region.check_got(b"hello" + CLOSE, end=True)
    assert not client.ended and not client.broken, "the region has not ended its direction"
    region.send(MUCH)
    client.check_got(MUCH, end=False)
    region.send(CLOSE, end=True)
    client.check_got(MUCH + CLOSE, end=True)
    check_over(proxy)


def test_the_region_ends_first(lay):
    client, region, proxy = lay()
    region.send(b"hello")
    client.check_got(b"hello", end=False)
    region.send(CLOSE, end=True)
    client.check_got(b"hello" + CLOSE, end=True)
    assert not region.ended and not region.broken, "the client has not ended its direction"
    client.send(MUCH)
    region.check_got(MUCH, end=False)
    client.send(CLOSE, end=True)
    region.check_got(MUCH + CLOSE, end=True)
    check_over(proxy)


def test_both_end_at_once(lay):
    client, region, proxy = lay()
    client.send(MUCH[:100000] + CLOSE, end=True)
    region.send(CLOSE, end=True)
    region.check_got(MUCH[:100000] + CLOSE, end=True)
    client.check_got(CLOSE, end=True)
    check_over(proxy)


def test_all_is_said_before_the_tunnel_is_open(lay):
    """The client's frame and end come with its request, the region's with its answer."""
    client, region, proxy = lay(CLOSE, True, b"hello" + CLOSE, True)
    region.check_got(CLOSE, end=True)
    client.check_got(b"hello" + CLOSE, end=True)
    check_over(proxy)


def test_the_regions_first_frame_comes_with_its_answer(lay):
    client, region, proxy = lay(region_first=b"hello")
    client.check_got(b"hello", end=False)
    client.send(b"you", end=True)
    region.check_got(b"you", end=True)
    region.send(b"", end=True)
    client.check_got(b"hello", end=True)
    check_over(proxy)


def test_nothing_is_said_at_all(lay):
    client, region, proxy = lay()
    client.send(b"", end=True)
    region.check_got(b"", end=True)
    region.send(b"", end=True)
    client.check_got(b"", end=True)
    check_over(proxy)


@pytest.mark.parametrize("who", ["client", "region"])
def test_half_a_tunnel_that_is_silent_ends(lay, who):
    """The idle timeout holds for one direction as for two."""
    client, region, proxy = lay(tunnel_idle_timeout="500ms")
    first, second = (client, region) if who == "client" else (region, client)
    first.send(CLOSE, end=True)
    second.check_got(CLOSE, end=True)
    check_over(proxy)
    wait_until(lambda: first.broken or first.ended, SECONDS, "the end of the other direction")


@pytest.mark.parametrize("tls", [True], ids=["tls"], indirect=False)
def test_a_fin_without_close_notify_ends_a_direction(lay, tls):
    """As some clients and servers do: what came before it is not lost (in messages it is a cut, test_12)."""
    client, region, proxy = lay()
    for first, second in ((client, region), (region, client)):
        if hasattr(first, "vanish"):
            first.send(CLOSE)
            first.vanish()
            second.check_got(CLOSE, end=True)
        else:
            first.send(CLOSE, end=True)
            second.check_got(CLOSE, end=True)
    check_over(proxy)


@pytest.mark.parametrize("lay", ["h1-h2", "h2-h2"], indirect=True)
def test_trailers_of_the_region_break_a_tunnel(lay):
    """RFC 9113 8.5: nothing but DATA belongs on it; a stream error, and no end in order."""
    client, region, proxy = lay()
    region.send(b"hello")
    client.check_got(b"hello", end=False)
    with region.lock:
        region.conn.send_headers(region.sid, [("x-checksum", "1")], end_stream=True)
        wire = region.conn.data_to_send()
    region.pipe.send(wire)
    wait_until(lambda: region.broken, SECONDS, "the stream error")
    assert region.broken == "RST_STREAM 1"
    wait_until(lambda: client.broken or client.ended, SECONDS, "the client's end")
    assert client.broken or client.status == 101, "over HTTP/1.1 nothing but the connection's end can say so"
    check_over(proxy)


@pytest.mark.parametrize("lay", ["h2-h1", "h2-h2"], indirect=True)
@pytest.mark.parametrize("half", [False, True], ids=["open", "half-closed"])
def test_trailers_of_a_client_break_its_tunnel(lay, half):
    """RFC 9113 8.5: anything but DATA on a connected stream is a stream error, and no end of the client's direction."""
    client, region, proxy = lay()
    client.send(b"hello")
    region.check_got(b"hello", end=False)
    if half:
        region.send(CLOSE, end=True)
        client.check_got(CLOSE, end=True)
    with client.lock:
        client.conn.send_headers(1, [("x-a", "1")], end_stream=True)
        wire = client.conn.data_to_send()
    client.pipe.send(wire)
    wait_until(lambda: region.broken or region.ended, SECONDS, "the region to hear of it")
    assert region.broken or isinstance(region, H1End), "an end in order"
    wait_until(lambda: half or client.broken, SECONDS, "the stream's reset")
    check_over(proxy)


def test_a_region_that_goes_away(lay):
    """It has said its last word and closes: the client's frames go nowhere, its end is the tunnel's."""
    client, region, proxy = lay()
    region.send(CLOSE, end=True)
    client.check_got(CLOSE, end=True)
    region.close()
    client.send(MUCH[:100000])
    client.send(b"", end=True)
    check_over(proxy)
