"""scripts/bench-faults: one region of three is killed, hangs, fails or becomes slow in the middle of a load.

300 GET/s and 30 POST/s over HTTP/2; regions of 25 ms each, disturbed from second 4 to second 8; and without a fault
regions of 10, 40 and 120 ms. Prints a table and each bar that was missed; exits 1 when one was.
"""
import argparse
import os
import pathlib
import sys
import tempfile

import fault_peers
import faults
from lab import Lab, LabError, die, find_binary

COLUMNS = ["binary", "fault", "GETs failed", "POSTs failed", "run twice", "worst GET ms", "over 150 ms", "mean ms",
           "sent after 1 s", "left after 1 s", "back after s", "verdict"]


def row(label, result, bars):
    missed = [b for b in bars if not b.ok]
    faulty = result.fault is not None
    cells = [label, result.fault or "none", len(result.failed("GET")), len(result.failed("POST")),
             len(result.posts_twice) + len(result.posts_unsafe), f"{result.worst_get_ms:.0f}", result.over_150,
             f"{result.mean_ms:.1f}", f"{result.sent_after_1s():.0f}" if faulty else "",
             f"{result.left_after_1s * 100:.1f} %" if faulty else "", f"{result.back_after:.1f}" if faulty else "",
             "ok" if not missed else "MISSED"]
    return "| " + " | ".join(map(str, cells)) + " |", missed


def parse(argv):
    parser = argparse.ArgumentParser(prog="scripts/bench-faults", description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", choices=[*faults.FAULTS, "none"], help="may be repeated")
    parser.add_argument("--binary", action="append", default=[], help="[NAME=]PATH; may be repeated")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="the short scenarios of the tests")
    parser.add_argument("--peers", default="", help=f"a,b of {', '.join(fault_peers.PEERS)}: the same for them")
    parser.add_argument("--keep", metavar="DIR", help="leave logs and request lines there")
    options = parser.parse_args(argv)
    options.only = options.only or [*faults.FAULTS, "none"]
    options.binaries = [text.partition("=")[::2] if "=" in text else ("isochrone", text) for text in options.binary]
    options.binaries = options.binaries or [("isochrone", find_binary())]
    return options


def run_beside(options, directory):
    """The table of all proxies; what is missed there is the peers' affair."""
    plan = faults.SHORT if options.quick else faults.FULL
    kinds = [f for f in options.only if f != "none"]
    fault_peers.table(lambda: Lab(tempfile.mkdtemp(dir=directory)), options.peers.split(","), kinds, plan, options.rounds)
    return []


def run_all(options, directory):
    if options.peers:
        return run_beside(options, directory)
    print("| " + " | ".join(COLUMNS) + " |\n" + "| --- | --- |" + " --: |" * (len(COLUMNS) - 3) + " --- |")
    failures = []
    for number in range(1, options.rounds + 1):
        for fault in options.only:
            for label, path in options.binaries:
                name = None if fault == "none" else fault
                os.environ["ISO_BINARY"] = path  # the emulator is taken from the same build
                # A directory each: access logs are appended to, and what an earlier run wrote is not this one's.
                place = pathlib.Path(directory, f"{label}-{fault}-{number}")
                if place.exists():
                    raise LabError(f"{place} is there already: name another directory with --keep")
                place.mkdir()
                with Lab(place) as lab:
                    try:
                        result = faults.run(lab, name, faults.SHORT if options.quick else faults.FULL, binary=path,
                                            delays=None if name else faults.APART)
                    except (LabError, AssertionError) as e:
                        failures.append(f"{label}, {fault}: {e}")
                        continue
                text, missed = row(label, result, faults.judge(result))
                print(text, flush=True)
                failures += [f"{label}, {fault}: {bar}" for bar in missed]
                if result.summary["lag_max_ms"] > 50:
                    failures.append(f"{label}, {fault}: the load tool itself lagged "
                                    f"{result.summary['lag_max_ms']:.0f} ms: repeat on a quieter machine")
    return failures


def main(argv):
    options = parse(argv)
    if options.keep:
        pathlib.Path(options.keep).mkdir(parents=True, exist_ok=True)
        failures = run_all(options, options.keep)
    else:
        with tempfile.TemporaryDirectory(prefix="isochrone-faults-") as directory:
            failures = run_all(options, directory)
    for failure in failures:
        print(f"MISSED: {failure}")
    return 1 if failures else 0


def entry():
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as e:
        die(f"bench-faults: {e}")
