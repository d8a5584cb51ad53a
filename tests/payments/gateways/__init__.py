"""Do the adapters, and the one HTTP client below them, translate faithfully?"""
