"""What a finished run is told with: summary, files, picture."""
