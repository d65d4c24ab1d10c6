"""A model that runs in this process: how it is opened, how memory is divided, its session."""
