"""`python -m kubectl_pxauth` is `kubectl pxauth`."""

from kubectl_pxauth.cli import main

if __name__ == "__main__":
    main()
