"""The model itself: one decoder for all families, and the small modules that differ."""
