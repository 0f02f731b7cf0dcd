"""Fault scenarios: three emulated regions behind the proxy, an open-loop load, one region disturbed in the middle.

Used by tests/integration/test_04_faults.py (short, loose time bars) and by scripts/bench-faults (as the bars are
promised). What is measured comes from the client (h2rate's lines), the regions (executions by request id), the
access log (attempts) and the proxy's /metrics, sampled while the load runs.
"""
import json
import re
import subprocess
import time

from lab import HOST, NAME, LabError, find_h2rate, wait_until
from product import SLOW, Emulator, Isochrone, equal_regions

VICTIM = "us-east-1"
EQUAL = {"us-east-1": 25, "eu-west-1": 25, "ap-south-1": 25}
APART = {"us-east-1": 10, "eu-west-1": 40, "ap-south-1": 120}
SAMPLE_S = 0.1
SPAN_S = 0.5  # what a share is taken over


class Plan:
    """Seconds of the run and of the fault in it, requests a second."""

    def __init__(self, seconds=14.0, at=4.0, lasts=4.0, gets=300, posts=30):
        self.seconds, self.at, self.lasts, self.gets, self.posts = seconds, at, lasts, gets, posts

    @property
    def end(self):
        return self.at + self.lasts


FULL = Plan()
SHORT = Plan(seconds=9.0, at=2.0, lasts=2.0, gets=150, posts=15)


def kill(region):
    region.kill()


def restart(region):
    region.restart()


FAULTS = {
    "kill": (kill, restart),
    "hang": (Emulator.pause, Emulator.resume),
    "503": (lambda r: r.set(mode="status", status=503, health="same"), lambda r: r.set(mode="ok")),
    "slow": (lambda r: r.set(delay_ms=r.delay_ms + 200), lambda r: r.set(delay_ms=r.delay_ms)),
}


class Result:
    """What a run showed. Times are seconds of the load's clock; a failed request has status 0 or 5xx."""

    def __init__(self, plan, fault, lines, summary, log):
        self.plan, self.fault, self.lines, self.summary, self.log = plan, fault, lines, summary, log
        self.fault_at = self.fault_end = 0.0
        self.executions, self.samples, self.status = {}, [], {}

    @staticmethod
    def bad(line):
        return line["status"] == 0 or line["status"] >= 500

    def failed(self, method):
        return [x for x in self.lines if x["method"] == method and self.bad(x)]

    @property
    def worst_get_ms(self):
        return max(x["latency_ms"] for x in self.lines if x["method"] == "GET")

    @property
    def over_150(self):
        return sum(x["latency_ms"] > 150 for x in self.lines)

    @property
    def mean_ms(self):
        return self.summary["mean_ms"]

    def answered_by(self, region, start, end):
        """Requests due between two moments that the region answered."""
        return sum(x["region"] == region and start <= x["start_ms"] / 1000 < end for x in self.lines)

    @property
    def left_after_1s(self):
        """The victim's rate from one second into the fault to its end, over its rate before: 0 to 1."""
        before = self.answered_by(VICTIM, 1, self.fault_at) / max(self.fault_at - 1, 0.1)
        left = self.answered_by(VICTIM, self.fault_at + 1, self.fault_end) / max(self.fault_end - self.fault_at - 1, 0.1)
        return left / before if before else float("inf")

    def sent_after_1s(self):
        """Attempts at the victim that ended from one second into the fault to its end, by /metrics."""
        counts = [n for t, n, _ in self.samples if self.fault_at + 1 <= t <= self.fault_end]
        return counts[-1] - counts[0] if counts else float("nan")

    def refused(self):
        """Attempts at the victim that were answered with its 503, by the access log."""
        return sum(a["region"] == VICTIM and a["status"] == 503 for x in self.log for a in x["attempts"])

    def sent_between(self, start, end):
        """Requests due between two moments that were sent to the victim, by the access log."""
        due = {x["id"] for x in self.lines if start <= x["start_ms"] / 1000 < end}
        return sum(x["id"] in due and any(a["region"] == VICTIM for a in x["attempts"]) for x in self.log)

    @property
    def well_at(self):
        """When the proxy had its second good probe of the victim after the fault's end, by /metrics."""
        before = max((n for t, _, n in self.samples if t <= self.fault_end), default=0)
        return next((t for t, _, n in self.samples if t > self.fault_end and n >= before + 2), float("inf"))

    @property
    def back_after(self):
        """
        Seconds from the second good probe until the victim has its share back: until it has answered half of what is its
        fair part of the requests due in half a second. Below 0: it had before.
        """
        due = sorted((x["start_ms"] / 1000, x["region"] == VICTIM and not self.bad(x)) for x in self.lines
                     if x["start_ms"] / 1000 >= self.fault_end)
        first = good = 0
        for i, (at, answered) in enumerate(due):
            good += answered
            while due[first][0] < at - SPAN_S:
                good -= due[first][1]
                first += 1
            if at >= self.fault_end + SPAN_S and good >= (i + 1 - first) / len(EQUAL) / 2:
                return at - self.well_at
        return float("inf")

    @property
    def posts_twice(self):
        """POSTs that ran more than once, over all regions."""
        posts = {x["id"] for x in self.lines if x["method"] == "POST"}
        return sorted(i for i, n in self.executions.items() if n > 1 and i in posts)

    @property
    def posts_unsafe(self):
        """POSTs that were tried again after an attempt that may have run, whether it did or not."""
        return [x["id"] for x in self.log if x["method"] == "POST" and
                any(a["executed"] != "no" for a in x["attempts"][:-1])]

    @property
    def posts_failed_unsent(self):
        """POSTs that failed although no region can have run them: those had to be tried again."""
        ids = {x["id"] for x in self.failed("POST")}
        return [x["id"] for x in self.log if x["id"] in ids and all(a["executed"] == "no" for a in x["attempts"])]


def count_of(metrics, family, region, more=""):
    return sum(float(m[1]) for m in re.finditer(
        rf'^{family}\{{[^}}]*region="{re.escape(region)}"[^}}]*{more}\}} (\S+)', metrics, re.M))


def sample(metrics):
    """(attempts at the victim, good probes of it) until now."""
    return count_of(metrics, "isochrone_attempts_total", VICTIM), \
        count_of(metrics, "isochrone_probe_total", VICTIM, 'result="pass"')


def read_log(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def start_load(lab, proxy, plan, out, prefix):
    return subprocess.Popen(
        [find_h2rate(lab.dir), "--connect", f"{HOST}:{proxy.port}", "--sni", NAME, "--ca", str(lab.certs.ca),
         "--get-rate", str(plan.gets), "--post-rate", str(plan.posts), "--seconds", str(plan.seconds), "--get-path",
         "/orders/1", "--post-path", "/orders", "--id-prefix", prefix, "--out", str(out)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_all(lab, proxy, regions):
    alive = [r for r in regions.values() if r.process in lab.processes]
    for region in alive:
        region.resume()
    proxy.stop()
    for region in alive:
        lab.end(region.process)


def run(lab, fault, plan=FULL, binary=None, delays=None, service=None, env=None, workers=1):
    """One scenario; `fault` is a key of FAULTS or None. Everything that it starts it ends."""
    regions = equal_regions(lab, delays or EQUAL)
    log = lab.path("access.log")
    settings = {"health": {"interval": "500ms", "timeout": "400ms"}}
    settings.update(service or {})
    proxy = Isochrone.over(lab, {n: r.url for n, r in regions.items()}, binary=binary, env=env, service=settings,
                           access_log={"path": str(log), "decisions": 1}, workers=workers)
    try:
        proxy.wait_states({n: "healthy" for n in regions})
        return run_load(lab, proxy, regions, fault, plan, log)
    finally:
        end_all(lab, proxy, regions)


def run_load(lab, proxy, regions, fault, plan, log):
    out = lab.path("load.jsonl")
    victim, executions, samples = regions[VICTIM], {}, []
    began = time.monotonic()
    load = start_load(lab, proxy, plan, out, fault or "none")
    fault_at = fault_end = None
    while load.poll() is None:
        now = time.monotonic()
        if fault and fault_at is None and now >= began + plan.at:
            FAULTS[fault][0](victim)
            fault_at = time.monotonic()
        if fault and fault_end is None and now >= began + plan.end:
            FAULTS[fault][1](victim)
            fault_end = time.monotonic()
        samples.append((time.monotonic(), *sample(proxy.metrics())))
        try:
            load.wait(SAMPLE_S)
        except subprocess.TimeoutExpired:
            pass
    stdout, stderr = load.communicate()
    if load.returncode != 0:
        raise LabError(f"h2rate: exit code {load.returncode}: {stderr}\n{proxy.stderr[-3000:]}")
    summary = json.loads(stdout)
    wait_until(lambda: proxy.metric("isochrone_exchanges_in_flight") == 0, 10 * SLOW, "the last exchange's end")
    for region in regions.values():
        merge(executions, region.executions())
    wait_until(lambda: len(read_log(log)) >= summary["count"], 10 * SLOW, "an access log line for each request")
    result = Result(plan, fault, [json.loads(x) for x in out.read_text().splitlines()], summary, read_log(log))
    zero = summary["start_monotonic_s"]
    result.fault_at, result.fault_end = (fault_at or zero) - zero, (fault_end or zero) - zero
    result.samples, result.log_path = [(t - zero, *counts) for t, *counts in samples], log
    result.executions, result.status = executions, proxy.status()
    return result


def turns(seconds, share=0.5):
    """Every fault in turn over a run: [(second, fault, index into its pair: begin or end)]."""
    each = seconds / len(FAULTS)
    return sorted((i * each + each * begin, fault, k) for i, fault in enumerate(FAULTS)
                  for k, begin in enumerate((0.2, 0.2 + share)))


def run_in_turn(lab, seconds, gets=150, posts=15, workers=2):
    """A load over all faults in turn; gives the access log's path once each request has its line."""
    regions = equal_regions(lab, EQUAL)
    log = lab.path("access.log")
    proxy = Isochrone.over(lab, {n: r.url for n, r in regions.items()}, access_log={"path": str(log), "decisions": 1},
                           service={"health": {"interval": "500ms", "timeout": "400ms"}}, workers=workers)
    try:
        proxy.wait_states({n: "healthy" for n in regions})
        plan, left, began = Plan(seconds=seconds, gets=gets, posts=posts), turns(seconds), time.monotonic()
        load = start_load(lab, proxy, plan, lab.path("load.jsonl"), "turn")
        while load.poll() is None:
            while left and time.monotonic() >= began + left[0][0]:
                _, fault, k = left.pop(0)
                FAULTS[fault][k](regions[VICTIM])
            try:
                load.wait(SAMPLE_S)
            except subprocess.TimeoutExpired:
                pass
        stdout, stderr = load.communicate()
        if load.returncode != 0 or left:
            raise LabError(f"h2rate: exit code {load.returncode}, {left} not done: {stderr}\n{proxy.stderr[-3000:]}")
        count = json.loads(stdout)["count"]
        wait_until(lambda: len(read_log(log)) >= count, 20 * SLOW, "an access log line for each request")
        return log
    finally:
        end_all(lab, proxy, regions)


def merge(into, counts):
    for key, n in counts.items():
        into[key] = into.get(key, 0) + n


class Bar:
    def __init__(self, what, value, limit, correctness):
        self.what, self.value, self.limit, self.correctness = what, value, limit, correctness
        self.ok = value <= limit  # NaN is not within any bar

    def __str__(self):
        value = f"{self.value:.3g}" if isinstance(self.value, float) else str(self.value)
        return f"{self.what} {value} (bar {self.limit:g})"


def judge(result, slow=1):
    """The bars of a run. Those of time are multiplied by `slow`, those of correctness never are."""
    fault = result.fault
    bars = [Bar("failed GETs", len(result.failed("GET")), 0, True),
            Bar("POSTs run twice", len(result.posts_twice), 0, True),
            Bar("POSTs tried again after they may have run", len(result.posts_unsafe), 0, True)]
    if fault is None:
        return bars + [Bar("failed POSTs", len(result.failed("POST")), 0, True),
                       Bar("mean ms", result.mean_ms, 13 * slow, False)]
    bars.append(Bar("s from its second good probe until its share is back", result.back_after, 5 * slow, False))
    if fault == "kill":
        bars.append(Bar("failed POSTs that never ran", len(result.posts_failed_unsent), 0, True))
    if fault == "hang":
        # What is sent there later tries it out, one at a time.
        bars += [Bar("sent to it after 0.5 s", result.sent_between(result.fault_at + 0.5 * slow, result.fault_end), 3, False),
                 Bar("slowest GET ms", result.worst_get_ms, 700 * slow, False),
                 Bar("requests over 150 ms", result.over_150, 9 * slow * slow, False)]
    if fault == "503":
        # A region that fails for good gets no more; in each second that goes by one request may try it out.
        bars.append(Bar("requests that its 503 reached", result.refused(), 20 * slow, False))
        bars.append(Bar("sent to it after the first second", result.sent_after_1s(), 10 * slow, False))
    if fault == "slow":
        bars += [Bar("failed POSTs", len(result.failed("POST")), 0, True),
                 Bar("requests over 150 ms", result.over_150, 29 * slow * slow, False),
                 Bar("traffic left after 1 s", result.left_after_1s, 0.05 * slow, False)]
    return bars
