"""Find pairs worth trading: ``python run_scanner.py --data bars``."""

if __name__ == "__main__":
    try:
        from research.scan_command import main

        code = main()
    except KeyboardInterrupt:  # also while the libraries are being loaded
        code = 130
    raise SystemExit(code)
