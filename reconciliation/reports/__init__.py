"""Reports finance exports: one file a report, streamed from the database."""
