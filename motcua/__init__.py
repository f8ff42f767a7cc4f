"""The front door: commands, settings, the clock, and the wiring that joins the rooms."""
