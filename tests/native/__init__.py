"""What the native module does, asked from Python."""
