"""What is left when a process dies, freezes or is doubled in the middle of a payment?"""
