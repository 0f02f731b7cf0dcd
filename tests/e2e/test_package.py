"""The Debian package: what is in it, what it asks for, and that it goes in, works and goes out again."""
import re
import subprocess

import pytest

import engine
from engine import podman
from lab import ROOT, run

RELEASE = ROOT / "build" / "release"
VERSION = re.search(r"project\(isochrone VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    run(["cpack", "-G", "DEB", "--config", str(RELEASE / "CPackConfig.cmake"), "-B", str(folder)])
    made = list(folder.glob("*.deb"))
    assert len(made) == 1 and made[0].name.startswith(f"isochrone_{VERSION}_")
    return made[0]


@pytest.fixture(scope="session")
def root(package, tmp_path_factory):
    """The package, unpacked."""
    folder = tmp_path_factory.mktemp("root")
    run(["dpkg-deb", "-x", str(package), str(folder)])
    return folder


def field(package, name):
    return run(["dpkg-deb", "-f", str(package), name]).strip()


def test_the_page_makes_it_the_same_way():
    text = (ROOT / "docs" / "deploy.md").read_text()
    assert "$ cpack -G DEB --config build/release/CPackConfig.cmake -B build\n" in text
    assert f"apt install ./build/isochrone_{VERSION}_" in text


def test_lintian_finds_no_error(package):
    done = subprocess.run(["lintian", "--fail-on", "error", package], capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout


def test_what_is_where(root):
    files = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    assert files >= {"usr/bin/isochrone", "usr/lib/systemd/system/isochrone.service", "usr/lib/systemd/system/isochrone.socket",
                     "etc/isochrone/isochrone.json", "etc/default/isochrone", "usr/share/isochrone/isochrone.schema.json",
                     "usr/share/doc/isochrone/copyright", "usr/share/doc/isochrone/examples/two-regions.json"}
    assert (root / "etc/default/isochrone").stat().st_mode & 0o077 == 0, "it is for secrets"
    named = re.findall(r"^Documentation=file://(.*)$", (root / "usr/lib/systemd/system/isochrone.service").read_text(), re.M)
    assert named and all(n.lstrip("/") in files for n in named)


def test_all_in_etc_belongs_to_the_administrator(package, root):
    conffiles = set(run(["dpkg-deb", "-I", str(package), "conffiles"]).split())
    assert conffiles == {f"/{p.relative_to(root)}" for p in (root / "etc").rglob("*") if p.is_file()}


def test_it_depends_on_what_it_links(package, root):
    needed = re.findall(r"NEEDED\s+(\S+)", run(["objdump", "-p", str(root / "usr/bin/isochrone")]))
    where = run(["dpkg-architecture", "-qDEB_HOST_MULTIARCH"]).strip()
    owners = {run(["dpkg-query", "-S", f"*/{where}/{name}"]).split(":")[0] for name in needed}
    depends = {word.split()[0] for word in field(package, "Depends").split(", ")}
    assert {"libssl3", "libnghttp2-14", "libjansson4"} <= owners <= depends
    assert {"adduser", "ca-certificates"} <= depends and field(package, "Architecture") != "all"


def test_the_binary_is_stripped_and_runs(root):
    assert run([str(root / "usr/bin/isochrone"), "--version"]).strip() == f"isochrone {VERSION}"
    assert ".symtab" not in run(["readelf", "--sections", "--wide", str(root / "usr/bin/isochrone")])


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_scripts_are_sound(package, tmp_path, name):
    path = tmp_path / name
    path.write_text(run(["dpkg-deb", "-I", str(package), name]))
    run(["dash", "-n", str(path)])
    assert "set -e" in path.read_text()


INSTALL = """
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends /package/%s
isochrone --version
id -un isochrone
getent passwd isochrone | cut -d: -f6,7
isochrone check -c /etc/isochrone/isochrone.json
stat -c '%%a %%U' /etc/default/isochrone
echo '{ "mine": 1 }' >/etc/isochrone/isochrone.json
apt-get install -y -qq --reinstall /package/%s
cat /etc/isochrone/isochrone.json
apt-get purge -y -qq isochrone
ls -d /etc/isochrone/isochrone.json /etc/default/isochrone /usr/bin/isochrone 2>/dev/null || echo gone
"""


def test_it_goes_in_works_and_goes_out(package, tmp_path):
    engine.make_base(tmp_path)
    script = INSTALL % (package.name, package.name)
    said = podman("run", "--rm", "--network", "host", *engine.Container.LIMITS, "--volume", f"{package.parent}:/package:ro",
                  engine.BASE, "sh", "-ec", script, seconds=300)
    wanted = [f"isochrone {VERSION}", "isochrone", "/nonexistent:/usr/sbin/nologin",
              "/etc/isochrone/isochrone.json: good: 1 listeners, 1 services, 1 routes", "600 root", '{ "mine": 1 }', "gone"]
    lines = [line for line in said.splitlines() if line in wanted]
    assert lines == wanted, said
