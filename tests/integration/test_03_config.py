"""Configuration: every mistake is reported at once with its place; a reload is all or nothing and forgets nothing."""
import json
import re
import signal
import subprocess

import pytest

from lab import HOST, NAME, accepts, find_binary, free_port, http_json, isochrone_config, wait_until
from product import environment


def check(path, env=None):
    return subprocess.run([find_binary(), "check", "-c", str(path)], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, env=environment(env))


def text_of(lab, change=None):
    """A good configuration as text, one key a line; `change` edits the object first."""
    config, _ = isochrone_config(lab, {"a": "https://a.example.test", "b": "https://b.example.test/prod"})
    if change:
        change(config)
    return json.dumps(config, indent=1)


def places(done):
    """(line, column) of each reported error."""
    found = re.finditer(r"isochrone[^\s:]*\.json:(\d+):(\d+)", done.stdout + done.stderr)
    return [(int(m[1]), int(m[2])) for m in found]


def line_of(text, needle):
    return next(i for i, line in enumerate(text.splitlines(), 1) if needle in line)


def test_good_file(lab):
    path = lab.write("isochrone.json", text_of(lab))
    done = check(path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not places(done)


def test_ten_mistakes_are_ten_places(lab):
    def spoil(config):
        config["wrokers"] = 2
        config["workers"] = "four"
        config["listeners"][0]["protocols"] = ["h3"]
        config["listeners"][0]["tls"]["certificates"][0]["cert"] = "/nonexistent/cert.pem"
        service = config["services"]["orders"]
        service["regions"]["a"]["url"] = "ftp://a.example.test"
        service["regions"]["b"]["protocol"] = "spdy"
        service["health"] = {"interval": "10 parsecs"}
        service["retry"] = {"attempts": 99}
        service["balance"] = {"policy": "lattency"}
        config["routes"] = [{"match": {"path": "/x/*"}, "service": "ordres"}]

    text = text_of(lab, spoil)
    path = lab.write("isochrone.json", text)
    done = check(path)
    assert done.returncode == 1
    found = places(done)
    lines = sorted({line for line, _ in found})
    expected = sorted(line_of(text, needle) for needle in (
        '"wrokers"', '"four"', '"h3"', "/nonexistent/cert.pem", "ftp://", '"spdy"', "parsecs", '"attempts": 99', "lattency",
        "ordres"))
    # A mistake may be reported at its key's line or its value's; in this layout they are one line for scalars.
    assert lines == expected, f"{done.stdout}{done.stderr}"
    assert all(column >= 1 for _, column in found)
    said = done.stdout + done.stderr
    assert "workers" in said and "latency" in said, "it says how to mend a misspelling"


def test_mended_file_passes(lab):
    path = lab.write("isochrone.json", text_of(lab, lambda c: c.update(wrokers=1)))
    assert check(path).returncode == 1
    path.write_text(text_of(lab))
    assert check(path).returncode == 0


def test_unset_variable_is_an_error(lab):
    text = text_of(lab, lambda c: c["services"]["orders"]["regions"]["a"].update(host="${ISO_TEST_HOST}"))
    path = lab.write("isochrone.json", text)
    done = check(path)
    assert done.returncode == 1 and "ISO_TEST_HOST" in done.stdout + done.stderr
    assert [line for line, _ in places(done)] == [line_of(text, "ISO_TEST_HOST")]
    assert check(path, {"ISO_TEST_HOST": "api.example.test"}).returncode == 0


@pytest.mark.parametrize("spoil", [
    lambda t: t.replace('"services"', '"services', 1),
    lambda t: t[:-2],
    lambda t: t.replace("{", "{,", 1),
    lambda t: t + "x",
])
def test_syntax_error_is_reported_alone(lab, spoil):
    text = spoil(text_of(lab, lambda c: c.update(wrokers=1)))
    done = check(lab.write("isochrone.json", text))
    assert done.returncode == 1
    assert len(places(done)) == 1, done.stdout + done.stderr
    assert "wrokers" not in (done.stdout + done.stderr).replace(text, "")


def test_duplicate_key_is_an_error(lab):
    text = text_of(lab).replace('"services"', '"workers": 1,\n "workers": 2,\n "services"', 1)
    done = check(lab.write("isochrone.json", text))
    assert done.returncode == 1 and "workers" in done.stdout + done.stderr


@pytest.mark.parametrize("args", [["check", "-c"], ["no-such-command"], ["--no-such-option"]])
def test_usage_errors_exit_2(args):
    done = subprocess.run([find_binary(), *args], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env=environment())
    assert done.returncode == 2 and done.stderr


def test_run_with_a_bad_file_does_not_start(lab):
    path = lab.write("isochrone.json", text_of(lab, lambda c: c.update(wrokers=1)))
    done = subprocess.run([find_binary(), "-c", str(path)], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, env=environment())
    assert done.returncode != 0 and places(done) and "\nready " not in "\n" + done.stderr


# ---- Reload ----

def reloads(proxy, result):
    return proxy.metric("isochrone_reloads_total", result=result)


def reload(proxy, result, **rewrite):
    before = reloads(proxy, result)
    proxy.rewrite(**rewrite)
    proxy.send(signal.SIGHUP)
    wait_until(lambda: reloads(proxy, result) == before + 1, 20, f"a reload that is {result}\n{proxy.stderr}")


def test_bad_reload_changes_nothing(start, emulator, h2):
    one = emulator("one")
    proxy = start({"one": one.url})
    client = h2(proxy)
    assert client.get("/").status == 200
    before = proxy.status()["services"]["orders"]["regions"].keys()
    for text in ("{", json.dumps({**proxy.config, "wrokers": 1}), ""):
        reload(proxy, "rejected", text=text)
        assert client.get("/").status == 200
        assert h2(proxy).get("/").status == 200
    assert proxy.status()["services"]["orders"]["regions"].keys() == before


def test_good_reload_takes_effect_and_cuts_nothing(start, emulator, h2):
    one, two = emulator("one", 300), emulator("two")
    proxy = start({"one": one.url})
    old = h2(proxy)
    assert old.get("/").get("x-emulated-region") == "one"
    in_flight = old.start("GET", "/slow")
    proxy.config["services"]["orders"]["regions"] = {"two": {"url": two.url, "host": NAME}}
    reload(proxy, "ok")
    assert old.wait(in_flight).get("x-emulated-region") == "one", "an exchange ends where it began"
    assert old.get("/").get("x-emulated-region") == "two", "the next on the same connection goes by the new file"
    assert h2(proxy).get("/").get("x-emulated-region") == "two"


def test_reload_keeps_what_was_learnt(start, emulator, h2):
    one, two = emulator("one"), emulator("two", 60)
    health = {"interval": "200ms", "timeout": "200ms"}
    proxy = start({"one": one.url, "two": two.url}, service={"health": health})
    proxy.wait_states({"one": "healthy", "two": "healthy"})
    client = h2(proxy)
    for _ in range(100):
        client.get("/")
    wait_until(lambda: proxy.shares()["one"] > 0.9, 10, "the fast region's share")
    before = proxy.status()["services"]["orders"]["regions"]
    attempts = proxy.metric("isochrone_attempts_total", region="one")
    connections = proxy.metric("isochrone_upstream_connections", region="one")
    proxy.config["services"]["orders"]["regions"]["three"] = {"url": two.url, "host": NAME}
    reload(proxy, "ok")
    after = proxy.status()["services"]["orders"]["regions"]
    assert set(after) == {"one", "two", "three"}
    for name in ("one", "two"):
        assert after[name]["state"] == before[name]["state"] == "healthy"
        assert after[name]["latency_ms"]["estimate"] == pytest.approx(before[name]["latency_ms"]["estimate"], rel=0.5, abs=5)
    assert after["one"]["share"] > 10 * after["two"]["share"], "how they compare was not forgotten"
    assert proxy.metric("isochrone_attempts_total", region="one") >= attempts
    assert proxy.metric("isochrone_upstream_connections", region="one") >= min(connections, 1)


def test_reload_with_another_listener_serves_it_or_says_why_not(start, emulator, h2):
    proxy = start({"one": emulator("one").url})
    port = free_port()
    proxy.config["listeners"].append({**proxy.config["listeners"][0], "address": f"{HOST}:{port}"})
    reload(proxy, "ok")
    assert h2(proxy).get("/").status == 200
    assert accepts(port) or f"{port} takes effect after a restart" in proxy.stderr


def test_new_certificate_by_reload(start, emulator, h2, certs):
    proxy = start({"one": emulator("one").url})
    name = "other.example.test"
    proxy.config["listeners"][0]["tls"]["certificates"] = [{"cert": str(certs.cert(name)), "key": str(certs.key(name))}]
    reload(proxy, "ok")
    assert h2(proxy, sni=name).get("/").status == 200


def test_admin_stays_after_a_reload(start, emulator):
    proxy = start({"one": emulator("one").url})
    reload(proxy, "ok")
    assert http_json("GET", proxy.admin, "/healthz")[0] == 200
