"""Tables and plots of a fixed result."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec
import pytest

from engine.bench import plot, report
from engine.bench.report import FLASH, STANDARD
from engine.bench.result import (
    OUT_OF_MEMORY,
    Kernels,
    Machine,
    Model,
    Result,
    decoded,
    encoded,
    measured,
    missing,
)
from engine.bench.settings import Settings

MACHINE = Machine(
    system="Linux", cpu="A CPU", cores=8, threads=8, ram_bytes=64 << 30, device="A <GPU>"
)
MODEL = Model(
    name="a & b",
    random_weights=True,
    architecture="LlamaForCausalLM",
    parameters=8_000_000_000,
    weight_bytes=16_000_000_000,
    dtype="bfloat16",
    layers=32,
    heads=32,
    kv_heads=8,
    head_size=128,
    kv_bytes_per_token=131_072,
    context_length=131_072,
)
RESULT = Result(
    begun="2026-01-01T00:00:00+00:00",
    complete=True,
    settings=Settings(contexts=(512, 4096)),
    machine=MACHINE,
    versions={"torch": "2.13.0"},
    model=MODEL,
    kernels=(Kernels(way=FLASH, resolved="flash-attn", prefill="flash_fwd", decode="splitkv"),),
    measurements=(
        measured(FLASH, "prefill", 512, [20.0, 10.0, 30.0]),
        measured(FLASH, "memory", 512, [1e8]),
        measured(FLASH, "prefill", 4096, [130.0]),
        measured(STANDARD, "prefill", 512, [50.0]),
        measured(STANDARD, "memory", 512, [4e8]),
        missing(STANDARD, "prefill", 4096, OUT_OF_MEMORY),
        measured(FLASH, "reply", 512, [400.0]),
        missing(STANDARD, "reply", 512, "It does not run here."),
        measured(FLASH, "longest", 16, [5888.0]),
    ),
)


def lines() -> list[str]:
    return report.markdown(RESULT).splitlines()


def test_a_cell_has_the_median_and_the_spread() -> None:
    assert "| 512 | 20 (10 to 30) | 50 |" in lines()


def test_running_out_of_memory_is_an_answer() -> None:
    assert "| 4,096 | 130 | out of memory |" in lines()


def test_claim_stands_beside_what_was_measured() -> None:
    claimed = lines()
    assert "| prefill of 512 | 2.5 times | 20 (10 to 30) | 50 | 2.50 times | 75 % |" in claimed
    assert (
        "| prefill of 4,096 | 1,200 ms against out of memory | 130 | out of memory "
        "| eager: out of memory | - |" in claimed
    )
    assert "| prefill of 1,024 | 3.3 times | - | - | - | - |" in claimed
    assert "| 100 tokens after 512 | 2 times | 400 | - | - | - |" in claimed


def test_what_did_not_run_says_why() -> None:
    assert "- transformers eager: It does not run here. (reply 512)" in lines()


def test_a_result_is_read_back_as_it_was_written() -> None:
    assert decoded(encoded(RESULT)) == RESULT


def test_plot_is_svg_with_a_line_for_each_way() -> None:
    drawn = plot.svg(RESULT)
    root = ET.fromstring(drawn)  # noqa: S314, our own
    assert root.tag.endswith("svg")
    said = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"Prefill, ms", "context, tokens", "Hearth flash", "transformers eager"} <= set(said)
    assert plot.HEARTH in drawn
    assert plot.OTHERS in drawn


def test_the_longest_context_is_plotted_against_memory() -> None:
    way = RESULT.measurements[0].way
    found = tuple(measured(way, "longest", limit, [1e5 * limit]) for limit in (8, 24))
    drawn = plot.svg(msgspec.structs.replace(RESULT, measurements=found))
    said = [element.text for element in ET.fromstring(drawn).iter() if element.text]  # noqa: S314
    assert {"Longest context, tokens", "GiB for weights and all else", "8", "24"} <= set(said)
    assert "3,000,000" in said
    assert "context, tokens" not in said


def test_plot_of_nothing_is_still_svg() -> None:
    empty = msgspec.structs.replace(RESULT, measurements=())
    assert ET.fromstring(plot.svg(empty)) is not None  # noqa: S314


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(1.0, [0, 0.5, 1.0]), (367.0, [0, 100, 200, 300, 400]), (0.0, [0, 0.5, 1.0])],
)
def test_axis_has_round_numbers(most: float, ticks: list[float]) -> None:
    assert plot.nice(most) == ticks
