"""A server that speaks as much of the Hugging Face hub's HTTP interface as models need.

Its repositories are in memory; a commit is named by the hash of its files. Huggingface_hub's real
client talks to it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import huggingface_hub.constants as constants
import pytest
import yaml

TOKEN = "hf_may_write"


@dataclass
class Repository:
    """``refs``: branches and tags, by the commit that they stand for; ``commits``: its files."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    private: bool = False
    gated: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        content = repr(sorted(files.items())) + self.refs.get(branch, "")
        name = hashlib.sha1(content.encode()).hexdigest()
        self.commits[name] = files
        self.refs[branch] = name
        return name


@dataclass
class FakeHub:
    """``requests``: what was asked for, as method and path; ``large``: files that were uploaded
    beside a commit, by SHA-256; ``down``: whether it fails."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    large: dict[str, bytes] = field(default_factory=dict)
    down: bool = False

    def add(self, name: str, folder: Path, **options: Any) -> Repository:
        """A repository with the files of a folder, and what the hub adds to any."""
        repository = self.repositories.setdefault(name, Repository(**options))
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        repository.commit(files | {".gitattributes": b"*.onnx filter=lfs"})
        return repository


class Refused(Exception):
    def __init__(self, status: int, code: str = "", message: str = "", **body: str) -> None:
        self.status, self.code, self.message = status, code, message
        self.body = {"error": message} | body


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, headers = 200, {"Content-Type": "application/json"}
        try:
            if self.hub.down:
                raise Refused(503, message="down for repairs")
            parts = path.strip("/").split("/")
            if parts[-3:] == ["lfs", "objects", "batch"]:
                content = json.dumps(self._large(json.loads(body))).encode()
            elif parts[0] == "upload":
                self.hub.large[hashlib.sha256(body).hexdigest()] = body
                content = b""
            elif parts[0] == "api":
                content = json.dumps(self._api(parts[1:], body)).encode()
            else:
                owner, name, _, revision, file = parts
                repository = self._repository(f"{owner}/{name}")
                commit = self._commit(repository, revision)
                if file not in repository.commits[commit]:
                    raise Refused(404, "EntryNotFound")
                content = repository.commits[commit][file]
                etag = hashlib.sha256(content).hexdigest()
                headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit}
        except Refused as refused:
            status, content = refused.status, json.dumps(refused.body).encode()
            headers = {"X-Error-Code": refused.code, "X-Error-Message": refused.message}
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _api(self, parts: list[str], body: bytes) -> Any:
        if parts == ["validate-yaml"]:
            head = yaml.safe_load(json.loads(body)["content"].split("---\n")[1])
            if not {"license", "tags", "pipeline_tag"} <= head.keys():
                raise Refused(400, message="the card lacks keys")
            return {"errors": [], "warnings": []}
        if parts == ["repos", "create"]:
            self._check_token()
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            url = {"url": f"{self.hub.url}/{name}"}
            if name in self.hub.repositories:
                raise Refused(409, message="you have this one already", **url)
            private = asked.get("visibility") == "private"
            repository = self.hub.repositories[name] = Repository(private=private)
            repository.commit({".gitattributes": b""})
            return url
        name, rest = "/".join(parts[1:3]), parts[3:]
        repository = self._repository(name)
        if rest[:1] == ["tree"]:
            files = repository.commits[self._commit(repository, rest[1])]
            return [
                {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
                for path, content in files.items()
            ]
        if rest[:1] == ["preupload"]:
            asked = json.loads(body)["files"]
            return {
                "files": [
                    {"path": file["path"], "uploadMode": self._mode(file), "shouldIgnore": False}
                    for file in asked
                ]
            }
        if rest[:1] == ["commit"]:
            self._check_token()
            return self._change(repository, body, name)
        commit = self._commit(repository, "/".join(rest[1:]) or "main")
        files = [{"rfilename": path} for path in repository.commits[commit]]
        return {"id": name, "sha": commit, "siblings": files, "private": repository.private}

    def _change(self, repository: Repository, body: bytes, name: str) -> Any:
        files = dict(repository.commits[repository.refs["main"]])
        for line in body.splitlines():
            change = json.loads(line)
            value = change["value"]
            if change["key"] == "header":
                if value.get("parentCommit") != repository.refs["main"]:
                    raise Refused(412, message="this is not the last commit")
                repository.messages.append(value["summary"])
            elif change["key"] == "deletedFile":
                del files[value["path"]]
            elif change["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            else:
                files[value["path"]] = base64.b64decode(value["content"])
        commit = repository.commit(files)
        return {"commitUrl": f"{self.hub.url}/{name}/commit/{commit}", "commitOid": commit}

    def _mode(self, file: dict[str, Any]) -> str:
        return "lfs" if file["path"].endswith(".onnx") else "regular"

    def _large(self, asked: dict[str, Any]) -> Any:
        """Git LFS's batch: where each file is to be put."""
        self._check_token()
        return {
            "transfer": "basic",
            "objects": [
                {**one, "actions": {"upload": {"href": f"{self.hub.url}/upload/{one['oid']}"}}}
                for one in asked["objects"]
            ],
        }

    def _check_token(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, message="Invalid username or password.")

    def _repository(self, name: str) -> Repository:
        repository = self.hub.repositories.get(name)
        allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repository is None or (repository.private and not allowed):
            raise Refused(404 if allowed else 401, "RepoNotFound", "Repository not found")
        if repository.gated and not allowed:
            raise Refused(403, "GatedRepo", "Access to this model is restricted")
        return repository

    def _commit(self, repository: Repository, revision: str) -> str:
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit


@contextmanager
def serve() -> Iterator[FakeHub]:
    """A hub without repositories, at ``url``."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def use(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub, which reads the environment once, talk to ``hub``, with no token."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    # Large files by Git LFS: Xet, which the hub prefers, is a service of its own.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
