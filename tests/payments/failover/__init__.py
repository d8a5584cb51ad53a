"""Does a refusal lead on without ever charging twice?"""
