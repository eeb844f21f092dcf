"""The jobs of a run as a graph: what they ask for, how long they take, drawings of them."""
