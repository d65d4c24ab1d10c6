"""Folders with config.json and safetensors files. Imports nothing: the catalog reads headers before torch is there."""
