"""Conversations and settings in SQLite. Knows nothing of Qt."""
