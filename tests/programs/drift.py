"""How far bfloat16 takes a real checkpoint from float32, in Hearth and in transformers.

python -m tests.programs.drift --model MODEL [--text FILE ... | --ids FILE.json] [--tokens 2000]
    [--prefill 512] --out FOLDER

MODEL is an id of `hearth models`, a folder or a GGUF file. Behind a prompt of `--prefill` tokens
every token of a text is given, and the distributions of the next one are compared over `--tokens`
positions: KL(float32 || bfloat16) in nats a token, on the device that Hearth takes.

- float32: transformers' eager attention over the whole text, on the very weights in bfloat16, so
  that arithmetic alone is compared and not what rounding the weights does to any of them;
- plain bfloat16: the same in bfloat16;
- Hearth: the prompt by chunks, then one decode step for each token, and on a GPU once more by the
  captured steps that replies use.

The interval of the ratio is a bootstrap's over positions. Writes drift-MODEL.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from torch import Tensor
from torch.nn import functional

from engine.bench import reference
from engine.catalog import listing
from engine.device import facts
from engine.execution.decode_graphs import DecodeGraphs
from engine.execution.runner import Runner
from engine.execution.sampling import Kind
from engine.loading.load import load
from engine.local.session import Session
from engine.protocol import Load
from tests.gpu.family_runs import cast
from tests.programs.gpu_path import free

REPOSITORY: Final = Path(__file__).parents[2]
TEXTS: Final = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
DEVICE: Final = torch.device(facts.current().kind)
BLOCK: Final = 64
"""Positions that are compared at once: in float64 they take twice as much as the logits."""
RESAMPLED: Final = 2000


def opened(model: Path) -> Any:
    """A checkpoint in bfloat16, as Hearth loads it."""
    return load(
        model,
        device=DEVICE,
        dtype=torch.bfloat16,
        progress=lambda *_: None,
    )


def ids_of(tokenizer: Any, texts: Sequence[Path], count: int) -> list[int]:
    """The first tokens of the texts, one after another. Raises ValueError where there are fewer."""
    text = "\n\n".join(path.read_text("utf-8") for path in texts)
    return enough(tokenizer(text).input_ids, count)


def enough(ids: list[int], count: int) -> list[int]:
    if len(ids) < count:
        raise ValueError(f"The text has {len(ids):,} tokens, {count:,} are needed.")
    return ids[:count]


@torch.inference_mode()
def eager(model: Any, ids: Sequence[int], count: int) -> Tensor:
    """Logits [count, vocabulary] after each of the last `count` tokens, the whole text at once."""
    tokens = torch.tensor([ids], device=DEVICE)
    logits: Tensor = model(tokens, use_cache=False, logits_to_keep=count).logits[0]
    return logits


def prefilled(ready: Runner, prompt: Sequence[int]) -> None:
    ready.cache.tokens.clear()
    ready.reuse(prompt)
    for _ in ready.prefill(prompt):
        pass


def single_steps(ready: Runner, ids: Sequence[int], count: int) -> Tensor:
    """As `eager`, by Hearth: what is before the last `count` tokens is its prompt."""
    prefilled(ready, ids[:-count])
    rows: Tensor | None = None
    for row, token in enumerate(ids[-count:]):
        logits = ready.forward([token])
        if rows is None:
            rows = torch.empty(count, logits.shape[0], device=DEVICE)
        rows[row] = logits
    assert rows is not None
    return rows


class Given:
    """In place of a sampler: takes the given tokens and keeps what it was to draw them from."""

    kind: Final = Kind(0, penalised=False)
    """No other sampler's: what was captured with one would be replayed with it."""

    def __init__(self, tokens: Sequence[int], vocabulary: int) -> None:
        self.generator = torch.Generator(DEVICE)
        self.logits = torch.empty(len(tokens), vocabulary, device=DEVICE)
        self._tokens = torch.tensor(tokens, device=DEVICE)
        self._next = torch.zeros(1, dtype=torch.long, device=DEVICE)

    @torch.inference_mode()
    def draw(self, logits: Tensor, into: Tensor) -> Tensor:
        self.logits.index_copy_(0, self._next, logits[None].float())
        into.copy_(self._tokens.index_select(0, self._next))
        self._next.add_(1)
        return into


def captured_steps(ready: Runner, graphs: DecodeGraphs, ids: Sequence[int], count: int) -> Tensor:
    """As `single_steps`."""
    prefilled(ready, ids[:-count])
    # The last logits follow the last token, and some token is to be drawn from them.
    given = Given([*ids[-count:], 0], ready.logits.shape[0])
    for _ in graphs.tokens(ready.logits, given, len(ids)):  # type: ignore[arg-type]
        pass
    return given.logits[1:]


def hearth(model: Path, ids: Sequence[int], count: int) -> Iterator[tuple[str, Tensor, Any]]:
    """Logits of Hearth's ways to decode, and which kernels they took."""
    session = Session()
    context = len(ids) + 1
    session.load(Load(model=str(model), dtype="bfloat16", context_length=context), lambda *_: None)
    seen = session.probe()
    ready = session._opened().runner
    used = {"prefill": seen.prefill.observed, "decode": seen.decode.observed}
    by_kernels = {"kernels": ready.model.kernels is not None}
    yield "single steps", single_steps(ready, ids, count), {**used, **by_kernels}
    if ready.graphs:
        logits = captured_steps(ready, ready.graphs, ids, count)
        yield "captured steps", logits, {**used, "captured": len(ready.graphs._graphs)}
    session.unload()


class Exact:
    """Logits [positions, vocabulary] of float32, and what others are away from them."""

    def __init__(self, logits: Tensor, ids: Sequence[int]) -> None:
        self.logits = logits
        self.following = torch.tensor(ids[1 - len(logits) :], device=DEVICE)
        """Tokens of the text that follow the positions, but for the last of them."""

    def divergence(self, logits: Tensor) -> Tensor:
        """KL(float32 || other) [positions] in nats, in float64."""
        parts: list[Tensor] = []
        for exact, other in zip(
            torch.split(self.logits, BLOCK), torch.split(logits, BLOCK), strict=True
        ):
            log_p, log_q = (part.double().log_softmax(-1) for part in (exact, other))
            parts.append((log_p.exp() * (log_p - log_q)).sum(-1))
        return torch.cat(parts).cpu()

    def same_choice(self, logits: Tensor) -> float:
        return float((self.logits.argmax(-1) == logits.argmax(-1)).double().mean())

    def perplexity(self, logits: Tensor) -> float:
        """Of the text itself, which tells whether the model is a real one and read it rightly."""
        parts = zip(
            torch.split(logits[:-1], BLOCK), torch.split(self.following, BLOCK), strict=True
        )
        losses = [
            functional.cross_entropy(part.double(), next_, reduction="none")
            for part, next_ in parts
        ]
        return float(torch.cat(losses).mean().exp())

    def figures(self, logits: Tensor) -> tuple[Tensor, dict[str, float]]:
        found = self.divergence(logits)
        return found, {
            "mean KL": float(found.mean()),
            "median KL": float(found.median()),
            "max KL": float(found.max()),
            "same choice": self.same_choice(logits),
            "perplexity": self.perplexity(logits),
        }


def ratio(found: Tensor, plain: Tensor) -> dict[str, Any]:
    """Of the means, with the middle 95 % of those of positions drawn again."""
    source = torch.Generator().manual_seed(1)
    drawn = torch.randint(len(found), (RESAMPLED, len(found)), generator=source)
    ratios = found[drawn].mean(1) / plain[drawn].mean(1)
    bounds = ratios.quantile(torch.tensor([0.025, 0.975], dtype=ratios.dtype)).tolist()
    return {"ratio": float(found.mean() / plain.mean()), "95 %": bounds}


def measure(options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    model = listing.resolve(options.model)
    count, length = options.tokens, options.prefill + options.tokens
    checkpoint = opened(model)
    if options.ids:
        ids = enough(json.loads(options.ids.read_text("utf-8")), length)
    else:
        ids = ids_of(checkpoint.tokenizer, options.text, length)
    theirs = reference.of_decoder(checkpoint.model, checkpoint.config)
    del checkpoint
    rounded = eager(theirs, ids, count)
    cast(theirs, torch.float32)
    exact = Exact(eager(theirs, ids, count), ids)
    del theirs
    yield "float32", {"perplexity": exact.perplexity(exact.logits)}
    plain, figures = exact.figures(rounded)
    yield "plain bfloat16", figures
    del rounded
    free()
    for name, logits, used in hearth(model, ids, count):
        found, figures = exact.figures(logits)
        yield f"Hearth, {name}", {**figures, "against plain": ratio(found, plain), **used}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--text", type=Path, nargs="+", default=TEXTS)
    text.add_argument("--ids", type=Path)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "device": Session().device().name,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "model": Path(options.model).name,
        "tokens": options.tokens,
        "prefill": options.prefill,
    }
    print(json.dumps(found))
    for name, figures in measure(options):
        found[name] = figures
        print(json.dumps({name: figures}), flush=True)
    file = options.out / f"drift-{Path(options.model).stem}.json"
    file.write_text(json.dumps(found, indent=1), "utf-8")


if __name__ == "__main__":
    main()
