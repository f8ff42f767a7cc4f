"""The fault bench: a real stack under continuous load, a seeded plan of faults, an independent recount."""
