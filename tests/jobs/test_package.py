import hashlib
import os
import socket
import stat
import threading
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.contents import Manifest, decode
from bot.errors import ErrorCode, UserError
from jobs.artifacts.disk import DiskStore, moment_of
from jobs.artifacts.materialise import materialise
from jobs.steps import package
from jobs.stopping import StoppedError
from tests.packing import Bench, plan


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.output.mkdir(parents=True)
    return bench


def _pack(bench: Bench, *, build: tuple[str, ...] = ("make",)) -> package.Packed:
    return package.run(bench.context(), bench.output, plan(build=build), bench.store)


def _manifest(bench: Bench, packed: package.Packed) -> Manifest:
    return decode(DiskStore(bench.artifacts).read(packed.manifest))


def _files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def _write(folder: Path, tree: dict[str, bytes]) -> None:
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


_TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=8
)
_NAMES = st.builds(str.__add__, _TEXT, st.sampled_from(["", ".html", ".html.br", ".JS"]))
_TREES = st.dictionaries(
    st.lists(_NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3).map(tuple),
    st.binary(max_size=40) | st.binary(min_size=1, max_size=9).map(lambda piece: piece * 400),
    min_size=1,
    max_size=8,
).filter(lambda tree: not any(path[:cut] in tree for path in tree for cut in range(1, len(path))))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=_TREES)
def test_what_is_packed_comes_out_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[tuple[str, ...], bytes]
):
    bench = Bench(tmp_path_factory.mktemp("home"))
    files = {"/".join(path): content for path, content in tree.items()}
    files = {
        path: content
        for path, content in files.items()
        if path not in ("_redirects", "_headers")
        and not any(name.lower().startswith((".git", ".env")) for name in path.split("/"))
    } | {"index.html": b"x"}
    _write(bench.output, files)
    packed = _pack(bench)
    target = bench.home / "releases" / "1"
    materialise(DiskStore(bench.artifacts), packed.manifest, target)
    suffixes = {"br": ".br", "gzip": ".gz", "zstd": ".zst"}
    variants = {
        path + suffixes[encoding]
        for path, file in _manifest(bench, packed).files.items()
        for encoding in file.encodings
    }
    published = _files(target / "files")
    assert {path: published[path] for path in files} == files
    assert published.keys() - files.keys() <= variants
    assert (packed.files, packed.size) == (len(files), sum(map(len, files.values())))


def test_only_changed_content_is_stored_and_equal_trees_have_equal_manifests(bench: Bench):
    _write(bench.output, {f"page-{number}.html": b"page %d" % number for number in range(50)})
    first = _pack(bench)
    assert (first.new_files, first.new_bytes) == (50, sum(len(b"page %d" % number) for number in range(50)))
    assert _pack(bench) == package.Packed(first.manifest, 50, first.size, 0, 0)
    (bench.output / "page-7.html").write_bytes(b"another")
    changed = _pack(bench)
    assert (changed.new_files, changed.new_bytes, changed.files) == (1, 7, 50)
    assert "50 files, 341 B; 1 new, 7 B stored; 49 were there already" in bench.said()


def test_blobs_are_read_only_and_dated_by_their_digest(bench: Bench):
    _write(bench.output, {"a.txt": b"equal", "b/c.txt": b"equal", "d.txt": b"different"})
    manifest = _manifest(bench, _pack(bench))
    store = DiskStore(bench.artifacts)
    assert manifest.files["a.txt"].digest == manifest.files["b/c.txt"].digest
    for file in manifest.files.values():
        status = Path(store.path(file.digest)).stat()
        assert stat.S_IMODE(status.st_mode) == 0o444
        assert status.st_mtime_ns == moment_of(file.digest)
        assert 0 <= status.st_mtime < 1.2e9
        assert hashlib.sha256(store.read(file.digest)).hexdigest() == file.digest


def test_left_out_is_said_by_name(bench: Bench):
    secret = bench.home / "secret"
    secret.write_text("the host's")
    _write(
        bench.output,
        {
            "index.html": b"home",
            ".well-known/security.txt": b"kept",
            ".git/config": b"no",
            "sub/.git": b"gitdir: /elsewhere",
            ".env": b"TOKEN=1",
            "sub/.env.local": b"TOKEN=2",
            "line\nbreak.txt": b"no",
            "back\\slash.txt": b"no",
            "esc\x1b[31m.txt": b"no",
        },
    )
    Path(os.fsdecode(os.fsencode(bench.output) + b"/bad-\xff.txt")).write_bytes(b"no")
    out = bench.output
    (out / "inside.html").symlink_to("index.html")
    (out / "absolute-inside.html").symlink_to(out / "index.html")
    (out / "outside").symlink_to(secret)
    (out / "outside-folder").symlink_to(bench.home)
    (out / "climbing").symlink_to("../../secret")
    (out / "broken").symlink_to("nowhere")
    (out / "loop").symlink_to("loop")
    (out / "cycle").symlink_to(".")
    (out / "to-env").symlink_to(".env")
    (out / "through").symlink_to("outside-folder/secret")
    os.mkfifo(out / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(out / "sock"))
    manifest = _manifest(bench, _pack(bench))
    assert set(manifest.files) == {
        "index.html",
        "inside.html",
        "absolute-inside.html",
        ".well-known/security.txt",
    }
    assert manifest.files["inside.html"] == manifest.files["index.html"]
    said = set(bench.said().splitlines())
    for line in (
        "left out: .git: git's own files are never published",
        "left out: sub/.git: git's own files are never published",
        "left out: .env: files of environment variables are never published",
        "left out: sub/.env.local: files of environment variables are never published",
        "left out: outside: it is a link that leaves the output directory",
        "left out: outside-folder: it is a link that leaves the output directory",
        "left out: climbing: it is a link that leaves the output directory",
        "left out: through: it is a link that leaves the output directory",
        "left out: broken: it is a link to nothing",
        "left out: loop: it is a link to nothing",
        "left out: cycle: it is a link that leaves the output directory",
        "left out: to-env: it is a link to something that is left out",
        "left out: pipe: it is a named pipe",
        "left out: sock: it is a socket",
    ):
        assert line in said
    names = [r"line\nbreak.txt", r"back\slash.txt", r"esc\x1b[31m.txt", r"bad-\xff.txt"]
    assert all(any(line.startswith(f"left out: {name}: its name has") for line in said) for name in names)


def test_many_left_out_are_counted(bench: Bench):
    _write(bench.output, {"index.html": b"home"} | {f".env.{number:03}": b"x" for number in range(30)})
    _pack(bench)
    lines = [line for line in bench.said().splitlines() if "left out" in line]
    assert len(lines) == 21
    assert lines[-1] == "... in all 30 entries are left out"


def test_rules_are_kept_but_not_published(bench: Bench):
    _write(
        bench.output, {"index.html": b"home", "_redirects": b"/a /b", "_headers": b"/*", "sub/_headers": b"x"}
    )
    packed = _pack(bench)
    manifest = _manifest(bench, packed)
    assert set(manifest.files) == {"index.html", "sub/_headers"}
    assert manifest.redirects is not None
    assert manifest.headers is not None
    store = DiskStore(bench.artifacts)
    assert (store.read(manifest.redirects), store.read(manifest.headers)) == (b"/a /b", b"/*")


def test_text_gets_variants_that_decode_to_it_and_are_made_once(bench: Bench):
    text = b"<p>hello, dear visitor</p>\n" * 200
    noise = hashlib.shake_256(b"seed").digest(5000)
    _write(bench.output, {"a.html": text, "b.js": noise, "c.png": text, "small.css": b"a{}" * 300})
    manifest = _manifest(bench, _pack(bench))
    assert set(manifest.files["a.html"].encodings) == {"br", "gzip", "zstd"}
    assert not manifest.files["b.js"].encodings
    assert not manifest.files["c.png"].encodings
    assert not manifest.files["small.css"].encodings
    remembered = bench.artifacts / "variants" / manifest.files["a.html"].digest[:2]
    (note,) = remembered.iterdir()
    before = note.stat().st_mtime_ns
    (bench.home / "caches" / "index" / "1.msgpack").unlink()
    assert _manifest(bench, _pack(bench)) == manifest
    assert note.stat().st_mtime_ns == before


def test_an_unchanged_source_is_not_read_again_but_a_built_file_is(bench: Bench):
    _write(bench.output, {f"{number}.html": b"page %d" % number for number in range(20)})
    _settle(bench)
    first = _pack(bench, build=())
    # A missing blob shows who reads: only who does can store it again.
    Path(DiskStore(bench.artifacts).path(_manifest(bench, first).files["7.html"].digest)).unlink()
    assert _pack(bench, build=()) == package.Packed(first.manifest, 20, first.size, 0, 0)
    assert _pack(bench).new_files == 1


def test_forged_times_do_not_hide_a_change(bench: Bench):
    _write(bench.output, {"a.html": b"old", "b.html": b"same"})
    _settle(bench)
    first = _pack(bench, build=())
    page = bench.output / "a.html"
    was = page.stat()
    page.write_bytes(b"new")
    os.utime(page, ns=(was.st_atime_ns, was.st_mtime_ns))
    now = page.stat()
    assert (now.st_ino, now.st_size, now.st_mtime_ns) == (was.st_ino, was.st_size, was.st_mtime_ns)
    second = _pack(bench, build=())
    assert second.manifest != first.manifest
    assert second.new_files == 1


def _settle(bench: Bench) -> None:
    """Wait until a scan would believe the files' ctimes."""
    newest = max(path.stat().st_ctime_ns for path in bench.output.iterdir())
    while time.time_ns() < newest + 150_000_000:
        threading.Event().wait(0.01)


def test_an_index_is_of_no_use_when_its_manifest_is_gone(bench: Bench):
    _write(bench.output, {"a.html": b"old"})
    _settle(bench)
    first = _pack(bench, build=())
    store = DiskStore(bench.artifacts)
    for digest in (_manifest(bench, first).files["a.html"].digest, first.manifest):
        Path(store.path(digest)).unlink()
    Path(store.mark(first.manifest)).unlink()
    assert _pack(bench, build=()).new_files == 1
    assert store.has(_manifest(bench, first).files["a.html"].digest)


def test_a_damaged_index_is_ignored(bench: Bench):
    _write(bench.output, {"a.html": b"old"})
    first = _pack(bench, build=())
    (bench.home / "caches" / "index" / "1.msgpack").write_bytes(b"\x82\xa8torn")
    assert _pack(bench, build=()).manifest == first.manifest


def test_limits_are_facts_before_any_content_is_stored(bench: Bench):
    _write(bench.output, {"big.bin": b"x" * 2000, "bigger.bin": b"x" * 3000, "ok.html": b"x"})
    with pytest.raises(UserError) as caught:
        package.run(bench.context(max_file_bytes=1000), bench.output, plan(), bench.store)
    assert caught.value.code is ErrorCode.FILE_TOO_LARGE
    assert caught.value.facts == {"path": "bigger.bin", "size": 3000, "limit": 1000}
    assert "big.bin: 2 KB, above the limit of 1 KB" in bench.said()
    with pytest.raises(UserError) as caught:
        package.run(bench.context(max_files=2), bench.output, plan(), bench.store)
    assert caught.value.facts == {"count": 3, "limit": 2}
    assert not bench.artifacts.exists()


def test_a_flood_of_entries_ends_the_walk(bench: Bench):
    for number in range(25):
        (bench.output / f"folder-{number}").mkdir()
    with pytest.raises(UserError) as caught:
        package.run(bench.context(max_files=2), bench.output, plan(), bench.store)
    assert caught.value.facts == {"count": 20, "limit": 2}


@pytest.mark.parametrize("made", ["nothing", "file", "link"])
def test_a_missing_output_is_told(bench: Bench, made: str):
    bench.output.rmdir()
    match made:
        case "file":
            bench.output.write_text("not a folder")
        case "link":
            (bench.home / "elsewhere").mkdir()
            (bench.home / "elsewhere" / "secret.html").write_text("the host's")
            bench.output.symlink_to(bench.home / "elsewhere")
        case _:
            pass
    with pytest.raises(UserError) as caught:
        _pack(bench)
    assert (caught.value.code, caught.value.facts) == (ErrorCode.OUTPUT_MISSING, {"directory": "dist"})


def test_a_folder_above_the_output_may_not_be_a_link_out_either(bench: Bench):
    _write(bench.home / "elsewhere", {"public/secret.html": b"the host's"})
    (bench.home / "work" / "build").symlink_to(bench.home / "elsewhere")
    with pytest.raises(UserError) as caught:
        package.run(
            bench.context(),
            bench.output.parent / "build" / "public",
            plan(output="build/public"),
            bench.store,
        )
    assert caught.value.code is ErrorCode.OUTPUT_MISSING


def test_an_output_of_nothing_publishable_is_told(bench: Bench):
    _write(bench.output, {".env": b"x"})
    (bench.output / "empty").mkdir()
    with pytest.raises(UserError) as caught:
        _pack(bench)
    assert (caught.value.code, caught.value.facts) == (ErrorCode.OUTPUT_EMPTY, {"directory": "dist"})
    assert not list((bench.artifacts / "manifests").iterdir())


def test_a_stop_ends_the_work_and_leaves_nothing(bench: Bench):
    _write(bench.output, {f"{number}.html": b"page %d" % number for number in range(100)})
    bench.stop = True
    with pytest.raises(StoppedError):
        _pack(bench)
    assert not [path for path in bench.artifacts.rglob("*") if path.is_file() and path.name != "lock"]


def test_a_whole_site_of_source_is_its_own_output(bench: Bench):
    _write(bench.output, {"index.html": b"home", ".git/HEAD": b"ref"})
    packed = package.run(bench.context(), bench.output, plan(output=".", build=()), bench.store)
    assert set(_manifest(bench, packed).files) == {"index.html"}


def test_large_files_are_streamed(bench: Bench):
    content = hashlib.shake_256(b"large").digest(1 << 20) * 33
    _write(bench.output, {"video.mp4": content, "same.mp4": content})
    packed = package.run(bench.context(max_file_bytes=len(content)), bench.output, plan(), bench.store)
    file = _manifest(bench, packed).files["video.mp4"]
    assert (file.digest, file.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (packed.new_files, packed.files) == (1, 2)
    assert stat.S_IMODE(Path(DiskStore(bench.artifacts).path(file.digest)).stat().st_mode) == 0o444


def test_the_manifest_is_canonical_json(bench: Bench):
    _write(bench.output, {"b.txt": b"1", "a.txt": b"2"})
    data = DiskStore(bench.artifacts).read(_pack(bench).manifest)
    assert list(msgspec.json.decode(data)["files"]) == ["a.txt", "b.txt"]
