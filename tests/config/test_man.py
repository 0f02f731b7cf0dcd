"""The manual pages: generated where they can be, true where they are written, and silent when they are rendered."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "man").glob("isochrone*"))
PRINT = os.environ.get("ISO_SCHEMA_PRINT", "iso-schema-print")
UTF8 = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100"}


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, timeout=60, env=UTF8)


def rendered(page):
    done = run("mandoc", "-T", "ascii", str(page))
    return re.sub(".\b", "", done.stdout)


def test_both_pages_are_there():
    assert [p.name for p in PAGES] == ["isochrone.8", "isochrone.json.5"]


def test_page_of_the_keys_is_generated():
    assert (ROOT / "docs" / "man" / "isochrone.json.5").read_text() == run(PRINT, "man").stdout, \
        "make it anew: isochrone schema man > docs/man/isochrone.json.5"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
@pytest.mark.parametrize("tool", [("groff", "-ww", "-man", "-Tutf8", "-z"), ("mandoc", "-T", "lint"),
                                  ("man", "--warnings", "--encoding=UTF-8", "-l")], ids=lambda t: t[0])
def test_rendering_is_silent(page, tool):
    done = run(*tool, str(page))
    assert done.returncode == 0 and done.stderr == ""
    assert tool[0] == "man" or done.stdout == ""


def test_every_key_is_told():
    text = rendered(ROOT / "docs" / "man" / "isochrone.json.5")
    keys = re.findall(r"^\| `(.*?)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.M)
    assert len(keys) > 80
    assert [k for k in keys if f"\n     {k} (" not in text.replace("       ", "     ")] == []


def test_every_command_and_option_is_told():
    """As the sources have them: the table of commands, and each command's options."""
    text = rendered(ROOT / "docs" / "man" / "isochrone.8")
    commands = re.findall(r'\{ "(\w+)",', (ROOT / "proxy" / "main.c").read_text())
    assert len(commands) >= 6
    options = {o for path in (ROOT / "proxy").glob("cmd_*.c") if path.name != "cmd_demo.c"
               for o in re.findall(r'\{ "(--[a-z-]+)",', path.read_text())}
    assert len(options) >= 15
    assert [w for w in [*commands, *options, "--port", "--seconds"] if w not in text] == []
