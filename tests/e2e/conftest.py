"""The end-to-end tests share the lab, the product and the clients of the integration tests."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))

import lab as labs  # noqa: E402
import product  # noqa: E402

CONF = labs.ROOT / "conf"


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return labs.Certs(tmp_path_factory.mktemp("certs"), (labs.NAME, "127.0.0.1"))


@pytest.fixture
def lab(tmp_path, certs):
    with labs.Lab(tmp_path) as made:
        made._certs = certs
        yield made


@pytest.fixture
def emulator(lab):
    """emulator(name, delay_ms, …): a running emulated region."""
    def begin(name="us-east-1", delay_ms=0, **more):
        return product.Emulator(lab, name, delay_ms, **more)
    return begin
