"""A configuration in several files, in none, and secrets in files of their own; what changes on disk is taken up."""
import json
import os
import signal
import subprocess

from h1client import H1Client
from lab import HOST, NAME, find_binary, free_port, http_json, wait_until
from product import Emulator, environment


def isochrone(*words, cwd=None):
    return subprocess.run([find_binary(), *map(str, words)], capture_output=True, text=True, timeout=60, cwd=cwd,
                          stdin=subprocess.DEVNULL, env=environment())


def replace(path, text):
    """As editors do: a new file takes the name."""
    new = path.with_name(".new")
    new.write_text(text)
    os.replace(new, path)


def ask(port, path="/"):
    with H1Client(port) as client:
        answer = client.request("GET", path, host=NAME)
    return answer.status, answer


def fixed(path, body):
    return {"match": {"path": path}, "respond": {"status": 200, "body": body}}


def test_without_a_file(lab, h2):
    regions = {name: Emulator(lab, name, tls=False) for name in ("one", "two")}
    port, admin = free_port(), free_port()
    words = [w for name, emulator in regions.items() for w in ("--region", f"{name}={emulator.url}")]
    proxy = lab.start("isochrone", [find_binary(), "--listen", f"{HOST}:{port}", "--admin", f"{HOST}:{admin}", *words],
                      env=environment())
    assert f"{HOST}:{port}" in proxy.wait_output("ready ", 60)
    assert ask(port)[0] == 200
    client = h2(port, ca=None)
    assert client.request("GET", "/").status == 200
    assert set(http_json("GET", admin, "/status")[2]["services"]["default"]["regions"]) == {"one", "two"}
    proxy.send(signal.SIGHUP)
    wait_until(lambda: "generation 2 is in use" in proxy.output(), 30, "the reload")
    assert "there is no configuration file to read anew" in proxy.output()
    assert ask(port)[0] == 200
    lab.processes.remove(proxy)
    assert proxy.stop(seconds=40) == 0


def test_without_a_file_by_other_commands():
    two = ("--region", "a=https://a.example.test/prod", "--region", "b=https://b.example.test")
    done = isochrone("check", *two)
    assert done.returncode == 0 and "1 listeners, 1 services" in done.stdout
    assert "add a second region" in isochrone("check", *two[:2]).stderr
    done = isochrone("explain", *two, "GET", "https://api.example.com/orders")
    assert done.returncode == 0 and "service default" in done.stdout
    done = isochrone("check", *two, "--region", "c=ftp://c")
    assert done.returncode == 1 and "command line:" in done.stderr and "/services/default/regions/c/url" in done.stderr
    for words in (("check", "-c", "x.json", *two), ("check", "--listen", f"{HOST}:1"), ("run", "--region", "a"),
                  ("run", "--region"), ("check", *two * 9), ("check", "--region", "a=" + "x" * 70000)):
        done = isochrone(*words)
        assert done.returncode == 2 and done.stderr.startswith("isochrone "), words


def test_defaults_are_printed():
    done = isochrone("run", "--print-defaults")
    assert done.returncode == 0 and done.stdout == isochrone("schema", "defaults").stdout
    assert json.loads(done.stdout)["services"]["*"]["retry"]["attempts"] == 3


def test_check_for_machines(lab):
    folder = lab.path("r.d")
    folder.mkdir()
    main = lab.write("main.json", f'{{ "include": ["{folder.name}/*.json"], '
                     '"listeners": [{ "address": "127.0.0.1:0" }],\n'
                     '  "services": { "s": { "regions": { "a": { "url": "http://a.test" } } } } }')
    more = folder / "more.json"
    more.write_text('{ "routes": [{ "service": "s", "match": { "path": "/a" } },\n  { "service": "\\"t\\\\\\u00e9", "nmae": "b" }] }')
    done = isochrone("check", "-c", main, "--json")
    assert done.returncode == 1 and done.stderr == ""
    said = json.loads(done.stdout)
    assert said["file"] == str(main) and said["good"] is False and said["more"] == 0
    assert [(e["file"], e["line"], e["column"], e["pointer"]) for e in said["errors"]] == [
        (str(more), 2, 16, "/routes/1/service"), (str(more), 2, 31, "/routes/1/nmae")]
    assert said["errors"][0]["message"] == 'there is no service ""t\\é"'
    assert said["errors"][1]["mend"] == 'did you mean "name"?'
    assert [n["pointer"] for n in said["notes"]] == ["/services/s/regions"]
    assert set(said["errors"][0]) == {"file", "line", "column", "pointer", "message", "mend"}
    more.write_text("{}")
    done = isochrone("check", main, "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["good"] is True and said["errors"] == []
    done = isochrone("check", "--json", lab.path("none.json"))
    said = json.loads(done.stdout)
    assert done.returncode == 1 and said["errors"][0]["line"] == 0 and "No such file" in said["errors"][0]["message"]
    assert isochrone("check", "--jsn").returncode == 2


def test_watched_files(lab, start, emulator):
    folder = lab.path("r.d")
    folder.mkdir()
    proxy = start({"one": emulator("one").url}, watch=True, include=[f"{folder.name}/*.json"],
                  routes=[{"service": "orders"}])
    port = free_port()
    replace(folder / "a.json", json.dumps({"listeners": [{"address": f"{HOST}:{port}"}], "routes": [fixed("/a", "first")]}))
    wait_until(lambda: "generation 2 is in use" in proxy.stderr, 60, "a file that has come")
    assert ask(port, "/a")[1].body == b"first"
    replace(folder / "a.json", json.dumps({"listeners": [{"address": f"{HOST}:{port}"}], "routes": [fixed("/a", "second")]}))
    wait_until(lambda: "generation 3 is in use" in proxy.stderr, 60, "a file that has changed")
    assert ask(port, "/a")[1].body == b"second"
    replace(folder / "a.json", '{ "routes": [\n  { "service": "none" }] }')
    wait_until(lambda: "nothing has changed" in proxy.stderr, 60, "a bad file")
    assert f"{folder}/a.json:2:16: error at /routes/0/service: there is no service" in proxy.stderr
    assert ask(port, "/a")[1].body == b"second"
    proxy.config["routes"][0]["name"] = "all"
    replace(folder / "a.json", json.dumps({"listeners": [{"address": f"{HOST}:{port}"}]}))
    wait_until(lambda: "generation 4 is in use" in proxy.stderr, 60, "a good one again")
    replace(proxy.file, json.dumps(proxy.config))
    wait_until(lambda: "generation 5 is in use" in proxy.stderr, 60, "the main file")
    assert '/routes/0/name: nothing -> "all"' in proxy.stderr
    assert f"{proxy.file} has changed: reload" in proxy.stderr


def test_a_secret_from_a_file(lab, start, emulator):
    secret = lab.write("secret", "hunter2-${region}\n")
    edits = {"set": {"x-key": "key ${file:%s} by ${route}" % secret.name}}
    proxy = start({"one": emulator("one").url}, routes=[{"name": "r", "service": "orders", "response_headers": edits}])
    with_tls = proxy.port
    port = free_port()
    proxy.config["listeners"].append({"address": f"{HOST}:{port}"})
    proxy.rewrite()
    proxy.send(signal.SIGHUP)
    wait_until(lambda: "generation 2 is in use" in proxy.stderr, 60, "a cleartext listener")
    assert with_tls != port and ask(port)[1].get("x-key") == "key hunter2-${region} by r", "it is taken as it is"
    replace(secret, "swordfish")
    wait_until(lambda: "generation 3 is in use" in proxy.stderr, 60, "another secret")
    assert ask(port)[1].get("x-key") == "key swordfish by r"
    shown = json.dumps(http_json("GET", proxy.admin, "/config")[2])
    for text in (shown, proxy.stderr):
        assert "hunter2" not in text and "swordfish" not in text
    os.remove(secret)
    wait_until(lambda: "nothing has changed" in proxy.stderr, 60, "the refusal")
    assert "cannot be read: No such file" in proxy.stderr and ask(port)[1].get("x-key") == "key swordfish by r"
