"""How a person, or a program on their behalf, reaches a running bot: commands, a file flag, a signal."""
