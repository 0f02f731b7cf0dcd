"""Fixtures of the integration tests.

The binary is named by ISO_BINARY, the load tool by H2RATE (CTest sets both). Every test gets a lab of its own: a
directory, certificates shared by the session, and processes that are ended, by pid, when the test is over. A proxy
started through `start` is ended by SIGTERM and must exit with 0 and without a sanitizer's report.
"""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import h2client  # noqa: E402
import h1client  # noqa: E402
import lab as labs  # noqa: E402
import load as loads  # noqa: E402
import origin as origins  # noqa: E402
import product  # noqa: E402
import wan  # noqa: E402

NAMES = (labs.NAME, "other.example.test", "*.wild.example.test", "127.0.0.1")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes a minute and thousands of connections; the release binary alone")


def pytest_addoption(parser):
    parser.addoption("--release", action="store_true", help="time bars as promised, whatever ISO_SLOW says")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--release") and not os.access(os.environ.get("ISO_BINARY", ""), os.X_OK):
        for item in items:
            item.add_marker(pytest.mark.skip(reason="there is no release build: cmake --build --preset release"))


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return labs.Certs(tmp_path_factory.mktemp("certs"), NAMES)


@pytest.fixture
def lab(tmp_path, certs):
    """Processes that a test starts itself are ended here; their exit codes are theirs to check."""
    with labs.Lab(tmp_path) as made:
        made._certs = certs
        yield made


@pytest.fixture
def slow(request):
    """What time bars are multiplied by."""
    return 1 if request.config.getoption("--release") else product.SLOW


@pytest.fixture
def start(lab):
    """start(regions, **options): a running proxy, see product.Isochrone.over; ended and judged after the test."""
    running = []

    def begin(regions, **options):
        made = product.Isochrone.over(lab, regions, **options)
        running.append(made)
        return made

    yield begin
    for made in running:
        if made.process in lab.processes:
            made.stop()


@pytest.fixture
def emulator(lab):
    """emulator(name, delay_ms, …): a running emulated region."""
    def begin(name="us-east-1", delay_ms=0, **more):
        return product.Emulator(lab, name, delay_ms, **more)
    return begin


@pytest.fixture
def load(lab):
    """load(proxy, rate, seconds): an open-loop load beside the test, see load.Load; killed if it still runs at its end."""
    running = []

    def begin(*args, **more):
        running.append(loads.Load(lab, *args, **more))
        return running[-1]
    yield begin
    for one in running:
        one.kill()


@pytest.fixture
def world(lab):
    """world({region: round trip in ms}, losses, …): see wan.World. From then on the test is where the proxy is."""
    made = []

    def begin(*args, **more):
        made.append(wan.World(lab, *args, **more))
        made[-1].home.__enter__()
        return made[-1]
    yield begin
    for one in made[::-1]:
        one.home.__exit__()
        one.close()


@pytest.fixture
def origin(lab):
    """origin(kind, script, …): a scripted region; a fault of its script fails the test."""
    made = []

    def begin(kind, script, **more):
        made.append(kind(lab, script, **more))
        return made[-1]

    yield begin
    for one in made:
        one.close()
        assert not one.errors, one.errors


@pytest.fixture
def h2(certs):
    """h2(proxy, …): an HTTP/2 client over TLS, or in cleartext with ca=None."""
    made = []

    def connect(proxy, **more):
        made.append(h2client.H2Client(getattr(proxy, "port", proxy), **{"ca": certs.ca, **more}))
        return made[-1]

    yield connect
    for one in made:
        one.close()


@pytest.fixture
def h1(certs):
    """h1(proxy, tls=True): a raw HTTP/1.1 client."""
    made = []

    def connect(proxy, tls=True, sni=labs.NAME):
        context = h1client.client_tls(certs.ca, ["http/1.1"]) if tls else None
        made.append(h1client.H1Client(getattr(proxy, "port", proxy), context, sni if tls else None))
        return made[-1]

    yield connect
    for one in made:
        one.sock.close()


H2Origin, H1Origin = origins.H2Origin, origins.H1Origin
