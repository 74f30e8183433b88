"""From a JSON file to frozen values: read with positions, check everything, assemble."""
