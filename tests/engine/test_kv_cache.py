"""What the cache keeps between turns, and the views that a step gets."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

from engine.attention import latent
from engine.attention.shapes import Keeps
from engine.cache import kept_caches
from engine.cache.kv_cache import CacheShape, KVCache
from engine.device import memory

BYTES_A_TOKEN = 2 * 2 * 3 * 8 * 4


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_caches, "BLOCK_BYTES", 64 * BYTES_A_TOKEN)


def cache(*tokens: int, capacity: int = 600, keep: int = 0) -> KVCache:
    """`keep` is in tokens."""
    cpu, shape = torch.device("cpu"), CacheShape((Keeps(3, 8, 8),) * 2)
    made = KVCache(shape, capacity, cpu, torch.float32, "sdpa", keep_bytes=keep * BYTES_A_TOKEN)
    made.tokens.extend(tokens)
    return made


def talk(made: KVCache, prompt: list[int]) -> int:
    """As a prefill does: what is new is written, here as the tokens' own numbers."""
    reused = made.reuse(prompt)
    new = torch.tensor(prompt[reused:], dtype=torch.float32)
    for buffer in (made.buffers[0].keys, made.buffers[0].values):
        buffer[:, 0, reused : len(prompt)] = new[None, :, None, None]
    made.tokens.extend(prompt[reused:])
    return reused


def holds(made: KVCache) -> bool:
    """Whether every position has what its token stands for."""
    numbers = torch.tensor(made.tokens, dtype=torch.float32)[None, :, None, None]
    return all(
        bool((buffer[:, 0, : len(made)] == numbers).all())
        for buffer in (made.buffers[0].keys, made.buffers[0].values)
    )


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


def test_only_one_token_over_latents_has_a_mask() -> None:
    kept = cache(*range(300))
    kept.decode_kernel = latent.KERNEL
    known, on_device = kept.step(1), kept.step_on_device(512, torch.tensor([300]))
    assert int(known.lengths) == int(on_device.lengths) == 300
    assert known.mask is not None
    assert on_device.mask is not None
    assert known.mask.shape == (known.keys[0].shape[1],) == (512,)
    assert torch.equal(known.mask, on_device.mask)
    assert kept.step(2).mask is None
    kept.decode_kernel = "sdpa"
    assert kept.step(1).mask is None


def test_bytes_per_token_counts_keys_and_values_of_all_layers() -> None:
    assert CacheShape((Keeps(8, 128, 128),) * 32).bytes_per_token(torch.bfloat16) == 131_072


FIRST, SECOND, THIRD = ([1000 * n + i for i in range(300)] for n in range(3))


def test_a_conversation_that_was_left_is_brought_back() -> None:
    made = cache(keep=1000)
    assert [talk(made, FIRST), talk(made, SECOND)] == [0, 0]
    assert talk(made, [*FIRST, 7]) == 300
    assert holds(made)
    assert talk(made, [*SECOND, 8]) == 300
    assert made.tokens == [*SECOND, 8]
    assert holds(made)


def test_a_branch_has_what_it_shares() -> None:
    made, long = cache(keep=1000), [5000 + i for i in range(400)]
    talk(made, long)
    talk(made, SECOND)
    assert talk(made, [*long[:200], 5, 6]) == 200
    assert holds(made)
    assert talk(made, [*long, 7]) == 400, "the branch did not take the whole one's place"


def test_the_one_left_longest_ago_makes_room() -> None:
    made = cache(keep=650)
    for prompt in (FIRST, SECOND, THIRD, [9] * 300):
        talk(made, prompt)
    assert talk(made, [*FIRST, 7]) == 0
    assert talk(made, [*THIRD, 7]) == 300
    assert holds(made)


def test_nothing_is_kept_without_room_or_for_a_short_conversation() -> None:
    made = cache(keep=100)
    talk(made, FIRST)
    talk(made, SECOND)
    assert talk(made, [*FIRST, 7]) == 0
    short = cache(keep=1000)
    talk(short, FIRST[:100])
    talk(short, SECOND)
    assert talk(short, [*FIRST[:100], 7]) == 0


def test_asking_again_keeps_no_copy() -> None:
    made = cache(keep=1000)
    talk(made, FIRST)
    talk(made, [*FIRST[:250], 7])
    assert len(made._kept) == 0


def test_a_longer_one_takes_the_place_of_its_beginning() -> None:
    made = cache(keep=1000)
    talk(made, FIRST[:200])
    talk(made, SECOND)
    talk(made, FIRST)
    talk(made, THIRD)
    assert len(made._kept) == 2
    assert talk(made, [*FIRST, 7]) == 300
    assert holds(made)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate"),
    ],
)
def test_a_conversation_is_not_kept_where_the_host_has_no_memory(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = cache(keep=1000)
    talk(made, FIRST)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patched, caplog.at_level(logging.INFO):
        patched.setattr(torch, "empty", fail)
        assert talk(made, SECOND) == 0
    assert len(made._kept) == 0
    assert "no memory to keep" in caplog.text
    assert holds(made)
    assert talk(made, THIRD) == 0
    assert talk(made, [*SECOND, 7]) == 300, "what is left later is kept again"
    assert holds(made)


def test_another_error_while_keeping_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    made = cache(keep=1000)
    talk(made, FIRST)

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.Tensor, "copy_", fail)
    with pytest.raises(RuntimeError, match="illegal"):
        made.reuse(SECOND)


@pytest.mark.parametrize("back", [False, True], ids=["leaving", "coming back"])
def test_where_the_device_has_no_memory_to_copy_a_conversation_is_run_again(
    back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cache(keep=1000)
    talk(made, FIRST)
    if back:
        talk(made, SECOND[:100])
        made.tokens.clear()

    def fail(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 MiB.")

    with monkeypatch.context() as patched:
        patched.setattr(torch.Tensor, "copy_", fail)
        assert made.reuse([*FIRST, 7] if back else SECOND) == 0
    assert made.tokens == []
    assert len(made._kept) == back
    assert made._kept._made == 5 == len(made._kept._free) + 5 * back
    assert talk(made, THIRD) == 0
    assert talk(made, SECOND) == 0
    assert talk(made, [*THIRD, 7]) == 300
    assert holds(made)


@pytest.mark.parametrize("room", [1, 2])
def test_a_beginning_that_all_share_brings_nothing_back_and_uses_nothing(room: int) -> None:
    """As a chat template's, or a system prompt."""
    made = cache(keep=room * 384)
    chats = [[*range(5000, 5030), *chat] for chat in (FIRST, SECOND, THIRD, [9] * 300)]
    assert [talk(made, chat) for chat in chats] == [0, 30, 30, 30]
    assert len(made._kept) == room
    assert talk(made, [*chats[3 - room], 7]) == 330
    assert holds(made)


def test_no_block_is_made_where_the_host_has_little_memory_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = cache(keep=1000)
    monkeypatch.setattr(memory, "free_host_bytes", lambda: 999 * BYTES_A_TOKEN)
    talk(made, FIRST)
    talk(made, SECOND)
    assert len(made._kept) == made._kept._made == 0
    assert talk(made, [*FIRST, 7]) == 0
    assert holds(made)


def test_what_is_to_be_brought_back_does_not_make_room() -> None:
    made = cache(keep=350)
    talk(made, FIRST)
    talk(made, SECOND)
    assert talk(made, [*FIRST, 7]) == 300
    assert holds(made)
    assert talk(made, [*SECOND, 7]) == 0, "there was room for one"
    assert talk(made, [*FIRST, 7]) == 300
    assert holds(made)


def test_what_is_wanted_gives_way_to_what_it_is_the_beginning_of() -> None:
    made = cache(keep=350)
    talk(made, FIRST[:200])
    talk(made, SECOND)
    talk(made, FIRST)
    assert talk(made, [*FIRST[:140], 7]) == 140
    assert talk(made, [*FIRST, 7]) == 300
    assert holds(made)


def test_blocks_are_used_again() -> None:
    made = cache(keep=1000)
    for length in range(150, 301, 10):
        talk(made, FIRST[:length])
        talk(made, SECOND[:length])
    assert len(made._kept) == 2
    assert made._kept._made == 10, "five for 300 tokens of each"
    assert talk(made, [*FIRST, 7]) == 300
    assert holds(made)


def test_ordinary_memory_is_not_made_ahead() -> None:
    made = cache(keep=1000)
    talk(made, FIRST)
    assert not made.prepare()
    assert made._kept._made == 0


@pytest.mark.parametrize("back", [False, True], ids=["another", "one that was left"])
def test_what_is_no_number_goes_with_what_is_cut_off_where_positions_are_masked(back: bool) -> None:
    made = cache(keep=1000)
    made.decode_kernel = latent.KERNEL
    first, second = list(range(200)), list(range(300, 600))
    if back:
        talk(made, first)
    talk(made, second)
    made.buffers[0].keys[:, :, 250] = torch.nan
    assert made.reuse(first) == (199 if back else 0)
    assert bool(made.buffers[0].keys.isfinite().all())


def mixed(keep: int = 0) -> KVCache:
    """Two layers of one size, one of another, and one that reads the second's."""
    shape = CacheShape((Keeps(3, 8, 8), Keeps(3, 8, 8), Keeps(1, 32, 16), 1))
    cpu = torch.device("cpu")
    return KVCache(shape, 600, cpu, torch.float32, "sdpa", keep_bytes=keep * 4 * (2 * 48 + 48))


def test_each_layer_has_buffers_of_what_it_keeps_or_those_of_its_source() -> None:
    step = mixed().step(1)
    assert [tuple(keys.shape[2:]) for keys in step.keys] == [(3, 8), (3, 8), (1, 32), (3, 8)]
    assert [tuple(values.shape[2:]) for values in step.values] == [(3, 8), (3, 8), (1, 16), (3, 8)]
    assert step.keys[3] is step.keys[1]
    assert step.values[3] is step.values[1]


def test_a_layer_that_reads_anothers_cache_takes_no_memory() -> None:
    assert mixed().shape.bytes_per_token(torch.float32) == 4 * (2 * 48 + 48)


def test_conversations_of_layers_that_keep_different_things_come_back(small_blocks: None) -> None:
    made, first, second = mixed(keep=600), list(range(300)), list(range(1000, 1300))
    for prompt in (first, second):
        reused = made.reuse(prompt)
        for buffers in made.buffers:
            for buffer in (buffers.keys, buffers.values):
                numbers = torch.tensor(prompt[reused:], dtype=torch.float32)
                buffer[:, 0, reused : len(prompt)] = numbers[None, :, None, None]
        made.tokens.extend(prompt[reused:])
    assert made.reuse(first) == len(first) - 1
    held = torch.tensor(first[:-1], dtype=torch.float32)[None, :, None, None]
    for buffers in made.buffers:
        for buffer in (buffers.keys, buffers.values):
            assert bool((buffer[:, 0, : len(made)] == held).all())
