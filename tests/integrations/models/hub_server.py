"""A small model hub on 127.0.0.1: speaks what huggingface_hub and ModelScope's interface really ask, over real sockets.

Big files are redirected to another host name, as hubs do with their CDN. Switches make it misbehave.
"""

import hashlib
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

PIECE = 16 * 1024
BIG = 4096
"""Files above are kept as LFS objects: their SHA-256 is told."""
SIGNATURE = "signed-address-do-not-print"


@dataclass
class Repo:
    """Files by path, per commit; branches and tags name commits."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], *names: str) -> str:
        told = json.dumps({path: hashlib.sha256(data).hexdigest() for path, data in files.items()}, sort_keys=True)
        commit = hashlib.sha1(told.encode()).hexdigest()
        self.commits[commit] = files
        self.names |= dict.fromkeys(names or ("main", "master"), commit)
        return commit

    def resolve(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.names.get(revision)


@dataclass
class Switches:
    """drop_after: of each body, so many bytes, then the line is cut; as often as `drops` says. lies: paths whose bytes are wrong.

    statuses: answers, in turn, to requests whose path contains the word; the last one for good if `forever`.
    """

    drop_after: int = 0
    drops: int = 1_000_000
    lies: set[str] = field(default_factory=set)
    statuses: list[int] = field(default_factory=list)
    status_of: str = ""
    forever: bool = False
    pause_s: float = 0
    stall_s: float = 0
    ignores_ranges: bool = False
    needs_token: str = ""
    tells_no_hash: bool = False
    listing: bytes | None = None


@dataclass(frozen=True)
class Asked:
    method: str
    host: str
    path: str
    offset: int
    token: str


class HubServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, Repo] = {}
        self.switches = Switches()
        self.asked: list[Asked] = []
        self.served: Counter[str] = Counter()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *trouble) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def bodies(self) -> list[Asked]:
        """What was asked of file contents: no listings, no redirects."""
        return [asked for asked in self.asked if asked.method == "GET" and ("/cdn/" in asked.path or "/resolve/" in asked.path)]

    def repo(self, name: str) -> Repo:
        return self.repos.setdefault(name, Repo())

    def forget(self) -> None:
        self.asked.clear()
        self.served.clear()

    def handle_error(self, request, client_address) -> None:
        """A client that hung up is what the tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *words) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts, switches = urlsplit(self.path), self.server.switches
        path, query = unquote(parts.path), {name: values[0] for name, values in parse_qs(parts.query).items()}
        told = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0]
        offset = 0 if switches.ignores_ranges else int(told)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.server.asked.append(Asked(self.command, self.headers["Host"], path, int(told), token))
        time.sleep(switches.stall_s)
        if switches.statuses and switches.status_of in path:
            status = switches.statuses[0] if switches.forever and len(switches.statuses) == 1 else switches.statuses.pop(0)
            return self.answer(status, b"no")
        if path.startswith("/cdn/"):
            return self.stream(path.removeprefix("/cdn/"), offset)
        if switches.needs_token not in ("", token):
            return self.answer(401, b"no", {"X-Error-Code": "RepoNotFound"})
        if path.startswith("/api/v1/models/"):
            return self.modelscope(path.removeprefix("/api/v1/models/"), query, offset)
        if path.startswith("/api/models/"):
            rest = path.removeprefix("/api/models/")
            return self.tree(*rest.split("/tree/")) if "/tree/" in rest else self.huggingface(*rest.split("/revision/"))
        repo, _, rest = path[1:].partition("/resolve/")
        revision, _, name = rest.partition("/")
        return self.file(repo, revision, name, offset)

    def huggingface(self, repo: str, revision: str = "main") -> None:
        found = self.server.repos.get(repo)
        if found is None:
            return self.answer(401, b"no", {"X-Error-Code": "RepoNotFound"})
        commit = found.resolve(revision)
        if commit is None:
            return self.answer(404, b"no", {"X-Error-Code": "RevisionNotFound"})
        files = [self.sibling(path, data) for path, data in found.commits[commit].items()]
        return self.tell({"id": repo, "sha": commit, "private": False, "siblings": files})

    def tree(self, repo: str, revision: str) -> None:
        """What snapshot_download asks; a pull of ours does not."""
        files = []
        for path, data in self.server.repos[repo].commits[revision].items():
            told = self.sibling(path, data)
            lfs = {"oid": told["lfs"]["sha256"], "size": len(data), "pointerSize": 134} if "lfs" in told else None
            files.append({"type": "file", "path": path, "size": len(data), "oid": told["blobId"]} | ({"lfs": lfs} if lfs else {}))
        self.tell(files)

    def sibling(self, path: str, data: bytes) -> dict:
        git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        entry = {"rfilename": path, "size": len(data)}
        if self.server.switches.tells_no_hash:
            return entry
        entry["blobId"] = git
        if len(data) > BIG:
            entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return entry

    def modelscope(self, path: str, query: dict, offset: int) -> None:
        repo, _, rest = path.partition("/repo")
        found = self.server.repos.get(repo)
        if found is None:
            return self.answer(404, b'{"Code": 10010205001, "Message": "not found", "Success": false}')
        commit = found.resolve(query["Revision"])
        if rest != "/files":
            return self.file(repo, query["Revision"], query["FilePath"], offset)
        if commit is None:
            return self.tell({"Code": 200, "Success": True, "Data": {"Files": None, "LatestCommitter": None}})
        folders = sorted({path.rpartition("/")[0] for path in found.commits[commit]} - {""})
        files = [{"Path": path, "Type": "tree", "Size": 0, "Revision": "0" * 40} for path in folders]
        files += [{"Path": path, "Type": "blob", "Size": len(data), "Sha256": hashlib.sha256(data).hexdigest(),
                   "Revision": commit if number == 0 else "0" * 40, "CommittedDate": 100 - number, "IsLFS": len(data) > BIG}
                  for number, (path, data) in enumerate(found.commits[commit].items())]
        return self.tell({"Code": 200, "Success": True, "Message": "success",
                          "Data": {"Files": files, "LatestCommitter": {"Id": "", "ShortId": commit[:8]}}})

    def file(self, repo: str, revision: str, name: str, offset: int) -> None:
        found = self.server.repos.get(repo)
        commit = found and found.resolve(revision)
        if not commit:
            return self.answer(404, b"no", {"X-Error-Code": "RevisionNotFound"})
        data = found.commits[commit].get(name)
        if data is None:
            return self.answer(404, b"no", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        if len(data) <= BIG:
            return self.stream(f"{repo}/{commit}/{name}", offset)
        where = f"http://localhost:{self.server.server_port}/cdn/{repo}/{commit}/{quote(name)}?sig={SIGNATURE}"
        return self.answer(302, b"", {"Location": where, "X-Repo-Commit": commit, "X-Linked-Size": str(len(data)),
                                      "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"'})

    def stream(self, key: str, offset: int) -> None:
        owner, name, commit, path = key.split("/", 3)
        data, switches = self.server.repos[f"{owner}/{name}"].commits[commit][path], self.server.switches
        if path in switches.lies:
            data = data[:-1] + bytes((data[-1] ^ 1,))
        body = data[offset:]
        self.send_response(206 if offset else 200)
        if offset:
            self.send_header("Content-Range", f"bytes {offset}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha1(b"blob %d" % len(data) + data).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit)
        self.end_headers()
        if self.command == "HEAD":
            return
        for start in range(0, len(body), PIECE):
            if switches.drop_after and start >= switches.drop_after and switches.drops > 0:
                switches.drops -= 1
                self.close_connection = True
                return
            piece = body[start : start + PIECE]
            self.wfile.write(piece)
            self.server.served[path] += len(piece)
            time.sleep(switches.pause_s)

    def tell(self, content: dict | list) -> None:
        listing = self.server.switches.listing
        self.answer(200, json.dumps(content).encode() if listing is None else listing, {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: dict | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
