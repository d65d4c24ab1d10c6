"""How full a model's context is, and the ways on when a prompt does not fit."""
