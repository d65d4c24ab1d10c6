"""Hearth's Triton kernels, their block sizes, and whether they run here."""
