"""Records and entries lie on disk: nobody else may read them, nor lead our writes elsewhere."""

import os
import stat
from pathlib import Path

import pytest

from sync_pipeline.private_files import (
    create_private,
    is_own_folder,
    make_private_folder,
    open_private,
)
from sync_pipeline_tests.harness.project import Project


@pytest.fixture(autouse=True)
def open_umask():
    """What a shell usually has: new files may be read by all."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_missing_folder_on_the_way_is_for_this_user_alone(tmp_path: Path) -> None:
    made = make_private_folder(tmp_path / "a" / "b" / "c")
    assert [mode_of(path) for path in (made, *made.parents[:2])] == [0o700] * 3


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o750)
    make_private_folder(shared)
    assert mode_of(shared) == 0o750


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_a_new_file_is_for_this_user_alone(tmp_path: Path, mode) -> None:
    with open_private(tmp_path / "new", mode) as file:
        file.write(b"x")
    assert mode_of(tmp_path / "new") == 0o600


def test_a_library_finds_a_file_that_is_for_this_user_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("content")
    assert create_private(tmp_path / "kept").read_text() == "content"
    assert mode_of(create_private(tmp_path / "new")) == 0o600


@pytest.mark.parametrize(
    "write",
    [
        lambda path: open_private(path, "wb"),
        lambda path: open_private(path, "a", encoding="ascii"),
        create_private,
    ],
)
def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path, write) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        write(tmp_path / "link")
    assert victim.read_text() == "theirs"


@pytest.mark.parametrize(
    ("made", "is_own"),
    [
        (lambda path: path.mkdir(mode=0o700), True),
        (lambda path: path.mkdir(mode=0o755), True),
        (lambda path: (path.mkdir(), path.chmod(0o777)), False),
        (lambda path: (path.mkdir(), path.chmod(0o770)), False),
        (lambda path: path.symlink_to(path.parent, target_is_directory=True), False),
        (lambda path: path.write_text("a file"), False),
    ],
    ids=["ours", "others-may-read", "all-may-write", "group-may-write", "link", "file"],
)
def test_a_folder_is_ours_if_nobody_else_can_write_into_it(tmp_path: Path, made, is_own) -> None:
    made(tmp_path / "folder")
    assert is_own_folder(tmp_path / "folder") is is_own


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give away")
def test_the_folder_of_another_user_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", 12345, 12345)
    assert not is_own_folder(tmp_path / "theirs")


def test_nothing_that_a_run_leaves_can_be_read_by_others(project: Project) -> None:
    project.apply()
    storage = project.storage
    found = [path for path in storage.rglob("*") if path.is_file() or path.is_dir()]
    assert len(found) > 10
    assert {str(path) for path in found if mode_of(path) & 0o077} == set()
