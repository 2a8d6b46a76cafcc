"""Atomic writing: whatever happens, and whenever the process is killed, a file is old or new, and whole."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autofix.source.write import WriteError, replace_files, write_atomically

OLD, NEW = b"old\n" * 200_000, b"new!\n" * 300_000

KILLED = """
import sys
from pathlib import Path
from autofix.source.write import replace_files
path, old, new = Path(sys.argv[1]), b"old\\n" * 200_000, b"new!\\n" * 300_000
print("ready", flush=True)
while True:
    replace_files([(path, old, new)])
    replace_files([(path, new, old)])
"""


def test_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_bytes(OLD)
    seen = set()
    chance = random.Random(0)
    for _ in range(25):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.001, 0.05))
        process.kill()
        process.wait()
        process.stdout.close()
        content = path.read_bytes()
        assert content in (OLD, NEW)
        seen.add(content)
        path.write_bytes(OLD)
    assert seen == {OLD, NEW}


def test_mode_and_link_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "net.py", tmp_path / "link.py"
    path.write_bytes(b"old")
    path.chmod(0o751)
    link.symlink_to(path)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o751


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    write_atomically(tmp_path / "new", b"")
    assert (tmp_path / "new").stat().st_mode == usual.stat().st_mode


def test_a_file_that_changed_is_left_alone(tmp_path: Path) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_bytes(b"one")
    two.write_bytes(b"edited")
    with pytest.raises(WriteError, match="has changed since it was read"):
        replace_files([(one, b"one", b"1"), (two, b"two", b"2")])
    assert (one.read_bytes(), two.read_bytes()) == (b"one", b"edited")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.py", "two.py"]


def test_several_files(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"old")
    replace_files((path, b"old", b"new") for path in paths)
    assert [path.read_bytes() for path in paths] == [b"new"] * 3
    assert len(list(tmp_path.iterdir())) == 3


def test_the_first_file_is_put_back_where_the_second_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target == two:
            raise PermissionError(13, "Permission denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(WriteError, match=r"two\.py: Permission denied"):
        replace_files([(one, b"one", b"1"), (two, b"two", b"2")])
    assert (one.read_bytes(), two.read_bytes()) == (b"one", b"two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.py", "two.py"]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="No such file"):
        write_atomically(tmp_path / "none" / "net.py", b"")
