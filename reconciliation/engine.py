"""How do lines and movements of one account meet? Ordered rules over sorted input: same input, same output. Pure."""
