"""`hearth bench`: how fast a model runs here, with which attention, beside its peers."""
