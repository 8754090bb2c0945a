"""A small Hugging Face Hub on localhost: model info, listings at a commit, files, and faults on request.

`with HubServer() as hub:` then `hub.add("org/repo", folder)`; point HF_ENDPOINT at `hub.url` (in a new process),
or call `hub.patch(monkeypatch, cache)` in this one.
"""

import hashlib
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.local_server import LocalServer


@dataclass(frozen=True)
class Fault:
    """What goes wrong at requests whose path contains `where`."""

    where: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Close the connection after this many bytes of the body."""
    hold_after: int | None = None
    """Send nothing after this many bytes of the body, and leave the connection open."""
    pause: float = 0.0
    """Seconds before each piece of the body."""
    wrong: bool = False
    """Flip the last bit of the body."""
    once: bool = False
    methods: tuple[str, ...] = ("GET", "HEAD")


@dataclass
class Repo:
    """The files of a repo at its only commit."""

    files: dict[str, bytes]
    revisions: tuple[str, ...] = ("main",)
    listed: tuple[str, ...] = ()
    """Names that the listing carries besides the files."""
    sizes: dict[str, Any] = field(default_factory=dict)
    """Sizes that the listing says instead of the true ones."""
    lfs: bool = False
    """Whether the listing carries the sha256 of its .safetensors."""
    token: str = ""
    """What a private repo is opened with."""
    pinned: str = ""
    """A commit that stays whatever becomes of the files."""
    storage: str = ""
    """Another server, without a trailing slash, that the contents lie on: `resolve` redirects there."""
    xet: str = ""
    """A Xet server (of which there is none here) that the .safetensors are said to lie on."""

    @property
    def commit(self) -> str:
        if self.pinned:
            return self.pinned
        digest = hashlib.sha1()
        for name, content in sorted(self.files.items()):
            digest.update(name.encode() + content)
        return digest.hexdigest()


class HubServer(LocalServer):
    """Serves until the `with` block ends; `requests` lists (method, path) of what was asked."""

    handler: type["_Handler"]

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """With a TLS context (its certificate must be valid for localhost) this is a Hub over https."""
        super().__init__(self.handler, "hub")
        self.repos: dict[str, Repo] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.tokens: list[str] = []
        """The Authorization header of each request."""
        self.ranges: list[str] = []
        """The Range header of each request that has one."""
        self.answers: dict[str, bytes] = {}
        """Path -> what is answered there, instead of the truth."""
        self.searches: dict[str, list[str]] = {}
        """Filter -> the repos that a search with it finds."""
        self.moved: dict[str, str] = {}
        """Old repo name -> new one: redirected, as after a rename."""
        self.moved_status = 307
        self.without_ranges = False
        """Whether a Range is not heeded: the whole file is sent, with status 200."""
        if tls is not None:
            self.url = f"https://localhost:{self.port}"
            # The handshake is made at the first read, in the thread of the request: one who fails it holds up nobody.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    def add(self, repo: str, folder: Path, **options: Any) -> Repo:
        """Publish a folder's files as a repo."""
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        self.repos[repo] = Repo(files, **options)
        return self.repos[repo]

    def environment(self, home: Path) -> dict[str, str]:
        """What a new process needs to take this for the Hub, with its cache under `home`."""
        return {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_ETAG_TIMEOUT": "3"}

    def patch(self, monkeypatch: Any, home: Path) -> None:
        """The same for this process, where huggingface_hub has read its environment already."""
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{self.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_args: object) -> None:
        """Nothing on stderr."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.requests.append((self.command, path))
        self.hub.tokens.append(self.headers.get("Authorization", ""))
        self.hub.ranges += [self.headers["Range"]] if "Range" in self.headers else []
        path = path.replace("api/datasets/", "api/models/").removeprefix("datasets/")
        faults = [f for f in self.hub.faults if f.where in path and self.command in f.methods]
        fault = faults[0] if faults else Fault("")
        if fault.once:
            self.hub.faults.remove(fault)
        if fault.status:
            self._send(fault.status, b"{}", fault.headers)
            return
        if (answer := next((self.hub.answers[p] for p in self.hub.answers if path.startswith(p)), None)) is not None:
            self._send(200, answer, {"Content-Type": "application/json"}, fault)
            return
        if path == "api/models":
            wanted = parse_qs(urlsplit(self.path).query)
            found = self.hub.searches.get(wanted["filter"][0], [])[: int(wanted["limit"][0])]
            models = [{"_id": repo, "id": repo, "downloads": 1} for repo in found]
            self._send(200, json.dumps(models).encode(), {"Content-Type": "application/json"}, fault)
            return
        if path.startswith("xet-token/"):
            self._send(200, b"{}", {"X-Xet-Cas-Url": f"https://{path.removeprefix('xet-token/')}"} | _XET_TOKEN)
            return
        repo_name = "/".join(path.removeprefix("api/models/").split("/")[:2])
        repo = self.hub.repos.get(repo_name)
        if new := self.hub.moved.get(repo_name):
            self._send(self.hub.moved_status, b"", {"Location": self.path.replace(repo_name, new)})
        elif repo is None or (repo.token and self.headers.get("Authorization") != f"Bearer {repo.token}"):
            self._send(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif path.startswith("api/models/"):
            self._info(repo_name, repo, path.removeprefix(f"api/models/{repo_name}").removeprefix("/revision/"), fault)
        else:
            revision, _, file = path.removeprefix(f"{repo_name}/resolve/").partition("/")
            self._file(repo, revision, file, fault)

    def _info(self, name: str, repo: Repo, revision: str, fault: Fault) -> None:
        if revision and revision not in {*repo.revisions, repo.commit}:
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = [
            {"rfilename": file, "size": repo.sizes.get(file, len(content))}
            | ({"lfs": _lfs(content)} if repo.lfs and file.endswith(".safetensors") else {})
            for file, content in repo.files.items()
        ]
        siblings += [{"rfilename": file, "size": 1} for file in repo.listed]
        info = {"_id": "1", "id": name, "modelId": name, "sha": repo.commit, "siblings": siblings}
        self._send(200, json.dumps(info).encode(), {"Content-Type": "application/json"}, fault)

    def _file(self, repo: Repo, revision: str, file: str, fault: Fault) -> None:
        headers = {"X-Repo-Commit": repo.commit}
        if revision not in {*repo.revisions, repo.commit} or file not in repo.files:
            self._send(404, b"", headers | {"X-Error-Code": "EntryNotFound"})
            return
        content = repo.files[file]
        digest = hashlib.sha256 if repo.lfs and file.endswith(".safetensors") else hashlib.sha1
        headers |= {"ETag": f'"{digest(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        if repo.xet and file.endswith(".safetensors"):
            headers |= {
                "X-Xet-Hash": "a" * 64,
                "X-Xet-Refresh-Route": f"https://{self.headers['Host']}/xet-token/{repo.xet}",
            }
        if repo.storage:
            linked = {"X-Linked-ETag": headers["ETag"], "X-Linked-Size": str(len(content))}
            self._send(302, b"", headers | linked | {"Location": f"{repo.storage}{self.path}"}, fault)
            return
        status, wanted = 200, self.headers.get("Range", "")
        if wanted.startswith("bytes=") and not self.hub.without_ranges:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            if start >= len(content):
                self._send(416, b"", headers)
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            status, content = 206, content[start:]
        self._send(status, content, headers, fault)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], fault: Fault = Fault("")) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        step = 16 * 1024 if fault.pause else max(1, len(body))
        if fault.wrong:
            body = body[:-1] + bytes([body[-1] ^ 1])
        ends = [end for end in (fault.cut_after, fault.hold_after) if end is not None]
        body, cut = body[: min(ends, default=None)], bool(ends)
        try:
            for start in range(0, len(body), step):
                time.sleep(fault.pause)
                self.wfile.write(body[start : start + step])
                self.wfile.flush()
            if fault.hold_after is not None:
                self.hub.left.wait()
        except OSError:
            cut = True  # the other side hung up
        self.close_connection = self.close_connection or cut


_XET_TOKEN = {"X-Xet-Access-Token": "token", "X-Xet-Token-Expiration": "9999999999"}


def _lfs(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}


HubServer.handler = _Handler
