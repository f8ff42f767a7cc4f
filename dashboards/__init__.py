"""What people see: each panel once, the scoreboard of the October 2023 report, and the built-in page."""
