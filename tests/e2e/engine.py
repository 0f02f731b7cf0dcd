"""podman and buildah as the container tests use them: a base image of the host's own Debian sources, an image, containers.

The base that the Dockerfile names cannot be had everywhere, so the same thing is made here: a minimal Debian of the
same release, installed from the sources that this machine uses, under the tag that a build argument asks for.
"""
import json
import os
import pathlib
import re
import subprocess
import time

from lab import LabError, ROOT, run, wait_until

RELEASE = re.search(r"^ARG DEBIAN=(\w+)-", (ROOT / "Dockerfile").read_text(), re.M)[1]
TAG = f"{RELEASE}-isochrone-test"
BASE = f"localhost/debian:{TAG}"
USER = 10001
# Images live in the build directory: what is on the machine otherwise is not touched, and nothing is left on it.
STORE = ROOT / "build" / "containers"
WHERE = ["--root", str(STORE / "root"), "--runroot", str(STORE / "run")]


def ask(*words, seconds=180):
    """A podman command and how it ended."""
    return subprocess.run(["podman", *WHERE, "--runtime", "runc", *map(str, words)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=seconds)


def podman(*words, seconds=180):
    """One that must succeed: what it has printed."""
    done = ask(*words, seconds=seconds)
    if done.returncode != 0:
        raise LabError(f"podman {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def debian_sources():
    """This machine's sources of the release, one a line; those of other publishers stay out."""
    found = []
    for path in [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]:
        text = path.read_text() if path.is_file() else ""
        text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        if path.suffix == ".sources":
            for stanza in re.split(r"\n\s*\n", text):
                keys = dict(re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.M))
                if "deb" in keys.get("Types", "").split():
                    found += [(uri, suite) for uri in keys["URIs"].split() for suite in keys["Suites"].split()]
        else:
            found += re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", text, re.M)
    lines = [f"deb {uri} {suite} main" for uri, suite in found if re.fullmatch(rf"{RELEASE}(-updates|-security)?", suite)]
    if not lines:
        raise LabError(f"no source of {RELEASE} in /etc/apt")
    return "\n".join(dict.fromkeys(lines)) + "\n"


def apt_options():
    """How this machine reaches its sources: proxies, checks of dates."""
    said = run(["apt-config", "dump", "Acquire"])
    return "\n".join(x for x in said.splitlines() if re.match(r"Acquire::(http|https|Check|Retries|Force)", x)) + "\n"


def make_base(folder):
    """Debian's slim image, near enough: no documents, no translations. Kept: it is the same for every run."""
    if ask("image", "exists", BASE).returncode == 0:
        return
    options = folder / "apt.conf"
    options.write_text(apt_options())
    unwanted = [f"--dpkgopt=path-exclude=/usr/share/{x}/*" for x in ("doc", "man", "locale")]
    tar = folder / "base.tar"
    done = subprocess.run(["mmdebstrap", "--variant=minbase", "--include=usr-is-merged",
                           "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", *unwanted, f"--aptopt={options}", RELEASE,
                           tar, "-"], input=debian_sources(), capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise LabError(f"mmdebstrap: {done.stderr[-3000:]}")
    podman("import", tar, BASE)
    tar.unlink()


def build(tag, **arguments):
    """The Dockerfile's image; layers are kept, so that the second build only does what differs."""
    given = [x for name, value in {"DEBIAN": TAG, **arguments}.items() for x in ("--build-arg", f"{name}={value}")]
    done = subprocess.run(["buildah", *WHERE, "bud", "--layers", "--runtime", "runc", "--network", "host", "--pull-never", "--format",
                           "docker", *given, "-t", f"localhost/{tag}", str(ROOT)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        raise LabError(f"buildah: {(done.stdout + done.stderr)[-5000:]}")
    return f"localhost/{tag}"


class Container:
    """One running container, confined as far as it goes; removed by close()."""

    # The machine may allow no more files and processes than these, which podman would ask for.
    LIMITS = ("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096")
    CONFINED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges")

    def __init__(self, image, *command, options=()):
        # Without systemd there are no timers for health checks: they are asked for by hand.
        self.id = podman("run", "--detach", "--network", "host", "--health-interval", "disable", *self.LIMITS,
                         *self.CONFINED, *options, image, *command)

    def inspect(self):
        return json.loads(podman("inspect", self.id))[0]

    def state(self):
        return self.inspect()["State"]

    def logs(self):
        done = ask("logs", self.id)
        return done.stdout, done.stderr

    def wait_logs(self, words, seconds=30):
        def there():
            if any(words in text for text in self.logs()):
                return True
            if not self.state()["Running"]:
                raise LabError(f"the container has ended: {self.logs()}")
            return False
        wait_until(there, seconds, f"'{words}' in {self.logs()}", every=0.1)

    def execute(self, *words):
        done = ask("exec", self.id, *words)
        return done.returncode, (done.stdout + done.stderr).strip()

    def health(self):
        """What HEALTHCHECK says, by its exit code: 0 or 1."""
        return ask("healthcheck", "run", self.id).returncode

    def stop(self, seconds):
        """As an orchestrator does: SIGTERM, and SIGKILL when the time is over. (exit code, seconds it took)"""
        began = time.monotonic()
        podman("stop", "--time", seconds, self.id)
        return self.state()["ExitCode"], time.monotonic() - began

    def close(self):
        ask("rm", "--force", "--time", "0", self.id)


def readable(folder):
    """For the image's user: the folder and the files in it, keys for nobody else."""
    folder.chmod(0o755)
    for path in folder.iterdir():
        os.chown(path, USER, USER)
        path.chmod(0o400 if path.suffix == ".key" else 0o444)
