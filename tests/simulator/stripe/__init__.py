"""Does the simulated Stripe behave on the wire as its sheet says?"""
