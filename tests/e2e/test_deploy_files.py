"""What is shipped for systemd, Kubernetes and compose: it parses, its parts fit each other, and the proxy accepts it."""
import json
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from h1client import H1Client
from lab import HOST, NAME, find_binary, free_port, run
from product import environment

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
UNITS = CONF / "systemd"


def check(text, certs, folder):
    """The text as the proxy sees it, its certificates in place of those that it names."""
    text = re.sub(r'"cert": "[^"]*"', f'"cert": "{certs.cert(NAME)}"', text)
    text = re.sub(r'"key": "[^"]*"', f'"key": "{certs.key(NAME)}"', text)
    path = folder / "isochrone.json"
    path.write_text(text)
    done = subprocess.run([find_binary(), "check", "-c", path], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)?", str(text)).groups()
    return int(number) * {"ms": 0.001, None: 1, "s": 1, "m": 60, "h": 3600}[unit]


def default_drain():
    keys = re.search(r"\| `limits.drain_timeout` \|[^|]*\| `\"(\w+)\"`", (ROOT / "docs" / "configuration.md").read_text())
    return seconds(keys[1])


# ---- Kubernetes ----

@pytest.fixture(scope="module")
def objects():
    found = {}
    for path in sorted((CONF / "kubernetes").glob("*.yaml")):
        for one in yaml.safe_load_all(path.read_text()):
            assert one["kind"] not in found and {"apiVersion", "kind", "metadata"} <= set(one), path
            found[one["kind"]] = one
    return found


@pytest.fixture
def pod(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture
def container(pod):
    assert len(pod["containers"]) == 1
    return pod["containers"][0]


@pytest.fixture
def config(objects):
    return json.loads(objects["ConfigMap"]["data"]["isochrone.json"])


def test_the_kinds_and_their_versions(objects):
    assert {kind: one["apiVersion"] for kind, one in objects.items()} == {
        "ConfigMap": "v1", "Deployment": "apps/v1", "Service": "v1", "PodDisruptionBudget": "policy/v1"}
    assert {one["metadata"]["name"] for one in objects.values()} == {"isochrone"}


def test_selectors_match_the_pods(objects):
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    spread = objects["Deployment"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    selectors = [objects["Service"]["spec"]["selector"],
                 *[objects[kind]["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget")],
                 *[one["labelSelector"]["matchLabels"] for one in spread]]
    assert len(selectors) == 4 and all(s and s.items() <= labels for s in selectors)


def test_the_config_passes_the_check(objects, certs, tmp_path):
    code, said = check(objects["ConfigMap"]["data"]["isochrone.json"], certs, tmp_path)
    assert code == 0 and said.count("\n") == 1, said


def test_ports_that_are_named_exist(objects, container, config):
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    listened = {int(x["address"].rsplit(":", 1)[1]) for x in config["listeners"]}
    assert set(ports.values()) == listened and min(listened) >= 1024, "without capabilities"
    for port in objects["Service"]["spec"]["ports"]:
        assert port["targetPort"] in ports


def test_mounts_are_where_the_config_and_the_image_look(objects, pod, container, config):
    volumes = {v["name"]: v for v in pod["volumes"]}
    mounts = {m["name"]: m for m in container["volumeMounts"]}
    assert set(volumes) == set(mounts) and all(m["readOnly"] for m in mounts.values())
    path = re.search(r"ISOCHRONE_CONFIG=(\S+)/isochrone.json", (ROOT / "Dockerfile").read_text())[1]
    assert mounts["config"]["mountPath"] == path
    assert volumes["config"]["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"]
    for pair in config["listeners"][0]["tls"]["certificates"]:
        assert pair == {"cert": f"{mounts['tls']['mountPath']}/tls.crt", "key": f"{mounts['tls']['mountPath']}/tls.key"}


def test_probes_ask_the_binary(container):
    entry = json.loads(re.search(r"^ENTRYPOINT (.*)$", (ROOT / "Dockerfile").read_text(), re.M)[1])
    for probe, more in (("startupProbe", ["--alive"]), ("livenessProbe", ["--alive"]), ("readinessProbe", [])):
        assert container[probe]["exec"]["command"] == [*entry, "healthcheck", *more]
        assert container[probe]["timeoutSeconds"] > 3, "the command's own timeout comes first, and says why"


def test_the_pod_may_do_nothing_more_than_it_needs(pod, container):
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == tuple(map(int, user.groups()))
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}
    assert pod["automountServiceAccountToken"] is False


def test_a_pod_has_the_time_to_drain(pod, container, config):
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= pause + seconds(config["limits"]["drain_timeout"]) + 5


def test_one_stays_while_another_goes(objects):
    spec = objects["Deployment"]["spec"]
    assert spec["replicas"] > objects["PodDisruptionBudget"]["spec"]["minAvailable"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_bodies_fit_into_the_memory(container, config):
    mib = int(re.fullmatch(r"(\d+)Mi", container["resources"]["limits"]["memory"])[1])
    each = int(re.fullmatch(r"(\d+)MiB", config["limits"]["body_memory"])[1])
    assert each * int(container["resources"]["limits"]["cpu"]) <= mib / 2, "the other half is connections"


# ---- compose ----

@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((CONF / "compose.yaml").read_text())["services"]


def test_compose_builds_and_confines(services):
    arguments = set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.M))
    assert set(services) == {"demo", "proxy"}
    for one in services.values():
        assert (CONF / one["build"]["context"]).resolve() == ROOT and set(one["build"].get("args", {})) <= arguments
        assert one["read_only"] and one["cap_drop"] == ["ALL"] and one["security_opt"] == ["no-new-privileges:true"]
    assert seconds(services["proxy"]["stop_grace_period"]) > default_drain()


def test_compose_asks_where_the_demo_answers(services):
    command = services["demo"]["command"]
    port = command[command.index("--port") + 1]
    assert services["demo"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert services["demo"]["healthcheck"]["test"][-1] == f"127.0.0.1:{int(port) + 1}"


def test_the_demo_runs_as_compose_starts_it(services):
    command, port = list(services["demo"]["command"]), free_port()
    command[command.index("--port") + 1] = str(port)
    done = subprocess.run([find_binary(), *command, "--seconds", "2"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0 and f"https://0.0.0.0:{port}" in done.stdout, done.stdout + done.stderr
    assert "ap-southeast-2" in done.stdout.splitlines()[-1]


# ---- systemd ----

@pytest.fixture
def units(tmp_path):
    """The units with a binary that is there."""
    for path in UNITS.iterdir():
        shutil.copy(path, tmp_path)
    unit = tmp_path / "isochrone.service"
    unit.write_text(unit.read_text().replace("/usr/bin/isochrone", find_binary()))
    return tmp_path


def test_units_verify(units):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", units / "isochrone.service", units / "isochrone.socket"],
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_verify_would_find_a_mistake(units):
    unit = units / "isochrone.service"
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHomes="))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    assert "ProtectHomes" in done.stdout + done.stderr


def test_exposure(units):
    said = run(["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager",
                str(units / "isochrone.service")])
    assert float(re.search(r"exposure level for isochrone.service: ([\d.]+)", said)[1]) <= 2.0


def test_the_unit_gives_time_to_drain():
    unit = (UNITS / "isochrone.service").read_text()
    assert seconds(re.search(r"^TimeoutStopSec=(.*)$", unit, re.M)[1]) > default_drain()
    assert re.search(r"^Type=notify$", unit, re.M) and re.search(r"^NotifyAccess=all$", unit, re.M)


def test_the_socket_is_that_of_the_samples():
    listened = re.findall(r"^ListenStream=(.*)$", (UNITS / "isochrone.socket").read_text(), re.M)
    config = json.loads((CONF / "two-regions.json").read_text())
    assert listened == [x["address"] for x in config["listeners"]]


def test_started_by_a_socket(lab, emulator):
    """A service manager's own tool holds the socket: who comes before the proxy has started is served, too."""
    region, port = emulator("one", tls=False), free_port()
    config = lab.write("isochrone.json", json.dumps({
        "listeners": [{"address": f"{HOST}:{port}"}], "services": {"orders": {"regions": {"one": {"url": region.url}}}}}))
    process = lab.start("activated", ["systemd-socket-activate", "--listen", f"{HOST}:{port}", find_binary(), "-c", config],
                        env=environment())
    process.wait_output("Listening on ", 15)
    with H1Client(port) as client:
        assert client.request("GET", "/", host=NAME).status == 200
    assert f"ready {HOST}:{port}" in process.output()
    assert process.stop() == 0


def test_the_user_of_the_unit_is_made():
    name = re.search(r"^User=(.*)$", (UNITS / "isochrone.service").read_text(), re.M)[1]
    assert re.search(rf"^u {name} ", (UNITS / "isochrone.sysusers").read_text(), re.M)


def test_the_default_configuration_is_good(certs, tmp_path):
    code, said = check((CONF / "default.json").read_text(), certs, tmp_path)
    assert code == 0 and "warn" not in said
