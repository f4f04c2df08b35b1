# SPDX-License-Identifier: Apache-2.0
import gc
import shutil
import subprocess
import sys

import pytest
from support import ROOT, Link, end_all


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A folder of keys and certificates: see scripts/test-authority."""
    folder = tmp_path_factory.mktemp("authority")
    subprocess.run([ROOT / "scripts" / "test-authority", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def broker():
    """A mosquitto of this session's own, on a free port."""
    pytest.importorskip("paho.mqtt.client", reason="needs Debian's python3-paho-mqtt")
    if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin") is None:
        pytest.skip("needs Debian's mosquitto")
    sys.path.append(str(ROOT / "tests" / "interop"))
    from broker import Broker
    broker = Broker()
    yield broker
    broker.close()


@pytest.fixture(autouse=True)
def programs_end():
    """Those of a test end with it."""
    yield
    end_all()


@pytest.fixture
def tcp():
    """A Link over TCP, for what does not depend on the transport."""
    link = Link("tcp")
    yield link
    link.close()


@pytest.fixture(params=["tcp", "tls", "grpc", "mqtt"])
def link(request):
    """A Link over each transport."""
    kind = request.param
    link = Link(kind, request.getfixturevalue("authority") if kind == "tls" else None,
                request.getfixturevalue("broker") if kind == "mqtt" else None)
    yield link
    link.close()


@pytest.fixture
def collected():
    """Calls it: nothing is kept by reference cycles of ours or of earlier tests."""
    gc.collect()
    return gc.collect
