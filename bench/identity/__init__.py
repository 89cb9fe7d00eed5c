"""`bench identity`: what signing in costs, and what it costs others."""
