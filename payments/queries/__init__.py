"""What is known about payments, read for a reader? One file a reader; no file here writes or calls a gateway."""
