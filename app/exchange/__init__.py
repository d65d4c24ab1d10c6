"""Chats as files: written for people and programs, and read from those of other programs. No Qt."""
