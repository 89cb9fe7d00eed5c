"""One package a platform, each with a manifest."""
