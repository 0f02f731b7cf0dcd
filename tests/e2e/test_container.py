"""The image, built by its Dockerfile and run as strictly as it can be: read-only, no capabilities, not root."""
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import threading

import pytest
import yaml

import engine
from engine import Container, podman, readable
from h2client import H2Client
from lab import HOST, NAME, ROOT, find_h2rate, free_port, http_json, isochrone_config, run, wait_until

NPM = ROOT / "build" / "npm" / "node_modules" / ".bin"
MIB = 1000 * 1000  # podman counts in tens
CONFIG = "/etc/isochrone/isochrone.json"


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    engine.make_base(tmp_path_factory.mktemp("base"))
    yield engine.build("isochrone-test")
    engine.podman("image", "prune", "--force")  # what the stages have left


@pytest.fixture
def container(image):
    running = []

    def begin(*command, image=image, options=()):
        running.append(Container(image, *command, options=options))
        return running[-1]
    yield begin
    for one in running:
        one.close()


class Proxy:
    """The image with a configuration of its own before two emulated regions on this machine's loopback."""

    def __init__(self, lab, emulator, container, delay_ms=0, **more):
        self.regions = {name: emulator(name, delay_ms) for name in ("one", "two")}
        self.admin, folder = free_port(), lab.dir / "etc"
        folder.mkdir()
        for path in (lab.certs.ca, lab.certs.cert(), lab.certs.key()):
            shutil.copy(path, folder)
        config, self.port = isochrone_config(
            lab, {name: {"url": one.url, "host": NAME, "headers": {"x-api-key": "${API_KEY}"}}
                  for name, one in self.regions.items()},
            service={"health": {"interval": "500ms", "timeout": "400ms"}}, admin={"address": f"{HOST}:{self.admin}"},
            access_log={"path": "-"}, workers=2, **more)
        # Relative names start at the file's own directory, wherever it is mounted.
        text = json.dumps(config).replace(f"{lab.certs.dir}/", "")
        (folder / "isochrone.json").write_text(text)
        readable(folder)
        self.container = container(options=("--volume", f"{folder}:/etc/isochrone:ro", "--env", "API_KEY=secret"))
        self.container.wait_logs("ready ")

    def status(self):
        return http_json("GET", self.admin, "/status")[2]["services"]["orders"]["regions"]

    def all(self, **state):
        for one in self.regions.values():
            one.set(**state)


@pytest.fixture
def proxy(lab, emulator, container):
    return Proxy(lab, emulator, container)


# ---- the Dockerfile ----

def test_dockerfilelint_is_silent():
    done = subprocess.run([NPM / "dockerfilelint", "--json", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout)["totalIssues"] == 0, done.stdout


def test_dockerfile_utils_is_silent():
    done = subprocess.run([NPM / "dockerfile-utils", "lint", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("linter", [["dockerfilelint"], ["dockerfile-utils", "lint"]])
def test_the_linters_would_find_something(linter, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN apt-get install curl\nMAINTANER me\n")
    done = subprocess.run([NPM / linter[0], *linter[1:], tmp_path / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0


def test_the_base_is_pinned_by_its_date():
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG DEBIAN=\w+-20\d{6}-slim$", text, re.M)
    assert set(re.findall(r"^FROM (\S+)", text, re.M)) == {"debian:${DEBIAN}"}


# ---- the image ----

def test_size(image):
    assert json.loads(podman("image", "inspect", image))[0]["Size"] < 120 * MIB


def test_what_the_image_says_of_itself(image):
    config = json.loads(podman("image", "inspect", image))[0]["Config"]
    assert config["User"] == "10001:10001" and config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"] == ["/usr/local/bin/isochrone"] and config["Cmd"] == ["run"]
    assert f"ISOCHRONE_CONFIG={CONFIG}" in config["Env"]
    assert json.loads(podman("image", "inspect", image))[0]["Healthcheck"]["Test"] == [
        "CMD", "/usr/local/bin/isochrone", "healthcheck"]


def test_no_tools_to_build_with_and_no_configuration_inside(image):
    said = podman("run", "--rm", *Container.LIMITS, "--entrypoint", "/bin/sh", image, "-c",
                  "ls -A /etc/isochrone; command -v cc cmake curl python3 || true; ls -A /var/lib/apt/lists /var/cache/apt")
    assert said.split() == ["/var/cache/apt:", "/var/lib/apt/lists:"], said


def test_version(image):
    wanted = re.search(r"project\(isochrone VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert podman("run", "--rm", *Container.LIMITS, image, "--version") == f"isochrone {wanted}"


def test_without_a_configuration_it_says_so(container):
    one = container()
    wait_until(lambda: not one.state()["Running"], 30, "the container to end", every=0.1)
    assert one.state()["ExitCode"] == 1 and CONFIG in one.logs()[1]


# ---- at work ----

def test_it_serves_confined(proxy):
    with H2Client(proxy.port, ca=proxy.regions["one"].lab.certs.ca) as client:
        assert [client.get("/x").status for _ in range(20)] == [200] * 20
    pid = proxy.container.state()["Pid"]
    status = dict(re.findall(r"^(\w+):\s*(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M))
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"10001"}
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1" and status["NSpid"].split()[-1] == "1"
    for path in ("/x", "/tmp/x", "/etc/isochrone/x", "/var/x"):
        code, said = proxy.container.execute("/bin/sh", "-c", f": >{path}")
        assert code != 0 and "Read-only" in said, (path, said)


def test_the_page_confines_it_as_much(image):
    """docs/deploy.md's `docker run` is what is tested here, and what it says of itself."""
    text = (ROOT / "docs" / "deploy.md").read_text()
    words = shlex.split(re.search(r"^\$ docker run ((?:.*\\\n)*.*)$", text, re.M)[1].replace("\\\n", " "))
    assert words[-1] == "isochrone" and set(Container.CONFINED) - {"--read-only-tmpfs=false"} <= set(words)
    assert int(words[words.index("--stop-timeout") + 1]) > 30
    assert words[words.index("--volume") + 1] == "/etc/isochrone:/etc/isochrone:ro"


def test_logs_go_to_the_standard_streams(proxy):
    with H2Client(proxy.port, ca=proxy.regions["one"].lab.certs.ca) as client:
        assert client.get("/seen?secret=1").status == 200
    proxy.container.wait_logs('"/seen"')
    out, err = proxy.container.logs()
    lines = [json.loads(x) for x in out.splitlines()]
    assert [x["path"] for x in lines] == ["/seen"] and "secret" not in out + err
    assert err.startswith("ready ") or "\nready " in err


def test_health_follows_the_regions(proxy):
    wait_until(lambda: proxy.container.health() == 0, 30, "health at the start", every=0.1)
    proxy.regions["one"].set(mode="status", status=503)
    wait_until(lambda: not proxy.status()["one"]["up"], 30, "region one to be out")
    assert proxy.container.health() == 0, "one region is enough"
    proxy.all(mode="status", status=503)
    wait_until(lambda: proxy.container.health() == 1, 30, "every region down to be seen", every=0.1)
    code, said = proxy.container.execute("/usr/local/bin/isochrone", "healthcheck")
    assert code == 1 and said.startswith("unhealthy: no region of any service is up")
    assert proxy.container.execute("/usr/local/bin/isochrone", "healthcheck", "--alive") == (0, "healthy")
    proxy.all(mode="ok")
    wait_until(lambda: proxy.container.health() == 0, 30, "health to come back", every=0.1)


def test_health_when_every_region_is_gone(proxy):
    for one in proxy.regions.values():
        one.kill()
    wait_until(lambda: proxy.container.health() == 1, 30, "every region gone to be seen", every=0.1)


def test_reload_from_inside(proxy, lab):
    path = lab.dir / "etc" / "isochrone.json"
    changed = json.loads(path.read_text())
    changed["routes"] = [{"match": {"path": "/new"}, "respond": {"status": 204}}, {"service": "orders"}]
    path.write_text(json.dumps(changed))
    podman("kill", "--signal", "HUP", proxy.container.id)
    with H2Client(proxy.port, ca=lab.certs.ca) as client:
        wait_until(lambda: client.get("/new").status == 204, 30, "the new route")


def test_it_is_not_replaced_from_inside(proxy):
    podman("kill", "--signal", "USR2", proxy.container.id)
    proxy.container.wait_logs("upgrade: refused")
    assert proxy.container.health() == 0


def test_stop_under_load(lab, emulator, container):
    """SIGTERM to process 1: what is in flight is answered, on both sides of the GOAWAY, and the end is 0."""
    proxy = Proxy(lab, emulator, container, delay_ms=40)
    out = lab.dir / "load"
    load = subprocess.Popen(
        [find_h2rate(lab.dir), "--connect", f"{HOST}:{proxy.port}", "--sni", NAME, "--ca", str(lab.certs.ca),
         "--get-rate", "400", "--post-rate", "40", "--seconds", "4", "--out", str(out)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: len(proxy.container.logs()[0].splitlines()) > 400, 30, "the load", every=0.1)
        code, took = proxy.container.stop(40)
    finally:
        said = load.communicate(timeout=60)[0]
    assert code == 0 and took < 15, (code, took, proxy.container.logs()[1])
    lines = [json.loads(x) for x in out.read_text().splitlines()]
    # Whose new connection finds nobody listening any more was never in flight.
    lost = [x for x in lines if x["status"] != 200 and x.get("error") != "connect"]
    good = sum(x["status"] == 200 for x in lines)
    assert not lost and good > 400, (lost[:5], said)
    answered = [json.loads(x)["status"] for x in proxy.container.logs()[0].splitlines()]
    assert set(answered) == {200} and len(answered) == good, "each was logged before the end"


def test_stop_waits_for_a_long_exchange(lab, emulator, container):
    proxy = Proxy(lab, emulator, container, delay_ms=2000)
    with H2Client(proxy.port, ca=lab.certs.ca) as client:
        sid = client.start("POST", "/", body=b"{}")
        wait_until(lambda: any(one["in_flight"] for one in proxy.status().values()), 10, "the request in flight")
        ended = []
        stopping = threading.Thread(target=lambda: ended.append(proxy.container.stop(40)))
        stopping.start()
        assert client.wait(sid).status == 200
    stopping.join(60)
    assert len(ended) == 1 and ended[0][0] == 0 and ended[0][1] < 30, ended


# ---- the demo ----

def test_the_demo_of_the_compose_file(image, container):
    """conf/compose.yaml's demo, translated: there is no compose here."""
    demo = yaml.safe_load((ROOT / "conf" / "compose.yaml").read_text())["services"]["demo"]
    built = engine.build("isochrone-test-demo", **demo["build"]["args"])
    port, command = free_port(), list(demo["command"])
    command[command.index("--port") + 1] = str(port)
    one = container(*command, image=built, options=[x for t in demo["tmpfs"] for x in ("--tmpfs", t)])
    one.wait_logs("each second", 60)
    one.wait_logs("ap-southeast-2 healthy")
    check = [x.replace("8444", str(port + 1)) for x in demo["healthcheck"]["test"][1:]]
    assert one.execute(*check) == (0, "healthy")
    said = run(["curl", "--silent", "--insecure", "--http2", "--max-time", "10", f"https://localhost:{port}/hello"])
    assert said
    assert one.stop(10)[0] == 0
