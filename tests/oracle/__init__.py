"""The executable specification as the oracle of the simulator."""
