"""Does the simulator behave on the wire as the gateways do, and do its faults strike as its catalogue says?"""
