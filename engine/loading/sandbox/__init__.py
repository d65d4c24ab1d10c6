"""Templates and tokenizers of strangers, run in a child with limits, and how the child is asked."""
