"What the benches share: exports grown from a small one, their table and JSON, a command's peak memory"
import argparse
import json
import os
import platform
import re
import resource
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("VOICENB_REAL_SPEECH", ROOT.parent / "shared" / "data" / "whatsapp_lj"))
DEMO = ROOT / "voicenb" / "assets" / "demo_export.zip"
EXPORT, ME = (REAL / "export.zip", "Linda") if REAL.is_dir() else (DEMO, "Sam")


def quieter(data: bytes, k: int) -> bytes:
    "The same opus note k / 256 dB quieter: the gain field of its header, no second encoding. Anything else stays as it is"
    size = 27 + data[26] + sum(data[27:27 + data[26]]) if data[:4] == b"OggS" and b"OpusHead" in data[:64] else 0
    if not size: return data
    page, at = bytearray(data[:size]), data.index(b"OpusHead")
    page[at + 16:at + 18] = struct.pack("<h", struct.unpack("<h", page[at + 16:at + 18])[0] - k)
    page[22:26], crc = bytes(4), 0
    for byte in page:  # Ogg's checksum: CRC-32, polynomial 0x04c11db7, neither reflected nor inverted
        crc ^= byte << 24
        for _ in range(8): crc = (crc << 1) ^ (0x04c11db7 if crc & 0x80000000 else 0)
        crc &= 0xffffffff
    page[22:26] = struct.pack("<I", crc)
    return bytes(page) + data[size:]


def grown(path: Path,  # the export to write
          copies: int,  # times the notes
          source: Path = EXPORT, notes: int | None = None,  # of the chosen sender's notes at most so many
          first: int = 0,  # number of the first copy; 0 is the original
          ) -> Path:
    "An export in the iOS layout with every note several times, each copy other bytes under another name"
    with zipfile.ZipFile(source) as z: files = {n: z.read(n) for n in z.namelist()}
    chat = next(n for n in files if n.endswith(".txt"))
    text = files.pop(chat).decode()
    mine = [m.group(1) for m in re.finditer(rf"\] {ME}: \u200e?<attached: (\S+)>", text)]
    out, lines, told = {}, [], 0
    for k in range(first, first + copies):
        for line in text.splitlines():
            m = re.search(r"<attached: 0000(\d{4}-AUDIO-\S+)>", line)
            if not m or f"0000{m.group(1)}" not in files: continue
            name, old = f"{k:04d}{m.group(1)}", f"0000{m.group(1)}"
            told += old in mine
            if notes and (old not in mine or told > notes): continue
            out[name] = quieter(files[old], k) if k else files[old]
            lines.append(line.replace(old, name))
    with zipfile.ZipFile(path, "w") as z:
        for name, data in out.items(): z.writestr(zipfile.ZipInfo(name), data)
        z.writestr(zipfile.ZipInfo(chat), "\n".join(lines) + "\n")
    return Path(path)


def machine() -> dict:
    "Where a figure was measured, and how busy it was"
    return dict(cores=os.cpu_count(), load=round(os.getloadavg()[0], 2), platform=platform.platform(), data="real notes" if EXPORT != DEMO else "demo")


def cpu() -> float:
    "Processor seconds of this process and of the children that have ended; unlike the clock they hardly depend on what else runs"
    return sum(u.ru_utime + u.ru_stime for u in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)))


def options(doc: str, **more) -> argparse.Namespace:
    "Parse the command line: --out, and --NAME for each of `more`"
    p = argparse.ArgumentParser(description=doc.strip().splitlines()[0])
    p.add_argument("--out", help="write the JSON here instead of printing it")
    for k, v in more.items(): p.add_argument(f"--{k}", type=type(v), default=v)
    return p.parse_args()


def tell(rows: list[dict], result: dict, out: str | None):
    "A table for the eye, and JSON for the record"
    print(pd.DataFrame(rows).to_string(index=False))
    text = json.dumps(result, indent=1, default=str)
    if out: Path(out).write_text(text + "\n", encoding="utf-8")
    else: print(text)


def tree_mb(pid: int) -> float:
    "Proportional memory of a process and everything it started, MB; shared pages count once"
    import psutil
    total = 0
    try: family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess: return 0.0
    for p in family:
        try: total += p.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied): continue  # ended between the two questions
    return total / 2**20


def watched(args: list, every: float = .5) -> dict:
    "Run a Python script; its output, seconds, and the highest memory of it and all its children together, MB"
    began, peak = time.perf_counter(), 0.0
    p = subprocess.Popen([sys.executable, *map(str, args)], stdout=subprocess.PIPE, text=True)
    while p.poll() is None:
        peak = max(peak, tree_mb(p.pid))
        time.sleep(every)
    return dict(rc=p.returncode, output=p.stdout.read(), seconds=round(time.perf_counter() - began, 1), peak_mb=round(peak))
