"""The bot's memory on disk: ``writer`` writes it, ``reads`` looks on."""
