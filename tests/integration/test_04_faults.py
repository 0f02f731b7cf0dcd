"""A region is killed, hangs, fails or becomes slow under load. Short runs: scripts/bench-faults shows the bars."""
import pytest

import faults


@pytest.mark.parametrize("fault", list(faults.FAULTS))
def test_fault(lab, slow, fault):
    result = faults.run(lab, fault, faults.SHORT)
    missed = [str(b) for b in faults.judge(result, slow) if not b.ok]
    assert not missed, f"{missed}; {result.summary}"
    assert len(result.log) >= result.summary["count"]


def test_no_fault_between_equal_regions(lab):
    result = faults.run(lab, None, faults.Plan(seconds=3, gets=100, posts=10))
    assert not result.failed("GET") and not result.failed("POST") and not result.posts_twice
    for name in faults.EQUAL:
        assert result.answered_by(name, 0, 99) > 0, f"{name} got nothing: {result.status}"
