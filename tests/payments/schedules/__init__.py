"""Are recurring charges made once, on the right day, and no more once they are revoked?"""
