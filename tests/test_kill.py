"kill -9 at random moments, run again, and compare every final table byte for byte with an uninterrupted run"
import hashlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from conftest import DEMO_TEXTS

JOURNEY = """
import sys
from pathlib import Path
from voicenb.core import table as tb
from voicenb.core.run import Run
from voicenb.data import align, curate, ingest, segment, transcribe, verify
from voicenb.use import journey
home, export, texts = map(Path, sys.argv[1:4])
print("begun", flush=True)
run = Run(home, progress=False)
recordings = run(ingest.masters, run(ingest.choose, run(ingest.whatsapp, export), me="Sam"))
clips = run(verify.speaker, run(segment.speech, recordings, target=5.0), recordings=recordings)
clips = run(align.phones, run(transcribe.words, clips, transcripts=texts, language="en"), language="en")
clips = run(curate.split, run(curate.select, run(curate.measure, clips)), seed=0)
tb.save(clips, home / "clips.parquet")
run.build(journey.dataset, clips, name="dataset", recordings=recordings, title="sam", language="en")
print("done", flush=True)
"""


def go(home, export, kill_after=None):
    "Run the data journey in a process of its own; kill the whole group after some seconds of work; True where it finished"
    env = os.environ | dict(OMP_NUM_THREADS="1")
    p = subprocess.Popen([sys.executable, "-c", JOURNEY, str(home), str(export), str(DEMO_TEXTS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         start_new_session=True, env=env)
    assert p.stdout.readline() == "begun\n", p.stderr.read()
    if kill_after is not None:
        try: p.wait(kill_after)
        except subprocess.TimeoutExpired: os.killpg(p.pid, signal.SIGKILL)
    out, err = p.communicate()
    assert p.returncode in (0, -signal.SIGKILL), err
    return p.returncode == 0


def digest(home):
    "Hash of every result a user would read: the tables by stage, the dataset, the masters"
    files = [*home.glob("stages/*/table.parquet"), *home.glob("*.parquet"), *home.glob("dataset/**/*"), *home.glob("audio/*.flac")]
    return {str(f.relative_to(home)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file() and f.name != ".key"}


@pytest.mark.slow
def test_twenty_kills(tmp_path, export):
    began = time.time()
    assert go(tmp_path / "whole", export)
    whole, took = digest(tmp_path / "whole"), time.time() - began
    assert len(whole) > 20
    rng, kills, homes = random.Random(0), 0, 0
    while kills < 20:
        homes += 1
        home = tmp_path / f"killed{homes}"
        while not (done := go(home, export, rng.uniform(.05, took / 2) if kills < 20 else None)): kills += 1
        assert done and digest(home) == whole, f"home {homes} differs after {kills} kills"
        assert not list(home.glob("**/*.tmp")) or go(home, export)
    assert kills >= 20
