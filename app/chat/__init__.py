"""The conversation on screen: transcript, composer, and what is said to the engine."""
