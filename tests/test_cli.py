"The command line: typos, verdicts, exit codes, killed kernels"
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

VOICENB = Path(sys.executable).parent / "voicenb"


def call(*args, cwd=None):
    return subprocess.run([VOICENB, *map(str, args)], capture_output=True, text=True, cwd=cwd, stdin=subprocess.DEVNULL)


def notebook(path, body):
    cells = [nbformat.v4.new_markdown_cell("# t"), nbformat.v4.new_code_cell('name = "t"\nout = ""\nsteps = 3', metadata=dict(tags=["parameters"]))]
    nb = nbformat.v4.new_notebook(cells=[*cells, *map(nbformat.v4.new_code_cell, body)])
    nbformat.write(nb, path)
    return path


WRITE = "import json, pathlib\np = pathlib.Path(out) / 'reports' / name / 'report.json'\np.write_text(json.dumps(dict(name=name, verdict='passed', steps=steps, samples=[])))"


def test_a_typo_in_a_parameter_stops_and_suggests(tmp_path):
    r = call("run", notebook(tmp_path / "t.ipynb", [WRITE]), "-p", "stesp=5", "-p", f"out={tmp_path}")
    assert r.returncode == 1 and "did you mean steps=?" in r.stderr and r.stderr.count("\n") == 1
    assert not (tmp_path / "reports").exists()


def test_a_typo_in_a_notebook_name_suggests():
    r = call("run", "voice_note")
    assert r.returncode == 1 and "did you mean voice_notes?" in r.stderr


def test_parameters_arrive_and_the_verdict_is_written(tmp_path):
    r = call("run", notebook(tmp_path / "t.ipynb", [WRITE]), "-p", "steps=7", "-p", f"out={tmp_path}")
    report = json.loads((tmp_path / "reports" / "t" / "report.json").read_text())
    assert r.returncode == 0 and report["steps"] == 7 and report["verdict"] == "passed"
    assert (tmp_path / "reports" / "t" / "t.html").exists() and "open the report" in r.stdout


@pytest.mark.parametrize("body, why", [
    (["1 / 0", WRITE], "ZeroDivisionError"),
    (["import os\nos.kill(os.getpid(), 9)", WRITE], "never ran"),
    (["1 + 1"], "wrote no report"),
    ([WRITE, "1 / 0"], "ZeroDivisionError"),
])
def test_a_run_that_did_not_finish_never_passes(tmp_path, body, why):
    r = call("run", notebook(tmp_path / "t.ipynb", body), "-p", f"out={tmp_path}")
    report = json.loads((tmp_path / "reports" / "t" / "report.json").read_text())
    assert r.returncode == 1 and report["verdict"].startswith("failed") and why in report["verdict"]


def test_doctor_names_every_engine():
    r = call("doctor")
    assert r.returncode == 0 and all(e in r.stdout for e in ("silero", "ge2e", "espeak-ng", "pocketsphinx", "baseline"))


def test_speak_says_what_is_wrong(tmp_path):
    r = call("speak", tmp_path, "hello")
    assert r.returncode == 1 and "no voice.json" in r.stderr and r.stderr.count("\n") == 1
