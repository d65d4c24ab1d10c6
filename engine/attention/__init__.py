"""Which attention kernel runs, and why. Knows devices, shapes and kernels; knows no models."""
