"""Folders with config.json and safetensors files.

Imports nothing: the catalog reads headers through this package before torch is there.
"""
