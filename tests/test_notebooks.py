"The craft of the notebooks: sizes, parameters, tags, and that the exported code is the notebooks' code"
import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "nbs").rglob("*.ipynb"))
RUNS = [p for p in NOTEBOOKS if p.parent.name in ("runs", "diagnose")]
name = lambda p: f"{p.parent.name}/{p.stem}"


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def source(cell):
    return "".join(cell["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_limits(path):
    all_cells = cells(path)
    assert len(all_cells) <= 60
    assert sum(len(source(c)) for c in all_cells) <= 60_000
    assert path.stat().st_size <= 200_000
    assert source(all_cells[0]).startswith("# ") and any(c["cell_type"] == "markdown" for c in all_cells)
    exported = [source(c) for c in all_cells if c["cell_type"] == "code" and "#| export" in source(c)]
    assert max([s.count("\n") + 1 for s in exported], default=0) <= 60


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_stored_outputs_teach_and_betray_nothing(path):
    for c in cells(path):
        for o in c.get("outputs", []):
            text = json.dumps(o)
            assert o["output_type"] != "error" and "audio/" not in text and "data:audio" not in text
            assert not re.search(r"/(home|root|work|Users)/", text), "a path of a machine"


@pytest.mark.parametrize("path", [p for p in (ROOT / "voicenb").rglob("*.py") if p.name != "_modidx.py"], ids=lambda p: p.stem)
def test_modules_are_short(path):
    assert path.read_text(encoding="utf-8").count("\n") <= 350


@pytest.mark.parametrize("path", RUNS, ids=name)
def test_one_cell_of_literal_parameters(path):
    tagged = [c for c in cells(path) if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1
    for node in ast.parse(source(tagged[0])).body:
        assert isinstance(node, ast.Assign) and len(node.targets) == 1
        ast.literal_eval(node.value)


def test_rooms_import_downwards_only():
    below = dict(core={"core"}, data={"core", "data"}, voices={"core", "voices"}, use={"core", "data", "voices", "use"})
    for path in (ROOT / "voicenb").rglob("*.py"):
        room = path.parent.name
        if room not in below: continue
        text = path.read_text(encoding="utf-8")
        used = set(re.findall(r"from voicenb\.(\w+)", text)) | set(re.findall(r"from \.\.(\w+)", text))
        assert used <= below[room], f"{path.name} imports {used - below[room]}"


def test_badges_open_notebooks_that_exist():
    for path in [*NOTEBOOKS, ROOT / "README.md"]:
        for target in re.findall(r"colab\.research\.google\.com/github/[^/]+/[^/]+/blob/[^/]+/([^)\s\"']+\.ipynb)", path.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), target


def test_public_text_has_no_leftovers():
    bad = re.compile(r"TODO|FIXME|NotImplementedError|weights_only=False|except:\s*$", re.M)
    for path in [*NOTEBOOKS, *(ROOT / "voicenb").rglob("*.py"), ROOT / "README.md"]:
        assert not bad.search(path.read_text(encoding="utf-8")), path


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout: nothing to compare with")
def test_export_and_clean_change_nothing(tmp_path):
    copy = tmp_path / "copy"
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    for f in filter(None, files.stdout.split("\0")):
        if (ROOT / f).is_file():
            (copy / f).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / f, copy / f)
    before = {p.relative_to(copy): p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    tool = Path(sys.executable).parent
    for command in ("nbdev_clean", "nbdev_export"):
        subprocess.run([tool / command], cwd=copy, check=True, capture_output=True)
    after = {p.relative_to(copy): p.read_bytes() for p in copy.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    changed = sorted(str(p) for p in before.keys() | after.keys() if before.get(p) != after.get(p))
    assert not changed, f"run nbdev_export and nbdev_clean: {changed}"


def test_readme_is_the_index_notebook():
    lines = [source(c).strip() for c in cells(ROOT / "nbs" / "index.ipynb") if c["cell_type"] == "markdown"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in lines: assert block in readme, block[:80]
