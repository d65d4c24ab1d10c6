"""Capturing CUDA graphs, and what is left to mend after a capture that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


def captured(
    run: Callable[[], object], *, generators: Sequence[torch.Generator] = (), pool: Any = None
) -> Any:
    """A CUDA graph of what `run` launches, which may draw from the generators.

    After a capture that failed torch stays on the stream of it, and its generators refuse to draw,
    in graphs that were captured before too. Both are mended before the error is raised.
    """
    stream = torch.cuda.current_stream()
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    try:
        with torch.cuda.graph(graph, pool=pool):
            run()
    except RuntimeError:
        torch.cuda.set_stream(stream)
        for generator in (*generators, torch.cuda.default_generators[stream.device_index]):
            renew(generator)
        raise
    return graph


def renew(generator: torch.Generator) -> None:
    """Seed and place stay; what a graph has to do with it is forgotten."""
    fresh = torch.Generator(generator.device)
    fresh.set_state(generator.get_state())
    generator.graphsafe_set_state(fresh.graphsafe_get_state())


def registered(*generators: torch.Generator) -> Any:
    """A graph that captures nothing, and knows the generators that all others draw from.

    torch keeps two numbers on the GPU for each generator that a graph knows. Where it has no room
    for them when the first graph comes, it ends the process. These take the room early.
    """
    graph = torch.cuda.CUDAGraph()
    default = torch.cuda.default_generators[torch.cuda.current_device()]
    for generator in (*generators, default):
        graph.register_generator_state(generator)
    return graph
