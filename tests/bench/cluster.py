"""The stages on a local Ray cluster of two nodes: the same bytes as without it, and nothing lost when a node dies in mid-stage.

python tests/bench/cluster.py [--copies 2] [--out cluster.json]
Two `ray start` processes (one core each) stand for two machines that share a disk. The third run kills the second node while it computes.
"""
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

RAY = Path(sys.executable).with_name("ray")


def _port() -> int:
    "A port nobody uses"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _node(*args) -> subprocess.Popen:
    "One `ray start` in a process group of its own"
    args = [RAY, "start", *args, "--block", "--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
    return subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=os.environ | dict(RAY_USAGE_STATS_ENABLED="0"))


def family(p: subprocess.Popen) -> list[psutil.Process]:
    "Every process of a node"
    if not psutil.pid_exists(p.pid): return []
    me = psutil.Process(p.pid)
    return [*me.children(recursive=True), me]


def end(p: subprocess.Popen):
    "Kill a node and all it started"
    for q in family(p):
        with contextlib.suppress(psutil.NoSuchProcess): q.kill()
    p.wait(20)


@contextlib.contextmanager
def cluster():
    "Two nodes; yields (address, the two processes)"
    home, port = Path(tempfile.mkdtemp(prefix="vn")), _port()  # a short path: Ray puts sockets below it
    head = _node("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={home}", f"--ray-client-server-port={_port()}")
    nodes = [head]
    try:
        until(lambda: _listens(port), 60, "the head node does not listen")
        nodes.append(_node(f"--address=127.0.0.1:{port}"))
        until(lambda: sum("raylet" in q.name() for n in nodes for q in family(n)) == 2, 60, "the second node does not come up")
        yield f"127.0.0.1:{port}", nodes
    finally:
        for n in nodes[::-1]: end(n)
        shutil.rmtree(home, ignore_errors=True)


def _listens(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def until(true, seconds: float, why: str):
    "Wait for a condition"
    for _ in range(int(seconds * 10)):
        if true(): return
        time.sleep(.1)
    raise TimeoutError(why)


def busy(node: subprocess.Popen) -> list[psutil.Process]:
    "The workers of a node that compute at this moment: Ray writes the name of the task into the process"
    out = []
    for q in family(node):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            title = " ".join(q.cmdline())
            if title.startswith("ray::") and not any(w in title for w in ("IDLE", "Agent")): out.append(q)
    return out


def prints(home: Path) -> dict[str, str]:
    "Hashes of the tables and masters of a run"
    return {str(p.relative_to(home)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(home.rglob("*")) if p.suffix in (".parquet", ".flac")}


def stages(home: str, export: str, me: str, executor: str) -> dict:
    "Ingest, decode, segment, verify and measure in this process; what the log says"
    from voicenb.core.run import Run
    from voicenb.data import curate, ingest, segment, verify
    run = Run(home, jobs=2, progress=False, executor=executor)
    r = run(ingest.masters, run(ingest.choose, run(ingest.whatsapp, Path(export)), me=me))
    clips = run(curate.measure, run(verify.speaker, run(verify.embed, run(segment.speech, r)), recordings=r))
    run.close()
    return dict(rows=len(clips), kept=int(clips.kept.sum()), stages={s["stage"]: s["seconds"] for s in run.log}, computed={s["stage"]: s.get("computed") for s in run.log})


def go(home: Path, export: Path, me: str, executor: str, address: str = "", meanwhile=None) -> dict:
    "The same in a process of its own; `meanwhile` runs beside it in a thread"
    env = os.environ | (dict(RAY_ADDRESS=address) if address else {})
    began = time.perf_counter()
    p = subprocess.Popen([sys.executable, __file__, "--stages", str(home), str(export), me, executor], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=home.parent)
    t = threading.Thread(target=meanwhile, daemon=True) if meanwhile else None
    if t: t.start()
    out, err = p.communicate(timeout=600)
    if t: t.join(10)
    if p.returncode: raise RuntimeError(f"{executor}: exit {p.returncode}\n{err[-3000:]}")
    return json.loads(next(line for line in out.splitlines() if line.startswith("{"))) | dict(seconds=round(time.perf_counter() - began, 1), said=err)


def kill_one(node: subprocess.Popen, killed: list, seconds: float = 120, whole: bool = True):
    "Wait until a worker of the node computes, then kill the node (or that worker alone) without a word"
    for _ in range(int(seconds * 50)):
        for q in busy(node)[:1]:
            killed.append(" ".join(q.cmdline()).strip())
            if whole: return end(node)
            return q.send_signal(signal.SIGKILL)
        time.sleep(.02)


def main():
    from material import ME, grown, machine, options, tell
    a = options(__doc__, copies=2)
    where, rows = machine(), []
    with tempfile.TemporaryDirectory(prefix="cluster") as tmp:
        tmp = Path(tmp)
        export = grown(tmp / "export.zip", a.copies)
        went = {"local": go(tmp / "local", export, ME, "local")}
        with cluster() as (address, nodes):
            killed = []
            went["ray"] = go(tmp / "ray", export, ME, "ray", address)
            went["ray, a worker killed"] = go(tmp / "worker", export, ME, "ray", address, lambda: kill_one(nodes[1], killed, whole=False))
            went["ray, a node killed"] = go(tmp / "node", export, ME, "ray", address, lambda: kill_one(nodes[1], killed))
        want = prints(tmp / "local")
        for (name, said), home in zip(went.items(), ("local", "ray", "worker", "node")):
            rows.append(dict(run=name, seconds=said["seconds"], rows=said["rows"], kept=said["kept"], files=len(want), same_bytes=prints(tmp / home) == want))
    tell(rows, where | dict(copies=a.copies, killed=killed, runs=rows, passed=all(r["same_bytes"] for r in rows) and len(killed) == 2), a.out)
    sys.exit(not all(r["same_bytes"] for r in rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--stages"]: print(json.dumps(stages(*sys.argv[2:])))
    else: main()
