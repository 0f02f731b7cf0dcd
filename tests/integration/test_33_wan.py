"""Regions at real distances: 40, 100 and 220 ms there and back between network namespaces, packets lost on a path.

The function itself takes no time unless a test says so: then the regions are 2.5 and 5.5 times as far as the nearest.
"""
import math
import threading
import time

import pytest

from load import good, mean

TRIPS = {"near": 40, "middle": 100, "far": 220}
HEALTH = {"interval": "1s", "timeout": "900ms"}
SLOW = pytest.mark.slow


@pytest.fixture
def away(world, start):
    """away(*regions, …): a proxy in the world's place over these regions or all, that knows them to be healthy."""
    def begin(here, *names, **service):
        urls = here.urls(*names)
        proxy = start(urls, service={"health": HEALTH, **service}, workers=1)
        proxy.wait_states({name: "healthy" for name in urls})
        return proxy
    return begin


class Watch:
    """Looks at a proxy's /status while a load runs. The thread begins where its maker is: in the world."""

    def __init__(self, proxy):
        self.proxy, self.seen, self._end = proxy, [], threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self):
        while not self._end.is_set():
            self.seen.append((time.monotonic(), self.proxy.status()["services"]["orders"]["regions"]))
            self._end.wait(0.1)

    def stop(self):
        self._end.set()
        self._thread.join()
        return self.seen


def standard_error(values):
    middle = sum(values) / len(values)
    return math.sqrt(sum((x - middle) ** 2 for x in values) / (len(values) - 1) / len(values))


class Compared:
    """Proxies over all regions against proxies over the best alone, under the same load, at the same time."""

    def __init__(self, alls, ones, seconds, best):
        self.all, self.one = [x for run in alls for x in run.lines], [x for run in ones for x in run.lines]
        self.best = mean(self.one)
        self.ratio = mean(self.all) / self.best
        # A lost packet holds up what is behind it: the requests of one second hang together, seconds do not.
        self.error = standard_error([(mean(a.between(s, s + 1)) - mean(o.between(s, s + 1))) / self.best
                                     for a, o in zip(alls, ones) for s in range(seconds)])
        # What the others' answers cost, if the best region's take as long as they do for those who know no other.
        self.elsewhere = sum(x["latency_ms"] - self.best for x in self.all if x["region"] != best) / len(self.all) / self.best

    def __repr__(self):
        return (f"{len(self.all)} requests: ratio {self.ratio:.4f} +- {self.error:.4f}, elsewhere {self.elsewhere:.4f}, "
                f"best alone {self.best:.2f} ms")


@pytest.fixture
def compare(away, load):
    def begin(here, pairs, rate, seconds, best="near"):
        alls, ones = [away(here) for _ in range(pairs)], [away(here, best) for _ in range(pairs)]
        watches = [Watch(proxy) for proxy in alls]
        loads = [load(proxy, rate, seconds, 4) for both in zip(alls, ones) for proxy in both]
        try:
            for each in loads:
                each.wait()
        finally:
            seen = [watch.stop() for watch in watches]
        assert all(good(each.lines) == rate * seconds for each in loads)
        return Compared(loads[::2], loads[1::2], seconds, best), seen
    return begin


def no_flapping(seen, best="near"):
    """No region is taken out, and the best one is never without most of the traffic for half a second on end."""
    for looks in seen:
        states = {region["state"] for _, regions in looks for region in regions.values()}
        assert not states & {"ejected", "unhealthy"}, states
        last = looks[0][0]
        for at, regions in looks:
            if regions[best]["share"] > 0.6:
                last = at
            assert at < last + 0.5, [(round(t - looks[0][0], 1), r[best]["share"]) for t, r in looks]


# 1 % of the packets each way. What is expected: by the shares' rule (policy/weight.h) a region 2.5 times as slow takes
# 0.7 % of the requests, which makes the mean 1.1 % longer; with loss on the best path, whose mean is then 45 ms and more
# at times, it takes 1 to 1.5 %; and the first few answers of each of the others are paid for once.
#
# How sure that is: a lost packet holds up what is behind it for a round trip or more, some five requests at this rate,
# so that a mean of 1,000 requests is off by 2 % (one standard error; seconds are taken for independent, requests are
# not). Proxies run in pairs at the same time over the same paths, so that neither the machine's load nor the time of
# day is between them. The short run has 4,800 requests on either side: it knows the ratio to 1 or 2 %, which is too
# little to tell 4 from 5, but how many requests went elsewhere, and what those cost, to a tenth. So it judges that, and
# of the whole only that its noise explains the rest. The long one has 36,000 and knows the whole to about 0.5 %.

@pytest.mark.parametrize("lossy", ["near", "middle"])
def test_the_mean_beside_the_best_alone(world, compare, slow, lossy):
    pairs, rate = (4, 100) if slow == 1 else (1, 50)
    compared, seen = compare(world(TRIPS, {lossy: 1}), pairs, rate, 12)
    no_flapping(seen)
    assert compared.elsewhere <= 0.05 * slow, compared
    assert compared.ratio <= (1.05 + 2 * compared.error) * slow and compared.error < 0.04 * slow, compared


@SLOW
@pytest.mark.parametrize("lossy", ["near", "middle"])
def test_the_mean_beside_the_best_alone_for_long(world, compare, lossy):
    compared, seen = compare(world(TRIPS, {lossy: 1}), 4, 100, 90)
    print(f"loss to {lossy}: {compared}")
    no_flapping(seen)
    assert compared.ratio <= 1.05 and compared.error < 0.008, compared


def test_the_round_trip_is_told_apart(world, away, load, slow):
    """The function takes 30 ms: an answer 70, a round trip 40. The far region's is known from probes alone."""
    here = world(TRIPS, work_ms=30)
    proxy = away(here)
    load(proxy, 50, 3).wait()
    regions = {name: proxy.region(name) for name in TRIPS}
    for name, trip in TRIPS.items():
        seen, probe, most = regions[name], regions[name]["probe"], trip + 22 * slow
        assert trip <= seen["rtt_ms"] <= most, seen
        assert trip + 30 <= probe["ttfb_ms"] <= most + 30, seen
        assert trip / 1.02 <= seen["connect_ms"]["p50"] <= most, seen
        assert seen["endpoints"][0]["rtt_ms"] == seen["rtt_ms"], seen
        assert proxy.metric("isochrone_region_rtt_seconds", region=name) <= most / 1000
    near = regions["near"]["latency_ms"]
    assert 70 <= near["estimate"] <= 70 + 22 * slow and 70 / 1.02 <= near["p50"] <= 70 + 22 * slow, near


def test_a_path_that_becomes_slower(world, away, load, slow):
    """200 ms are added to the nearest region's path: 95 % of its traffic is gone after a second; then it comes back."""
    here = world(TRIPS)
    proxy = away(here)
    run = load(proxy, 150, 15)
    run.until(4)
    here.slower("near", 240)
    run.until(7.5)
    here.slower("near", 40)
    run.wait()
    assert good(run.lines) == len(run.lines)

    def rate(first, last):
        return sum(x["region"] == "near" for x in run.between(first, last)) / (last - first)
    each = [rate(s, s + 1) for s in range(15)]
    before = rate(1, 3.9)
    assert before > 120, each
    # The load's clock begins when its connections are up, some milliseconds after ours: 0.1 s of room.
    assert rate(5.1, 7.4) <= 0.05 * slow * before, each
    assert rate(13, 15) >= 0.5 * before, each


def test_the_first_requests_find_connections(world, start, h2, slow):
    """A handshake with the far region takes 440 ms. Clients are let in when its first probe is back: nobody waits."""
    here = world(TRIPS)
    proxy = start(here.urls(), service={"health": HEALTH}, workers=1,
                  routes=[{"match": {"path": f"/{name}/*"}, "service": "orders", "regions": [name]} for name in TRIPS])
    client = h2(proxy)
    for name, trip in TRIPS.items():
        began = time.monotonic()
        assert client.get(f"/{name}/1").get("x-emulated-region") == name
        took = (time.monotonic() - began) * 1000
        assert trip <= took < trip + 45 * slow, (name, took)
