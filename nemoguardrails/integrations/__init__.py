"""Other frameworks and Interlock."""
