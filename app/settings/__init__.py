"""What a person can set: the values, the rows that say what they mean, and the page."""
