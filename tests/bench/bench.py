"""scripts/bench: CPU time per request of Isochrone and of the peers, measured in one run, in interleaved rounds.

CPU is user + system of the proxy's process tree over the requests of one h2load run. Each measurement starts a
fresh proxy, warms it up, learns its speed from a short run and then sends as many requests as fill --seconds.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import crowd
import peers
from lab import HOST, NAME, Lab, LabError, die, find_binary, free_port

IDLE_CLIENTS = 1000  # unless --clients says otherwise
IDLE_SECONDS = 3  # after which a client counts as idle, for every proxy alike

# name: (what it says, unit, h2load's arguments, path, proxies as (name, protocol to the regions))
WORKLOADS = {
    "h2": ("h2 clients 32x10, h2 to the regions", "us/request", ["-c32", "-m10"], "/",
           [("isochrone", "h2"), ("haproxy", "h2"), ("nghttpx", "h2")]),
    "h2-h1": ("h2 clients 32x10, HTTP/1.1 to the regions", "us/request", ["-c32", "-m10"], "/",
              [("isochrone", "h1"), ("haproxy", "h1"), ("nginx", "h1"), ("nghttpx", "h1")]),
    "h1": ("HTTP/1.1 clients, 32 connections", "us/request", ["--h1", "-c32"], "/",
           [("isochrone", "h2"), ("isochrone", "h1"), ("haproxy", "h1"), ("nginx", "h1"), ("nghttpx", "h2")]),
    "1MiB": ("1 MiB answers, h2 clients 8x4", "CPU s/GiB", ["-c8", "-m4"], "/1m",
             [("isochrone", "h2"), ("isochrone", "h1"), ("haproxy", "h2"), ("haproxy", "h1"), ("nginx", "h1"),
              ("nghttpx", "h2")]),
    "idle": ("idle h2 clients after one request each", "KiB/client", None, "/",
             [("isochrone", "h2"), ("haproxy", "h2"), ("nginx", "h1"), ("nghttpx", "h2")]),
    "single": ("one connection, one stream", "us/request", ["-c1", "-m1"], "/",
               [("isochrone", "h2"), ("isochrone", "h1"), ("haproxy", "h2"), ("haproxy", "h1"), ("nginx", "h1"),
                ("nghttpx", "h2")]),
}

# What Isochrone's medians must keep to: (workload, protocol to the regions, the peer that it is held against, or None
# for a plain number, at most so many times that, or so much).
BARS = [
    ("h2", "h2", "haproxy-h2", 1.15),
    ("h2-h1", "h1", "nginx-h1", 1.0),
    ("1MiB", "h2", "nginx-h1", 1.3),
    ("1MiB", "h1", "nginx-h1", 1.3),
    ("idle", "h2", None, 24),
]


def h2load(port, args, path, count):
    """Runs it and returns the seconds it took; anything but `count` answers with 2xx is an error."""
    done = subprocess.run(
        ["h2load", *args, f"-n{count}", f"--connect-to={HOST}:{port}", f"https://{NAME}:{port}{path}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    good = re.search(r"^status codes: (\d+) 2xx", done.stdout, re.M)
    took = re.search(r"^finished in ([\d.]+)(us|ms|s)\b", done.stdout, re.M)
    total = re.search(r"^requests: .*", done.stdout, re.M)
    if done.returncode or not (good and took and total):
        raise LabError(f"h2load: exit code {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    if int(good[1]) != count or not re.search(r" 0 failed, 0 errored, 0 timeout", total[0]):
        raise LabError(f"{total[0]}; {good[0]}")
    return float(took[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[took[2]]


def settled_cpu(process):
    """CPU seconds once the closing of connections is done, so that it is counted in the run it belongs to."""
    last, deadline = -1.0, time.monotonic() + 2
    while time.monotonic() < deadline:
        now = process.cpu_seconds()
        if now - last < 0.005:
            return now
        last = now
        time.sleep(0.06)
    return process.cpu_seconds()


def measure_load(process, port, workload, seconds):
    _, unit, args, path, _ = WORKLOADS[workload]
    first = 64 if path == "/1m" else 2000
    h2load(port, args, path, first)
    rate = first * 4 / h2load(port, args, path, first * 4)
    count = max(int(rate * seconds), first)
    before = settled_cpu(process)
    took = h2load(port, args, path, count)
    cpu = settled_cpu(process) - before
    value = cpu * 1024 / count if unit == "CPU s/GiB" else cpu * 1e6 / count
    return {"value": value, "rate": count / took, "busy": cpu / took}


def measure_idle(process, port, lab, clients):
    h2load(port, ["-c8", "-m1"], "/", 64)
    settled_cpu(process)
    before = process.rss_kib()
    with crowd.idle_clients(lab, port, clients):
        time.sleep(IDLE_SECONDS)
        return {"value": (process.rss_kib() - before) / clients}


def measure(lab, workload, proxy, regions, options):
    name, upstream, start = proxy
    port = free_port()
    process = start(lab, regions, upstream, port)
    try:
        process.wait_port(port)
        if workload == "idle":
            return measure_idle(process, port, lab, options.clients)
        return measure_load(process, port, workload, options.seconds)
    except LabError as e:
        raise LabError(f"{e}\n{process.output()[-1500:]}") from e
    finally:
        code = lab.end(process)
        if name not in peers.PEERS and code != 0:
            print(f"  {name}: exit code {code} at the end", flush=True)


def proxies_of(workload, options):
    """[(label, protocol to the regions, start)], Isochrone's binaries first."""
    chosen = []
    for name, upstream in WORKLOADS[workload][4]:
        if name == "isochrone":
            chosen += [(label, upstream, peers.isochrone(path)) for label, path in options.binaries]
        elif name in options.peers:
            chosen.append((name, upstream, peers.PEERS[name][0]))
    return chosen


def run_rounds(lab, options):
    """{workload: {"label-protocol": [result of each round]}}, and what went wrong."""
    regions = peers.start_regions(lab)
    results, errors = {}, []
    for number in range(options.rounds):
        for workload in options.only:
            for proxy in proxies_of(workload, options):
                key = f"{proxy[0]}-{proxy[1]}"
                try:
                    got = measure(lab, workload, proxy, regions, options)
                except (LabError, subprocess.TimeoutExpired) as e:
                    errors.append(f"round {number + 1}, {workload}, {key}: {e}")
                    continue
                results.setdefault(workload, {}).setdefault(key, []).append(got)
                more = f", {got['rate']:.0f}/s, busy {got['busy']:.2f}" if "rate" in got else ""
                print(f"  round {number + 1} {workload:8} {key:16} {got['value']:8.2f}{more}", file=sys.stderr,
                      flush=True)
    return results, errors


def print_table(results, options):
    ours = [label for label, _ in options.binaries]
    print("| workload | proxy | median | unit | spread | requests/s | busy | to haproxy | to nginx | to the first |")
    print("| --- | --- | --: | --- | --: | --: | --: | --: | --: | --: |")
    for workload, rows in results.items():
        unit = WORKLOADS[workload][1]
        medians = {key: statistics.median(r["value"] for r in got) for key, got in rows.items()}
        first = next(iter(medians.values()))
        for key, got in rows.items():
            values = [r["value"] for r in got]
            spread = (max(values) - min(values)) / medians[key] * 100 if medians[key] else 0
            rate, busy = ((f"{statistics.median(r[k] for r in got):{f}}" if k in got[0] else "")
                          for k, f in (("rate", ".0f"), ("busy", ".2f")))
            best = {peer: min((m for k, m in medians.items() if k.startswith(peer + "-")), default=0)
                    for peer in ("haproxy", "nginx")}
            ratios = [f"{medians[key] / best[p]:.2f}" if best[p] else "" for p in ("haproxy", "nginx")]
            bold = "**" if key.rsplit("-", 1)[0] in ours else ""
            print(f"| {workload} | {bold}{key}{bold} | {medians[key]:.2f} | {unit} | {spread:.0f} % | {rate} | {busy} | "
                  f"{ratios[0]} | {ratios[1]} | {medians[key] / first if first else 0:.2f} |")


def judge(results, only, labels):
    """[(what is asked, what was measured as text, whether it holds)] for the bars of the workloads that were asked;
    what could not be measured does not hold."""
    verdicts = []
    for workload, upstream, peer, most in BARS:
        if workload not in only:
            continue
        unit = WORKLOADS[workload][1]
        medians = {key: statistics.median(r["value"] for r in got) for key, got in results.get(workload, {}).items()}
        for label in labels:
            key = f"{label}-{upstream}"
            asked = f"{workload}, {key}: at most {most} " + (f"times {peer}" if peer else unit)
            missing = [name for name in (key, peer) if name and not medians.get(name)]
            if missing:
                verdicts.append((asked, f"{' and '.join(missing)} not measured", False))
                continue
            value = medians[key] / (medians[peer] if peer else 1)
            verdicts.append((asked, f"{value:.2f}", value <= most))
    return verdicts


def print_verdicts(verdicts):
    print("\n| bar | measured | verdict |\n| --- | --: | --- |")
    for asked, measured, holds in verdicts:
        print(f"| {asked} | {measured} | {'holds' if holds else '**missed**'} |")


def parse(argv):
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", choices=list(WORKLOADS), help="workload; may be repeated")
    parser.add_argument("--peers", default="haproxy,nginx,nghttpx", help="a,b; '' for none")
    parser.add_argument("--binary", action="append", default=[], help="[NAME=]PATH; may be repeated to compare builds")
    parser.add_argument("--without-isochrone", action="store_true", help="the peers alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of one measurement (default 4)")
    parser.add_argument("--clients", type=int, default=IDLE_CLIENTS,
                        help=f"of the workload idle (default {IDLE_CLIENTS}; 9000 with 20,000 open files)")
    parser.add_argument("--quick", action="store_true", help="one round of 1.5 s: a smoke test, not a measurement")
    parser.add_argument("--judge", action="store_true", help="exit code 1 when a bar is missed or was not measured")
    options = parser.parse_args(argv)
    if options.judge and (options.quick or options.without_isochrone):
        parser.error("--judge wants a whole measurement: not with --quick or --without-isochrone")
    if options.quick:
        options.rounds, options.seconds = 1, 1.5
    options.only = options.only or list(WORKLOADS)
    options.peers = [p for p in options.peers.split(",") if p]
    for name in options.peers:
        if name not in peers.PEERS:
            parser.error(f"unknown peer {name}: one of {', '.join(peers.PEERS)}")
    options.binaries = []
    for text in options.binary:
        label, equals, path = text.partition("=")
        options.binaries.append((label, path) if equals else ("isochrone", text))
    if not options.binaries and not options.without_isochrone:
        options.binaries = [("isochrone", find_binary())]
    if len({label for label, _ in options.binaries}) != len(options.binaries):
        parser.error("give each --binary a name of its own: NAME=PATH")
    return options


def main(argv):
    options = parse(argv)
    with tempfile.TemporaryDirectory(prefix="isochrone-bench-") as directory:
        os.chmod(directory, 0o755)  # nginx's workers run as another user and read the static file here
        with Lab(directory) as lab:
            results, errors = run_rounds(lab, options)
    print_table(results, options)
    verdicts = judge(results, options.only, [label for label, _ in options.binaries])
    if verdicts:
        print_verdicts(verdicts)
    for error in errors:
        print(f"ERROR: {error}")
    return 1 if errors or (options.judge and not all(holds for _, _, holds in verdicts)) else 0


def entry():
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as e:
        die(f"bench: {e}")
