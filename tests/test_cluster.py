"Two Ray nodes on this machine: the same bytes as without them, and a node that dies in mid-stage loses nothing"
import importlib.util
import os
import subprocess
import sys

import pytest

from conftest import ROOT

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="ray is not installed: pip install 'voicenb[ray]'")
sys.path.insert(0, str(ROOT / "tests" / "bench"))
import cluster as cl  # noqa: E402


@pytest.fixture(scope="module")
def nodes():
    with cl.cluster() as c: yield c


@pytest.fixture(scope="module")
def local(tmp_path_factory, export):
    home = tmp_path_factory.mktemp("local") / "run"
    said = cl.go(home, export, "Sam", "local")
    return cl.prints(home), said


@pytest.mark.slow
def test_the_same_bytes_and_nothing_lost_when_a_node_dies(tmp_path, export, local, nodes):
    want, said = local
    address, (head, second) = nodes
    assert len(want) > 10
    quiet = cl.go(tmp_path / "quiet", export, "Sam", "ray", address)
    assert cl.prints(tmp_path / "quiet") == want and quiet["computed"] == said["computed"]
    killed = []
    cl.go(tmp_path / "killed", export, "Sam", "ray", address, lambda: cl.kill_one(second, killed))
    assert killed and not cl.family(second) and cl.family(head), "the second node was to die while it computed, and it alone"
    assert cl.prints(tmp_path / "killed") == want


def test_a_cluster_that_does_not_answer_is_one_line(tmp_path):
    code = "from voicenb.core.run import Run; from voicenb.data import ingest\n" \
           "from voicenb.core.packages import ModelError\n" \
           f"try: Run({str(tmp_path / 'run')!r}, executor='ray', progress=False)(ingest.whatsapp, {str(ROOT / 'voicenb/assets/demo_export.zip')!r})\n" \
           "except ModelError as e: print(e)"
    env = os.environ | dict(RAY_ADDRESS=f"127.0.0.1:{cl._port()}")
    r = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env)
    assert r.stdout.count("\n") == 1 and "no Ray cluster answers" in r.stdout and "ray start" in r.stdout, r.stdout + r.stderr[-500:]
