"""What stands around a chat: header, sidebar and banner, and what they are made of."""
