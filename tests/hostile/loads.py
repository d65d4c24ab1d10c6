"""Hostile headers and settings, loaded one after the other in a process of limited memory.

`python -m tests.hostile.loads FOLDER COUNT` loads the first COUNT inputs of each kind in KINDS and
prints one JSON object: how many were refused and how many loaded of each, and by how many bytes the
process grew. No engine and no child runs, so that an input takes milliseconds. What is neither a
model nor an error for a person, or takes longer than LIMIT, ends it with a traceback.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Final

from engine.errors import HearthError
from engine.loading.sandbox import prompts
from tests.engine import tiny
from tests.hostile import bases, inputs
from tests.hostile.bases import Bases
from tests.hostile.trial import LONGEST, cleared

KINDS: Final = (
    "config.json, object", "config.json, one setting", "config.json, bytes",
    "multimodal config.json", "safetensors, header", "safetensors, bytes", "index", "GGUF, bytes",
    "GGUF, metadata", "GGUF, tensors", "GGUF, parts",
)  # fmt: skip
LIMIT: Final = 10.0
"""Seconds for one input; most take 10 ms."""
GROWTH: Final = 1 << 30
"""Bytes of address space beyond what the imports and one good load have taken."""


def ends(kind: str, count: int, made: Bases, folder: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for number in inputs.first_of(kind, count):
        path = inputs.make(number, made, cleared(folder)).path
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        try:
            tiny.load(path)
        except HearthError as error:
            check_sentence(error.detail)
            found["refused"] += 1
        except BaseException:
            sys.stderr.write(f"{number} ({kind}):\n")
            raise
        else:
            found["loaded"] += 1
        finally:
            faulthandler.cancel_dump_traceback_later()
    return found


def check_sentence(said: str) -> None:
    assert said.strip(), "an error without a sentence"
    assert len(said) < LONGEST, said
    assert said.encode(), "half of a surrogate pair cannot cross the pipe"


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + GROWTH
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def peak() -> int:
    """Bytes of memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main(folder: Path, count: int) -> None:
    warnings.simplefilter("ignore")
    prompts.check = lambda child, name: None
    bases.write(folder / "bases")
    made = bases.read(folder / "bases")
    tiny.load(folder / "bases" / "folders" / "llama")
    before = peak()
    limit_memory()
    found = {kind: ends(kind, count, made, folder / "models") for kind in KINDS}
    sys.stdout.write(json.dumps({"ends": found, "grown": peak() - before}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
