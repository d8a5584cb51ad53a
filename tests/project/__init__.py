"""Does the repository keep its own rules?"""
