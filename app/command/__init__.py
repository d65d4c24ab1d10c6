"""Everything one can do, reached by its name or seen with its key."""
