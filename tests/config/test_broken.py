"""Broken configuration files: each is told exactly what broken/expected.txt says, and the JSON Schema refuses the same
ones wherever a schema can say it."""
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess

import jsonschema
import pytest

HERE = pathlib.Path(__file__).resolve().parent
PRINT = os.environ.get("ISO_SCHEMA_PRINT", "iso-schema-print")
SCHEMA = json.loads((HERE.parents[1] / "conf" / "isochrone.schema.json").read_text())
LINE = re.compile(r"(\S+:\d+:\d+): error(?: at (.*?))?: (.*)")
FILES = sorted(p.name for p in (HERE / "broken").glob("*.json"))


def read_expected():
    """{file: (what a schema says, [(place, pointer, "message; mend")])}"""
    expected = collections.OrderedDict()
    for line in (HERE / "broken" / "expected.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        name, schema, place, pointer, message, mend = line.split(" | ")
        said = expected.setdefault(name, (schema, []))
        assert said[0] == schema
        said[1].append((place, "" if pointer == "-" else pointer, f"{message}; {mend}"))
    return expected


EXPECTED = read_expected()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The broken files, and beside them what they name."""
    folder = tmp_path_factory.mktemp("broken") / "files"
    shutil.copytree(HERE / "broken", folder)
    for name in ("api", "other"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", f"/CN={name}.example.test", "-days", "2", "-keyout", folder / f"{name}.key", "-out",
                        folder / f"{name}.pem"], check=True, capture_output=True, timeout=60)
    (folder / "large").write_bytes(b"x" * (64 * 1024 + 2))
    return folder


def errors_of(name, place):
    done = subprocess.run([PRINT, "load", name], capture_output=True, text=True, timeout=60, cwd=place,
                          env={**os.environ, "ISO_T_WORD": "soon"})
    found = [LINE.fullmatch(line) for line in (done.stdout + done.stderr).splitlines() if ": note at " not in line]
    assert done.returncode != 0 and all(found), done.stdout + done.stderr
    return [(m[1], m[2] or "", m[3]) for m in found]


def test_there_are_enough():
    assert len(FILES) >= 50 and set(FILES) == set(EXPECTED)


@pytest.mark.parametrize("name", FILES)
def test_place_and_message(name, place):
    assert sorted(errors_of(name, place)) == sorted(EXPECTED[name][1])


@pytest.mark.parametrize("name", FILES)
def test_schema_refuses_it_too(name):
    text = (HERE / "broken" / name).read_text()
    says = EXPECTED[name][0]
    if says == "syntax":
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)
        return
    errors = list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(json.loads(text)))
    assert bool(errors) == (says == "yes"), errors


def test_what_is_filled_in_is_never_shown(place):
    """A secret that does not fit is refused without its text."""
    (place / "secret").write_text("hunter2\x01")
    text = (HERE / "broken" / next(f for f in FILES if "secret-not-there" in f)).read_text()
    (place / "shown.json").write_text(text.replace("none.txt", "secret"))
    assert "hunter2" not in str(errors_of("shown.json", place))
    text = (HERE / "broken" / next(f for f in FILES if "variable-of-another-type" in f)).read_text()
    (place / "secret").write_text("hunter2")
    (place / "shown.json").write_text(text.replace("${ISO_T_WORD}", "${file:secret}"))
    assert [e[2].split(";")[0] for e in errors_of("shown.json", place)] == ['"${file:secret}" is not a duration']
