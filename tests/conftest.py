"""What every test runs under: its own home, no network, no screen, and a GPU if there is one.

Neither torch nor Qt is imported here: a test that needs none does not wait for one.
"""

from __future__ import annotations

import functools
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GPU_TESTS = Path(__file__).parent / "gpu"
KERNELS = ROOT / "engine" / "kernels"

# Read when the application object is made, which pytest-qt does once for the whole run.
os.environ["QT_QPA_PLATFORM"] = "offscreen"
# Another style, or messages of Qt's own for which tests fail, would come with these.
for _name in ("QT_STYLE_OVERRIDE", "QT_QPA_PLATFORMTHEME", "QT_LOGGING_RULES", "QT_DEBUG_PLUGINS"):
    os.environ.pop(_name, None)
# A hub library that would reach for the network fails at once instead of retrying.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(autouse=True, scope="session")
def hearth_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Data, cache, config and log folders of the run: shared, as a conversion takes seconds."""
    home = tmp_path_factory.mktemp("hearth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEARTH_HOME", str(home))
        yield home


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of one test's own, for a test of the first start or of what is stored."""
    home = tmp_path / "home"
    monkeypatch.setenv("HEARTH_HOME", str(home))
    return home


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compiles the C++ kernels beside their source, so that no engine of a test does it again."""
    if hasattr(session.config, "workerinput"):
        return  # a worker of xdist, whose controller has done it
    sources = (KERNELS / "cpu.cpp", ROOT / "engine" / "device" / "cpp.py")
    changed = max(source.stat().st_mtime for source in sources)
    built = [file.stat().st_mtime for file in (KERNELS / "built").glob("cpu-*.sha256")]
    if not built or max(built) < changed:
        subprocess.run([sys.executable, "-m", "engine.device.cpp"], cwd=ROOT, check=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(GPU_TESTS):
            item.add_marker(pytest.mark.gpu)


def pytest_collection_finish() -> None:
    """Objects of imported modules are not looked at again by each collection, as in the engine."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not has_cuda_gpu():
        pytest.skip("needs a CUDA GPU: torch sees none here")


@functools.cache
def has_cuda_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
