import os
from pathlib import Path

import pytest

from jobs.artifacts.tree import ChangedError, open_seen, scan


def _nothing() -> None:
    pass


@pytest.mark.parametrize("swap", ["file", "folder", "gone", "pipe", "another"])
def test_what_was_swapped_after_the_scan_is_not_opened(tmp_path: Path, swap: str):
    root, host = tmp_path / "dist", tmp_path / "host"
    for folder in (root / "sub", host):
        folder.mkdir(parents=True)
        (folder / "page.html").write_text(folder.name)
    seen = scan(str(root), max_files=10, check=_nothing).files["sub/page.html"]
    page = root / "sub" / "page.html"
    os.close(open_seen(str(page), seen))
    page.rename(tmp_path / "moved")
    match swap:
        case "file":
            page.symlink_to(host / "page.html")
        case "folder":
            page.parent.rmdir()
            page.parent.symlink_to(host)
        case "pipe":
            os.mkfifo(page)
        case "another":
            page.write_text("sub")
        case _:
            pass
    with pytest.raises(ChangedError):
        open_seen(str(page), seen)


def test_long_paths_are_left_out_with_all_below(tmp_path: Path):
    # Deeper than one path may name: made and walked step by step.
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    tree = scan(str(tmp_path), max_files=10, check=_nothing)
    assert not tree.files
    assert [reason for _, reason in tree.left_out] == ["its path is longer than 1,024 bytes"]


def test_stop_is_asked_in_every_folder(tmp_path: Path):
    for number in range(5):
        (tmp_path / str(number)).mkdir()
    asked: list[None] = []
    scan(str(tmp_path), max_files=10, check=lambda: asked.append(None))
    assert len(asked) == 6
