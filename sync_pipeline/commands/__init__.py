"""What the command line does, one module a family of commands; `cli.py` only parses."""
