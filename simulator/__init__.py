"""What would the gateways answer? A separate program that plays them on the wire; it imports nothing of the product."""
