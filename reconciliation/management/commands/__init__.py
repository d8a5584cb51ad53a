"""One file a command; each is a door with one service call."""
