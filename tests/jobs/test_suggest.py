import pytest

from jobs.suggest import MAX_DIRECTORIES, Suggestion, chosen, suggest

Files = dict[str, bytes]


def look(files: Files, root: str | None = None) -> list[Suggestion]:
    def read(path: str, max_bytes: int) -> bytes | None:
        content = files[path]
        return content if len(content) <= max_bytes else None

    return suggest(list(files), read, root)


VITE = b'{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}, "packageManager": "pnpm@9"}'


@pytest.mark.parametrize(
    ("files", "roots"),
    [
        ({"index.html": b""}, [("", "plain HTML")]),
        ({"public/index.html": b""}, [("", "plain HTML")]),
        ({"package.json": VITE, "docs/mkdocs.yml": b""}, [("", "Vite"), ("docs", "MkDocs")]),
        ({"package.json": b"{}", "apps/web/package.json": VITE}, [("apps/web", "Vite")]),
        ({"package.json": b"not json", "index.html": b""}, [("", "plain HTML")]),
        ({"slipway.toml": b"", "main.c": b""}, [("", "slipway.toml")]),
        (
            {"docs/.vitepress/config.js": b"", "package.json": b'{"dependencies": {"vitepress": "1"}}'},
            [("", "VitePress")],
        ),
        ({"node_modules/x/package.json": VITE, "tests/site/index.html": b""}, []),
        ({"a/b/c/d/index.html": b""}, []),
        ({"README.md": b""}, []),
    ],
)
def test_directories_that_can_be_apps(files: Files, roots: list[tuple[str, str]]):
    assert [(one.root, one.framework) for one in look(files)] == roots


def test_a_named_root_is_the_only_one_that_is_looked_at():
    files = {"index.html": b"", "web/package.json": VITE}
    (found,) = look(files, "web/")
    assert (found.root, found.build, found.output) == ("web", "pnpm run build", "dist")
    assert look(files, "nowhere") == []


def test_the_top_or_the_only_one_is_meant():
    top, below = look({"index.html": b"", "web/index.html": b""})
    assert chosen([top, below]) is top
    assert chosen([below]) is below
    assert chosen([below, below]) is None
    assert chosen([]) is None


def test_a_repository_of_many_directories_is_looked_at_in_part():
    files = {f"site{number:03}/index.html": b"" for number in range(200)}
    assert len(look(files)) == MAX_DIRECTORIES - 1
