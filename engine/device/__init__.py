"""The device and its memory. Knows no models."""
