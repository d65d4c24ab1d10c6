"""What holds the engine's house together: no patched classes, no switches for the process."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / "engine"
FILES = sorted(ENGINE.rglob("*.py"))
PATCHED = {"__class__", "forward"}
TOP = 12
"""Modules that may lie beside the rooms."""


def name_of(file: Path) -> str:
    return file.relative_to(ENGINE).as_posix()


def assigned(tree: ast.AST) -> Iterator[str]:
    """Attributes that are assigned, by `=` or by setattr with a name that is written there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setattr":
            name = node.args[1]
            if isinstance(name, ast.Constant):
                yield str(name.value)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_class_is_exchanged_and_no_forward_is_replaced(file: Path) -> None:
    found = PATCHED & set(assigned(ast.parse(file.read_text("utf-8"))))
    assert not found, f"{name_of(file)} assigns {found}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_nothing_is_set_for_the_whole_process(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    found = {n for node in ast.walk(tree) if isinstance(node, ast.Global) for n in node.names}
    assert not found, f"{name_of(file)} sets {found}"


def test_what_lies_beside_the_rooms_can_be_listed_at_a_glance() -> None:
    assert len(list(ENGINE.glob("*.py"))) <= TOP


def test_transformers_models_are_built_without_memory_or_to_compare_with() -> None:
    """Only the assembly and the bench's reference ask for transformers' class of a model."""
    users = {name_of(file) for file in FILES if ".model_type()" in file.read_text("utf-8")}
    assert users <= {"loading/assembly.py", "bench/reference.py", "bench/shapes.py"}
