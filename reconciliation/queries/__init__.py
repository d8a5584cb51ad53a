"""What is known about differences, read for a reader? One file a reader; nothing here writes or calls a gateway."""
