"""Everything that runs without Qt: loading, attention, generation, and the process that serves them."""

__version__ = "0.1.0"
