"""A region is killed, hangs, fails or becomes slow under load. Short runs: scripts/bench-faults shows the bars."""
import subprocess

import pytest

import faults
from lab import find_binary


@pytest.mark.parametrize("fault", list(faults.FAULTS))
def test_fault(lab, slow, fault):
    result = faults.run(lab, fault, faults.SHORT)
    missed = [str(b) for b in faults.judge(result, slow) if not b.ok]
    assert not missed, f"{missed}; {result.summary}"
    assert len(result.log) >= result.summary["count"]
    check_decisions(result.log_path)


@pytest.mark.parametrize("fault", ["503", "hang", "slow"])
def test_fault_with_several_workers(lab, slow, fault):
    """What one of them learns, all know."""
    result = faults.run(lab, fault, faults.SHORT, workers=3)
    missed = [str(b) for b in faults.judge(result, slow) if not b.ok]
    assert not missed, f"{missed}; {result.summary}"


def check_decisions(path):
    """Every choice that was recorded is the one that its facts and its draw give, computed by the tool."""
    log = faults.read_log(path)
    assert all("decision" in line for line in log), "all are recorded here"
    recorded = 0
    for line in log:
        decisions = line.get("earlier_decisions", []) + [line["decision"]]
        assert len(decisions) >= len(line["attempts"]), line
        names = [d["candidates"][d["pick"]]["region"] for d in decisions if d["pick"] is not None]
        assert names[:len(line["attempts"])] == [a["region"] for a in line["attempts"]], line
        recorded += len(decisions)
    done = subprocess.run([find_binary(), "explain", "--recompute", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert f"{recorded} decisions in {len(log)} lines, 0 wrong" in done.stdout
    return recorded - len(log)


@pytest.mark.parametrize("seconds", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_decisions_of_a_run_with_all_faults(lab, seconds):
    """Those of the tries before the last one, too."""
    assert check_decisions(faults.run_in_turn(lab, seconds)) > 0


def test_no_fault_between_equal_regions(lab):
    result = faults.run(lab, None, faults.Plan(seconds=3, gets=100, posts=10))
    assert not result.failed("GET") and not result.failed("POST") and not result.posts_twice
    for name in faults.EQUAL:
        assert result.answered_by(name, 0, 99) > 0, f"{name} got nothing: {result.status}"
