"""From messages to the tokens of a prompt, and from tokens to the text of a reply."""
