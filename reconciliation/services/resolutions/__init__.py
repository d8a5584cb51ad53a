"""How is a break ended? One file a command, the frame around them, and the way back."""
