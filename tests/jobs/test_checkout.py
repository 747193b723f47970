from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.ids import Sha
from bot.errors import ErrorCode, UserError
from bot.settings import Settings
from jobs.git import Mirrors
from jobs.steps import checkout
from jobs.steps.context import Source
from jobs.stopping import StoppedError
from tests.fakes.contexts import make_app, make_context
from tests.fakes.log import CollectedLog
from tests.fakes.repository import Repository


class Desk:
    def __init__(self, tmp_path: Path) -> None:
        self.home = tmp_path / "home"
        self.repository = Repository(tmp_path / "origin.git")
        self.app = make_app(self.repository.url)
        self.mirrors = Mirrors(Settings(home=self.home), lambda _: None)  # pyright: ignore[reportCallIssue]
        self.log = CollectedLog()

    def check_out(self, sha: Sha) -> Source:
        return checkout.run(make_context(self.home, self.app, sha, log=self.log), self.mirrors)

    def refused(self, sha: Sha) -> UserError:
        with pytest.raises(UserError) as caught:
            self.check_out(sha)
        return caught.value


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def files_of(source: Source) -> dict[str, str]:
    return {
        str(path.relative_to(source.tree)): path.read_text()
        for path in sorted(source.tree.rglob("*"))
        if path.is_file()
    }


def test_the_tree_is_brought_to_the_commit_and_back(desk: Desk):
    first = desk.repository.commit({"a": "1", "sub/b": "2", ".gitignore": "*.log\n"}, "First\n\nbody")
    second = desk.repository.commit({"a": "3", "sub/b": None, "c": "4"})
    source = desk.check_out(first)
    assert files_of(source) == {"a": "1", "sub/b": "2", ".gitignore": "*.log\n"}
    assert desk.log.said == [
        f"fetched {first}",
        f'checked out {first} (main): "First"',
    ]
    assert files_of(desk.check_out(second)) == {"a": "3", "c": "4", ".gitignore": "*.log\n"}
    assert files_of(desk.check_out(first)) == {"a": "1", "sub/b": "2", ".gitignore": "*.log\n"}
    assert not (source.tree / ".git").exists()


def test_what_is_not_the_commits_is_taken_away_and_restored(desk: Desk):
    sha = desk.repository.commit({"a": "1", "sub/b": "2", ".gitignore": "*.log\n"})
    source = desk.check_out(sha)
    (source.tree / "a").write_text("changed")
    (source.tree / "x.log").write_text("ignored")
    (source.tree / "new" / "deep").mkdir(parents=True)
    (source.tree / "new" / "deep" / "f").write_text("more")
    Repository(source.tree / "nested" / "r.git").commit({"a": "1"})
    (source.tree / "sub" / "b").unlink()
    assert files_of(desk.check_out(sha)) == {"a": "1", "sub/b": "2", ".gitignore": "*.log\n"}


@pytest.mark.parametrize("damage", ["index", "index.lock", "tree"])
def test_a_damaged_tree_is_made_anew(desk: Desk, damage: str):
    first = desk.repository.commit({"a": "1"})
    folder = desk.check_out(first).tree.parent
    if damage == "tree":
        (folder / "tree" / "a").unlink()
        (folder / "tree" / "a").mkdir()
        (folder / "tree" / "a" / "full").touch()
    else:
        (folder / damage).write_text("nonsense")
    second = desk.repository.commit({"a": "2", "b": "3"})
    assert files_of(desk.check_out(second)) == {"a": "2", "b": "3"}


def test_the_root_directory_decides_the_digest(desk: Desk):
    desk.app = replace(desk.app, root_directory="web")
    first = desk.check_out(desk.repository.commit({"web/a": "1", "api/a": "1"}))
    other = desk.check_out(desk.repository.commit({"api/a": "2"}))
    changed = desk.check_out(desk.repository.commit({"web/a": "2"}))
    assert first.root == first.tree / "web"
    assert first.digest == other.digest != changed.digest


def test_a_root_directory_that_is_missing_or_a_link_is_refused(desk: Desk):
    sha = desk.repository.commit({"a": "1"}, links={"web": "/etc"})
    for root in ("nothing", "web", "a"):
        desk.app = replace(desk.app, root_directory=root)
        assert desk.refused(sha).code is ErrorCode.ROOT_MISSING


def test_links_stay_links(desk: Desk):
    sha = desk.repository.commit({"a": "1"}, links={"out": "/etc/passwd", "in": "a"})
    source = desk.check_out(sha)
    assert (source.tree / "out").readlink() == Path("/etc/passwd")
    assert (source.tree / "in").is_symlink()


def test_a_commit_that_would_write_through_a_link_is_held_inside(desk: Desk, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    desk.check_out(desk.repository.commit({"a": "1"}, links={"dir": str(outside)}))
    desk.check_out(desk.repository.commit({"dir": None}))
    desk.check_out(desk.repository.commit({"dir/file": "x"}))
    assert list(outside.iterdir()) == []


def test_a_path_that_git_refuses_is_told(desk: Desk):
    sha = desk.repository.tree_with(".git", "evil", "main")
    error = desk.refused(sha)
    assert error.code is ErrorCode.CHECKOUT_REFUSED
    assert ".git" in str(error.facts["detail"])


def test_a_commit_that_is_gone_is_told(desk: Desk):
    desk.repository.commit({"a": "1"})
    assert desk.refused(Sha("1" * 40)).code is ErrorCode.COMMIT_GONE


def test_submodules_and_large_files_are_said(desk: Desk):
    files = {
        ".gitmodules": '[submodule "lib"]\n\tpath = lib\n\turl = https://x.example/lib\n',
        ".gitattributes": "*.psd filter=lfs diff=lfs merge=lfs -text\n",
        "art/a.psd": "version https://git-lfs.github.com/spec/v1\n",
    }
    sha = desk.repository.commit({**files}, modules={"lib": Sha("2" * 40)})
    source = desk.check_out(sha)
    assert "submodules; they are not fetched" in desk.log.text
    assert "1 files are in Git LFS" in desk.log.text
    assert "art/a.psd" in desk.log.text
    assert list((source.tree / "lib").iterdir()) == []
    desk.check_out(sha)


def test_stopped_work_checks_nothing_out(desk: Desk):
    sha = desk.repository.commit({"a": "1"})
    context = make_context(desk.home, desk.app, sha, stopped=lambda: True)
    with pytest.raises(StoppedError):
        checkout.run(context, desk.mirrors)
    assert not (desk.home / "trees").exists()


def test_a_kept_tree_writes_only_what_differs(desk: Desk):
    files = {f"d{number % 7}/f{number}": str(number) for number in range(200)}
    source = desk.check_out(desk.repository.commit({**files}))
    before = {path: path.stat().st_mtime_ns for path in source.tree.rglob("f*")}
    desk.check_out(desk.repository.commit({"d1/f1": "changed"}))
    written = [path.name for path, moment in before.items() if path.stat().st_mtime_ns != moment]
    assert written == ["f1"]


def test_a_tag_names_a_commit_and_an_annotated_one_what_it_points_at(desk: Desk):
    first, second = desk.repository.commit({"a": "1"}), desk.repository.commit({"a": "2"})
    desk.repository.point("refs/tags/v1", first)
    desk.repository.annotate("v2", second)
    context = make_context(desk.home, desk.app, first, log=desk.log)
    assert checkout.tagged(context, desk.mirrors, "v1") == first
    assert checkout.tagged(context, desk.mirrors, "v2") == second
    with pytest.raises(UserError) as caught:
        checkout.tagged(context, desk.mirrors, "v3")
    assert caught.value.code is ErrorCode.TAG_GONE
