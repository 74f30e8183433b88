"""What a scan may end with.

ScanError    the scan cannot be made as asked: stop, say what was wanted, what was found and what to do
"""

from __future__ import annotations


class ScanError(Exception):
    """Bad input of a scan, told in a sentence."""
