"""The other scripts, as far as they can be asked without installing or building anything."""
import os
import pathlib
import re
import ssl
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"


def run(*command, **more):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, **more)


# ---- make-certs ----

def subject_names(path):
    said = run("openssl", "x509", "-in", path, "-noout", "-ext", "subjectAltName").stdout
    return said.splitlines()[1].strip()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    path = tmp_path_factory.mktemp("certs") / "new" / "deep"
    done = run(SCRIPTS / "make-certs", path, "api.example.com", "*.example.com", "127.0.0.1", "::1", "1.example")
    assert done.returncode == 0 and done.stderr == ""
    return path


@pytest.mark.parametrize("file, names", [
    ("api.example.com", "DNS:api.example.com"),
    ("wildcard.example.com", "DNS:*.example.com"),
    ("127.0.0.1", "IP Address:127.0.0.1"),
    ("::1", "IP Address:0:0:0:0:0:0:0:1"),
    ("1.example", "DNS:1.example"),
])
def test_a_leaf_has_its_name_and_key_and_is_signed_by_the_ca(certs, file, names):
    leaf = certs / f"{file}.pem"
    assert subject_names(leaf) == names
    assert run("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", certs / "ca.pem",
               leaf).returncode == 0
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(leaf, certs / f"{file}.key")
    assert (certs / f"{file}.key").stat().st_mode & 0o077 == 0
    said = run("openssl", "x509", "-in", leaf, "-noout", "-text", "-checkend", str(9 * 365 * 86400))
    assert said.returncode == 0 and "prime256v1" in said.stdout


def test_a_leaf_cannot_sign(certs):
    assert "CA:FALSE" in run("openssl", "x509", "-in", certs / "api.example.com.pem", "-noout", "-text").stdout


def test_a_second_run_keeps_the_ca(certs):
    before = (certs / "ca.pem").read_bytes()
    assert run(SCRIPTS / "make-certs", certs, "late.example.com").returncode == 0
    assert (certs / "ca.pem").read_bytes() == before
    assert run("openssl", "verify", "-CAfile", certs / "ca.pem", certs / "late.example.com.pem").returncode == 0


@pytest.mark.parametrize("arguments", [[], ["DIR"], ["DIR", ""], ["DIR", "../escape"], ["DIR", "a,DNS:b"]])
def test_make_certs_refuses(tmp_path, arguments):
    done = run(SCRIPTS / "make-certs", *[str(tmp_path / "d") if word == "DIR" else word for word in arguments])
    assert done.returncode == 2 and done.stderr != "" and list(tmp_path.glob("*.pem")) == []


def test_make_certs_says_what_openssl_said(tmp_path):
    done = run(SCRIPTS / "make-certs", tmp_path / "d", "300.1.1.1")
    assert done.returncode == 1 and "300.1.1.1" in done.stderr


# ---- packages ----

def stand_in(folder, **commands):
    """A PATH in front of the system's: each command is a shell text."""
    folder.mkdir()
    for name, text in commands.items():
        path = folder / name.replace("_", "-")
        path.write_text("#!/bin/sh\n" + text + "\n")
        path.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def test_the_lists_grow_from_build_to_full():
    build, test, full = (set(run(SCRIPTS / "packages", "--list", name).stdout.split())
                         for name in ("build", "test", "full"))
    assert build < test < full
    assert {"libnghttp2-dev", "node-llhttp", "ninja-build", "openssl"} <= build
    assert not {"libcmocka-dev", "nginx-light", "clang-tidy"} & build


def test_nothing_is_installed_where_nothing_is_missing(tmp_path):
    env = stand_in(tmp_path / "bin", dpkg_query="printf 'install ok installed'", apt_get="echo called; exit 9",
                   npm="echo called; exit 9")
    linters = tmp_path / "node_modules" / ".bin"
    linters.mkdir(parents=True)
    for name in ("dockerfilelint", "dockerfile-utils"):
        (linters / name).write_text("")
        (linters / name).chmod(0o755)
    env["ISO_NPM"] = str(tmp_path)
    done = run(SCRIPTS / "packages", "full", env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("mode, calls", [("full", 1), ("test", 0)])
def test_the_linters_come_with_full_at_fixed_versions(tmp_path, mode, calls):
    log = tmp_path / "calls"
    env = stand_in(tmp_path / "bin", dpkg_query="printf 'install ok installed'", apt_get="exit 9",
                   npm=f'echo "$@" >>{log}; echo noise')
    env["ISO_NPM"] = str(tmp_path / "npm")
    done = run(SCRIPTS / "packages", mode, env=env)
    assert (done.returncode, done.stdout) == (0, "")
    lines = log.read_text().splitlines() if log.exists() else []
    assert len(lines) == calls
    assert all(re.search(r" dockerfilelint@\d\S* dockerfile-utils@\d\S*$", x) for x in lines)


def test_what_is_missing_is_said_and_only_that_is_installed(tmp_path):
    calls = tmp_path / "calls"
    policy = pathlib.Path("/usr/sbin/policy-rc.d")
    before = policy.exists()
    env = stand_in(tmp_path / "bin", id="echo 0", tee="cat >/dev/null", chmod="true", rm="true",
                   dpkg_query='for last; do :; done; case $last in cmake) exit 1;; '
                              'libssl-dev) printf "deinstall ok config-files";; *) printf "install ok installed";; esac',
                   apt_get=f'echo "$@" "$DEBIAN_FRONTEND" >>{calls}')
    done = run(SCRIPTS / "packages", "build", env=env)
    assert done.returncode == 0 and "installing: cmake libssl-dev" in done.stderr
    update, install = calls.read_text().splitlines()
    assert update.endswith(" update noninteractive")
    assert install.endswith(" install -y --no-install-recommends cmake libssl-dev noninteractive")
    assert policy.exists() == before


def test_a_failed_install_is_a_failure(tmp_path):
    env = stand_in(tmp_path / "bin", id="echo 0", tee="cat >/dev/null", chmod="true", rm="true",
                   dpkg_query="exit 1", apt_get="exit 100")
    assert run(SCRIPTS / "packages", "build", env=env).returncode == 100


@pytest.mark.parametrize("script, arguments", [
    ("packages", []), ("packages", ["everything"]), ("packages", ["build", "test"]), ("test", ["--quick"]),
    ("test", ["--fast", "--full"]), ("format", ["--fix"]),
])
def test_a_wrong_command_line_is_refused(script, arguments):
    done = run(SCRIPTS / script, *arguments)
    assert done.returncode == 2 and done.stderr.startswith("usage: ")


# ---- The promises that other files make ----

def test_every_script_that_a_document_names_is_there():
    named = {word for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "Dockerfile", ".ci/run")
             for word in re.findall(r"\bscripts/([a-z-]+)", (ROOT / name).read_text())}
    assert named and {name for name in named if not os.access(SCRIPTS / name, os.X_OK)} == set()


def test_the_image_runs_on_the_libraries_that_the_build_links():
    """The runtime packages of the Dockerfile, against the -dev packages of the build."""
    runtime = (ROOT / "Dockerfile").read_text()
    for library in ("libevent-core-2.1-7", "libssl3", "libnghttp2-14", "libjansson4", "libc-ares2",
                    "libmaxminddb0"):
        assert re.search(rf"\b{re.escape(library)}\b", runtime), library
