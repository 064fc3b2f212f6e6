"`import voicenb` is light, and says nothing of torch"
import subprocess
import sys


def test_import_needs_no_heavy_library():
    code = ("import sys, time; t = time.perf_counter(); import voicenb; d = time.perf_counter() - t;"
            "bad = {'torch', 'transformers', 'pandas', 'matplotlib', 'onnxruntime', 'pyworld'} & set(sys.modules); print(d, sorted(bad))")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.rstrip().endswith("[]"), out


def test_core_and_data_import_without_torch():
    code = ("import sys\nclass Block:\n    def find_spec(self, name, path=None, target=None):\n        if name == 'torch': raise ImportError('no torch here')\n"
            "sys.meta_path.insert(0, Block())\nimport voicenb.core.table, voicenb.core.run, voicenb.core.audio, voicenb.core.text, voicenb.core.phonemes, voicenb.core.asr\n"
            "import voicenb.core.speaker, voicenb.data.ingest, voicenb.data.segment, voicenb.data.verify, voicenb.data.curate, voicenb.voices.voice, voicenb.use.cli")
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
