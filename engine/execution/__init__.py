"""Tokens in, tokens out: prefill in chunks, decode steps, graphs, sampling."""
