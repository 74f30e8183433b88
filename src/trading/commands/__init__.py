"""What a person calls by name: each command's options, its words and its exit code."""
