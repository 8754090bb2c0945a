"""`python -m trainer train …`: the same commands, for `torchrun -m trainer` and `accelerate launch -m trainer`."""

from inspector.cli.main import main

if __name__ == "__main__":
    main()
