"""Everything that runs without Qt: loading, attention, generation, the process that serves."""

__version__ = "0.1.0"
