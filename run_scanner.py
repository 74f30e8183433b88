"""Find pairs worth trading: ``python run_scanner.py --data bars``."""

from research.scan_command import main

if __name__ == "__main__":
    raise SystemExit(main())
