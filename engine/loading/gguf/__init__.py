"""GGUF files: header, config, weights, vocabulary. Imports nothing: the catalog reads headers before torch is there."""
