"Fixtures shared by the tests: small exports cut out of the demo, and real speech where a developer has it"
import os
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "voicenb" / "assets" / "demo_export.zip"
DEMO_TEXTS = ROOT / "voicenb" / "assets" / "demo_transcripts.csv"
REAL = Path(os.environ.get("VOICENB_REAL_SPEECH", ROOT.parent / "shared" / "data" / "whatsapp_lj"))


def small_export(path: Path, mine: int = 10, others: int = 3, me: str = "Sam") -> Path:
    "The demo export with the first notes of each sender only"
    from voicenb.data import ingest
    table = ingest.whatsapp(DEMO)
    table = table[table.kept]
    take = [f for s, g in table.groupby("sender") for f in g.file.head(mine if s == me else others)]
    with zipfile.ZipFile(DEMO) as source, zipfile.ZipFile(path, "w") as z:
        for n in source.namelist():
            if n.endswith(".txt") or n in take: z.writestr(zipfile.ZipInfo(n), source.read(n))
    return path


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    return small_export(tmp_path_factory.mktemp("export") / "chat.zip")


@pytest.fixture(scope="session")
def real():
    if not REAL.is_dir(): pytest.skip(f"no real speech at {REAL.name}: set VOICENB_REAL_SPEECH to a folder with export.zip, transcripts.csv and anchor.flac")
    return REAL


@pytest.fixture(scope="module")
def one_thread():
    "One thread of PyTorch: sums come out the same on every machine, and tests beside each other do not wait"
    import torch
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
