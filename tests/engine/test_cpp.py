"""A library of C++: built once, checked when it is loaded, done without if nobody builds it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.device import cpp
from engine.device.cpp import CompilerError
from engine.kernels import cpu

SMALL = 'extern "C" __attribute__((visibility("default"))) int answer() { return 42; }\n'


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small one in place of Hearth's, and a home for what is built."""
    file = tmp_path / "small.cpp"
    file.write_text(SMALL)
    monkeypatch.setattr(cpp, "SOURCE", file)
    monkeypatch.setenv("HEARTH_HOME", str(tmp_path / "home"))
    return file


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)


needs_compiler = pytest.mark.skipif(cpp.compiler() is None, reason="no C++ compiler is here")


@needs_compiler
@pytest.mark.usefixtures("source")
def test_a_library_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cpp.library().answer() == 42
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert cpp.library().answer() == 42


@needs_compiler
def test_a_damaged_library_is_made_again(source: Path, caplog: pytest.LogCaptureFixture) -> None:
    cpp.library()
    (built,) = source.parent.glob("home/**/small-*[!6]")
    content = built.read_bytes()
    built.unlink()  # this process has the other one mapped
    built.write_bytes(content[: len(content) // 2])
    assert cpp.library().answer() == 42
    assert "is damaged" in caplog.text


@needs_compiler
def test_what_the_compiler_says_is_told(source: Path) -> None:
    source.write_text("int answer( {")
    with pytest.raises(CompilerError, match=r"error"):
        cpp.library()


@pytest.mark.usefixtures("source", "no_compiler")
def test_without_a_compiler_there_is_no_library() -> None:
    assert not cpp.at_hand()
    with pytest.raises(CompilerError, match="there is no C\\+\\+ compiler on this computer"):
        cpp.library()


@pytest.mark.usefixtures("source", "no_compiler")
def test_without_a_library_kernels_are_not_used() -> None:
    cpu._library.cache_clear()
    try:
        assert cpu.library() is None
    finally:
        cpu._library.cache_clear()
