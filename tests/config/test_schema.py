"""The shipped schema, manual and samples: they equal what the schema table generates, and agree with the loader."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
PRINT = os.environ.get("ISO_SCHEMA_PRINT", "iso-schema-print")
SAMPLES = sorted(p for p in CONF.glob("*.json") if not p.name.endswith(".schema.json"))
ENVIRONMENT = {**os.environ, "API_KEY_US": "one", "API_KEY_EU": "two"}


def generated(form):
    return subprocess.run([PRINT, form], check=True, capture_output=True, text=True, timeout=30).stdout


def validator():
    schema = json.loads((CONF / "isochrone.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def load(path):
    done = subprocess.run([PRINT, "load", str(path)], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A directory with the certificates that the samples name."""
    folder = tmp_path_factory.mktemp("conf")
    for name in ("api", "images"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", f"/CN={name}.example.com", "-addext", f"subjectAltName=DNS:{name}.example.com",
                        "-days", "2", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"],
                       check=True, capture_output=True, timeout=60)
    shutil.copytree(CONF / "routes.d", folder / "routes.d")
    for region in ("us", "eu"):
        (folder / "routes.d" / f"orders-{region}.key").write_text("a-key-of-this-region\n")
    return folder


def test_shipped_schema_is_generated():
    assert (CONF / "isochrone.schema.json").read_text() == generated("json"), \
        "make it anew: iso-schema-print json > conf/isochrone.schema.json"


def test_shipped_manual_is_generated():
    assert (ROOT / "docs" / "configuration.md").read_text() == generated("markdown"), \
        "make it anew: iso-schema-print markdown > docs/configuration.md"


def test_wrong_usage():
    assert subprocess.run([PRINT, "yaml"], capture_output=True, timeout=30).returncode == 2
    assert subprocess.run([PRINT], capture_output=True, timeout=30).returncode == 2


def test_there_are_samples():
    assert {p.name for p in SAMPLES} >= {"minimal.json", "three-regions.json", "failover.json", "weighted.json",
                                         "cleartext.json", "two-regions.json", "canary.json", "dependencies.json",
                                         "behind-a-balancer.json", "websocket.json", "default.json", "many-files.json"}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda p: p.name)
def test_samples_are_valid_and_load(sample, place):
    errors = [f"{e.json_path}: {e.message}" for e in validator().iter_errors(json.loads(sample.read_text()))]
    assert not errors
    shutil.copy(sample, place / sample.name)
    good, said = load(place / sample.name)
    assert good, said
    assert said == "", "a sample has nothing to be noted"


PARTS = sorted((CONF / "routes.d").glob("*.json"))


@pytest.mark.parametrize("part", PARTS, ids=lambda p: p.name)
def test_included_samples_lack_nothing_but_the_rest(part):
    """The whole is loaded with many-files.json; by itself such a file has no listeners, and no other fault."""
    config = {**json.loads((CONF / "many-files.json").read_text()), **json.loads(part.read_text())}
    assert not list(validator().iter_errors(config))


def test_schema_helps_an_editor():
    """It has words for every key, takes `$schema`, and calls no key unknown that the table has."""
    schema = json.loads((CONF / "isochrone.schema.json").read_text())
    bare = []

    def look(node, path):
        if not node.get("description", "").endswith((".", "`.")):
            bare.append(path)
        for name, child in node.get("properties", {}).items():
            look(child, f"{path}/{name}")
        for kind in ("items", "additionalProperties"):
            if isinstance(node.get(kind), dict):
                look(node[kind], f"{path}/*")
        if node["type"] == "object":
            assert "additionalProperties" in node, f"{path}: what is misspelt there is not seen"

    look(schema, "")
    assert not bare
    assert schema["properties"]["$schema"]["type"] == "string"
    config = {**minimal(), "$schema": "../isochrone.schema.json"}
    assert not list(validator().iter_errors(config))
    assert not list(validator().iter_errors({"include": ["x.json"]})), "listeners and services may be elsewhere"


def minimal():
    return json.loads((CONF / "minimal.json").read_text())


def test_defaults_written_out_are_valid_and_load(place):
    """Every default that --print-defaults names is accepted by the schema and by the loader."""
    defaults, config = json.loads(generated("defaults")), minimal()
    service = config["services"]["orders"]
    more = defaults["services"]["*"]
    for region in service["regions"].values():
        region.update(more["regions"]["*"])
    service.update({k: v for k, v in more.items() if k != "regions"})
    config["limits"] = defaults["limits"]
    config["access_log"] = {"path": "-", **defaults["access_log"]}
    config["listeners"][0]["protocols"] = defaults["listeners"][0]["protocols"]
    answers = ("respond", "redirect")  # a route has a service or answers itself
    config["routes"] = [{"service": "orders", **{k: v for k, v in defaults["routes"][0].items() if k not in answers}}]
    config["routes"][0]["rate_limit"]["requests"] = 5  # the one key of it that has no default
    assert not list(validator().iter_errors(config))
    path = place / "defaults.json"
    path.write_text(json.dumps(config))
    assert load(path) == (True, "")


def spoil(path, value):
    def change(config):
        *parents, last = path.split("/")
        at = config
        for part in parents:
            at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
        at[last] = value
    return change


SERVICE = "services/orders"
MISTAKES = {
    "unknown key": spoil("wrokers", 1),
    "workers a string": spoil("workers", "4"),
    "workers a fraction": spoil("workers", 1.5),
    "workers 0": spoil("workers", 0),
    "workers 257": spoil("workers", 257),
    "no listeners": spoil("listeners", []),
    "listeners an object": spoil("listeners", {}),
    "address missing": lambda config: config["listeners"][0].pop("address"),
    "address empty": spoil("listeners/0/address", ""),
    "protocol": spoil("listeners/0/protocols", ["h3"]),
    "no protocol": spoil("listeners/0/protocols", []),
    "certificate without key": spoil("listeners/0/tls", {"certificates": [{"cert": "api.pem"}]}),
    "old TLS": spoil("listeners/0/tls", {"certificates": [{"cert": "api.pem", "key": "api.key"}], "min_version": "1.0"}),
    "admin a string": spoil("admin", "127.0.0.1:1"),
    "duration without unit": spoil(f"{SERVICE}/timeout", "10"),
    "duration a number": spoil(f"{SERVICE}/timeout", 10),
    "duration unit": spoil(f"{SERVICE}/health/interval", "10 parsecs"),
    "size unit": spoil(f"{SERVICE}/retry/body_limit", "64KB"),
    "attempts": spoil(f"{SERVICE}/retry/attempts", 4),
    "budget": spoil(f"{SERVICE}/retry/budget", 3),
    "status": spoil(f"{SERVICE}/health/statuses", [99]),
    "policy misspelt": spoil(f"{SERVICE}/balance/policy", "lattency"),
    "latitude": spoil(f"{SERVICE}/regions/us-east-1/location", {"latitude": 91, "longitude": 0}),
    "half a location": spoil(f"{SERVICE}/regions/us-east-1/location", {"latitude": 1}),
    "geo without a database": spoil("geo", {}),
    "sticky by": spoil(f"{SERVICE}/balance/sticky", {"by": "cookies"}),
    "sticky return": spoil(f"{SERVICE}/balance/sticky", {"return": 1}),
    "honoured": spoil(f"{SERVICE}/idempotency/honoured", True),
    "region without URL": spoil(f"{SERVICE}/regions/x", {}),
    "region URL": spoil(f"{SERVICE}/regions/x", {"url": "ftp://x"}),
    "region name": spoil(f"{SERVICE}/regions/a b", {"url": "http://x"}),
    "no regions": spoil(f"{SERVICE}/regions", {}),
    "weight": spoil(f"{SERVICE}/regions/us-east-1/weight", -1),
    "header a number": spoil(f"{SERVICE}/regions/us-east-1/headers", {"x": 1}),
    "routes empty": spoil("routes", []),
    "route without service": spoil("routes", [{"match": {}}]),
    "route match unknown": spoil("routes", [{"service": "orders", "match": {"cookie": "x"}}]),
    "method in lower case": spoil("routes", [{"service": "orders", "match": {"methods": ["get"]}}]),
    "null": spoil("workers", None),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_schema_and_loader_refuse_the_same(name, place):
    """Each by itself, in a file that is good otherwise; the loader names exactly one place."""
    config = minimal()
    MISTAKES[name](config)
    assert list(validator().iter_errors(config)), "the schema lets it pass"
    path = place / "mistake.json"
    path.write_text(json.dumps(config, indent=1))
    good, said = load(path)
    assert not good
    places = re.findall(r"mistake\.json:(\d+):(\d+): error", said)
    assert len(places) == 1, said
    assert "; " in said, "it says how to mend it"


ACCEPTED = {
    "variable in a duration": (spoil(f"{SERVICE}/timeout", "${ISO_T_TIME}"), {"ISO_T_TIME": "5s"}),
    "variable in an enum": (spoil(f"{SERVICE}/balance/policy", "${ISO_T_POLICY}"), {"ISO_T_POLICY": "failover"}),
    "fraction": (spoil(f"{SERVICE}/timeout", "1.5s"), {}),
    "size in bytes": (spoil(f"{SERVICE}/retry/body_limit", "512B"), {}),
    "no budget": (spoil(f"{SERVICE}/retry/budget", 0), {}),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_schema_and_loader_accept_the_same(name, place, monkeypatch):
    change, environment = ACCEPTED[name]
    config = minimal()
    change(config)
    assert not list(validator().iter_errors(config))
    for key, value in environment.items():
        monkeypatch.setitem(ENVIRONMENT, key, value)
    path = place / "accepted.json"
    path.write_text(json.dumps(config))
    assert load(path) == (True, "")


def test_manual_names_every_key_of_the_schema():
    manual = (ROOT / "docs" / "configuration.md").read_text()

    def keys(schema, path):
        yield path
        for name, child in schema.get("properties", {}).items():
            yield from keys(child, f"{path}.{name}" if path else name)
        if isinstance(schema.get("additionalProperties"), dict):
            yield from keys(schema["additionalProperties"], f"{path}.*")
        if "items" in schema:
            yield from keys(schema["items"], f"{path}[]")

    names = [k for k in keys(json.loads((CONF / "isochrone.schema.json").read_text()), "") if k]
    assert len(names) > 80
    assert [k for k in names if f"| `{k}` |" not in manual] == []
