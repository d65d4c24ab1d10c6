"""GGUF files: header, config, weights, vocabulary.

Imports nothing: the catalog reads headers through this package before torch is there.
"""
