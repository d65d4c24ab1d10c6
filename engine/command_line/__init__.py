"""What can be done from a terminal: ask, models, doctor, bench, serve."""
