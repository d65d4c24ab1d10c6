"""What the computer is doing, and whether flash attention is active."""
