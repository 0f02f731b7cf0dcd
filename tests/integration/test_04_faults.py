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
    check_decisions(result)


def check_decisions(result):
    """Every choice that was recorded is the one that its facts and its draw give, computed by the tool."""
    recorded = [line for line in result.log if "decision" in line]
    assert len(recorded) == len(result.log), "all are recorded here"
    done = subprocess.run([find_binary(), "explain", "--recompute", result.log_path], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert f"{len(recorded)} decisions in {len(result.log)} lines, 0 wrong" in done.stdout


def test_no_fault_between_equal_regions(lab):
    result = faults.run(lab, None, faults.Plan(seconds=3, gets=100, posts=10))
    assert not result.failed("GET") and not result.failed("POST") and not result.posts_twice
    for name in faults.EQUAL:
        assert result.answered_by(name, 0, 99) > 0, f"{name} got nothing: {result.status}"
