"""`balance.after_write`: who has just written reads where it wrote, while the regions' tables catch up."""
import re
import subprocess
import time

import pytest

from conftest import H1Origin
from h1client import H1Client
from lab import HOST, NAME, find_binary, free_port, http_json, wait_until
from product import SLOW

FAST = {"interval": "300ms", "timeout": "250ms"}
DELAYS = {"near": 5, "middle": 20, "far": 60}
HOLD = 3
# One's own way to each region; all else goes as the policy says.
ROUTES = [{"match": {"path": f"/{n}"}, "service": "orders", "regions": [n]} for n in DELAYS] + [{"service": "orders"}]
RARE = {"near": {"weight": 10000}, "middle": {"weight": 1}, "far": {"weight": 1}}
COOKIE = re.compile(r"isochrone=([0-9a-f]{16}); Path=/; Max-Age=3600; HttpOnly; SameSite=Lax")


@pytest.fixture
def trio(start, emulator):
    """A proxy of two workers over three regions; clients are told apart by X-Forwarded-For."""
    def begin(regions=None, urls=None, health=FAST, after_write="60s", service=None, **balance):
        made = {n: emulator(n, d) for n, d in DELAYS.items() if n not in (urls or {})}
        port = free_port()
        if after_write:
            balance["after_write"] = after_write
        proxy = start({n: {"url": (urls or {}).get(n) or made[n].url, "host": NAME, **(regions or {}).get(n, {})}
                       for n in DELAYS}, port=port, workers=2, routes=ROUTES,
                      listeners=[{"address": f"{HOST}:{port}", "trusted_proxies": [HOST]}],
                      service={"health": health, "balance": balance, **(service or {})},
                      access_log={"path": "access.log", "decisions": 1})
        proxy.wait_states({n: "healthy" for n in DELAYS})
        return proxy, made
    return begin


@pytest.fixture
def crowd():
    """crowd(proxy): connections enough that each of two workers has some."""
    made = []

    def begin(proxy):
        made.extend(H1Client(proxy.port) for _ in range(8))
        return made
    yield begin
    for one in made:
        one.sock.close()


def at(address):
    return [("X-Forwarded-For", address)]


WRITER, OTHER = at("192.0.2.7"), at("192.0.2.8")


def ask(client, headers, path="/", method="GET"):
    answer = client.request(method, path, headers, b"" if method == "POST" else None)
    assert answer.status == 200, answer.status
    return answer.get("x-emulated-region")


def write(client, headers, region):
    assert ask(client, headers, f"/{region}", "POST") == region
    return time.monotonic()


def held(clients, headers, region, wrote=None):
    """One request of each connection, or from the write on for as long as it is sure to hold: all are the region's."""
    count = 0
    while count < len(clients) or (wrote and time.monotonic() < wrote + HOLD - 0.5):
        assert ask(clients[count % len(clients)], headers) == region, f"request {count}"
        count += 1
    return count


def freed(client, headers, region, wrote):
    """When the client is asked elsewhere again: not before its time, and soon after it."""
    wait_until(lambda: ask(client, headers) == region, HOLD + 10, f"{region} again")
    took = time.monotonic() - wrote
    assert HOLD <= took < HOLD + 1 + SLOW, took


def settled(client, headers, region="near"):
    """Until the policy has learnt who is nearest."""
    wait_until(lambda: [ask(client, headers) for _ in range(20)].count(region) == 20, 20, f"all at {region}")


def test_a_client_reads_where_it_wrote(trio, crowd):
    """In both workers, for the time; others do not, and what it reads does not prolong it."""
    proxy, _ = trio(after_write=f"{HOLD}s")
    clients = crowd(proxy)
    settled(clients[0], OTHER)
    wrote = write(clients[0], WRITER, "far")
    assert held(clients, WRITER, "far", wrote) >= 8
    assert [ask(c, OTHER) for c in clients].count("near") >= 7
    freed(clients[1], WRITER, "near", wrote)
    assert proxy.metric("isochrone_held_total") >= 8
    assert proxy.metric("isochrone_holds_lost_total") == 0


def test_the_next_write_moves_it_and_begins_anew(trio, crowd):
    proxy, _ = trio(after_write=f"{HOLD}s")
    clients = crowd(proxy)
    settled(clients[0], OTHER)
    write(clients[0], WRITER, "far")
    assert ask(clients[1], WRITER, "/", "POST") == "far", "writes go there, too"
    wrote = write(clients[2], WRITER, "middle")
    held(clients, WRITER, "middle", wrote)
    freed(clients[3], WRITER, "near", wrote)


def test_nobody_is_held_who_only_reads_or_does_not_ask_for_it(trio, crowd):
    proxy, _ = trio(after_write=None)
    clients = crowd(proxy)
    settled(clients[0], OTHER)
    write(clients[0], WRITER, "far")
    assert [ask(c, WRITER) for c in clients].count("near") >= 7
    assert proxy.metric("isochrone_held_total") == 0
    proxy.config["services"]["orders"]["balance"]["after_write"] = "60s"
    proxy.rewrite()
    assert http_json("POST", proxy.admin, "/reload", {})[0] == 200
    assert ask(clients[0], WRITER, "/far") == "far"
    assert [ask(c, WRITER) for c in clients].count("near") >= 7, "it has only read there"
    write(clients[0], WRITER, "far")
    held(clients, WRITER, "far")


@pytest.mark.parametrize("balance, regions, usual", [
    ({"policy": "failover"}, {}, "near"),
    ({"policy": "weighted"}, RARE, "near"),
    ({"policy": "sticky", "sticky": {"by": "client_ip"}}, RARE, "near"),
])
def test_with_every_policy(trio, crowd, balance, regions, usual):
    proxy, _ = trio(regions, after_write=f"{HOLD}s", **balance)
    clients = crowd(proxy)
    assert ask(clients[0], WRITER) == usual
    wrote = write(clients[0], WRITER, "far")
    held(clients, WRITER, "far", wrote)
    freed(clients[0], WRITER, usual, wrote)


def test_a_region_that_is_out_holds_nobody(trio, crowd):
    proxy, regions = trio()
    clients = crowd(proxy)
    settled(clients[0], OTHER)
    write(clients[0], WRITER, "far")
    regions["far"].kill()
    assert {ask(c, WRITER) for c in clients} <= {"near", "middle"}, "at once, and by no error"


def test_what_is_full_holds_nobody(trio, crowd):
    proxy, regions = trio({"far": {"max_in_flight": 1}})
    clients = crowd(proxy)
    settled(clients[0], OTHER)
    write(clients[0], WRITER, "far")
    regions["far"].set(delay_ms=1000)
    clients[7].send(f"POST /far HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 0\r\n\r\n".encode())
    wait_until(lambda: proxy.region("far")["in_flight"] == 1, 5, "the only place to be taken")
    assert ask(clients[0], WRITER) in ("near", "middle")
    assert clients[7].answer("POST").status == 200


def test_who_is_held_takes_nobody_s_trial(trio, crowd):
    """A region that is half-open waits for a request that may try it; one that is held would take its place and not come."""
    proxy, regions = trio(policy="failover")
    clients = crowd(proxy)
    write(clients[0], WRITER, "far")
    regions["near"].set(mode="status", status=503, health="ok")
    wait_until(lambda: ask(clients[1], OTHER) and proxy.region("near")["state"] == "ejected", 10, "its ejection")
    regions["near"].set(mode="ok")
    words = set()

    def back():
        assert ask(clients[0], WRITER) == "far"
        near = proxy.region("near")
        words.add(near["why"])
        return near["state"] != "ejected"
    wait_until(back, 30, "its return by the word of its probes")
    assert not any("gets no answer" in w for w in words if w), words


def test_a_route_that_may_not_go_there_does_not(trio, crowd):
    proxy, _ = trio()
    clients = crowd(proxy)
    write(clients[0], WRITER, "far")
    assert ask(clients[1], WRITER, "/middle") == "middle"
    assert ask(clients[1], WRITER) == "far"


def test_by_header(trio, crowd):
    proxy, _ = trio(sticky={"by": "header", "name": "X-User"})
    clients = crowd(proxy)
    settled(clients[0], [("x-user", "b"), *WRITER])
    write(clients[0], [("x-user", "a"), *WRITER], "far")
    held(clients, [("x-user", "a"), *OTHER], "far")
    assert [ask(c, [("x-user", "b"), *WRITER]) for c in clients].count("near") >= 7
    write(clients[0], WRITER, "far")  # without the field it is nobody
    assert [ask(c, WRITER) for c in clients].count("near") >= 7


def test_by_cookie(trio, crowd):
    """A client gets one when it writes; an answer that a cache may keep has none."""
    proxy, _ = trio(sticky={})
    clients = crowd(proxy)
    settled(clients[0], OTHER)
    assert clients[0].request("GET", "/far", OTHER).get("set-cookie") is None
    answer = clients[0].request("POST", "/far", WRITER, b"")
    found = COOKIE.fullmatch(answer.get("set-cookie"))
    assert found, answer.get("set-cookie")
    cookie = [("Cookie", f"a=b; isochrone={found[1]}")]
    held(clients, cookie, "far")
    assert [ask(c, WRITER) for c in clients].count("near") >= 7, "the same address without the cookie"
    again = clients[0].request("POST", "/far", cookie, b"")
    assert again.status == 200 and again.get("set-cookie") is None, "it has one"


def test_by_the_cookie_of_the_policy(trio, crowd):
    """Where `sticky` knows the client by a cookie it is the same one, which every answer brings."""
    proxy, _ = trio(RARE, policy="sticky", after_write=f"{HOLD}s")
    clients = crowd(proxy)
    cookie = [("Cookie", clients[0].request("GET", "/", OTHER).get("set-cookie").partition(";")[0])]
    assert ask(clients[0], cookie) == "near"
    wrote = write(clients[1], cookie, "far")
    held(clients, cookie, "far", wrote)
    freed(clients[2], cookie, "near", wrote)


def breaks_off(sock, request):
    """A region whose writes end without an answer."""
    if request.method == "POST":
        return False
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Emulated-Region: far\r\n\r\n")
    return True


def test_a_write_that_may_have_run_counts_by_cookie(trio, crowd, origin):
    """The answer is the proxy's own, and brings the number all the same."""
    far = origin(H1Origin, breaks_off, tls=False)
    proxy, _ = trio(urls={"far": far.url}, policy="failover", sticky={})
    clients = crowd(proxy)
    answer = clients[0].request("POST", "/far", WRITER, b"")
    assert answer.status == 502
    found = COOKIE.fullmatch(answer.get("set-cookie"))
    assert found, answer.get("set-cookie")
    held(clients, [("Cookie", f"isochrone={found[1]}")], "far")
    assert clients[0].request("GET", "/none-such", WRITER).get("set-cookie") is None


def test_a_write_that_may_have_run_counts(trio, crowd, origin):
    """Its connection broke before an answer; what certainly did not run holds nobody."""
    far = origin(H1Origin, breaks_off, tls=False)
    proxy, regions = trio(urls={"far": far.url}, policy="failover")
    clients = crowd(proxy)
    assert ask(clients[0], OTHER) == "near"
    assert clients[0].request("POST", "/far", WRITER, b"").status == 502
    assert {ask(c, WRITER) for c in clients} == {"far"}
    before = proxy.metric("isochrone_held_total")
    regions["middle"].kill()
    assert clients[0].request("POST", "/middle", OTHER, b"").status in (502, 503)
    assert {ask(c, OTHER) for c in clients} == {"near"}
    assert proxy.metric("isochrone_held_total") == before


def test_no_hedge_overtakes_what_was_written(trio, crowd):
    """Elsewhere it may not be known yet; those who have not written are hedged."""
    proxy, _ = trio(service={"hedge": {"after": "20ms", "share": 1}})
    clients = crowd(proxy)
    settled(clients[0], OTHER)
    before = proxy.metric("isochrone_retries_total", reason="hedge")
    write(clients[0], WRITER, "far")
    held(clients, WRITER, "far")
    assert proxy.metric("isochrone_retries_total", reason="hedge") == before


def test_it_is_explained_and_computed_again(trio, crowd, lab):
    proxy, _ = trio()
    clients = crowd(proxy)
    settled(clients[0], OTHER)
    write(clients[0], WRITER, "far")
    for client in clients:
        assert ask(client, WRITER) == "far"

    def explain(client):
        status, _, body = http_json("GET", proxy.admin, f"/explain?method=GET&url=/&client={client}")
        assert status == 200, body
        return body, [c["region"] for c in body["candidates"] if c["held"]]
    body, regions = explain("192.0.2.7")
    assert (body["pick"], body["level"], regions) == ("far", "held", ["far"])
    assert [c["share"] for c in body["candidates"]] == [0, 0, 1]
    body, regions = explain("192.0.2.8")
    assert body["level"] == "good" and regions == []
    text = subprocess.run([find_binary(), "explain", "--admin", f"{HOST}:{proxy.admin}", "--client", "192.0.2.7", "GET",
                           "/"], capture_output=True, text=True, timeout=30).stdout
    assert "eligible; its client has just written there" in text and "(held, draw" in text, text
    log = proxy.file.parent / "access.log"
    count = 20 + 1 + 8
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) >= count, 10, "the lines")
    assert log.read_text().count('"level":"held"') == 8
    done = subprocess.run([find_binary(), "explain", "--recompute", log], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and ", 0 wrong" in done.stdout, done.stdout
