"""A newcomer types what README and docs/deploy.md say, and nothing else.

The shell blocks (```sh) of a section run one after the other in one shell, files are written where the text says so.
Only the building is left out, since the binary is there; and fixed ports become free ones, since others test here too.
"""
import os
import pathlib
import re
import subprocess

import pytest

from lab import ROOT, find_binary, free_port
from product import SLOW, environment

# What a reader does without being told: curl fails where the answer is an error, and one waits for "ready".
PRELUDE = r"""
set -emu
exec >"$LOG" 2>&1
curl() { command curl --fail --silent --show-error --max-time 20 "$@"; }
cmake() { echo "cmake $*"; }
await() {
	for _ in $(seq 1200); do
		[ "$(grep -c '^ready ' "$LOG")" -ge "$1" ] && return
		sleep 0.05
	done
	echo "nothing said that it is ready"
	exit 97
}
started=0
trap 'trap - EXIT; for job in $(jobs -p); do kill -9 -- "-$job" 2>/dev/null || true; done' EXIT
"""


def section(name, heading):
    text = (ROOT / name).read_text()
    begin = text.index(f"\n## {heading}\n") + 1
    end = text.find("\n## ", begin)
    return text[begin:end if end > 0 else None]


def steps(text):
    """("sh", commands) and ("write", (file, content)): a block that is no shell is written where the last "Write `X`" says."""
    for found in re.finditer(r"(?P<before>(?:.|\n)*?)\n```(?P<kind>\w+)\n(?P<block>(?:.|\n)*?)\n```", text):
        if found["kind"] == "sh":
            yield "sh", found["block"]
        elif found["kind"] == "json":
            yield "write", (re.findall(r"Write `([^`]+)`", found["before"])[-1], found["block"])


def commands(block):
    """Whole command lines; after one that goes to the background the newcomer waits until it is ready."""
    line = ""
    for text in block.splitlines():
        line += text + "\n"
        if text.endswith("\\"):
            continue
        yield line
        if re.search(r"&\s*(#.*)?$", text) and not text.lstrip().startswith("#"):
            yield "started=$((started + 1)); await $started\n"
        line = ""


def follow(name, heading, folder, more=""):
    """What the shell has printed; asserts that every command has succeeded."""
    ports = {}

    def free(found):
        return f"{found[1]}{ports.setdefault(found[2], free_port())}"

    def with_ports(text):
        return re.sub(r"(127\.0\.0\.1:|localhost:)(\d+)", free, text)

    for entry in ("scripts", "conf", "docs", "CMakePresets.json"):
        (folder / entry).symlink_to(ROOT / entry)
    (folder / "build" / "release" / "proxy").mkdir(parents=True)
    (folder / "build" / "release" / "proxy" / "isochrone").symlink_to(find_binary())
    script, log = PRELUDE, folder / "log"
    for kind, what in steps(section(name, heading)):
        if kind == "sh":
            script += "".join(f"{c}" for c in commands(with_ports(what)))
        else:
            script += f"cat >'{what[0]}' <<'END_OF_FILE'\n{with_ports(what[1])}\nEND_OF_FILE\n"
    script += with_ports(more) + "\necho 'the end is reached'\n"
    env = environment({"LOG": str(log)})
    done = subprocess.run(["bash", "-c", script], cwd=folder, stdin=subprocess.DEVNULL, timeout=120 * SLOW,
                          env={k: v for k, v in env.items() if k not in ("API_KEY", "ISOCHRONE_CONFIG", "ISOCHRONE_ADMIN")})
    said = log.read_text()
    assert done.returncode == 0 and "the end is reached" in said, said
    return said, script


def test_readme(tmp_path):
    said, script = follow("README.md", "From nothing to a routed request", tmp_path)
    for word in ("isochrone emulate", "isochrone check", "curl --http2", "kill %1"):
        assert word in script
    assert ": good: 1 listeners, 1 services, 1 routes" in said
    assert re.search(r'"path":"/orders/42"[^\n]*"status":200', said), said
    assert re.search(r'"path":"/orders/43"[^\n]*"status":200[^\n]*"region":"eu-west-1"', said), said
    assert '"us-east-1": {' in said and "cmake --preset release" in said and "drain: no new connections" in said


def test_deploy(tmp_path):
    said, script = follow("docs/deploy.md", "A configuration of your own", tmp_path)
    assert "/reload" in script and "isochrone explain" in script
    assert re.search(r'"path":"/orders/42"[^\n]*"status":200[^\n]*"route":"orders"', said), said
    assert re.search(r'"path":"/alive"[^\n]*"status":200', said) and "\nhealthy\n" in said and "\nok\n" in said
    assert re.search(r"^route +orders, service orders", said, re.M)
    assert '"10s" -> "5s"' in said, "the reload says what has changed"
    assert "***" in said and "secret" not in said, "GET /config masks what the environment gave"
    assert "drain: no new connections" in said


# ---- What the pages promise of files and commands ----

PAGES = ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]


def anchors(path):
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", path.read_text(), re.M)}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{name}: {target}"
        assert not anchor or anchor in anchors(other), f"{name}: {target}"


def test_every_sample_is_named_for_its_use():
    named = set(re.findall(r"conf/([\w-]+\.json)", (ROOT / "docs" / "deploy.md").read_text()))
    there = {p.name for p in (ROOT / "conf").glob("*.json")} - {"isochrone.schema.json", "default.json"}
    assert named == there


def test_files_that_the_pages_name_are_there():
    for name in ("README.md", "docs/deploy.md"):
        for path in re.findall(r"\b((?:conf|scripts)/[\w./-]+\w)", (ROOT / name).read_text()):
            assert (ROOT / path).exists(), f"{name}: {path}"


def test_the_help_has_every_command_of_the_pages():
    said = subprocess.run([find_binary(), "--help"], capture_output=True, text=True, timeout=30).stdout
    known = set(re.findall(r"^  isochrone (\w+)", said, re.M))
    table = set(re.findall(r"^\| `isochrone \[?(\w+)", (ROOT / "docs" / "operations.md").read_text(), re.M))
    assert table == known, "docs/operations.md has a row for each command"
    for name in ("README.md", "docs/deploy.md"):
        used = set(re.findall(r"(?m)^[$#] isochrone (\w+)|`isochrone (\w+)", (ROOT / name).read_text()))
        assert {a or b for a, b in used} <= known, name
