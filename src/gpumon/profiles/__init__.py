"""What is kept: states, and profiles of them. NumPy and Arrow only."""
