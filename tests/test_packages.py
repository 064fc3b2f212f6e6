"Models from a hub that is slow, refuses or is not there: one line each, and soon"
import http.server
import subprocess
import sys
import threading
import time

import pytest

CODE = """
from voicenb.core import packages
import time
began = time.time()
try: packages.download("somebody/model", {revision!r}, wait=1.0)
except packages.ModelError as e: print(f"{{time.time() - began:.0f}}|{{e}}")
"""


class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        if self.server.status == 0: time.sleep(30)  # takes the call, and says nothing
        body = b'{"error": "no"}'
        self.send_response(self.server.status or 500)
        for k, v in self.server.headers.items(): self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET": self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *a): pass


@pytest.fixture
def hub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads, server.asked, server.headers = True, 0, {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def ask(hub, tmp_path, revision=""):
    env = dict(HF_ENDPOINT=f"http://127.0.0.1:{hub.server_address[1]}", HF_HOME=str(tmp_path), PATH="/usr/bin:/bin", HF_HUB_DISABLE_TELEMETRY="1")
    out = subprocess.run([sys.executable, "-c", CODE.format(revision=revision)], env=env, capture_output=True, text=True, timeout=120)
    assert out.stdout.count("\n") == 1, out.stderr[-600:]
    seconds, _, said = out.stdout.strip().partition("|")
    return float(seconds), said


@pytest.mark.parametrize("revision", ["", "0" * 40])
@pytest.mark.parametrize("status, headers, says, asked", [
    (500, {}, "answers 500", 3), (429, {}, "too often", 3), (403, {}, "refuses (403)", 1), (403, {"X-Error-Code": "GatedRepo"}, "set HF_TOKEN", 1),
    (404, {"X-Error-Code": "RepoNotFound"}, "no such model", 1), (404, {"X-Error-Code": "RevisionNotFound"}, "no revision", 1), (0, {}, "cannot be reached", 3),
])
def test_a_hub_that_says_no_is_one_line(hub, tmp_path, revision, status, headers, says, asked):
    hub.status, hub.headers = status, headers
    seconds, said = ask(hub, tmp_path, revision)
    assert says in said and "somebody/model" in said and "\n" not in said, said
    assert seconds < 60
    if asked == 1: assert hub.asked <= 2, hub.asked


def test_a_name_that_is_none(tmp_path):
    from voicenb.core import packages
    for name in ("a b/c", "owner/name@commit"):
        with pytest.raises(packages.ModelError, match="not a name owner/model|no such"): packages.model(name)
