"""How fast is it, beside what it could be, and does it find what is wrong? Each file is a program: `python -m bench.<name>`."""
