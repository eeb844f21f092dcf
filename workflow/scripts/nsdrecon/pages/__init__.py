"""What a person sees: figures, the gallery, the report."""
