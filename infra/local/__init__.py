"""The embedded stack: a real broker, a real engine and what is around them, on loopback, in one directory."""
