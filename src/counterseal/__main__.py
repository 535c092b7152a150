"""`python -m counterseal` is the program `counterseal`."""

from counterseal.cli.main import main

if __name__ == "__main__":
    main()
