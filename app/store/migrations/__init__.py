"""How a database of any older version becomes one of this version: one file a step.

`PRAGMA user_version` holds two numbers, 1000 * least + version: the version of the file, and the
least one that a program must have to write it. A program opens a newer file whose steps beyond its
own version only added to it. Versions up to 3 were written as a single number.
"""

from __future__ import annotations

from typing import Final

from app.store.migrations import (
    m1_chats,
    m2_figures,
    m3_thinking,
    m4_tree,
    m5_search,
    m6_waiting,
    m7_list,
    m8_attachments,
    m9_reply_settings,
    m10_waiting_files,
    m11_kernel,
)
from app.store.migrations.step import Step

MIGRATIONS: Final[tuple[Step, ...]] = (
    m1_chats.STEP,
    m2_figures.STEP,
    m3_thinking.STEP,
    m4_tree.STEP,
    m5_search.STEP,
    m6_waiting.STEP,
    m7_list.STEP,
    m8_attachments.STEP,
    m9_reply_settings.STEP,
    m10_waiting_files.STEP,
    m11_kernel.STEP,
)

VERSION: Final = len(MIGRATIONS)
_LEAST: Final = 1000


def least_version(version: int) -> int:
    """The version that a program must have at least to write a file of this one."""
    steps = enumerate(MIGRATIONS[:version], start=1)
    return max((number for number, step in steps if not step.only_adds), default=0)


def stamp(version: int) -> int:
    """What `user_version` is for a file of this version."""
    return _LEAST * least_version(version) + version


def version_in(stamped: int) -> int:
    """The version of a file."""
    return stamped % _LEAST


def least_in(stamped: int) -> int:
    """The least version that may write a file."""
    return stamped // _LEAST or stamped
