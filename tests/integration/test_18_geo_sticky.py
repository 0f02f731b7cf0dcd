"""Policies that look at the client: the same region for the same client, the nearest region for its address."""
import json
import os
import re
import signal
import subprocess

import pytest

import mmdb
from h1client import H1Client
from lab import HOST, NAME, find_binary, free_port, http_json, isochrone_config, wait_until

FAST = {"interval": "300ms", "timeout": "250ms"}
NAMES = ("near", "middle", "far")
COOKIE = re.compile(r"isochrone=([0-9a-f]{16})(-[0-9a-f]{16})?; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure")


@pytest.fixture
def trio(start, emulator):
    """A proxy over three regions that differ in latency, which these policies are not to look at."""
    def begin(sticky=None, regions=None, names=NAMES, **options):
        made = {n: emulator(n, d) for n, d in zip(names, (5, 10, 40))}
        balance = {"policy": "sticky", **({"sticky": sticky} if sticky else {})}
        options.setdefault("service", {"health": FAST, "balance": balance})
        proxy = start({n: {"url": r.url, "host": NAME, **(regions or {}).get(n, {})} for n, r in made.items()},
                      **options)
        proxy.wait_states({n: "healthy" for n in made})
        return proxy, made
    return begin


def cleartext(**more):
    """Options for a listener without TLS."""
    port = free_port()
    return {"port": port, "listeners": [{"address": f"{HOST}:{port}", **more}]}


def region_of(answer):
    assert answer.status == 200
    return answer.get("x-emulated-region")


def ask(client, *headers):
    return region_of(client.get("/", list(headers)))


def cookie_of(answer):
    """The cookie that an answer sets, as a client sends it back."""
    found = COOKIE.fullmatch(answer.get("set-cookie", ""))
    assert found, answer.get("set-cookie")
    return "cookie", f"isochrone={found[1]}{found[2] or ''}"


def newcomer(client):
    """(the cookie that a client without one gets, its region)"""
    answer = client.get("/")
    return cookie_of(answer), region_of(answer)


def newcomer_at(client, region):
    """A client whose own region is that one."""
    for _ in range(200):
        cookie, own = newcomer(client)
        if own == region:
            return cookie
    raise AssertionError(f"200 new clients, and none of them at {region}")


# ---- sticky: by cookie ----

def test_a_client_stays(trio, h2):
    proxy, _ = trio()
    client = h2(proxy)
    clients = [newcomer(client) for _ in range(30)]
    assert len({cookie for cookie, _ in clients}) == 30
    assert {region for _, region in clients} == set(NAMES), "30 clients, and a region without one"
    for cookie, region in clients:
        for _ in range(4):
            answer = client.get("/", [cookie])
            assert region_of(answer) == region
            assert answer.get("set-cookie") is None, "it has one"
    again = h2(proxy)
    assert all(ask(again, cookie) == region for cookie, region in clients), "on another connection, in another worker"


def test_clients_are_spread_by_weight(trio, h2):
    proxy, _ = trio(regions={"near": {"weight": 10}, "middle": {"weight": 30}, "far": {"weight": 0}})
    client = h2(proxy)
    seen = [newcomer(client)[1] for _ in range(800)]
    # Binomial with n = 800, p = 0.75: a standard deviation of 12.2; five of them.
    assert abs(seen.count("middle") - 600) < 62 and "far" not in seen
    shares = proxy.shares()
    assert abs(shares["middle"] - 0.75) < 0.02 and shares["far"] == 0, shares


def test_a_client_moves_with_its_region_and_comes_back(trio, h2):
    proxy, regions = trio()
    client = h2(proxy)
    clients = [newcomer(client) for _ in range(30)]
    regions["near"].set(mode="status", status=503)
    proxy.wait_states({"near": ("unhealthy", "ejected")})
    for cookie, region in clients:
        answer = client.get("/", [cookie])
        assert region_of(answer) == region if region != "near" else region_of(answer) in ("middle", "far")
        assert answer.get("set-cookie") is None, "its number stays good"
    regions["near"].set(mode="ok")
    wait_until(lambda: all(ask(client, cookie) == region for cookie, region in clients), 30, "all to be back")


def test_nobody_else_moves_while_clients_come_back(trio, h2):
    """A ramp lets them back one by one, and none twice."""
    proxy, regions = trio()
    client = h2(proxy)
    clients = [newcomer(client) for _ in range(60)]
    regions["near"].set(mode="status", status=503)
    proxy.wait_states({"near": ("unhealthy", "ejected")})
    away = {cookie: ask(client, cookie) for cookie, _ in clients}
    moved = {cookie: [] for cookie, _ in clients}
    regions["near"].set(mode="ok")

    def all_back():
        for cookie, _ in clients:
            moved[cookie].append(ask(client, cookie))
        return all(moved[cookie][-1] == region for cookie, region in clients)
    wait_until(all_back, 30, "all to be back")
    for cookie, region in clients:
        path = [away[cookie]] + moved[cookie]
        changes = sum(a != b for a, b in zip(path, path[1:]))
        assert changes == (1 if region == "near" else 0), path


def test_a_retry_goes_to_another_region_and_the_next_request_home(trio, h2):
    proxy, regions = trio()
    client = h2(proxy)
    cookie = newcomer_at(client, "far")
    regions["far"].set(mode="status", status=503)
    assert ask(client, cookie) in ("near", "middle")
    regions["far"].set(mode="ok")
    wait_until(lambda: ask(client, cookie) == "far", 20, "the client to be home again")


def test_a_client_stays_where_it_went(trio, h2):
    proxy, regions = trio({"by": "cookie", "return": False})
    client = h2(proxy)
    clients = [newcomer(client) for _ in range(30)]
    assert {region for _, region in clients} == set(NAMES)
    assert all(len(cookie[1]) == len("isochrone=") + 33 for cookie, _ in clients), "it names the region"
    regions["near"].set(mode="status", status=503)
    proxy.wait_states({"near": ("unhealthy", "ejected")})
    later = []
    for cookie, region in clients:
        answer = client.get("/", [cookie])
        if region == "near":
            assert region_of(answer) != "near"
            moved = cookie_of(answer)
            assert moved[1][:26] == cookie[1][:26] and moved != cookie, "the number is the client's own"
            later.append((moved, region_of(answer)))
        else:
            assert region_of(answer) == region and answer.get("set-cookie") is None
            later.append((cookie, region))
    regions["near"].set(mode="ok")
    wait_until(lambda: "near" in {newcomer(client)[1] for _ in range(30)}, 30, "new clients at the region")
    proxy.wait_states({"near": "healthy"}, 30)
    for cookie, region in later:
        answer = client.get("/", [cookie])
        assert region_of(answer) == region and answer.get("set-cookie") is None


def test_a_route_of_other_regions_does_not_take_a_client_away(trio, h2):
    """Which is asked by a route that may not use the client's region, and by one that may, in turn."""
    proxy, _ = trio({"return": False}, routes=[
        {"match": {"path": "/resident"}, "service": "orders", "regions": ["near", "middle"]}, {"service": "orders"}])
    client = h2(proxy)
    cookie = newcomer_at(client, "far")
    for _ in range(5):
        answer = client.get("/resident", [cookie])
        assert region_of(answer) in ("near", "middle") and answer.get("set-cookie") is None
        answer = client.get("/", [cookie])
        assert region_of(answer) == "far" and answer.get("set-cookie") is None


def test_an_error_is_nothing_to_stay_with(trio, h2):
    """When all fail, the last error reaches the client, and its cookie does not name who gave it."""
    proxy, regions = trio({"return": False})
    client = h2(proxy)
    cookie = newcomer_at(client, "far")
    for region in regions.values():
        region.set(mode="status", status=503, health="same")
    answers = [client.get("/", [cookie]) for _ in range(3)]
    assert [(a.status, a.get("set-cookie")) for a in answers] == [(503, None)] * 3
    answer = client.get("/")
    assert answer.status == 503 and re.match(r"isochrone=[0-9a-f]{16};", answer.get("set-cookie"))


@pytest.mark.parametrize("value", [
    "", "0", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg", "0123456789abcdef-",
    "0123456789abcdef-0123456789abcde", "0123456789abcdef-0123456789abcdeff", "0123456789abcdef_0123456789abcdef",
    "../../../../etc/p", "-0123456789abcde", "near", "\"0123456789abcd\"", "0123456789abcdef-0123456789abcdeX"])
def test_a_bad_value_is_no_value(trio, h2, value):
    proxy, _ = trio()
    answer = h2(proxy).get("/", [("cookie", f"isochrone={value}")])
    assert cookie_of(answer)[1] != f"isochrone={value}"


def test_what_is_read_of_cookies(trio, h2):
    proxy, _ = trio({"return": False})
    client = h2(proxy)
    good = "isochrone=0123456789abcdef-0123456789abcdef"
    named = cookie_of(client.get("/", [("cookie", good)]))
    assert named[1].startswith("isochrone=0123456789abcdef-") and named[1] != good, "a region that there is not"
    home = ask(client, named)
    for headers in ([("cookie", "a=1"), named, ("cookie", "b=2")], [("cookie", f"a=1; {named[1]}; b=2")],
                    [("cookie", "isochrone=bad"), named], [("cookie", f"isochrone=bad; {named[1]}")]):
        answer = client.get("/", headers)
        assert answer.get("set-cookie") is None and region_of(answer) == home, headers


def test_the_cookie_by_its_configuration(trio, h2):
    proxy, _ = trio({"by": "cookie", "name": "Place", "ttl": "0s"})
    said = h2(proxy).get("/").get("set-cookie")
    assert re.fullmatch(r"Place=[0-9a-f]{16}; Path=/; HttpOnly; SameSite=Lax; Secure", said)


def test_no_secure_in_cleartext(trio):
    proxy, _ = trio(**cleartext())
    with H1Client(proxy.port) as client:
        said = client.request("GET", "/").get("set-cookie")
    assert re.fullmatch(r"isochrone=[0-9a-f]{16}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax", said)


# ---- sticky: by header and by address ----

def test_by_header(trio, h2):
    proxy, _ = trio({"by": "header", "name": "X-User"})
    client = h2(proxy)
    homes = {user: ask(client, ("x-user", user)) for user in map(str, range(40))}
    assert set(homes.values()) == set(NAMES)
    answer = client.get("/", [("x-user", "7")])
    assert answer.get("set-cookie") is None
    assert all(ask(client, ("x-user", user)) == home for user, home in homes.items())
    # Without the field, and with an empty one, it is the fastest that is asked most.
    for headers in ([], [("x-user", "")]):
        wait_until(lambda h=headers: [ask(client, *h) for _ in range(20)].count("far") <= 1, 20, "latency to decide")


def test_the_same_after_a_restart_and_in_another_order(trio, h2):
    proxy, regions = trio({"by": "header", "name": "x-user"})
    client = h2(proxy)
    homes = {user: ask(client, ("x-user", user)) for user in map(str, range(30))}
    proxy.stop()
    service = proxy.config["services"]["orders"]
    service["regions"] = dict(reversed(service["regions"].items()))
    again = type(proxy)(proxy.lab, proxy.config, proxy.port, proxy.admin)
    again.wait_states({n: "healthy" for n in regions})
    client = h2(again)
    assert {user: ask(client, ("x-user", user)) for user in homes} == homes
    again.stop()


def test_by_address(trio):
    proxy, _ = trio({"by": "client_ip"}, **cleartext(trusted_proxies=[HOST]))
    client = H1Client(proxy.port)

    def home(address):
        return region_of(client.request("GET", "/", [("X-Forwarded-For", address)]))
    homes = {n: home(f"192.0.2.{n}") for n in range(40)}
    assert set(homes.values()) == set(NAMES)
    assert {n: home(f"192.0.2.{n}") for n in homes} == homes
    assert {n: home(f"203.0.113.9, 192.0.2.{n}") for n in homes} == homes, "the one that the trusted proxy has seen"
    homes = {n: home(f"2001:db8:0:{n:x}::1") for n in range(40)}
    assert set(homes.values()) == set(NAMES)
    assert {n: home(f"2001:db8:0:{n:x}:ffff:1:2:3") for n in homes} == homes, "a /64 is one client"
    client.__exit__()


def test_in_a_route_alone(trio, h2):
    proxy, _ = trio(service={"health": FAST, "balance": {"policy": "latency", "sticky": {"by": "header", "name": "k"}}},
                    routes=[{"match": {"path": "/held"}, "service": "orders", "policy": "sticky"},
                            {"service": "orders"}])
    client = h2(proxy)
    far = next(k for k in map(str, range(200)) if region_of(client.get("/held", [("k", k)])) == "far")
    assert [region_of(client.get("/held", [("k", far)])) for _ in range(10)] == ["far"] * 10
    wait_until(lambda: [ask(client, ("k", far)) for _ in range(20)].count("far") <= 2, 20, "latency to decide elsewhere")


def test_a_full_region_spills(trio, h2):
    """What exceeds max_in_flight goes elsewhere, and back when there is room."""
    proxy, regions = trio({"by": "header", "name": "k"}, {n: {"max_in_flight": 4} for n in NAMES}, workers=1)
    client = h2(proxy)
    far = next(k for k in map(str, range(200)) if ask(client, ("k", k)) == "far")
    regions["far"].set(delay_ms=400)
    ids = [client.start("POST", "/", [("k", far)]) for _ in range(8)]  # nothing that may be rescued elsewhere
    seen = [region_of(client.wait(sid)) for sid in ids]
    assert seen.count("far") == 4, seen
    regions["far"].set(delay_ms=40)
    wait_until(lambda: ask(client, ("k", far)) == "far", 20, "the client to be home again")


def begin_limited(trio, h2, limit, count):
    """Four workers, and so many clients; a key whose home is the far region, which has become slow."""
    proxy, regions = trio({"by": "header", "name": "k"}, {"far": {"max_in_flight": limit}}, workers=4)
    clients = [h2(proxy) for _ in range(count)]
    far = next(k for k in map(str, range(200)) if ask(clients[0], ("k", k)) == "far")
    regions["far"].set(delay_ms=600)
    return proxy, clients, far


def test_one_worker_may_use_the_whole_limit(trio, h2):
    """One client is one worker's; the limit is that of all of them together."""
    _, clients, far = begin_limited(trio, h2, 8, 1)
    ids = [clients[0].start("POST", "/", [("k", far)]) for _ in range(10)]
    seen = [region_of(clients[0].wait(sid)) for sid in ids]
    assert seen.count("far") == 8, seen


def test_all_workers_keep_to_the_limit(trio, h2):
    proxy, clients, far = begin_limited(trio, h2, 5, 6)
    ids = [(c, c.start("POST", "/", [("k", far)])) for c in clients for _ in range(4)]
    wait_until(lambda: proxy.region("far")["in_flight"] >= 5, 5, "five at once")
    status, _, answer = http_json("GET", proxy.admin, f"/explain?method=GET&url=https://{NAME}/")
    assert status == 200
    why = next(c["why_not"] for c in answer["candidates"] if c["region"] == "far")
    assert why and "limit is reached" in why, why
    seen = [region_of(c.wait(sid)) for c, sid in ids]
    # Workers that choose in the same microsecond may see the same room.
    assert 5 <= seen.count("far") <= 8, seen


# ---- geo ----

# The fastest is far from everybody, so that latency would choose otherwise.
GEO = {"ap-northeast-1": 1, "us-east-1": 30, "eu-central-1": 60}
BERLIN, BOSTON, SEOUL, LISBON = "192.0.2.1", "198.51.100.1", "2001:db8:1::1", "203.0.113.1"
NOBODY = "192.0.2.200"
PLACES = {"192.0.2.0/25": (52.5, 13.4), "198.51.100.0/24": (42.36, -71.06), "2001:db8:1::/48": (37.57, 126.98),
          "203.0.113.0/24": (38.72, -9.14), "192.0.2.192/26": {"country": "somewhere"}}


@pytest.fixture
def atlas(start, emulator, lab):
    """A proxy over three regions of AWS that believes the address that a header says."""
    def begin(policy="geo", regions=None, **options):
        made = {n: emulator(n, d) for n, d in GEO.items()}
        database = mmdb.write(lab.path("city.mmdb"), PLACES)
        options.setdefault("geo", {"database": database.name})
        options.setdefault("service", {"health": FAST, "balance": {"policy": policy}})
        proxy = start({n: {"url": r.url, "host": NAME, **(regions or {}).get(n, {})} for n, r in made.items()},
                      **cleartext(trusted_proxies=[HOST]), **options)
        proxy.wait_states({n: "healthy" for n in made})
        proxy.database = database
        return proxy, made
    return begin


@pytest.fixture
def ask_from():
    """ask_from(proxy, address): the region that answers a client there."""
    clients = []

    def ask(proxy, address, method="GET", path="/"):
        if not clients:
            clients.append(H1Client(proxy.port))
        return region_of(clients[0].request(method, path, [("X-Forwarded-For", address)] if address else []))
    yield ask
    for client in clients:
        client.__exit__()


def test_the_writer_by_the_librarys_own_tool(tmp_path):
    """What the tests' databases say is read by mmdblookup as it was meant, in every form of the tree."""
    for version, size in ((6, 24), (6, 28), (6, 32), (4, 24), (4, 28), (4, 32)):
        networks = {n: r for n, r in PLACES.items() if version == 6 or ":" not in n}
        file = mmdb.write(tmp_path / "a.mmdb", {**networks, "10.0.0.0/8": (1, 2), "10.1.0.0/16": (3, 4)}, version, size)

        def look(address, *path):
            return subprocess.run(["mmdblookup", "--file", file, "--ip", address, *path], capture_output=True,
                                  text=True, timeout=10)
        for address, latitude, longitude in ((BERLIN, 52.5, 13.4), (BOSTON, 42.36, -71.06), (LISBON, 38.72, -9.14),
                                             ("10.0.255.255", 1, 2), ("10.1.0.0", 3, 4), ("10.255.0.0", 1, 2),
                                             *([(SEOUL, 37.57, 126.98)] if version == 6 else [])):
            for name, value in (("latitude", latitude), ("longitude", longitude)):
                said = look(address, "location", name)
                assert said.returncode == 0 and float(said.stdout.split()[0]) == value, (address, said)
        assert look(NOBODY, "country").stdout.split()[0] == '"somewhere"'
        assert look(NOBODY, "location", "latitude").returncode != 0
        assert look("192.0.3.1").returncode != 0


def test_the_nearest_region(atlas, ask_from):
    proxy, _ = atlas()
    for _ in range(10):
        assert ask_from(proxy, BERLIN) == "eu-central-1"
        assert ask_from(proxy, BOSTON) == "us-east-1"
        assert ask_from(proxy, SEOUL) == "ap-northeast-1"
        assert ask_from(proxy, LISBON) == "eu-central-1"
        assert ask_from(proxy, "2001:db8:1:ffff::2") == "ap-northeast-1"
        assert ask_from(proxy, f"{SEOUL}, {BERLIN}") == "eu-central-1", "what stands further left may be invented"
    wait_until(lambda: [round(proxy.shares()[n], 2) for n in GEO] == [0.33, 0.17, 0.5], 5, f"shares {proxy.shares()}")


@pytest.mark.parametrize("address", [NOBODY, "192.0.3.1", "2001:db8:2::1", "unknown", None])
def test_without_a_place_by_latency(atlas, ask_from, address):
    proxy, _ = atlas()
    wait_until(lambda: [ask_from(proxy, address) for _ in range(20)].count("ap-northeast-1") >= 18, 20,
               "the fastest to be chosen")


def test_the_next_nearest_when_it_is_out(atlas, ask_from):
    """From Berlin: Frankfurt, then Virginia (6,700 km), then Tokyo (8,900 km)."""
    proxy, regions = atlas()
    regions["eu-central-1"].set(mode="status", status=503)
    proxy.wait_states({"eu-central-1": ("unhealthy", "ejected")})
    assert {ask_from(proxy, BERLIN) for _ in range(10)} == {"us-east-1"}
    assert {ask_from(proxy, SEOUL) for _ in range(10)} == {"ap-northeast-1"}
    regions["us-east-1"].set(mode="status", status=503)
    proxy.wait_states({"us-east-1": ("unhealthy", "ejected")})
    assert {ask_from(proxy, BERLIN) for _ in range(10)} == {"ap-northeast-1"}
    regions["eu-central-1"].set(mode="ok")
    wait_until(lambda: {ask_from(proxy, BERLIN) for _ in range(10)} == {"eu-central-1"}, 30, "Frankfurt to be back")


def test_a_retry_goes_to_the_next_nearest(atlas, lab, ask_from):
    proxy, regions = atlas(access_log={"path": str(lab.path("access.log"))}, workers=1, service={
        "health": {"interval": "60s", "timeout": "1s"}, "balance": {"policy": "geo"}, "retry": {"budget": 2}})
    regions["eu-central-1"].set(mode="status", status=503)
    regions["us-east-1"].set(mode="status", status=503)
    assert ask_from(proxy, BERLIN) == "ap-northeast-1"
    log = lab.dir / os.path.basename(proxy.config["access_log"]["path"])
    line = wait_until(lambda: [t for t in log.read_text().splitlines() if '"ap-northeast-1"' in t], 10, "the log")[0]
    tried = re.findall(r'"region":"([a-z0-9-]+)","endpoint"', line)
    assert tried == ["eu-central-1", "us-east-1", "ap-northeast-1"], line


def test_a_decision_by_place_recomputes(atlas, lab, ask_from):
    """The log says how far each region was, which is all a policy saw of the address."""
    log = lab.path("decisions.log")
    proxy, _ = atlas(access_log={"path": str(log), "decisions": 1})
    for address in (BERLIN, BOSTON, SEOUL, LISBON, NOBODY):
        ask_from(proxy, address)
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) == 5, 10, "the lines")
    done = subprocess.run([find_binary(), "explain", "--recompute", log], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "5 decisions in 5 lines, 0 wrong" in done.stdout, done.stdout + done.stderr
    decisions = [json.loads(line)["decision"] for line in log.read_text().splitlines()]
    km = {c["region"]: c["km"] for c in decisions[0]["candidates"]}
    assert km["eu-central-1"] < 600 < 6000 < km["us-east-1"] < 7500 < 8000 < km["ap-northeast-1"] < 9500, km
    assert "placed" not in decisions[4], "nobody knows where that is"


def test_a_location_of_ones_own(atlas, ask_from):
    """It goes before the one that the name says."""
    proxy, _ = atlas(regions={"ap-northeast-1": {"location": {"latitude": 52, "longitude": 13}}})
    assert {ask_from(proxy, BERLIN) for _ in range(10)} == {"ap-northeast-1"}
    assert {ask_from(proxy, BOSTON) for _ in range(10)} == {"us-east-1"}


def test_geo_in_a_route_alone(atlas, ask_from):
    proxy, _ = atlas("latency", routes=[{"match": {"path": "/near"}, "service": "orders", "policy": "geo"},
                                        {"service": "orders"}])
    assert {ask_from(proxy, BERLIN, path="/near") for _ in range(10)} == {"eu-central-1"}
    wait_until(lambda: [ask_from(proxy, BERLIN) for _ in range(20)].count("ap-northeast-1") >= 18, 20,
               "the fastest to be chosen elsewhere")


def test_a_route_that_allows_some_regions(atlas, ask_from):
    proxy, _ = atlas(routes=[{"service": "orders", "regions": ["us-east-1", "ap-northeast-1"]}])
    assert {ask_from(proxy, BERLIN) for _ in range(10)} == {"us-east-1"}


def test_a_new_database_is_taken_up(atlas, ask_from):
    """By SIGHUP, and without one when the file changes."""
    proxy, _ = atlas()
    assert ask_from(proxy, BERLIN) == "eu-central-1"
    mmdb.write(proxy.database, {"192.0.2.0/24": (40, -75)})
    proxy.send(signal.SIGHUP)
    wait_until(lambda: ask_from(proxy, BERLIN) == "us-east-1", 20, "the new place of the client")
    mmdb.write(proxy.database, {"192.0.2.0/24": (35, 135)})
    wait_until(lambda: ask_from(proxy, BERLIN) == "ap-northeast-1", 20, "the newest place of the client")
    assert "has changed: reload" in proxy.stderr


def test_a_broken_database_changes_nothing(atlas, ask_from):
    proxy, _ = atlas()
    broken = proxy.database.with_suffix(".broken")
    broken.write_bytes(proxy.database.read_bytes()[:300])
    os.replace(broken, proxy.database)
    proxy.send(signal.SIGHUP)
    wait_until(lambda: "nothing has changed" in proxy.stderr, 20, "the reload's refusal")
    assert "is no MaxMind DB file" in proxy.stderr and "GeoLite2-City.mmdb" in proxy.stderr
    assert {ask_from(proxy, BERLIN) for _ in range(10)} == {"eu-central-1"}, "the old one is still in use"
    proxy.database.unlink()
    before = proxy.stderr.count("nothing has changed")
    proxy.send(signal.SIGHUP)
    wait_until(lambda: proxy.stderr.count("nothing has changed") > before, 20, "the next refusal")
    assert "cannot be read: No such file" in proxy.stderr
    assert ask_from(proxy, BOSTON) == "us-east-1"


@pytest.mark.parametrize("geo, regions, words", [
    (None, {}, "there is no database that says where clients are; add \"geo\""),
    ({"database": "nowhere.mmdb"}, {}, "nowhere.mmdb cannot be read: No such file or directory; name a MaxMind DB"),
    ({"database": "good.mmdb"}, {"home": "http://127.0.0.1:1"}, "the place of the region \"home\" is not known; add"),
])
def test_check_says_what_is_missing(lab, geo, regions, words):
    mmdb.write(lab.dir / "good.mmdb", PLACES)
    config, _ = isochrone_config(lab, {"us-east-1": "http://127.0.0.1:1", **regions},
                                 service={"balance": {"policy": "geo"}, "tls": {}}, **({"geo": geo} if geo else {}))
    file = lab.write("isochrone.json", json.dumps(config))
    done = subprocess.run([find_binary(), "check", "-c", file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and words in done.stdout + done.stderr, done
