"""What was said, found again: in all chats, and in the one on screen."""
