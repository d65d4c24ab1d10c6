"""Keys and values of what was read, and what is kept of conversations that were left."""
