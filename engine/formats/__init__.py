"""How weights are held in blocks of small integers that share a scale."""
