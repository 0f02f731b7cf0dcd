"""Random fault schedules against the real binary: no POST runs twice, and nothing fails that had to succeed.

Lanes run beside each other, each with regions of its own and one request at a time, so that what befalls an attempt is
its schedule's doing alone. ISO_SCHEDULE=SEED/LANE runs a single one.
"""
import json
import os
import socket
import struct
import threading

import pytest

import schedule as schedules
from attacker import cuts
from lab import HOST, NAME, free_port, wait_until
from schedule import ATTEMPTS, BROKEN, FINAL, GOOD, MAYBE, NEVER, Schedule

TIMEOUT = 4
SERVICE = {"health": {"interval": "60s", "timeout": "1s"}, "timeout": f"{TIMEOUT}s", "connect_timeout": "500ms",
           "throttle": {"learn": False}, "marker": schedules.MARKER,
           "retry": {"budget": 2, "attempts": ATTEMPTS, "per_try_timeout": "250ms"}}


THROTTLED = {"429", "THROTTLED", "forged"}


class Lane:
    """A service: regions with a script, and perhaps one that cannot be reached at all."""

    def __init__(self, name, kinds, dead=None, honoured="none", **service):
        self.name, self.dead, self.honoured, self.service = name, dead, honoured, service
        self.scripted = {f"{name}-r{i}": kind for i, kind in enumerate(kinds)}


LANES = [Lane("a", ["h2", "h2", "h2"]), Lane("b", ["h1", "h1", "h1"]), Lane("c", ["h1", "h2"], "refused", "region"),
         Lane("d", ["h2", "h1"], "no_name", "global"), Lane("e", ["h2", "h1"], "no_tls"),
         Lane("f", ["h2", "h1", "h2"], None, "region"), Lane("g", ["h2"]), Lane("h", ["h1"], "refused", "global"),
         Lane("i", ["h2", "h1", "h2"], hedge={"after": "60ms", "share": 1}, throttle={"learn": True}),
         Lane("j", ["h1", "h2", "h1"], None, "region", timeout="1500ms",
              retry={"budget": 0, "attempts": ATTEMPTS, "per_try_timeout": "250ms"})]


@pytest.fixture
def world(start, lab, origin):
    """A proxy over the regions of all lanes, and the record of what reached them."""
    record = schedules.Record()
    log = lab.path("access.log")
    plain = origin(schedules.H1Origin, lambda sock, request: False, tls=False)
    dead = {"refused": f"https://{HOST}:{free_port()}", "no_name": "https://nowhere.invalid",
            "no_tls": plain.url.replace("http:", "https:")}
    made, services, routes = [], {}, []
    for lane in LANES:
        regions = {}
        for name, kind in lane.scripted.items():
            region = (schedules.h2_region if kind == "h2" else schedules.h1_region)(lab, name, record)
            made.append(region)
            regions[name] = {"url": region.url, "host": NAME, "tls": {"ca": str(lab.certs.ca)}}
        if lane.dead:
            regions[f"{lane.name}-dead"] = {"url": dead[lane.dead], "host": NAME, "tls": {"ca": str(lab.certs.ca)}}
        services[lane.name] = {**SERVICE, "regions": regions, "idempotency": {"honoured": lane.honoured},
                               **lane.service}
        for kind in ("declared", "plain"):
            routes.append({"match": {"path": f"/{lane.name}/{kind}"}, "service": lane.name,
                           "idempotent": kind == "declared"})
    proxy = start({"unused": plain.url}, workers=1, access_log={"path": str(log), "decisions": 1},
                  services=services, routes=routes, limits={"streams": 200})
    yield proxy, record, log
    for region in made:
        region.close()
        assert not region.errors, region.errors


class Result:
    def __init__(self, sched, answer):
        self.schedule, self.status, self.reset = sched, answer.status, answer.reset
        self.body, self.ended = answer.body, answer.ended


def run_lane(lane, seeds, proxy, h2, results, errors):
    try:
        client = h2(proxy)
        for seed in seeds:
            if client.closed or client.goaway is not None:
                client = h2(proxy)
            one = Schedule(seed, lane)
            sid = client.start(one.method, one.path, one.headers, one.body)
            results.append(Result(one, client.wait(sid, TIMEOUT + 10)))
            del client.streams[sid]
    except Exception as e:
        errors.append(e)
        raise


def read_log(log, count):
    wait_until(lambda: log.exists() and log.read_bytes().count(b"\n") >= count, 30, f"{count} lines in the log")
    return {entry["id"]: entry for entry in map(json.loads, log.read_text().splitlines())}


def check_executions(one, seen, line):
    """A request that must not run twice has not; and the log never says `no` of an attempt that ran."""
    ran = [region for region, _, executed in seen if executed]
    honoured = one.lane.honoured if one.keyed else "none"
    if not one.idempotent and honoured == "none":
        assert len(ran) <= 1, f"executed in {ran}"
    if not one.idempotent and honoured == "region":
        assert len(set(ran)) <= 1, f"executed in {ran}"
    for region in set(ran):
        said = sum(a["region"] == region and a["executed"] != "no" for a in line["attempts"])
        assert ran.count(region) <= said, f"{region} executed {ran.count(region)}, the log says {line['attempts']}"


def check_answer(one, result, seen):
    """Whole, from one region, and the one that the client was to get."""
    assert result.ended or result.reset is not None, "neither an end nor a reset"
    assert result.reset != 7 or not seen, "REFUSED_STREAM, and a region has seen it"
    if result.status == 200 and result.ended and one.method != "HEAD":
        owner = result.body.split(b"/")[0].decode()
        bodies = [schedules.answer_of(owner, one.ident, n) for n in range(ATTEMPTS + 1)]
        assert result.body in bodies, f"a body of {len(result.body)} bytes that is nobody's: {result.body[:60]!r}"


def may_follow(one, kind):
    """Whether the rules let another try follow such an end."""
    honoured = one.lane.honoured if one.keyed and not one.idempotent else "none"
    return kind == NEVER or (kind == MAYBE and (one.idempotent or honoured != "none"))


def check_outcome(one, result, seen, line):
    """
    A request without a good answer had to go without: the last attempt's end was final, or it must not be tried
    again, or all attempts are used up and no region that was up had been left out for one that had failed already.
    """
    if result.status == 200 and result.ended:
        return
    kinds = [one.kind_of(region, what) for region, what, _ in seen]
    # An idle connection that the region closed at that moment: the request was lost on the way.
    kinds += [MAYBE] * (sum(a["executed"] == "maybe" for a in line["attempts"]) > len(seen))
    if BROKEN in kinds or any(what == "404" for _, what, _ in seen):
        return  # the first good head of two broke off, or the API's own answer came first
    if GOOD in kinds and line["attempts"][-1]["outcome"] == "cancelled":
        raise AssertionError("a good answer was there and was given up")
    if FINAL in kinds:
        return
    if line.get("not_retried") == "the retry budget is used up" and one.lane.service.get("retry", {}).get("budget") == 0:
        return
    if any(not may_follow(one, kind) for kind in kinds):
        return
    honoured = one.lane.honoured if one.keyed and not one.idempotent else "none"
    tried = [a["region"] for a in line["attempts"]]
    names = [c["region"] for c in line["decision"]["candidates"]]
    left_out = [n for i, n in enumerate(names) if n not in tried and line["decision"]["up"] >> i & 1 and
                not line["decision"]["full"] >> i & 1]
    if honoured == "region":
        left_out = []  # it may not go there
    if seen and seen[-1][1] in THROTTLED and not left_out:
        return  # a throttled region is not asked again
    assert len(tried) == ATTEMPTS, f"gave up after {len(tried)}: {line.get('not_retried')}"
    if line["decision"]["level"] == "again":  # of the last pick: the others' states may have changed since
        assert not left_out, f"{left_out} were up and left out for one that had failed: {tried}"


def check(result, record, lines):
    one = result.schedule
    seen, line = record.of(one.ident), lines[one.ident]
    try:
        check_executions(one, seen, line)
        check_answer(one, result, seen)
        check_outcome(one, result, seen, line)
    except AssertionError as e:
        raise AssertionError(f"{e}\nISO_SCHEDULE={one.seed}/{one.lane.name}\n{one}\nseen {seen}\n"
                             f"client: {result.status}, reset {result.reset}\nlog {line}") from e
    return "good" if result.status == 200 and result.ended else "bad", len(line["attempts"])


def run(world, h2, seeds, lanes):
    proxy, record, log = world
    results, errors = [], []
    threads = [threading.Thread(target=run_lane, args=(lane, seeds, proxy, h2, results, errors)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(900)
    assert not errors, (errors, cuts(proxy))
    assert len(results) == len(seeds) * len(lanes)
    assert not cuts(proxy), f"a client was cut: {cuts(proxy)}"
    lines = read_log(log, len(results))
    return [check(result, record, lines) for result in results]


def summed(outcomes):
    """A tester that never saw a retry that helped, or a request that failed, has tested nothing."""
    good = sum(what == "good" for what, _ in outcomes)
    helped = sum(what == "good" and attempts > 1 for what, attempts in outcomes)
    assert 0.3 * len(outcomes) < good < len(outcomes) and helped > 0.03 * len(outcomes), (good, helped, len(outcomes))
    print(f"{len(outcomes)} schedules: {good} good, {helped} of them by another attempt")


def test_schedules(world, h2):
    if "ISO_SCHEDULE" in os.environ:
        seed, _, name = os.environ["ISO_SCHEDULE"].partition("/")
        print(run(world, h2, [int(seed)], [lane for lane in LANES if lane.name == name]))
        return
    summed(run(world, h2, range(1, 131), LANES))


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(25))
def test_a_hundred_thousand_schedules(world, h2, batch):
    summed(run(world, h2, range(1000 + batch * 500, 1500 + batch * 500), LANES))


# ---- Many streams of one connection ----

STREAMS = 6  # after the one that opened the connection: their ids are 3, 5, …


def goaway(last, code=0):
    """The frame alone: python3-h2 would not let a stream go on behind it."""
    return struct.pack(">HBBBI", 0, 8, 7, 0, 0) + struct.pack(">II", last, code)


class Dying(schedules.H2Origin):
    """Waits for all streams, says GOAWAY, runs and answers of what it covers what it was told to, and goes."""

    def __init__(self, lab, last, answered):
        self.last, self.answered, self.ran, self.held = last, answered, [], []
        super().__init__(lab, self.act)

    def act(self, connection, request):
        if request.path == "/open":
            connection.respond(request.sid)
            return
        self.held.append(request)
        if len(self.held) < STREAMS:
            return
        connection.sock.sendall(goaway(self.last))
        covered = [r for r in self.held if r.sid <= self.last]
        self.ran = [r.get("x-request-id") for r in covered]
        for one in covered[:self.answered]:
            connection.respond(one.sid, 200, [("x-region", "first")], b"first")
        connection.sock.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("answered", [0, 2, STREAMS])
@pytest.mark.parametrize("last", [0, 1, *range(3, 2 * STREAMS + 3, 2), 2**31 - 1])
def test_goaway_with_every_last_id(start, lab, h2, last, answered):
    """What lies above it has not run and goes elsewhere, a POST too; what it covers has run or may have."""
    first = Dying(lab, last, answered)
    ran = []

    def elsewhere(connection, request):
        ran.append(request.get("x-request-id"))
        connection.respond(request.sid, 200, [("x-region", "second")], b"second")
    second = schedules.H2Origin(lab, elsewhere)
    proxy = start({"first": {"url": first.url, "host": NAME, "protocol": "h2"},
                   "second": {"url": second.url, "host": NAME, "protocol": "h2"}}, workers=1,
                  service={**SERVICE, "balance": {"policy": "failover"}, "retry": {"budget": 2}})
    client = h2(proxy)
    assert client.get("/open").status == 200
    kinds = ["POST", "PUT"] * (STREAMS // 2)
    sids = {f"{i}-{kind}": client.start(kind, "/", [("x-request-id", f"{i}-{kind}")], b"{}") for i, kind in enumerate(kinds)}
    answers = {name: client.wait(sid) for name, sid in sids.items()}
    order = [r.get("x-request-id") for r in first.held]
    assert sorted(order) == sorted(sids), "all came to the first"
    for at, name in enumerate(order):
        covered, told, answer = 2 * at + 3 <= last, at < answered and 2 * at + 3 <= last, answers[name]
        assert answer.reset != 7, "its client would send it again"
        if told:
            assert (answer.status, answer.body, name in ran) == (200, b"first", False)
        elif covered and name.endswith("POST"):
            assert answer.status == 502 and name not in ran
        else:
            assert (answer.status, answer.body, ran.count(name)) == (200, b"second", 1)
    for one in (first, second):
        one.close()
        assert not one.errors, one.errors
