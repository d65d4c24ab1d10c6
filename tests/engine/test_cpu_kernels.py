"""Hearth's C++ for the CPU computes what torch does, for both levels of instructions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.attention import probe
from engine.attention.choice import Shape
from engine.device import cpp
from engine.formats.registry import FORMATS
from engine.kernels import cpu
from engine.kernels.cpu import InPlanes, Weight
from engine.kernels.prologue import Norm
from engine.modeling import rope
from engine.modeling.mlp import gelu_tanh
from tests.engine.formats.test_formats import ROWS, random_rows

CPU = torch.device("cpu")
TOKENS = 9
CLOSE = {torch.float32: 1e-4, torch.bfloat16: 8e-3, torch.float16: 1e-3}
DTYPES = tuple(CLOSE)

pytestmark = pytest.mark.usefixtures("level")


@pytest.fixture(params=cpp.levels(), autouse=True)
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if not cpp.at_hand():
        pytest.skip("no C++ compiler is here")
    if request.param == cpp.WIDEST and cpp.level() != cpp.WIDEST:
        pytest.skip("this processor has no AVX2")
    monkeypatch.setattr(cpp, "level", lambda: request.param)
    cpu._library.cache_clear()
    yield request.param
    cpu._library.cache_clear()


def made(name: str) -> tuple[InPlanes, Tensor, Weight]:
    """A part of three rows, its values and the weight of it."""
    form = FORMATS[name]
    planes = [plane.contiguous() for plane in form.repacked(torch.from_numpy(random_rows(form)))]
    if name == "MXFP4":  # powers of two that a product in float32 can hold
        planes[1] = planes[1] % 16 + 112
    part = InPlanes(form, tuple(planes), ROWS)
    values = form.dequantised(planes)
    return part, values, cpu.in_blocks([part], values.shape[1], None)


def x_of(columns: int, dtype: torch.dtype, tokens: int = TOKENS) -> Tensor:
    source = torch.Generator().manual_seed(columns)
    return torch.randn(tokens, columns, generator=source).to(dtype)


def error(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("name", FORMATS)
def test_values_are_gguf_s_own_bit_for_bit(name: str) -> None:
    part, exact, _ = made(name)
    for dtype in DTYPES:
        out = torch.empty(exact.shape, dtype=dtype)
        cpu.values(part, exact.shape[1], out, 0)
        assert torch.equal(out, exact.to(dtype))
    some = torch.empty(2, exact.shape[1])
    cpu.values(part, exact.shape[1], some, 0, torch.tensor([2, 0]))
    assert torch.equal(some, exact[[2, 0]])


@pytest.mark.parametrize("name", FORMATS)
def test_a_product_is_that_of_the_values(name: str) -> None:
    _, exact, weight = made(name)
    for dtype in DTYPES:
        x = x_of(exact.shape[1], dtype)
        wanted = x.double() @ exact.double().T
        for product in (cpu.product, cpu.many):
            out = torch.empty(TOKENS, ROWS, dtype=torch.float32)
            if product is cpu.many:
                out = out.to(dtype)
            product(weight, x, out)
            if dtype != torch.float16:  # whose range ends at 65504
                assert error(out, wanted) < CLOSE[dtype]


@pytest.mark.parametrize("name", FORMATS)
def test_a_row_does_not_depend_on_those_computed_with_it(name: str) -> None:
    _, exact, weight = made(name)
    x = x_of(exact.shape[1], torch.bfloat16, 16)
    alone = torch.empty(16, ROWS, dtype=torch.bfloat16)
    for i in range(16):
        cpu.product(weight, x[i : i + 1], alone[i : i + 1])
    for count in (2, 4, 7, 16):
        together = torch.empty(count, ROWS, dtype=torch.bfloat16)
        cpu.product(weight, x[:count], together)
        assert torch.equal(together, alone[:count])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_norm_bias_and_residual_are_those_of_torch(dtype: torch.dtype, offset: float) -> None:
    weight, bias = x_of(96, dtype, 40), x_of(40, dtype, 1)[0]
    x, residual = x_of(96, dtype, 1), x_of(40, dtype, 1)
    norm = Norm(x_of(96, dtype, 1)[0], 1e-5, offset)
    scale = norm.weight.float() + offset
    normed = functional.rms_norm(x.float(), (96,), eps=1e-5) * scale
    assert error(cpu.norm(x, norm), normed) < CLOSE[dtype]
    wanted = normed @ weight.float().T + bias.float() + residual.float()
    assert error(cpu.linear(x, weight, bias, norm, residual), wanted) < CLOSE[dtype]


@pytest.mark.parametrize(
    ("name", "function"),
    [("silu", functional.silu), ("gelu", functional.gelu), ("gelu_tanh", gelu_tanh)],
)
def test_activations_are_those_of_torch(name: str, function: object) -> None:
    weight, x = x_of(64, torch.float32, 48), 3 * x_of(64, torch.float32, 1)
    gate, up = (x @ weight.T).chunk(2, -1)
    wanted = function(gate) * up  # type: ignore[operator]
    assert error(cpu.gate_up(x, weight, name), wanted) < CLOSE[torch.float32]
    assert error(cpu.gated(x @ weight.T, name), wanted) < CLOSE[torch.float32]


def test_rotation_is_that_of_torch() -> None:
    turn = rope.Rotary(torch.rand(8), 1.0, torch.float32)
    angles = turn(torch.arange(5))
    query, key = torch.randn(5, 4, 32), torch.randn(5, 2, 32)
    turned = query.transpose(0, 1)[None], key.transpose(0, 1)[None]
    found = cpu.rope(turned[0], turned[1], angles.cosine[None], angles.sine[None])
    for each, x in zip(found, (query, key), strict=True):
        torch.testing.assert_close(each[0].transpose(0, 1), rope.rotated(x, angles))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [
        {"heads": 9, "kv_heads": 3, "head_size": 64},
        {"heads": 7, "kv_heads": 1, "head_size": 40, "windows": (0, 300), "softcap": 20.0},
        {"heads": 2, "kv_heads": 2, "head_size": 256, "sinks": True},
    ],
)
def test_attention_is_that_of_float32_math(shape: dict[str, object], dtype: torch.dtype) -> None:
    asked = Shape(**shape, dtype=dtype)  # type: ignore[arg-type]
    assert probe.check("cpp_decode", asked, CPU, 1) <= probe.TOLERANCE[dtype]


def test_shapes_that_do_not_fit_each_other_are_refused() -> None:
    _, exact, weight = made("Q4_K")
    x = x_of(exact.shape[1] // 2, torch.float32)
    with pytest.raises(ValueError, match=r"x \[9, 256\] times 3 rows is not \[9, 3\]"):
        cpu.product(weight, x, torch.empty(TOKENS, ROWS))


def test_planes_whose_rows_lie_apart_are_refused() -> None:
    part, exact, _ = made("Q8_0")
    apart = part._replace(planes=tuple(plane[:, ::2] for plane in part.planes))
    with pytest.raises(ValueError, match="rows do not lie one behind another"):
        cpu.in_blocks([apart], exact.shape[1], None)


def test_what_is_no_number_stays_none() -> None:
    _, exact, weight = made("Q8_0")
    x, out = x_of(exact.shape[1], torch.float32, 1), torch.empty(1, ROWS)
    x[0, 5] = torch.nan
    cpu.product(weight, x, out)
    assert out.isnan().all()
