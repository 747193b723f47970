"""A real git repository for tests, made without a work tree and without the user's configuration."""

import os
import subprocess
from pathlib import Path

from bot.domain.ids import Sha

Files = dict[str, str | bytes | None]


class Repository:
    """A bare repository at a path. A file's content None removes it; `links` makes symbolic links."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(path), inside=False)

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def commit(
        self,
        files: Files,
        message: str = "a change",
        *,
        branch: str = "main",
        onto: str | None = None,
        links: dict[str, str] | None = None,
        modules: dict[str, Sha] | None = None,
    ) -> Sha:
        """Commit files on top of a branch, or force it to a commit that stands on another one."""
        parent = self.head(branch) if onto is None else onto
        index = str(self.path / "test-index")
        self._git("read-tree", *([parent] if parent else ["--empty"]), index=index)
        lines = [self._line(name, content) for name, content in files.items()]
        lines += [f"120000 {self._blob(to)}\t{name}" for name, to in (links or {}).items()]
        lines += [f"160000 {sha}\t{name}" for name, sha in (modules or {}).items()]
        self._git(
            "update-index", "-z", "--add", "--index-info", index=index, given="\0".join([*lines, ""]).encode()
        )
        tree = self._git("write-tree", index=index)
        parents = ["-p", parent] if parent else []
        sha = self._git("commit-tree", tree, *parents, given=message.encode())
        self._git("update-ref", f"refs/heads/{branch}", sha)
        return Sha(sha)

    def bomb(self, depth: int, *, branch: str = "bomb") -> Sha:
        """Commit ten folders in each of ten folders, so many times: ten to the power of `depth + 1` files."""
        tree, below = "", f"100644 blob {self._blob('x')}\tf"
        for _ in range(depth + 1):
            lines = "".join(f"{below}{number}\n" for number in range(10))
            tree = self._git("mktree", given=lines.encode())
            below = f"040000 tree {tree}\td"
        sha = self._git("commit-tree", tree, given=b"a bomb")
        self._git("update-ref", f"refs/heads/{branch}", sha)
        return Sha(sha)

    def commit_many(self, count: int, name: str, content: str) -> list[Sha]:
        """Commits on main that each change one file; the content is formatted with the commit's number."""
        marks = self.path / "test-marks"
        stream = [f"feature done\nreset refs/heads/main\n{f'from {self.head()}' if self.head() else ''}\n"]
        for number in range(count):
            text = content.format(number)
            head = f"commit refs/heads/main\nmark :{number + 1}\ncommitter t <t@localhost> {number} +0000\n"
            stream.append(f"{head}data 1\n{number % 10}\nM 644 inline {name}\ndata {len(text)}\n{text}\n")
        self._git(
            "fast-import", "--quiet", f"--export-marks={marks}", given="".join([*stream, "done\n"]).encode()
        )
        found = dict(line.split() for line in marks.read_text().splitlines())
        return [Sha(found[f":{number + 1}"]) for number in range(count)]

    def head(self, branch: str = "main") -> Sha | None:
        found = self._git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        return Sha(found) if found else None

    def message(self, sha: str) -> str:
        return self._git("log", "-1", "--format=%B", sha)

    def force(self, branch: str, sha: str) -> None:
        self._git("update-ref", f"refs/heads/{branch}", sha)

    def delete(self, branch: str) -> None:
        self._git("update-ref", "-d", f"refs/heads/{branch}")

    def point(self, ref: str, sha: str) -> None:
        """Make any ref point at a commit, as GitHub does with those of pull requests."""
        self._git("update-ref", ref, sha)

    def annotate(self, tag: str, sha: str) -> None:
        """Make an annotated tag."""
        self._git("tag", "--annotate", "--message", tag, tag, sha)

    def merge(self, branch: str, other: str) -> Sha:
        """A merge of another branch that takes all of it, as of one that is up to date."""
        parents = [part for name in (branch, other) for part in ("-p", f"refs/heads/{name}")]
        sha = self._git("commit-tree", f"refs/heads/{other}^{{tree}}", *parents, given=b"Merge")
        self.force(branch, sha)
        return Sha(sha)

    def tree_with(self, name: str, content: str, branch: str) -> Sha:
        """A commit whose tree holds one file of any name, one that git itself would refuse, too."""
        tree = self._git("mktree", given=f"100644 blob {self._blob(content)}\t{name}\n".encode())
        if "/" in name:
            raise ValueError(name)
        sha = self._git("commit-tree", tree, given=b"hostile")
        self._git("update-ref", f"refs/heads/{branch}", sha)
        return Sha(sha)

    def _line(self, name: str, content: str | bytes | None) -> str:
        if content is None:
            return f"0 {'0' * 40}\t{name}"
        return f"100644 {self._blob(content)}\t{name}"

    def _blob(self, content: str | bytes) -> str:
        data = content.encode() if isinstance(content, str) else content
        return self._git("hash-object", "-w", "--stdin", given=data)

    def _git(self, *argv: str, given: bytes = b"", index: str | None = None, inside: bool = True) -> str:
        person = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", "Test"), ("EMAIL", "test@example.org"))
        }
        plain = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        where = {"GIT_INDEX_FILE": index} if index else {}
        command = ["git", *(["--git-dir", str(self.path)] if inside else []), *argv]
        environment = {**os.environ, **person, **plain, **where}
        done = subprocess.run(command, input=given, env=environment, check=True, capture_output=True)
        return done.stdout.decode().strip()
