"""How scripts/bench judges what it has measured, on results made by hand; and what scripts/run does."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "bench"), str(ROOT / "tests" / "tools")]

import bench  # noqa: E402

GOOD = {
    "h2": {"isochrone-h2": [7.0, 8.0, 30.0], "haproxy-h2": [8.0, 8.0, 8.0]},
    "h2-h1": {"isochrone-h1": [16.0], "nginx-h1": [20.0], "haproxy-h1": [10.0]},
    "1MiB": {"isochrone-h2": [1.0], "isochrone-h1": [1.0], "nginx-h1": [1.0]},
    "idle": {"isochrone-h2": [23.9], "haproxy-h2": [10.0]},
}


def verdicts(only=tuple(GOOD), labels=("isochrone",), **changed):
    """{what is asked: (measured, holds)}; a keyword lays values over a workload of the good results, None takes it out."""
    results = {name: dict(rows) for name, rows in GOOD.items()}
    for name, rows in changed.items():
        results[name.replace("_", "-").replace("MiB", "1MiB")].update(rows)
    made = {name: {key: [{"value": v} for v in values] for key, values in rows.items() if values is not None}
            for name, rows in results.items()}
    return {asked: (measured, holds) for asked, measured, holds in bench.judge(made, only, labels)}


def missed(**more):
    return [asked for asked, (_, holds) in verdicts(**more).items() if not holds]


def test_what_keeps_to_the_bars_holds():
    got = verdicts()
    assert len(got) == 5 and all(holds for _, holds in got.values())
    assert got["h2, isochrone-h2: at most 1.15 times haproxy-h2"] == ("1.00", True)  # medians: one bad round is none
    assert got["idle, isochrone-h2: at most 24 KiB/client"] == ("23.90", True)


@pytest.mark.parametrize("changed, bar", [
    ({"h2": {"isochrone-h2": [9.21]}}, "h2, isochrone-h2: at most 1.15 times haproxy-h2"),
    ({"h2_h1": {"isochrone-h1": [20.01]}}, "h2-h1, isochrone-h1: at most 1.0 times nginx-h1"),
    ({"MiB": {"isochrone-h2": [1.31]}}, "1MiB, isochrone-h2: at most 1.3 times nginx-h1"),
    ({"MiB": {"isochrone-h1": [1.31]}}, "1MiB, isochrone-h1: at most 1.3 times nginx-h1"),
    ({"idle": {"isochrone-h2": [24.01]}}, "idle, isochrone-h2: at most 24 KiB/client"),
    # What was not measured does not hold: neither without the peer nor without ourselves.
    ({"h2": {"haproxy-h2": None}}, "h2, isochrone-h2: at most 1.15 times haproxy-h2"),
    ({"h2": {"isochrone-h2": None}}, "h2, isochrone-h2: at most 1.15 times haproxy-h2"),
    ({"idle": {"isochrone-h2": None}}, "idle, isochrone-h2: at most 24 KiB/client"),
])
def test_a_bar_that_is_missed(changed, bar):
    assert missed(**changed) == [bar]


def test_a_bar_itself_holds():
    assert missed(h2={"isochrone-h2": [9.2]}, h2_h1={"isochrone-h1": [20.0]}, idle={"isochrone-h2": [24.0]}) == []


def test_only_what_was_asked_is_judged():
    assert list(verdicts(only=("idle",))) == ["idle, isochrone-h2: at most 24 KiB/client"]
    assert verdicts(only=("single", "h1")) == {}
    assert verdicts(labels=()) == {}


def test_each_binary_is_judged():
    got = verdicts(only=("h2",), labels=("old", "new"), h2={"old-h2": [10.0], "new-h2": [8.0]})
    assert [holds for _, holds in got.values()] == [False, True]


@pytest.mark.parametrize("only, judging, code", [("h2", True, 1), ("h2", False, 0), ("single", True, 0)])
def test_the_exit_code(monkeypatch, capsys, only, judging, code):
    """A missed bar fails the run only where it was asked to judge."""
    monkeypatch.setattr(bench, "run_rounds", lambda lab, options: (
        {only: {"isochrone-h2": [{"value": 99.0}], "haproxy-h2": [{"value": 1.0}]}}, []))
    arguments = ["--binary", "/bin/true", "--only", only] + (["--judge"] if judging else [])
    assert bench.main(arguments) == code
    assert ("**missed**" in capsys.readouterr().out) == (only == "h2")


@pytest.mark.parametrize("arguments", [
    ["--judge", "--quick"], ["--judge", "--without-isochrone"], ["--only", "everything"], ["--peers", "squid"],
    ["--binary", "a=x", "--binary", "a=y"], ["--rounds", "many"],
])
def test_a_wrong_command_line_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as e:
        bench.main(["--binary", "/bin/true", *arguments] if "--binary" not in arguments else arguments)
    assert e.value.code == 2 and "usage: scripts/bench" in capsys.readouterr().err


# ---- scripts/run ----

def run_in(tmp_path, *arguments, packages="exit 0", cmake="exit 0", binary="exit 0"):
    """scripts/run in a tree of its own, where packages, cmake and the binary only note that they were called."""
    calls = tmp_path / "calls"
    release = tmp_path / "build" / "release" / "proxy"
    for folder in ("scripts", "bin", "build/release/proxy"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "run", tmp_path / "scripts" / "run")
    for path, name, text in ((tmp_path / "scripts" / "packages", "packages", packages),
                             (tmp_path / "bin" / "cmake", "cmake", cmake), (release / "isochrone", "isochrone", binary)):
        path.write_text(f'#!/bin/sh\necho {name} "$@" >>{calls}\n{text}\n')
        path.chmod(0o755)
    done = subprocess.run([str(tmp_path / "scripts" / "run"), *arguments], capture_output=True, text=True, timeout=60,
                          cwd="/", env={**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})
    return done.returncode, calls.read_text().splitlines()


BUILT = ["packages build", "cmake --preset release", "cmake --build --preset release"]


def test_run_installs_builds_and_starts_the_demo(tmp_path):
    assert run_in(tmp_path, "--seconds", "20") == (0, [*BUILT, "isochrone demo --seconds 20"])


@pytest.mark.parametrize("broken, calls", [({"packages": "exit 3"}, BUILT[:1]), ({"cmake": "exit 3"}, BUILT[:2]),
                                           ({"binary": "exit 3"}, [*BUILT, "isochrone demo"])])
def test_run_stops_where_something_fails(tmp_path, broken, calls):
    assert run_in(tmp_path, **broken) == (3, calls)
