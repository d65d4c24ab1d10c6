"""The window. Of the engine it imports the protocol alone."""
