"""scripts/check-layers and scripts/check-size find what they are there for, and nothing else."""
import pathlib
import re
import subprocess

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"


def run(script, root, **files):
    for name, text in files["files"].items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run([SCRIPTS / script, str(root)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def layers(root, files):
    return run("check-layers", root, files=files)


def size(root, text, name="src/base/x.c"):
    return run("check-size", root, files={name: text})


# ---- Floors ----

@pytest.mark.parametrize("name, line", [
    ("src/upstream/a.c", '#include "iso/base/err.h"'),
    ("src/upstream/a.c", '#include "iso/upstream/pool.h"'),
    ("src/upstream/a.c", '#include "pool_priv.h"'),
    ("include/iso/server/a.h", '#include "iso/exchange/exchange.h"'),
    ("proxy/main.c", '#include "iso/process/process.h"'),
    ("src/base/a.c", "#include <openssl/ssl.h>"),
    ("src/base/a.c", '/* not an #include "iso/server/server.h" */'),
])
def test_down_is_allowed(tmp_path, name, line):
    assert layers(tmp_path, {name: line + "\n"}) == (0, "layers: 1 files, no way up\n")


@pytest.mark.parametrize("name, line, words", [
    ("src/base/a.c", '#include "iso/http/field.h"', "base (floor 0) includes http (floor 1)"),
    ("src/monitor/a.c", '#include "iso/exchange/exchange.h"', "monitor (floor 5) includes exchange (floor 5)"),
    ("include/iso/policy/a.h", '#include "iso/net/loop.h"', "policy (floor 2) includes net (floor 2)"),
    ("src/net/a.c", '  #  include "iso/server/server.h"', "net (floor 2) includes server (floor 6)"),
    ("src/net/a.c", "#include <iso/server/server.h>", "net (floor 2) includes server (floor 6)"),
    ("src/net/a.c", '#include "iso/attic/x.h"', "belongs to no folder"),
    ("src/net/a.c", '#include "iso/base.h"', "belongs to no folder"),
    ("src/net/a.c", '#include "transport.c"', "a source file"),
    ("src/server/a.c", '#include "../upstream/pool_priv.h"', "relative path"),
    ("src/server/a.c", '#include "upstream/pool_priv.h"', "another folder's private header"),
])
def test_up_and_across_are_refused(tmp_path, name, line, words):
    code, out = layers(tmp_path, {name: "/* head */\n" + line + "\n"})
    assert code == 1 and out.startswith(f"{name}:2: ") and words in out


def test_a_folder_needs_a_floor(tmp_path):
    code, out = layers(tmp_path, {"src/attic/a.c": "\n"})
    assert code == 1 and "src/attic/a.c:1: the folder attic has no floor" in out


def test_every_violation_is_told(tmp_path):
    code, out = layers(tmp_path, {"src/base/a.c": '#include "iso/http/x.h"\n#include "iso/net/x.h"\n',
                                  "src/http/b.c": '#include "iso/net/x.h"\n'})
    assert code == 1 and [line.split(": ")[0] for line in out.splitlines()] == [
        "src/base/a.c:1", "src/base/a.c:2", "src/http/b.c:1"]


@pytest.mark.parametrize("script", ["check-layers", "check-size"])
def test_an_empty_tree_is_a_mistake(tmp_path, script):
    assert run(script, tmp_path, files={})[0] == 2


def test_the_floors_are_those_of_the_build():
    """CMakeLists.txt draws the same map: no folder links one that its floor forbids to include."""
    words = re.search(r'split\((.*?), words', (SCRIPTS / "check-layers").read_text(), re.S).group(1)
    words = " ".join(re.findall(r'"([^"]*)"', words)).split()
    floor = dict(zip(words[::2], map(int, words[1::2])))
    cmake = (SCRIPTS.parent / "CMakeLists.txt").read_text()
    rows = re.findall(r"^iso_folder\((\w+)(?: LINKS ([\w ]+?))?(?: EXTERNAL [^)]*)?\)", cmake, re.M)
    assert {name for name, _ in rows} | {"proxy"} == set(floor)
    assert [(name, link) for name, links in rows for link in links.split() if floor[link] >= floor[name]] == []


# ---- Sizes ----

def function(lines, head="int f(void)"):
    return f"{head}\n{{\n" + "\tx();\n" * (lines - 2) + "}\n"


def nest(depth):
    return "int f(void)\n{\n" + "".join("\t" * (i + 1) + "if (x) {\n" for i in range(depth)) + \
        "".join("\t" * (i + 1) + "}\n" for i in reversed(range(depth))) + "}\n"


def struct(members):
    return "struct s {\n" + "".join(f"\tint m{i}; /* one, two; three */\n" for i in range(members)) + "};\n"


@pytest.mark.parametrize("text", [
    "\n" * 600,
    function(80),
    nest(4),
    struct(40),
    "x" * 110 + "\n",
    "\t" * 13 + "x" * 6 + "\n",
    "int f(int a, int b, int c, int d, int e, int (*call)(int, int))\n{\n}\n",
    "/* sprintf(3) is no friend, says strcpy(x) */\n",
    'char *s = "strtok(";\n',
    "void f(void)\n{\n\tsnprintf(a, 1, b);\n\tfgets(a, 1, b);\n}\n",
    "/* check-size: table */\n" + "\n" * 700 + function(90),
    "int on(nghttp2_session *s, int a, int b, int c, int d, int e, int f)\n{\n}\n",
])
def test_within_bounds(tmp_path, text):
    assert size(tmp_path, text) == (0, "sizes: 1 files within bounds\n")


@pytest.mark.parametrize("text, line, words", [
    ("\n" * 601, 1, "601 lines"),
    ("\n" + function(81), 3, "f has 81 lines"),
    (function(81, "static int\nf(int a,\n  int b)"), 4, "f has 81 lines"),
    (nest(5), 7, "f nests 5 deep"),
    (struct(41), 1, "41 members"),
    (struct(40).replace("int m0;", "int m0, m;"), 1, "41 members"),
    (struct(39).replace("int m0;", "struct { int a; int b; } m0;"), 1, "41 members"),
    ("x" * 111 + "\n", 1, "111 columns"),
    ("\t" * 13 + "x" * 7 + "\n", 1, "111 columns"),
    ("int f(int a, int b, int c,\n      int d, int e, int g, int h)\n{\n}\n", 3, "7 parameters"),
    ("/* check-size: table */\n" + "x" * 111 + "\n", 2, "111 columns"),
    ("\n" * 20 + "/* check-size: table */\n" + "\n" * 600, 1, "621 lines"),
])
def test_beyond_bounds(tmp_path, text, line, words):
    code, out = size(tmp_path, text)
    assert code == 1 and out.startswith(f"src/base/x.c:{line}: ") and words in out


@pytest.mark.parametrize("name", ["strcpy", "strcat", "sprintf", "gets", "alloca", "atoi", "strtok"])
def test_banned(tmp_path, name):
    code, out = size(tmp_path, f"void f(void)\n{{\n\tx = {name} (a);\n}}\n", "tests/unit/base/test_x.c")
    assert code == 1 and out.startswith(f"tests/unit/base/test_x.c:3: {name} is banned")
