"""Which models there are, and which one is loaded."""
