"""Which models are here, told from their headers; torch is not needed."""
