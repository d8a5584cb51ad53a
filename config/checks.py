"""Is it safe to start like this? System checks; they read settings and catalogues and change nothing."""
