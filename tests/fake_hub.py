"""A hub of one process: what huggingface_hub asks of the real one for a dataset or a model (create, list, preupload, LFS, commit, tag, resolve), in memory, with faults on request."""
import base64
import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlparse

LARGE = re.compile(r"\.(wav|parquet|gz|flac|bin|safetensors|pt)$")


class Repo:
    "Commits (sha -> files) and what points at them; a file is (sha256 or None, bytes or None, size)"
    def __init__(self, private):
        self.private, self.commits, self.tags, self.order = private, {}, {}, []
        self.commit({".gitattributes": (None, b"*.wav filter=lfs\n", 17)})

    def commit(self, files):
        sha = hashlib.sha1(json.dumps([len(self.order), sorted(files)]).encode()).hexdigest()
        self.commits[sha] = files
        self.order.append(sha)
        return sha

    @property
    def head(self): return self.order[-1]

    def at(self, rev):
        sha = {"main": self.head}.get(rev) or self.tags.get(rev) or (rev if rev in self.commits else None)
        return sha, self.commits.get(sha)


class FakeHub:
    def __init__(self, token="secret", owners=("ana",), chunk=0, page=1000, xet=""):
        "`chunk`: bytes of a part, where large files go in parts; `page`: rows of a listing; `xet`: a folder that hf-xet takes for its storage"
        self.token, self.owners, self.chunk, self.page, self.xet = token, owners, chunk, page, xet
        self.repos, self.objects, self.parts, self.log, self.faults, self.lock = {}, {}, {}, [], [], threading.Lock()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *a): pass
            def handle_one_request(self):
                try: super().handle_one_request()
                except (ConnectionError, TimeoutError): self.close_connection = True
            def do_GET(self): hub.answer(self)
            do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs=dict(poll_interval=.02), daemon=True).start()

    def __enter__(self): return self

    def __exit__(self, *a):
        self.server.shutdown()
        self.server.server_close()

    def fault(self, method, path, times=1, status=0, cut=False, lost=False, slow=0.0, after=0):
        "The next `times` requests that match (past the first `after`) get a status, lose the connection half way, are done but never answered, or wait"
        self.faults.append(dict(method=method, path=path, left=times, status=status, cut=cut, lost=lost, slow=slow, after=after))

    def count(self, method, path): return sum(m == method and re.search(path, p) is not None for m, p in self.log)

    def files(self, repo, rev="main"):
        "The bytes of every file of a revision"
        return {n: self.objects[sha] if sha else data for n, (sha, data, _) in self.repos[repo].at(rev)[1].items()}

    # --- one request
    def answer(self, h):
        url = urlparse(h.path)
        path, query = unquote(url.path), parse_qs(url.query)
        with self.lock:
            self.log.append((h.command, path))
            fault = next((f for f in self.faults if f["left"] and f["method"] == h.command and re.search(f["path"], path)), None)
            if fault and fault["after"]: fault["after"], fault = fault["after"] - 1, None
            if fault: fault["left"] -= 1
        length = int(h.headers.get("Content-Length") or 0)
        if fault and fault["cut"]:
            h.rfile.read(length // 2)
            h.close_connection = True
            h.connection.shutdown(2)
            return
        body = h.rfile.read(length) if length else self.chunked(h)
        if fault and fault["slow"]: time.sleep(fault["slow"])
        if fault and fault["status"]: return self.send(h, fault["status"], dict(error="asked to fail"))
        if not path.startswith("/lfs/") and h.headers.get("Authorization") != f"Bearer {self.token}":
            return self.send(h, 401, dict(error="Invalid credentials in Authorization header"), {"X-Error-Message": "Invalid credentials in Authorization header"})
        with self.lock: reply = self.route(h.command, path, query, body)
        if not (fault and fault["lost"]): return self.send(h, *reply)
        h.close_connection = True
        h.connection.shutdown(2)

    @staticmethod
    def chunked(h):
        if "chunked" not in h.headers.get("Transfer-Encoding", ""): return b""
        out = b""
        while n := int(h.rfile.readline().split(b";")[0], 16): out, _ = out + h.rfile.read(n), h.rfile.readline()
        h.rfile.readline()
        return out

    @staticmethod
    def send(h, status, data=b"", headers=None):
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        h.send_response(status)
        for k, v in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **(headers or {})}.items(): h.send_header(k, v)
        h.end_headers()
        if h.command != "HEAD": h.wfile.write(raw)

    # --- the protocol
    def route(self, method, path, query, body):
        if path == "/api/repos/create": return self.create(json.loads(body))
        if path == "/api/validate-yaml":
            import yaml
            try: head = yaml.safe_load(json.loads(body)["content"].split("---")[1])
            except (yaml.YAMLError, IndexError): return 400, dict(errors=[dict(message="no YAML")], warnings=[])
            bad = [k for k in ("license_name",) if k in head and not re.fullmatch(r"[a-z0-9.-]+", head[k])]
            return (400, dict(errors=[dict(message=f"{bad[0]} must match [a-z0-9.-]+")], warnings=[])) if bad else (200, dict(errors=[], warnings=[]))
        if m := re.fullmatch(r"/lfs/(\w{64})(?:/(\d+|done))?", path): return self.lfs(method, m[1], m[2], body)
        if m := re.fullmatch(r"(?:/datasets)?/([\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", path): return self.batch(m[1], json.loads(body))
        if m := re.fullmatch(r"(?:/datasets)?/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", path): return self.resolve(*m.groups())
        if m := re.fullmatch(r"/api/(?:datasets|models)/([\w.-]+/[\w.-]+)(?:/([\w-]+)(?:/([^/]+)(?:/(.*))?)?)?", path):
            repo = self.repos.get(m[1])
            if repo is None: return 404, dict(error="Repository not found"), {"X-Error-Code": "RepoNotFound"}
            verb = getattr(self, "do_" + (m[2] or "revision").replace("-", "_"), None)
            return verb(method, m[1], repo, m[3] or "main", m[4] or "", query, body) if verb else (404, dict(error="no such page"))
        return 404, dict(error=f"no such page {path}")

    def create(self, asked):
        name = f"{asked.get('organization') or self.owners[0]}/{asked['name']}"
        if name.partition("/")[0] not in self.owners: return 403, dict(error="no rights in this namespace")
        if name in self.repos: return 409, dict(error="exists", url=f"{self.url}/datasets/{name}")
        self.repos[name] = Repo(asked.get("private") or asked.get("visibility") == "private")
        return 200, dict(url=f"{self.url}/datasets/{name}")

    def do_revision(self, method, name, repo, rev, rest, query, body):
        sha, files = repo.at(rev)
        if sha is None: return 404, dict(error="Revision not found"), {"X-Error-Code": "RevisionNotFound"}
        return 200, dict(_id="1", id=name, sha=sha, private=repo.private, gated=False, disabled=False, tags=[], downloads=0, likes=0, siblings=[dict(rfilename=f) for f in files])

    def entry(self, name, file):
        sha, data, size = file
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha}\nsize {size}\n".encode() if sha else data
        out = dict(type="file", path=name, size=size, oid=hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest())
        return out | (dict(lfs=dict(oid=sha, size=size, pointerSize=len(pointer))) if sha else {})

    def do_tree(self, method, name, repo, rev, rest, query, body):
        files = repo.at(rev)[1]
        if files is None: return 404, dict(error="Revision not found"), {"X-Error-Code": "RevisionNotFound"}
        deep, start = query.get("recursive", ["false"])[0].lower() in ("true", "1"), int(query.get("cursor", ["0"])[0])
        inside = {f: v for f, v in sorted(files.items()) if not rest or f.startswith(rest + "/")}
        if rest and not inside: return 404, dict(error="Entry not found"), {"X-Error-Code": "EntryNotFound"}
        flat = lambda f: "/" not in f[len(rest) + 1 if rest else 0:]
        folders = sorted({"/".join(f.split("/")[:i]) for f in inside for i in range(1, f.count("/") + 1)})
        rows = [dict(type="directory", path=d, oid="0" * 40, size=0) for d in folders if (deep or flat(d)) and d != rest and d.startswith(rest)]
        rows += [self.entry(f, v) for f, v in inside.items() if deep or flat(f)]
        more = {"Link": f'<{self.url}/api/datasets/{name}/tree/{rev}?recursive={deep}&cursor={start + self.page}>; rel="next"'} if len(rows) > start + self.page else {}
        return 200, rows[start:start + self.page], more

    def do_paths_info(self, method, name, repo, rev, rest, query, body):
        paths = parse_qs(body.decode()).get("paths") or []
        if not paths and body[:1] == b"{": paths = json.loads(body)["paths"]
        files = repo.at(rev)[1]
        return 200, [self.entry(p, files[p]) for p in paths if p in files]

    def do_refs(self, method, name, repo, rev, rest, query, body):
        ref = lambda kind, n, sha: dict(name=n, ref=f"refs/{kind}/{n}", targetCommit=sha)
        return 200, dict(branches=[ref("heads", "main", repo.head)], converts=[], tags=[ref("tags", n, s) for n, s in repo.tags.items()], pullRequests=[])

    def do_tag(self, method, name, repo, rev, rest, query, body):
        if method == "DELETE": return (200, {}) if repo.tags.pop(rev, None) else (404, dict(error="no such tag"))
        tag = json.loads(body)["tag"]
        if tag in repo.tags: return 409, dict(error="tag exists")
        repo.tags[tag] = repo.at(rev)[0]
        return 200, {}

    def do_xet_write_token(self, method, name, repo, rev, rest, query, body):
        if not self.xet: return 404, dict(error="no Xet here")
        lent = dict(casUrl=f"local://{self.xet}", accessToken="lent", exp=int(time.time()) + 3600)
        return 200, lent, {"X-Xet-Cas-Url": lent["casUrl"], "X-Xet-Access-Token": "lent", "X-Xet-Token-Expiration": str(lent["exp"])}

    def do_preupload(self, method, name, repo, rev, rest, query, body):
        files = repo.at(rev)[1]
        modes = [dict(path=f["path"], uploadMode="lfs" if LARGE.search(f["path"]) else "regular", shouldIgnore=False,
                      oid=(files[f["path"]][0] or self.entry("", files[f["path"]])["oid"]) if f["path"] in files else None) for f in json.loads(body)["files"]]
        return 200, dict(files=modes)

    def batch(self, name, asked):
        if name not in self.repos: return 404, dict(error="Repository not found"), {"X-Error-Code": "RepoNotFound"}
        out = []
        for o in asked["objects"]:
            one = dict(oid=o["oid"], size=o["size"])
            if o["oid"] not in self.objects:
                up = dict(href=f"{self.url}/lfs/{o['oid']}")
                if self.chunk and o["size"] > self.chunk:
                    n = -(-o["size"] // self.chunk)
                    up = dict(href=f"{self.url}/lfs/{o['oid']}/done", header=dict(chunk_size=str(self.chunk)) | {str(i + 1): f"{self.url}/lfs/{o['oid']}/{i + 1}" for i in range(n)})
                one["actions"] = dict(upload=up)
            out.append(one)
        return 200, dict(transfer="basic", objects=out)

    def lfs(self, method, oid, part, body):
        if part and part != "done":
            self.parts[oid, int(part)] = body
            return 200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}
        if part == "done": body = b"".join(self.parts.pop(k) for k in sorted(k for k in self.parts if k[0] == oid))
        if hashlib.sha256(body).hexdigest() != oid: return 400, dict(error="the bytes do not have this hash")
        self.objects[oid] = body
        return 200, {}

    def do_commit(self, method, name, repo, rev, rest, query, body):
        lines = [json.loads(x) for x in body.decode().splitlines() if x]
        head, files = lines[0]["value"], dict(repo.commits[repo.head])
        if head.get("parentCommit") not in (None, repo.head): return 412, dict(error="A commit has happened since")
        for op in lines[1:]:
            v = op["value"]
            if op["key"] == "file": files[v["path"]] = (None, data := base64.b64decode(v["content"]), len(data))
            elif op["key"] == "lfsFile":
                if v["oid"] not in self.objects and not self.xet: return 400, dict(error=f"LFS object {v['oid']} was never uploaded")
                files[v["path"]] = (v["oid"], None, v["size"])
            elif op["key"] == "deletedFile": del files[v["path"]]
            else: return 400, dict(error=f"unknown operation {op['key']}")
        sha = repo.commit(files)
        return 200, dict(success=True, commitOid=sha, commitUrl=f"{self.url}/datasets/{name}/commit/{sha}", hookOutput="")

    def resolve(self, name, rev, file):
        repo = self.repos.get(name)
        if repo is None: return 404, dict(error="Repository not found"), {"X-Error-Code": "RepoNotFound"}
        sha, files = repo.at(rev)
        if files is None: return 404, dict(error="Revision not found"), {"X-Error-Code": "RevisionNotFound"}
        if file not in files: return 404, dict(error="Entry not found"), {"X-Error-Code": "EntryNotFound"}
        oid, data, size = files[file]
        tag = oid or self.entry("", files[file])["oid"]
        return 200, self.objects[oid] if oid else data, {"X-Repo-Commit": sha, "ETag": f'"{tag}"', "X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(size), "Content-Type": "application/octet-stream",
                                                         "Accept-Ranges": "bytes"}
