"""The Hub of hub_server, which also takes uploads: whoami, new repos, cards, preupload, LFS objects and commits.

These are the requests that huggingface_hub makes with HF_HUB_DISABLE_XET; the Xet protocol has no stand-in.
"""

import base64
import hashlib
import json
from typing import Any

from tests.hub_server import Fault, HubServer, Repo, _Handler

TOKEN = "hf_test"


class _UploadHandler(_Handler):
    hub: "HubUploadServer"

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0].strip("/")
        self.body = self._received()
        route = next((r for r in ROUTES if r in path), None)
        if route is None:
            super()._answer()
            return
        self.hub.requests.append((self.command, path))
        fault = next((f for f in self.hub.faults if f.where in path and self.command in f.methods), None)
        if fault:
            self._send(fault.status, b'{"error": "not now"}', fault.headers, fault)
        elif self.command != "PUT" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, b'{"error": "Invalid credentials"}', {})
        else:
            ROUTES[route](self, path)

    def _received(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def say(self, content: Any, status: int = 200) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def whoami(self, _path: str) -> None:
        self.say({"type": "user", "name": "me", "orgs": [{"name": "org"}], "auth": {}})

    def create(self, _path: str) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization'] or 'me'}/{asked['name']}"
        if asked["organization"] not in {None, "me", "org"}:
            self.say({"error": "You don't have the rights to create a model under this namespace"}, 403)
            return
        there = name in self.hub.repos
        self.hub.repos.setdefault(name, Repo({}))
        self.hub.visibility.setdefault(name, asked.get("visibility"))
        self.say({"url": f"{self.hub.url}/{name}", "error": "it exists"}, 409 if there else 200)

    def card(self, _path: str) -> None:
        assert json.loads(self.body)["content"].startswith("---")
        self.say({"errors": [], "warnings": []})

    def may_write(self, path: str) -> None:
        self.say({}, 403 if "/foreign/" in path else 200)

    def preupload(self, _path: str) -> None:
        files = [
            {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular",
             "shouldIgnore": False}
            for f in json.loads(self.body)["files"]
        ]  # fmt: skip
        self.say({"files": files})

    def lfs_batch(self, _path: str) -> None:
        more = {"verify": {"href": self.hub.verify}} if self.hub.verify else {}
        upload = f"{self.hub.storage or self.hub.url}/lfs/"
        objects = [
            {"oid": o["oid"], "size": o["size"], "actions": {"upload": {"href": upload + o["oid"]}} | more}
            for o in json.loads(self.body)["objects"]
        ]
        self.say({"objects": objects, "transfer": "basic"})

    def lfs_object(self, path: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == path.rpartition("/")[2]
        self.hub.objects[path.rpartition("/")[2]] = self.body
        self.say({})

    def commit(self, path: str) -> None:
        name = path.removeprefix("api/models/").partition("/commit/")[0]
        repo = self.hub.repos[name]
        for line in self.body.splitlines():
            value = json.loads(line)
            if value["key"] == "file":
                repo.files[value["value"]["path"]] = base64.b64decode(value["value"]["content"])
            elif value["key"] == "lfsFile":
                repo.files[value["value"]["path"]] = self.hub.objects[value["value"]["oid"]]
        self.say({"commitUrl": f"{self.hub.url}/{name}/commit/{repo.commit}", "commitOid": repo.commit})


ROUTES = {
    "api/whoami-v2": _UploadHandler.whoami,
    "api/repos/create": _UploadHandler.create,
    "api/validate-yaml": _UploadHandler.card,
    "auth-check/write": _UploadHandler.may_write,
    "/preupload/": _UploadHandler.preupload,
    "info/lfs/objects/batch": _UploadHandler.lfs_batch,
    "lfs/": _UploadHandler.lfs_object,
    "/commit/": _UploadHandler.commit,
}


class HubUploadServer(HubServer):
    """`visibility` tells how each repo was made; faults name a part of the path."""

    handler = _UploadHandler

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self.visibility: dict[str, str | None] = {}
        self.storage = self.verify = ""
        """Where weights are uploaded to, and where that is verified, if not here."""

    def fail(self, where: str, status: int) -> None:
        self.faults.append(Fault(where, status, methods=("GET", "POST", "PUT")))

    def patch(self, monkeypatch: Any, home: Any) -> None:
        """With a token that is good, and without Xet."""
        from huggingface_hub import constants

        super().patch(monkeypatch, home)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
