"Runs: keys, shards, resume, locks, full and read-only disks"
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from voicenb.core import run as rn
from voicenb.core.run import Run, RunError, stage

CALLS = []


@stage(version="1", by="recording")
def slow(table: pd.DataFrame, factor: float = 1.0) -> pd.DataFrame:
    CALLS.append(len(table))
    return table.assign(score=table.start * factor)


@stage(version="1", by="recording")
def fails_late(table: pd.DataFrame, audio=None) -> pd.DataFrame:
    CALLS.append(len(table))
    if (table.recording == "r39").any() and not (Path(audio) / "go").exists(): raise ValueError("r39 is not ready")
    return table.assign(score=0.5)


@stage(version="1")
def folder_stage(table: pd.DataFrame, out=None) -> None:
    CALLS.append(-1)
    (Path(out) / "a.txt").write_text(f"{len(table)}")


@pytest.fixture
def rows():
    CALLS.clear()
    return pd.DataFrame(dict(recording=[f"r{i:02d}" for i in range(40)], start=[float(i) for i in range(40)]))


def test_same_key_computes_nothing(tmp_path, rows):
    run = Run(tmp_path, jobs=1, progress=False)
    first, n = run(slow, rows), len(CALLS)
    assert run(slow, rows.copy()).equals(first) and len(CALLS) == n == 3
    run(slow, rows, factor=2.0)
    assert len(CALLS) == 6


def test_finished_shards_survive_a_failure(tmp_path, rows):
    run = Run(tmp_path, jobs=1, progress=False)
    with pytest.raises(ValueError, match="r39"): run(fails_late, rows)
    assert CALLS == [16, 16, 8]
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "go").touch()
    assert len(run(fails_late, rows)) == 40 and CALLS == [16, 16, 8, 8]


def test_processes_and_one_process_give_the_same_bytes(tmp_path, rows):
    for jobs in (1, 2): Run(tmp_path / str(jobs), jobs=jobs, progress=False)(slow, rows)
    a, b = (next((tmp_path / str(j) / "stages").glob("*/table.parquet")).read_bytes() for j in (1, 2))
    assert a == b


def test_a_path_counts_by_its_bytes(tmp_path):
    (tmp_path / "a").write_text("x"), (tmp_path / "b").write_text("x"), (tmp_path / "c").write_text("y")
    assert rn.value(tmp_path / "a") == rn.value(tmp_path / "b") != rn.value(tmp_path / "c")


def test_build_makes_a_folder_once(tmp_path, rows):
    run = Run(tmp_path, jobs=1, progress=False)
    for _ in range(2): assert (run.build(folder_stage, rows, name="thing") / "a.txt").read_text() == "40"
    run.build(folder_stage, rows.head(3), name="thing")
    assert (tmp_path / "thing" / "a.txt").read_text() == "3" and CALLS == [-1, -1]
    assert not list((tmp_path / "stages").glob(".old*"))


def test_a_second_process_is_told_to_wait(tmp_path):
    Run(tmp_path, progress=False)
    code = f"from voicenb.core.run import Run; Run({str(tmp_path)!r})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.returncode and "in use by another run" in out.stderr


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, rows):
    "A file-size limit stands in for the full disk: the write fails in the same place"
    code = (f"import resource, signal, errno, os, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "from test_run import slow; import pandas as pd; from voicenb.core.run import Run, RunError\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            f"rows = pd.DataFrame(dict(recording=[f'r{{i:02d}}' for i in range(40)], start=[float(i) for i in range(40)]))\n"
            f"run = Run({str(tmp_path)!r}, jobs=1, progress=False)\n"
            "import voicenb.core.table as tb\n"
            "real = os.fsync; n = [0]\n"
            "def full(fd):\n    n[0] += 1\n    if n[0] == 2: raise OSError(errno.ENOSPC, 'No space left on device')\n    real(fd)\n"
            "tb.os.fsync = full\n"
            "try: run(slow, rows)\nexcept RunError as e: print(e)\n")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "the disk is full" in out and out.count("\n") == 1
    assert len(list((tmp_path / "stages").glob(".*/shard-*.parquet"))) == 1
    assert len(Run(tmp_path, jobs=1, progress=False)(slow, rows)) == 40


def test_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    def refuse(*a, **k): raise OSError(30, "Read-only file system")
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RunError, match="read-only: choose another out="): Run(tmp_path / "x")


def test_not_a_stage_and_no_plain_value(tmp_path, rows):
    run = Run(tmp_path, progress=False)
    with pytest.raises(RunError, match="not a stage"): run(print, rows)
    with pytest.raises(RunError, match="cannot be part of a key"): run(slow, rows, factor=lambda: 1)


def test_only_new_groups_are_computed(tmp_path, rows):
    run = Run(tmp_path, jobs=1, progress=False)
    run(slow, rows)
    CALLS.clear()
    more = pd.concat([rows, pd.DataFrame(dict(recording=["a1", "a2"], start=[7.0, 8.0]))], ignore_index=True).sort_values("recording", ignore_index=True)
    out = run(slow, more)
    assert CALLS == [2] and run.log[-1]["computed"] == 2 and out.recording.tolist() == more.recording.tolist()
    whole = Run(tmp_path / "new", jobs=1, progress=False)(slow, more)
    assert out.equals(whole)
    a, b = (next(p for p in (d / "stages").glob("*/table.parquet") if len(pd.read_parquet(p)) == 42).read_bytes() for d in (tmp_path, tmp_path / "new"))
    assert a == b


def test_a_changed_row_is_computed_again(tmp_path, rows):
    run = Run(tmp_path, jobs=1, progress=False)
    run(slow, rows)
    CALLS.clear()
    rows.loc[5, "start"] = 99.0
    assert run(slow, rows).score[5] == 99.0 and CALLS == [1]
    run(slow, rows, factor=3.0)
    assert sum(CALLS) == 41


KILL = """
import os, signal, sys
import pandas as pd
from pathlib import Path
from voicenb.core.run import stage

@stage(version="1", by="recording")
def once(table: pd.DataFrame, audio=None) -> pd.DataFrame:
    flag = Path(audio).with_name("died")
    if (table.recording == "r20").any() and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return table.assign(score=table.start)
"""


def test_a_worker_that_is_killed_loses_nothing(tmp_path, rows, monkeypatch, capsys):
    (tmp_path / "killer.py").write_text(KILL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    import killer
    run = Run(tmp_path / "run", jobs=2, progress=False)
    assert run(killer.once, rows).score.tolist() == rows.start.tolist()
    assert "a worker died" in capsys.readouterr().err
    run.close()


@stage(version="1", by="recording", uses=("recording", "start", "kept", "reason"))
def narrow(table: pd.DataFrame) -> pd.DataFrame:
    CALLS.append(len(table))
    from voicenb.core.table import mark
    return mark(table.assign(snr_db=table.start), table.start == 3, "low_snr", "three")


def test_a_stage_counts_only_the_columns_it_uses(tmp_path, rows):
    rows = rows.assign(score=0.5, kept=True, reason="", detail="")
    rows.loc[7, ["kept", "reason", "detail"]] = False, "other_speaker", "score 0.5"
    run = Run(tmp_path, jobs=1, progress=False)
    first = run(narrow, rows)
    assert first.score.tolist() == [0.5] * 40 and first.detail[3] == "three" and first.detail[7] == "score 0.5"
    CALLS.clear()
    rows.loc[7, "detail"] = "score 0.6"
    again = run(narrow, rows.assign(score=0.6))
    assert CALLS == [] and run.log[-1]["computed"] == 0 and not run.log[-1]["cached"]
    assert again.score.tolist() == [0.6] * 40 and again.detail[7] == "score 0.6" and again.snr_db.equals(first.snr_db) and again.reason.equals(first.reason)
    fresh = Run(tmp_path / "new", jobs=1, progress=False)(narrow, rows.assign(score=0.6))
    assert fresh.equals(again)


def test_a_stage_that_uses_columns_renews_its_own(tmp_path, rows):
    rows = rows.assign(score=0.5, kept=True, reason="", detail="")
    run = Run(tmp_path, jobs=1, progress=False)
    first = run(narrow, rows)
    again = run(narrow, first.assign(start=first.start + 0.25, kept=True, reason="", detail=""))
    assert again.snr_db.tolist() == again.start.tolist() != first.snr_db.tolist()
