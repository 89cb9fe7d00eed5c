"""What operators run beside the servers: `python -m server COMMAND`."""
