"""One step of the schema."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    sql: str
    """Statements, each ended by a semicolon."""
    only_adds: bool
    """Whether a program that does not know the step can still read and write all that it knows: new
    tables, indexes, triggers, and columns with a default that is right for rows it adds."""
