"""What the cache keeps between turns, and the views that a step gets."""

from __future__ import annotations

import pytest
import torch

from engine.kv_cache import CacheShape, KVCache


def cache(*tokens: int, capacity: int = 600) -> KVCache:
    made = KVCache(CacheShape(2, 3, 8, 8), capacity, torch.device("cpu"), torch.float32, "sdpa")
    made.tokens.extend(tokens)
    return made


@pytest.mark.parametrize(
    ("held", "prompt", "reused"),
    [
        ((), (1, 2, 3), 0),
        ((1, 2, 3), (1, 2, 3, 4), 3),
        ((1, 2, 3), (1, 9, 3, 4), 1),
        ((1, 2, 3), (1, 2, 3), 2),
        ((1, 2, 3), (1, 2), 1),
        ((1, 2, 3), (7,), 0),
    ],
)
def test_longest_common_prefix_is_kept_but_for_the_last_token(
    held: tuple[int, ...], prompt: tuple[int, ...], reused: int
) -> None:
    kept = cache(*held)
    assert kept.reuse(prompt) == reused
    assert kept.tokens == list(prompt[:reused])


def test_views_are_cut_to_powers_of_two_within_the_capacity() -> None:
    kept = cache(*range(255))
    assert kept.step(1).keys[0].shape == (1, 256, 3, 8)
    assert kept.step(2).keys[1].shape == (1, 512, 3, 8)
    kept.tokens.extend(range(300))
    assert kept.step(1).values[0].shape == (1, 600, 3, 8)


def test_views_write_into_the_same_buffers() -> None:
    kept = cache()
    kept.step(1).keys[1][:, 0] = 7
    assert bool((kept.step(300).keys[1][0, 0] == 7).all())
    assert bool((kept.step(300).keys[0][0, 0] == 0).all())


def test_bytes_per_token_counts_keys_and_values_of_all_layers() -> None:
    assert CacheShape(32, 8, 128, 128).bytes_per_token(torch.bfloat16) == 131_072
