"""Commands of operators: `python -m server COMMAND`."""
