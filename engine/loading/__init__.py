"""From files to a model that runs: checkpoints are data, and every number in them is checked.

Imports nothing: the catalog reads headers through this package before torch is there.
"""
