"""How does a report become a file? Snapshot, writers of each format, and the manifest that proves what was written."""
