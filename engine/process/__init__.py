"""The engine process: commands in, events out; the engine thread; telemetry."""
