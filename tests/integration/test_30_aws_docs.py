"""docs/aws.md and conf/aws: every snippet is what the program, the function or CloudFormation takes."""
import copy
import json
import os
import pathlib
import re
import subprocess

import jsonschema
import pytest
import yaml

import gateway
import test_29_aws_health as functions
from gateway import rest_event
from lab import find_binary

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "aws.md"
TEMPLATE = ROOT / "conf" / "aws" / "health.yaml"
SCHEMA = json.loads((ROOT / "conf" / "isochrone.schema.json").read_text())
# What the page tells to set in the proxy's environment.
ENVIRONMENT = {**os.environ, "API_KEY_US": "one", "API_KEY_EU": "two", "HEALTH_TOKEN": "open sesame",
               "GATEWAY_SECRET": "f3dd1cba-gw"}

function = functions.function  # a fixture of that file


def snippets(kind, page=PAGE):
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.M | re.S)


def kind_of(value):
    """What a JSON snippet of the page is."""
    if isinstance(value, list):
        return "parameters"
    if "Statement" in value:
        return "policy"
    if "status" in value and "checks" in value:
        return "answer"
    return "config" if set(value) <= set(SCHEMA["properties"]) else "checks"


JSONS = [json.loads(text) for text in snippets("json")]
OF = {kind: [j for j in JSONS if kind_of(j) == kind] for kind in ("parameters", "policy", "answer", "config", "checks")}


def merged(base, over):
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{k: merged(base[k], v) if k in base else v for k, v in over.items()}}
    return over


def test_each_kind_is_there():
    assert {k: len(v) for k, v in OF.items()} == {"parameters": 1, "policy": 1, "answer": 1, "config": 6, "checks": 1}
    assert len([c for c in OF["config"] if "listeners" in c]) == 1


@pytest.mark.parametrize("number", range(len(OF["config"])))
def test_configurations(lab, certs, number):
    """The whole one as it is, a fragment laid over it; names of certificates are those that the test has."""
    whole = next(c for c in OF["config"] if "listeners" in c)
    config = copy.deepcopy(merged(whole, OF["config"][number]))
    config["listeners"][0]["tls"]["certificates"] = [{"cert": str(certs.cert()), "key": str(certs.key())}]
    jsonschema.Draft202012Validator(SCHEMA).validate(config)
    done = subprocess.run([find_binary(), "check", "-c", lab.write("isochrone.json", json.dumps(config))],
                          capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stdout + done.stderr


@pytest.mark.parametrize("language", gateway.FILES)
def test_checks_of_the_page(function, language):
    """They are configured well; what they name does not exist here."""
    parameters = dict(text.split("=", 1) for text in OF["parameters"][0])
    for checks in (*OF["checks"], json.loads(parameters["Checks"])):
        answer = functions.checks_of(function(language, checks, HEALTH_TOTAL_MS=300).invoke(rest_event()))
        assert set(answer) == set(checks)


def test_the_answer_of_the_page():
    jsonschema.Draft202012Validator(functions.DRAFT).validate(OF["answer"][0])


def test_the_policy_of_the_page():
    policy = OF["policy"][0]
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        assert set(statement) == {"Effect", "Action", "Resource"} and "*" not in json.dumps(statement)


def test_the_costs_of_the_page():
    """The table is its formula: 730 hours, an interval of 10 s, a third of it with live traffic."""
    rows = re.findall(r"^\| (\d) \| (\d) \| ([\d,]+) \| ([\d,]+) \|$", PAGE.read_text(), re.M)
    assert len(rows) == 3
    for nodes, regions, all_of, live in rows:
        number = int(nodes) * int(regions) * 730 * 3600 // 10
        assert (f"{number:,}", f"{number // 3:,}") == (all_of, live)


def test_links():
    """Files and headings that the two pages name are there."""
    for page in (PAGE, ROOT / "conf" / "aws" / "README.md"):
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            name, _, anchor = target.partition("#")
            path = (page.parent / name).resolve() if name else page
            assert path.exists(), target
            if anchor:
                heads = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
                assert anchor in [re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in heads], target


def test_the_readme_of_the_functions():
    """It names each variable, key and word of both functions, and no others."""
    text = (ROOT / "conf" / "aws" / "README.md").read_text()
    told = re.search(r"## Words\n(.*)", text, re.S)[1].replace("\n", " ")
    for file in gateway.FILES.values():
        source = (gateway.HEALTH / file).read_text()
        assert set(re.findall(r"\bHEALTH_[A-Z_]+\b", text)) == set(re.findall(r"\bHEALTH_[A-Z_]+\b", source))
        keys = re.search(r"KEYS = [\[(](.*?)[\])]", source, re.S)[1]
        for key in re.findall(r'"(\w+)"', keys):
            assert f"`{key}`" in text, key
        words = re.findall(r'return "((?:its|the|there|it) [^"]+)"|(?:Unwell|outcome)\("((?:its|the|it) [^"]+)"', source)
        assert len(words) >= 9
        for one in words:
            assert (one[0] or one[1]) in told, one


# ---- CloudFormation ----

class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, kept as {"!Ref": …}."""


def _tag(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return {"!" + suffix: loader.construct_scalar(node)}
    make = loader.construct_sequence if isinstance(node, yaml.SequenceNode) else loader.construct_mapping
    return {"!" + suffix: make(node, deep=True)}


Loader.add_multi_constructor("!", _tag)


def walk(value):
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def template():
    return yaml.load(TEMPLATE.read_text(), Loader)


def test_yaml_of_the_page():
    first, second = (yaml.load(text, Loader) for text in snippets("yaml"))
    assert first["ThrottledResponse"]["Properties"]["ResponseType"] == "THROTTLED"
    types = second["x-amazon-apigateway-gateway-responses"]
    for name, response in types.items():
        value = response["responseParameters"]["gatewayresponse.header.x-gw-type"]
        assert value == f"'{ENVIRONMENT['GATEWAY_SECRET']}:{name}'"


def test_the_template_names_what_is_there():
    tree = template()
    names = set(tree["Parameters"]) | set(tree["Resources"])
    used = set()
    for node in walk(tree):
        if not isinstance(node, dict) or len(node) != 1:
            continue
        (tag, value), = node.items()
        if tag == "!Ref":
            used.add(value)
        elif tag == "!GetAtt":
            used.add(value.partition(".")[0])
        elif tag == "!Sub":
            used |= {name.partition(".")[0] for name in re.findall(r"\$\{([^}]+)\}", value)}
        elif tag == "!If":
            assert value[0] in tree["Conditions"]
    assert {u for u in used if not u.startswith("AWS::")} <= names
    assert set(tree["Parameters"]) <= used, "each parameter is used"
    for name, resource in tree["Resources"].items():
        assert re.fullmatch(r"AWS(::\w+){2}", resource["Type"]) and resource.get("Properties") or name == "Logs"
        assert resource.get("Condition") in (None, *tree["Conditions"])


def test_the_template_runs_the_functions():
    tree = template()
    function = tree["Resources"]["Function"]["Properties"]
    stem, entry = function["Handler"].split(".")
    for file in gateway.FILES.values():
        assert file.partition(".")[0] == stem and entry in (gateway.HEALTH / file).read_text()
    assert (TEMPLATE.parent / function["CodeUri"]).samefile(gateway.HEALTH)
    sources = [(gateway.HEALTH / file).read_text() for file in gateway.FILES.values()]
    for name, value in function["Environment"]["Variables"].items():
        assert all(name in source for source in sources), name
        parameter = tree["Parameters"].get(value.get("!Ref"), {})
        if parameter.get("Type") == "Number":
            assert parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"]
    assert function["Timeout"] * 1000 > tree["Parameters"]["TotalMs"]["MaxValue"] + 100
    for text in OF["parameters"][0]:
        assert text.partition("=")[0] in tree["Parameters"]


@pytest.mark.parametrize("language", gateway.FILES)
def test_the_defaults_of_the_template(function, language):
    parameters = template()["Parameters"]
    made = function(language, parameters["Checks"]["Default"], **{
        f"HEALTH_{name}": parameters[key]["Default"] for name, key in
        (("TIMEOUT_MS", "TimeoutMs"), ("TOTAL_MS", "TotalMs"), ("CACHE_MS", "CacheMs"), ("TOKEN", "Token"))})
    assert functions.valid(made.invoke(rest_event()))["status"] == "pass"


def test_both_flavours_have_a_route():
    """REST: a proxy integration, any method, no signature. HTTP: payload format 2.0."""
    resources = template()["Resources"]
    method = resources["RestMethod"]["Properties"]
    assert (method["HttpMethod"], method["AuthorizationType"]) == ("ANY", "NONE")
    assert (method["Integration"]["Type"], method["Integration"]["IntegrationHttpMethod"]) == ("AWS_PROXY", "POST")
    assert resources["HttpIntegration"]["Properties"]["PayloadFormatVersion"] == "2.0"
    assert resources["HttpRoute"]["Properties"]["RouteKey"] == {"!Sub": "ANY /${PathPart}"}
    for name in ("RestPermission", "HttpPermission"):
        assert resources[name]["Properties"]["SourceArn"]["!Sub"].endswith(":${ApiId}/*/*/${PathPart}")
